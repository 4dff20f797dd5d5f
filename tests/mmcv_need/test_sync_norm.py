"""Batch norm over processes: two of them with a part each compute what one does of the whole."""
from __future__ import annotations

import pytest
import torch
from torch import nn

from mmcv_need.sync_norm import SyncBatchNorm

PROGRAM = '''
import sys
import torch
sys.path.insert(0, sys.argv[1])
from mmcv_need.dist_utils import get_dist_info, init_dist
from mmcv_need.sync_norm import SyncBatchNorm
init_dist('pytorch', 'gloo')
rank = get_dist_info()[0]
x, weights = torch.load(sys.argv[2] + '/inputs.pt')
part = [x[:3], x[3:]][rank].clone().requires_grad_()
norm = SyncBatchNorm(4, momentum=0.3)
torch.nn.init.constant_(norm.weight, 1.5)
out = norm(part)
(out * [weights[:3], weights[3:]][rank]).sum().backward()
half = norm(part.detach().half())
torch.save((out.detach(), part.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var, half.dtype,
            norm.eval()(part).detach()), sys.argv[2] + f'/{rank}.pt')
'''


def test_two_processes_with_batches_of_3_and_2_compute_what_one_does_of_5(tmp_path, in_two_processes):
    generator = torch.Generator().manual_seed(0)
    x, weights = (torch.randn(5, 4, 6, 7, generator=generator) * 3 + 20 for _ in range(2))
    torch.save((x, weights), tmp_path / 'inputs.pt')
    in_two_processes(PROGRAM, tmp_path)
    parts = [torch.load(tmp_path / f'{rank}.pt') for rank in range(2)]
    whole = nn.BatchNorm2d(4, momentum=0.3)
    nn.init.constant_(whole.weight, 1.5)
    x.requires_grad_()
    out = whole(x)
    (out * weights).sum().backward()
    whole(x.detach().half().float())
    torch.testing.assert_close(torch.cat([part[0] for part in parts]), out.detach(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.cat([part[1] for part in parts]), x.grad, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(parts[0][2] + parts[1][2], whole.weight.grad, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(parts[0][3] + parts[1][3], whole.bias.grad, rtol=1e-4, atol=1e-2)
    for part in parts:
        torch.testing.assert_close(part[4], whole.running_mean, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(part[5], whole.running_var, rtol=1e-3, atol=1e-4)
        assert part[6] == torch.float16
    torch.testing.assert_close(torch.cat([part[7] for part in parts]), whole.eval()(x).detach(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('training', [True, False])
def test_alone_it_is_a_batch_norm(training):
    x, ours, plain = torch.randn(2, 3, 4, 4), SyncBatchNorm(3).train(training), nn.BatchNorm2d(3).train(training)
    assert ours(x).equal(plain(x)) and list(ours.state_dict()) == list(plain.state_dict())
    assert ours.running_var.equal(plain.running_var)
