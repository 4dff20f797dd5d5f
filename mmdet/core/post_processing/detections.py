"""From a head's scores and offsets to the detections of each picture.

Sizes:  N images,  A default boxes,  C classes; column C of the scores is background.
"""
from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from mmcv_need.errors import ConfigError
from mmdet.core.anchor.anchor_generator import Anchors
from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder
from mmdet.core.post_processing.nms import NMS, GreedyNMS, SelectFunction


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
        nms_pre: candidates kept of each level, the best; 0 or less keeps all.
        min_bbox_size: accepted for MMDetection's configs, where SSD does not use it either.
    """
    config_parts = {'nms': NMS}

    def __init__(self, score_thr: float = 0.02, nms: Optional[SelectFunction] = None, max_per_img: int = 200,
                 nms_pre: int = -1, min_bbox_size: float = 0):
        if min_bbox_size > 0:
            raise ConfigError('min_bbox_size has no effect on SSD in MMDetection; set it to 0')
        if not _is_a(Real, score_thr) or not math.isfinite(score_thr):
            raise ConfigError(f'score_thr {score_thr!r}: expected a number such as 0.02')
        for name, value in (('max_per_img', max_per_img), ('nms_pre', nms_pre)):
            if not _is_a(Integral, value):
                raise ConfigError(f'{name} {value!r}: expected a whole number; -1 keeps all')
        self.score_thr = score_thr
        self.nms = nms or GreedyNMS(0.45)
        self.max_per_img = max_per_img if max_per_img > 0 else None
        self.nms_pre = nms_pre


def _is_a(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def detect(scores: Tensor, deltas: Tensor, anchors: Anchors, coder: DeltaXYWHBBoxCoder, metas: Sequence[Mapping[str, Any]],
           cfg: SSDTestCfg, rescale: bool) -> List[Detections]:
    """Detections of a batch.

    Args:
        scores: (N, A, C+1) logits.
        deltas: (N, A, 4).
        metas: `img_shape` (H, W, ...) and `scale_factor` (4,) of each picture.
        cfg: thresholds and limits.
        rescale: whether boxes are in pixels of the original picture (else of the network's input).
    """
    probabilities = scores.float().softmax(dim=-1)[..., :-1]  # (N, A, C)
    picked, flat = pick_candidates(probabilities, anchors.num_level, cfg.nms_pre)
    num_classes = probabilities.size(-1)
    boxes_of = flat // num_classes  # (N, K) index of the default box
    shapes = scores.new_tensor([list(meta['img_shape'][:2]) for meta in metas])
    bboxes = coder.decode(anchors.boxes[boxes_of], deltas.float().gather(1, boxes_of[..., None].expand(-1, -1, 4)),
                          max_shape=(shapes[:, :1], shapes[:, 1:]))
    host = torch.cat([bboxes, picked[..., None]], dim=-1).cpu().numpy()  # the only copies to the host
    labels = (flat % num_classes).cpu().numpy()
    return [_select(host[i], labels[i], metas[i], cfg, rescale) for i in range(len(metas))]


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


def _select(rows: np.ndarray, labels: np.ndarray, meta: Mapping[str, Any], cfg: SSDTestCfg, rescale: bool) -> Detections:
    """Threshold, scale back and suppress the candidates (K, 5) of one picture."""
    above = rows[:, 4] > np.float32(cfg.score_thr)
    bboxes, scores, labels = rows[above, :4], rows[above, 4], labels[above]
    if rescale:
        bboxes = bboxes / np.asarray(meta['scale_factor'], dtype=np.float32)
    kept = cfg.nms(bboxes, scores, labels, cfg.max_per_img)
    return Detections(bboxes[kept], scores[kept], labels[kept])
