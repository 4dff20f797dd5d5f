"""An earlier run's files are moved or removed whole, whenever the process that does so is killed, and nothing else is."""
from __future__ import annotations

import json
import os

import pytest
import torch

from mmcv_need.checkpoint import Loaded
from mmcv_need.earlier_runs import JOURNAL, finish_clearing, remove_run, set_aside
from mmcv_need.errors import CheckpointError, DataError

NOW = '20261123_080000'  # when the run of a test begins


def test_removing_a_run_removes_its_files_and_nothing_else(used):
    remove_run(str(used.folder), keep=NOW)
    assert used.left(used.folder) == sorted(used.others)


def test_an_empty_folder_of_events_goes_too_and_removing_again_is_no_error(used):
    (used.folder / 'tf_logs/notes.txt').unlink()
    for _ in range(2):
        remove_run(str(used.folder), keep=NOW)
        assert not (used.folder / 'tf_logs').exists() and (used.folder / 'sub/epoch_1.pth').exists()


def test_nothing_outside_the_folder_is_removed(used, tmp_path_factory):
    root = tmp_path_factory.mktemp('root')
    outside, inside = root / 'outside', root / 'inside'
    outside.mkdir()
    inside.mkdir()
    for name in ('epoch_1.pth', 'events.out.tfevents.1'):
        (outside / name).write_text('precious')
    (inside / 'latest.pth').symlink_to('../outside/epoch_1.pth')
    (inside / 'epoch_1.pth').symlink_to('../outside/epoch_1.pth')  # no run makes such a link
    (inside / 'epoch_2.pth').mkdir()
    (inside / 'tf_logs').symlink_to('../outside')
    remove_run(str(inside), keep=NOW)
    assert used.left(outside) == ['epoch_1.pth', 'events.out.tfevents.1']
    assert sorted(os.listdir(inside)) == ['epoch_1.pth', 'epoch_2.pth', 'tf_logs']


def test_a_work_dir_that_is_itself_a_link_is_the_folder_meant(used, tmp_path_factory):
    link = tmp_path_factory.mktemp('links') / 'work'
    link.symlink_to(used.folder)
    remove_run(str(link), keep=NOW)
    assert used.left(used.folder) == sorted(used.others) and link.is_symlink()


def test_a_run_keeps_its_own_log(used):
    remove_run(str(used.folder), keep='20261122_120000')
    assert used.left(used.folder) == sorted([*used.others, '20261122_120000.log', '20261122_120000.log.json'])


def test_an_earlier_run_is_set_aside_whole_with_a_copy_of_its_config_and_nothing_else_is(used):
    with pytest.warns(UserWarning, match=r'had 5 checkpoints of another run, which are in .*earlier_20261123_080000 now\.'):
        set_aside(str(used.folder), NOW, config=str(used.folder / 'ssd300_coco.py'))
    aside, = used.folder.glob('earlier_*')
    assert used.left(aside) == sorted([*used.ours, 'ssd300_coco.py'])
    assert [name for name in used.left(used.folder) if not name.startswith(aside.name)] == sorted(used.others)


def put(folder, name, epoch, inner, iteration):
    torch.save({'meta': {'epoch': epoch, 'inner_iter': inner, 'iter': iteration, 'epoch_len': 7}}, folder / name)


def test_only_what_came_after_is_set_aside_where_a_run_goes_on_from_an_older_checkpoint(tmp_path, used):
    folder = tmp_path / 'run'
    folder.mkdir()
    for name, *place in (('epoch_1.pth', 1, 0, 7), ('iter_9.pth', 1, 2, 9), ('best_mAP_epoch_1.pth', 1, 0, 7),
                         ('best_mAP_epoch_2.pth', 2, 0, 14), ('iter_7.pth', 0, 7, 7),  # all of an epoch is the epoch
                         ('iter_8.pth', 2, 0, 8)):  # of larger batches
        put(folder, name, *place)
    for name in ('epoch_3.pth', 'finished.json', 'last_checkpoint', '20261122_120000.log'):
        (folder / name).write_text('')  # a checkpoint that cannot be read may be of later
    here = Loaded(str(folder / 'epoch_1.pth'), {'meta': {'epoch': 1, 'inner_iter': 0, 'iter': 7}})
    with pytest.warns(UserWarning, match=r'had 4 checkpoints from later in the run, which are in .*earlier_20261123_0800'):
        set_aside(str(folder), NOW, beyond=here, config=str(folder / '20261122_120000.log'))
    aside, = folder.glob('earlier_*')
    assert used.left(aside) == ['best_mAP_epoch_2.pth', 'epoch_3.pth', 'finished.json', 'iter_8.pth', 'iter_9.pth',
                                'last_checkpoint']
    set_aside(str(folder), NOW, beyond=here)  # nothing is left to move, and nothing said


def test_without_checkpoints_nothing_is_moved(tmp_path):
    (tmp_path / '20261122_120000.log').write_text('no checkpoint')
    set_aside(str(tmp_path), NOW)
    assert os.listdir(tmp_path) == ['20261122_120000.log']
    set_aside(str(tmp_path / 'missing'), NOW)


# Killed on the way


class Killed(BaseException):
    """Stands for the end of a process."""


@pytest.mark.filterwarnings('ignore:.*had 5 checkpoints')
@pytest.mark.parametrize('action', [lambda folder: remove_run(folder, NOW), lambda folder: set_aside(folder, NOW)],
                         ids=['remove', 'set aside'])
@pytest.mark.parametrize('at', range(1, 14))
def test_whoever_comes_next_finishes_what_a_killed_process_had_begun(used, monkeypatch, action, at):
    whole, call = sorted(used.others), {'count': 0}

    def dying(function):
        def change(*arguments):
            call['count'] += 1
            if call['count'] == at:
                raise Killed
            return function(*arguments)
        return change
    with monkeypatch.context() as patch:
        for name in ('unlink', 'rename'):
            patch.setattr(os, name, dying(getattr(os, name)))
        with pytest.raises(Killed):
            action(str(used.folder))
    assert (used.folder / JOURNAL).exists()
    for _ in range(2):
        finish_clearing(str(used.folder))
        assert [name for name in used.left(used.folder) if not name.startswith('earlier_')] == whole
    moved = [name for name in used.left(used.folder) if name.startswith('earlier_')]
    assert moved in ([], [f'earlier_{NOW}/{name}' for name in sorted(used.ours)])


def test_there_is_nothing_to_finish_where_nothing_was_begun(tmp_path):
    finish_clearing(str(tmp_path))
    finish_clearing(str(tmp_path / 'missing'))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize('note', [
    [], {'to': None}, {'to': None, 'files': ['../precious.pth']}, {'to': None, 'files': ['notes.txt']},
    {'to': None, 'files': [3]}, {'to': '../elsewhere', 'files': ['epoch_1.pth']}, {'to': 3, 'files': []},
    {'to': None, 'files': ['sub/epoch_1.pth']}])
def test_a_note_that_no_run_wrote_moves_nothing(used, note):
    (used.folder / JOURNAL).write_text(json.dumps(note))
    with pytest.raises(CheckpointError, match=r'is no note of files that a run was moving\. Remove it'):
        finish_clearing(str(used.folder))
    assert used.left(used.folder) == sorted([*used.ours, *used.others, JOURNAL])


def test_a_note_that_is_no_json_is_an_error_in_a_line(tmp_path):
    (tmp_path / JOURNAL).write_text('{')
    with pytest.raises(DataError, match=r'clearing\.json:1: not valid JSON'):
        finish_clearing(str(tmp_path))
