"""Optimizers by name: torch's, those of an accelerator's own stack, and those that cannot train a detector."""
from __future__ import annotations

import importlib
import sys

import pytest
import torch
from torch import nn

from mmcv_need import device as devices
from mmcv_need.builder import OPTIMIZERS, UNSUITED, build_optimizer, check_optimizer
from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.optim import fused_optimizers

TORCHS = [name for name, kind in vars(torch.optim).items()
          if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer]


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))


def built(model=None, **settings):
    return build_optimizer(model or net(), {'optimizer': settings})


@pytest.mark.parametrize('name', [name for name in TORCHS if name not in UNSUITED])
def test_every_optimizer_of_torch_trains_by_its_name(name):
    model = net()
    optimizer = built(model, type=name, lr=0.01)
    assert type(optimizer) is getattr(torch.optim, name)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    model(torch.arange(8.0).reshape(1, 1, 2, 4)).pow(3).sum().backward()
    optimizer.step()
    assert not all(torch.equal(old, new) for old, new in zip(before, model.parameters()))


@pytest.mark.parametrize('name', ['SGD', 'Adam', 'AdamW'])
def test_torchs_fused_kernels_are_used_where_they_are_and_learn_the_same(name, monkeypatch):
    def learned(able, **options):
        monkeypatch.setattr(devices, 'fuses_updates', lambda device: able)
        model = net()
        optimizer = built(model, type=name, lr=0.01, weight_decay=0.1, **options)
        for number in range(3):
            optimizer.zero_grad()
            model(torch.arange(8.0).reshape(1, 1, 2, 4) * (number + 1)).pow(3).sum().backward()
            optimizer.step()
        return optimizer.param_groups[0].get('fused'), [parameter.detach() for parameter in model.parameters()]

    fused, plain = learned(able=True), learned(able=False)
    assert fused[0] and not plain[0]
    torch.testing.assert_close(fused[1], plain[1], rtol=1e-5, atol=1e-6)


