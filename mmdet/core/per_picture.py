"""What heads in MMDetection's manner are made of: functions over lists of levels and lists of pictures."""
from __future__ import annotations

from functools import partial
from typing import Any, Callable, List, Mapping, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from mmcv_need.registry import build
from mmdet.core.post_processing.nms import NMS


def multi_apply(function: Callable[..., Sequence[Any]], *args: Any, **kwargs: Any) -> Tuple[List[Any], ...]:
    """A function of the first items of some lists, of the second items, and so on: a list of its first results, of its second.

    Args:
        function: gives a tuple.
        args: lists of one length.
        kwargs: given to each call as they are.
    """
    results = map(partial(function, **kwargs), *args)
    return tuple(map(list, zip(*results)))


def unmap(data: Tensor, count: int, inds: Tensor, fill: float = 0) -> Tensor:
    """(n, ...) -> (count, ...): rows where the mask `inds` (count,) is true, in order; `fill` elsewhere."""
    whole = data.new_full((count, *data.shape[1:]), fill)
    whole[inds.to(torch.bool)] = data
    return whole


def images_to_levels(target: Sequence[Tensor], num_levels: Sequence[int]) -> List[Tensor]:
    """N of (A, ...), one a picture -> one a level, (N, boxes of the level, ...)."""
    return list(torch.stack(list(target)).split(list(num_levels), dim=1))


def bbox2result(bboxes: Any, labels: Any, num_classes: int) -> List[np.ndarray]:
    """(n, 5) boxes with scores and (n,) labels of a picture -> for each class an array (k, 5)."""
    rows, own = (value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value) for value in (bboxes, labels))
    return [rows.reshape(-1, 5)[own == label] for label in range(num_classes)]


def multiclass_nms(multi_bboxes: Tensor, multi_scores: Tensor, score_thr: float, nms_cfg: Mapping[str, Any],
                   max_num: int = -1) -> Tuple[Tensor, Tensor]:
    """Suppression of one picture's boxes, class by class, on the host.

    Args:
        multi_bboxes: (n, 4), or (n, C * 4) with a box for each class.
        multi_scores: (n, C + 1), the last column background.
        score_thr: candidates score more than this.
        nms_cfg: such as dict(type='nms', iou_threshold=0.45).
        max_num: boxes to keep, the best; -1 keeps all.

    Returns:
        (k, 5) boxes with scores, best first, and (k,) int64 labels.
    """
    num_classes = multi_scores.size(1) - 1
    bboxes = multi_bboxes.reshape(len(multi_scores), -1, 4).expand(-1, num_classes, 4)
    rows, labels = (multi_scores[:, :-1] > score_thr).nonzero().unbind(dim=1)
    boxes, scores = (of[rows, labels].detach().float().cpu().numpy() for of in (bboxes, multi_scores))
    kept, scores = build({'type': 'nms', **nms_cfg}, NMS)(boxes, scores, labels.cpu().numpy(), max_num if max_num > 0 else None)
    found = np.concatenate([boxes[kept], scores[:, None]], axis=1)
    return torch.from_numpy(found).to(multi_bboxes.device), labels[torch.as_tensor(kept, device=labels.device)]
