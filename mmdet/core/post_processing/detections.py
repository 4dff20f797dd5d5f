"""From a head's scores and offsets to the detections of each picture.

Sizes:  N images,  A default boxes,  C classes; column C of the scores is background.
"""
from __future__ import annotations

import copy
import math
from numbers import Integral
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from mmcv_need.arguments import is_number
from mmcv_need.errors import ConfigError
from mmdet.core.anchor.anchor_generator import Anchors
from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder
from mmdet.core.post_processing.nms import NMS, GreedyNMS, SelectFunction, keep_all

COUNTED = ('pairs', 'boxes', 'class')
ROUNDING = 1e-3  # of float32 logits, generously


class Detections(NamedTuple):
    """What was found in one picture, best first.

    Fields:
        bboxes: (n, 4) float32 x1, y1, x2, y2 in pixels.
        scores: (n,) float32.
        labels: (n,) int64 in 0..C-1.
    """
    bboxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def by_class(self, num_classes: int) -> List[np.ndarray]:
        """MMDetection's form: for each class an array (n_c, 5) of boxes and scores."""
        rows = np.concatenate([self.bboxes, self.scores[:, None]], axis=1).astype(np.float32)
        return [rows[self.labels == label] for label in range(num_classes)]


class SSDTestCfg:
    """`model.test_cfg`: how scores and offsets become detections.

    Args:
        score_thr: candidates score more than this.
        nms: suppression.
        max_per_img: detections kept of a picture, the best; 0 or less keeps all.
        nms_pre: candidates kept of each level or class, the best; 0 or less keeps all.
        min_bbox_size: accepted for MMDetection's configs, where SSD does not use it either.
        nms_pre_counts: what `nms_pre` counts: 'pairs' of a box and a class, as MMDetection since 2.18; or 'boxes', by the best
            score of each and with all its classes, as before; or 'class', the pairs of each class on all levels together, as
            torchvision.
    """
    config_parts = {'nms': NMS}

    def __init__(self, score_thr: float = 0.02, nms: Optional[SelectFunction] = None, max_per_img: int = 200,
                 nms_pre: int = -1, min_bbox_size: float = 0, nms_pre_counts: str = 'pairs'):
        if min_bbox_size > 0:
            raise ConfigError('min_bbox_size has no effect on SSD in MMDetection; set it to 0')
        if not is_number(score_thr) or not math.isfinite(score_thr):
            raise ConfigError(f'score_thr {score_thr!r}: expected a number such as 0.02')
        for name, value in (('max_per_img', max_per_img), ('nms_pre', nms_pre)):
            if not is_number(value, Integral):
                raise ConfigError(f'{name} {value!r}: expected a whole number; -1 keeps all')
        if nms_pre_counts not in COUNTED:
            raise ConfigError(f"nms_pre_counts {nms_pre_counts!r}: expected 'pairs', as MMDetection since 2.18, 'boxes', as "
                              f"before, or 'class', as torchvision")
        self.score_thr = score_thr
        self.nms = nms or GreedyNMS(0.45)
        self.max_per_img = max_per_img if max_per_img > 0 else None
        self.nms_pre = nms_pre
        self.nms_pre_counts = nms_pre_counts

    def without_suppression(self) -> SSDTestCfg:
        """The same candidates, and all of them kept: for views of one picture, which are suppressed together in the end."""
        cfg = copy.copy(self)
        cfg.nms, cfg.max_per_img = keep_all, None
        return cfg


def detect(scores: Tensor, deltas: Tensor, anchors: Anchors, coder: DeltaXYWHBBoxCoder, metas: Sequence[Mapping[str, Any]],
           cfg: SSDTestCfg, rescale: bool) -> List[Detections]:
    """Detections of a batch.

    Args:
        scores: (N, A, C+1) logits.
        deltas: (N, A, 4).
        metas: `img_shape` (H, W, ...) and `scale_factor` (4,) of each picture; `flip` and `flip_direction` if it is mirrored.
        cfg: thresholds and limits.
        rescale: whether boxes are in pixels of the original picture (else of the network's input).
    """
    return [suppress([found], cfg) for found in find_candidates(scores, deltas, anchors, coder, metas, cfg, rescale)]


def find_candidates(scores: Tensor, deltas: Tensor, anchors: Anchors, coder: DeltaXYWHBBoxCoder,
                    metas: Sequence[Mapping[str, Any]], cfg: SSDTestCfg, rescale: bool) -> List[Detections]:
    """All that scores more than `cfg.score_thr`, level after level, best first within each. Arguments as for `detect`."""
    scores, num_classes = scores.float(), scores.size(-1) - 1
    if cfg.nms_pre_counts == 'pairs' and scores.device.type == 'cpu':
        picked, flat = pick_above(scores, anchors.num_level, cfg.nms_pre, cfg.score_thr)
    else:
        picked, flat = PICKS[cfg.nms_pre_counts](scores.softmax(dim=-1)[..., :-1], anchors.num_level, cfg.nms_pre)
    boxes_of = flat // num_classes  # (N, K) index of the default box
    shapes = torch.tensor([meta['img_shape'][:2] for meta in metas], dtype=torch.float32, device=scores.device)
    bboxes = coder.decode(anchors.boxes[boxes_of], deltas.float().gather(1, boxes_of[..., None].expand(-1, -1, 4)),
                          max_shape=(shapes[:, :1], shapes[:, 1:]))
    host = torch.cat([bboxes, picked[..., None]], dim=-1).cpu().numpy()  # the only copies to the host
    labels = (flat % num_classes).cpu().numpy()
    found = []
    for rows, classes, meta in zip(host, labels, metas):
        above = rows[:, 4] > np.float32(cfg.score_thr)
        found_boxes = to_original(rows[above, :4], meta) if rescale else rows[above, :4]
        found.append(Detections(found_boxes, rows[above, 4], classes[above]))
    return found


