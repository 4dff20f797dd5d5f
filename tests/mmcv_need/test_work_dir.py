"""What is in a work directory: found, marked, and removed without touching anything else."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmcv_need.errors import CheckpointError, UserError
from mmcv_need.work_dir import (
    checkpoint_folder,
    claim_timestamp,
    finished_place,
    mark_finished,
    remove_leftovers,
    remove_run,
    run_files,
    set_aside,
    unmark_finished,
)

NOW = '20261123_080000'  # when the run of a test begins
OURS = ['20261122_120000.log', '20261122_120000.log.json', 'best_bbox_mAP_50_epoch_3.pth', 'best_coco_bbox_mAP_iter_30.pth',
        'epoch_1.pth', 'epoch_12.pth', 'finished.json', 'iter_7.pth', 'iter_8.pth.tmp.77', 'last_checkpoint', 'latest.pth',
        'latest.pth.tmp.77']
EVENTS = 'tf_logs/events.out.tfevents.1763812345.host.42.0'
OTHERS = ['epoch_1.pth.bak', 'my_epoch_1.pth', 'epoch_x.pth', 'epoch_1.pth.tmp.x', 'best.pth', 'notes.log', 'ssd300_coco.py',
          'eval_20261122_120000.json', 'tf_logs/notes.txt', 'sub/epoch_1.pth', 'Epoch_1.pth', '20261122_120000.txt']


@pytest.fixture
def folder(tmp_path):
    """A work directory with files of a run, and others."""
    for name in [*OURS, *OTHERS, EVENTS]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def left(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if not path.is_dir() or path.is_symlink())


def test_a_runs_files_are_known_by_their_names(folder):
    assert [os.path.relpath(path, folder) for path in run_files(str(folder))] == [*OURS, EVENTS]
    assert run_files(str(folder / 'nothing')) == []


def test_removing_a_run_removes_its_files_and_nothing_else(folder):
    remove_run(str(folder))
    assert left(folder) == sorted(OTHERS)


def test_an_empty_folder_of_events_goes_too_and_removing_again_is_no_error(folder):
    (folder / 'tf_logs/notes.txt').unlink()
    for _ in range(2):
        remove_run(str(folder))
        assert not (folder / 'tf_logs').exists() and (folder / 'sub/epoch_1.pth').exists()


def test_nothing_outside_the_folder_is_removed(tmp_path):
    outside, inside = tmp_path / 'outside', tmp_path / 'inside'
    outside.mkdir()
    inside.mkdir()
    for name in ('epoch_1.pth', 'events.out.tfevents.1'):
        (outside / name).write_text('precious')
    (inside / 'latest.pth').symlink_to('../outside/epoch_1.pth')
    (inside / 'epoch_1.pth').symlink_to('../outside/epoch_1.pth')  # no run makes such a link
    (inside / 'epoch_2.pth').mkdir()
    (inside / 'tf_logs').symlink_to('../outside')
    remove_run(str(inside))
    assert left(outside) == ['epoch_1.pth', 'events.out.tfevents.1']
    assert sorted(os.listdir(inside)) == ['epoch_1.pth', 'epoch_2.pth', 'tf_logs']


def test_a_work_dir_that_is_itself_a_link_is_the_folder_meant(folder, tmp_path_factory):
    link = tmp_path_factory.mktemp('links') / 'work'
    link.symlink_to(folder)
    remove_run(str(link))
    assert left(folder) == sorted(OTHERS) and link.is_symlink()


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


def test_an_earlier_run_is_set_aside_whole_and_nothing_else_is(folder):
    with pytest.warns(UserWarning, match=r'had 5 checkpoints of another run, which are in .*earlier_20261123_080000 now\.'):
        set_aside(str(folder), NOW)
    aside, = folder.glob('earlier_*')
    assert left(aside) == sorted([*OURS, EVENTS])
    assert [name for name in left(folder) if not name.startswith(aside.name)] == sorted(OTHERS)


def test_only_what_came_after_is_set_aside_where_a_run_goes_on_from_an_older_checkpoint(folder):
    with pytest.warns(UserWarning, match='had 3 checkpoints of another run'):
        set_aside(str(folder), NOW, beyond={'epoch': 1, 'iter': 7})
    aside, = folder.glob('earlier_*')
    assert left(aside) == sorted(['best_bbox_mAP_50_epoch_3.pth', 'best_coco_bbox_mAP_iter_30.pth', 'epoch_12.pth',
                                  'finished.json', 'last_checkpoint', 'latest.pth'])
    set_aside(str(folder), NOW, beyond={'epoch': 1, 'iter': 7})  # nothing is left to move, and nothing said


def test_runs_that_begin_at_the_same_moment_have_names_of_their_own(tmp_path):
    folder = tmp_path / 'made' / 'here'
    with ThreadPoolExecutor(3) as threads:
        stamps = list(threads.map(claim_timestamp, [str(folder)] * 3))
    assert len(set(stamps)) == 3 and sorted(os.listdir(folder)) == sorted(f'{stamp}.log' for stamp in stamps)
    time.strptime(stamps[0], '%Y%m%d_%H%M%S')


@pytest.mark.parametrize('inside', ['', 'further/in'])
def test_a_work_dir_that_cannot_be_is_an_error_in_a_line(tmp_path, inside):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match=r'^[^\n]*file[^\n]*(expected the folder of a run|Not a directory)[^\n]*$'):
        claim_timestamp(str(tmp_path / 'file' / inside))


def test_a_run_keeps_its_own_log(folder):
    remove_run(str(folder), keep='20261122_120000')
    assert left(folder) == sorted([*OTHERS, '20261122_120000.log', '20261122_120000.log.json'])


def test_without_checkpoints_nothing_is_moved(tmp_path):
    (tmp_path / '20261122_120000.log').write_text('no checkpoint')
    set_aside(str(tmp_path), NOW)
    assert os.listdir(tmp_path) == ['20261122_120000.log']
    set_aside(str(tmp_path / 'missing'), NOW)


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
