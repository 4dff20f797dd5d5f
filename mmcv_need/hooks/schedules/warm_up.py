"""The first iterations of a run, in which a schedule is only on its way to its regular value."""
from __future__ import annotations

from typing import Optional

from mmcv_need.errors import ConfigError

WARM_UPS = ('constant', 'linear', 'exp')


class WarmUp:
    """Which share of the regular value counts at an iteration.

    Args:
        kind: 'constant' stays at `ratio`; 'linear' and 'exp' rise from there to 1; None is no warm-up.
        length: in iterations, or in epochs if `by_epoch`.
        ratio: the share to start from, in (0, 1].
        by_epoch: see `length`.
    """

    def __init__(self, kind: Optional[str], length: int, ratio: float, by_epoch: bool):
        if kind is not None:
            if kind not in WARM_UPS:
                raise ConfigError(f"warmup {kind!r} is not one of {', '.join(WARM_UPS)}")
            if length <= 0 or not 0 < ratio <= 1:
                raise ConfigError(f'warmup needs warmup_iters > 0 and 0 < warmup_ratio <= 1, not {length} and {ratio}')
        self.kind = kind
        self.length = length
        self.ratio = ratio
        self.by_epoch = by_epoch

    def share(self, iteration: int, epoch_len: int) -> float:
        """The share at an iteration of the run, counted from 0; 1 when the warm-up is over."""
        steps = self.length * (epoch_len if self.by_epoch else 1)
        if self.kind is None or iteration >= steps:
            return 1.0
        left = 1 - iteration / steps
        if self.kind == 'constant':
            return self.ratio
        return 1 - left * (1 - self.ratio) if self.kind == 'linear' else self.ratio ** left
