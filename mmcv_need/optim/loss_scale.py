"""Loss scaling: float16 has no room for small gradients, so the loss goes backward multiplied by a scale.

Everything stays on the device: the scale, the count of good steps, and the decision to change it.
Source: Micikevicius et al., "Mixed Precision Training", ICLR 2018, sec. 3.2; defaults of a dynamic scale as torch's GradScaler.
"""
from __future__ import annotations

from typing import Any, Dict, Mapping, Union

import torch
from torch import Tensor

from mmcv_need.arguments import is_number
from mmcv_need.errors import ConfigError

FLOAT32 = torch.finfo(torch.float32)
Scale = Union[float, str, Mapping[str, Any]]
DEFAULTS: Dict[str, Any] = {'init_scale': 2.0 ** 16, 'growth_factor': 2.0, 'backoff_factor': 0.5, 'growth_interval': 2000}


class LossScale:
    """A scale that stays, or one that shrinks when gradients overflow and grows after many steps without.

    Attributes:
        lowest: a dynamic scale below it has not found gradients that fit: 1, or ten halvings below where it began, whichever is
            lower.

    Args:
        value: a number, such as 128., that stays; 'dynamic'; or a dict of `init_scale`, `growth_factor`, `backoff_factor` and
            `growth_interval`, which is dynamic too.
        device: of the losses.

    Raises:
        ConfigError: a value that is none of these.
    """

    def __init__(self, value: Scale, device: torch.device):
        self.dynamic = not is_number(value)
        settings = {} if value == 'dynamic' else value if self.dynamic else {'init_scale': value}
        if not isinstance(settings, Mapping) or not set(settings) <= set(DEFAULTS) \
                or not all(is_number(number) and FLOAT32.tiny <= number <= FLOAT32.max for number in settings.values()):
            raise ConfigError(f"loss_scale {value!r}: expected a positive number such as 128., 'dynamic', or a dict of "
                              f"{', '.join(DEFAULTS)}")
        if settings.get('growth_factor', 2.0) <= 1 or settings.get('backoff_factor', 0.5) >= 1 \
                or settings.get('growth_interval', 1) % 1:
            raise ConfigError(f'loss_scale {value!r}: expected growth_factor > 1, backoff_factor < 1 and a whole '
                              f'growth_interval')
        self.settings = {**DEFAULTS, **settings}
        self.lowest = min(1.0, self.settings['init_scale'] / 2 ** 10)
        self.scale = torch.tensor(float(self.settings['init_scale']), device=device)
        self.good_steps = torch.tensor(0, dtype=torch.int32, device=device)

    def update(self, finite: Tensor) -> None:
        """After a step: `finite` () bool says whether its gradients were."""
        if not self.dynamic:
            return
        good = torch.where(finite, self.good_steps + 1, torch.zeros_like(self.good_steps))
        grows = good >= self.settings['growth_interval']
        grown = torch.where(grows, self.scale * self.settings['growth_factor'], self.scale)
        grown = torch.where(torch.isfinite(grown), grown, self.scale)
        self.scale.copy_(torch.where(finite, grown, self.scale * self.settings['backoff_factor']))
        self.good_steps.copy_(torch.where(grows, torch.zeros_like(good), good))

    def state_dict(self) -> Dict[str, Any]:
        """Under the names of torch's GradScaler, whose state MMCV's checkpoints hold."""
        return {'scale': self.scale.item(), **{name: self.settings[name] for name in DEFAULTS if name != 'init_scale'},
                '_growth_tracker': int(self.good_steps.item())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the scale of a checkpoint; a scale that stays is the config's business."""
        if self.dynamic and 'scale' in state:
            self.scale.fill_(state['scale'])
            self.good_steps.fill_(state.get('_growth_tracker', 0))
