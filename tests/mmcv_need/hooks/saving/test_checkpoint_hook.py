"""CheckpointHook: when it saves and under which name, what is kept, and what points at the newest."""
from __future__ import annotations

import os

import pytest
import torch

from mmcv_need.checkpoint import find_latest, read_checkpoint, save_checkpoint
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import ConfigError
from mmcv_need.hooks import CheckpointHook
from mmcv_need.hooks import checkpoint as module

ITERS = 4  # of an epoch


def checkpoints(names):
    return [name for name in names if name.endswith('.pth') and name != 'latest.pth']


def stop_at(iteration, resumable=True):
    return lambda runner: runner.stop('enough', resumable) if runner.iter + 1 == iteration else None


def damage(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xff
    path.write_bytes(raw)


# By epochs and iterations


def test_a_checkpoint_is_written_after_each_epoch(run):
    names, lines = run(3, interval=1)
    assert names == ['epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'last_checkpoint', 'latest.pth']
    assert [line for line in lines if 'Saving' in line] == [f'Saving checkpoint at {n} epochs' for n in (1, 2, 3)]


@pytest.mark.parametrize('epochs, settings, expected', [
    (4, dict(interval=2), ['epoch_2.pth', 'epoch_4.pth']),
    (5, dict(interval=2), ['epoch_2.pth', 'epoch_4.pth', 'epoch_5.pth']),
    (5, dict(interval=2, save_last=False), ['epoch_2.pth', 'epoch_4.pth']),
    (2, dict(), ['epoch_2.pth']),
    (2, dict(save_last=False), []),
    (3, dict(interval=3, by_epoch=False), ['iter_12.pth', 'iter_3.pth', 'iter_6.pth', 'iter_9.pth']),
    (2, dict(interval=3, by_epoch=False), ['iter_3.pth', 'iter_6.pth', 'iter_8.pth']),
    (2, dict(interval=3, by_epoch=False, save_last=False), ['iter_3.pth', 'iter_6.pth'])])
def test_interval_counts_epochs_or_iterations_of_the_whole_run_and_the_last_is_saved(run, epochs, settings, expected):
    names, lines = run(epochs, minutes=None, **settings)
    assert checkpoints(names) == expected
    assert len([line for line in lines if 'Saving' in line]) == len(expected)


def test_latest_is_a_relative_link_and_last_checkpoint_names_the_file(run, tmp_path):
    run(2, interval=1)
    assert (tmp_path / 'latest.pth').is_symlink() and os.readlink(tmp_path / 'latest.pth') == 'epoch_2.pth'
    assert (tmp_path / 'last_checkpoint').read_text() == 'epoch_2.pth'
    moved = tmp_path.with_name(tmp_path.name + '_moved')
    tmp_path.rename(moved)
    assert read_checkpoint(str(moved / 'latest.pth'))['meta']['epoch'] == 2


def test_the_content_says_where_in_the_run_it_was_written(run, tmp_path):
    run(2, interval=1)
    content = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    meta = content['meta']
    assert (meta['epoch'], meta['iter'], meta['inner_iter']) == (2, 2 * ITERS, 0)
    assert (meta['seed'], meta['CLASSES']) == (3, ['a', 'b']) and isinstance(meta['time'], str)
    assert {'optimizer', 'checkpoint_hook'} <= set(content) and set(content['state_dict']) == {'weight', 'bias'}
    assert meta['hook_msgs'] == {'last_ckpt': str(tmp_path / 'epoch_1.pth')}  # as MMCV: the one before


def test_a_checkpoint_by_iteration_says_how_far_into_its_epoch_it_is(run, tmp_path):
    run(2, interval=3, by_epoch=False)
    for number, place in ((3, (0, 3, 3)), (6, (1, 6, 2)), (8, (2, 8, 0))):
        meta = read_checkpoint(str(tmp_path / f'iter_{number}.pth'))['meta']
        assert (meta['epoch'], meta['iter'], meta['inner_iter']) == place


def test_the_optimizer_may_be_left_out(run, tmp_path):
    run(1, interval=1, save_optimizer=False)
    assert 'optimizer' not in read_checkpoint(str(tmp_path / 'epoch_1.pth'))


def test_only_rank_0_writes_and_removes(run, monkeypatch):
    with monkeypatch.context() as other_rank:
        other_rank.setattr('mmcv_need.epoch_based_runner.on_rank_0', lambda action: None)
        assert run(3, rank=1, interval=1)[0] == []
    before, _ = run(3, interval=1)
    monkeypatch.setattr('mmcv_need.epoch_based_runner.on_rank_0', lambda action: None)
    assert run(3, rank=1, interval=1, max_keep_ckpts=1)[0] == before


def test_checkpoints_may_go_elsewhere(run, tmp_path):
    names, _ = run(3, interval=1, max_keep_ckpts=1, out_dir=str(tmp_path / 'out'))
    assert names == ['out'] and sorted(os.listdir(tmp_path / 'out' / tmp_path.name)) == [
        'epoch_3.pth', 'last_checkpoint', 'latest.pth']


def test_buffers_are_made_one_before_they_are_saved_if_asked(run, monkeypatch):
    given = []
    monkeypatch.setattr(module, 'broadcast_buffers', lambda network: given.append(type(network)))
    run(2, interval=1)
    assert given == []
    run(2, interval=1, sync_buffer=True)
    assert given == [torch.nn.Linear] * 2


@pytest.mark.parametrize('minutes', [0, -5])
def test_a_clock_without_time_is_refused(minutes):
    with pytest.raises(ConfigError, match='minutes must be more than 0'):
        CheckpointHook(minutes=minutes)


# By the clock


def test_what_was_saved_by_the_clock_goes_when_there_is_something_newer(run, tmp_path):
    seen = []
    run(5, lambda runner: seen.append(checkpoints(sorted(os.listdir(tmp_path)))), interval=3, minutes=5)
    assert seen[4:6] == [[], ['iter_6.pth']]  # the sixth iteration begins after five minutes
    assert seen[10:12] == [['iter_11.pth']] * 2  # only one is kept
    assert seen[12:] == [['epoch_3.pth']] * 4 + [['epoch_3.pth']] + [['epoch_3.pth', 'iter_18.pth']] * 3
    assert checkpoints(sorted(os.listdir(tmp_path))) == ['epoch_3.pth', 'epoch_5.pth']


def test_the_clock_writes_nothing_that_is_written_anyway(run, tmp_path):
    _, lines = run(3, interval=1, minutes=ITERS - 1)
    assert [line for line in lines if 'Saving' in line] == [f'Saving checkpoint at {n} epochs' for n in (1, 2, 3)]


def test_what_is_gone_is_forgotten(run, tmp_path):
    run(9, interval=3, minutes=5, max_keep_ckpts=1)
    state, = read_checkpoint(str(tmp_path / 'epoch_9.pth'))['checkpoint_hook'].values()
    assert (state['regular'], state['between']) == (['epoch_6.pth', 'epoch_9.pth'], ['iter_35.pth'])


def test_no_more_than_the_minutes_are_between_two_checkpoints(run, tmp_path):
    """Whatever the interval; here at most three iterations are lost at any moment."""
    lost = []

    def look(runner):
        newest = find_latest(str(tmp_path))
        lost.append(runner.iter + 1 - (newest.content['meta']['iter'] if newest else 0))
    run(6, look, interval=2, minutes=3)
    assert max(lost) == 3
    assert not [name for name in checkpoints(sorted(os.listdir(tmp_path))) if name.startswith('iter')]


@pytest.mark.parametrize('settings', [dict(minutes=None), dict(minutes=999), dict(minutes=1, save_optimizer=False)])
def test_the_clock_saves_nothing_without_minutes_or_if_training_could_not_go_on_from_it(run, settings):
    _, lines = run(3, interval=3, **settings)
    assert [line for line in lines if 'Saving' in line] == ['Saving checkpoint at 3 epochs']


def test_two_of_them_keep_their_own_files_over_an_interruption(run, tmp_path):
    given = dict(interval=1, max_keep_ckpts=1, minutes=None, others=[dict(interval=3, by_epoch=False, minutes=1e-9)])
    run(9, max_steps=9, **given)
    run(9, max_steps=14, resume_from='', **given)
    kept = checkpoints(sorted(os.listdir(tmp_path)))
    assert {'iter_3.pth', 'iter_6.pth', 'iter_9.pth', 'iter_12.pth'} <= set(kept)
    assert [name for name in kept if name not in ('iter_3.pth', 'iter_6.pth', 'iter_9.pth', 'iter_12.pth')] == ['iter_14.pth']


# When a run ends early


def test_a_run_that_is_stopped_leaves_where_it_was_and_removes_that_when_it_has_gone_on(run, tmp_path):
    names, _ = run(3, stop_at(6), interval=1)
    assert checkpoints(names) == ['epoch_1.pth', 'iter_6.pth']
    meta = read_checkpoint(str(tmp_path / 'latest.pth'))['meta']
    assert (meta['epoch'], meta['iter'], meta['inner_iter']) == (1, 6, 2)
    names, lines = run(3, resume_from='', interval=1)
    assert 'resumed epoch 1, iter 6' in lines and checkpoints(names) == ['epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth']


def test_a_run_that_is_stopped_at_an_epochs_end_leaves_that_epoch_and_removes_it_later(run, tmp_path):
    assert checkpoints(run(4, stop_at(12), interval=2)[0]) == ['epoch_2.pth', 'epoch_3.pth']
    assert checkpoints(run(4, resume_from='', interval=2)[0]) == ['epoch_2.pth', 'epoch_4.pth']


@pytest.mark.parametrize('how', [dict(max_steps=6), dict(after=stop_at(6, resumable=False))])
def test_the_last_checkpoint_of_a_run_that_did_all_it_was_to_stays_even_if_it_is_made_longer(run, how):
    assert checkpoints(run(3, interval=1, **how)[0]) == ['epoch_1.pth', 'iter_6.pth']
    assert checkpoints(run(2, resume_from='', interval=1)[0]) == ['epoch_1.pth', 'epoch_2.pth', 'iter_6.pth']


def test_a_run_that_is_resumed_with_nothing_to_do_writes_nothing(run):
    run(1, interval=1)
    names, lines = run(1, resume_from='', interval=1)
    assert checkpoints(names) == ['epoch_1.pth'] and not [line for line in lines if 'Saving' in line]


# What is kept


def test_the_newest_are_kept_by_number_and_not_by_name(run, tmp_path):
    assert checkpoints(run(12, interval=1, max_keep_ckpts=2)[0]) == ['epoch_11.pth', 'epoch_12.pth']
    assert os.readlink(tmp_path / 'latest.pth') == 'epoch_12.pth'


def test_the_last_counts_among_the_newest(run):
    assert checkpoints(run(5, interval=2, max_keep_ckpts=2)[0]) == ['epoch_4.pth', 'epoch_5.pth']


@pytest.mark.parametrize('name', ['epoch_1.pth', 'epoch_9.pth', 'iter_3.pth', 'best_mAP_epoch_1.pth'])
def test_files_that_the_hook_did_not_write_are_left_alone(run, tmp_path, name):
    (tmp_path / name).write_bytes(b'of another run')
    found = checkpoints(run(3, interval=3, by_epoch=False, max_keep_ckpts=1, minutes=2)[0])
    assert found == sorted({'iter_12.pth', name} - {'iter_3.pth'})  # which this run wrote over


def test_a_resumed_run_removes_what_it_wrote_before(run):
    assert checkpoints(run(3, interval=1, max_keep_ckpts=2)[0]) == ['epoch_2.pth', 'epoch_3.pth']
    assert checkpoints(run(5, resume_from='', interval=1, max_keep_ckpts=2)[0]) == ['epoch_4.pth', 'epoch_5.pth']


@pytest.mark.parametrize('other', [dict(interval=3), dict(interval=6, by_epoch=False, minutes=None)])
def test_each_of_several_such_hooks_remembers_its_own_files(run, tmp_path_factory, other):
    given = dict(interval=1, max_keep_ckpts=2, save_last=False, others=[{**other, 'save_last': False}])  # as if killed
    whole, parted = tmp_path_factory.mktemp('whole'), tmp_path_factory.mktemp('parted')
    found = checkpoints(run(8, folder=whole, **given)[0])
    run(5, folder=parted, **given)
    assert checkpoints(run(8, folder=parted, resume_from='', **given)[0]) == found
    assert {'epoch_7.pth', 'epoch_8.pth'} < set(found) and not {'epoch_4.pth', 'epoch_5.pth'} & set(found)


def test_hooks_that_write_elsewhere_do_not_protect_each_others_files(run, tmp_path):
    given = dict(interval=1, max_keep_ckpts=1, others=[dict(interval=1, max_keep_ckpts=1, out_dir=str(tmp_path / 'out'))])
    found, _ = run(3, folder=tmp_path / 'work', **given)
    assert checkpoints(found) == ['epoch_3.pth'] == checkpoints(sorted(os.listdir(tmp_path / 'out/work')))


def test_the_interval_may_change_when_a_run_goes_on(run):
    run(2, max_steps=5, interval=1, minutes=None)
    assert checkpoints(run(4, resume_from='', interval=2, max_keep_ckpts=1)[0]) == ['epoch_4.pth']


def test_what_a_killed_run_had_not_yet_removed_goes_when_it_is_gone_on_with(run, tmp_path):
    kept = dict(interval=1, max_keep_ckpts=1)
    run(3, save_last=False, **kept)
    content = read_checkpoint(str(tmp_path / 'epoch_3.pth'))
    state = content['checkpoint_hook']['epochs']
    state.update(regular=['epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth'], between=['iter_10.pth'])
    save_checkpoint(content, str(tmp_path / 'epoch_3.pth'))
    for name in ('epoch_1.pth', 'epoch_2.pth', 'iter_10.pth', 'iter_9.pth'):
        (tmp_path / name).write_bytes(b'')
    assert checkpoints(run(3, resume_from='epoch_3.pth', **kept)[0]) == ['epoch_3.pth', 'iter_9.pth']  # which is not its own


def test_what_a_file_replaces_stays_if_that_file_is_not_there(run, tmp_path):
    run(3, interval=1)
    (tmp_path / 'epoch_3.pth').rename(tmp_path / 'elsewhere.pth')
    found, lines = run(3, resume_from='elsewhere.pth', interval=1, max_keep_ckpts=1)
    assert checkpoints(found) == ['elsewhere.pth', 'epoch_1.pth', 'epoch_2.pth']
    assert [line for line in lines if line.endswith('no such checkpoint file; nothing older is removed')]


def test_a_run_that_goes_on_in_another_folder_removes_nothing_there(run, tmp_path):
    run(2, interval=1)
    other = tmp_path / 'other'
    other.mkdir()
    (other / 'epoch_1.pth').write_bytes(b'of another run')
    found, _ = run(4, resume_from='../epoch_2.pth', folder=other, interval=1, max_keep_ckpts=1)
    assert checkpoints(found) == ['epoch_1.pth', 'epoch_4.pth']


# An older file goes only when the newer one can be read


@pytest.mark.parametrize('settings', [dict(interval=1, max_keep_ckpts=1), dict(interval=9, minutes=2, save_last=False)])
def test_nothing_older_is_removed_while_the_newest_cannot_be_read(run, tmp_path, monkeypatch, settings):
    """Bits flip on the way to the disk: what is read back is not what was written."""
    save, broken = EpochBasedRunner.save_checkpoint, []

    def save_badly(runner, filename, **given):
        path = save(runner, filename, **given)
        if 4 < given['iteration'] < 10:
            damage(tmp_path / filename)
            broken.append(filename)
        return path
    monkeypatch.setattr(EpochBasedRunner, 'save_checkpoint', save_badly)
    found = []
    _, lines = run(4, lambda runner: found.append(set(checkpoints(os.listdir(tmp_path)))), **settings)
    first = found[4] - set(broken)
    assert len(first) == 1 and broken and all(first <= names for names in found[4:9])  # what could be read is still there
    errors = [line for line in lines if 'damaged' in line or 'cannot be read' in line]
    assert len(errors) == len(broken) and all(line.endswith('; nothing older is removed') for line in errors)
    assert len(checkpoints(os.listdir(tmp_path))) == 1  # and when one can be read again, all that it replaces goes


def test_what_a_killed_run_left_half_written_is_removed_at_the_start(run, tmp_path):
    (tmp_path / 'epoch_1.pth.tmp.999999').write_bytes(b'half')
    assert checkpoints(run(1, interval=1)[0]) == ['epoch_1.pth'] and len(os.listdir(tmp_path)) == 3
