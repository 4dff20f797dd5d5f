"""What becomes of each update: the host hears one step later, and tells of those that were left out."""
from __future__ import annotations

from logging import Logger
from typing import Any, List, Mapping

from mmcv_need.errors import DivergedError
from mmcv_need.optimizer import OptimizerStep

LIMIT = 50  # updates left out in a row: no loss scale needs so many, so the run is lost
SHOWN = 8  # pictures named


class UpdateWatch:
    """Warns of updates that were left out because their gradients were not finite, and ends a run that goes nowhere.

    Args:
        optimizer: whose updates.
        logger: the run's.
    """

    def __init__(self, optimizer: OptimizerStep, logger: Logger):
        self.optimizer = optimizer
        self.logger = logger
        self.left_out = 0  # in a row
        self.seen: List[str] = []  # pictures of the step that is being made
        self.iteration, self.pictures = 0, self.seen  # of the update that was made last

    def see(self, batch: Mapping[str, Any], first: bool) -> None:
        """A batch of a step, the first or a further one."""
        self.seen = picture_names(batch) + ([] if first else self.seen)

    def note(self, iteration: int) -> None:
        """The step of the batches seen was made in an iteration, counted from 1."""
        self.iteration, self.pictures = iteration, self.seen

    def look(self) -> None:
        """Hear of the last update, if that has not been said.

        Raises:
            DivergedError: as many as LIMIT in a row were left out.
        """
        applied = self.optimizer.was_applied()
        if applied is None:
            return
        self.left_out = 0 if applied else self.left_out + 1
        if applied:
            return
        scale = self.optimizer.loss_scale
        after = f'; the loss scale is {scale.scale.item():g} now' if scale and scale.dynamic else ''
        self.logger.warning('iteration %d: its gradients are not finite, so its update was left out%s. Pictures: %s',
                            self.iteration, after, listing(self.pictures))
        if self.left_out >= LIMIT:
            raise DivergedError(f'iteration {self.iteration}: {LIMIT} updates in a row had gradients that are not finite; none '
                                f'was applied, and checkpoints hold the weights from before. Lower the learning rate, '
                                f'clip gradients (optimizer_config.grad_clip)'
                                f"{', lower the loss scale, or train with --opt-level O0' if scale else ''}")


def picture_names(batch: Mapping[str, Any]) -> List[str]:
    """File names of a batch's pictures, as far as it says."""
    return [str(meta.get('ori_filename') or meta.get('filename') or '?') for meta in batch.get('img_metas') or ()]


def listing(names: List[str]) -> str:
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return ', '.join(names[:SHOWN]) + more if names else 'unknown'
