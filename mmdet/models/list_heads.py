"""Heads and detectors in MMDetection 2.x's manner behind the calls of this toolkit: lists of levels, and of pictures.

Here a batch's ground truth is padded to one shape, losses are of each picture, and detections are `Detections`. There `loss`
is given lists without padding, losses are numbers or lists of them, and what is found is a tensor of boxes with scores and one
of labels for each picture.

Sizes:  N images,  G ground-truth boxes and K ignored regions an image (padded),  n of them or of what is found in one image.
"""
from __future__ import annotations

import inspect
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor, nn

from mmdet.core.post_processing.detections import Detections
from mmdet.models.base_module import BaseModule

Truths = Tuple[List[Tensor], List[Tensor], Optional[List[Tensor]]]


class BaseDenseHead(BaseModule):
    """What heads in MMDetection's manner derive from. They have `forward`, `loss` and `get_bboxes`, with 2.x's arguments."""

    def loss(self, *outs: Any, **kwargs: Any) -> Dict[str, Any]:
        raise NotImplementedError(f'{type(self).__name__} does not say what its losses are')

    def get_bboxes(self, *outs: Any, **kwargs: Any) -> List[Any]:
        raise NotImplementedError(f'{type(self).__name__} does not say what it finds')

    def forward_train(self, x: Sequence[Tensor], img_metas: Sequence[Mapping[str, Any]], gt_bboxes: List[Tensor],
                      gt_labels: Optional[List[Tensor]] = None, gt_bboxes_ignore: Optional[List[Tensor]] = None,
                      **kwargs: Any) -> Dict[str, Any]:
        """Losses of the levels `x` and the ground truths of each picture."""
        labels = [] if gt_labels is None else [gt_labels]
        return self.loss(*as_tuple(self(x)), gt_bboxes, *labels, img_metas, gt_bboxes_ignore=gt_bboxes_ignore)

    def simple_test(self, feats: Sequence[Tensor], img_metas: Sequence[Mapping[str, Any]], rescale: bool = False) -> List[Any]:
        """What is found in each picture."""
        return self.get_bboxes(*as_tuple(self(feats)), img_metas=img_metas, rescale=rescale)


def takes_lists(head: nn.Module) -> bool:
    """Whether a head is written in MMDetection's manner, as its own losses tell."""
    if isinstance(head, BaseDenseHead):
        return True
    loss = getattr(type(head), 'loss', None)
    return loss is not None and 'img_metas' in inspect.signature(loss).parameters


def losses_of_head(head: nn.Module, levels: Sequence[Tensor], img_metas: Sequence[Mapping[str, Any]],
                   truths: Truths) -> Dict[str, Tensor]:
    """Losses () of a batch by such a head. `truths`: of `as_lists`."""
    if hasattr(head, 'forward_train'):
        return as_numbers(head.forward_train(levels, img_metas, *truths))
    bboxes, labels, ignored = truths
    return as_numbers(head.loss(*as_tuple(head(levels)), bboxes, labels, img_metas, gt_bboxes_ignore=ignored))


def found_by_head(head: nn.Module, levels: Sequence[Tensor], img_metas: Sequence[Mapping[str, Any]],
                  rescale: bool) -> List[Detections]:
    """Detections of a batch by such a head."""
    if hasattr(head, 'simple_test'):
        return as_detections(head.simple_test(levels, img_metas, rescale=rescale))
    return as_detections(head.get_bboxes(*as_tuple(head(levels)), img_metas=img_metas, rescale=rescale))


def as_tuple(outs: Any) -> Tuple[Any, ...]:
    return outs if isinstance(outs, tuple) else (outs,)


def as_lists(gt_bboxes: Tensor, gt_labels: Tensor, gt_bboxes_ignore: Optional[Tensor] = None) -> Truths:
    """Ground truth without its padding, a list each. This waits for the device.

    Args:
        gt_bboxes: (N, G, 4).
        gt_labels: (N, G) int64, -1 at padding, which comes last.
        gt_bboxes_ignore: (N, K, 4), empty boxes at padding.
    """
    counts = (gt_labels >= 0).sum(dim=1).tolist()
    bboxes = [boxes[:count] for boxes, count in zip(gt_bboxes, counts)]
    labels = [own[:count] for own, count in zip(gt_labels, counts)]
    if gt_bboxes_ignore is None:
        return bboxes, labels, None
    return bboxes, labels, [boxes[(boxes[:, 2:] > boxes[:, :2]).all(dim=1)] for boxes in gt_bboxes_ignore]


def padded(gt_bboxes: Sequence[Tensor], gt_labels: Sequence[Tensor]) -> Tuple[Tensor, Tensor]:
    """(N, G, 4) and (N, G): inverse of `as_lists`."""
    bboxes = nn.utils.rnn.pad_sequence([boxes.reshape(-1, 4) for boxes in gt_bboxes], batch_first=True)
    labels = nn.utils.rnn.pad_sequence(list(gt_labels), batch_first=True, padding_value=-1)
    if not labels.size(1):
        return bboxes.new_zeros(len(gt_bboxes), 1, 4), labels.new_full((len(gt_labels), 1), -1)
    return bboxes, labels


def as_numbers(losses: Mapping[str, Any]) -> Dict[str, Tensor]:
    """Losses () by name: the mean of a tensor; of a list, the sum of its tensors' means.

    Raises:
        TypeError: a loss is neither.
    """
    numbers = {}
    for name, loss in losses.items():
        parts = list(loss) if isinstance(loss, (list, tuple)) else [loss]
        if not parts or not all(isinstance(part, Tensor) for part in parts):
            raise TypeError(f'{name} is a {type(loss).__name__}; expected a tensor or a list of tensors')
        numbers[name] = torch.stack([part.float().mean() for part in parts]).sum()
    return numbers


def as_detections(found: Sequence[Any]) -> List[Detections]:
    """What was found in each picture, best first: of (boxes with scores, labels), or of an array (n, 5) for each class."""
    return [one if isinstance(one, Detections) else _detections(one) for one in found]


def _detections(found: Any) -> Detections:
    arrays = [value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value) for value in found]
    if len(arrays) == 2 and arrays[1].ndim == 1:  # no boxes of a class are a vector
        rows, labels = arrays
    else:
        rows = np.concatenate([np.zeros((0, 5), np.float32), *(own.reshape(-1, 5) for own in arrays)])
        labels = np.repeat(np.arange(len(arrays)), [len(own.reshape(-1, 5)) for own in arrays])
    order = np.argsort(-rows[:, 4], kind='stable')
    rows = rows[order].astype(np.float32)
    return Detections(rows[:, :4], rows[:, 4], labels[order].astype(np.int64))


def with_input_shape(img: Tensor, img_metas: Optional[Sequence[Mapping[str, Any]]]) -> List[Dict[str, Any]]:
    """The metas of a batch, each with the (height, width) that its pictures were brought to."""
    return [{**meta, 'batch_input_shape': tuple(img.shape[-2:])} for meta in img_metas or [{}] * len(img)]
