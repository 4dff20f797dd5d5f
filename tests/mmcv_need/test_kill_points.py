"""A run that is killed at any of a hundred points ends as if nothing had happened, to the last bit.

The run has all that an engine may have to remember: float16 with a dynamic loss scale and updates that are left out,
accumulated gradients, an average of the weights, warm-up, momentum, clipping, a validation epoch, evaluations with a best
checkpoint, and a network that draws from every generator. It dies by SIGKILL at its Nth event: before or after one of its
hooks' moments, or in the middle of writing: before a file is synced, renamed, linked, or removed. Six of these points, in the
writing of every epoch's checkpoint, are always among them.

The trials run in a process of their own, this file as a program, which forks a child for every attempt.
"""
from __future__ import annotations

import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
ITERS, EPOCHS, SEED = 5, 4, 20261123
OVERFLOWS = ((0, 2), (2, 1))  # (epoch, batch) whose gradients are not finite


class Loader:
    """Batches in an order that follows from the epoch."""

    def __init__(self):
        self.epoch = self.skip = 0

    def set_epoch(self, epoch, skip=0):
        self.epoch, self.skip = epoch, skip

    def __len__(self):
        return ITERS

    def __iter__(self):
        import torch
        for index in np.random.default_rng([3, self.epoch]).permutation(ITERS)[self.skip:]:
            rng = np.random.default_rng([self.epoch, index])
            factor = float('inf') if (self.epoch, index) in OVERFLOWS else 1.0
            yield {'img': torch.from_numpy(rng.normal(size=(4, 2)).astype(np.float32)), 'factor': torch.tensor(factor),
                   'img_metas': [{'filename': f'{self.epoch}_{index}.jpg'}]}


def network():
    import torch

    class Net(torch.nn.Module):
        """Weights, running statistics, and draws from torch's, numpy's and Python's generators."""

        def __init__(self):
            super().__init__()
            self.first, self.last = torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)
            self.norm, self.drop = torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.3)

        def forward(self, return_loss, img, factor, img_metas):
            drawn = random.random() + np.random.normal() if self.training else 0.0
            out = self.last(self.drop(self.norm(self.first(img)))) + drawn
            return {'loss_a': out.float().square() * factor}

        def summarize_losses(self, losses, num_samples):
            loss = losses['loss_a'].sum()
            return {'loss': loss, 'log_vars': {'loss': loss.detach()}, 'num_samples': num_samples}
    return Net()


def train(folder, die_at=None):
    """Trains in `folder`, from its newest checkpoint on; dies at an event; the names of the events of a run that lives."""
    import torch

    from mmcv_need.builder import build_optimizer
    from mmcv_need.checkpoint import find_latest
    from mmcv_need.data_parallel import MMDataParallel
    from mmcv_need.epoch_based_runner import EpochBasedRunner
    from mmcv_need.hooks import HOOKS, Hook
    from mmcv_need.optimizer import OptimizerStep
    from mmcv_need.precision import Precision
    from mmcv_need.random_state import seed_everything

    events = []

    def event(name):
        events.append(name)
        if len(events) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    class Events(Hook):
        def __getattribute__(self, name):
            if name.startswith(('before_', 'after_')):
                return lambda runner, *given: event(name)
            return super().__getattribute__(name)

    def counted(name, function):
        def call(*arguments, **more):
            target = os.readlink(f'/proc/self/fd/{arguments[0]}') if name == 'fsync' else arguments[-1]
            event(f"{name} {os.path.basename(target).partition('.tmp.')[0]}")
            return function(*arguments, **more)
        return call
    for name in ('fsync', 'replace', 'symlink', 'unlink'):
        setattr(os, name, counted(name, getattr(os, name)))

    seed_everything(SEED)
    cpu = torch.device('cpu')
    precision = Precision(cpu, 'O1', 'float16', {'init_scale': 64.0, 'growth_interval': 2})
    model = MMDataParallel(network(), cpu, precision=precision)
    settings = {'type': 'SGD', 'lr': 0.02, 'momentum': 0.9, 'weight_decay': 1e-3,
                'paramwise_cfg': {'bias_decay_mult': 0.0, 'norm_decay_mult': 0.0}}
    optimizer = build_optimizer(model.module, {'optimizer': settings})
    step = OptimizerStep(optimizer, {'max_norm': 5.0}, precision.loss_scale, cumulative_iters=3,
                         buffers=model.buffers())
    runner = EpochBasedRunner(EPOCHS, model=model, optimizer=step, device=cpu, work_dir=str(folder),
                              logger=logging.Logger('runner', 'ERROR'), meta={'seed': 1})
    runner.timestamp = f'{os.getpid():08d}'  # a name of its own for the log of each attempt

    def evaluate(runner):
        """A score that is best in the middle of the run."""
        score = sum(float(weight.detach().double().abs().sum()) for weight in runner.model.module.parameters())
        return {'mAP': -abs(runner.epoch - 1.6), 'size': score}

    make = HOOKS.get
    hooks = [Events(), make('StepLrUpdaterHook')(step=[2], warmup='linear', warmup_iters=7, warmup_ratio=0.1),
             make('CyclicMomentumUpdaterHook')(), make('CheckpointHook')(interval=1, max_keep_ckpts=2, minutes=1e-9),
             make('IterTimerHook')(), make('DistSamplerSeedHook')(), make('EvalHook')(evaluate, save_best='mAP'),
             make('EMAHook')(momentum=0.05, warm_up=10), make('EarlyStoppingHook')('mAP', patience=9), Events(),
             make('TextLoggerHook')(interval=2, ignore_last=False)]
    for hook in hooks:
        runner.register_hook(hook)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        newest = find_latest(str(folder))
    if newest:
        runner.resume(*newest)
    runner.run([Loader(), Loader()], [('train', 1), ('val', 1)])
    return events


