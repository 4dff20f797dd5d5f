"""What a training run leaves in its work directory: names, and a mark that it is finished."""
from __future__ import annotations

import json
import os
import re
import stat
import time
import warnings
from typing import Any, Dict, List, Optional

from mmcv_need.errors import DataError
from mmcv_need.serialization.atomic_files import write_atomically
from mmcv_need.serialization.json_files import read_json

FINISHED = 'finished.json'
CHECKPOINT = re.compile(r'(best_.+_)?(epoch|iter)_\d+\.pth')
WRITTEN = rf'({CHECKPOINT.pattern}|latest\.pth|last_checkpoint|{re.escape(FINISHED)})'
LEFTOVER = re.compile(WRITTEN + r'\.tmp\.(?P<process>\d{1,9})')  # of a process that was killed while it wrote
OF_A_RUN = re.compile(rf'{WRITTEN}|{LEFTOVER.pattern}|' + r'\d{8}_\d{6}\.(log(\.json)?|bad_data\.txt)')
# Folders of a run, and what it writes there: what updates that were left out were computed of, and TensorBoard's files.
FOLDERS = {'bad_updates': re.compile(r'iter_\d+_rank_\d+\.json(\.tmp\.\d{1,9})?'),
           'tf_logs': re.compile(r'events\.out\.tfevents\..+')}

MARKS = ('latest.pth', 'last_checkpoint', FINISHED)  # speak of other files


def claim_timestamp(work_dir: str) -> str:
    """The time at which a run begins, as in the names of its files; no other run of this folder, which exists, gets the same.

    A run that begins within the same second as another waits for the next: neither writes into the other's log.

    Returns:
        'YYYYmmdd_HHMMSS'; `<that>.log` is there now, empty.
    """
    while True:
        timestamp = time.strftime('%Y%m%d_%H%M%S')
        path = os.path.join(work_dir, f'{timestamp}.log')
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return timestamp
        except FileExistsError:
            time.sleep(0.05)


def checkpoint_folder(work_dir: str, out_dir: Optional[str] = None) -> str:
    """Where a run's checkpoints go: its work directory, or a folder of that name in `out_dir`, as in MMCV."""
    return work_dir if out_dir is None else os.path.join(out_dir, os.path.basename(os.path.abspath(work_dir)))


def mark_finished(work_dir: str, epoch: int, iteration: int, stopped: Optional[str] = None) -> None:
    """Note that a run did all that it was to do: so many epochs and iterations; `stopped`: why it ended before its last."""
    record = {'epoch': epoch, 'iter': iteration, 'stopped': stopped, 'time': time.asctime()}
    write_atomically(os.path.join(work_dir, FINISHED), (json.dumps(record) + '\n').encode())


def unmark_finished(work_dir: str) -> None:
    """A run begins, or goes on: what was noted is true no more."""
    path = os.path.join(work_dir, FINISHED)
    if os.path.isfile(path) and not os.path.islink(path):
        os.unlink(path)


def finished_place(work_dir: str) -> Optional[Dict[str, Any]]:
    """What `mark_finished` noted of a work directory, {'epoch', 'iter', 'stopped'}; None if nothing."""
    path = os.path.join(work_dir, FINISHED)
    if not os.path.isfile(path):
        return None
    try:
        record = read_json(path)
    except DataError as error:
        warnings.warn(f'passed over: {error}', stacklevel=2)
        return None
    if not isinstance(record, dict) or not all(type(record.get(key)) is int for key in ('epoch', 'iter')):
        return None
    return {'epoch': record['epoch'], 'iter': record['iter'], 'stopped': record.get('stopped')}


def run_files(work_dir: str) -> List[str]:
    """The files of a work directory that a run made, known by their names; links count only as `latest.pth`."""
    names = _names(work_dir)
    for folder in FOLDERS:
        if not os.path.islink(os.path.join(work_dir, folder)):
            names += [os.path.join(folder, name) for name in _names(os.path.join(work_dir, folder))]
    paths = [os.path.join(work_dir, name) for name in names if is_of_a_run(name)]
    return [path for path in paths if _is_ours(path)]


def is_of_a_run(name: str) -> bool:
    """Whether a run makes files of this name, relative to its work directory."""
    folder, _, file = name.rpartition('/')
    return bool(OF_A_RUN.fullmatch(name)) or (folder in FOLDERS and bool(FOLDERS[folder].fullmatch(file)))


def remove_leftovers(folder: str) -> None:
    """Remove what processes that were killed while they wrote a checkpoint have left; those that live are let be."""
    for name in _names(folder):
        match = LEFTOVER.fullmatch(name)
        process = int(match.group('process')) if match else None
        if process is not None and (process == os.getpid() or not _is_alive(process)):  # an earlier one may have had our number
            os.unlink(os.path.join(folder, name))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def _is_ours(path: str) -> bool:
    mode = os.lstat(path).st_mode
    return stat.S_ISREG(mode) or (stat.S_ISLNK(mode) and os.path.basename(path).startswith('latest.pth'))


def _names(folder: str) -> List[str]:
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []
