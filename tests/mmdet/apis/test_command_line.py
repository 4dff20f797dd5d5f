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
