"""What a command line writes is its user's to change, its group's to read, and nobody else's; or as the environment says."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmcv_need.errors import UserError
from mmcv_need.file_modes import keep_private
from mmcv_need.lone_run import lock
from mmcv_need.serialization.atomic_files import write_atomically

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def own():
    """Sets the user's own umask; that of the tests comes back."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path):
    return os.stat(path).st_mode & 0o777


@pytest.mark.parametrize('before, after', [(0o022, 0o027), (0o002, 0o027), (0o000, 0o027), (0o077, 0o077), (0o007, 0o027),
                                           (0o127, 0o127)])
def test_a_umask_is_tightened_and_never_loosened(own, monkeypatch, before, after):
    monkeypatch.delenv('SSD_UMASK', raising=False)
    own(before)
    keep_private()
    assert own(0) == after


@pytest.mark.parametrize('said, after', [('022', 0o022), ('0002', 0o002), ('077', 0o077), ('', 0o027)])
def test_the_environment_may_say_otherwise(own, monkeypatch, said, after):
    monkeypatch.setenv('SSD_UMASK', said)
    own(0o022)
    keep_private()
    assert own(0) == after


@pytest.mark.parametrize('said', ['9', '22', '0o22', 'rw-', '00022', '٠٢٢', '022\n'])
def test_what_is_no_umask_is_named_and_changes_nothing(own, monkeypatch, said):
    monkeypatch.setenv('SSD_UMASK', said)
    with pytest.raises(UserError, match='SSD_UMASK: expected three octal digits of a umask, such as 027'):
        keep_private()
    assert own(0) == 0o022


@pytest.mark.parametrize('said, files, folders', [('', 0o640, 0o750), ('002', 0o664, 0o775)])
def test_files_and_folders_are_so(own, monkeypatch, tmp_path, said, files, folders):
    monkeypatch.setenv('SSD_UMASK', said)
    keep_private()
    write_atomically(str(tmp_path / 'x.pth'), b'')
    held = []
    lock(str(tmp_path / 'shared'), held)
    os.close(held[0])
    assert (mode(tmp_path / 'x.pth'), mode(tmp_path / 'shared'), mode(tmp_path / 'shared/.lock')) == (files, folders, files)


@pytest.mark.parametrize('said, answer', [('', '0027\n0022'), ('002', '0002\n0022'), ('x;id', '')])
def test_the_scripts_do_the_same_and_make_an_environment_under_the_users_own(said, answer):
    program = ('umask 022; source test/common.sh; umask; source tools/python_env.sh; env_prepare() { umask; }; '
               'python_env requirements.txt; echo "$PYTHON"')
    done = subprocess.run(['bash', '-euo', 'pipefail', '-c', program], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, 'SSD_UMASK': said, 'OMP_NUM_THREADS': '1'})
    assert done.stdout.strip() == answer
    assert (done.returncode, "SSD_UMASK must be three octal digits, such as 027 or 022, got 'x;id'" in done.stderr) == (
        (0, False) if answer else (2, True))


def test_a_tool_sets_it_before_it_writes_and_says_what_is_wrong_in_one_line():
    program = [sys.executable, 'tools/print_config.py', 'configs/ssd_demo.py', '--key', 'data.samples_per_gpu']
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, env={**os.environ, 'SSD_UMASK': '8'})
    assert done.returncode == 2 and done.stderr == ("error: SSD_UMASK: expected three octal digits of a umask, such as 027 or "
                                                    "022, not '8'\n")
