"""CheckpointHook: file names, what is kept, and what points at the newest."""
from __future__ import annotations

import logging
import os
from types import SimpleNamespace

import pytest
import torch

from mmcv_need.checkpoint import find_latest, read_checkpoint
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.hooks import CheckpointHook
from mmcv_need.optimizer import OptimizerStep

ITERS = 4  # of an epoch


class Recorder(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.module = torch.nn.Linear(1, 1)

    def train_step(self, batch):
        loss = self.module(batch).sum()
        return {'loss': loss, 'log_vars': {'loss': loss.detach()}, 'num_samples': 1}


@pytest.fixture
def run(tmp_path):
    """Runs some epochs with a CheckpointHook; returns the names in the work directory and the lines logged."""
    def start(epochs, rank=0, **settings):
        recorder = Recorder()
        logger = logging.Logger('checkpoints', 'INFO')
        logger.addHandler(recorder)
        model = Model()
        optimizer = OptimizerStep(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
        runner = EpochBasedRunner(epochs, model=model, optimizer=optimizer, device=torch.device('cpu'), work_dir=str(tmp_path),
                                  logger=logger, meta={'seed': 3, 'CLASSES': ['a', 'b']})
        runner.rank = rank
        runner.register_hook(CheckpointHook(**settings))
        runner.run([[torch.ones(1, 1)] * ITERS])
        return sorted(os.listdir(tmp_path)), recorder.lines
    return start


def checkpoints(names):
    return [name for name in names if name.endswith('.pth') and name != 'latest.pth']


def test_a_checkpoint_is_written_after_each_epoch(run):
    names, lines = run(3, interval=1)
    assert names == ['epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'last_checkpoint', 'latest.pth']
    assert [line for line in lines if 'Saving' in line] == [f'Saving checkpoint at {n} epochs' for n in (1, 2, 3)]


def test_interval_counts_epochs(run):
    assert checkpoints(run(5, interval=2)[0]) == ['epoch_2.pth', 'epoch_4.pth']


def test_without_an_interval_nothing_is_written(run):
    assert run(2)[0] == []


def test_interval_counts_iterations_of_the_whole_run(run):
    names, lines = run(2, interval=3, by_epoch=False)
    assert checkpoints(names) == ['iter_3.pth', 'iter_6.pth']
    assert 'Saving checkpoint at 6 iterations' in lines


def test_the_newest_are_kept(run, tmp_path):
    assert checkpoints(run(12, interval=1, max_keep_ckpts=2)[0]) == ['epoch_11.pth', 'epoch_12.pth']  # by number, not by name
    assert os.readlink(tmp_path / 'latest.pth') == 'epoch_12.pth'


def test_the_newest_iterations_are_kept_and_epochs_left_alone(run, tmp_path):
    (tmp_path / 'epoch_1.pth').write_bytes(b'of another run')
    assert checkpoints(run(3, interval=2, by_epoch=False, max_keep_ckpts=1)[0]) == ['epoch_1.pth', 'iter_12.pth']


def test_files_of_a_longer_run_before_are_not_counted_as_newer(run, tmp_path):
    (tmp_path / 'epoch_9.pth').write_bytes(b'of a run before')
    assert checkpoints(run(2, interval=1, max_keep_ckpts=1)[0]) == ['epoch_2.pth', 'epoch_9.pth']


def test_latest_is_a_relative_link_and_last_checkpoint_names_the_file(run, tmp_path):
    run(2, interval=1)
    assert (tmp_path / 'latest.pth').is_symlink() and os.readlink(tmp_path / 'latest.pth') == 'epoch_2.pth'
    assert (tmp_path / 'last_checkpoint').read_text() == 'epoch_2.pth'
    moved = tmp_path.with_name(tmp_path.name + '_moved')
    tmp_path.rename(moved)
    assert read_checkpoint(str(moved / 'latest.pth'))['meta']['epoch'] == 2


def test_the_content_says_where_in_the_run_it_was_written(run, tmp_path):
    run(2, interval=1)
    content = read_checkpoint(str(tmp_path / 'epoch_2.pth'))
    meta = content['meta']
    assert (meta['epoch'], meta['iter'], meta['inner_iter']) == (2, 2 * ITERS, 0)
    assert (meta['seed'], meta['CLASSES']) == (3, ['a', 'b']) and isinstance(meta['time'], str)
    assert set(content) == {'meta', 'state_dict', 'optimizer', 'rng'} and set(content['state_dict']) == {'weight', 'bias'}


def test_a_checkpoint_by_iteration_says_how_far_into_its_epoch_it_is(run, tmp_path):
    run(2, interval=3, by_epoch=False)
    for number, place in ((3, (0, 3, 3)), (6, (1, 6, 2))):
        meta = read_checkpoint(str(tmp_path / f'iter_{number}.pth'))['meta']
        assert (meta['epoch'], meta['iter'], meta['inner_iter']) == place


def test_the_optimizer_may_be_left_out(run, tmp_path):
    run(1, interval=1, save_optimizer=False)
    assert set(read_checkpoint(str(tmp_path / 'epoch_1.pth'))) == {'meta', 'state_dict'}


def test_only_rank_0_writes(run):
    assert run(1, rank=1, interval=1)[0] == []


def test_what_the_hook_wrote_is_found_again(run, tmp_path):
    run(3, interval=1, max_keep_ckpts=2)
    assert find_latest(str(tmp_path)) == str(tmp_path / 'epoch_3.pth')


def test_helpers_of_hooks_count_from_one():
    runner = SimpleNamespace(epoch=1, iter=5, inner_iter=3, data_loader=[0] * 4)
    assert CheckpointHook.every_n_epochs(runner, 2) and not CheckpointHook.every_n_epochs(runner, 3)
    assert CheckpointHook.every_n_iters(runner, 6) and not CheckpointHook.every_n_iters(runner, 5)
    assert CheckpointHook.every_n_inner_iters(runner, 4) and not CheckpointHook.every_n_inner_iters(runner, -1)
    assert CheckpointHook.end_of_epoch(runner)
