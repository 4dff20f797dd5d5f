"""The optimization step: accumulation, loss scale, clipping, and what is left out."""
from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need import optimizer, torch_versions
from mmcv_need.optim import masked_step as masked
from mmcv_need.optim.loss_scale import LossScale
from mmcv_need.optimizer import OptimizerStep

CPU = torch.device('cpu')
NAN, INF = float('nan'), float('inf')


def make_step(seed=0, optimizer='SGD', lr=0.1, **settings):
    """A step over three parameters; `backward` of `loss_of` gives them gradients that are easy to say."""
    torch.manual_seed(seed)
    weights = [torch.nn.Parameter(torch.randn(shape)) for shape in ((3, 2), (4,), (2, 2, 2))]
    options = {'momentum': 0.9} if optimizer == 'SGD' else {}
    return OptimizerStep(getattr(torch.optim, optimizer)(weights, lr=lr, **options), **settings)


def loss_of(step, seed=0, size=1.0):
    """Its gradients are random numbers of this size."""
    generator = torch.Generator().manual_seed(seed)
    return sum((p * torch.randn(p.shape, generator=generator) * size).sum() for p in step.parameters)


def take(step, loss, spoil=None):
    """A whole step; `spoil` changes the gradients before they are looked at. What clipping says, and if it took effect."""
    step.zero_grad()
    step.backward(loss)
    if spoil:
        spoil(step.parameters)
    said = step.clip()
    step.step()
    return said, step.was_applied()


def values(step):
    return [parameter.detach().clone() for parameter in step.parameters]


def gradients(step):
    return [parameter.grad for parameter in step.parameters]


def same(these, those):
    return all(torch.equal(a, b) for a, b in zip(these, those))


# Accumulation


@pytest.mark.parametrize('cumulative, max_iters, expected', [
    (1, 3, [(0, 0, 1), (1, 1, 1), (2, 2, 1)]),
    (3, 6, [(0, 2, 3), (3, 5, 3)]),
    (4, 10, [(0, 3, 4), (4, 7, 4), (8, 9, 2)]),  # the last averages over what is left
    (4, 9, [(0, 3, 4), (4, 7, 4), (8, 8, 1)]),
    (5, 3, [(0, 2, 3)])])
def test_a_window_begins_and_ends_and_its_iterations_weigh_the_same(cumulative, max_iters, expected):
    """expected: first and last iteration of each step, and how many it has."""
    step = make_step(cumulative_iters=cumulative)
    for start, end, count in expected:
        for i in range(start, end + 1):
            assert step.window(i, max_iters) == (i == start, i == end, 1.0 / count)


@given(cumulative=st.integers(1, 9), max_iters=st.integers(1, 40))
def test_windows_are_those_of_mmcvs_hook(cumulative, max_iters):
    """Its rule: whole windows divide by their length, what remains by its own; the last iteration of the run always steps."""
    whole = max_iters // cumulative * cumulative
    step = make_step(cumulative_iters=cumulative)
    for i in range(max_iters):
        _, last, share = step.window(i, max_iters)
        assert share == 1.0 / (cumulative if i < whole else max_iters - whole)
        assert last == ((i + 1) % cumulative == 0 or i + 1 == max_iters)


@pytest.mark.parametrize('begun, iteration, expected', [
    (21, 21, (True, True, 1.0)), (22, 22, (True, False, 0.5)), (22, 23, (False, True, 0.5)), (20, 21, (False, False, 0.25)),
    (21, 24, (True, False, 0.25))])
def test_a_run_that_goes_on_within_a_step_makes_it_of_what_is_left(begun, iteration, expected):
    step = make_step(cumulative_iters=4 if begun != 21 or iteration == 24 else 2)
    step.begin(begun)
    assert step.window(iteration, 100) == expected


@pytest.mark.parametrize('sizes', [(1,), (4, 4, 2), (3, 3)])
def test_accumulated_iterations_make_the_step_of_one_large_batch(sizes):
    """In float64: four batches of 2 pictures learn what one batch of 8 does; a window that the run cuts, what 4 do."""
    torch.manual_seed(0)
    pictures, runs = torch.randn(2 * sum(sizes), 4, dtype=torch.float64), []
    for count, batches in ((max(sizes), pictures.split(2)), (1, pictures.split([2 * size for size in sizes]))):
        torch.manual_seed(1)
        net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 2)).double()
        step = OptimizerStep(torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), {'max_norm': 3.0},
                             cumulative_iters=count)
        norms = []
        for i, batch in enumerate(batches):
            first, last, share = step.window(i, len(batches))
            if first:
                step.zero_grad()
            step.backward(net(batch).square().sum(dim=1).mean(), share)
            if last:
                norms.append(step.clip()['grad_norm'].item())
                step.step()
        assert len(norms) == len(sizes)
        runs.append((norms, torch.cat([p.detach().flatten() for p in net.parameters()])))
    assert runs[0][0] == pytest.approx(runs[1][0], rel=1e-12)
    torch.testing.assert_close(runs[0][1], runs[1][1], rtol=1e-12, atol=1e-12)


