"""What a detector answers to a training step."""
from __future__ import annotations

from typing import Any, Dict, Mapping

from torch import Tensor


def summarize_losses(losses: Mapping[str, Tensor], num_samples: int) -> Dict[str, Any]:
    """The training step's answer: the sum to go backward from, what to log, and each image's losses, all on the device.

    Args:
        losses: (N,) losses of each image by name, or () of all; what has no `loss` in its name is logged and no more.
        num_samples: N.
    """
    log_vars = {name: loss.sum() for name, loss in losses.items()}
    total = sum(value for name, value in log_vars.items() if 'loss' in name)
    log_vars['loss'] = total
    return {'loss': total, 'log_vars': {name: value.detach() for name, value in log_vars.items()},
            'losses': {name: loss.detach() for name, loss in losses.items()}, 'num_samples': num_samples}