def pick_candidates(probabilities: Tensor, num_level: Sequence[int], nms_pre: int) -> Tuple[Tensor, Tensor]:
    """The best (box, class) pairs of each level.

    Args:
        probabilities: (N, A, C).
        num_level: boxes of each level.
        nms_pre: how many to take of a level; 0 or less takes all.

    Returns:
        (N, K) probabilities, sorted within each level, and (N, K) flat indices box * C + class.
    """
    num_classes = probabilities.size(-1)
    picked, indices, start = [], [], 0
    for count in num_level:
        level = probabilities[:, start:start + count].flatten(1)
        size = level.size(1)
        values, where = level.topk(min(nms_pre, size) if nms_pre > 0 else size, dim=1)
        picked.append(values)
        indices.append(where + start * num_classes)
        start += count
    return torch.cat(picked, dim=1), torch.cat(indices, dim=1)


def pick_above(scores: Tensor, num_level: Sequence[int], nms_pre: int, score_thr: float) -> Tuple[Tensor, Tensor]:
    """`pick_candidates` on the host, of those that score more than `score_thr`: few, so that little else need be computed.

    Args:
        scores: (N, A, C+1) logits.
        num_level, nms_pre: as of `pick_candidates`.
        score_thr: a probability.

    Returns:
        (N, K) probabilities and (N, K) flat indices, K as many as the richest picture has; the others are padded with
        probabilities of -inf. Equal ones are in order of their index.
    """
    ends, num_classes = np.cumsum(num_level)[:-1], scores.size(-1) - 1
    found = []
    for logits in scores:
        likely = likely_boxes(logits, score_thr)
        probabilities = logits[likely].softmax(dim=-1)[:, :-1].numpy()
        rows, classes = np.nonzero(probabilities > np.float32(score_thr))
        boxes = likely.numpy()[rows]
        values, places = probabilities[rows, classes], boxes * num_classes + classes
        levels = np.split(np.arange(len(boxes)), np.searchsorted(boxes, ends))
        best = [level[np.argsort(-values[level], kind='stable')] for level in levels]
        kept = np.concatenate([level[:nms_pre] if nms_pre > 0 else level for level in best])
        found.append((values[kept], places[kept]))
    shape = len(found), max(len(values) for values, _ in found)
    picked, indices = np.full(shape, -np.inf, np.float32), np.zeros(shape, np.int64)
    for one, (values, places) in enumerate(found):
        picked[one, :len(values)], indices[one, :len(values)] = values, places
    return torch.from_numpy(picked), torch.from_numpy(indices)


def likely_boxes(logits: Tensor, score_thr: float) -> Tensor:
    """(k,) indices of the boxes that may have a class above a probability: its odds against background alone are as good."""
    if not 0 < score_thr < 1:
        return torch.arange(len(logits))
    odds = logits[:, :-1].amax(dim=1) - logits[:, -1]
    return (odds > math.log(score_thr) - ROUNDING).nonzero().flatten()


def pick_boxes(probabilities: Tensor, num_level: Sequence[int], nms_pre: int) -> Tuple[Tensor, Tensor]:
    """All pairs of the boxes of each level that are best at their best class. Arguments and result as `pick_candidates`."""
    num_classes = probabilities.size(-1)
    _, boxes = pick_candidates(probabilities.max(dim=-1, keepdim=True).values, num_level, nms_pre)  # as if of one class
    kept = probabilities.gather(1, boxes[..., None].expand(-1, -1, num_classes))  # (N, k, C)
    num_kept = [min(nms_pre, count) if nms_pre > 0 else count for count in num_level]
    picked, where = pick_candidates(kept, num_kept, nms_pre=-1)
    return picked, boxes.gather(1, where // num_classes) * num_classes + where % num_classes


def pick_of_classes(probabilities: Tensor, num_level: Sequence[int], nms_pre: int) -> Tuple[Tensor, Tensor]:
    """The best boxes of each class on all levels together. Arguments and result as `pick_candidates`."""
    num_boxes, num_classes = probabilities.shape[1:]
    picked, boxes = probabilities.topk(min(nms_pre, num_boxes) if nms_pre > 0 else num_boxes, dim=1)  # (N, k, C)
    indices = boxes * num_classes + torch.arange(num_classes, device=boxes.device)
    return picked.flatten(1), indices.flatten(1)


PICKS = dict(zip(COUNTED, (pick_candidates, pick_boxes, pick_of_classes)))


def to_original(bboxes: np.ndarray, meta: Mapping[str, Any]) -> np.ndarray:
    """(n, 4) boxes of the network's input in pixels of the original picture: inverse of Resize, then RandomFlip."""
    if meta.get('flip'):
        height, width = meta['img_shape'][:2]
        x1, y1, x2, y2 = bboxes.T
        if meta['flip_direction'] != 'vertical':
            x1, x2 = width - x2, width - x1
        if meta['flip_direction'] != 'horizontal':
            y1, y2 = height - y2, height - y1
        bboxes = np.stack([x1, y1, x2, y2], axis=1)
    return bboxes / np.asarray(meta['scale_factor'], dtype=np.float32)


def suppress(views: Sequence[Detections], cfg: SSDTestCfg) -> Detections:
    """What is left of the candidates of one picture, found in one view of it or in several.

    Args:
        views: candidates in each, in pixels that all views share.
        cfg: suppression and its limit.
    """
    bboxes, scores, labels = (np.concatenate(parts) for parts in zip(*views))
    kept, scores = cfg.nms(bboxes, scores, labels, cfg.max_per_img)
    return Detections(bboxes[kept], scores, labels[kept])