def test_gradients_of_the_step_before_are_gone():
    step = make_step()
    step.backward(loss_of(step, 1))
    step.zero_grad()
    assert gradients(step) == [None] * 3


class Fused(torch.optim.SGD):
    """As Ascend's optimizers, which keep all gradients in one buffer, and refuse to drop them."""
    is_fused_optimizer = True

    def zero_grad(self, set_to_none=False):
        assert not set_to_none
        for weight in self.param_groups[0]['params']:
            if weight.grad is not None:
                weight.grad.zero_()


def test_a_fused_optimizer_empties_its_gradients_in_its_own_way():
    weight = torch.nn.Parameter(torch.ones(2))
    step = OptimizerStep(Fused([weight], lr=0.5))
    for expected in (0.5, 0.0):
        buffer = weight.grad
        take(step, weight.sum())
        assert weight.tolist() == [expected] * 2 and buffer in (None, weight.grad)


# Clipping


@pytest.mark.parametrize('norm_type', [1.0, 2.0, 3.0, INF])
@pytest.mark.parametrize('max_norm', [0.5, 1e6])
def test_clipping_is_torchs_to_the_bit(norm_type, max_norm):
    step, twin = make_step(grad_clip={'max_norm': max_norm, 'norm_type': norm_type}), make_step()
    for one in (step, twin):
        one.backward(loss_of(one, 3))
    said = step.clip()
    expected = torch.nn.utils.clip_grad_norm_(twin.parameters, max_norm, norm_type)
    assert list(said) == ['grad_norm'] and torch.equal(said['grad_norm'], expected)
    assert same(gradients(step), gradients(twin))


def test_the_norm_is_of_all_gradients_by_definition():
    step = make_step(grad_clip={'max_norm': 1.0})
    step.backward(loss_of(step, 3))
    norm = math.sqrt(sum(x * x for gradient in gradients(step) for x in gradient.flatten().tolist()))
    assert step.clip()['grad_norm'].item() == pytest.approx(norm, rel=1e-6) and norm > 1
    assert sum(gradient.square().sum() for gradient in gradients(step)).item() == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize('norm_type', [1.0, 2.0, INF])
@pytest.mark.parametrize('scale', [4096.0, 100.0])
def test_clipping_sees_gradients_without_the_loss_scale(norm_type, scale):
    grad_clip = {'max_norm': 0.5, 'norm_type': norm_type}
    step, twin = make_step(grad_clip=grad_clip, loss_scale=LossScale(scale, CPU)), make_step()
    step.backward(loss_of(step, 3))
    twin.backward(loss_of(twin, 3) * scale)
    for gradient in gradients(twin):
        gradient.div_(scale)
    expected = torch.nn.utils.clip_grad_norm_(twin.parameters, 0.5, norm_type)
    torch.testing.assert_close(step.clip()['grad_norm'], expected)
    for ours, torchs in zip(gradients(step), gradients(twin)):
        torch.testing.assert_close(ours, torchs)


def test_without_clipping_gradients_stay_as_they_are_but_for_the_scale():
    step, scaled, twin = make_step(), make_step(loss_scale=LossScale(256.0, CPU)), make_step()
    for one in (step, scaled, twin):
        one.backward(loss_of(one, 3))
    assert step.clip() == {} == scaled.clip()
    assert same(gradients(step), gradients(twin)) and same(gradients(scaled), gradients(twin))  # a power of two is exact


@pytest.mark.parametrize('norm_type', [1.0, 2.0, INF])
def test_an_older_torch_clips_to_the_same(norm_type, monkeypatch):
    step, twin = [make_step(grad_clip={'max_norm': 0.5, 'norm_type': norm_type}) for _ in range(2)]
    for one in (step, twin):
        one.backward(loss_of(one, 3))
    expected = twin.clip()['grad_norm']
    monkeypatch.setattr(torch_versions, 'TORCH_VERSION', (1, 8))
    torch.testing.assert_close(step.clip()['grad_norm'], expected)
    for new, old in zip(gradients(twin), gradients(step)):
        torch.testing.assert_close(old, new)


# What is left out


