"""Where in a run a checkpoint was written, and where that is among today's batches."""
from __future__ import annotations

from logging import Logger
from typing import Any, Mapping, NamedTuple, Optional, Tuple

from mmcv_need.arguments import is_number
from mmcv_need.errors import CheckpointError

LIMIT = 2 ** 53  # numbers of files beyond it are no counts


class PlaceInRun(NamedTuple):
    """How much is complete: epochs, iterations of the run, iterations of the next epoch.

    `epoch_len`: iterations of an epoch; None where the file does not say, as MMCV's and MMEngine's may not.
    """
    epoch: int
    iter: int
    inner_iter: int
    epoch_len: Optional[int]

    @property
    def done(self) -> Tuple[int, int]:
        """Epochs that are done, and iterations of the next, to be compared; all iterations of an epoch are the epoch."""
        return (self.epoch + 1, 0) if self.inner_iter and self.inner_iter == self.epoch_len else (self.epoch, self.inner_iter)


def place_of(meta: Mapping[str, Any], path: str) -> PlaceInRun:
    """What a checkpoint's `meta` says.

    Raises:
        CheckpointError: it says nothing, or what cannot be.
    """
    if not {'epoch', 'iter'} <= set(meta):
        raise CheckpointError(f'{path}: does not say where in a run it was written (meta has no epoch and iter)')
    counts = {name: meta.get(name, 0) for name in ('epoch', 'iter', 'inner_iter')}
    epoch_len = meta.get('epoch_len')
    wrong = {name: value for name, value in {**counts, 'epoch_len': 1 if epoch_len is None else epoch_len}.items()
             if not is_number(value, int) or not 0 <= value < LIMIT}
    if wrong or (epoch_len is not None and counts['inner_iter'] > epoch_len):
        given = wrong or {'inner_iter': counts['inner_iter'], 'epoch_len': epoch_len}
        raise CheckpointError(f"{path}: its place in the run cannot be: {', '.join(f'{k} {v!r}' for k, v in given.items())}")
    if epoch_len is None and 'inner_iter' not in meta and counts['epoch'] and counts['iter'] % counts['epoch'] == 0:
        epoch_len = counts['iter'] // counts['epoch']  # written between two epochs
    return PlaceInRun(**counts, epoch_len=epoch_len or None)


def among(place: PlaceInRun, epoch_len: int, logger: Logger, about: bool = False) -> PlaceInRun:
    """The same place in a run whose epochs have `epoch_len` iterations, and a line in the log where that is another one.

    A place within an epoch means something only among the same batches; between epochs, iterations count anew.

    Args:
        place: as it was written.
        epoch_len: iterations of an epoch now.
        logger: of the run.
        about: whether, within an epoch of other batches, the same share of the epoch will do: some pictures come twice in
            it, and some not at all.

    Raises:
        CheckpointError: there is none.
    """
    epoch, iteration, inner, before = place
    if before == epoch_len:
        return place
    if before is None:
        inner = iteration - epoch * epoch_len
        if 0 < inner < epoch_len:
            logger.warning('the checkpoint does not say how long its epochs are; among those of %d iterations that there are '
                           'now, the run goes on after %d of epoch %d', epoch_len, inner, epoch + 1)
            return PlaceInRun(epoch, iteration, inner, epoch_len)
        inner = 0
    if inner == before:  # all of an epoch but its end, at which there may have been something to do
        epoch, inner = epoch + 1, 0
    if inner and about:
        share = PlaceInRun(epoch, epoch * epoch_len + inner * epoch_len // before, inner * epoch_len // before, epoch_len)
        logger.warning('%d of %d iterations of epoch %d were done; the run goes on after %d of %d. In this epoch some pictures '
                       'come twice and some not at all', inner, before, epoch + 1, share.inner_iter, epoch_len)
        return share
    if inner:
        raise CheckpointError(f'the checkpoint was written after {inner} of {before} iterations of an epoch, which now has '
                              f'{epoch_len}: data, batch or number of processes changed. Set them back, or resume from a '
                              f'checkpoint of an epoch (epoch_N.pth)')
    had = 'does not say how many it had' if before is None else f'had {before}: data, batch or number of processes changed'
    if iteration != epoch * epoch_len:
        logger.warning('an epoch has %d iterations now and %s. The run goes on after %d epochs, at iteration %d and not %d',
                       epoch_len, had, epoch, epoch * epoch_len, iteration)
    return PlaceInRun(epoch, epoch * epoch_len, 0, epoch_len)
