"""What the command lines share: options, reading the config, and one line for an error instead of a traceback."""
from __future__ import annotations

import argparse
import os
import random
import sys
import warnings
from typing import Any, Callable, List, Optional, Sequence

from mmcv_need import device as devices
from mmcv_need.arguments import is_number
from mmcv_need.config import Config, DictAction
from mmcv_need.dist_utils import LAUNCHERS, broadcast_int, get_dist_info, init_dist, leave_dist, local_rank
from mmcv_need.errors import ConfigError, UserError
from mmcv_need.registry import build
from mmdet.apis.checks import check_top_level
from mmdet.apis.data_root import replace_data_root
from mmdet.apis.dialects import canonical
from mmdet.apis.settings import DistSettings


def add_common_options(parser: argparse.ArgumentParser, options_mean: str = '--cfg-options') -> None:
    """Options of every tool. `options_mean`: what `--options` is the old name of."""
    parser.add_argument('--device', default='auto', help=f"auto (the first of these that is here), {', '.join(devices.KINDS)}, "
                                                         f'or one with a card, such as {next(iter(devices.KINDS))}:1')
    parser.add_argument('--data-root', metavar='DIR', help="folder to use wherever the config uses its data_root")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help='change the config, e.g. data.samples_per_gpu=4 data.train.times=1')
    parser.add_argument('--options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help=f'old name of {options_mean}')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='who started the processes of this run')
    parser.add_argument('--local_rank', '--local-rank', type=int, help='set by old launchers')


def add_card_options(parser: argparse.ArgumentParser) -> None:
    cards = parser.add_mutually_exclusive_group()
    cards.add_argument('--gpu-ids', type=int, nargs='+', help='which card')
    cards.add_argument('--gpu-id', type=int, help='which card')


def card_device(args: argparse.Namespace) -> str:
    """`--device`, with the card that `--gpu-id` or `--gpu-ids` names.

    Raises:
        ConfigError: several cards for one process, or one card for several processes.
    """
    cards = args.gpu_ids or ([] if args.gpu_id is None else [args.gpu_id])
    if args.launcher != 'none' and (cards or ':' in args.device):
        raise ConfigError(f'with --launcher {args.launcher} each process takes a card of its own; name none')
    if len(cards) > 1:
        raise ConfigError(f'several cards need a process each: torchrun --nproc_per_node {len(cards)} ... '
                          f'--launcher pytorch')
    if cards and ':' in args.device:
        raise ConfigError(f'--device {args.device} and --gpu-id {cards[0]} both name a card; keep one')
    return f'{args.device}:{cards[0]}' if cards and args.device != 'cpu' else args.device


def idle_options(args: argparse.Namespace, device: Any, world_size: int) -> List[str]:
    """A line for each option that was given and changes nothing here."""
    lines = []
    cards = args.gpu_ids or ([] if args.gpu_id is None else [args.gpu_id])
    if cards and device.type == 'cpu':
        lines.append(f"{'--gpu-ids' if args.gpu_ids else '--gpu-id'} {cards[0]} has no effect: the run is on the CPU")
    if args.launcher != 'none' and getattr(args, 'gpus', 1) != 1:
        lines.append(f'--gpus {args.gpus} has no effect: --launcher {args.launcher} started {world_size} processes')
    if world_size == 1 and getattr(args, 'diff_seed', False):
        lines.append('--diff-seed has no effect: there is one process')
    return lines


def read_config(args: argparse.Namespace) -> Config:
    """The config of a command line, with its changes, in canonical form and checked at the top level."""
    if args.options and args.cfg_options:
        raise ConfigError('--options and --cfg-options cannot be used together; --options is the old name, use --cfg-options')
    cfg = Config.fromfile(args.config)
    if args.data_root:
        replace_data_root(cfg, args.data_root)
    cfg.merge_from_dict(args.cfg_options or args.options)
    check_top_level(cfg)
    return canonical(cfg)


def start_device(args: argparse.Namespace, cfg: Config) -> Any:
    """The device of this process; in a run of several, the process group too."""
    if args.local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    device = devices.select(card_device(args), index=local_rank(args.launcher))
    if args.launcher != 'none':
        start_processes(args.launcher, device, cfg)
    devices.set_deterministic(bool(cfg.get('cudnn_benchmark')), bool(cfg.get('deterministic')))
    return device


def start_processes(launcher: str, device: Any, cfg: Config) -> None:
    """Join the process group, with the backend of `dist_params` if the device can use it; a warning says if it cannot."""
    wanted = build(cfg, DistSettings, key='dist_params') if cfg.get('dist_params') else DistSettings()
    backend = devices.backend(device, wanted.backend)
    if wanted.port is not None:
        os.environ.setdefault('MASTER_PORT', str(wanted.port))
    init_dist(launcher, backend)
    if wanted.backend not in (None, backend):
        warnings.warn(f"{cfg.where('dist_params.backend')}: dist_params.backend='{wanted.backend}' is not for {device.type}; "
                      f"the processes use '{backend}'", UserWarning, stacklevel=2)


def choose_seed(given: Optional[int], device: Any) -> int:
    """The seed of a run, the same on every rank; drawn if none is given."""
    if given is not None and (not is_number(given, int) or not 0 <= given < 2 ** 32):
        raise ConfigError(f'seed: expected an integer of 0 or more, below 2^32, not {given!r}')
    return broadcast_int(random.SystemRandom().randrange(2**31) if given is None else given, device)


def print_warning(message: Any, *_: Any, **__: Any) -> None:
    """One line on stderr, by rank 0 only; before there is a process group, torchrun's RANK says who that will be."""
    rank, world_size = get_dist_info()
    if (str(rank) if world_size > 1 else os.environ.get('RANK', '0')) == '0':
        print(f'warning: {message}', file=sys.stderr)


def run(main: Callable[[Sequence[str]], Any]) -> None:
    """Call a command line's `main`: what the user can mend is one line on stderr and status 2, an interrupt status 130.

    So is a file or folder that cannot be used. What `main` returns is the status otherwise.

    A warning is one line too, whatever the number of processes.
    """
    warnings.showwarning = print_warning
    try:
        status = main(sys.argv[1:])
        leave_dist()
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        print(f'error: {error.filename}: {error.strerror}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(130)
    if status:
        sys.exit(status)