@pytest.mark.parametrize('may_wait', [True, False])
@pytest.mark.parametrize('optimizer', ['SGD', 'Adam', 'NAdam'])
def test_a_step_is_the_optimizers_own(optimizer, may_wait):
    step, twin = make_step(optimizer=optimizer, may_wait=may_wait), make_step(optimizer=optimizer)
    for i in range(4):
        assert take(step, loss_of(step, i)) == ({}, True)
        twin.zero_grad()
        loss_of(twin, i).backward()
        twin.optimizer.step()
        assert same(values(step), values(twin))


@pytest.mark.parametrize('grad_clip', [None, {'max_norm': 1.0, 'norm_type': 1.0}, {'max_norm': 1.0},
                                       {'max_norm': 1.0, 'norm_type': INF}])
@pytest.mark.parametrize('bad', [NAN, INF, -INF])
@pytest.mark.parametrize('where', [0, 1, 2])
@pytest.mark.parametrize('may_wait', [True, False])
def test_one_gradient_of_many_that_is_no_number_leaves_the_step_out(grad_clip, bad, where, may_wait):
    step = make_step(grad_clip=grad_clip, may_wait=may_wait)
    take(step, loss_of(step, 0))
    before = values(step)

    def spoil(parameters):
        parameters[where].grad.view(-1)[-1] = bad
    said, applied = take(step, loss_of(step, 1), spoil)
    assert applied is False and same(values(step), before)
    assert not said or not math.isfinite(said['grad_norm'])
    assert take(step, loss_of(step, 2))[1] is True and not same(values(step), before)


@pytest.mark.parametrize('host', [True, False])
@pytest.mark.parametrize('may_wait', [True, False])
@pytest.mark.parametrize('optimizer', ['SGD', 'Adam', 'AdamW', 'RMSprop', 'NAdam', 'Adagrad'])
def test_a_run_goes_on_as_if_bad_steps_had_never_been(optimizer, may_wait, host, monkeypatch):
    """The first step of all is one, and whether anyone asks about them makes no difference."""
    if host:  # counts are on the host, as beside an accelerator
        monkeypatch.setattr(masked, 'on_device', lambda value, weight: isinstance(value, torch.Tensor) and value.dim() > 0)
    step, twin = make_step(optimizer=optimizer, may_wait=may_wait), make_step(optimizer=optimizer)
    for i, bad in enumerate([True, True, False, True, False, False, True, True, False]):
        step.zero_grad()
        step.backward(loss_of(step, i, NAN if bad else 1.0))
        step.clip()
        step.step()
        if i % 2:
            assert step.was_applied() is not bad
        if not bad:
            take(twin, loss_of(twin, i))
        assert same(values(step), values(twin))
    step.was_applied()
    states = [one.optimizer.state_dict()['state'] for one in (step, twin)]
    assert repr(states[0]) == repr(states[1])


def test_what_became_of_a_step_is_said_once():
    step = make_step(may_wait=False)
    assert step.was_applied() is None
    assert take(step, loss_of(step))[1] is True and step.was_applied() is None
    assert take(step, loss_of(step) * NAN)[1] is False and step.was_applied() is None


def test_a_loss_scale_hears_of_every_step():
    scale = LossScale({'init_scale': 16.0, 'growth_interval': 2}, CPU)
    step, seen = make_step(loss_scale=scale, may_wait=False), []
    for size in (1.0, NAN, 1.0, 1.0, INF):
        take(step, loss_of(step, 1, size))
        seen.append(scale.scale.item())
    assert seen == [16.0, 8.0, 8.0, 16.0, 8.0]


def test_a_step_needs_its_gradients_looked_at_first():
    with pytest.raises(AssertionError, match='clip'):
        make_step().step()


def test_the_host_may_look_before_the_step_on_the_cpu_and_where_it_does_not_know_the_optimizer(monkeypatch):
    """Reading costs nothing on the CPU, and a masked step would; of what others remember, nothing is known."""
    assert make_step().may_wait and not make_step(may_wait=False).may_wait
    masks = []
    monkeypatch.setattr(optimizer, 'masked_step', lambda *given: masks.append(given))
    for step in (make_step(), make_step(may_wait=False)):
        for _ in range(2):
            take(step, loss_of(step))
        assert len(masks) == (0 if step.may_wait else 1)
    weights = [torch.nn.Parameter(torch.empty(2, device='meta'))]
    for name in ('SGD', 'AdamW'):
        assert not OptimizerStep(getattr(torch.optim, name)(weights, lr=0.1)).may_wait
    assert OptimizerStep(Fused(weights, lr=0.1)).may_wait
