"""How a command line ends: exit status, one line for an error, one line for a warning."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from mmdet.apis import endings

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize('group, environment, shown', [
    ((0, 1), None, True), ((0, 1), '0', True), ((0, 1), '1', False),  # torchrun's process 1, not yet in the group
    ((0, 2), '0', True), ((1, 2), '1', False), ((0, 2), None, True), ((1, 2), None, False)])
def test_a_warning_is_one_line_of_the_first_process(monkeypatch, capsys, group, environment, shown):
    monkeypatch.delenv('RANK', raising=False)
    if environment is not None:
        monkeypatch.setenv('RANK', environment)

    def main(_):
        monkeypatch.setattr(endings, 'get_dist_info', lambda: group)
        warnings.warn('mind the gap', UserWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter('always')
        assert endings.ended(main, []) == 0
    assert capsys.readouterr().err == ('warning: mind the gap\n' if shown else '')


def broken(_):
    raise OSError('no file is named')


def test_a_file_that_cannot_be_used_is_one_line_and_a_failure_within_the_program_is_not(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(warnings, 'showwarning', warnings.showwarning)
    assert endings.ended(lambda _: (tmp_path / 'missing').read_text(), []) == 2
    assert capsys.readouterr().err == f'error: {tmp_path}/missing: No such file or directory\n'
    assert endings.ended(broken, []) == 1
    said = capsys.readouterr().err
    assert said.startswith('Traceback') and said.endswith('OSError: no file is named\n')


@pytest.mark.parametrize('answer, status', [(75, 75), (0, 0), (None, 0)])
def test_what_main_returns_is_the_exit_status(monkeypatch, answer, status):
    monkeypatch.setattr(warnings, 'showwarning', warnings.showwarning)
    monkeypatch.setattr(endings, 'keep_private', lambda: None)  # the umask is the whole process's
    with pytest.raises(SystemExit) as left:
        endings.run(lambda _: answer)
    assert left.value.code == status


def test_of_several_processes_one_that_fails_says_which_it_is_and_leaves_word(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(warnings, 'showwarning', warnings.showwarning)
    monkeypatch.setattr(endings, 'get_dist_info', lambda: (3, 8))
    monkeypatch.setenv('TORCHELASTIC_ERROR_FILE', str(tmp_path / 'error.json'))
    assert endings.ended(broken, []) == 1
    assert capsys.readouterr().err.endswith('error: rank 3: OSError: no file is named\n')
    left = json.loads((tmp_path / 'error.json').read_text())['message']
    assert left['message'] == 'OSError: no file is named' and 'in broken' in left['extraInfo']['py_callstack']


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='has no file that is always full')
def test_output_without_room_does_not_change_the_status():
    program = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from mmcv_need.logger import get_logger
from mmdet.apis.endings import run
from mmdet.apis.test import show_text

def main(_):
    logger = get_logger('run')
    for number in range(3):
        logger.info('line %d', number)
        show_text('and more')
    return 75

run(main)
"""
    with open('/dev/full', 'w') as full:
        done = subprocess.run([sys.executable, '-c', program], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 75
    assert done.stderr == 'warning: <stdout>: cannot be written (No space left on device); lines are missing in it\n'
