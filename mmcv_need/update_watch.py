"""What becomes of each update: the host hears one step later, and tells of those that were left out."""
from __future__ import annotations

import os
from logging import Logger
from typing import Any, Dict, List, Mapping, Optional, Sequence

from mmcv_need.bad_updates import BadUpdates, Seen, Step, file_of, seen
from mmcv_need.dist_utils import gather_plain, get_dist_info
from mmcv_need.errors import DivergedError
from mmcv_need.optimizer import OptimizerStep

LIMIT = 50  # updates left out in a row: no loss scale needs so many, so the run is lost
SHOWN = 8  # pictures named
ADVICE = 'Lower the learning rate, or clip gradients (optimizer_config.grad_clip)'


class UpdateWatch:
    """Warns of updates that were left out because something was not finite, and ends a run that goes nowhere.

    With a dynamic loss scale gradients that are not finite are ordinary now and then. In other runs they are not, and nowhere
    is such a loss: what such an update was computed of is written down (bad_updates.py), by each rank.

    Args:
        optimizer: whose updates.
        logger: the run's.
        work_dir: of the run.
        device: this process's.

    Attributes:
        left_out: updates in a row.
        good: the newest checkpoint of the run that was written when none was being left out, or None.
        patient: whether a run that goes nowhere is only noted: a hook rolls it back.
        lost: what was noted.
    """

    def __init__(self, optimizer: OptimizerStep, logger: Logger, work_dir: str, device: Any):
        self.optimizer, self.logger, self.device = optimizer, logger, device
        self.records = BadUpdates(work_dir, logger)
        self.left_out = 0
        self.good: Optional[str] = None
        self.patient = False
        self.lost: Optional[DivergedError] = None
        self.batches: List[Seen] = []  # of the step that is being made
        self.made = Step(0, 0, (), ())  # the update that was made last

    def see(self, batch: Mapping[str, Any], outputs: Mapping[str, Any], first: bool) -> None:
        """A batch of a step, the first or a further one, and what the training step made of it."""
        self.batches = ([] if first else self.batches) + [seen(batch, outputs)]

    def note(self, iteration: int, epoch: int, lr: Sequence[float]) -> None:
        """The step of the batches seen was made in an iteration and epoch, counted from 1, at these rates."""
        self.made = Step(iteration, epoch, lr, self.batches)

    def look(self) -> None:
        """Hear of the last update, if that has not been said.

        Raises:
            DivergedError: as many as LIMIT in a row were left out, or the loss scale has sunk too far.
        """
        applied = self.optimizer.was_applied()
        if applied is None:
            return
        self.left_out = 0 if applied else self.left_out + 1
        if applied:
            return
        scale = self.optimizer.loss_scale
        value = scale.scale.item() if scale else None
        dynamic = bool(scale and scale.dynamic)
        after = f'; the loss scale is {value:g} now' if dynamic else ''
        step = self.made
        cause, file, pictures = self._report(step, value, dynamic)
        self.logger.warning('iteration %d: %s, so its update was left out%s%s. Pictures: %s', step.iteration, cause, after,
                            f'; see {file}' if file else '', pictures)
        advice = f"{ADVICE}{', lower the loss scale, or train with --opt-level O0' if scale else ''}"
        if self.left_out >= LIMIT:
            self.give_up(f'iteration {step.iteration}: {LIMIT} updates in a row were left out, the last because {cause}. '
                         f'{advice}', step)
        elif dynamic and value < scale.lowest:
            self.give_up(f'iteration {step.iteration}: the loss scale has sunk to {value:g}, and still {cause}. {advice}', step)

    def give_up(self, why: str, step: Optional[Step] = None) -> None:
        """The run is lost: end it, or note that for whoever rolls it back. Every rank calls it at the same moment.

        Args:
            why: a sentence or two.
            step: what is to be written down.

        Raises:
            DivergedError: unless the watch is patient.
        """
        scale = self.optimizer.loss_scale
        file = step and self.records.write(step, why, scale.scale.item() if scale else None, last=True)
        good = f'The last good checkpoint is {self.good}' if self.good and os.path.isfile(self.good) else \
            'No checkpoint of this run is there yet'
        error = DivergedError(f"{why}. {good}{f'; see {file}' if file else ''}")
        if not self.patient:
            raise error
        self.lost = self.lost or error

    def _report(self, step: Step, scale: Optional[float], dynamic: bool) -> Any:
        """(cause, file, pictures) in words, of all ranks: of those whose loss is not finite, or else of rank 0."""
        finite = all(batch.has_finite_loss() for batch in step.batches)
        words = 'its gradients are not finite' if finite else 'its loss is not finite'
        file = None if finite and dynamic else self.records.write(step, words, scale)
        reports: List[Dict[str, Any]] = gather_plain(
            {'finite': finite, 'file': file, 'pictures': listing(suspects(step.batches))}, self.device)
        bad = [rank for rank, report in enumerate(reports) if not report['finite']]
        if bad and get_dist_info()[1] > 1:
            words = f"the loss of rank {', '.join(map(str, bad))} is not finite"
        told = [reports[rank] for rank in bad or [0]]
        return words, ', '.join(report['file'] for report in told[:SHOWN] if report['file']), \
            '; '.join(report['pictures'] for report in told[:SHOWN])


def suspects(batches: Sequence[Seen]) -> List[str]:
    """Names of the pictures that may have spoilt a loss, the newest batch first; all if no loss is spoilt."""
    marked = [pair for batch in reversed(batches) for pair in zip(map(file_of, batch.metas), batch.suspects())]
    return [name for name, suspect in marked if suspect] or [name for name, _ in marked]


def listing(names: Sequence[str]) -> str:
    """A few of the names, and how many there are."""
    more = f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''
    return ', '.join(names[:SHOWN]) + more if names else 'unknown'
