"""Which command line each of several processes gets."""
from __future__ import annotations

import argparse

import pytest

from mmdet.apis import processes


@pytest.mark.parametrize('given, theirs', [
    (['x.py', '--gpus', '2'], ['x.py', '--gpus', '2', '--launcher', 'pytorch']),
    (['--cfg-options', 'a=1', 'b=2'], ['--cfg-options', 'a=1', 'b=2', '--launcher', 'pytorch']),
    (['--gpus', '2', '--', 'x.py'], ['--gpus', '2', '--launcher', 'pytorch', '--', 'x.py'])])
def test_each_is_told_of_the_launcher_where_an_option_is_still_one(monkeypatch, given, theirs):
    got = []
    monkeypatch.setattr(processes, 'launch', lambda work, arguments, size, resumable: got.append((arguments, size)) or 0)
    args = argparse.Namespace(gpus=2, gpu_ids=None, gpu_id=None, launcher='none', device='cpu')
    assert processes.in_processes(args, print, given) == 0
    assert got == [(theirs, 2)]
