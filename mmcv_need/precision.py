"""Half precision, level O1: weights stay float32, the operations that gain from it compute in float16.

Which operations those are is torch's choice (autocast); losses and box arithmetic are written in float32. Float16 has no room
for small gradients, so the loss is multiplied by a scale before it goes backward and the gradients are divided by it after.
Evaluation computes in float32.
"""
from __future__ import annotations

from typing import Any, ContextManager, Dict, Union

import torch
from torch import Tensor

from mmcv_need import device as devices
from mmcv_need.errors import ConfigError

Scale = Union[float, str, Dict[str, Any]]
DYNAMIC = ('init_scale', 'growth_factor', 'backoff_factor', 'growth_interval')


class HalfPrecision:
    """What a training step needs to compute in float16.

    A step whose gradients overflow is left out. A dynamic scale is halved then and grows again later.

    Args:
        device: where the model is.
        loss_scale: a number; 'dynamic'; or arguments of torch's GradScaler, which is dynamic too.

    Raises:
        ConfigError: a scale that is none of these.
        DeviceError: this torch has no float16 for the device.
    """

    def __init__(self, device: torch.device, loss_scale: Scale = 512.0):
        self.fixed = float(loss_scale) if isinstance(loss_scale, (int, float)) else None
        settings = {'init_scale': self.fixed} if self.fixed is not None else {} if loss_scale == 'dynamic' else loss_scale
        if not isinstance(settings, dict) or not set(settings) <= set(DYNAMIC) or settings.get('init_scale', 1) <= 0:
            raise ConfigError(f"loss_scale {loss_scale!r}: expected a positive number such as 512., 'dynamic', or a dict of "
                              f"{', '.join(DYNAMIC)}")
        self.device = device
        self.scaler = devices.grad_scaler(device, **settings)

    def autocast(self) -> ContextManager[Any]:
        """Within this, operations compute in float16 where it is safe."""
        return devices.autocast(self.device)

    def scale(self, loss: Tensor) -> Tensor:
        return self.scaler.scale(loss)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients by the scale, for whoever looks at them before the step."""
        self.scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Step if all gradients are finite, which torch's scaler asks the device; then set the scale of the next step."""
        self.scaler.step(optimizer)
        self.scaler.update(self.fixed)