def test_a_weight_may_learn_for_the_first_time_after_the_others(monkeypatch):
    def learned(able):
        monkeypatch.setattr(devices, 'fuses_updates', lambda device: able)
        model = net()
        optimizer = built(model, type='SGD', lr=0.01, momentum=0.9)
        for step in range(3):
            optimizer.zero_grad()
            model[0 if step == 0 else slice(None)](torch.arange(8.0).reshape(1, 1, 2, 4)).pow(3).sum().backward()
            optimizer.step()
        return [parameter.detach() for parameter in model.parameters()]

    torch.testing.assert_close(learned(able=True), learned(able=False), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('how', [{'foreach': True}, {'foreach': False}, {'fused': False}])
def test_a_config_that_says_how_to_compute_is_heeded(how):
    (name, value), = how.items()
    group = built(type='SGD', lr=0.01, **how).param_groups[0]
    assert group[name] == value and not group['fused']


def test_what_cannot_train_a_detector_says_why():
    assert UNSUITED.keys() & set(TORCHS) >= {'LBFGS', 'SparseAdam'}
    for name, why in UNSUITED.items():
        assert name not in OPTIMIZERS
        with pytest.raises(ConfigError) as caught:
            built(type=name, lr=0.1)
        assert str(caught.value) == f'optimizer.type: {name} cannot train a detector: {why}'


def test_all_parameters_form_one_group_with_their_names_and_the_rate_that_schedules_start_from():
    (group,) = built(type='SGD', lr=0.1, momentum=0.9, weight_decay=5e-4).param_groups
    assert group['param_names'] == ['0.weight', '0.bias', '1.weight', '1.bias'] and len(group['params']) == 4
    assert (group['lr'], group['initial_lr'], group['weight_decay']) == (0.1, 0.1, 5e-4)


@pytest.mark.parametrize('settings, words', [
    (dict(type='SGDD', lr=0.1), r"^mine\.py:1: optimizer\.type: .*'SGDD'\. Did you mean 'SGD'\?"),
    (dict(type='SGD', lr=-1.0), r'^mine\.py:1: optimizer: SGD refused its arguments: .*-1'),
    (dict(type='SGD', lr=0.1, momentun=0.9), r"^mine\.py:1: optimizer\.momentun: SGD .*Did you mean 'momentum'\?"),
    (dict(type='NpuFusedSGD', lr=0.1, momentun=0.9), r"^mine\.py:1: optimizer\.momentun: NpuFusedSGD .*'momentum'\?"),
    (dict(type='SGD', lr=0.1, constructor='LearningRateDecayOptimizerConstructor'),
     r"^mine\.py:1: optimizer\.constructor: only DefaultOptimizerConstructor is supported, not 'LearningRateDecay"),
    (dict(lr=0.1), r"^mine\.py:1: optimizer: a dict for OPTIMIZERS needs a 'type'")])
def test_what_is_wrong_is_named_before_there_is_a_model(settings, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.py').write_text(f'optimizer = {settings!r}')
    cfg = Config.fromfile('mine.py')
    with pytest.raises(ConfigError, match=words):
        check_optimizer(cfg)
        build_optimizer(net(), cfg)  # a value that the optimizer itself refuses


@pytest.mark.parametrize('settings, said', [
    (dict(type='adamw', lr=0.1), r"optimizer\.type: .*Did you mean 'AdamW'\?"),
    (dict(type='Sgd', lr=0.1), r"optimizer\.type: .*Did you mean 'SGD'\?"),
    (dict(type='Adam', betas=(0.9,)), r'^optimizer\.betas: expected 2 numbers such as \(0\.9, 0\.999\), not \(0\.9,\)$'),
    (dict(type='AdamW', betas=0.9), r'^optimizer\.betas: expected 2 numbers .*, not 0\.9$'),
    (dict(type='Rprop', etas=('0.5', 1.2)), r'^optimizer\.etas: expected 2 numbers'),
    (dict(type='SGD', lr='0.1'), r"^optimizer\.lr: expected a number, not '0\.1'$"),
    (dict(type='SGD', lr=True), r'^optimizer\.lr: expected a number, not True$'),
    (dict(type='SGD', lr=float('inf')), r'^optimizer\.lr: expected a number, not inf$'),
    (dict(type='SGD', lr=0.1, momentum=None), r'^optimizer\.momentum: expected a number, not None$'),
    (dict(type='Adam', betas=(None, 0.9)), r'^optimizer\.betas: expected 2 numbers'),
    (dict(type='Adam', amsgrad='x'), r"^optimizer\.amsgrad: .*(True or False|bool), not 'x'$"),
    (dict(type='SGD', lr=0.1, momentum='0.9'), r"^optimizer\.momentum: expected a number, not '0\.9'$"),
    (dict(type='NpuFusedSGD', lr=0.1, momentum=-1), r'^optimizer: SGD refused its arguments: Invalid momentum'),
    (dict(type='SGD', lr=0.1, differentiable=True), r'^optimizer\.differentiable: keeps the graph of every step')])
def test_a_value_that_torch_would_stumble_over_later_is_refused_at_once(settings, said):
    with pytest.raises(ConfigError, match=said):
        check_optimizer({'optimizer': settings})


def test_values_that_differ_in_form_from_the_defaults_pass():
    for settings in (dict(type='Adafactor', eps=(None, 1e-3)), dict(type='SGD', lr=1, momentum=0, weight_decay=0),
                     dict(type='Adam', lr=1e-3, betas=[0.9, 0.99], foreach=None, fused=True)):
        check_optimizer({'optimizer': settings})


def test_what_only_an_accelerator_can_is_refused_where_the_weights_are():
    check_optimizer({'optimizer': dict(type='Adam', capturable=True)})
    with pytest.raises(ConfigError, match=r'^optimizer\.capturable: is for graphs of an accelerator, and the weights are on'):
        built(type='Adam', capturable=True)


def test_the_line_that_set_the_value_is_named_and_not_that_of_the_section(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'base.py').write_text("optimizer = dict(\n    type='SGD',\n    lr=0.1)")
    (tmp_path / 'mine.py').write_text("_base_ = 'base.py'\n\noptimizer = dict(lr=-1.)")
    with pytest.raises(ConfigError, match=r'^mine\.py:3: optimizer: SGD refused .* -1\.0 \(set there: lr\)$'):
        check_optimizer(Config.fromfile('mine.py'))
    cfg = Config.fromfile('base.py')
    cfg.merge_from_dict({'optimizer.momentum': -2})
    words = r'^--cfg-options: optimizer: SGD refused its arguments: .* -2 \(set there: momentum\)$'
    with pytest.raises(ConfigError, match=words):
        check_optimizer(cfg)


def test_the_constructor_may_be_named():
    assert len(built(type='SGD', lr=0.1, constructor='DefaultOptimizerConstructor', paramwise_cfg=None).param_groups) == 1


# Fused optimizers


@pytest.fixture
def stack(monkeypatch):
    """Sets what the device's own stack has: name -> class."""
    def has(**optimizers):
        monkeypatch.setattr(devices, 'fused_optimizers', lambda device: optimizers, raising=False)
    has()
    return has


class Fused(torch.optim.SGD):
    """Stands in for a class of an accelerator."""


def test_a_fused_optimizer_is_used_where_it_is(stack):
    stack(NpuFusedSGD=Fused)
    optimizer = built(type='NpuFusedSGD', lr=0.1, momentum=0.9)
    assert type(optimizer) is Fused and optimizer.param_groups[0]['momentum'] == 0.9


@pytest.mark.parametrize('name, same', [(name, same) for name, same in fused_optimizers.FUSED.items() if same])
def test_elsewhere_the_one_of_the_same_formula_is_used_and_said(stack, name, same):
    assert same.__name__ == name[len('NpuFused'):]
    with pytest.warns(UserWarning, match=rf'optimizer: {name} is not here for cpu; torch\.optim\.{same.__name__} computes'):
        optimizer = built(type=name, lr=0.1, weight_decay=0.5, paramwise_cfg=dict(norm_decay_mult=0.0))
    assert type(optimizer) is same and [group['weight_decay'] for group in optimizer.param_groups] == [0.5, 0.0]


def test_in_several_processes_gradients_stay_in_the_buffers_that_are_averaged(stack, monkeypatch):
    stack(NpuFusedSGD=Fused, NpuFusedLamb=Fused)
    monkeypatch.setattr(fused_optimizers, 'get_dist_info', lambda: (0, 2))
    with pytest.warns(UserWarning, match=r'NpuFusedSGD is for one process; torch\.optim\.SGD computes the same'):
        assert type(built(type='NpuFusedSGD', lr=0.1)) is torch.optim.SGD
    with pytest.raises(ConfigError, match='NpuFusedLamb is for one process'):
        built(type='NpuFusedLamb', lr=0.1)


@pytest.mark.parametrize('name', [name for name, same in fused_optimizers.FUSED.items() if same is None])
def test_one_that_torch_has_not_is_an_error_elsewhere(stack, name):
    with pytest.raises(ConfigError, match=rf"^optimizer: {name} is not here for cpu: .*Name one of torch's instead$"):
        built(type=name, lr=0.1)


@pytest.fixture
def apex(tmp_path, monkeypatch):
    """Installs a package of this name, with the parts that are given; importing it leaves a trace."""
    def install(*parts):
        (tmp_path / 'apex').mkdir()
        (tmp_path / 'apex' / '__init__.py').write_text('')
        for part in parts:
            (tmp_path / 'apex' / part).mkdir()
            (tmp_path / 'apex' / part / '__init__.py').write_text(
                'from torch.optim import SGD\n\n\nclass FusedSGD(SGD):\n    pass\n\n\n'
                'class NpuFusedSGD(SGD):\n    pass\n')
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()
    yield install
    for name in [name for name in sys.modules if name.partition('.')[0] == 'apex']:
        del sys.modules[name]


def test_the_real_apex_is_used(stack, apex):
    apex('amp', 'optimizers')
    assert type(built(type='FusedSGD', lr=0.1)).__module__ == 'apex.optimizers'
    assert type(built(type='NpuFusedSGD', lr=0.1)).__module__ == 'apex.optimizers'  # Ascend's apex has those, too
    stack(NpuFusedSGD=Fused)
    assert type(built(type='NpuFusedSGD', lr=0.1)) is Fused  # but the device's own come first


@pytest.mark.parametrize('parts', [(), ('optimizers',), ('amp',)])
def test_another_package_of_that_name_is_not_imported(stack, apex, parts):
    apex(*parts)
    with pytest.raises(ConfigError, match='FusedSGD is not here for cpu'):
        built(type='FusedSGD', lr=0.1)
    assert 'apex' not in sys.modules


def test_a_fused_optimizer_that_cannot_be_made_says_so(stack):
    class Broken(torch.optim.SGD):
        def __init__(self, *args, **kwargs):
            raise RuntimeError('requires extensions')
    stack(FusedLAMB=Broken)
    with pytest.raises(ConfigError, match=r'^optimizer: FusedLAMB refused its arguments: requires extensions$'):
        built(type='FusedLAMB', lr=0.1)
