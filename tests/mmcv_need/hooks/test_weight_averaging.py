"""What an average refuses, and what does not get into it."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mmcv_need.errors import ConfigError
from mmcv_need.hooks.ema import EMAHook, ExpMomentumEMAHook, LinearMomentumEMAHook


@pytest.mark.parametrize('hook', [LinearMomentumEMAHook(momentum=0.5, warm_up=2), ExpMomentumEMAHook(total_iter=3)])
def test_statistics_of_a_step_that_may_be_left_out_do_not_spoil_the_average(hook):
    """While a step is accumulated its statistics may be no numbers; the average has what is finite, and stays so."""
    norm = torch.nn.BatchNorm1d(3)
    runner = SimpleNamespace(model=SimpleNamespace(module=norm), iter=0, hooks=[hook])
    hook.before_run(runner)
    for runner.iter, mean in enumerate(([1.0, 1.0, 1.0], [2.0, float('nan'), 2.0], [3.0, 3.0, 3.0])):
        before = hook.average['running_mean'].clone()
        hook.before_train_iter(runner)
        norm.running_mean.copy_(torch.tensor(mean))
        hook.after_train_iter(runner)
        changed = (hook.average['running_mean'] != before).tolist()
        assert torch.isfinite(hook.average['running_mean']).all() and changed == [True, mean[1] == mean[1], True]


def test_two_averages_are_refused_for_each_would_take_the_others_for_the_weights():
    first, second = EMAHook(), ExpMomentumEMAHook()
    first.check_run(SimpleNamespace(iter=0, hooks=[first]))
    with pytest.raises(ConfigError, match=r'^EMAHook: ExpMomentumEMAHook averages the weights already; keep one$'):
        first.check_run(SimpleNamespace(iter=0, hooks=[first, second]))
