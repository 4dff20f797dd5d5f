"""Losses by compiled functions: the same numbers, one translation for each length of the boxes, and nothing else changed."""
from __future__ import annotations

import copy
import shutil

import pytest
import torch

from mmcv_need.compiling import Compiling
from mmcv_need.config import Config
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.precision import Precision
from mmcv_need.registry import build
from mmcv_need.torch_versions import has
from mmdet.models import DETECTORS

CPU, SIDE = torch.device('cpu'), 160
pytestmark = [pytest.mark.skipif(not has('torch.compile'), reason='torch.compile came with torch 2'),
              pytest.mark.filterwarnings('ignore:`torch.jit'),  # torch's own, which compiling imports
              pytest.mark.filterwarnings('ignore:The .grad attribute')]  # and its look at the half copies of weights


def demo():
    cfg = Config.fromfile('configs/ssd_demo.py')
    cfg.model.train_cfg['neg_pos_ratio'] = 1e6  # all negatives: which of two equal ones is mined depends on rounding
    torch.manual_seed(0)
    return build(cfg, DETECTORS, key='model').train()


def batch(length, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(2, length, 2, generator=generator) * 80
    img = torch.randn(2, 3, SIDE, SIDE, generator=generator).contiguous(memory_format=torch.channels_last)
    return {'img': img, 'img_metas': [{'filename': f'{seed}.jpg', 'pad_shape': (SIDE, SIDE, 3)}] * 2,
            'gt_bboxes': torch.cat([corners, corners + 40], dim=2),
            'gt_labels': torch.randint(0, 3, (2, length), generator=generator)}


def compare(backend, level, training=True):
    """Losses and gradients of three batches, of two lengths, eager and compiled.

    While training, BatchNorm divides by the deviation of two numbers where a map has one pixel: roundings grow large.
    """
    eager = demo().train(training)
    compiled = copy.deepcopy(eager)
    compiled.compile_learning(Compiling(CPU, backend))
    for number, length in enumerate((8, 16, 8)):
        found = []
        for model in (eager, compiled):
            precision = Precision(CPU, level, **({} if level == 'O0' else {'dtype': 'bfloat16'}))
            wrapper = MMDataParallel(model, CPU, None, precision)
            model.zero_grad()
            outputs = wrapper.train_step(batch(length, number))
            outputs['loss'].backward()
            found.append((outputs['loss'].item(), [parameter.grad.clone() for parameter in model.parameters()]))
        (ours, own), (theirs, their) = found
        assert theirs == pytest.approx(ours, rel=1e-5 if level == 'O0' else 1e-2)
        largest = max(float(gradient.abs().max()) for gradient in own)
        worst = max(float((one - other).abs().max()) for one, other in zip(own, their))
        assert worst <= (1e-4 if level == 'O0' else 0.1) * largest
    return eager, compiled


def test_a_compiled_step_learns_what_an_eager_one_does():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    eager, compiled = compare('aot_eager', 'O0')
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] == 3  # the network, and the loss for two lengths
    assert not torch._dynamo.utils.counters['graph_break']
    assert list(compiled.state_dict()) == list(eager.state_dict())
    for model in (eager, compiled):  # detections are computed as before
        model.eval()
    img, metas = batch(8)['img'], [{'img_shape': (SIDE, SIDE), 'scale_factor': torch.ones(4).numpy()}] * 2
    with torch.no_grad():
        found = [model(img, metas, return_loss=False) for model in (eager, compiled)]
    assert [len(one.scores) for one in found[0]] == [len(one.scores) for one in found[1]]
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] == 3


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which('g++'), reason='inductor makes C++')
@pytest.mark.parametrize('level', ['O0', 'O1', 'O2'])
def test_inductors_kernels_do_at_every_level(level):
    torch._dynamo.reset()
    compare('inductor', level, training=False)
