"""What is in a work directory: found, marked, and removed without touching anything else."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmcv_need.errors import CheckpointError
from mmcv_need.work_dir import (
    checkpoint_folder,
    claim_timestamp,
    finished_place,
    mark_finished,
    remove_leftovers,
    run_files,
    unmark_finished,
)


def test_a_runs_files_are_known_by_their_names(used):
    assert [os.path.relpath(path, used.folder) for path in run_files(str(used.folder))] == used.ours
    assert run_files(str(used.folder / 'nothing')) == []


def test_a_finished_run_says_how_far_it_went(tmp_path):
    assert finished_place(str(tmp_path)) is None
    mark_finished(str(tmp_path), 24, 87960)
    assert finished_place(str(tmp_path)) == {'epoch': 24, 'iter': 87960, 'stopped': None}
    mark_finished(str(tmp_path), 20, 73300, 'bbox_mAP is nan')
    assert finished_place(str(tmp_path)) == {'epoch': 20, 'iter': 73300, 'stopped': 'bbox_mAP is nan'}
    assert os.listdir(tmp_path) == ['finished.json']
    unmark_finished(str(tmp_path))
    assert finished_place(str(tmp_path)) is None
    unmark_finished(str(tmp_path / 'missing'))


@pytest.mark.parametrize('content', ['[]', '{"epoch": 3}', '{"epoch": "3", "iter": 1}', 'null', '{"epoch": 3, "iter": null}'])
def test_a_mark_that_says_nothing_is_none(tmp_path, content):
    (tmp_path / 'finished.json').write_text(content)
    assert finished_place(str(tmp_path)) is None


def test_a_damaged_mark_is_passed_over_and_said_to_be(tmp_path):
    (tmp_path / 'finished.json').write_text('{"epoch": 3')
    with pytest.warns(UserWarning, match=r'passed over: .*finished\.json:1: not valid JSON'):
        assert finished_place(str(tmp_path)) is None


def test_a_mark_that_cannot_be_written_is_an_error_in_a_line(tmp_path):
    with pytest.raises(CheckpointError, match=r'finished\.json: cannot be written .*; no such folder'):
        mark_finished(str(tmp_path / 'missing'), 1, 1)


def test_runs_that_begin_at_the_same_moment_have_names_of_their_own(tmp_path):
    with ThreadPoolExecutor(3) as threads:
        stamps = list(threads.map(claim_timestamp, [str(tmp_path)] * 3))
    assert len(set(stamps)) == 3 and sorted(os.listdir(tmp_path)) == sorted(f'{stamp}.log' for stamp in stamps)
    time.strptime(stamps[0], '%Y%m%d_%H%M%S')


def test_what_killed_processes_left_is_removed_and_what_living_ones_write_is_not(tmp_path):
    dead = subprocess.Popen([sys.executable, '-c', ''])
    dead.wait()
    names = [f'epoch_1.pth.tmp.{dead.pid}', f'latest.pth.tmp.{dead.pid}', f'epoch_2.pth.tmp.{os.getpid()}', 'epoch_3.pth.tmp.1',
             f'notes.tmp.{dead.pid}', 'epoch_1.pth']  # nothing is being written when a run begins
    for name in names:
        (tmp_path / name).write_text('')
    remove_leftovers(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == sorted(names[3:])
    remove_leftovers(str(tmp_path / 'missing'))


def test_checkpoints_may_go_elsewhere_into_a_folder_of_the_same_name(tmp_path):
    assert checkpoint_folder('work_dirs/ssd300') == 'work_dirs/ssd300'
    assert checkpoint_folder('work_dirs/ssd300/', '/disk') == '/disk/ssd300'


def test_the_mark_is_json(tmp_path):
    mark_finished(str(tmp_path), 3, 21)
    assert set(json.loads((tmp_path / 'finished.json').read_text())) == {'epoch', 'iter', 'stopped', 'time'}
