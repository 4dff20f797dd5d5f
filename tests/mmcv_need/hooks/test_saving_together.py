"""Checkpoints of two gloo processes: both save at the same moments, rank 0 decides, writes and removes, and none waits."""
from __future__ import annotations

import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

WORKER = '''
import json, logging, os, sys, time
import torch
import torch.distributed as dist

sys.path.insert(0, sys.argv[1])
from mmcv_need import dist_utils
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.hooks import CheckpointHook, EvalHook, Hook
from mmcv_need.hooks import checkpoint
from mmcv_need.optimizer import OptimizerStep

dist_utils.init_dist('pytorch', 'gloo')
rank, size = dist_utils.get_dist_info()


class Clock:
    now = 0.0

    def monotonic(self):
        return self.now if rank == 0 else 1e9 * (self.now % 7)  # that of the others is wrong


class Tick(Hook):
    def after_train_iter(self, runner):
        checkpoint.time.now += 60


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.module = torch.nn.BatchNorm1d(2)

    def train_step(self, batch):
        loss = self.module(batch['x']).square().sum()
        return {'loss': loss, 'log_vars': {'loss': loss.detach()}, 'num_samples': 4}


checkpoint.time = Clock()
model = Model()
logger = logging.Logger('run', 'INFO' if rank == 0 else 'ERROR')
step = OptimizerStep(torch.optim.SGD(model.parameters(), lr=0.1))
runner = EpochBasedRunner(4, model=model, optimizer=step, device=torch.device('cpu'), work_dir=sys.argv[2], logger=logger)
saved, save = [], runner.save_checkpoint


def noted(name, **given):
    saved.append([given['iteration'], given.get('latest', True)])
    return save(name, **given)


runner.save_checkpoint = noted
scores = iter([0.1, 0.3, 0.2, 0.4])
hooks = (CheckpointHook(interval=2, max_keep_ckpts=1, minutes=20, sync_buffer=True), Tick(),
         EvalHook(lambda runner: {'mAP': next(scores)} if rank == 0 else {}, save_best='auto'))
for hook in hooks:
    runner.register_hook(hook)
generator = torch.Generator().manual_seed(rank)
runner.run([[{'x': torch.randn(4, 2, generator=generator)} for _ in range(60)]])
json.dump(saved, open(f'{sys.argv[2]}/{rank}.json', 'w'))
dist_utils.leave_dist()
'''


def test_two_processes_save_the_same_at_the_same_moments(tmp_path, in_two_processes):
    in_two_processes(WORKER, tmp_path)
    first, second = (json.loads((tmp_path / f'{rank}.json').read_text()) for rank in range(2))
    # By the clock at every 50th iteration, if 20 minutes have passed; by epochs at 120 and 240; the best at 60, 120 and 240.
    assert first == second == [[50, True], [60, False], [100, True], [120, True], [120, False], [150, True], [200, True],
                               [240, True], [240, False]]
    assert sorted(os.listdir(tmp_path)) == ['0.json', '1.json', 'best_mAP_epoch_4.pth', 'epoch_4.pth', 'last_checkpoint',
                                            'latest.pth']


FULL = WORKER[:WORKER.index('saved, save =')] + """
import os
from mmcv_need.errors import CheckpointError
from mmcv_need.failures import failure_of

replace = os.replace


def replace_if_there_is_room(old, new):
    if new.endswith('epoch_2.pth') or new.endswith('epoch_4.pth'):
        raise OSError(28, 'No space left on device')
    replace(old, new)


os.replace = replace_if_there_is_room  # rank 0 writes
runner.register_hook(CheckpointHook(interval=1, minutes=None))
ended = None
try:
    runner.run([[{'x': torch.ones(4, 2)}] * 3])
except Exception as error:
    failure = failure_of(error, 2)
    ended = [type(error).__name__, failure.consequence]
json.dump([runner.epoch, runner.iter, ended], open(f'{sys.argv[2]}/{rank}.json', 'w'))
dist_utils.leave_dist()
"""


def test_two_processes_go_on_together_when_one_cannot_write_and_end_together_when_it_was_the_last(tmp_path, in_two_processes):
    in_two_processes(FULL, tmp_path)
    first, second = (json.loads((tmp_path / f'{rank}.json').read_text()) for rank in range(2))
    assert first == [4, 12, ['CheckpointError', False]] and second == [4, 12, ['UnsavedError', True]]  # rank 0 is to be blamed
    assert sorted(path.name for path in tmp_path.glob('*.pth*')) == ['epoch_1.pth', 'epoch_3.pth', 'latest.pth']
