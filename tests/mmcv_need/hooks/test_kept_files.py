"""Which files a hook may remove, and when."""
from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

from mmcv_need.hooks import kept_files
from mmcv_need.hooks.kept_files import can_be_read, known_files, remove_files


@pytest.mark.parametrize('bad', ['../precious.pth', '/etc/passwd', 'sub/epoch_1.pth', 'notes.txt', 5, None])
def test_a_checkpoint_that_lists_other_files_gets_none_removed(tmp_path, bad):
    state = {'folder': os.path.realpath(tmp_path), 'regular': [bad, 'epoch_1.pth']}
    assert known_files(state, 'regular', str(tmp_path)) == ['epoch_1.pth']
    assert known_files({**state, 'regular': bad}, 'regular', str(tmp_path)) == []
    assert known_files({}, 'regular', str(tmp_path)) == []


@pytest.fixture
def moved(tmp_path):
    """A run's folder that was moved, with a file of another run in it; what the run's state says of it."""
    before, here = str(tmp_path / 'before'), tmp_path / 'here'
    here.mkdir()
    hooks = {'epochs': {'folder': before}}
    torch.save({'meta': {}, 'checkpoint_hook': hooks, 'w': torch.ones(2)}, here / 'epoch_1.pth')
    torch.save({'meta': {}, 'evaluation': {'best': {'folder': before}}}, here / 'best_mAP_epoch_1.pth')
    torch.save({'meta': {}, 'checkpoint_hook': {'epochs': {'folder': '/another'}}}, here / 'epoch_3.pth')
    torch.save({'meta': {}, 'checkpoint_hook': [1]}, here / 'epoch_4.pth')
    files = ['epoch_1.pth', 'best_mAP_epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'epoch_4.pth']
    return {'folder': before, 'files': files}, here


def test_files_of_a_folder_that_was_moved_are_known_by_what_they_say(moved):
    state, here = moved
    assert known_files(state, 'files', str(here), str(here / 'epoch_5.pth')) == ['epoch_1.pth', 'best_mAP_epoch_1.pth']


def test_nothing_outside_of_the_folder_is_even_read(moved, tmp_path, monkeypatch):
    state, here = moved
    read = []
    monkeypatch.setattr(kept_files, 'read_checkpoint', lambda path, tensors: read.append(path) or {})
    state = {**state, 'files': ['../precious.pth', '/etc/x.pth', 'epoch_1.pth', 5]}
    assert known_files(state, 'files', str(here), str(here / 'epoch_5.pth')) == []
    assert read == [str(here / 'epoch_1.pth')]


def test_without_a_move_there_are_no_files_of_another_folder(moved, tmp_path):
    state, here = moved
    assert known_files(state, 'files', str(here)) == []
    assert known_files(state, 'files', str(here), str(tmp_path / 'elsewhere/epoch_5.pth')) == []  # of another folder
    (tmp_path / 'before').mkdir()
    assert known_files(state, 'files', str(here), str(here / 'epoch_5.pth')) == []  # that one is still there


def test_links_and_folders_are_not_removed(tmp_path):
    (tmp_path / 'epoch_1.pth').mkdir()
    (tmp_path / 'precious').write_text('')
    (tmp_path / 'epoch_2.pth').symlink_to('precious')
    remove_files(str(tmp_path), ['epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth'], None)
    assert sorted(os.listdir(tmp_path)) == ['epoch_1.pth', 'epoch_2.pth', 'precious']


def test_a_file_of_another_moment_is_no_proof(tmp_path):
    torch.save({'meta': {'iter': 3}}, tmp_path / 'x.pth')
    said = []
    logger = SimpleNamespace(error=lambda message, *given: said.append(message % given))
    assert can_be_read(str(tmp_path / 'x.pth'), 3, logger) and not said
    assert not can_be_read(str(tmp_path / 'x.pth'), 4, logger)
    assert not can_be_read(str(tmp_path / 'y.pth'), 3, logger) and len(said) == 2
