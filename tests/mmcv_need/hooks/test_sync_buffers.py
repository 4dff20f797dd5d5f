"""SyncBuffersHook: after an epoch, if at all. tests/mmcv_need/test_dist_utils.py shows what becomes of the buffers."""
from __future__ import annotations

from types import SimpleNamespace

import pytest

from mmcv_need.hooks import SyncBuffersHook, sync_buffers


@pytest.mark.parametrize('settings, times', [(dict(), 2), (dict(distributed=False), 0)])
def test_the_networks_buffers_are_sent_after_each_epoch(monkeypatch, settings, times):
    sent, network, hook = [], object(), SyncBuffersHook(**settings)
    monkeypatch.setattr(sync_buffers, 'broadcast_buffers', sent.append)
    run = SimpleNamespace(model=SimpleNamespace(module=network))
    for moment in ('before_train_epoch', 'after_train_iter', 'after_train_epoch', 'after_val_epoch'):
        getattr(hook, moment)(run)
    assert sent == [network] * times
