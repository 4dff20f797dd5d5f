"""SSD multibox loss: softmax on positive and mined boxes, smooth L1 on positive boxes.

Source: Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, eq. (1)-(3) and sec. 2.2; normalised as in MMDetection.

Sizes:  N images,  A default boxes an image,  C foreground classes; label C is background.
"""
from __future__ import annotations

from typing import Callable, Dict, Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from mmdet.models.losses.box_losses import smooth_l1


def multibox_loss(scores: Tensor, predicted: Tensor, labels: Tensor, targets: Tensor, positive: Tensor, negative: Tensor,
                  neg_pos_ratio: float = 3.0, beta: float = 1.0, normalizer: Callable[[Tensor], Tensor] = torch.sum,
                  box_loss: Optional[Callable[[Tensor, Tensor], Tensor]] = None) -> Dict[str, Tensor]:
    """Losses of each image, normalised by the positives of the batch, at least 1 an image.

    Args:
        scores: (N, A, C+1) logits.
        predicted: (N, A, 4) offsets, or boxes in pixels.
        labels: (N, A) int64, C where not positive.
        targets: (N, A, 4) what they have to be; anything of the kind where not positive.
        positive, negative: (N, A) bool; boxes that are neither take no part and are never mined.
        neg_pos_ratio: negatives mined for each positive, the hardest of their image.
        beta: where smooth L1 turns from a square into a line; 0 is plain L1.
        normalizer: the number () to divide by, from the positives (N,) of each image; their sum over this device's batch, or
            what all devices agree on.
        box_loss: (predicted, targets) -> losses (N, A) or (N, A, 4); None is smooth L1.

    Returns:
        loss_cls, loss_bbox: (N,) each.
    """
    classification = F.cross_entropy(scores.float().flatten(0, 1), labels.flatten(), reduction='none').view_as(labels)
    num_positive = positive.sum(dim=1)  # (N,)
    divisor = normalizer(num_positive.clamp(min=1))
    mined = hardest_sum(classification, negative, num_positive * neg_pos_ratio)
    loss_cls = (classification * positive).sum(dim=1) + mined
    # What is not positive is right already: it adds no loss, and whatever a formula makes of odd boxes no gradient.
    found = torch.where(positive[..., None], predicted.float(), targets)
    regression = smooth_l1(found, targets, beta) if box_loss is None else box_loss(found, targets)
    loss_bbox = (regression * positive.view(positive.shape + (1,) * (regression.dim() - 2))).flatten(1).sum(dim=1)
    return {'loss_cls': loss_cls / divisor, 'loss_bbox': loss_bbox / divisor}


def hardest_sum(loss: Tensor, negative: Tensor, num_kept: Tensor) -> Tensor:
    """Sum the largest negative losses of each image: what mining the hardest boxes contributes.

    Sorting values and masking ranks keeps every shape constant and needs no index sort; ties cannot change the sum.

    Args:
        loss: (N, A) classification loss of every box, >= 0.
        negative: (N, A) bool, boxes that may be mined (valid and unmatched).
        num_kept: (N,) how many to keep of each image; fewer where an image runs out.

    Returns:
        (N,) sums.
    """
    hardest = (loss * negative).sort(dim=1, descending=True).values
    rank = torch.arange(loss.size(1), device=loss.device)
    return (hardest * (rank < num_kept[:, None])).sum(dim=1)
