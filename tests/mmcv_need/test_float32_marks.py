"""auto_fp16 and force_fp32: what a marked method sees and computes in."""
from __future__ import annotations

import pytest
import torch

from mmcv_need.float32_marks import auto_fp16, force_fp32
from mmcv_need.torch_versions import has


class Head:
    @force_fp32(apply_to=('scores',))
    def named(self, scores, weights=None):
        return scores, weights

    @force_fp32()
    def all(self, scores, weights=None, *others):
        return scores, weights, others

    @force_fp32(apply_to=('a', 'b'))
    def product(self, a, b):
        return a @ b

    @auto_fp16(apply_to=('x',))
    def forward(self, x):
        return x

    @auto_fp16(out_fp32=True)
    def out(self, x):
        return [x, {'y': x}]


HALF = torch.ones(2, 2, dtype=torch.bfloat16)


def test_the_arguments_that_are_named_become_float32():
    found = Head().named([HALF, (HALF, 3)], weights=HALF)
    assert found[0][0].dtype == found[0][1][0].dtype == torch.float32 and found[0][1][1] == 3
    assert found[1].dtype == torch.bfloat16
    assert Head().named(scores={'a': HALF})[0]['a'].dtype == torch.float32


def test_without_names_all_become_float32_and_integers_stay():
    scores, weights, others = Head().all(HALF, torch.ones(2, dtype=torch.int64), 'text')
    assert scores.dtype == torch.float32 and weights.dtype == torch.int64 and others == ('text',)


@pytest.mark.skipif(not has('autocast in a chosen dtype'), reason='this torch has no autocast on the CPU')
def test_within_it_autocast_is_off():
    with torch.autocast('cpu', dtype=torch.bfloat16):
        plain, inside = torch.ones(2, 2) @ torch.ones(2, 2), Head().product(torch.ones(2, 2), torch.ones(2, 2))
        again = torch.ones(2, 2) @ torch.ones(2, 2)
    assert (plain.dtype, inside.dtype, again.dtype) == (torch.bfloat16, torch.float32, torch.bfloat16)


def test_auto_fp16_leaves_precision_to_the_run():
    assert Head().forward(HALF) is HALF
    out = Head().out(HALF)
    assert out[0].dtype == out[1]['y'].dtype == torch.float32
