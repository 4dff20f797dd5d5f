"""What the command lines share."""
from __future__ import annotations

import warnings

import pytest

from mmdet.apis import command_line


@pytest.mark.parametrize('group, environment, shown', [
    ((0, 1), None, True), ((0, 1), '0', True), ((0, 1), '1', False),  # torchrun's process 1, not yet in the group
    ((0, 2), '0', True), ((1, 2), '1', False), ((0, 2), None, True), ((1, 2), None, False)])
def test_a_warning_is_one_line_of_the_first_process(monkeypatch, capsys, group, environment, shown):
    monkeypatch.delenv('RANK', raising=False)
    if environment is not None:
        monkeypatch.setenv('RANK', environment)

    def main(_):
        monkeypatch.setattr(command_line, 'get_dist_info', lambda: group)
        warnings.warn('mind the gap', UserWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter('always')
        command_line.run(main)
    assert capsys.readouterr().err == ('warning: mind the gap\n' if shown else '')


def test_a_file_that_cannot_be_used_is_one_line_and_a_failure_within_the_program_is_not(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(warnings, 'showwarning', warnings.showwarning)
    with pytest.raises(SystemExit) as ended:
        command_line.run(lambda _: (tmp_path / 'missing').read_text())
    assert ended.value.code == 2
    assert capsys.readouterr().err == f'error: {tmp_path}/missing: No such file or directory\n'

    def broken(_):
        raise OSError('no file is named')
    with pytest.raises(OSError, match='no file is named'):
        command_line.run(broken)


@pytest.mark.parametrize('answer, status', [(75, 75), (0, None), (None, None)])
def test_what_main_returns_is_the_exit_status(monkeypatch, answer, status):
    monkeypatch.setattr(warnings, 'showwarning', warnings.showwarning)
    if status is None:
        command_line.run(lambda _: answer)
    else:
        with pytest.raises(SystemExit) as ended:
            command_line.run(lambda _: answer)
        assert ended.value.code == status
