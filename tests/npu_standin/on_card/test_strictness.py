"""What a real card refuses is refused, with the operator's name."""
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F


@pytest.mark.parametrize('name, call', [
    ('aten::add', lambda a, b: a + b), ('aten::mul_', lambda a, b: a.mul_(b)), ('aten::cat', lambda a, b: torch.cat([a, b])),
    ('aten::index', lambda a, b: a[b.long()]), ('aten::where', lambda a, b: torch.where(a > 0, a, b)),
    ('aten::convolution', lambda a, b: F.conv1d(a[None, None], b[None, None])), ('aten::mm', lambda a, b: a[None] @ b[:, None]),
    ('aten::add', lambda a, b: torch.add(b, b, out=a))])
@pytest.mark.parametrize('other', ['cpu', 'npu:1'])
def test_tensors_of_two_devices_are_refused_with_both_named(name, call, other):
    with pytest.raises(RuntimeError, match=rf'^{name}: expected all tensors to be on the same device, but found at') as error:
        call(torch.ones(3, device='npu:0'), torch.zeros(3, device=other))
    assert 'npu:0' in str(error.value) and other in str(error.value)


def test_a_number_of_the_host_may_meet_a_card():
    assert (torch.ones(2, device='npu') * torch.tensor(3.)).tolist() == [3., 3.]


def test_a_blocked_operator_is_named(cards):
    cards.block('aten::nonzero')
    with pytest.raises(NotImplementedError, match="The operator 'aten::nonzero' is not supported on this npu"):
        torch.ones(3, device='npu').nonzero()
    assert torch.ones(3).nonzero().shape == (3, 1)  # the CPU has it
    cards.unblock_all()
    assert torch.ones(3, device='npu').nonzero().shape == (3, 1)


@pytest.mark.parametrize('operator, call', [
    ('aten::convolution', lambda x: F.conv1d(x[None, None], x[None, None])), ('aten::_copy_from', lambda x: x.cpu()),
    ('aten::empty', lambda x: torch.empty(3, device='npu')), ('aten::_local_scalar_dense', lambda x: x[0].item())])
def test_operators_with_kernels_of_their_own_can_be_blocked_too(cards, operator, call):
    x = torch.ones(3, device='npu')
    cards.block(operator)
    with pytest.raises(NotImplementedError, match=operator):
        call(x)


@pytest.mark.parametrize('card', [8, 99, -2])
def test_a_card_that_is_not_there_is_refused(card):
    with pytest.raises(RuntimeError, match=rf'npu:{card} does not exist: 8 visible, numbered from 0'):
        torch.npu.set_device(card)
    assert torch.npu.current_device() == 0


def test_a_generator_of_the_host_is_refused_on_a_card():
    with pytest.raises(RuntimeError, match='aten::normal_: expected a generator of an npu, not of cpu'):
        torch.randn(3, device='npu', generator=torch.Generator())


def test_calls_are_counted(cards):
    before = cards.calls('aten::exp')
    torch.ones(1, device='npu').exp()
    torch.ones(1).exp()
    assert cards.calls('aten::exp') == before + 1
