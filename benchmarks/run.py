"""Measure the toolkit beside its peers and its bounds: python benchmarks/run.py [--only pipeline evaluation]

Every figure is a ratio of neighbours in time, in the median over rounds. Nothing is downloaded; without --pictures, some are
drawn. A whole run takes about 18 minutes on two cores.
"""
from __future__ import annotations

import argparse
import functools
import importlib
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, List, Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # works from a clone, without installing

from benchmarks.interleaved import ROUNDS, Measure
from benchmarks.machine import describe, load
from benchmarks.pictures import has_pictures, make_pictures
from benchmarks.report import markdown, print_table, write_json
from benchmarks.settings import Settings
from mmcv_need import device as devices
from mmcv_need.errors import UserError

SECTIONS = ('startup', 'pipeline', 'annotations', 'inference', 'evaluation', 'end_to_end', 'processes', 'step')
NUM_PICTURES, NUM_PICTURES_SMALL = 128, 16


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure the toolkit beside its peers and its bounds')
    parser.add_argument('--device', default='auto', help=f"auto, {', '.join(devices.KINDS)}, or one with a card such as cuda:1")
    parser.add_argument('--only', nargs='+', choices=SECTIONS, default=SECTIONS, metavar='SECTION',
                        help=f"some of: {', '.join(SECTIONS)}")
    parser.add_argument('--json', type=Path, metavar='FILE', help='write every round there')
    parser.add_argument('--pictures', type=Path, metavar='DIR',
                        help='folder with annotations/instances_train2017.json and train2017/, instead of drawn pictures')
    parser.add_argument('--batch', type=int, nargs='+', metavar='N', help='of the training step; 8 on CPU, else 32 and 64')
    parser.add_argument('--rounds', type=int, default=ROUNDS, help='of each comparison (default: %(default)s)')
    parser.add_argument('--config', default='ssd300_coco.py', help='in configs/ (default: %(default)s)')
    parser.add_argument('--small', action='store_true', help='seconds, not minutes: whether it runs; figures mean nothing')
    parser.add_argument('--markdown', action='store_true', help='print tables for a document')
    return parser.parse_args(arguments)


def settings_of(args: argparse.Namespace, scratch: Path) -> Settings:
    """What the sections are given.

    Raises:
        UserError: a folder or number that cannot be used.
    """
    device = devices.select(args.device)
    if args.rounds < 1 or any(number < 1 for number in args.batch or ()):
        raise UserError(f'--rounds {args.rounds} and --batch {args.batch}: expected numbers of 1 or more')
    if args.pictures and not has_pictures(args.pictures):
        raise UserError(f'--pictures {args.pictures}: expected a folder with annotations/instances_train2017.json and '
                        f'train2017/; leave it out to have some drawn')
    pictures = args.pictures or scratch / 'pictures'
    if not args.pictures:
        make_pictures(pictures, NUM_PICTURES_SMALL if args.small else NUM_PICTURES)
    batches = tuple(args.batch or ((2,) if args.small else (8,) if device.type == 'cpu' else (32, 64)))
    config = 'ssd_demo.py' if args.small and args.config == 'ssd300_coco.py' else args.config
    return Settings(device, pictures.resolve(), scratch, batches, args.rounds, config, args.small)


def main(arguments: Sequence[str] = ()) -> int:
    args = parse(arguments or sys.argv[1:])
    say = functools.partial(print, file=sys.stderr, flush=True)
    measures: List[Measure] = []
    failed: List[str] = []
    with tempfile.TemporaryDirectory(prefix='benchmarks-') as folder:
        try:
            settings = settings_of(args, Path(folder))
        except UserError as error:
            say(f'error: {error}')
            return 2
        about: Any = {**describe(settings.device), 'load_before': load()}
        say(f"{about['date']}, {about['processor']}, {about['cores']} cores, {about['device']}")
        say(f"load {about['load_before']:.1f}")
        for section in args.only:
            say(f'{section} ...')
            try:
                found = list(importlib.import_module(f'benchmarks.{section}').measure(settings))
            except Exception:  # a card without the memory for it, say: the other sections are worth having
                traceback.print_exc()
                failed.append(section)
                continue
            measures += found
            print_table(found)
        about['load_after'] = load()
    say(f"load {about['load_after']:.1f}")
    if args.markdown:
        print(markdown(measures, about))
    if args.json:
        write_json(args.json, measures, about)
    if failed:
        say(f"error: no figures of {', '.join(failed)}: see above")
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
