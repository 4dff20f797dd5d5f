"""Frames per second of a training run, from its .log.json.

    python calc_fps.py work_dirs/ssd300_coco/20261122_120000.log.json 8 32

The arguments are the log (ours, MMCV's, or MMEngine's scalars.json), the number of cards and the batch per card. One line is
printed for each evaluated epoch and one for their mean, as Python dicts; the last line is the answer. The rate of an epoch is
the mean of `cards * batch / time` over its train records after iteration 50, when caches and compilers have warmed up. Lines
that begin with `#` say what else is worth knowing: total images divided by total time, and how a figure was found where that
rule gives none.
"""
from __future__ import annotations

import sys
from typing import Any

from mmcv_need.errors import LogError
from mmcv_need.run_logs import read_records

WARM_UP = 50  # iterations at the start of an epoch whose records do not count
MOST = 10**9  # a larger number is a mistake on the command line
USAGE = 'usage: python calc_fps.py LOG.json CARDS BATCH_PER_CARD'


def split_epochs(records: list[dict[str, Any]]) -> tuple[list[list[dict[str, Any]]], list[str]]:
    """Train records of each epoch, and notes. A val record closes an epoch; without any, the records name their own."""
    if any(record['mode'] == 'val' for record in records):
        epochs: list[list[dict[str, Any]]] = [[]]
        for record in records:
            if record['mode'] == 'val':
                epochs.append([])
            else:
                epochs[-1].append(record)
        return epochs[:-1], []  # what follows the last evaluation is not a finished epoch
    by_number: dict[Any, list[dict[str, Any]]] = {}
    for record in records:
        by_number.setdefault(record.get('epoch'), []).append(record)
    return list(by_number.values()), ['# no val record in the log: the epochs are those that the train records name']


def train_and_val(path: str) -> list[dict[str, Any]]:
    """The records of a log that has any of training."""
    records = read_records(path)
    if not any(record['mode'] == 'train' for record in records):
        raise LogError(f'{path}: has no train record (a line with "mode": "train", or of MMEngine with "iter")')
    return records


def mean(values: list[float]) -> float:
    total = 0.0
    for value in values:  # not sum(): from Python 3.12 on it compensates rounding, and the last digit would differ
        total += value
    return total / len(values)


def epoch_rate(records: list[dict[str, Any]], images: int, number: int) -> tuple[float | None, list[str]]:
    """Images per second of one epoch, None if nothing tells, and notes on how it was found if not by the rule."""
    timed = [record for record in records if record['time'] > 0]
    warm = [record for record in timed if record['iter'] > WARM_UP]
    notes = []
    if len(timed) < len(records):
        notes.append(f'# epoch {number}: {len(records) - len(timed)} record(s) with time 0 left out')
    if not timed:
        return None, [*notes, f'# epoch {number}: no train record to take a rate from; left out of the mean']
    if not warm:
        notes.append(f'# epoch {number}: no record after iteration {WARM_UP}; the earlier ones count, warm-up and all')
    return mean([images / record['time'] for record in warm or timed]), notes


def total_rate(records: list[dict[str, Any]], images: int) -> tuple[float, int]:
    """(images per second, iterations) of the log; a `time` is the mean over the iterations since the record before."""
    seconds, iterations, last, covered = 0.0, 0, (None, 0), 0
    for record in (record for record in records if record['mode'] == 'train'):
        # an epoch counts from zero, also one that starts again (a resumed run, logs joined together), unless the log goes on at
        # its pace: it counts iterations of the run (TextLoggerHook(by_epoch=False))
        step = record['iter'] - last[1]
        covered = step if step > 0 and (record.get('epoch') == last[0] or step == covered) else record['iter']
        seconds += covered * record['time']
        iterations += covered
        last = (record.get('epoch'), record['iter'])
    return (images * iterations / seconds if seconds else 0.0), iterations


def report(records: list[dict[str, Any]], cards: int, batch: int) -> list[str]:
    """The lines to print; the last one holds the answer."""
    epochs, notes = split_epochs(records)
    lines, rates = [], []
    for number, epoch in enumerate(epochs, 1):
        rate, remarks = epoch_rate(epoch, cards * batch, number)
        notes += remarks
        if rate is not None:
            rates.append(rate)
            lines.append(str({'epoch': number, 'fps': rate}))
    total, iterations = total_rate(records, cards * batch)
    if not rates:
        if not total:
            raise LogError('every train record has time 0; no rate can be computed')
        notes.append('# no evaluated epoch has a rate: total images / total time is the answer')
        rates = [total]
    total_line = f'# total images / total time: {total:.2f} images/s over {iterations} iterations'
    return [*lines, *notes, total_line, str({'fps': mean(rates)})]


def parse_arguments(arguments: list[str]) -> tuple[str, int, int]:
    if len(arguments) > 3:
        raise LogError(f'expected one log and two numbers, got {len(arguments)} arguments: {" ".join(arguments)} '
                       '(did a pattern match several logs? name one)')
    if len(arguments) < 3:
        raise LogError(USAGE)
    numbers = []
    for name, text in zip(('number of cards', 'batch per card'), arguments[1:]):
        try:
            numbers.append(int(text))
        except ValueError:
            raise LogError(f'the {name} must be a whole number, got {text!r}') from None
        if not 1 <= numbers[-1] < MOST:
            raise LogError(f'the {name} must be 1 or more, got {text}')
    return arguments[0], numbers[0], numbers[1]


def main(arguments: list[str]) -> int:
    if arguments in (['-h'], ['--help']):
        print(__doc__)
        return 0
    try:
        path, cards, batch = parse_arguments(arguments)
        print('\n'.join(report(train_and_val(path), cards, batch)))
    except LogError as error:
        print(f'calc_fps.py: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
