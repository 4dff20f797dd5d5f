"""Optimizers of an accelerator's own stack: which class a name means where, and that nothing pulls the buffers apart."""
from __future__ import annotations

import sys
import warnings

import pytest
import torch
from torch import nn

from mmcv_need import device as devices
from mmcv_need.errors import ConfigError
from mmcv_need.optim import fused_optimizers
from mmcv_need.optim.fused_optimizers import fused
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.weights import load_weights

SETTINGS = {'lr': 0.1, 'momentum': 0.9, 'weight_decay': 0.01}


@pytest.fixture
def own(machine, monkeypatch, card):
    """A machine whose NPU has fused optimizers; the weights of the tests lie on the CPU."""
    machine(npu=1)
    find = devices.fused_optimizers
    monkeypatch.setattr(devices, 'fused_optimizers', lambda device: find(card('npu')))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))


def trained(model, optimizer, steps, begin=0):
    """Weights after some steps of the toolkit's own way to step."""
    step = OptimizerStep(optimizer, {'max_norm': 1.0}, buffers=model.buffers())
    for i in range(begin, begin + steps):
        step.zero_grad()
        step.backward(model(torch.full((2, 2, 4, 4), i + 1.0) + torch.arange(16.0).view(4, 4)).pow(2).mean())
        step.clip()
        step.step()
    return torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])


def test_a_name_means_the_stacks_own_class_where_it_has_one(own):
    made = fused('NpuFusedSGD')([{'params': list(network().parameters())}], **SETTINGS)
    assert type(made).__module__ == 'torch_npu.optim' and made.is_fused_optimizer


def test_elsewhere_torchs_class_of_the_same_formula_takes_its_place_and_says_so():
    with pytest.warns(UserWarning, match='NpuFusedSGD is not here for cpu; torch.optim.SGD computes the same'):
        made = fused('NpuFusedSGD')([{'params': list(network().parameters())}], **SETTINGS)
    assert type(made) is torch.optim.SGD


def test_in_several_processes_torchs_takes_its_place(own, monkeypatch):
    monkeypatch.setattr(fused_optimizers, 'get_dist_info', lambda: (0, 2))
    with pytest.warns(UserWarning, match='NpuFusedSGD is for one process; torch.optim.SGD computes the same'):
        assert type(fused('NpuFusedSGD')([{'params': list(network().parameters())}], **SETTINGS)) is torch.optim.SGD


def test_a_formula_that_torch_has_not_is_an_error_where_the_stack_has_it_not(own):
    with pytest.raises(ConfigError, match='NpuFusedLamb is not here for cpu: it comes with apex or an accelerator'):
        fused('NpuFusedLamb')([{'params': list(network().parameters())}], lr=0.1)


@pytest.mark.parametrize('version, names', [('1.8.1', set()), ('2.6.0', {'NpuFusedSGD'})])
def test_old_stacks_have_none(machine, card, version, names):
    machine(npu=1, version=version)
    assert set(devices.fused_optimizers(card('npu'))) == names
    assert devices.fused_optimizers(card('cpu')) == devices.fused_optimizers(card('cuda')) == {}


def test_a_run_with_fused_buffers_computes_what_one_without_computes(own):
    """The double refuses to step when a weight or gradient has left its buffer."""
    plain, combined = network(), network()
    expected = trained(plain, torch.optim.SGD(plain.parameters(), **SETTINGS), 5)
    optimizer = fused('NpuFusedSGD')([{'params': list(combined.parameters())}], **SETTINGS)
    torch.testing.assert_close(trained(combined, optimizer, 5), expected)


def test_loading_weights_leaves_them_in_the_buffers(own):
    model, other = network(), nn.Sequential(*network())
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 1
    optimizer = fused('NpuFusedSGD')([{'params': list(model.parameters())}], **SETTINGS)
    trained(model, optimizer, 2)
    load_weights(model, other.state_dict(), 'other.pth')
    start = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])
    assert torch.equal(start, torch.cat([parameter.detach().reshape(-1) for parameter in other.parameters()]))
    assert not torch.equal(trained(model, optimizer, 1, begin=2), start)


def test_the_double_notices_a_weight_that_left_its_buffer(own):
    model = network()
    optimizer = fused('NpuFusedSGD')([{'params': list(model.parameters())}], **SETTINGS)
    trained(model, optimizer, 1)
    model[0].weight.data = model[0].weight.data.clone()
    with pytest.raises(RuntimeError, match='not in the combined buffer'):
        trained(model, optimizer, 1)


def test_a_step_that_is_not_finite_is_left_out_before_and_after_the_first(own):
    model = network()
    optimizer = fused('NpuFusedSGD')([{'params': list(model.parameters())}], **SETTINGS)
    step = OptimizerStep(optimizer)
    for good in (False, True, False, True):
        before = model[3].bias.detach().clone()
        step.zero_grad()
        step.backward(model(torch.arange(64.0).view(2, 2, 4, 4)).sum() * (1.0 if good else float('inf')))
        step.clip()
        step.step()
        assert step.was_applied() is good and torch.equal(model[3].bias, before) is not good
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        step.zero_grad()


@pytest.mark.parametrize('parts, real', [(('amp', 'optimizers'), True), (('optimizers',), False), ((), False)])
def test_apex_is_asked_where_it_is_the_one_of_nvidia_or_ascend(tmp_path, monkeypatch, parts, real):
    """The `apex` on PyPI is something else: its code must not run."""
    (tmp_path / 'apex').mkdir()
    (tmp_path / 'apex' / '__init__.py').write_text('' if real else 'raise SystemExit')
    for part in parts:
        (tmp_path / 'apex' / part).mkdir()
        (tmp_path / 'apex' / part / '__init__.py').write_text('from torch.optim import SGD as FusedSGD\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        if real:
            made = fused('FusedSGD')([{'params': list(network().parameters())}], **SETTINGS)
            assert type(made) is torch.optim.SGD and not made.is_fused_optimizer
        else:
            with pytest.raises(ConfigError, match='FusedSGD is not here for cpu: it comes with apex'):
                fused('FusedSGD')([{'params': list(network().parameters())}], **SETTINGS)
    finally:
        for name in [name for name in sys.modules if name.split('.')[0] == 'apex']:
            del sys.modules[name]
