"""Half precision: what computes in float16, what does not, and that no overflowing step is taken."""
from __future__ import annotations

import pytest
import torch

from mmcv_need import device as devices
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.errors import ConfigError, DeviceError
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.precision import HalfPrecision

CPU = torch.device('cpu')


class Net(torch.nn.Module):
    """Remembers the dtype that its layer computes in."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)
        self.factor = factor

    def forward(self, img, return_loss):
        out = self.layer(img)
        self.seen = out.dtype
        return {'loss': out.float().square().sum(dim=1) * self.factor}

    @staticmethod
    def summarize_losses(losses, num_samples):
        return {'loss': losses['loss'].sum(), 'log_vars': {}, 'num_samples': num_samples}


def one_step(half=None, factor=1.0, grad_clip=None):
    """The network after a step from fixed weights, and the norm that clipping saw."""
    torch.manual_seed(0)
    net = Net(factor)
    wrapper = MMDataParallel(net, CPU, autocast=half.autocast) if half else MMDataParallel(net, CPU)
    step = OptimizerStep(torch.optim.SGD(net.parameters(), lr=0.1), grad_clip, half)
    outputs = wrapper.train_step({'img': torch.linspace(-1, 1, 12).reshape(3, 4)})
    step.zero_grad()
    step.backward(outputs['loss'])
    norm = step.clip()
    step.step()
    return net, norm


@pytest.mark.parametrize('scale', [128.0, 512, {'init_scale': 64.0, 'growth_interval': 2}])
def test_layers_compute_in_float16_and_the_step_is_the_one_of_float32(scale):
    exact, _ = one_step()
    net, _ = one_step(HalfPrecision(CPU, scale))
    assert (exact.seen, net.seen) == (torch.float32, torch.float16)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}
    torch.testing.assert_close(net.layer.weight, exact.layer.weight, rtol=2e-3, atol=2e-3)
    assert not torch.equal(net.layer.weight, exact.layer.weight)


def test_gradients_too_small_for_float16_survive_by_the_scale():
    torch.manual_seed(0)
    start = Net().layer.weight.detach().clone()
    moved = [not torch.equal(one_step(HalfPrecision(CPU, scale), factor=2.0 ** -18)[0].layer.weight, start)
             for scale in (2.0 ** -9, 2.0 ** 14)]
    assert moved == [False, True]


@pytest.mark.parametrize('scale, after', [('dynamic', 2.0 ** 15), (2.0 ** 16, 2.0 ** 16)])
def test_a_step_that_overflows_is_left_out_and_a_dynamic_scale_is_halved(scale, after):
    half = HalfPrecision(CPU, scale)
    torch.manual_seed(0)
    start = Net().layer.weight.detach().clone()
    net, _ = one_step(half, factor=1e4)
    assert torch.equal(net.layer.weight, start)
    assert half.scaler.get_scale() == after


def test_clipping_sees_the_gradients_without_the_scale():
    clip = {'max_norm': 0.5}
    exact, norm = one_step(grad_clip=clip)
    net, scaled = one_step(HalfPrecision(CPU, 1024.0), grad_clip=clip)
    assert scaled['grad_norm'].item() == pytest.approx(norm['grad_norm'].item(), rel=2e-3)
    assert norm['grad_norm'].item() > 0.5
    torch.testing.assert_close(net.layer.weight, exact.layer.weight, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize('scale', [0, -1.0, 'static', None, {'scale': 2.0}, {'init_scale': 0.0}, [512.0]])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ConfigError, match=r"expected a positive number such as .*, 'dynamic', or a dict of init_scale"):
        HalfPrecision(CPU, scale)


@pytest.mark.parametrize('make', [devices.autocast, devices.grad_scaler])
def test_a_torch_without_float16_on_the_cpu_says_so_and_does_not_go_on_in_float32(make, monkeypatch):
    monkeypatch.setattr(devices, 'TORCH_VERSION', (1, 13))
    monkeypatch.delattr(torch.amp, 'GradScaler')
    with pytest.raises(DeviceError, match=r'it takes 2\.3\. Leave out fp16'):
        make(CPU)
