"""Logs of runs, read: MMCV's `.log.json`, which is ours too, and MMEngine's `scalars.json`.

Whatever wrote it, a record comes out in MMCV's form: `mode` is 'train' or 'val', `epoch` counts from 1, `iter` counts within
the epoch (within the run where the logger counted so), and a metric has its plain name: `bbox_mAP`, not `coco/bbox_mAP`.
"""
from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from mmcv_need.errors import LogError

MOST = 10**9  # a larger number is a mistake
PLACES = ('epoch', 'iter', 'step')  # MMEngine's keys that say where in the run a record belongs

Record = Dict[str, Any]


def read_records(path: str, unfinished: bool = False) -> List[Record]:
    """The train and val records of a log in order; the meta line, which has no `mode`, is left out.

    A train record is sure to have a whole `iter` >= 1, a whole `epoch` if any, and a `time` >= 0 in seconds.

    Args:
        path: of the log.
        unfinished: whether its process may have been killed while it wrote; then what follows the last newline does not count.

    Raises:
        LogError: it cannot be read, or is not a log.
    """
    try:
        with open(path, encoding='utf-8') as file:
            lines = file.read().split('\n')
    except (OSError, UnicodeDecodeError) as error:
        raise LogError(f'{path}: cannot be read: {getattr(error, "strerror", None) or "not a text file"}') from None
    if unfinished:
        lines = lines[:-1]
    numbered = [(f'{path}:{number}', _parse(line, f'{path}:{number}')) for number, line in enumerate(lines, 1) if line.strip()]
    if any('step' in record and 'mode' not in record for _, record in numbered):
        numbered = list(_from_mmengine(numbered))
    records = []
    for where, record in numbered:
        if record.get('mode') == 'train':
            _check_train(record, where)
        if record.get('mode') in ('train', 'val'):
            records.append(record)
    return records


def _parse(line: str, where: str) -> Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise LogError(f'{where}: not JSON; give the .log.json of a run (or scalars.json), not its .log') from None
    if not isinstance(record, dict):
        raise LogError(f'{where}: expected a JSON object, got {type(record).__name__}')
    return record


def _check_train(record: Record, where: str) -> None:
    iteration, seconds = record.get('iter'), record.get('time')
    if type(iteration) is not int or not 1 <= iteration < MOST:
        raise LogError(f'{where}: a train record needs a whole "iter" of 1 or more, got {iteration!r}')
    if type(record.get('epoch', 1)) is not int:
        raise LogError(f'{where}: the "epoch" of a train record must be a whole number, got {record["epoch"]!r}')
    if type(seconds) not in (int, float) or not 0 <= seconds < MOST:
        raise LogError(f'{where}: a train record needs its "time" in seconds, got {seconds!r}')


def _from_mmengine(numbered: Sequence[Tuple[str, Record]]) -> Iterator[Tuple[str, Record]]:
    """Records as MMCV would have written them.

    MMEngine's have no `mode`. Those of training have `iter`; those of an evaluation have none, and their `step` is the epoch,
    or the iteration in a run that knows no epochs.
    """
    for where, record in numbered:
        for key in PLACES:
            if key in record and (type(record[key]) is not int or not 0 <= record[key] < MOST):
                raise LogError(f'{where}: expected a whole number of 0 or more as "{key}", got {record[key]!r}')
    logged_in: Dict[int, List[int]] = {}
    for _, record in numbered:
        if 'iter' in record and 'epoch' in record:
            logged_in.setdefault(record['epoch'], []).append(record['iter'])
    done_before = _iterations_before(logged_in)
    for where, record in numbered:
        values = _plain_names({key: value for key, value in record.items() if key not in PLACES})
        if 'iter' in record:
            epoch = record.get('epoch')
            place = {} if epoch is None else {'epoch': epoch}
            yield where, {'mode': 'train', **place, 'iter': record['iter'] - done_before.get(epoch, 0), **values}
        elif 'step' in record:
            yield where, {'mode': 'val', 'epoch' if logged_in else 'iter': record['step'], **values}


def _iterations_before(iterations: Dict[int, List[int]]) -> Dict[Any, int]:
    """How many iterations of the run came before each epoch, told from the iterations of the records that name it.

    All epochs are as long, and are logged at the same places; so the first records of two epochs tell the length. A lone epoch
    begins as long before its first record as its second one comes after it.
    """
    epochs = sorted(iterations)
    if len(epochs) > 1:
        one, other = epochs[:2]
        length = (iterations[other][0] - iterations[one][0]) // (other - one)
        before = {epoch: (epoch - 1) * length for epoch in epochs}
    else:
        before = {epoch: 2 * logged[0] - logged[1] for epoch, logged in iterations.items() if epoch > 1 and len(logged) > 1}
    return {epoch: count for epoch, count in before.items() if 0 <= count < iterations[epoch][0]}


def _plain_names(values: Record) -> Record:
    """Values without the `coco/` before their names, unless two would then have the same name."""
    plain = [name.rpartition('/')[2] for name in values]
    return {short if plain.count(short) == 1 else name: value for (name, value), short in zip(values.items(), plain)}
