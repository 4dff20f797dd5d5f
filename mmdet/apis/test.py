"""Detect in whole datasets."""
from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any, Callable, Dict, Iterable, Iterator, List, Sequence, Union

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmcv_need.dist_utils import broadcast_buffers, gather_rows, get_dist_info
from mmcv_need.prefetch import on_side_stream
from mmdet.core.image.pixels import finish_pixels
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.loader.bad_pictures import REPLACED, of_batch


def finish_batch(batch: Dict[str, Any]) -> Dict[str, Any]:
    """What the wrapper does to a batch on the device: distort colours and normalise, unless a worker did."""
    batch = dict(batch)
    ops = batch.pop('pixel_ops', None)
    if ops is not None:
        batch['img'] = finish_pixels(batch['img'], ops)
    return batch


def test_detector(model: Any, loader: Any, show_progress: bool = True,
                  until: Callable[[Iterable[Any]], Iterable[Any]] = iter) -> List[Detections]:
    """Detections in every picture of a dataset, in its order, in pixels of the original pictures.

    In several processes each detects in its share of the pictures, and all get the whole list.

    Args:
        model: a wrapper (mmcv_need/data_parallel.py, distributed.py); left in evaluation mode.
        loader: over the dataset (datasets/loader/data_loader.py, eval_loader).
        show_progress: whether rank 0 draws a bar, on a terminal.
        until: takes the batches and gives them, and may end it by raising.
    """
    model.eval()
    module = model.module
    shard: List[Detections] = []
    rank, world_size = get_dist_info()
    broadcast_buffers(module)
    with torch.no_grad():
        placed = until(on_side_stream(loader, model, next(module.parameters()).device))
        for batch in progress(placed, len(loader), 'evaluating', show_progress and rank == 0):
            shard += detect(model, batch)
    if world_size == 1:
        return shard
    rows = _to_rows(shard, loader.sampler.indices)
    return _merge(gather_rows(rows, next(module.parameters()).device), len(loader.dataset))


def detect(model: Any, batch: Union[Dict[str, Any], List[Dict[str, Any]]]) -> List[Detections]:
    """Detections in the pictures of a batch, in pixels of the original pictures.

    Args:
        model: a wrapper, in evaluation mode.
        batch: as collated; a list has a batch for each view of the same pictures.
    """
    views = [model.on_device(view) for view in ([batch] if isinstance(batch, dict) else batch)]
    imgs, metas = [view['img'] for view in views], [view['img_metas'] for view in views]
    if isinstance(batch, dict):
        (imgs,), (metas,) = imgs, metas
    with model.computing():
        found = model.module(img=imgs, img_metas=metas, return_loss=False, rescale=True)
    # Nothing is found in a picture that could not be used and was skipped.
    return [Detections(*(part[:0] for part in picture)) if REPLACED in meta else picture
            for picture, meta in zip(found, of_batch(batch))]


def _to_rows(shard: Sequence[Detections], indices: Sequence[int]) -> np.ndarray:
    """(n, 7) float64 picture, x1, y1, x2, y2, score, label of the pictures `indices`."""
    parts = [np.column_stack([np.full(len(found.scores), index), found.bboxes, found.scores, found.labels])
             for index, found in zip(indices, shard)]
    return np.concatenate([np.zeros((0, 7)), *parts]).astype(np.float64)


def _merge(gathered: Sequence[np.ndarray], num_pictures: int) -> List[Detections]:
    """Inverse of `_to_rows` over all ranks."""
    rows = np.concatenate(gathered)
    rows = rows[np.argsort(rows[:, 0], kind='stable')]
    parts = np.split(rows, np.searchsorted(rows[:, 0], np.arange(1, num_pictures)))
    return [Detections(part[:, 1:5].astype(np.float32), part[:, 5].astype(np.float32), part[:, 6].astype(np.int64))
            for part in parts]


def progress(batches: Iterable[Any], total: int, title: str, show: bool) -> Iterator[Any]:
    """The batches, `total` of them, and how far they are: a bar on a terminal, a line that grows in a file."""
    if not show:
        yield from batches
    elif sys.stdout.isatty():
        columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True) as bar:
            yield from bar.track(batches, total=total, description=title)
    else:
        show_text(f'{title}:')
        try:
            for number, batch in enumerate(batches, 1):
                yield batch
                if number * 5 // total > (number - 1) * 5 // total:
                    show_text(f' {number * 100 // total} %')
        finally:
            show_text('\n')


def show_text(text: str) -> None:
    with suppress(OSError):  # a file on a full disk: this is not worth a run
        print(text, end='', flush=True)
