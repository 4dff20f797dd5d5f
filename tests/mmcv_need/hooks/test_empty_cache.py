"""EmptyCacheHook: when it empties, and that the CPU has nothing to empty."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mmcv_need import device as devices
from mmcv_need.hooks import EmptyCacheHook

MOMENTS = [f'{when}_{mode}_{what}' for mode in ('train', 'val') for when, what in (
    ('before', 'epoch'), ('before', 'iter'), ('after', 'iter'), ('after', 'epoch'))]


@pytest.mark.parametrize('settings, expected', [
    (dict(), ['after_train_epoch', 'after_val_epoch']),
    (dict(before_epoch=True, after_epoch=False), ['before_train_epoch', 'before_val_epoch']),
    (dict(after_epoch=False, after_iter=True), ['after_train_iter', 'after_val_iter']),
    (dict(after_epoch=False), [])])
def test_it_empties_when_it_is_asked_to(monkeypatch, settings, expected):
    emptied, hook, run = [], EmptyCacheHook(**settings), SimpleNamespace(device=torch.device('cpu'))
    for moment in MOMENTS:
        monkeypatch.setattr(devices, 'empty_cache', lambda device, moment=moment: emptied.append((moment, device)))
        getattr(hook, moment)(run)
    assert emptied == [(moment, run.device) for moment in expected]


def test_a_device_of_any_kind_can_be_emptied(device):
    devices.empty_cache(device)
