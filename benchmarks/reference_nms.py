"""Post-processing the plain way: class by class, box by box."""
from __future__ import annotations

from typing import Any, List, Mapping, Tuple

import numpy as np
import torch
from torch import Tensor

from mmdet.core.post_processing.detections import Detections


def nms_of_class(bboxes: np.ndarray, scores: np.ndarray, threshold: float) -> List[int]:
    """Indices kept of one class, best first: the best box drops those that overlap it by more than the threshold."""
    order = np.argsort(-scores, kind='stable')
    areas = (bboxes[:, 2] - bboxes[:, 0]) * (bboxes[:, 3] - bboxes[:, 1])
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        width = np.minimum(bboxes[best, 2], bboxes[rest, 2]) - np.maximum(bboxes[best, 0], bboxes[rest, 0])
        height = np.minimum(bboxes[best, 3], bboxes[rest, 3]) - np.maximum(bboxes[best, 1], bboxes[rest, 1])
        overlap = np.maximum(width, 0) * np.maximum(height, 0)
        union = np.maximum(areas[best] + areas[rest] - overlap, np.finfo(np.float32).tiny)
        order = rest[overlap / union <= threshold]
    return kept


def per_class(found: Detections, threshold: float, max_num: int) -> Detections:
    """What is left of candidates after suppression in each class, the best `max_num`."""
    kept: List[int] = []
    for label in np.unique(found.labels):
        own = np.flatnonzero(found.labels == label)
        kept += own[nms_of_class(found.bboxes[own], found.scores[own], threshold)].tolist()
    chosen = np.array(sorted(kept), dtype=np.int64)
    chosen = chosen[np.argsort(-found.scores[chosen], kind='stable')][:max_num]
    return Detections(*(field[chosen] for field in found))


def post_process(scores: Tensor, deltas: Tensor, anchors: Any, coder: Any, metas: List[Mapping[str, Any]],
                 cfg: Any, threshold: float) -> List[Detections]:
    """Whole post-processing of a batch, picture by picture and level by level, as MMDetection since 2.18 goes about it."""
    return [_of_picture(*outputs, anchors, coder, meta, cfg, threshold) for *outputs, meta in zip(scores, deltas, metas)]


def _of_picture(scores: Tensor, deltas: Tensor, anchors: Any, coder: Any, meta: Mapping[str, Any], cfg: Any,
                threshold: float) -> Detections:
    parts: List[Tuple[Tensor, ...]] = []
    for score, delta, boxes in zip(*(part.split(anchors.num_level) for part in (scores, deltas, anchors.boxes))):
        probability = score.softmax(-1)[:, :-1]
        pairs = torch.nonzero(probability > cfg.score_thr)
        values, order = probability[probability > cfg.score_thr].sort(descending=True)
        values, pairs = values[:cfg.nms_pre], pairs[order[:cfg.nms_pre]]
        decoded = coder.decode(boxes[pairs[:, 0]], delta[pairs[:, 0]], max_shape=meta['img_shape'][:2])
        parts.append((decoded, values, pairs[:, 1]))
    bboxes, values, labels = (torch.cat(field).cpu().numpy() for field in zip(*parts))
    return per_class(Detections(bboxes / meta['scale_factor'], values, labels), threshold, cfg.max_per_img)
