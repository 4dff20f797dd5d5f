"""EvalHook: when it evaluates, where its values go, and which checkpoint it keeps as the best."""
from __future__ import annotations

import math
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmcv_need.checkpoint import read_checkpoint, save_checkpoint
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import ConfigError
from mmcv_need.hooks import EarlyStoppingHook, EvalHook
from mmcv_need.hooks.best_checkpoint import BestCheckpoint

ITERS = 4  # of an epoch


@pytest.mark.parametrize('interval, start, epochs', [
    (1, None, [1, 2, 3, 4, 5, 6, 7, 8]),
    (2, None, [2, 4, 6, 8]),
    (3, None, [3, 6]),
    (9, None, []),
    (1, 5, [5, 6, 7, 8]),
    (2, 5, [5, 7]),
    (3, 1, [1, 4, 7]),
    (2, 0, [2, 4, 6, 8]),
    (1, 9, []),
])
def test_it_is_due_every_interval_from_start_on(interval, start, epochs):
    hook = EvalHook(lambda runner: {}, start, interval)
    assert [epoch for epoch in range(1, 9) if hook.is_due(epoch)] == epochs


def test_a_start_before_the_start_is_zero_and_said_to_be():
    with pytest.warns(UserWarning, match=r'evaluation\.start is -2; evaluating from 0 on'):
        assert EvalHook(lambda runner: {}, start=-2).start == 0


def test_an_interval_below_one_is_refused():
    with pytest.raises(ConfigError, match='interval must be at least 1, not 0'):
        EvalHook(lambda runner: {}, interval=0)


# When, and where the values go


def test_values_go_to_the_log_and_hooks_know_when_it_happens(run):
    done = run(4, [0.1, 0.2], interval=2)
    assert done.places == [(1, 8), (3, 16)]  # at the end of an epoch, before it counts
    assert [values['bbox_mAP'] for values in done.watch.logged] == [0.1, 0.2]
    assert done.watch.moments == [(when, *place) for place in done.places for when in ('before', 'after')]


def test_hooks_are_told_of_an_evaluation_once_when_its_best_checkpoint_is_written(run):
    done = run(3, [0.1, 0.3, 0.2], save_best='bbox_mAP')
    assert done.watch.told == [(0, 0.1, ['best_bbox_mAP_epoch_1.pth']), (1, 0.3, ['best_bbox_mAP_epoch_2.pth']),
                               (2, 0.2, ['best_bbox_mAP_epoch_2.pth'])]
    assert run(3, [0.2], resume_from='epoch_3.pth', save_best='bbox_mAP').watch.told == [
        (2, 0.2, ['best_bbox_mAP_epoch_2.pth'])]


@pytest.mark.parametrize('priority', ['HIGHEST', 'NORMAL', 'LOWEST'])
def test_patience_ends_with_the_same_evaluation_wherever_the_hook_stands(run, priority):
    stopping = EarlyStoppingHook('bbox_mAP', min_delta=0.0, patience=2)
    done = run(5, [0.1, 0.3, 0.2, 0.1], interval=2, by_epoch=False, more=[(stopping, priority)])
    assert done.places == [(0, 1), (0, 3), (1, 5), (1, 7)] and done.runner.iter == 8


def test_it_may_count_iterations_and_training_goes_on_in_its_mode(run):
    done = run(3, [0.1, 0.2], interval=5, by_epoch=False)
    assert done.places == [(1, 4), (2, 9)]  # in the fifth and the tenth iteration
    assert [values['bbox_mAP'] for values in done.watch.logged] == [0.1, 0.2] and done.runner.model.training


def test_a_start_of_zero_evaluates_before_training_too(run):
    assert run(2, [0.1, 0.2, 0.3], start=0).places == [(0, 0), (0, 4), (1, 8)]
    assert run(2, [0.1, 0.2], start=1).places == [(0, 4), (1, 8)]


def test_an_epoch_that_was_saved_and_not_evaluated_is_evaluated_when_the_run_goes_on(run):
    run(2, [0.1, 0.2])
    done = run(3, [0.2, 0.3], resume_from='epoch_2.pth')
    assert done.places == [(1, 8), (2, 12)] and [values['bbox_mAP'] for values in done.watch.logged] == [0.2, 0.3]


