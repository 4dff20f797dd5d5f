"""What the command lines share: options, reading the config, device and process group, seed."""
from __future__ import annotations

import argparse
import os
import random
import warnings
from typing import Any, List, Optional

from mmcv_need import cores
from mmcv_need import device as devices
from mmcv_need.config import Config, DictAction
from mmcv_need.dist_utils import broadcast_int, get_dist_info, init_dist
from mmcv_need.errors import ConfigError
from mmcv_need.launch import is_launched
from mmcv_need.orphans import die_with_parent
from mmcv_need.random_state import check_seed
from mmcv_need.registry import build
from mmcv_need.rendezvous import LAUNCHERS, local_rank
from mmdet.apis.checks import check_top_level
from mmdet.apis.custom_imports import add_import_option, import_custom_modules
from mmdet.apis.data_root import move_data
from mmdet.apis.dialects import canonical
from mmdet.apis.processes import card_device, cards_of, check_cards
from mmdet.apis.settings import DistSettings
from mmdet.apis.stack_options import apply_stack_options


def add_config_options(parser: argparse.ArgumentParser, options_mean: str = '--cfg-options') -> None:
    """Options that change the config. `options_mean`: what `--options` is the old name of."""
    parser.add_argument('--data-root', metavar='DIR', help="folder to use wherever the config uses its data_root")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help='change the config, e.g. data.samples_per_gpu=4 data.train.times=1')
    parser.add_argument('--options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help=f'old name of {options_mean}')
    add_import_option(parser)


def add_common_options(parser: argparse.ArgumentParser, options_mean: str = '--cfg-options') -> None:
    """Options of every tool that runs a network. `options_mean`: as above."""
    parser.add_argument('--device', default='auto', help=f"auto (the first of these that is here), {', '.join(devices.KINDS)}, "
                                                         f'or one with a card, such as {next(iter(devices.KINDS))}:1')
    add_config_options(parser, options_mean)
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='who started the processes of this run')
    parser.add_argument('--local_rank', '--local-rank', type=int, help='set by old launchers')


def idle_options(args: argparse.Namespace, device: Any, world_size: int) -> List[str]:
    """A line for each option that was given and changes nothing here."""
    lines = []
    cards = cards_of(args)
    if cards and device.type == 'cpu':
        option, named = '--gpu-ids' if args.gpu_ids else '--gpu-id', ' '.join(map(str, cards))
        lines.append(f'{option} {named} has no effect: the run is on the CPU')
    if args.launcher != 'none' and args.gpus not in (None, world_size):
        lines.append(f'--gpus {args.gpus} has no effect: --launcher {args.launcher} started {world_size} processes')
    if world_size == 1 and getattr(args, 'diff_seed', False):
        lines.append('--diff-seed has no effect: there is one process')
    return lines


def read_config(args: argparse.Namespace) -> Config:
    """The config of a command line, with its changes, in canonical form and checked at the top level.

    The modules of its `custom_imports` are imported, if the command line allows that.
    """
    if args.options and args.cfg_options:
        raise ConfigError('--options and --cfg-options cannot be used together; --options is the old name, use --cfg-options')
    cfg = Config.fromfile(args.config)
    move_data(cfg, args.data_root)
    cfg.merge_from_dict(args.cfg_options or args.options)
    check_top_level(cfg)
    import_custom_modules(cfg, args.allow_custom_imports)
    return canonical(cfg)


def start_device(args: argparse.Namespace, cfg: Config) -> Any:
    """The device of this process; in a run of several, the process group too."""
    if args.local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    index = local_rank(args.launcher)
    device = devices.select(card_device(args, is_launched(), index), index=index)
    if args.launcher != 'none':
        start_processes(args.launcher, device, cfg)
        check_cards(args, device, get_dist_info()[1])
    apply_stack_options(cfg, device)
    devices.set_deterministic(bool(cfg.get('cudnn_benchmark')), bool(cfg.get('deterministic')))
    return device


def start_processes(launcher: str, device: Any, cfg: Config) -> None:
    """Join the process group, with the backend of `dist_params` if the device can use it; a warning says if it cannot."""
    wanted = build(cfg, DistSettings, key='dist_params') if cfg.get('dist_params') else DistSettings()
    backend = devices.backend(device, wanted.backend)
    if wanted.port is not None:
        os.environ.setdefault('MASTER_PORT', str(wanted.port))
    stay_in_place()
    init_dist(launcher, backend, devices.prepare_collectives(device, wanted.timeout))
    if wanted.backend not in (None, backend):
        warnings.warn(f"{cfg.where('dist_params.backend')}: dist_params.backend='{wanted.backend}' is not for {device.type}; "
                      f"the processes use '{backend}'", UserWarning, stacklevel=2)


def stay_in_place() -> None:
    """A process of torchrun ends with it, and keeps to its share of the cores; those of `launch` do already.

    Slurm and MPI see to both themselves.
    """
    if 'TORCHELASTIC_RUN_ID' in os.environ and not is_launched():
        die_with_parent(os.getppid())
        cores.bind(int(os.environ['LOCAL_RANK']), int(os.environ['LOCAL_WORLD_SIZE']))


def choose_seed(given: Optional[int], device: Any) -> int:
    """The seed of a run, the same on every rank; drawn if none is given."""
    check_seed(given)
    return broadcast_int(random.SystemRandom().randrange(2**31) if given is None else given, device)
