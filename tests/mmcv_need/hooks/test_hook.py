"""What a hook can ask about the place in a run."""
from __future__ import annotations

from types import SimpleNamespace

from mmcv_need.hooks import Hook


def test_helpers_of_hooks_count_from_one():
    runner = SimpleNamespace(epoch=1, iter=5, inner_iter=3, data_loader=[0] * 4)
    assert Hook.every_n_epochs(runner, 2) and not Hook.every_n_epochs(runner, 3)
    assert Hook.every_n_iters(runner, 6) and not Hook.every_n_iters(runner, 5)
    assert Hook.every_n_inner_iters(runner, 4) and not Hook.every_n_inner_iters(runner, -1)
    assert Hook.end_of_epoch(runner)