def test_epochs_without_an_evaluation_get_none_when_the_run_goes_on(run):
    run(3, [0.1], interval=2)
    assert run(4, [0.2], resume_from='epoch_3.pth', interval=2).places == [(3, 16)]


@pytest.mark.parametrize('by_epoch, place, due', [
    (True, (2, 8, 0), True), (True, (3, 12, 0), False), (True, (2, 10, 2), False), (True, (0, 0, 0), False),
    (False, (2, 8, 0), True), (False, (2, 10, 2), True), (False, (2, 9, 1), False), (False, (0, 0, 0), False)])
def test_a_run_goes_on_with_the_evaluation_that_is_due_where_it_goes_on(monkeypatch, by_epoch, place, due):
    hook, done = EvalHook(None, interval=2, by_epoch=by_epoch), []
    monkeypatch.setattr(hook, '_evaluate', lambda runner, **place: done.append(tuple(place.values())))
    runner = SimpleNamespace(**dict(zip(('epoch', 'iter', 'inner_iter'), place)), data_loader=range(4))
    hook.after_resume(runner)
    assert done == ([place] if due else [])
    hook.last = (runner.epoch, runner.inner_iter)
    hook.after_resume(runner)
    assert len(done) == due


def test_a_file_of_an_earlier_version_knows_of_no_evaluation():
    hook = EvalHook(None)
    hook.after_load_checkpoint(SimpleNamespace(), {'evaluation': {'evaluated': 14}})
    assert hook.last < (0, 0)


def test_who_goes_on_from_the_best_checkpoint_evaluates_again_for_the_hooks_that_come_after(run):
    run(1, [0.1], save_best='bbox_mAP')
    done = run(2, [0.1, 0.2], resume_from='best_bbox_mAP_epoch_1.pth', save_best='bbox_mAP')
    assert done.places == [(0, 4), (1, 8)] and done.best == ['best_bbox_mAP_epoch_2.pth']


# The best


def test_the_checkpoint_of_the_best_evaluation_is_kept_and_the_others_not(run, tmp_path):
    done = run(5, [0.1, 0.255, 0.2, 0.255, 0.1], save_best='bbox_mAP')
    assert done.best == ['best_bbox_mAP_epoch_2.pth']  # an equal one is not better
    assert [line for line in done.lines if line.startswith(('Best', 'Now best'))] == [
        'Now best checkpoint is saved as best_bbox_mAP_epoch_1.pth.', 'Best bbox_mAP is 0.1000 at 1 epoch.',
        'Now best checkpoint is saved as best_bbox_mAP_epoch_2.pth.', 'Best bbox_mAP is 0.2550 at 2 epoch.']
    best, epoch = (read_checkpoint(str(tmp_path / name)) for name in (done.best[0], 'epoch_2.pth'))
    assert all(torch.equal(best['state_dict'][key], epoch['state_dict'][key]) for key in epoch['state_dict'])
    assert (best['meta']['epoch'], best['meta']['iter'], best['meta']['inner_iter']) == (2, 8, 0) and 'optimizer' in best
    assert os.readlink(tmp_path / 'latest.pth') == 'epoch_5.pth'  # which the best is not


def test_the_run_tells_of_its_best_where_mmcv_does(run, tmp_path):
    run(3, [0.1, 0.3, 0.2], save_best='bbox_mAP')
    for name, score, number in (('epoch_2', 0.1, 1), ('epoch_3', 0.3, 2), ('best_bbox_mAP_epoch_2', 0.3, 2)):
        messages = torch.load(tmp_path / f'{name}.pth', weights_only=True)['meta']['hook_msgs']
        best = str(tmp_path / f'best_bbox_mAP_epoch_{number}.pth')
        assert (messages['best_score'], messages['best_ckpt']) == (score, best)


def test_auto_takes_the_first_value_that_there_is(run):
    assert run(2, [0.1, 0.2], save_best='auto').best == ['best_bbox_mAP_epoch_2.pth']


def test_the_latest_is_the_epochs_and_not_the_best(run, tmp_path):
    run(2, [0.1, 0.2], save_best='auto')
    assert os.readlink(tmp_path / 'latest.pth') == (tmp_path / 'last_checkpoint').read_text() == 'epoch_2.pth'


@pytest.mark.parametrize('settings, kept', [
    (dict(save_best='loss_x'), 2), (dict(save_best='loss_x', rule='greater'), 1), (dict(save_best='odd', rule='less'), 2),
    (dict(save_best='odd', less_keys=['odd']), 2), (dict(save_best='odd', greater_keys=['od']), 1),
    (dict(save_best='AR@100'), 1), (dict(save_best='odd/AR@100'), 1)])
