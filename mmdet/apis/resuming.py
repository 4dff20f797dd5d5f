"""Which checkpoint a training run goes on from, if any, and whether it may."""
from __future__ import annotations

import argparse
import os
from functools import partial
from typing import Any, Dict, Mapping, Optional

from mmcv_need.arguments import is_number
from mmcv_need.checkpoint import Loaded, find_latest, read
from mmcv_need.config import Config
from mmcv_need.dist_utils import gather_plain, get_dist_info, on_rank_0
from mmcv_need.earlier_runs import finish_clearing
from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmcv_need.work_dir import checkpoint_folder, finished_place
from mmdet.apis.dialects.spellings import lookup
from mmdet.apis.settings import DataSettings


def add_resume_options(parser: argparse.ArgumentParser) -> None:
    resume = parser.add_mutually_exclusive_group()
    resume.add_argument('--resume-from', type=_path, metavar='CHECKPOINT',
                        help='go on exactly where this checkpoint was written')
    resume.add_argument('--auto-resume', action='store_true',
                        help='go on from the newest checkpoint of the work dir, if there is one; refused if it is finished')
    resume.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help="MMDetection 3's name of both: a checkpoint, or auto, which is the default")
    parser.add_argument('--allow-batch-change', action='store_true',
                        help='go on although a step has more or fewer pictures than before (cards x samples_per_gpu)')
    resume.add_argument('--overwrite', action='store_true',
                        help='start anew, and remove what an earlier run left in the work dir')


def _path(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError('expected the path of a checkpoint, not nothing')
    return text


def resumed_checkpoint(args: argparse.Namespace, cfg: Config, device: Any) -> Optional[Loaded]:
    """The checkpoint that a run goes on from, on every rank; rank 0 chooses. The run has its folders for itself by then.

    Raises:
        UserError: see `choose_checkpoint` and `check_batch`.
    """
    rank, world_size = get_dist_info()
    chosen = on_rank_0(partial(choose_checkpoint, args, cfg))
    path = gather_plain(chosen.path if chosen else None, device)[0]
    if path is None:
        return None
    checkpoint = chosen if rank == 0 else read(path)
    if not args.allow_batch_change:
        check_batch(checkpoint, batch_of(cfg, world_size))
    return checkpoint


def batch_of(cfg: Config, world_size: int) -> Dict[str, int]:
    """How many pictures a step has, over all processes, and on how many they are: for the checkpoints of a run."""
    samples, _ = build(cfg, DataSettings, key='data').for_section('train')
    return {'global_batch': samples * world_size, 'world_size': world_size}


def check_batch(checkpoint: Loaded, now: Mapping[str, int]) -> None:
    """A step has as many pictures as it had: then the order of the data goes on as it was, on however many processes.

    Raises:
        ConfigError: it has not. A checkpoint that does not say, as MMDetection's, is taken as it is.
    """
    meta = checkpoint.content.get('meta') or {}
    batch, processes = meta.get('global_batch'), meta.get('world_size')
    if batch in (None, now['global_batch']):
        return
    fits = batch // now['world_size'] if is_number(batch, int) and batch % now['world_size'] == 0 else None
    same = f'--cfg-options data.samples_per_gpu={fits}' if fits else f'{processes} processes'
    raise ConfigError(f"{checkpoint.path}: was trained with {batch} pictures a step ({processes} process(es)); now a step has "
                      f"{now['global_batch']} ({now['world_size']} process(es)). Go on as before with {same}, or say "
                      f'--allow-batch-change, and mind the learning rate')


def choose_checkpoint(args: argparse.Namespace, cfg: Config) -> Optional[Loaded]:
    """The checkpoint that the command line, or the config, goes on from; None for a new run.

    Raises:
        ConfigError: the work directory holds a finished run.
        CheckpointError: the file cannot be read.
    """
    for folder in (cfg.work_dir, checkpoints_of(cfg)):
        finish_clearing(folder)
    if args.overwrite:
        if cfg.get('resume_from'):
            raise ConfigError(f"{cfg.where('resume_from')}: resume_from goes on with a run, --overwrite starts anew; choose one"
                              .lstrip(': '))
        check_load_from(cfg)
        return None
    if goes_on_by_itself(args, cfg):
        check_not_finished(args, cfg)
        newest = find_latest(checkpoints_of(cfg))
        if newest:
            return newest
    path = args.resume_from or (args.resume if args.resume != 'auto' else None) or cfg.get('resume_from')
    if path:
        return read(path)
    check_load_from(cfg)
    return None


def goes_on_by_itself(args: argparse.Namespace, cfg: Config) -> bool:
    """Whether the newest checkpoint of the work directory is asked for: on the command line, or as MMDetection dumps it."""
    elsewhere = args.overwrite or args.resume_from or args.resume not in (None, 'auto')
    return args.auto_resume or args.resume == 'auto' or bool(cfg.get('auto_resume') and not elsewhere)


def checkpoints_of(cfg: Config) -> str:
    """The folder of a run's checkpoints: its work directory, or what `checkpoint_config.out_dir` makes of it."""
    return checkpoint_folder(cfg.work_dir, lookup(cfg, 'checkpoint_config.out_dir'))


def check_load_from(cfg: Config) -> None:
    """A new run does not start from a file that it removes or moves.

    Raises:
        ConfigError: it does.
    """
    source = cfg.get('load_from')
    folders = {os.path.realpath(folder) for folder in (cfg.work_dir, checkpoints_of(cfg))}
    if source and os.path.dirname(os.path.realpath(source)) in folders:
        raise ConfigError(f"{cfg.where('load_from')}: load_from {source}: is of an earlier run in this run's work dir; choose "
                          f'another --work-dir'.lstrip(': '))


def check_not_finished(args: argparse.Namespace, cfg: Config) -> None:
    """There is something left to do in the work directory.

    Raises:
        ConfigError: its run did all that this one would.
    """
    done = finished_place(cfg.work_dir)
    if not done:
        return
    if done['stopped'] or done['epoch'] >= cfg.runner.max_epochs or done['iter'] >= (args.max_steps or float('inf')):
        why = f", {done['stopped']}" if done['stopped'] else ''
        longer = 'go on with --resume-from CHECKPOINT' if why else 'train longer with --cfg-options runner.max_epochs=N'
        if not why and done['epoch'] < cfg.runner.max_epochs:
            longer = f"train longer with --max_steps above {done['iter']}, or without it"
        raise ConfigError(f"{cfg.work_dir}: this run is finished ({done['epoch']} epochs, {done['iter']} iterations{why}). "
                          f'Evaluate it with tools/test.py, {longer}, or start anew with --overwrite')


def resumed_seed(checkpoint: Loaded, given: Optional[int]) -> Optional[int]:
    """The seed that a run goes on with: order and augmentation follow from it.

    Raises:
        ConfigError: another one was given.
    """
    stored = (checkpoint.content.get('meta') or {}).get('seed')
    if None not in (stored, given) and stored != given:
        raise ConfigError(f'{checkpoint.path}: was trained with seed {stored}; to go on with seed {given} would be another '
                          f'run. Leave the seed out, or start from its weights: --cfg-options load_from={checkpoint.path}')
    return given if stored is None else stored
