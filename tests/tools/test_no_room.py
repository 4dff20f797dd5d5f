"""A disk that is full, read-only, over its quota or gone while a run saves: what was there stays whole, and the run goes on."""
from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmcv_need.checkpoint import find_latest
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import CheckpointError

ROOT = Path(__file__).resolve().parents[2]
ITERS = 7  # of an epoch, of three; each is saved at its end


def mount(*words):
    return subprocess.run(['mount', '-t', 'tmpfs', *map(str, words)], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path):
    """A folder of 4 MB, and whatever is mounted on it later."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which('mount') is None or not mount('-o', 'size=4m', 'none', folder):
        pytest.skip('may not mount')
    yield folder
    while os.path.ismount(folder):
        subprocess.run(['umount', '-l', str(folder)], check=True)


@pytest.fixture
def run(training, monkeypatch, capsys):
    """Trains three epochs, calling functions before some iterations, counted from 0; (folder, what it said)."""
    def start(folder, at, *options):
        step = EpochBasedRunner.train_iter

        def train_iter(runner, batch):
            at.get(runner.iter, lambda: None)()
            return step(runner, batch)
        monkeypatch.setattr(EpochBasedRunner, 'train_iter', train_iter)
        training('--no-validate', '--cfg-options', 'log_config.interval=1', *options, folder=folder)
        return folder, capsys.readouterr().out
    return start


def check_went_on(folder, said, words):
    """The second epoch's checkpoint could not be written, the others are whole, and nothing else is there."""
    warned = [line for line in said.splitlines() if 'epoch_2.pth: cannot be written' in line]
    assert len(warned) == 1 and words in warned[0] and 'Older checkpoints are intact. The run goes on' in warned[0]
    assert sorted(path.name for path in folder.glob('*.pth*')) == ['epoch_1.pth', 'epoch_3.pth', 'latest.pth']
    assert find_latest(str(folder)).content['meta']['iter'] == 3 * ITERS
    assert os.readlink(folder / 'latest.pth') == 'epoch_3.pth' and (folder / 'finished.json').exists()


def fill(folder):
    with open(folder / 'filler', 'wb', buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC


def test_a_disk_that_is_full_for_a_while(run, disk):
    work = disk / 'work'
    _, said = run(work, {ITERS + 1: lambda: fill(disk), 2 * ITERS + 1: (disk / 'filler').unlink})
    check_went_on(work, said, '(No space left on device); 0 MB are free there')
    assert said.count('.log.json: cannot be written (No space left on device); records are missing in it') == 1
    lines = next(work.glob('*.log.json')).read_text().splitlines()
    assert all(line.startswith('{') and line.endswith('}') for line in lines)  # none of them in part


def test_a_disk_that_stays_full_is_an_error_at_the_end(run, disk):
    with pytest.raises(CheckpointError, match=r'epoch_3\.pth: cannot be written \(No space left on device\); 0 MB'):
        run(disk / 'work', {ITERS + 1: lambda: fill(disk)})
    assert find_latest(str(disk / 'work')).content['meta']['iter'] == ITERS
    assert not list((disk / 'work').glob('*.tmp.*')) and not (disk / 'work/finished.json').exists()


def test_it_stops_where_the_config_says_so(run, disk):
    with pytest.raises(CheckpointError, match=r'epoch_2\.pth: cannot be written'):
        run(disk / 'work', {ITERS + 1: lambda: fill(disk)}, 'checkpoint_config.on_failed_save=stop')


def test_a_disk_that_is_read_only_for_a_while(run, disk, tmp_path):
    work = tmp_path / 'disk'
    _, said = run(work, {ITERS + 1: lambda: mount('-o', 'ro', 'none', work),
                         2 * ITERS + 1: lambda: subprocess.run(['umount', str(work)], check=True)})
    check_went_on(work, said, '(Read-only file system)')


def test_a_quota_that_is_used_up_for_a_while(run, tmp_path, monkeypatch):
    """As file systems over a network say it: when the file is synced."""
    sync, used_up = os.fsync, [False]

    def fsync(descriptor):
        if used_up[0]:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        sync(descriptor)
    monkeypatch.setattr(os, 'fsync', fsync)
    work = tmp_path / 'work'
    _, said = run(work, {ITERS + 1: lambda: used_up.__setitem__(0, True), 2 * ITERS + 1: lambda: used_up.__setitem__(0, False)})
    check_went_on(work, said, f'({os.strerror(errno.EDQUOT)})')


def test_a_folder_that_is_removed_is_made_anew(run, tmp_path):
    work, _ = run(tmp_path / 'work', {ITERS + 1: lambda: shutil.rmtree(tmp_path / 'work')})
    assert sorted(path.name for path in work.glob('*.pth')) == ['epoch_2.pth', 'epoch_3.pth', 'latest.pth']


def test_a_folder_that_is_gone_and_cannot_be_made_anew(run, tmp_path):
    outer, moved = tmp_path / 'outer', tmp_path / 'moved'
    outer.mkdir()

    def lose():
        outer.rename(moved)
        outer.touch()

    def find():
        outer.unlink()
        moved.rename(outer)
    work, said = run(outer / 'work', {ITERS + 1: lose, 2 * ITERS + 1: find})
    check_went_on(work, said, 'its folder cannot be made (Not a directory)')


@pytest.mark.slow
def test_files_that_may_not_be_so_large_end_the_program_with_one_line(tiny, tmp_path):
    done = subprocess.run(
        [sys.executable, 'tools/train.py', str(tiny), '--work-dir', str(tmp_path / 'work'), '--device', 'cpu', '--no-validate',
         '--max_steps', '2'], cwd=ROOT, capture_output=True, text=True, timeout=120, env={**os.environ, 'OMP_NUM_THREADS': '1'},
        check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16)))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f'error: {tmp_path}/work/iter_2.pth: cannot be written (File too large); ')
    assert 'Traceback' not in done.stderr and not list((tmp_path / 'work').glob('*.pth*'))
