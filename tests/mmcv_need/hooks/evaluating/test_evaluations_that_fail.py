"""Evaluations that a signal interrupts, and best checkpoints that cannot be written."""
from __future__ import annotations

import pytest

from mmcv_need.agreement import Interrupted
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import CheckpointError
from mmcv_need.hooks import Hook

ITERS = 4  # of an epoch


@pytest.mark.parametrize('settings', [dict(), dict(interval=4, by_epoch=False)])
def test_an_evaluation_that_is_interrupted_ends_the_run_and_is_done_anew_by_whoever_goes_on(run, settings):
    done = run(2, [Interrupted], save_best='auto', **settings)
    assert (done.runner.epoch, done.runner.iter) == (1, 4) and not done.runner.complete
    assert [when for when, *_ in done.watch.moments] == ['before', 'after']  # for who puts weights back
    assert done.watch.told == [] and done.best == [] and done.names == ['epoch_1.pth', 'last_checkpoint', 'latest.pth']
    again = run(2, [0.1, 0.2], resume_from='epoch_1.pth', save_best='auto', **settings)
    assert again.places[0][1] == 4 and again.runner.complete and len(again.watch.told) == 2


def test_after_an_evaluation_that_is_interrupted_the_rest_of_the_epoch_is_left_too(run):
    done = run(2, [Interrupted], interval=3, by_epoch=False)
    assert (done.runner.epoch, done.runner.iter) == (0, 3) and 'iter_3.pth' in done.names


@pytest.mark.parametrize('settings', [dict(), dict(interval=4, by_epoch=False)])
def test_a_run_that_stops_leaves_the_evaluation_to_whoever_goes_on(run, settings):
    class Stop(Hook):
        def after_train_iter(self, runner):
            if runner.iter + 1 == 2 * ITERS and not runner.resumed_from:
                runner.stop('enough', resumable=True)
    done = run(2, [0.1], more=[(Stop(), 'HIGHEST')], **settings)  # in the last iteration of all
    assert done.runner.epoch == 2 and not done.runner.complete
    again = run(2, [0.2], resume_from='epoch_2.pth', more=[(Stop(), 'HIGHEST')], **settings)
    assert [values['bbox_mAP'] for values in again.watch.logged] == [0.2] and again.runner.complete


# Where a best checkpoint cannot be written


def save_none_of(monkeypatch, name):
    save = EpochBasedRunner.save_checkpoint

    def save_unless(runner, filename, **given):
        if filename == name:
            raise CheckpointError('no room')
        return save(runner, filename, **given)
    monkeypatch.setattr(EpochBasedRunner, 'save_checkpoint', save_unless)


def test_the_best_so_far_is_the_best_that_could_be_written(run, monkeypatch):
    save_none_of(monkeypatch, 'best_bbox_mAP_epoch_2.pth')
    done = run(3, [0.1, 0.3, 0.2], save_best='bbox_mAP')
    assert [line for line in done.lines if line.startswith('no room. The run goes on')]
    assert done.best == ['best_bbox_mAP_epoch_3.pth'] and done.runner.meta['hook_msgs']['best_score'] == 0.2


def test_a_best_checkpoint_that_cannot_be_written_ends_the_run_where_that_is_wanted(run, monkeypatch):
    save_none_of(monkeypatch, 'best_bbox_mAP_epoch_2.pth')
    with pytest.raises(CheckpointError, match=r'^no room$'):
        run(3, [0.1, 0.3, 0.2], save_best='bbox_mAP', checkpoint=dict(on_failed_save='stop'))
