"""CheckpointHook: when it saves and under which name, what is kept, and what points at the newest."""
from __future__ import annotations

import errno
import logging
import os
import re
from types import SimpleNamespace

import pytest
import torch

from mmcv_need.checkpoint import find_latest, read, read_checkpoint, save_checkpoint
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import CheckpointError, ConfigError
from mmcv_need.hooks import CheckpointHook, Hook
from mmcv_need.hooks import checkpoint as module
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
        loss = self.module(batch['x']).sum()
        return {'loss': loss, 'log_vars': {'loss': loss.detach()}, 'num_samples': 1}


class Loader(list):
    """The batches of an epoch, or what a resumed run still has to do of it."""
    done = 0

    def __iter__(self):
        rest, self.done = self[self.done:], 0
        return iter(rest)


class Clock:
    """Minutes that pass in training, one an iteration."""
    minute = 0

    def monotonic(self):
        return 60.0 * self.minute


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, 'time', clock)
    return clock


@pytest.fixture
def run(tmp_path, clock):
    """Runs some epochs, one minute an iteration; returns the names in the work directory and the lines logged.

    Args:
        epochs: in all.
        others: settings of further CheckpointHooks.
        first: a hook before them.
        after: a function that is called with the runner after each iteration, once the checkpoint hook is done.
        resume_from: name of a checkpoint there, or '' for the newest.
        settings: of the CheckpointHook.
    """
    def start(epochs, after=None, resume_from=None, max_steps=None, rank=0, world_size=1, folder=tmp_path, others=(),
              first=None, **settings):
        recorder = Recorder()
        logger = logging.Logger('checkpoints', 'INFO')
        logger.addHandler(recorder)
        model = Model()
        optimizer = OptimizerStep(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
        runner = EpochBasedRunner(epochs, model=model, optimizer=optimizer, device=torch.device('cpu'), work_dir=str(folder),
                                  logger=logger, meta={'seed': 3, 'CLASSES': ['a', 'b']}, max_steps=max_steps)
        runner.rank, runner.world_size = rank, world_size
        if first:
            runner.register_hook(first)
        for own in (settings, *others):
            runner.register_hook(CheckpointHook(**own))

        class After(Hook):
            def between_iters(self, runner):
                clock.minute += 1
                if after:
                    after(runner)
        runner.register_hook(After())
        loader = Loader([{'x': torch.ones(1, 1)}] * ITERS)
        if resume_from is not None:
            runner.resume(*(read(str(folder / resume_from)) if resume_from else find_latest(str(folder))))
            loader.done = runner.inner_iter
        runner.run([loader])
        return sorted(os.listdir(folder)), recorder.lines
    return start


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


@pytest.fixture
def disk(monkeypatch):
    """disk.full(name, ...): these files cannot be written, others can; disk.full() takes all."""
    replace, names = os.replace, set()

    def replace_if_there_is_room(old, new):
        if os.path.basename(new) in names:
            raise OSError(errno.ENOSPC, 'No space left on device')
        replace(old, new)
    monkeypatch.setattr(os, 'replace', replace_if_there_is_room)

    def full(*now):
        names.clear()
        names.update(now)
    return SimpleNamespace(full=full)


def failures(lines):
    return [line for line in lines if 'cannot be written' in line]


def test_on_a_full_disk_the_run_goes_on_and_the_older_file_stays_until_there_is_a_newer_one(run, disk):
    disk.full('epoch_2.pth', 'epoch_3.pth')
    left = []
    names, lines = run(4, lambda runner: left.append(checkpoints(os.listdir(runner.work_dir))), interval=1, max_keep_ckpts=1)
    assert left[4:16] == [['epoch_1.pth']] * 12  # until the fourth epoch was over
    assert names == ['epoch_4.pth', 'last_checkpoint', 'latest.pth']
    assert len(failures(lines)) == 2 and all(re.fullmatch(
        r'.*/epoch_[23]\.pth: cannot be written \(No space left on device\); \d+ MB are free there\. '
        r'Older checkpoints are intact\. The run goes on, and tries again .*', line) for line in failures(lines))


def test_what_is_due_by_the_clock_is_tried_again_when_it_is_due_again(run, disk, tmp_path):
    disk.full('iter_4.pth')
    names, lines = run(3, stop_at(10), minutes=3)
    assert len(failures(lines)) == 1 and [line for line in lines if 'Saving' in line] == [
        f'Saving checkpoint at {n} iterations' for n in (4, 7, 10)]
    assert checkpoints(names) == ['iter_10.pth']
    content = read_checkpoint(str(tmp_path / 'iter_10.pth'))
    assert content['checkpoint_hook']['epochs']['between'] == ['iter_7.pth', 'iter_10.pth']  # the one that is not there is not


def test_it_stops_if_that_is_wanted(run, disk, tmp_path):
    disk.full('epoch_2.pth')
    with pytest.raises(CheckpointError, match=r'epoch_2\.pth: cannot be written \(No space left on device\)'):
        run(3, interval=1, max_keep_ckpts=1, on_failed_save='stop')
    assert sorted(os.listdir(tmp_path)) == ['epoch_1.pth', 'last_checkpoint', 'latest.pth']
    with pytest.raises(ConfigError, match="on_failed_save: expected 'warn' or 'stop', not 'ignore'"):
        CheckpointHook(on_failed_save='ignore')


@pytest.mark.parametrize('settings', [dict(), dict(interval=1, save_last=False)])
def test_a_last_checkpoint_that_cannot_be_written_is_an_error(run, disk, tmp_path, settings):
    disk.full('epoch_3.pth')
    with pytest.raises(CheckpointError, match=r'epoch_3\.pth: cannot be written'):
        run(3, **settings)
    assert not list(tmp_path.glob('*.tmp.*'))


def test_a_last_checkpoint_that_can_be_written_in_the_end_is_no_error(run, disk):
    """What the end of the epoch could not write, the end of the run tries again."""
    disk.full('epoch_3.pth')

    class Room(Hook):
        def after_run(self, runner):
            disk.full()
    names, lines = run(3, first=Room(), interval=1)
    assert 'epoch_3.pth' in names and len(failures(lines)) == 1


def test_a_file_that_is_written_and_not_pointed_at_is_known_to_the_next(run, disk, tmp_path):
    disk.full('latest.pth')
    with pytest.raises(CheckpointError, match=r'latest\.pth: cannot be made a link to epoch_2\.pth, which is written'):
        run(2, interval=1, max_keep_ckpts=1)
    assert sorted(checkpoints(os.listdir(tmp_path))) == ['epoch_1.pth', 'epoch_2.pth']
    disk.full()
    names, _ = run(3, resume_from='', interval=1, max_keep_ckpts=1)
    assert checkpoints(names) == ['epoch_3.pth']


def test_what_a_killed_run_left_half_written_is_removed_at_the_start(run, tmp_path):
    (tmp_path / 'epoch_1.pth.tmp.999999').write_bytes(b'half')
    assert checkpoints(run(1, interval=1)[0]) == ['epoch_1.pth'] and len(os.listdir(tmp_path)) == 3
