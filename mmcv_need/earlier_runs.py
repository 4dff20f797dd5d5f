"""What becomes of an earlier run's files where another run begins: moved into a folder of their own, or removed.

Either is written down first (`clearing.json`), so that a process that is killed on the way leaves no mixture: whoever comes
next finishes it.
"""
from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from mmcv_need.checkpoint import Loaded, meta_of, read_checkpoint
from mmcv_need.errors import CheckpointError
from mmcv_need.place_in_run import place_of
from mmcv_need.serialization.atomic_files import write_atomically
from mmcv_need.serialization.json_files import read_json
from mmcv_need.work_dir import CHECKPOINT, FOLDERS, MARKS, is_of_a_run, run_files

JOURNAL = 'clearing.json'


def remove_run(work_dir: str, keep: str) -> None:
    """Remove what `run_files` gives, and nothing else; a dumped config stays, it may be the one in use.

    Args:
        work_dir: the folder.
        keep: how the names of this run's own files begin.
    """
    _clear(work_dir, [path for path in run_files(work_dir) if not os.path.basename(path).startswith(keep)], None)


def set_aside(work_dir: str, timestamp: str, beyond: Optional[Loaded] = None, config: str = '') -> None:
    """Move an earlier run's files into `earlier_<time>`, and say so, where another run begins: neither mixes with the other.

    Without checkpoints there is nothing that could be lost, and logs stay where they are.

    Args:
        work_dir: the folder.
        timestamp: how the names of this run's own files begin, which stay, and what the folder is called after.
        beyond: the checkpoint that this run goes on from, if that is here: only those of later are moved.
        config: the earlier run's dumped config, of which a copy goes along if all is moved.
    """
    files = [path for path in run_files(work_dir) if not os.path.basename(path).startswith(timestamp)]
    checkpoints = [path for path in files if CHECKPOINT.fullmatch(os.path.basename(path))
                   and (beyond is None or _place(path) > _place(beyond.path, beyond.content))]
    if not checkpoints:
        return
    folder = os.path.join(work_dir, f'earlier_{timestamp}')
    if beyond is not None:  # the marks that speak of them go too, and the logs stay
        files = checkpoints + [path for path in files if os.path.basename(path) in MARKS]
    elif os.path.isfile(config):
        os.makedirs(folder, exist_ok=True)
        shutil.copy2(config, folder)
    _clear(work_dir, files, os.path.basename(folder))
    whose, advice = ('of another run', '. --auto-resume goes on with a run, --overwrite removes it') if beyond is None else \
        ('from later in the run', '')
    warnings.warn(f'{work_dir}: had {len(checkpoints)} checkpoints {whose}, which are in {folder} now{advice}', stacklevel=2)


def finish_clearing(work_dir: str) -> None:
    """Finish what a process that was killed had begun.

    Raises:
        DataError, CheckpointError: the note of it cannot be read, or is none.
    """
    path = os.path.join(work_dir, JOURNAL)
    if not os.path.isfile(path):
        return
    note = read_json(path)
    names, target = (note.get('files'), note.get('to')) if isinstance(note, dict) else (None, None)
    plain = isinstance(names, list) and all(isinstance(name, str) and is_of_a_run(name) for name in names)
    if not plain or not (target is None or re.fullmatch(r'earlier_\d{8}_\d{6}', str(target))):
        raise CheckpointError(f'{path}: is no note of files that a run was moving. Remove it')
    _carry_out(work_dir, names, target)


def _clear(work_dir: str, files: Sequence[str], target: Optional[str]) -> None:
    names = [os.path.relpath(path, work_dir) for path in files]
    if names:
        write_atomically(os.path.join(work_dir, JOURNAL), (json.dumps({'to': target, 'files': names}) + '\n').encode())
        _carry_out(work_dir, names, target)


def _carry_out(work_dir: str, names: List[str], target: Optional[str]) -> None:
    for name in names:
        path = os.path.join(work_dir, name)
        try:
            if target is None:
                os.unlink(path)
            else:
                moved = os.path.join(work_dir, target, name)
                os.makedirs(os.path.dirname(moved), exist_ok=True)
                os.rename(path, moved)
        except FileNotFoundError:  # it is done already
            continue
    for folder in (os.path.join(work_dir, name) for name in FOLDERS):
        if os.path.isdir(folder) and not os.path.islink(folder) and not os.listdir(folder):
            os.rmdir(folder)
    if os.path.isfile(os.path.join(work_dir, JOURNAL)):
        os.unlink(os.path.join(work_dir, JOURNAL))


def _place(path: str, content: Optional[Mapping[str, Any]] = None) -> Tuple[float, int]:
    """What was done when a checkpoint was written; one that cannot be read may be the latest."""
    try:
        return place_of(meta_of(content or read_checkpoint(path, tensors=False)), path).done
    except CheckpointError:
        return float('inf'), 0
