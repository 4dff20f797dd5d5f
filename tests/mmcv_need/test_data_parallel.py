"""The wrappers: where a batch goes, and that two processes learn what one would learn from both their batches."""
from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from mmcv_need._functions import scatter
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.precision import Precision
from mmcv_need.torch_versions import has

ROOT = Path(__file__).resolve().parents[2]
if not has('modules without memory'):
    pytest.skip('this torch has no meta device that shows where things are', allow_module_level=True)
CPU, META = torch.device('cpu'), torch.device('meta')
Pair = namedtuple('Pair', 'left right')


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, img, return_loss=True, scale=1.0):
        return {'loss': (self.conv(img).mean(dim=(1, 2, 3)) * scale)} if return_loss else img

    @staticmethod
    def summarize_losses(losses, num_samples):
        return {'loss': losses['loss'].sum(), 'log_vars': {}, 'num_samples': num_samples}


def test_every_tensor_of_a_nested_batch_is_moved_and_nothing_else():
    metas = [{'scale_factor': (1.0, 2.0), 'ids': ['a', 'b']}]
    batch = {'img': torch.ones(2), 'deep': [torch.ones(1), {'x': (torch.ones(3), 'text')}], 'pair': Pair(torch.ones(2), None),
             'img_metas': metas, 'empty': [], 'number': 5}
    moved = scatter(batch, META)
    assert {moved['img'].device, moved['deep'][0].device, moved['deep'][1]['x'][0].device, moved['pair'].left.device} == {META}
    assert isinstance(moved['pair'], Pair) and moved['pair'].right is None and moved['deep'][1]['x'][1] == 'text'
    assert moved['img_metas'] == metas and moved['empty'] == [] and moved['number'] == 5
    assert batch['img'].device == CPU


def test_the_batch_is_finished_on_the_device_before_the_model_sees_it():
    wrapper = MMDataParallel(Net(), CPU, prepare=lambda batch: {**batch, 'img': batch['img'] * 2})
    seen = wrapper(img=torch.ones(1, 3, 4, 4), return_loss=False)
    assert torch.equal(seen, torch.full((1, 3, 4, 4), 2.0))


def test_a_training_step_gives_a_loss_to_go_backward_from():
    wrapper = MMDataParallel(Net(), CPU)
    outputs = wrapper.train_step({'img': torch.ones(5, 3, 4, 4), 'scale': 2.0})
    outputs['loss'].backward()
    assert outputs['num_samples'] == 5 and wrapper.module.conv.weight.grad is not None


def test_a_model_that_is_called_computes_at_the_precision_of_the_run():
    wrapper = MMDataParallel(Net(), CPU, precision=Precision(CPU, 'O2', 'bfloat16'))
    loss = wrapper(img=torch.ones(5, 3, 4, 4))['loss']
    assert loss.dtype == torch.bfloat16 and wrapper.module.conv.weight.dtype == torch.float32


def test_placing_a_model_leaves_shapes_and_values():
    net = Net()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    after = MMDataParallel(net, CPU).module.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[key], before[key]) for key in before)


# Two processes against one. The demo's network, a sixteenth of VGG's width, at 160 pixels.

WORKER = '''
import sys
import numpy as np
import torch
import torch.distributed as dist

root, folder, world = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.path.insert(0, root)
from mmcv_need import dist_utils
from mmcv_need.config import Config
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.distributed import MMDistributedDataParallel
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.registry import build
from mmdet.models import DETECTORS

torch.set_num_threads(1)
cfg = Config.fromfile(root + '/configs/ssd_demo.py')
cfg.merge_from_dict({'model.backbone.width_factor': 1 / 16, 'model.neck.in_channels': (32, 64), 'model.backbone.norm_cfg': None,
                     'model.neck.norm_cfg': None, 'model.neck.out_channels': (32, 64, 32, 16, 16),
                     'model.bbox_head.in_channels': (32, 64, 32, 16, 16)})
torch.manual_seed(5)
cpu = torch.device('cpu')
model = build(cfg, DETECTORS, key='model')


def batch(step, part):
    rng = np.random.default_rng([step, part])
    corner = rng.uniform(0, 80, (2, 8, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(20, 75, (2, 8, 2))], axis=2)
    labels = rng.integers(0, 6, (2, 8))
    labels[:, 3 + part:] = -1
    return {'img': torch.from_numpy(rng.normal(0, 1, (2, 3, 160, 160)).astype(np.float32)),
            'gt_bboxes': torch.from_numpy(boxes.astype(np.float32)), 'gt_labels': torch.from_numpy(labels)}


if world > 1:
    dist_utils.init_dist('pytorch', 'gloo')
    rank = dist_utils.get_dist_info()[0]
    wrapper = MMDistributedDataParallel(model, cpu)
    parts = [rank]
else:
    rank, wrapper, parts = 0, MMDataParallel(model, cpu), [0, 1]
step_of = OptimizerStep(torch.optim.SGD(wrapper.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4), {'max_norm': 10})
losses = []
for step in range(3):
    loss = sum(wrapper.train_step(batch(step, part))['loss'] for part in parts) / len(parts)
    step_of.zero_grad()
    step_of.backward(loss)
    step_of.clip()
    step_of.step()
    losses.append(dist_utils.mean_over_ranks({'loss': float(loss.detach())}, cpu)['loss'])
torch.save({'weights': wrapper.module.state_dict(), 'losses': losses}, f'{folder}/world{world}_rank{rank}.pth')
if world > 1:
    dist.destroy_process_group()
'''


