"""Levels of precision: what computes in which numbers, in a small network and in a detector, in training and in evaluation."""
from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch
from torch import nn

from mmcv_need import device as devices
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.distributed import MMDistributedDataParallel
from mmcv_need.errors import ConfigError, DeviceError
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.precision import Precision
from mmcv_need.torch_versions import has
from mmdet.apis.test import detect
from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder
from mmdet.models.layers import L2Norm

CPU = torch.device('cpu')
SINGLE, HALF, BRAIN = torch.float32, torch.float16, torch.bfloat16
has_float16 = pytest.mark.skipif(not has('float16 on the CPU'), reason='this torch has no float16 on the CPU')
has_bfloat16 = pytest.mark.skipif(not has('autocast in a chosen dtype'), reason='this torch has no autocast on the CPU')
levels = pytest.mark.parametrize('level, dtype', [
    pytest.param('O0', 'float16'), pytest.param('O1', 'bfloat16', marks=has_bfloat16),
    pytest.param('O2', 'bfloat16', marks=has_bfloat16), pytest.param('O1', 'float16', marks=has_float16),
    pytest.param('O2', 'float16', marks=has_float16)])
EPSILON = {'float16': 2.0 ** -10, 'bfloat16': 2.0 ** -7}


def kind(dtype):
    return getattr(torch, dtype)


def scale_for(level, dtype):
    """A loss scale with which nothing below overflows, where one is needed."""
    return 128.0 if level != 'O0' and dtype == 'float16' else None


class Net(nn.Module):
    """Convolution, norm, linear layer, losses of each picture."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.conv, self.norm, self.last = nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Linear(4, 3)
        self.factor = factor

    def forward(self, img, return_loss=True):
        out = self.last(self.norm(self.conv(img)).relu().mean(dim=(2, 3)))
        return {'loss': out.float().square().sum(dim=1) * self.factor}

    @staticmethod
    def summarize_losses(losses, num_samples):
        loss = losses['loss'].sum()
        return {'loss': loss, 'log_vars': {'loss': loss.detach()}, 'num_samples': num_samples}


BATCH = {'img': torch.randn(3, 2, 6, 6, generator=torch.Generator().manual_seed(1))}


def trained(level='O0', dtype='float16', loss_scale=None, factor=1.0, grad_clip=None, steps=1):
    """The network and its precision after steps from fixed weights, and what clipping saw in the last."""
    torch.manual_seed(0)
    precision, net = Precision(CPU, level, dtype, loss_scale), Net(factor)
    wrapper = MMDataParallel(net, CPU, precision=precision)
    step = OptimizerStep(torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9), grad_clip, precision.loss_scale)
    for _ in range(steps):
        outputs = wrapper.train_step(BATCH)
        step.zero_grad()
        step.backward(outputs['loss'])
        said = step.clip()
        step.step()
    return net, precision, said


def start(factor=1.0):
    torch.manual_seed(0)
    return Net(factor)


def differs(net, other):
    """The largest difference of two networks' weights, against their largest weight."""
    pairs = list(zip(net.parameters(), other.parameters()))
    return max((a - b).abs().max().item() for a, b in pairs) / max(b.abs().max().item() for _, b in pairs)


class Kinds:
    """Watches layers: the kinds of number of what each got, of its weight, and of what it gave, at every call."""

    def __init__(self, module, *types):
        self.seen = {}
        for name, layer in module.named_modules():
            if isinstance(layer, types):
                layer.register_forward_hook(lambda layer, given, result, name=name: self.seen.setdefault(name, set()).add(
                    (given[0].dtype, layer.weight.dtype, result.dtype)))


# A small network


