"""TextLoggerHook against what MMCV's really wrote: the same values give the same bytes."""
from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmcv_need.hooks import IterTimerHook, TextLoggerHook
from mmcv_need.log_buffer import LogBuffer

DATA = Path(__file__).resolve().parents[1] / 'data'
MADE = json.loads((DATA / 'text_logger_mmcv_1.7.2.json').read_text())


class Run:
    """As much of a runner as the hook looks at; moves on as EpochBasedRunner does."""

    def __init__(self, folder, hook, epochs, iterations, meta):
        self.work_dir, self.timestamp, self.meta, self.rank = str(folder), 'run', meta, 0
        self.device = SimpleNamespace(type='cpu')
        self.epoch = self.iter = self.inner_iter = 0
        self.max_steps, self.max_iters = None, epochs * iterations
        self.train_loader = self.data_loader = range(iterations)
        self.log_buffer, self.logger, self.text, self.hook, self.hooks = LogBuffer(), self, [], hook, [hook]
        self.mode = 'train'
        hook.before_run(self)

    def info(self, message, *given):
        self.text.append(message % given)

    @property
    def records(self):
        return (Path(self.work_dir) / 'run.log.json').read_text().splitlines()

    def current_lr(self):
        return [self.lr]

    def put(self, values, count, data_time, time):
        self.log_buffer.update({'data_time': data_time})
        self.log_buffer.update(values, count)
        self.log_buffer.update({'time': time})

    def begin(self):
        self.mode, self.data_loader = 'train', self.train_loader
        self.hook.before_train_epoch(self)

    def step(self, *values):
        self.put(*values)
        self.hook.after_train_iter(self)
        self.iter, self.inner_iter = self.iter + 1, self.inner_iter + 1

    def evaluate(self, values):
        self.log_buffer.clear_output()
        self.log_buffer.output.update(values)
        self.log_buffer.ready = True

    def end(self):
        self.hook.after_train_epoch(self)
        self.epoch, self.inner_iter = self.epoch + 1, 0

    def validate(self, steps):
        self.mode, self.data_loader = 'val', steps
        self.hook.before_val_epoch(self)
        for values in steps:
            self.put(*values)
        self.hook.after_val_epoch(self)


def test_a_real_log_of_the_modelzoos_ssd_comes_out_again(tmp_path):
    """Its values are read from its own records; what the text says of lr and eta is made anew."""
    text = [line.split(' - INFO - ')[1] for line in (DATA / 'ssd300_mmcv_1.2.7.log').read_text().splitlines()]
    lines = (DATA / 'ssd300_mmcv_1.2.7.log.json').read_text().splitlines()
    records = iter([json.loads(line) for line in lines])
    run = Run(tmp_path, TextLoggerHook(interval=2), 2, 5, {'exp_name': 'ssd300_coco_npu.py'})
    # Rates of 2.5e-4 that warm up over five iterations from a thousandth, and fall to a tenth at epoch 1.
    rates = [[2.5e-4 * (1 - (1 - i / 5) * 0.999) for i in range(5)], [2.5e-5] * 5]
    for epoch in range(2):
        run.begin()
        for i in range(5):
            run.lr = rates[epoch][i]
            if i in (0, 2):
                record = next(records)
            values = {name: record[name] for name in ('loss_cls', 'loss_bbox', 'loss')}
            run.step(values if i < 4 else {'loss': 1e9}, 2, record['data_time'], record['time'])
        run.evaluate({name: value for name, value in next(records).items() if name.startswith('bbox')})
        run.end()
    assert run.text == text
    assert run.records[1:] == lines


def made_values(i, grad_norm=False):
    values = {'loss_cls': 5.0 / (i + 1) + 0.1, 'loss_bbox': 3.0 / (i + 2), 'loss': 5.0 / (i + 1) + 0.1 + 3.0 / (i + 2)}
    return {**values, 'grad_norm': 30.0 / (i + 1.5)} if grad_norm else values


def made_step(i, number, slow=False, grad_norm=False):
    count = 2 if i % 3 == 2 else 4
    return (made_values(number, grad_norm), count, (0.031 * (i % 4) + 0.01) * (1000 if slow else 1),
            (0.4 + 0.07 * (i % 5)) * (40000 if slow else 1))


@pytest.mark.parametrize('name, hook, max_epochs, epochs, iterations', [
    ('by epoch', dict(interval=3, interval_exp_name=4), 2, 2, 7),
    ('by iteration', dict(interval=5, by_epoch=False, interval_exp_name=10), 2, 2, 10),
    ('losses of a validation epoch', dict(interval=4), 2, 2, 8),
    ('slow', dict(interval=2), 30, 1, 4)])
def test_mmcvs_hook_writes_the_same(tmp_path, name, hook, max_epochs, epochs, iterations):
    meta = {'env_info': 'PyTorch: 2', 'config': "x = 'a'\n", 'seed': 3, 'exp_name': 'ssd.py'}
    run = Run(tmp_path, TextLoggerHook(**hook), max_epochs, iterations, meta)
    for epoch in range(epochs):
        run.begin()
        for _ in range(iterations):
            run.lr = 2e-3 * (run.iter + 1) / 7**epoch
            run.step(*made_step(run.iter, run.iter, name == 'slow', name == 'by epoch'))
        run.lr = 2e-3 * (run.iter + 1) / 7**epoch
        if run.hook.by_epoch:
            run.evaluate({'bbox_mAP': 0.25 / (epoch + 1), 'bbox_mAP_50': 1 / 3, 'num': 4, 'bbox_mAP_copypaste': '0.250 0.333'})
        run.end()
        run.lr = 2e-3 * (run.iter + 1) / 7**run.epoch
        if name.startswith('losses'):
            run.validate([made_step(i, 50 + i) for i in range(3)])
    assert run.text == MADE[name]['text']
    assert run.records == MADE[name]['json']


def test_the_timer_puts_the_times_where_the_records_have_them():
    run, timer = SimpleNamespace(log_buffer=LogBuffer()), IterTimerHook()
    timer.before_train_epoch(run)
    timer.before_train_iter(run)
    run.log_buffer.update({'loss': 1.0})
    timer.after_train_iter(run)
    assert list(run.log_buffer.average()) == ['data_time', 'loss', 'time']
