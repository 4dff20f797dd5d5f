"""Steps that a flag on the device lets through or not: to the bit the optimizer's own, or none at all.

On a CPU there is no other device; `split` makes one of it: small values of an optimizer's state then count as the host's, as
those of Adam do beside weights on an accelerator.
"""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mmcv_need import device as devices
from mmcv_need.optim import masked_step as module
from mmcv_need.optim.fused_optimizers import accept_late_weights
from mmcv_need.optim.masked_step import masked_step
from mmcv_need.optimizer import OptimizerStep

OPTIMIZERS = [
    ('SGD', {}), ('SGD', {'momentum': 0.9, 'weight_decay': 1e-2}), ('SGD', {'momentum': 0.9, 'nesterov': True}),
    ('SGD', {'momentum': 0.9, 'dampening': 0.5}), ('Adam', {}), ('Adam', {'amsgrad': True}), ('AdamW', {'weight_decay': 0.1}),
    ('Adamax', {}), ('RMSprop', {}), ('RMSprop', {'centered': True, 'momentum': 0.5}), ('Adagrad', {}), ('Adadelta', {}),
    ('Rprop', {}), ('ASGD', {'t0': 2}), ('NAdam', {}), ('RAdam', {}), ('Adafactor', {})]
if devices.fuses_updates(torch.device('cpu')):
    OPTIMIZERS += [('SGD', {'fused': True}), ('SGD', {'momentum': 0.9, 'weight_decay': 1e-2, 'fused': True}),
                   ('Adam', {'amsgrad': True, 'fused': True}), ('AdamW', {'weight_decay': 0.1, 'fused': True})]
OPTIMIZERS = [(name, options) for name, options in OPTIMIZERS if hasattr(torch.optim, name)]  # old versions lack the last ones
each = pytest.mark.parametrize('name, options', OPTIMIZERS, ids=[' '.join([name, *options]) for name, options in OPTIMIZERS])


@pytest.fixture(params=['one device', 'host and device'])
def split(request, monkeypatch):
    """Whether all of an optimizer's state is on the device, or its counts are on the host."""
    if request.param == 'host and device':
        monkeypatch.setattr(module, 'on_device', lambda value, weight: isinstance(value, torch.Tensor) and value.dim() > 0)
    return request.param


class Run:
    """An optimizer that makes one step after the other, each by a gradient that follows from its number."""

    def __init__(self, name, options):
        generator = torch.Generator().manual_seed(0)
        self.weights = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((4, 3), (5,), (2, 2))]
        self.optimizer = getattr(torch.optim, name)(self.weights, lr=0.05, **options)
        if name == 'SGD' and options.get('fused'):
            accept_late_weights(self.optimizer)

    def give_gradients(self, number, bad=False):
        generator = torch.Generator().manual_seed(100 + number)
        for weight in self.weights[:2]:  # the last one has none
            weight.grad = torch.randn(weight.shape, generator=generator)
        if bad:
            self.weights[1].grad[number % 5] = (float('nan'), float('inf'))[number % 2]

    def plain_step(self, number):
        self.give_gradients(number)
        self.optimizer.step()

    def step(self, number, bad=False):
        """As the runner does it: the host hears of the flag after the step, and before the next."""
        self.give_gradients(number, bad)
        put_back = masked_step(self.optimizer, torch.tensor(not bad))
        if bad:
            put_back()

    def state(self):
        """Weights and all that the optimizer remembers, as bytes, with the kind and device of each."""
        kept = [[(key, described(value)) for key, value in sorted(self.optimizer.state.get(weight, {}).items())]
                for weight in self.weights]
        return [described(weight) for weight in self.weights], kept


def described(value):
    return (str(value.dtype), value.detach().numpy().tobytes()) if isinstance(value, torch.Tensor) else (type(value), value)


@each
def test_a_step_that_applies_is_the_optimizers_own(name, options, split):
    plain, masked = Run(name, options), Run(name, options)
    for number in range(5):
        plain.plain_step(number)
        masked.plain_step(number) if number == 0 else masked.step(number)
        assert masked.state() == plain.state()


@each
def test_a_step_that_does_not_apply_has_never_been(name, options, split):
    plain, masked = Run(name, options), Run(name, options)
    for number, bad in enumerate([False, True, False, False, True, True, True, False, True, False]):
        if not bad:
            plain.plain_step(number)
        masked.plain_step(number) if number == 0 else masked.step(number, bad)
        assert masked.state() == plain.state()


@each
def test_weights_and_state_on_the_device_are_right_before_the_host_knows(name, options, split):
    run = Run(name, options)
    run.plain_step(0)
    weights, state = run.state()
    shapes = [{key: getattr(value, 'shape', None) for key, value in run.optimizer.state.get(weight, {}).items()}
              for weight in run.weights]
    run.give_gradients(1, bad=True)
    masked_step(run.optimizer, torch.tensor(False))
    after_weights, after_state = run.state()
    assert after_weights == weights
    for before, after, shape in zip(state, after_state, shapes):
        for (key, old), (_, new) in zip(before, after):
            assert new == old or (split == 'host and device' and shape[key] in (None, torch.Size([]))), key


@each
def test_the_first_step_of_all_may_be_one_that_does_not_apply(name, options, split):
    """There is no state then; the optimizer makes it at its next step."""
    plain, masked = Run(name, options), Run(name, options)
    masked.step(7, bad=True)
    for number in range(3):
        plain.plain_step(number)
        masked.step(number)
        assert masked.state()[0] == plain.state()[0]
    assert masked.state() == plain.state()