@levels
def test_layers_compute_in_the_half_that_was_asked_for_and_all_else_is_float32(level, dtype):
    precision, net = Precision(CPU, level, dtype), start()
    wrapper, kinds, half = MMDataParallel(net, CPU, precision=precision), Kinds(net, nn.Conv2d, nn.Linear), kind(dtype)
    norms = Kinds(net, nn.GroupNorm)
    for _ in range(2):
        outputs = wrapper.train_step(BATCH)
    expected = {'O0': (SINGLE, SINGLE, SINGLE), 'O1': (None, SINGLE, half), 'O2': (half, half, half)}[level]
    for (given, weight, result), in kinds.seen.values():
        assert (weight, result) == expected[1:] and given in ((SINGLE, half) if level == 'O1' else expected[:1])
    assert set(kinds.seen) == {'conv', 'last'}
    (given, weight, _), = norms.seen['norm']
    assert weight == SINGLE and (level == 'O1' or given == SINGLE)
    assert outputs['loss'].dtype == outputs['log_vars']['loss'].dtype == SINGLE
    assert {parameter.dtype for parameter in net.parameters()} == {SINGLE}
    outputs['loss'].backward()
    assert {parameter.grad.dtype for parameter in net.parameters()} == {SINGLE}


@levels
@pytest.mark.parametrize('grad_clip', [None, {'max_norm': 0.5}])
def test_steps_are_those_of_float32_within_the_precision_of_the_half(level, dtype, grad_clip):
    exact, _, norm = trained(grad_clip=grad_clip, steps=3)
    net, _, said = trained(level, dtype, scale_for(level, dtype), grad_clip=grad_clip, steps=3)
    apart = differs(net, exact)
    assert apart == 0 if level == 'O0' else 0 < apart < EPSILON[dtype]
    assert differs(start(), exact) > 4 * EPSILON[dtype]  # there was something to learn
    assert list(said) == list(norm)
    for name, value in said.items():
        assert value.item() == pytest.approx(norm[name].item(), rel=4 * EPSILON[dtype]) and norm[name] > 0.5


@has_float16
@pytest.mark.parametrize('level', ['O1', 'O2'])
def test_gradients_too_small_for_float16_survive_by_the_scale(level):
    factor = 2.0 ** -24
    moved = [(trained(level, 'float16', scale, factor)[0].conv.weight != start(factor).conv.weight).any().item()
             for scale in (1.0, 2.0 ** 20)]
    assert moved == [False, True]


@has_float16
@pytest.mark.parametrize('level', ['O1', 'O2'])
@pytest.mark.parametrize('scale, after', [(None, 2.0 ** 15), ('dynamic', 2.0 ** 15), (2.0 ** 16, 2.0 ** 16)])
def test_a_step_that_overflows_is_left_out_and_a_dynamic_scale_is_halved(level, scale, after):
    net, precision, _ = trained(level, 'float16', scale, factor=1e5)
    assert differs(net, start(1e5)) == 0
    assert precision.loss_scale.scale.item() == after


def gradients_of(make, level, dtype):
    """Of a first step in a wrapper, which is gone when the group is left: else torch may wait for itself there."""
    wrapper = make(start(), CPU, precision=Precision(CPU, level, dtype))
    outputs = wrapper.train_step(BATCH)
    outputs['loss'].backward()
    with torch.no_grad():
        assert torch.equal(wrapper.val_step(BATCH)['loss'], outputs['loss'])
    return [parameter.grad for parameter in wrapper.module.parameters()]


@levels
def test_gradients_are_averaged_over_processes_in_float32(level, dtype, tmp_path):
    """A group of one process shows where they go: through the reducer, to the weights that the optimizer has."""
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        single, several = (gradients_of(make, level, dtype) for make in (MMDataParallel, MMDistributedDataParallel))
    finally:
        torch.distributed.destroy_process_group()
    assert {gradient.dtype for gradient in several} == {SINGLE}
    assert all(torch.equal(a, b) for a, b in zip(single, several))


# A detector


NARROW = {'backbone.width_factor': 1 / 16, 'neck.in_channels': (32, 64), 'neck.out_channels': (32, 64, 32, 16, 16),
          'bbox_head.in_channels': (32, 64, 32, 16, 16)}  # float16 is slow on a CPU
WITHOUT_NORMS = {'backbone.norm_cfg': None, 'neck.norm_cfg': None}  # theirs over two pictures would blow up any rounding
PICTURES = {'img': torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(3)),
            'img_metas': [{'img_shape': (160, 160, 3), 'scale_factor': np.ones(4, np.float32)}] * 2}