def free_port():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Weights and losses after three steps: of one process, and of each of two."""
    folder = tmp_path_factory.mktemp('ddp')
    script = folder / 'worker.py'
    script.write_text(textwrap.dedent(WORKER))
    port = str(free_port())
    processes = []
    for world, rank in ((1, 0), (2, 0), (2, 1)):
        environment = {**os.environ, 'RANK': str(rank), 'LOCAL_RANK': str(rank), 'WORLD_SIZE': str(world),
                       'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port, 'GLOO_SOCKET_IFNAME': 'lo', 'OMP_NUM_THREADS': '1'}
        command = [sys.executable, str(script), str(ROOT), str(folder), str(world)]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    try:
        for process in processes:
            _, errors = process.communicate(timeout=180)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()
    names = ('world1_rank0', 'world2_rank0', 'world2_rank1')
    return [torch.load(folder / f'{name}.pth', weights_only=True) for name in names]


def test_two_processes_keep_the_same_weights(trained):
    _, first, second = trained
    assert json.dumps(first['losses']) == json.dumps(second['losses'])
    assert all(torch.equal(value, second['weights'][key]) for key, value in first['weights'].items())


def test_two_processes_learn_what_one_learns_from_both_their_batches(trained):
    one, two, _ = trained
    assert one['losses'] == pytest.approx(two['losses'], rel=1e-5)
    assert list(one['weights']) == list(two['weights'])
    for key, value in one['weights'].items():
        assert torch.allclose(value, two['weights'][key], rtol=0, atol=1e-6), key


FIRST_STEP = '''
import random, sys
import torch
root, folder = sys.argv[1:]
sys.path.insert(0, root)
from mmcv_need import dist_utils
from mmcv_need.distributed import MMDistributedDataParallel


class Net(torch.nn.Module):
    """Weights that are not used in the order in which they are listed, statistics, and draws."""

    def __init__(self):
        super().__init__()
        self.last, self.first = torch.nn.Linear(7, 5), torch.nn.Linear(3, 7)
        self.norm, self.drop = torch.nn.BatchNorm1d(7), torch.nn.Dropout(0.5)

    def forward(self, return_loss, img):
        return self.last(self.drop(self.norm(self.first(img)))) * random.random()

    def summarize_losses(self, losses, num_samples):
        return {'loss': losses.square().sum()}


dist_utils.init_dist('pytorch', 'gloo')
rank = dist_utils.get_dist_info()[0]
torch.manual_seed(0)
wrapper = MMDistributedDataParallel(Net(), torch.device('cpu'))
weights = list(wrapper.module.parameters())
img = torch.randn(8, 3, generator=torch.Generator().manual_seed(rank))
weights[0].grad = torch.full_like(weights[0], 0.25)  # of a step that was not complete
found = []
for step in range(3):
    torch.manual_seed(rank)
    random.seed(rank)
    wrapper.train_step({'img': img})['loss'].backward()
    found.append([torch.random.get_rng_state(), *(weight.grad.clone() for weight in weights)])
    for weight in weights:
        weight.grad = torch.full_like(weight, 0.25) if weight is weights[0] else None
if rank == 0:
    torch.save({'steps': found, 'seen': int(wrapper.module.norm.num_batches_tracked)}, folder + '/found.pth')
dist_utils.leave_dist()
'''


def test_the_first_step_of_a_process_is_rounded_as_all_others_are(in_processes, tmp_path):
    """Or a run of four that goes on would not end with the bits of one that never stopped."""
    in_processes(FIRST_STEP, tmp_path, 4)
    found = torch.load(tmp_path / 'found.pth', weights_only=True)
    for later in found['steps'][1:]:
        assert all(torch.equal(a, b) for a, b in zip(found['steps'][0], later))
    assert found['seen'] == 3