def test_what_is_better_follows_from_the_name_or_the_rule(run, settings, kept):
    values = [dict.fromkeys(('loss_x', 'odd', 'AR@100', 'odd/AR@100'), value) for value in (0.3, 0.1, 0.2)]
    name = settings['save_best'].replace('/', '_')
    assert run(3, values, **settings).best == [f'best_{name}_epoch_{kept}.pth']


def test_the_best_of_iterations_says_so(run, tmp_path):
    done = run(3, [0.1, 0.2], interval=5, by_epoch=False, save_best='bbox_mAP')
    assert done.best == ['best_bbox_mAP_iter_10.pth'] and 'Best bbox_mAP is 0.2000 at 10 iter.' in done.lines
    meta = read_checkpoint(str(tmp_path / done.best[0]))['meta']
    assert (meta['epoch'], meta['iter'], meta['inner_iter']) == (2, 10, 2)


def test_numbers_of_numpy_are_numbers_and_nan_is_never_best(run):
    done = run(4, [math.nan, {'bbox_mAP': np.float32(0.25)}, math.nan, {'bbox_mAP': 0}], save_best='bbox_mAP')
    assert done.best == ['best_bbox_mAP_epoch_2.pth'] and type(done.hook.best.score) is float


def test_an_evaluation_without_values_chooses_nothing(run):
    done = run(2, [{}, 0.1], save_best='auto')
    assert done.best == ['best_bbox_mAP_epoch_2.pth']
    assert 'the evaluation gave no values: no best checkpoint is chosen' in done.lines


@pytest.mark.parametrize('metric, words', [
    ('bbox_mAP_5', "evaluation.save_best: 'bbox_mAP_5' is not among the values. Did you mean 'bbox_mAP_50'?"),
    ('acc', "evaluation.save_best: 'acc' is not among the values. Known: bbox_mAP, bbox_mAP_50.")])
def test_a_metric_that_is_not_there_is_an_error(run, metric, words):
    with pytest.raises(ConfigError) as error:
        run(1, [0.1], save_best=metric)
    assert str(error.value) == words


def test_a_metric_that_is_no_number_is_an_error(run):
    with pytest.raises(ConfigError, match=r"'text' is '0\.1 0\.2', no number"):
        run(1, [0.1], save_best='text', rule='greater')


@pytest.mark.parametrize('settings, words', [
    (dict(save_best='text'), 'does not say whether greater or less is better'),
    (dict(save_best='auto', rule='up'), "rule: expected 'greater' or 'less', not 'up'")])
def test_what_is_wrong_with_the_settings_is_said_before_anything_slow(settings, words):
    with pytest.raises(ConfigError, match=words):
        EvalHook(lambda runner: {}, **settings)


def test_another_rank_saves_when_rank_0_does_and_has_no_say(run, monkeypatch):
    monkeypatch.setattr('mmcv_need.hooks.best_checkpoint.broadcast_int', lambda value, device: 1 - value)
    monkeypatch.setattr('mmcv_need.hooks.best_checkpoint.on_rank_0', lambda action: None)
    saved = []
    monkeypatch.setattr(EpochBasedRunner, 'save_checkpoint', lambda runner, name, **given: saved.append(name) or name)
    done = run(1, [{}], rank=1, save_best='bbox_mAP', checkpoint=dict(minutes=None))
    assert len(saved) == 2  # the epoch's, and the best
    assert not [line for line in done.lines if 'best' in line]


# Over an interruption


def test_a_resumed_run_goes_on_comparing(run):
    run(2, [0.3, 0.1], save_best='bbox_mAP')
    done = run(4, [0.1, 0.2, 0.4], resume_from='epoch_2.pth', save_best='bbox_mAP')
    assert done.best == ['best_bbox_mAP_epoch_4.pth']
    assert [line for line in done.lines if line.startswith('Best')] == ['Best bbox_mAP is 0.4000 at 4 epoch.']