TRUTHS = {'gt_bboxes': torch.tensor([[[10., 10, 60, 60], [50, 70, 120, 150]], [[30., 20, 90, 80], [0, 0, 0, 0]]]),
          'gt_labels': torch.tensor([[1, 2], [5, -1]])}


def detector(build_detector, level, dtype, **options):
    torch.manual_seed(4)
    precision = Precision(CPU, level, dtype, scale_for(level, dtype))
    return MMDataParallel(build_detector('ssd_demo.py', **NARROW, **options), CPU, precision=precision), precision


def watched(code, seen):
    def call(self, *given, **named):
        result = code(self, *given, **named)
        seen.update((code.__name__, value.dtype) for value in (*given, result) if torch.is_tensor(value))
        return result
    return call


@pytest.fixture
def coded(monkeypatch):
    """The kinds of number of all that box coding is given and gives."""
    seen = set()
    for name in ('encode_from', 'decode'):
        monkeypatch.setattr(DeltaXYWHBBoxCoder, name, watched(getattr(DeltaXYWHBBoxCoder, name), seen))
    return seen


@levels
def test_a_detector_trains_and_detects_in_half_and_counts_boxes_and_losses_in_float32(build_detector, coded, level, dtype):
    wrapper, precision = detector(build_detector, level, dtype)
    net, half = wrapper.module, SINGLE if level == 'O0' else kind(dtype)
    convolutions, norms = Kinds(net, nn.Conv2d), Kinds(net, nn.BatchNorm2d, L2Norm)
    step = OptimizerStep(torch.optim.SGD(net.parameters(), lr=1e-3), {'max_norm': 10.0}, precision.loss_scale)
    outputs = wrapper.train().train_step({**PICTURES, **TRUTHS})
    step.backward(outputs['loss'])
    assert {value.dtype for value in (outputs['loss'], *outputs['log_vars'].values())} == {SINGLE}
    assert torch.isfinite(outputs['loss'])
    step.clip()
    step.step()
    with torch.no_grad():
        found = detect(wrapper.eval(), PICTURES)
    assert len(convolutions.seen) > 20 and len(norms.seen) > 15
    for name, kinds in convolutions.seen.items():
        assert {(weight, result) for _, weight, result in kinds} == {(half if level == 'O2' else SINGLE, half)}, name
    for name, kinds in norms.seen.items():
        assert {weight for _, weight, _ in kinds} == {SINGLE}, name
        assert level == 'O1' or {given for given, _, _ in kinds} == {SINGLE}, name
    assert coded == {('encode_from', SINGLE), ('decode', SINGLE)}
    assert {kind for parameter in net.parameters() for kind in (parameter.dtype, parameter.grad.dtype)} == {SINGLE}
    for one in found:
        assert one.scores.dtype == one.bboxes.dtype == np.float32 and len(one.scores)
        rounded = torch.from_numpy(one.scores).to(half).float().numpy()
        assert level == 'O0' or (rounded != one.scores).any()  # softmax in half would have given numbers of it


@levels
def test_a_detectors_step_is_that_of_float32_within_the_precision_of_the_half(build_detector, level, dtype):
    results = []
    for given in (('O0', 'float16'), (level, dtype)):
        wrapper, precision = detector(build_detector, *given, **WITHOUT_NORMS)
        step = OptimizerStep(torch.optim.SGD(wrapper.parameters(), lr=1e-3, momentum=0.9), loss_scale=precision.loss_scale)
        before = torch.cat([parameter.detach().flatten() for parameter in wrapper.parameters()])
        outputs = wrapper.train_step({**PICTURES, **TRUTHS})
        step.backward(outputs['loss'])
        step.clip()
        step.step()
        assert step.was_applied()
        after = torch.cat([parameter.detach().flatten() for parameter in wrapper.parameters()])
        results.append((outputs['loss'].item(), after - before))
    (loss, moved), (half_loss, half_moved) = results
    assert half_loss == pytest.approx(loss, rel=EPSILON[dtype] / 4)
    apart = ((half_moved - moved).norm() / moved.norm()).item()
    assert apart == 0 if level == 'O0' else 0 < apart < 40 * EPSILON[dtype]  # twenty layers, one after the other