def attempt(folder, die_at=None):
    """A child that trains, and dies at an event if told; the names of its events if it lived."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(writer, 'w') as pipe:
                json.dump(train(folder, die_at), pipe)
        except BaseException as error:
            print(f'{type(error).__name__}: {error}', file=sys.stderr)
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        events = pipe.read()
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) if not events else status == 0, f'to die at {die_at}, it ended with status {status}'
    return json.loads(events) if events else None


def outcome(folder):
    """What is left of a run: its last checkpoint, its best one, and what its logs say of each place, without times."""
    from mmcv_need.checkpoint import read_checkpoint

    def content(name):
        checkpoint = read_checkpoint(str(folder / name))
        checkpoint['meta'].pop('time')
        checkpoint['meta'].pop('hook_msgs', None)
        for state in checkpoint['checkpoint_hook'].values():
            state.pop('folder')
        checkpoint['evaluation']['best'].pop('folder')
        for rank in checkpoint['ranks']:
            rank['log_buffer'] = {name: rows for name, rows in rank['log_buffer'].items() if 'time' not in name}
        return checkpoint
    records = {}
    for path in sorted(folder.glob('*.log.json'), key=lambda path: path.stat().st_mtime_ns):
        for line in path.read_text().split('\n'):
            record = json.loads(line) if line.endswith('}') else {}
            if 'mode' in record:
                kept = {key: value for key, value in record.items() if key not in ('time', 'data_time')}
                records[record['mode'], record['epoch'], record['iter'], 'mAP' in record] = kept
    names = sorted(path.name for path in folder.iterdir() if path.suffix != '.json')
    best = next(name for name in names if name.startswith('best_'))
    return {'last': content(f'epoch_{EPOCHS}.pth'), 'best': content(best), 'names': names,
            'records': [records[key] for key in sorted(records)]}


def differences(a, b, place=''):
    """Where two outcomes are not the same to the last bit."""
    import torch
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        same = a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()
        return [] if same else [place]
    if isinstance(a, dict) and isinstance(b, dict) and list(a) == list(b):
        return [found for key in a for found in differences(a[key], b[key], f'{place}.{key}')]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [found for i, (x, y) in enumerate(zip(a, b)) for found in differences(x, y, f'{place}.{i}')]
    return [] if a == b or (a != a and b != b) else [f'{place}: {a!r} and {b!r}'[:300]]


def points_of_saving(events, epoch):
    """Where the writing of an epoch's checkpoint may be cut off, as numbers of events; each is before what it names."""
    file = f'epoch_{epoch}.pth'
    folder = events.index(f'replace epoch_{epoch}.pth') + 1
    assert events[folder].startswith('fsync ')
    points = {'the file is synced': events.index(f'fsync {file}'), 'it is renamed': events.index(f'replace {file}'),
              'its folder is synced': folder, 'latest.pth is its link': events.index('replace latest.pth', folder),
              'last_checkpoint names it': events.index('replace last_checkpoint', folder),
              'what it replaces is removed': next(i for i in range(folder, len(events)) if events[i].startswith('unlink'))}
    assert list(points.values()) == sorted(points.values())
    return {name: index + 1 for name, index in points.items()}


def main(folder, trials):
    import torch
    torch.set_num_threads(1)
    train(folder / 'warm')  # imports everything once
    (folder / 'whole').mkdir()
    events = attempt(folder / 'whole')
    whole = outcome(folder / 'whole')
    results = []

    def trial(*points, **more):
        """A run that dies at these points, the last of which may not come any more, and then goes on to its end."""
        work_dir = folder / f'trial_{len(results)}'
        work_dir.mkdir()
        for number, point in enumerate(points):
            assert attempt(work_dir, point) is None or number
        attempt(work_dir)
        results.append({'points': points, 'differences': differences(whole, outcome(work_dir)), **more})
        shutil.rmtree(work_dir)

    for epoch in range(1, EPOCHS + 1):
        for name, point in points_of_saving(events, epoch).items():
            trial(point, **{'epoch': epoch, 'before': name})
    rng = random.Random(SEED)
    for number in range(trials):
        trial(rng.randint(1, len(events)), *[rng.randint(1, 40)][:number % 3 == 0])  # and once more, while it goes on
    (folder / 'results.json').write_text(json.dumps({'events': len(events), 'results': results, 'names': whole['names']}))


@pytest.mark.parametrize('trials', [12, pytest.param(100, marks=pytest.mark.slow)])
def test_a_run_killed_at_any_point_ends_as_the_unbroken_one(quick_folder, trials):
    (quick_folder / 'warm').mkdir()
    done = subprocess.run([sys.executable, __file__, str(quick_folder), str(trials)], capture_output=True, text=True,
                          env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((quick_folder / 'results.json').read_text())
    assert [result for result in found['results'] if result['differences']] == []
    assert len(found['results']) == 6 * EPOCHS + trials
    assert len({(result['epoch'], result['before']) for result in found['results'] if 'before' in result}) == 6 * EPOCHS
    assert found['names'][:2] == ['bad_updates', 'best_mAP_epoch_3.pth']
    assert {'epoch_3.pth', 'epoch_4.pth'} <= set(found['names'])
    print(f"{trials} trials among {found['events']} events: {[result['points'] for result in found['results']]}")


if __name__ == '__main__':
    main(Path(sys.argv[1]), int(sys.argv[2]))
