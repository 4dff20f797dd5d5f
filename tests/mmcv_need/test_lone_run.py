"""Two runs do not write into one work directory, and what a run leaves behind keeps nobody out."""
from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmcv_need import lone_run as lone_runs
from mmcv_need.errors import UserError
from mmcv_need.lone_run import LOCK, lone_run

ROOT = Path(__file__).resolve().parents[2]
HOLDER = '''
import os, sys, time
sys.path.insert(0, sys.argv[1])
import torch
from mmcv_need.lone_run import lone_run
with lone_run([sys.argv[2]]):
    child = os.fork()  # as a loader's worker
    if child:
        print(child, flush=True)
    time.sleep(600)
'''


@pytest.fixture
def holder(tmp_path):
    """A process that has the folder, and a child of its own; (process, number of the child)."""
    process = subprocess.Popen([sys.executable, '-c', HOLDER, str(ROOT), str(tmp_path)], stdout=subprocess.PIPE, text=True)
    child = int(process.stdout.readline())
    yield process, child
    for number in (process.pid, child):
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()
    process.stdout.close()


def test_a_second_run_is_told_who_has_the_folder_and_a_killed_one_keeps_nobody_out(tmp_path, holder):
    process, child = holder
    words = rf'another run is writing there \(process {process.pid} on .*\)\. Wait for its end, or choose'
    with pytest.raises(UserError, match=words), lone_run([str(tmp_path)]):
        pytest.fail('it has the folder')
    process.kill()
    process.wait()
    os.kill(child, 0)  # what it started lives on
    with lone_run([str(tmp_path)]):
        assert (tmp_path / LOCK).read_text().startswith(f'process {os.getpid()} on ')


def test_one_process_may_run_again(tmp_path):
    for _ in range(2):
        with lone_run([str(tmp_path / 'made/here')]):
            assert os.listdir(tmp_path / 'made/here') == [LOCK]


def test_a_run_has_all_its_folders_or_none(tmp_path, holder):
    """Its checkpoints may go elsewhere (`out_dir`)."""
    with pytest.raises(UserError, match='another run is writing'), lone_run([str(tmp_path), str(tmp_path / 'a')]):
        pytest.fail('it has one of them only')
    with lone_run([str(tmp_path / 'a'), str(tmp_path / 'b'), f'{tmp_path}/./a']):
        assert (tmp_path / 'a' / LOCK).exists() and (tmp_path / 'b' / LOCK).exists()


@pytest.mark.parametrize('inside', ['', 'further/in'])
def test_a_folder_that_cannot_be_is_an_error_in_a_line(tmp_path, inside):
    (tmp_path / 'file').write_text('')
    words = r'^[^\n]*file[^\n]*: no run can be written there [^\n]* Choose another --work-dir$'
    with pytest.raises(UserError, match=words), lone_run([str(tmp_path / 'file' / inside)]):
        pytest.fail('there is no such folder')


def test_a_file_system_without_locks_is_said_to_be_one(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, 'No locks available')
    monkeypatch.setattr(lone_runs.fcntl, 'lockf', refuse)
    words = r'cannot be locked \(No locks available\); see to it that no other run writes there'
    with pytest.warns(UserWarning, match=words), lone_run([str(tmp_path)]):
        pass
