"""A training step at every level of precision asks nothing of the device; its flag is read at the next."""
from __future__ import annotations

import pytest
import torch

from mmcv_need.builder import OPTIMIZERS
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.optim import flags
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.precision import Precision
from mmcv_need.torch_versions import has

CPU = torch.device('cpu')


class Net(torch.nn.Module):
    """What a detector is to the engine: losses of each image."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 2))

    def forward(self, img, return_loss):
        return {'loss': self.layers(img).float().square().sum(dim=1)}

    @staticmethod
    def summarize_losses(losses, num_samples):
        loss = losses['loss'].mean()
        return {'loss': loss, 'log_vars': {'loss': loss.detach()}, 'num_samples': num_samples}


Mode = getattr(getattr(torch.utils, '_python_dispatch', None), 'TorchDispatchMode', object)


class Waits(Mode):
    """Collects the operations that ask a device for a value, whose shapes depend on one, or that copy between devices."""
    names = {'aten::_local_scalar_dense', 'aten::item', 'aten::nonzero', 'aten::is_nonzero', 'aten::equal',
             'aten::masked_select', 'aten::allclose', 'aten::index'}

    def __init__(self):
        super().__init__()
        self.seen, self.total = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, result = func._schema.name, func(*args, **(kwargs or {}))
        self.total += 1
        places = {value.device for value in (*args[:2], result) if torch.is_tensor(value)}
        if name in self.names or (name in ('aten::_to_copy', 'aten::copy_') and len(places) > 1):
            self.seen.append(name)
        return result


needs_modes = pytest.mark.skipif(Mode is object, reason='this torch does not show its operations')


class Readings:
    """Stands for flags.read_later: remembers when flags were sent to the host and when they were read there."""

    def __init__(self):
        self.events, self.sent = [], 0

    def __call__(self, flag):
        value, number = flag.numpy().copy(), self.sent
        self.events.append(('sent', number))
        self.sent += 1

        def read():
            self.events.append(('read', number))
            return bool(value)
        return read


def train_three_steps(device, level, dtype, resumed):
    """What each of them asked of the device."""
    torch.manual_seed(0)
    scale = {'init_scale': 8.0} if level != 'O0' and dtype == 'float16' else None  # one with which nothing overflows
    precision, net = Precision(device, level, dtype, scale), Net()
    wrapper = MMDataParallel(net, device, precision=precision)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    if resumed:
        net(torch.ones(1, 4, device=device), True)['loss'].sum().backward()
        optimizer.step()
    step = OptimizerStep(optimizer, {'max_norm': 1.0}, precision.loss_scale, may_wait=False)
    waits = []
    for _ in range(3):
        batch = {'img': torch.randn(3, 4, device=device)}
        with Waits() as mode:
            outputs = wrapper.train_step(batch)
            step.zero_grad()
            step.backward(outputs['loss'])
            step.clip()
            step.step()
        assert mode.total > 30
        waits.append(mode.seen)
    return waits


@needs_modes
@pytest.mark.parametrize('level, dtype', [('O0', 'float16'), ('O1', 'bfloat16'), ('O2', 'bfloat16')] +
                         [('O1', 'float16'), ('O2', 'float16')] * (has('float16 on the CPU')))
@pytest.mark.parametrize('resumed', [False, True])
def test_a_training_step_asks_nothing_of_the_device(level, dtype, resumed, monkeypatch):
    """From the batch to the changed weights. Only the very first step of a run waits, once; none of a resumed run does."""
    readings = Readings()
    monkeypatch.setattr(flags, 'read_later', readings)
    assert train_three_steps(CPU, level, dtype, resumed) == [[] if resumed else ['aten::_local_scalar_dense'], [], []]
    assert readings.events == [('sent', 0), ('read', 0), ('sent', 1), ('read', 1), ('sent', 2)]


@needs_modes
@pytest.mark.parametrize('level', ['O0', 'O2'])
def test_a_training_step_takes_place_without_any_values(level, monkeypatch):
    """On the meta device there is nothing to ask for, and the host is another device."""
    monkeypatch.setattr(flags, 'read_later', lambda flag: lambda: True)
    assert train_three_steps(torch.device('meta'), level, 'float16', resumed=True) == [[], [], []]


@pytest.mark.parametrize('name', sorted(name for name, kind in OPTIMIZERS.module_dict.items() if isinstance(kind, type)))
def test_an_optimizer_asks_nothing_of_the_device_but_for_those_that_docs_name(name, monkeypatch):
    """Asking a tensor of the meta device for its value is an error. docs/en/engine.md names the two that do."""
    monkeypatch.setattr(flags, 'read_later', lambda flag: lambda: True)
    weight = torch.nn.Parameter(torch.zeros(2, 3, device='meta'))
    step = OptimizerStep(getattr(torch.optim, name)([weight], lr=0.1), {'max_norm': 1.0}, may_wait=False)
    step.optimizer.state[weight]  # there is something to put back, as there is from the second step on

    def train():
        for _ in range(2):
            step.zero_grad()
            step.backward((weight * 2).sum())
            step.clip()
            step.step()
    if name in ('ASGD', 'Adafactor'):
        with pytest.raises(RuntimeError, match='meta'):
            train()
    else:
        train()


@needs_modes
@pytest.mark.parametrize('ask', [lambda x: bool(x.sum() > 0), lambda x: x.nonzero(), lambda x: x.to('meta'), lambda x: x[x > 0],
                                 lambda x: torch.empty(2, device='meta').copy_(x)])
def test_waiting_is_noticed(ask):
    with Waits() as mode:
        ask(torch.ones(2))
    assert mode.seen
