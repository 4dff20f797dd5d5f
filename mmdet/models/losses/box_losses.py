"""`loss_bbox`: losses of boxes or offsets, as components that are called as MMDetection's are.

    loss(pred, target, weight=None, avg_factor=None, reduction_override=None)

`weight` and `avg_factor` are those of `reduce_loss`; `reduction_override` stands in for the loss's own reduction.
"""
from __future__ import annotations

from typing import Any, Callable, Optional

import torch.nn.functional as F
from torch import Tensor, nn

from mmcv_need.errors import ConfigError
from mmdet.models.builder import LOSSES
from mmdet.models.losses.box_overlap import bounded_iou_loss, ciou_loss, diou_loss, giou_loss, iou_loss
from mmdet.models.losses.reduction import check_reduction, reduce_loss

MODES = ('log', 'linear', 'square')


class BoxLoss(nn.Module):
    """A formula with its settings, weight and reduction; those below are made of it.

    Args:
        formula: (pred, target, **settings) -> losses, see box_overlap.py.
        reduction: 'none', 'mean' or 'sum'.
        loss_weight: factor.
        of_boxes: whether it is for boxes only, not for offsets.
        settings: of the formula.
    """

    def __init__(self, formula: Callable[..., Tensor], reduction: str, loss_weight: float, of_boxes: bool, **settings: Any):
        super().__init__()
        check_reduction(reduction)
        for name in ('eps', 'beta'):
            if settings.get(name, 1) <= 0:
                raise ConfigError(f'{name} {settings[name]}: expected more than 0')
        self.formula, self.settings = formula, settings
        self.reduction, self.loss_weight, self.of_boxes = reduction, loss_weight, of_boxes

    def forward(self, pred: Tensor, target: Tensor, weight: Optional[Tensor] = None, avg_factor: Optional[float] = None,
                reduction_override: Optional[str] = None) -> Tensor:
        """(..., 4) both -> (), or for reduction 'none' the losses of each."""
        loss = self.formula(pred, target, **self.settings)
        return self.loss_weight * reduce_loss(loss, reduction_override or self.reduction, weight, avg_factor)

    def extra_repr(self) -> str:
        return ', '.join(f'{name}={value}' for name, value in {**self.settings, 'loss_weight': self.loss_weight}.items())


@LOSSES.register_module('IoULoss')
def IoULoss(linear: bool = False, eps: float = 1e-6, reduction: str = 'mean', loss_weight: float = 1.0,
            mode: str = 'log') -> BoxLoss:
    """`mode`: 'log', 'linear' or 'square'; `linear=True` is the older way to say 'linear'."""
    if mode not in MODES:
        raise ConfigError(f"mode {mode!r}: expected one of {', '.join(map(repr, MODES))}")
    return BoxLoss(iou_loss, reduction, loss_weight, True, mode='linear' if linear else mode, eps=eps)


@LOSSES.register_module('BoundedIoULoss')
def BoundedIoULoss(beta: float = 0.2, eps: float = 1e-3, reduction: str = 'mean', loss_weight: float = 1.0) -> BoxLoss:
    return BoxLoss(bounded_iou_loss, reduction, loss_weight, True, beta=beta, eps=eps)


@LOSSES.register_module('GIoULoss')
def GIoULoss(eps: float = 1e-6, reduction: str = 'mean', loss_weight: float = 1.0) -> BoxLoss:
    return BoxLoss(giou_loss, reduction, loss_weight, True, eps=eps)


@LOSSES.register_module('DIoULoss')
def DIoULoss(eps: float = 1e-6, reduction: str = 'mean', loss_weight: float = 1.0) -> BoxLoss:
    return BoxLoss(diou_loss, reduction, loss_weight, True, eps=eps)


@LOSSES.register_module('CIoULoss')
def CIoULoss(eps: float = 1e-6, reduction: str = 'mean', loss_weight: float = 1.0) -> BoxLoss:
    return BoxLoss(ciou_loss, reduction, loss_weight, True, eps=eps)


@LOSSES.register_module('SmoothL1Loss')
def SmoothL1Loss(beta: float = 1.0, reduction: str = 'mean', loss_weight: float = 1.0) -> BoxLoss:
    """`beta`: where the square turns into a line."""
    return BoxLoss(smooth_l1, reduction, loss_weight, False, beta=beta)


@LOSSES.register_module('L1Loss')
def L1Loss(reduction: str = 'mean', loss_weight: float = 1.0) -> BoxLoss:
    return BoxLoss(smooth_l1, reduction, loss_weight, False)


def smooth_l1(pred: Tensor, target: Tensor, beta: float = 0.) -> Tensor:
    """(..., 4) absolute differences, square below `beta`; float32."""
    return F.smooth_l1_loss(pred.float(), target.float(), beta=beta, reduction='none')
