"""The folder of a launcher goes with it; what a killed one left goes when the next one starts; no other folder is touched."""
from __future__ import annotations

import os
import tempfile

import pytest

from mmcv_need.rank_folder import rank_folder, remove_abandoned

HOUR = 3600


@pytest.fixture
def where(tmp_path, monkeypatch):
    """The folder for temporary files; make(name, files, age) makes one in it."""
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))

    def make(name, files=('store',), age=HOUR):
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
        then = os.stat(tmp_path).st_mtime - age
        os.utime(tmp_path / name, (then, then))
    return tmp_path, make


def test_it_is_there_and_then_it_is_not(where):
    with rank_folder() as folder:
        assert os.path.dirname(folder) == str(where[0]) and os.path.isdir(folder)
    assert os.listdir(where[0]) == []


def test_it_goes_after_an_error_too(where):
    with pytest.raises(OSError, match='no more processes'), rank_folder():
        raise OSError('no more processes')
    assert os.listdir(where[0]) == []


def test_one_that_was_left_goes_with_the_next_and_others_stay(where):
    folder, make = where
    make('ranks_left', ('store', 'failure_1.json'))
    make('ranks_new', age=1)
    make('ranks_of_somebody', ('notes.txt',))
    make('other')
    os.symlink(folder / 'other', folder / 'ranks_link')
    remove_abandoned(str(folder))
    assert sorted(os.listdir(folder)) == ['other', 'ranks_link', 'ranks_new', 'ranks_of_somebody']
    assert os.listdir(folder / 'other') == ['store']


def test_one_that_is_in_use_stays(where):
    with rank_folder() as folder:
        open(os.path.join(folder, 'store'), 'w').close()
        os.utime(folder, (0, 0))
        remove_abandoned(str(where[0]))
        assert os.path.isdir(folder)
