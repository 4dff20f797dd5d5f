"""Checkpoints that cannot be written: the run goes on or stops, and older files stay."""
from __future__ import annotations

import errno
import os
import re
from types import SimpleNamespace

import pytest

from mmcv_need.checkpoint import read_checkpoint
from mmcv_need.errors import CheckpointError, ConfigError
from mmcv_need.hooks import CheckpointHook, Hook


def checkpoints(names):
    return [name for name in names if name.endswith('.pth') and name != 'latest.pth']


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
    names, lines = run(3, lambda runner: runner.stop('enough', True) if runner.iter + 1 == 10 else None, minutes=3)
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
