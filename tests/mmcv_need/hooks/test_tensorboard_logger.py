"""TensorboardLoggerHook: MMCV's tags, read back from the event file."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmcv_need.errors import ConfigError
from mmcv_need.hooks.tensorboard_logger import TensorboardLoggerHook
from mmcv_need.log_buffer import LogBuffer

ROOT = Path(__file__).resolve().parents[3]


def make_run(folder, rank=0, iteration=0, **group):
    return SimpleNamespace(work_dir=str(folder), device=torch.device('cpu'), log_buffer=LogBuffer(), mode='train', rank=rank,
                           epoch=0, iter=iteration, inner_iter=iteration, data_loader=range(10),
                           optimizer=SimpleNamespace(optimizer=SimpleNamespace(param_groups=[{'lr': 0.5, **group}])))


def train(run, hook, losses):
    run.hooks = [hook]
    hook.before_run(run)
    hook.before_train_epoch(run)
    for loss in losses:
        run.log_buffer.update({'data_time': 0.25})
        run.log_buffer.update({'loss': torch.tensor(loss), 'grad_norm': 3.0})
        run.log_buffer.update({'time': 0.5})
        hook.after_train_iter(run)
        run.iter, run.inner_iter = run.iter + 1, run.inner_iter + 1


def evaluate(run, hook, **values):
    run.log_buffer.clear_output()
    run.log_buffer.output.update(values)
    run.log_buffer.ready = True
    hook.after_train_epoch(run)


def read(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def curve(events, tag):
    return [(event.step, pytest.approx(event.value)) for event in events.Scalars(tag)]


def test_tags_are_mmcvs_and_steps_are_iterations_of_the_run(tmp_path):
    run, hook = make_run(tmp_path, momentum=0.9), TensorboardLoggerHook(interval=2)
    train(run, hook, [1.0, 3.0, 5.0, 7.0, 9.0])
    evaluate(run, hook, bbox_mAP=0.25, bbox_mAP_copypaste='0.250 0.500')
    hook.after_run(run)
    events = read(tmp_path / 'tf_logs')
    assert set(events.Tags()['scalars']) == {'train/loss', 'train/grad_norm', 'val/bbox_mAP', 'learning_rate', 'momentum'}
    assert curve(events, 'train/loss') == [(2, 2.0), (4, 6.0)]
    assert curve(events, 'val/bbox_mAP') == [(5, 0.25)]
    assert curve(events, 'learning_rate') == [(2, 0.5), (4, 0.5), (5, 0.5)]
    assert curve(events, 'momentum') == [(2, 0.9), (4, 0.9), (5, 0.9)]
    text = events.Tensors('val/bbox_mAP_copypaste/text_summary')
    assert [(event.step, list(event.tensor_proto.string_val)) for event in text] == [(5, [b'0.250 0.500'])]


def test_losses_of_a_validation_epoch_are_val(tmp_path):
    run, hook = make_run(tmp_path), TensorboardLoggerHook()
    train(run, hook, [1.0])
    run.mode = 'val'
    hook.before_val_epoch(run)
    run.log_buffer.update({'data_time': 0.1, 'loss': 4.0})
    hook.after_val_epoch(run)
    assert curve(read(tmp_path / 'tf_logs'), 'val/loss') == [(1, 4.0)]


@pytest.mark.parametrize('group, momentum', [({'betas': (0.8, 0.99)}, 0.8), ({}, 0.0)])
def test_the_momentum_of_other_optimizers(tmp_path, group, momentum):
    run, hook = make_run(tmp_path, **group), TensorboardLoggerHook(interval=1, log_dir=str(tmp_path / 'elsewhere'))
    train(run, hook, [1.0])
    assert curve(read(tmp_path / 'elsewhere'), 'momentum') == [(1, momentum)]
    assert not (tmp_path / 'tf_logs').exists()


def test_curves_can_be_read_while_the_run_goes_on(tmp_path):
    train(make_run(tmp_path), TensorboardLoggerHook(interval=1), [float('nan'), 2.0])
    assert curve(read(tmp_path / 'tf_logs'), 'train/loss')[1] == (2, 2.0)


def test_a_resumed_run_hides_what_came_after_its_checkpoint(tmp_path):
    train(make_run(tmp_path), TensorboardLoggerHook(interval=1), [1.0, 2.0, 3.0, 4.0])
    train(make_run(tmp_path, iteration=2), TensorboardLoggerHook(interval=1), [30.0])
    assert curve(read(tmp_path / 'tf_logs'), 'train/loss') == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_only_rank_0_writes(tmp_path):
    run, hook = make_run(tmp_path, rank=1), TensorboardLoggerHook(interval=1)
    train(run, hook, [1.0])
    evaluate(run, hook)
    hook.after_run(run)
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_one_line_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    with pytest.raises(ConfigError, match=r'TensorboardLoggerHook needs the package tensorboard.*pip install tensorboard'):
        TensorboardLoggerHook()


@pytest.mark.skipif(sys.platform == 'win32', reason='has no limits of this kind')
def test_a_file_that_cannot_grow_ends_the_curves_and_not_the_run(tmp_path):
    program = f"""
import logging, resource, sys
sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]
from test_tensorboard_logger import TensorboardLoggerHook, make_run, train
run, hook = make_run({str(tmp_path)!r}), TensorboardLoggerHook(interval=1)
run.logger = logging.getLogger()
resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))
train(run, hook, [1.0] * 20)
hook.after_run(run)
"""
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count('tf_logs: cannot be written (File too large); the curves end here') == 1
