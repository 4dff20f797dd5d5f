"""Autocast and torch's own GradScaler on a card."""
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_within_autocast_products_are_in_half_and_losses_in_float32(dtype):
    convolution, x = nn.Conv2d(3, 4, 3).to('npu'), torch.ones(1, 3, 5, 5, device='npu')
    with torch.autocast('npu', dtype=dtype):
        found = convolution(x)
        assert found.dtype == dtype and (x @ x).dtype == dtype
        assert F.log_softmax(found, 1).dtype == torch.float32 and found.exp().dtype == torch.float32
        assert (found + x[:, :1, :3, :3]).dtype == torch.float32
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32  # the CPU has an autocast of its own
    assert convolution(x).dtype == torch.float32


def test_the_autocast_of_old_does_the_same():
    with torch.npu.amp.autocast():
        assert (torch.ones(2, 2, device='npu') @ torch.ones(2, 2, device='npu')).dtype == torch.float16


def test_a_grad_scaler_leaves_out_a_step_that_overflows(cards):
    layer = nn.Linear(2, 1, bias=False).to('npu')
    optimizer, scaler = torch.optim.SGD(layer.parameters(), 0.1), torch.amp.GradScaler('npu', init_scale=8.)
    for scale, moves in ((8., True), (4., False)):
        before = layer.weight.detach().clone()
        optimizer.zero_grad()
        if not moves:
            cards.inject_overflow('aten::mm', 2)  # the gradient of the weight
        scaler.scale(layer(torch.ones(3, 2, device='npu')).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        assert scaler.get_scale() == scale and torch.equal(layer.weight, before) != moves
