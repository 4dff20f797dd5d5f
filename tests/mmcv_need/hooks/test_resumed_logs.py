"""The loggers in a real run: what an interrupted run writes after its checkpoint is what the unbroken one wrote there."""
from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.hooks import CheckpointHook, DistSamplerSeedHook, IterTimerHook, TensorboardLoggerHook, TextLoggerHook
from mmcv_need.optimizer import OptimizerStep

ITERS, EPOCHS = 7, 2


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, return_loss, img):
        return {'loss_a': self.layer(img).square().sum(dim=1)}

    def summarize_losses(self, losses, num_samples):
        loss = losses['loss_a'].sum()
        return {'loss': loss, 'log_vars': {'loss_a': loss.detach(), 'loss': loss.detach()}, 'num_samples': num_samples}


class Loader:
    def __init__(self):
        self.epoch = self.skip = 0

    def set_epoch(self, epoch, skip=0):
        self.epoch, self.skip = epoch, skip

    def __len__(self):
        return ITERS

    def __iter__(self):
        for index in range(self.skip, ITERS):
            rng = np.random.default_rng([self.epoch, index])
            yield {'img': torch.from_numpy(rng.normal(size=(2 + index % 3, 2)).astype(np.float32))}


def run_in(folder, timestamp, resume=None):
    torch.manual_seed(0)
    model = MMDataParallel(Net(), torch.device('cpu'))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    runner = EpochBasedRunner(EPOCHS, model=model, optimizer=OptimizerStep(optimizer, {'max_norm': 5.0}),
                              device=torch.device('cpu'), work_dir=str(folder), logger=logging.Logger('runner'))
    runner.timestamp = timestamp
    for hook in (CheckpointHook(interval=1, by_epoch=False), IterTimerHook(), DistSamplerSeedHook()):
        runner.register_hook(hook)
    runner.register_hook(TextLoggerHook(interval=3, ignore_last=False), 'VERY_LOW')
    runner.register_hook(TensorboardLoggerHook(interval=4, log_dir=str(folder / timestamp), by_epoch=False), 'VERY_LOW')
    if resume:
        runner.resume(str(resume))
    runner.run([Loader()])


def records(folder, timestamp):
    """The records of training by (epoch, iter), without their times."""
    found = [json.loads(line) for line in (folder / f'{timestamp}.log.json').read_text().splitlines()]
    return {(record['epoch'], record['iter']): {name: value for name, value in record.items() if 'time' not in name}
            for record in found if 'mode' in record}


def curves(folder, timestamp):
    """(step, tag) -> value, as float32 has it."""
    events = EventAccumulator(str(folder / timestamp))
    events.Reload()
    return {(event.step, tag): event.value for tag in events.Tags()['scalars'] for event in events.Scalars(tag)}


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp('unbroken')
    run_in(folder, 'unbroken')
    return folder


def test_a_run_has_the_records_that_its_loggers_intervals_ask_for(unbroken):
    assert list(records(unbroken, 'unbroken')) == [(epoch, i) for epoch in (1, 2) for i in (3, 6, 7)]
    steps = {step for step, tag in curves(unbroken, 'unbroken') if tag == 'train/loss'}
    assert steps == {4, 8, 12}


@pytest.mark.parametrize('done', range(1, ITERS * EPOCHS))
def test_a_resumed_run_continues_the_log_as_if_nothing_had_happened(unbroken, tmp_path, done):
    run_in(tmp_path, 'resumed', unbroken / f'iter_{done}.pth')
    expected = {place: record for place, record in records(unbroken, 'unbroken').items()
                if (place[0] - 1) * ITERS + place[1] > done}
    assert records(tmp_path, 'resumed') == expected
    assert curves(tmp_path, 'resumed') == {key: value for key, value in curves(unbroken, 'unbroken').items() if key[0] > done}
