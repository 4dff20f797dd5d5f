"""Level O2: what layers see within the context, what the optimizer sees always, and that nothing is left behind."""
from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mmcv_need.half_weights import HalfWeights
from mmcv_need.torch_versions import has

HALVES = [torch.bfloat16] + [torch.float16] * (has('float16 on the CPU'))  # older ones lack float16 on the CPU


class Scaling(nn.Module):
    """A layer of float32 that is no norm, made of others."""
    keeps_float32 = True

    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, width, bias=False), nn.ReLU())
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.inner(x) * self.weight


class Net(nn.Module):
    """Layers of every kind: two that share a weight, norms, one that keeps float32, one that does not learn."""

    def __init__(self):
        super().__init__()
        self.names = nn.Embedding(5, 4)
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm1d(4)
        self.scaling = Scaling(4)
        self.frozen = nn.Linear(4, 3)
        self.frozen.weight.requires_grad = False

    def forward(self, x, index):
        x = self.norm(self.first(x) + self.names(index))
        return self.frozen(self.scaling(self.second(x)))


def inputs(n=6):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(n, 4, generator=generator), torch.arange(n) % 5


def values_of(net):
    """All parameters and buffers, under every name that they have."""
    return {f'{name}.{key}': value for name, layer in net.named_modules()
            for key, value in [*layer._parameters.items(), *layer._buffers.items()]}


def dtypes(net, *given):
    """For each layer that was called: the kinds of what it got, of its own weights, and of what it gave."""
    seen, handles = {}, []
    for name, layer in net.named_modules():
        def look(layer, given, result, name=name):
            own = {getattr(layer, key).dtype for key in layer._parameters if getattr(layer, key) is not None}
            seen[name] = ({value.dtype for value in given if value.is_floating_point()}, own, {result.dtype})
        handles.append(layer.register_forward_hook(look))
    net(*given)
    for handle in handles:
        handle.remove()
    return seen


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net()


@pytest.mark.parametrize('half', HALVES)
def test_layers_see_half_weights_and_activations_and_norms_compute_in_float32_between_them(net, half):
    computing, single = HalfWeights(net, half), {torch.float32}
    with computing():
        seen = dtypes(net, *inputs())
    for name in ('first', 'second', 'frozen'):
        assert seen[name] == ({half}, {half}, {half}), name
    assert seen['names'] == (set(), {half}, {half})
    assert seen['norm'] == (single, single, {half})
    assert seen['scaling'] == (single, single, {half})
    assert seen['scaling.inner.0'] == (single, single, single)  # a part of what keeps float32 is not cast on its own
    assert seen[''][2] == {half}


@pytest.mark.parametrize('layer', [nn.BatchNorm2d(4), nn.InstanceNorm2d(4, affine=True), nn.GroupNorm(2, 4), nn.LayerNorm(3),
                                   nn.LocalResponseNorm(2)], ids=lambda layer: type(layer).__name__)
def test_every_norm_computes_in_float32(layer):
    """To the bits of float32 on the same values, which half arithmetic would not have; the result is half."""
    x = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0)).half()
    expected = copy.deepcopy(layer)(x.float()).half()
    computing = HalfWeights(layer, torch.float16)
    with computing():
        result = layer(x)
        assert all(parameter.dtype == torch.float32 for parameter in layer.parameters())
    assert result.dtype == torch.float16 and torch.equal(result, expected)


@pytest.mark.parametrize('half', HALVES)
def test_gradients_are_float32_at_the_weights_that_the_optimizer_has(net, half):
    computing, parameters = HalfWeights(net, half), dict(net.named_parameters())
    with computing():
        result = net(*inputs()).float()
    result.square().sum().backward()
    assert {name for name, parameter in parameters.items() if parameter.grad is None} == {'frozen.weight'}
    assert {p.grad.dtype for p in parameters.values() if p.grad is not None} == {torch.float32}
    assert net.norm.running_mean.dtype == torch.float32


