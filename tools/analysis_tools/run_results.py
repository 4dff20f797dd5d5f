"""The numbers of a run, as the scripts under test/ report them, each found by its name in what the run wrote.

    python tools/analysis_tools/run_results.py train --cards 8 --batch 8 --accuracy best --losses losses.txt RUN.log.json ...
    python tools/analysis_tools/run_results.py eval eval_20261122_120000.json
"""
from __future__ import annotations

import argparse
import ast
import json
import math
import os
import sys
from typing import Any, Mapping, Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # works from a clone

from calc_fps import report
from mmcv_need.errors import LogError
from mmcv_need.run_logs import read_records

METRICS = ('bbox_mAP', 'mAP', '0_bbox_mAP', '0_mAP')  # COCO, VOC, and the first of several datasets; the first that is there


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='The numbers of a run, as the scripts under test/ report them')
    kinds = parser.add_subparsers(dest='kind', required=True)
    train = kinds.add_parser('train', help='of a training')
    train.add_argument('logs', nargs='+', metavar='LOG.json', help='those of one run, in the order of time')
    train.add_argument('--cards', type=int, required=True, help='of all machines')
    train.add_argument('--batch', type=int, required=True, help='of each card')
    train.add_argument('--accuracy', choices=('best', 'last'), required=True,
                       help='the best of all evaluations, of which there must be one; or the last, if there is one')
    train.add_argument('--losses', metavar='FILE', required=True, help='write the loss of each train record there, one a line')
    kinds.add_parser('eval', help='of an evaluation').add_argument('metrics', help='eval_<time>.json of tools/test.py')
    return parser.parse_args(arguments)


def records_of_run(paths: Sequence[str]) -> list[dict[str, Any]]:
    """The train and val records of a run with several logs: what was done again after an interruption counts once.

    Raises:
        LogError: a log cannot be read.
    """
    run: list[dict[str, Any]] = []
    for path in paths:
        log = read_records(path, unfinished=path != paths[-1])
        if log:
            begin = next((i for i, record in enumerate(run) if not comes_before(record, log[0])), len(run))
            run = run[:begin] + log
    return run


def comes_before(record: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a record's place in the run is before that of a later log's first; val comes at the end of its epoch."""
    one, another = ((float(r.get('epoch') or 0), r['iter'] if r['mode'] == 'train' else math.inf) for r in (record, other))
    return one < another


def number(values: Mapping[str, Any], name: str, where: str) -> float:
    if type(values.get(name)) not in (int, float):
        raise LogError(f'{where} has no number {name}, but {values.get(name)!r}')
    return float(values[name])


def metric_of(values: Mapping[str, Any], where: str) -> str | None:
    """The metric that stands for the accuracy, with four decimals; None if there is none of METRICS."""
    name = next((name for name in METRICS if name in values), None)
    return None if name is None else f'{number(values, name, where):.4f}'


def training(args: argparse.Namespace) -> list[str]:
    """Lines `name = value` for a training; the losses go to their file.

    Raises:
        LogError: a number is missing.
    """
    logs = ', '.join(args.logs)
    records = records_of_run(args.logs)
    steps = [record for record in records if record['mode'] == 'train']
    if not steps:
        raise LogError(f'{logs}: no train record, so there is no rate: the run had fewer steps than log_config.interval')
    losses = [number(record, 'loss', f'{logs}: a train record') for record in steps]
    fps = ast.literal_eval(report(records, args.cards, args.batch)[-1])['fps']
    metrics = [metric for metric in (metric_of(record, logs) for record in records if record['mode'] == 'val') if metric]
    if not metrics and args.accuracy == 'best':
        raise LogError(f"{logs}: no evaluation with a {' or '.join(METRICS[:2])}: the run ended before its first, or has none")
    with open(args.losses, 'w', encoding='utf-8') as file:
        file.writelines(f'{loss:.4f}\n' for loss in losses)
    accuracy = 'none' if not metrics else max(metrics, key=float) if args.accuracy == 'best' else metrics[-1]
    milliseconds = args.cards * args.batch * 1000 / fps  # of a step
    return [f'ActualFPS = {fps:.2f}', f'TrainingTime = {milliseconds:.2f}', f'TrainAccuracy = {accuracy}',
            f'ActualLoss = {losses[-1]:.4f}']


def evaluation(path: str) -> list[str]:
    """Lines `name = value` for an evaluation.

    Raises:
        LogError: the file cannot be read, or has no metric.
    """
    try:
        with open(path, encoding='utf-8') as file:
            metrics = json.load(file)['metric']
        accuracy = metric_of(metrics, path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f'{path}: is no result of an evaluation ({type(error).__name__}: {error})') from None
    if accuracy is None:
        raise LogError(f"{path}: has no {' or '.join(METRICS[:2])}, only {', '.join(metrics) or 'nothing'}")
    return [f'TrainAccuracy = {accuracy}']


def main(arguments: Sequence[str]) -> int:
    args = parse(arguments)
    try:
        print('\n'.join(training(args) if args.kind == 'train' else evaluation(args.metrics)))
    except LogError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except OSError as error:
        print(f'error: {getattr(args, "losses", error.filename)}: {error.strerror}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
