"""How many processes a command line asks for, and which card is whose."""
from __future__ import annotations

import argparse
import copy
import warnings
from functools import partial
from typing import Any, Callable, List, Optional, Sequence

from mmcv_need.errors import ConfigError
from mmcv_need.launch import launch
from mmdet.apis.endings import ended


def add_card_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--gpus', type=int, help='number of cards of this machine, a process each; 1 by default')
    cards = parser.add_mutually_exclusive_group()
    cards.add_argument('--gpu-ids', type=int, nargs='+', help='which cards, a process each')
    cards.add_argument('--gpu-id', type=int, help='which card')


def cards_of(args: argparse.Namespace) -> List[int]:
    """The cards that the command line names."""
    return args.gpu_ids or ([] if args.gpu_id is None else [args.gpu_id])


def wanted_processes(args: argparse.Namespace) -> int:
    """How many processes of this machine the command line asks for, where no launcher started any.

    Raises:
        ConfigError: it contradicts itself.
    """
    cards = cards_of(args)
    if args.gpus is not None and args.gpus < 1:
        raise ConfigError(f'--gpus {args.gpus}: expected a number of cards, 1 or more')
    if len(set(cards)) < len(cards):
        raise ConfigError(f"--gpu-ids {' '.join(map(str, cards))}: a card can serve one process; name each once")
    if args.launcher == 'none' and cards and args.gpus not in (None, len(cards)):
        raise ConfigError(f"--gpus {args.gpus} and {len(cards)} card(s) named ({' '.join(map(str, cards))}): give one of both")
    count = len(cards) or args.gpus or 1
    if count > 1 and ':' in args.device:
        raise ConfigError(f'--device {args.device} is one card, and {count} processes are asked for; name the kind only, such '
                          f"as --device {args.device.partition(':')[0]}")
    return count


def in_processes(args: argparse.Namespace, main: Callable[[Sequence[str]], Any], arguments: Sequence[str],
                 check: Callable[[argparse.Namespace], Any] = lambda args: None,
                 resumable: Optional[int] = None) -> Optional[int]:
    """Run a command line in as many processes as it asks for; the exit status, or None if that is this one.

    Args:
        args: of the command line.
        main: what each process runs on the arguments.
        check: called before any is started, and again by each: what is wrong shows at once. Its warnings are theirs to say.
        resumable: see `launch`.
    """
    count = wanted_processes(args)
    if args.launcher != 'none' or count == 1:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        check(copy.deepcopy(args))
    end = list(arguments).index('--') if '--' in arguments else len(arguments)  # what follows it is no option
    theirs = [*arguments[:end], '--launcher', 'pytorch', *arguments[end:]]
    return launch(partial(ended, main), theirs, count, resumable)


def card_device(args: argparse.Namespace, launched: bool, local_rank: int) -> str:
    """`--device`, with the card that the command line names for this process.

    Args:
        launched: whether the processes were started by `in_processes`.
        local_rank: which of this machine's processes this is.

    Raises:
        ConfigError: several processes and one card.
    """
    cards = cards_of(args)
    if launched:
        cards = cards[local_rank:local_rank + 1]
    elif args.launcher != 'none' and (cards or ':' in args.device):
        raise ConfigError(f'with --launcher {args.launcher} each process takes a card of its own; name none')
    if cards and ':' in args.device:
        raise ConfigError(f'--device {args.device} and --gpu-id {cards[0]} both name a card; keep one')
    return f'{args.device}:{cards[0]}' if cards and args.device != 'cpu' else args.device


def check_cards(args: argparse.Namespace, device: Any, world_size: int) -> None:
    """Several processes run on the CPU only where that is asked for.

    Raises:
        ConfigError: there is no card, and `--device auto` would take the CPU for each of several processes.
    """
    if world_size > 1 and device.type == 'cpu' and args.device == 'auto':
        raise ConfigError(f'no card is usable here, and {world_size} processes are asked for. To run them on the CPU, say '
                          f'--device cpu')
