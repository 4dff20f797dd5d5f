"""Samples to a batch.

Sizes:  N images,  G ground-truth boxes and K ignored regions an image (padded).
"""
from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from mmcv_need.errors import UserError
from mmdet.core.image.on_host import finish_picture
from mmdet.core.image.pixels import PixelOps

SMALLEST_G = 8


def padded_length(count: int) -> int:
    """G for pictures of up to `count` boxes: a power of two, so that few shapes occur."""
    length = SMALLEST_G
    while length < count:
        length *= 2
    return length


def collate(items: Sequence[Any], finish: bool = False) -> Union[Dict[str, Any], List[Dict[str, Any]], UserError]:
    """A batch of pipeline results; an error among them takes the place of the batch.

    Args:
        items: a dict a picture; or a list a picture, of its views (MultiScaleFlipAug), which gives a list with a batch for
            each view; or errors.
        finish: whether to distort colours and normalise here; else that is left to the device.

    Returns:
        img: (N, 3, H, W) in channels_last memory: uint8 B, G, R as rendered, or the network's float32 input if finished.
        pixel_ops: what is left to do to it (core/image/pixels.py), if anything.
        img_metas: a mapping a picture.
        gt_bboxes, gt_labels: (N, G, 4) float32 zeros and (N, G) int64 -1 at padding, where the samples have them.
        gt_bboxes_ignore: (N, K, 4) float32 ignored regions, zeros at padding, where the samples have them.
    """
    for item in items:
        if isinstance(item, UserError):
            return item
    if isinstance(items[0], list):
        return [collate(view, finish) for view in zip(*items)]
    pictures, rows = [item['img'] for item in items], [item['pixel_row'] for item in items]
    batch: Dict[str, Any] = {'img': None, 'img_metas': [item['img_metas'] for item in items]}
    if finish:
        batch['img'] = channels_last(finish_pictures(pictures, rows))
    else:
        padded = pad_pictures(pictures)
        batch['img'], batch['pixel_ops'] = channels_last(padded), PixelOps.from_rows(rows, padded.shape[1:3])
    if 'gt_bboxes' in items[0]:
        length = padded_length(max(len(item['gt_bboxes']) for item in items))
        batch['gt_bboxes'] = pad_rows([item['gt_bboxes'] for item in items], length, 0.0, np.float32)
        batch['gt_labels'] = pad_rows([item['gt_labels'] for item in items], length, -1, np.int64)
    if 'gt_bboxes_ignore' in items[0]:
        regions = [item['gt_bboxes_ignore'] for item in items]
        batch['gt_bboxes_ignore'] = pad_rows(regions, padded_length(max(map(len, regions))), 0.0, np.float32)
    return batch


def channels_last(pictures: np.ndarray) -> Tensor:
    """(N, H, W, 3) -> (N, 3, H, W), the same memory."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2)


def finish_pictures(pictures: Sequence[np.ndarray], rows: Sequence[np.ndarray]) -> np.ndarray:
    """(N, H, W, 3) float32: pictures (h, w, 3), distorted and normalised, at the top left of zeros."""
    finished = np.empty((len(pictures), *largest(pictures), 3), dtype=np.float32)
    for picture, row, out in zip(pictures, rows, finished):
        finish_picture(picture, row, out)
    return finished


def largest(pictures: Sequence[np.ndarray]) -> Tuple[int, int]:
    """(H, W) that hold each of the pictures."""
    return max(len(picture) for picture in pictures), max(picture.shape[1] for picture in pictures)


def pad_pictures(pictures: List[np.ndarray]) -> np.ndarray:
    """(N, H, W, 3): pictures (h, w, 3), at the top left of zeros where they are smaller than the largest."""
    shapes = {picture.shape for picture in pictures}
    if len(shapes) == 1:
        return np.stack(pictures)
    padded = np.zeros((len(pictures), *largest(pictures), 3), dtype=np.result_type(*{picture.dtype for picture in pictures}))
    for place, picture in zip(padded, pictures):
        place[:picture.shape[0], :picture.shape[1]] = picture
    return padded


def pad_rows(arrays: Sequence[np.ndarray], length: int, value: float, dtype: Any) -> Tensor:
    """(N, length, ...): arrays (n, ...), followed by rows of `value`."""
    padded = np.full((len(arrays), length, *arrays[0].shape[1:]), value, dtype=dtype)
    for place, array in zip(padded, arrays):
        place[:len(array)] = array
    return torch.from_numpy(padded)