def test_a_run_that_was_killed_in_the_evaluation_ends_as_if_it_had_not_been(run, tmp_path):
    """The checkpoint of the second epoch is written, its evaluation is not."""
    run(2, [0.1, 0.3], save_best='bbox_mAP')
    (tmp_path / 'best_bbox_mAP_epoch_2.pth').unlink()
    save_checkpoint({'meta': {}}, str(tmp_path / 'best_bbox_mAP_epoch_1.pth'), latest=False)
    done = run(3, [0.3, 0.2], resume_from='epoch_2.pth', save_best='bbox_mAP')
    assert done.best == ['best_bbox_mAP_epoch_2.pth'] and done.hook.best.score == 0.3


def test_auto_stays_with_the_metric_that_it_took(run):
    run(1, [0.1], save_best='auto')
    values = {'bbox_mAP_50': 0.9, 'bbox_mAP': 0.2}
    done = run(2, [0.1, values], resume_from='epoch_1.pth', save_best='auto')
    assert done.best == ['best_bbox_mAP_epoch_2.pth']


def test_another_metric_begins_anew_and_leaves_the_other_best_alone(run):
    run(2, [0.3, 0.1], save_best='bbox_mAP')
    done = run(3, [0.1, 0.2], resume_from='epoch_2.pth', save_best='bbox_mAP_50')
    assert done.best == ['best_bbox_mAP_50_epoch_2.pth', 'best_bbox_mAP_epoch_1.pth']


@pytest.mark.parametrize('wanted', ['bbox_mAP', 'auto'])
def test_the_best_score_of_a_run_of_mmcv_is_gone_on_with_and_its_file_left_alone(run, tmp_path, wanted):
    run(1, [0.1])
    content = read_checkpoint(str(tmp_path / 'epoch_1.pth'))
    del content['evaluation']
    content['meta']['hook_msgs'] = {'best_score': 0.25, 'best_ckpt': 'work_dirs/x/best_bbox_mAP_epoch_1.pth'}
    save_checkpoint(content, str(tmp_path / 'epoch_1.pth'))
    (tmp_path / 'best_bbox_mAP_epoch_1.pth').write_bytes(b'of MMCV')
    done = run(3, [0.2, 0.24, 0.26], resume_from='epoch_1.pth', save_best=wanted)
    assert done.best == ['best_bbox_mAP_epoch_1.pth', 'best_bbox_mAP_epoch_3.pth']


def test_an_older_file_knows_of_no_evaluation(run, tmp_path):
    run(1, [0.1])
    content = read_checkpoint(str(tmp_path / 'epoch_1.pth'))
    del content['evaluation'], content['checkpoint_hook']
    save_checkpoint(content, str(tmp_path / 'epoch_1.pth'))
    assert run(2, [0.2, 0.3], resume_from='epoch_1.pth', save_best='auto').best == ['best_bbox_mAP_epoch_2.pth']


def test_the_better_before_goes_only_when_the_new_one_can_be_read(run, tmp_path, monkeypatch):
    save = EpochBasedRunner.save_checkpoint

    def save_badly(runner, filename, **given):
        path = save(runner, filename, **given)
        if filename == 'best_bbox_mAP_epoch_2.pth':
            raw = bytearray((tmp_path / filename).read_bytes())
            raw[len(raw) // 2] ^= 0xff
            (tmp_path / filename).write_bytes(raw)
        return path
    monkeypatch.setattr(EpochBasedRunner, 'save_checkpoint', save_badly)
    done = run(2, [0.1, 0.2], save_best='bbox_mAP')
    assert done.best == ['best_bbox_mAP_epoch_1.pth', 'best_bbox_mAP_epoch_2.pth']
    assert [line for line in done.lines if line.endswith('nothing older is removed')]


def test_a_best_of_another_folder_is_not_removed(run, tmp_path):
    run(1, [0.1], save_best='bbox_mAP')
    other = tmp_path / 'other'
    other.mkdir()
    (other / 'best_bbox_mAP_epoch_1.pth').write_bytes(b'of another run')
    done = run(2, [0.1, 0.2], resume_from='../best_bbox_mAP_epoch_1.pth', folder=other, save_best='bbox_mAP')
    assert done.best == ['best_bbox_mAP_epoch_1.pth', 'best_bbox_mAP_epoch_2.pth']


def test_the_best_checkpoint_has_no_say_in_another_metric():
    best = BestCheckpoint('mAP')
    best.load_state(SimpleNamespace(work_dir='.', meta={}), {'metric': 'acc', 'score': 0.9, 'files': [], 'folder': '.'}, {})
    assert best.score is None
