"""What an update that was left out was computed of, in a file that people read: `bad_updates/iter_N_rank_R.json`.

    iteration, epoch, rank, processes, time
    reason          in words
    lr, loss_scale  rates of the parameter groups, and the scale of float16 runs afterwards
    losses          of each batch of the step, by name
    pictures        a line each: file, id, batch, losses (where the model tells them apart), whether they are suspects, and
                    boxes and labels as the network was given them, after augmentation

What is no number is written as text ('nan', 'inf'), so that strict readers of JSON take the file.
"""
from __future__ import annotations

import json
import math
import os
import time
from logging import Logger
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from torch import Tensor

from mmcv_need.dist_utils import get_dist_info
from mmcv_need.log_buffer import on_host
from mmcv_need.serialization.atomic_files import written_atomically

FOLDER = 'bad_updates'
FILES = 10  # that a process writes, and one more when the run is given up
PICTURES, BOXES = 256, 100  # of a file, and of a picture
METAS = ('img_shape', 'scale_factor', 'flip')  # how a picture was augmented, as far as its meta says


class Seen(NamedTuple):
    """What is kept of a batch for as long as its update may turn out to be bad; tensors stay on their device.

    Attributes:
        metas: a mapping a picture.
        truths: (N, G, ...) what was given beside the pictures, by name (gt_bboxes, gt_labels, ...); labels are -1 at padding.
        loss: () that went backward.
        log_vars: () losses by name.
        losses: (N,) losses of each picture by name, if the model tells them apart.
    """
    metas: Sequence[Mapping[str, Any]]
    truths: Dict[str, Tensor]
    loss: Any
    log_vars: Dict[str, Any]
    losses: Dict[str, Tensor]

    def has_finite_loss(self) -> bool:
        """Waits for the device."""
        return math.isfinite(self.loss)

    def suspects(self) -> List[bool]:
        """(N,) pictures whose losses are not finite; all of a batch that says no more than that its loss is not. Waits."""
        bad = [not all(map(math.isfinite, losses.values())) for losses in self.losses_by_picture()]
        return bad if any(bad) else [not self.has_finite_loss()] * len(self.metas)

    def losses_by_picture(self) -> List[Dict[str, float]]:
        columns = {name: loss.tolist() for name, loss in self.losses.items()}
        return [{name: column[i] for name, column in columns.items()} for i in range(len(self.metas))]


class Step(NamedTuple):
    """An update: the iteration that made it, counted from 1, its epoch, rates of the parameter groups, and its batches."""
    iteration: int
    epoch: int
    lr: Sequence[float]
    batches: Sequence[Seen]


def seen(batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> Seen:
    """What to keep of a batch and of what the training step made of it. Nothing here waits for the device."""
    metas = batch.get('img_metas') or ()
    losses = outputs.get('losses') or {}
    apart = all(isinstance(loss, Tensor) and loss.shape == (len(metas),) for loss in losses.values())
    truths = {name: value for name, value in batch.items() if name.startswith('gt_') and isinstance(value, Tensor)}
    # copies: where steps are replayed, their results lie where those of the next step will
    kept = {name: loss.detach().clone() for name, loss in losses.items()} if apart else {}
    loss = outputs['loss']
    return Seen(metas, truths, loss.detach() if isinstance(loss, Tensor) else loss, dict(outputs.get('log_vars') or {}), kept)


class BadUpdates:
    """Writes such files, of this rank, and not without end.

    Args:
        work_dir: of the run.
        logger: hears of a file that cannot be written; that ends nothing.
    """

    def __init__(self, work_dir: str, logger: Logger):
        self.folder = os.path.join(work_dir, FOLDER)
        self.logger = logger
        self.written = 0

    def write(self, step: Step, reason: str, loss_scale: Optional[float], last: bool = False) -> Optional[str]:
        """Write one, unless there are enough and it is not the `last` of the run.

        Returns:
            Its name relative to the work directory; None if there is none.
        """
        if self.written >= FILES and not last:
            return None
        rank, processes = get_dist_info()
        name = f'iter_{step.iteration}_rank_{rank}.json'
        record = {'iteration': step.iteration, 'epoch': step.epoch, 'rank': rank, 'processes': processes,
                  'time': time.asctime(), 'reason': reason, 'lr': list(step.lr), 'loss_scale': loss_scale,
                  'losses': [dict(zip(batch.log_vars, on_host(list(batch.log_vars.values())))) for batch in step.batches],
                  **pictures_of(step.batches)}
        try:
            os.makedirs(self.folder, exist_ok=True)
            with written_atomically(os.path.join(self.folder, name)) as file:
                file.write(as_text(record).encode())
        except OSError as error:  # no record is worth a run
            self.logger.error('%s: cannot be written (%s); the run goes on', os.path.join(self.folder, name), error.strerror)
            return None
        self.written += 1
        return f'{FOLDER}/{name}'


def pictures_of(batches: Sequence[Seen]) -> Dict[str, Any]:
    """`pictures`, suspects first, and how many are not listed."""
    rows = []
    for number, batch in enumerate(batches, 1):
        truths = {name: value.tolist() for name, value in batch.truths.items()}
        for i, (meta, suspect, losses) in enumerate(zip(batch.metas, batch.suspects(), batch.losses_by_picture())):
            rows.append({'file': file_of(meta), 'id': meta.get('img_id'), 'batch': number, 'suspect': suspect, 'losses': losses,
                         **{name: meta[name] for name in METAS if name in meta},
                         **truths_of({name: value[i] for name, value in truths.items()})})
    rows.sort(key=lambda row: not row['suspect'])
    return {'pictures_not_listed': max(len(rows) - PICTURES, 0), 'pictures': rows[:PICTURES]}


def truths_of(rows: Mapping[str, List[Any]]) -> Dict[str, Any]:
    """Of a picture, without padding; and how many boxes are not listed."""
    labels = rows.get('gt_labels')
    kept = {name: [row for row, label in zip(values, labels) if label != -1] if labels and name in ('gt_bboxes', 'gt_labels')
            else [row for row in values if row != [0.0] * 4] for name, values in rows.items()}
    more = max((len(values) - BOXES for values in kept.values()), default=0)
    return {**{name: values[:BOXES] for name, values in kept.items()}, **({'boxes_not_listed': more} if more > 0 else {})}


def file_of(meta: Mapping[str, Any]) -> str:
    return str(meta.get('ori_filename') or meta.get('filename') or '?')


def as_text(record: Mapping[str, Any]) -> str:
    """JSON with an entry, and a picture, a line."""
    lines = [f'{json.dumps(name)}: {json.dumps(plain(value))}' for name, value in record.items() if name != 'pictures']
    pictures = ',\n  '.join(json.dumps(plain(picture)) for picture in record['pictures'])
    return '{\n ' + ',\n '.join([*lines, f'"pictures": [\n  {pictures}\n ]']) + '\n}\n'


def plain(value: Any) -> Any:
    """What JSON has, floats with seven digits; text for whatever it has not."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, 'tolist'):  # of numpy or torch
        return plain(value.tolist())
    if isinstance(value, float):
        return float(f'{value:.7g}') if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
