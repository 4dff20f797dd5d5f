"""Which checkpoint files a hook wrote, and removing those that newer ones replace."""
from __future__ import annotations

import os
from typing import Any, Iterable, List, Mapping, Optional, Set

from mmcv_need.checkpoint import meta_of, read_checkpoint
from mmcv_need.errors import CheckpointError


def known_files(state: Mapping[str, Any], key: str, folder: str, resumed_from: Optional[str] = None) -> List[str]:
    """Names that a hook's state in a checkpoint lists, if they are of this folder.

    A file may say anything: whatever is no plain name of a checkpoint is left out.

    Args:
        state: has the names under `key`, and the `folder` that they were in.
        folder: of this run.
        resumed_from: the file that the state is from. If it lies in `folder`, and the folder that it speaks of is no more, that
            one may have been moved here, with all files that speak of it.
    """
    names, before, here = state.get(key), str(state.get('folder')), os.path.realpath(folder)
    moved = resumed_from is not None and os.path.dirname(os.path.realpath(resumed_from)) == here and not os.path.isdir(before)
    if not isinstance(names, list) or not (before == here or moved):
        return []
    plain = [name for name in names if isinstance(name, str) and name == os.path.basename(name) and name.endswith('.pth')]
    return [name for name in plain if before == here or before in _folders_of(os.path.join(folder, name))]


def _folders_of(path: str) -> Set[Any]:
    """The folders that the run of a checkpoint wrote into, as it says; none if it cannot be read."""
    try:
        content = read_checkpoint(path, tensors=False)
        best = (content.get('evaluation') or {}).get('best') or {}
        return {state.get('folder') for state in (*(content.get('checkpoint_hook') or {}).values(), best)}
    except (CheckpointError, AttributeError, TypeError):  # not there, or of another program
        return set()


def can_be_read(path: str, iteration: int, logger: Any) -> bool:
    """Whether a checkpoint that was just written comes back from the disk whole; if not, the log says so."""
    try:
        found = meta_of(read_checkpoint(path)).get('iter')
    except CheckpointError as error:
        logger.error('%s; nothing older is removed', error)
        return False
    if found != iteration:
        logger.error('%s: is of iteration %s and not of %d; nothing older is removed', path, found, iteration)
    return found == iteration


def remove_files(folder: str, names: Iterable[str], logger: Any) -> None:
    """Remove files, not links; the log says which cannot be."""
    for name in names:
        path = os.path.join(folder, name)
        if os.path.isfile(path) and not os.path.islink(path):
            try:
                os.unlink(path)
            except OSError as error:
                logger.warning('%s: is replaced, and cannot be removed (%s)', path, error.strerror)