@each
def test_a_weight_that_learns_for_the_first_time_in_a_bad_step_has_the_state_that_it_had(name, options, split):
    plain, masked = Run(name, options), Run(name, options)
    late = torch.full((2, 2), 0.5)
    for run in (plain, masked):
        run.plain_step(0)
    masked.weights[2].grad = late.clone()
    masked.step(1, bad=True)
    assert masked.state() == plain.state()
    for run in (plain, masked):
        run.weights[2].grad = late.clone()
    plain.plain_step(2)
    masked.step(2)
    assert masked.state() == plain.state()


class Counting(torch.optim.Optimizer):
    """Counts its steps in an int, as Adam did in old versions of torch."""

    def __init__(self, weights):
        super().__init__(weights, {'lr': 1.0})

    @torch.no_grad()
    def step(self):
        for weight in self.param_groups[0]['params']:
            state = self.state[weight]
            state['step'] = state.get('step', 0) + 1
            state['buffer'] = state.get('buffer', 0) + weight.grad  # a new tensor in every step
            weight.add_(weight.grad, alpha=-1.0 / state['step'])


def test_an_int_that_counts_steps_is_put_back_and_so_is_a_tensor_that_is_made_anew():
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = Counting([weight])
    weight.grad = torch.ones(2)
    optimizer.step()
    weight.grad = torch.tensor([1.0, float('nan')])
    put_back = masked_step(optimizer, torch.tensor(False))
    assert optimizer.state[weight]['step'] == 2  # the host does not know yet
    put_back()
    assert optimizer.state[weight]['step'] == 1 and optimizer.state[weight]['buffer'].tolist() == [1.0, 1.0]
    weight.grad = torch.ones(2)
    masked_step(optimizer, torch.tensor(True))
    assert weight.tolist() == [-1.5, -1.5] and optimizer.state[weight]['step'] == 2


def test_weights_stay_the_same_tensors_and_so_do_those_of_the_state():
    """Wrappers and averages of weights hold on to them."""
    run = Run('SGD', {'momentum': 0.9})
    run.plain_step(0)
    before = [weight.data_ptr() for weight in run.weights]
    buffer = run.optimizer.state[run.weights[0]]['momentum_buffer']
    run.step(1, bad=True)
    run.step(2)
    assert [weight.data_ptr() for weight in run.weights] == before
    assert run.optimizer.state[run.weights[0]]['momentum_buffer'] is buffer


@pytest.mark.parametrize('may_wait', [True, False])
@pytest.mark.parametrize('cumulative_iters', [1, 2])
def test_a_step_that_is_left_out_leaves_no_trace_in_running_statistics(may_wait, cumulative_iters):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    step = OptimizerStep(torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), cumulative_iters=cumulative_iters,
                         buffers=net.buffers(), may_wait=may_wait)

    def take(factor):
        step.zero_grad()
        for _ in range(cumulative_iters):
            step.backward(net(torch.randn(5, 3) * factor).square().sum(), 1 / cumulative_iters)
        step.clip()
        step.step()
        return [buffer.clone() for buffer in net.buffers()]
    good = take(1.0)
    assert good[0].abs().sum() > 0 and good[2] == cumulative_iters  # running mean, batches seen
    bad = take(float('inf'))
    assert all(torch.equal(a, b) for a, b in zip(good, bad))
    assert not torch.equal(take(1.0)[0], good[0])


@pytest.mark.parametrize('may_wait', [True, False])
def test_where_overflow_saturates_the_devices_status_decides(monkeypatch, may_wait):
    """As on the first Ascend 910: the gradients are finite, and wrong."""
    status = {'cleared': 0, 'overflowed': False}
    monkeypatch.setattr(devices, 'saturates', lambda device: True)
    monkeypatch.setattr(devices, 'clear_overflow', lambda device: status.update(cleared=status['cleared'] + 1))
    monkeypatch.setattr(devices, 'overflowed', lambda device: torch.tensor(status['overflowed']))
    weight = torch.nn.Parameter(torch.ones(3))
    step = OptimizerStep(torch.optim.SGD([weight], lr=0.1, momentum=0.9), may_wait=may_wait)
    moved = []
    for overflow in (False, True, False):
        status['overflowed'], before = overflow, weight.detach().clone()
        step.zero_grad()
        step.backward(weight.square().sum())
        step.clip()
        step.step()
        moved.append(not torch.equal(before, weight))
        assert step.was_applied() is not overflow
    assert moved == [True, False, True] and status['cleared'] == 3


def test_the_status_of_a_device_that_saturates_is_read_by_its_own_stack(monkeypatch):
    """With a stand-in for torch_npu, both of whose ways to answer count."""
    for answers, writes in (([1.0], [0.0]), ([0.0], [1.0]), ([0.0], [0.0])):
        def read(given, answers=answers, writes=writes):
            given[0] = writes[0]
            return torch.tensor(answers)
        fake = SimpleNamespace(npu_get_float_status=read)
        monkeypatch.setattr(devices.importlib, 'import_module', lambda name, fake=fake: fake)
        assert bool(devices.overflowed(torch.device('cpu'))) == (answers != writes)
    assert not devices.saturates(torch.device('cpu'))