@pytest.mark.parametrize('half', HALVES)
def test_a_weight_of_two_layers_is_cast_once_and_gets_the_sum_of_both_gradients(half):
    """Small whole numbers are exact in every kind, so that the gradients must be the ones of float32 to the bit."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    for parameter in net.parameters():
        parameter.data = torch.randint(-2, 3, parameter.shape).float()
    net[1].weight = net[0].weight
    x = torch.randint(-2, 3, (2, 3)).float()
    net(x).sum().backward()
    expected = [parameter.grad.clone() for parameter in net.parameters()]
    computing = HalfWeights(net, half)
    net.zero_grad()
    with computing():
        assert net[0].weight is net[1].weight and net[0].weight.dtype == half
        net(x).float().sum().backward()
    for parameter, gradient in zip(net.parameters(), expected):
        assert torch.equal(parameter.grad, gradient)


def test_a_weight_that_float32_and_half_layers_share_is_what_each_needs():
    norm, layer = nn.LayerNorm(4), nn.PReLU(4)
    layer.weight = norm.weight
    net = nn.Sequential(norm, layer)
    computing = HalfWeights(net, torch.bfloat16)
    with computing():
        assert (norm.weight.dtype, layer.weight.dtype) == (torch.float32, torch.bfloat16)
        net(torch.randn(2, 4)).float().sum().backward()
    assert norm.weight.grad.dtype == torch.float32


# Nothing is left behind


@pytest.mark.parametrize('half', HALVES)
def test_the_state_and_the_parameters_are_the_same_float32_tensors_within_the_context_too(net, half):
    computing, before = HalfWeights(net, half), list(net.parameters())
    values = {key: value.clone() for key, value in net.state_dict().items()}
    with computing():
        assert all(a is b for a, b in zip(net.parameters(), before))
        state = net.state_dict()
        assert list(state) == list(values)
        for key, value in state.items():
            assert value.dtype == values[key].dtype and torch.equal(value, values[key]), key
            assert value.data_ptr() == values_of(net)[key].data_ptr(), key


@pytest.mark.parametrize('fails', [False, True])
def test_leaving_the_context_gives_each_layer_its_own_parameter_back(net, fails):
    computing = HalfWeights(net, torch.bfloat16)
    before, expected = values_of(net), net(*inputs())
    net.norm.reset_running_stats()
    try:
        with computing():
            net(*inputs())
            if fails:
                raise ArithmeticError
    except ArithmeticError:
        pass
    assert not computing.active
    for layer, name in computing.places:
        assert name not in vars(layer) and getattr(layer, name) is layer._parameters[name]
    assert all(value is before[key] for key, value in values_of(net).items())
    net.norm.reset_running_stats()
    result = net(*inputs())
    assert result.dtype == torch.float32 and torch.equal(result, expected)


def test_a_weight_that_a_step_has_changed_is_the_next_forwards(net):
    computing = HalfWeights(net, torch.bfloat16)
    with computing():
        first = net.first.weight.clone()
    with torch.no_grad():
        net.first.weight.add_(1.0)
    with computing():
        assert torch.equal(net.first.weight, net.first._parameters['weight'].bfloat16())
        assert not torch.equal(net.first.weight, first)


def test_evaluation_in_half_keeps_no_graph(net):
    computing = HalfWeights(net.eval(), torch.bfloat16)
    with torch.no_grad(), computing():
        result = net(*inputs())
    assert result.dtype == torch.bfloat16 and not result.requires_grad


def test_what_is_no_floating_point_tensor_goes_through_as_it_is():
    class Taking(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self, *given):
            self.given = given
            return self.weight
    layer, given = Taking(), (torch.arange(2), torch.tensor([True]), None, 'mean', [torch.ones(1)])
    computing = HalfWeights(layer, torch.float16)
    with computing():
        layer(*given)
    assert all(a is b for a, b in zip(layer.given, given))
