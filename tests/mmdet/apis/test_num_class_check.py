"""NumClassCheckHook: the head has as many classes as the data of each epoch."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.apis.num_class_check import NumClassCheckHook


def make_run(classes, num_classes=3, mode='train'):
    head = nn.Linear(1, 1)
    head.num_classes = num_classes
    warnings = []
    return SimpleNamespace(mode=mode, model=SimpleNamespace(module=nn.ModuleDict({'neck': nn.ReLU(), 'bbox_head': head})),
                           data_loader=SimpleNamespace(dataset=SimpleNamespace(CLASSES=classes)), warnings=warnings,
                           logger=SimpleNamespace(warning=lambda message, *given: warnings.append(message % given)))


def test_equal_numbers_pass():
    hook = NumClassCheckHook()
    hook.before_train_epoch(make_run(('a', 'b', 'c')))
    hook.before_val_epoch(make_run(('a', 'b', 'c'), mode='val'))


@pytest.mark.parametrize('moment, mode', [('before_train_epoch', 'train'), ('before_val_epoch', 'val')])
def test_other_numbers_are_refused_in_each_kind_of_epoch(moment, mode):
    with pytest.raises(ConfigError, match=rf'^model\.bbox_head\.num_classes is 3, but the data of the {mode} epoch have 2 '
                                          r'classes \(a, b\)\. Set num_classes=2'):
        getattr(NumClassCheckHook(), moment)(make_run(('a', 'b'), mode=mode))


def test_a_long_list_is_cut_short():
    with pytest.raises(ConfigError, match=r'have 80 classes \(0, 1, 2, 3, 4, 5, \.\.\.\)'):
        NumClassCheckHook().before_train_epoch(make_run(tuple(map(str, range(80)))))


def test_data_without_classes_are_a_warning():
    run = make_run(None)
    NumClassCheckHook().before_train_epoch(run)
    assert run.warnings == ['SimpleNamespace has no CLASSES; whether the model has as many cannot be checked']


def test_mmdetections_configs_ask_for_it_by_name():
    assert isinstance(build({'type': 'NumClassCheckHook'}), NumClassCheckHook)
