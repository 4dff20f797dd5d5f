"""Tensors of a card: operators compute what the CPU computes, in place and out of place."""
from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

SHAPE = (2, 3, 16, 16)
OPERATIONS = {
    'add': lambda x: x + 1.5, 'matmul': lambda x: x @ x, 'mean': lambda x: x.mean(dim=(2, 3)), 'sort': lambda x: x.sort(-1)[0],
    'topk': lambda x: x.topk(5)[1], 'cumsum': lambda x: x.cumsum(1), 'cat': lambda x: torch.cat([x, x], 1),
    'where': lambda x: torch.where(x > 0, x, -x), 'masked': lambda x: x[x > 0], 'nonzero': lambda x: (x > 1).nonzero(),
    'index': lambda x: x[:, torch.tensor([2, 0], device=x.device)], 'gather': lambda x: x.gather(3, (x > 0).long()),
    'view': lambda x: x.view(2, -1)[:, 3:9], 'flip': lambda x: x.flip(3), 'half': lambda x: x.half() * 2,
    'in place': lambda x: x.clone().mul_(3).add_(x), 'fill': lambda x: x.clone().masked_fill_(x > 0, -1.),
    'set item': lambda x: (lambda y: (y.__setitem__((0, 1), 7.), y)[1])(x.clone()), 'interpolate': lambda x: F.interpolate(
        x, scale_factor=2, mode='bilinear'), 'out': lambda x: torch.add(x, x, out=torch.empty(0, device=x.device)),
    'unfold': lambda x: x.unfold(2, 3, 2), 'foreach': lambda x: torch._foreach_norm([x, x[0]], 2.0)[1],
    'foreach in place': lambda x: (lambda y: (torch._foreach_mul_([y, y], 2.0), y)[1])(x.clone()),
    'softmax': lambda x: F.log_softmax(x, 1), 'pool': lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
    'bits': lambda x: x.contiguous().view(torch.int32), 'arange': lambda x: torch.arange(3, device=x.device) * 2}


@pytest.mark.parametrize('name', OPERATIONS)
def test_an_operator_gives_what_the_cpu_gives(name):
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    expected, found = OPERATIONS[name](x), OPERATIONS[name](x.to('npu:1'))
    assert found.device == torch.device('npu:1') and found.dtype == expected.dtype
    assert torch.equal(found.cpu(), expected) and found.stride() == expected.stride()


def network():
    torch.manual_seed(2)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                         nn.ConvTranspose2d(8, 4, 2, 2), nn.Flatten(), nn.Linear(4 * 16 * 16, 5))


OPTIMIZERS = {
    'sgd': lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=1e-3),
    'sgd, each': lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, foreach=False),
    'sgd, fused': lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, fused=True),
    'adamw': lambda p: torch.optim.AdamW(p, 1e-2), 'adamw, fused': lambda p: torch.optim.AdamW(p, 1e-2, fused=True),
    'rmsprop': lambda p: torch.optim.RMSprop(p, 1e-3)}


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_training_leaves_the_weights_and_running_statistics_of_the_cpu(name):
    x, labels = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)), torch.tensor([1, 3])
    cpu = network()
    card = copy.deepcopy(cpu).to('npu')
    for net, device in ((cpu, 'cpu'), (card, 'npu')):
        optimizer = OPTIMIZERS[name](net.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(net(x.to(device)), labels.to(device)).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
    assert cpu[1].running_mean.abs().sum() > 0
    for key, value in cpu.state_dict().items():
        torch.testing.assert_close(card.state_dict()[key].cpu(), value, rtol=1e-6, atol=1e-7)


def test_a_view_shares_memory_with_its_base_also_in_inference():
    base = torch.zeros(2, 3, device='npu')
    base.view(6)[1] = 5.
    base.t()[2, 1] = 7.
    assert base.tolist() == [[0., 5., 0.], [0., 0., 7.]]
    with torch.inference_mode():
        assert network().to('npu').eval()(torch.ones(SHAPE, device='npu')).view(-1).shape == (10,)
        assert base.view(3, 2)[0].tolist() == [0., 5.]


def test_an_image_keeps_its_layout_on_the_way_to_a_card_and_back():
    image = torch.randn(SHAPE).to(memory_format=torch.channels_last)
    there = image.to('npu:2')
    assert there.is_contiguous(memory_format=torch.channels_last)
    assert (there * 2).cpu().is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(there.clone().cpu(), image)


def test_a_module_moves_by_the_method_of_the_device():
    assert {p.device for p in network().npu().parameters()} == {torch.device('npu:0')}
    assert torch.ones(2, device='npu').is_npu and not torch.ones(2).is_npu


def test_torch_knows_the_cards_as_its_accelerator():
    assert torch.accelerator.current_accelerator() == torch.device('npu') and torch.accelerator.device_count() == 8
    assert torch.npu.is_available() and torch.npu.device_count() == 8


def test_dropout_draws_from_the_card():
    torch.npu.manual_seed_all(4)
    before = torch.get_rng_state()
    first = F.dropout(torch.ones(100, device='npu'), 0.5)
    torch.npu.manual_seed_all(4)
    assert torch.equal(F.dropout(torch.ones(100, device='npu'), 0.5), first)
    assert sorted(set(first.tolist())) == [0., 2.] and torch.equal(torch.get_rng_state(), before)