@levels
def test_detections_are_those_of_float32_within_the_precision_of_the_half(build_detector, level, dtype):
    found = []
    for given in (('O0', 'float16'), (level, dtype)):
        wrapper, _ = detector(build_detector, *given, **WITHOUT_NORMS, **{'test_cfg.max_per_img': 5})
        with torch.no_grad():
            found.append(detect(wrapper.eval(), PICTURES))
    for exact, half in zip(*found):
        np.testing.assert_allclose(half.scores, exact.scores, rtol=0, atol=0 if level == 'O0' else 4 * EPSILON[dtype])


# What can be asked for


@pytest.mark.parametrize('settings, words', [
    ({'opt_level': 'O3'}, r"^opt_level 'O3': expected one of O0, O1, O2$"),
    ({'opt_level': 1}, r'^opt_level 1: expected one of O0, O1, O2$'),
    ({'opt_level': 'O1', 'dtype': 'half'}, r"^dtype 'half': expected one of float16, bfloat16$"),
    ({'loss_scale': 128.0}, r'^loss_scale 128\.0: float32 needs none; leave it out$'),
    ({'dtype': 'bfloat16', 'loss_scale': 'dynamic'}, r"^loss_scale 'dynamic': float32 needs none"),
    ({'opt_level': 'O2', 'dtype': 'bfloat16', 'loss_scale': 128.0}, r'^loss_scale 128\.0: bfloat16 needs none; leave it out$'),
    ({'opt_level': 'O1', 'loss_scale': 0}, r'^loss_scale 0: expected a positive number')])
def test_a_precision_that_is_none_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        Precision(CPU, **settings)


@pytest.mark.parametrize('settings, line', [
    ({}, 'O0, float32'),
    ({'opt_level': 'O1', 'dtype': 'bfloat16'}, 'O1, float32 weights, bfloat16 where autocast holds it safe'),
    ({'opt_level': 'O2', 'dtype': 'bfloat16'}, 'O2, bfloat16 weights and activations, float32 master weights'),
    ({'opt_level': 'O1', 'loss_scale': 128},
     'O1, float32 weights, float16 where autocast holds it safe, loss scale 128'),
    ({'opt_level': 'O2'}, 'O2, float16 weights and activations, float32 master weights, loss scale 65536 at first, dynamic')])
def test_a_precision_says_what_it_is_for_the_log(settings, line, monkeypatch):
    monkeypatch.setattr(devices, 'check_half', lambda device, dtype: None)
    precision = Precision(CPU, **settings)
    assert str(precision) == line and (precision.loss_scale is None) == ('loss scale' not in line)


def test_a_device_that_cannot_is_an_error_at_levels_that_ask_it(monkeypatch):
    asked = []

    def refuse(device, dtype):
        asked.append((device, dtype))
        raise DeviceError('cannot')
    monkeypatch.setattr(devices, 'check_half', refuse)
    Precision(CPU, 'O0')
    for level in ('O1', 'O2'):
        with pytest.raises(DeviceError, match='cannot'):
            Precision(CPU, level, 'bfloat16')
    assert asked == [(CPU, BRAIN)] * 2


def test_the_first_level_is_the_devices_autocast(monkeypatch):
    calls = []
    monkeypatch.setattr(devices, 'check_half', lambda device, dtype: None)
    monkeypatch.setattr(devices, 'autocast', lambda *given: calls.append(given) or contextlib.nullcontext())
    MMDataParallel(start(), CPU, precision=Precision(CPU, 'O1', 'float16')).train_step(BATCH)
    assert calls == [(CPU, HALF)]


@pytest.mark.parametrize('able', [(False, False), (True, False), (False, True)])
def test_bfloat16_without_instructions_for_it_is_told(able, monkeypatch, recwarn):
    monkeypatch.setattr('platform.machine', lambda: 'x86_64')
    for name, there in zip(('_is_avx512_bf16_supported', '_is_amx_tile_supported'), able):
        monkeypatch.setattr(torch.cpu, name, lambda there=there: there, raising=False)
    Precision(torch.device('cpu'), 'O1', 'bfloat16')
    said = [str(warning.message) for warning in recwarn if 'bfloat16' in str(warning.message)]
    assert bool(said) == (not any(able)) and all('float32 is faster here' in line for line in said)
