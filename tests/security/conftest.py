"""Hostile files, read by a process that is watched (watched.py)."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WATCHED = Path(__file__).with_name('watched.py')
MOST = 512  # MB


class Outside:
    """What lies beside the folder of the hostile files, and must not be read: all of it says `canary`."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        for name in ('secret.txt', 'secret.jpg', 'secret'):
            (folder / name).write_text('canary')
        (folder / '.hidden').mkdir()
        for path in (folder / '.hidden/secret.json', folder / '.hidden/secret.py'):
            path.write_text('{"canary": 1}' if path.suffix == '.json' else 'canary = 1')


def everything(folder):
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None for path in folder.rglob('*')}


@pytest.fixture(scope='session')
def observe():
    """observe(folder, jobs): reads [(kind, path), ...], all below the folder, in one watched process; what it says of each."""
    def run(folder, jobs):
        listed = folder.parent / 'jobs.json'
        listed.write_text(json.dumps([[kind, str(path)] for kind, path in jobs]))
        found = subprocess.run([sys.executable, str(WATCHED), str(listed)], capture_output=True, text=True, timeout=300,
                               cwd=folder)
        said = [json.loads(line) for line in found.stdout.splitlines()]
        assert found.returncode == 0 and len(said) == len(jobs), f'{jobs[len(said):][:1]}: {found.stderr[-3000:]}'
        return said
    return run


@pytest.fixture(scope='session')
def watch(observe):
    """As `observe`, and whatever the files are: nothing is done but reading them, nothing is made, and memory is bounded."""
    def run(folder, jobs):
        before = everything(folder)
        said = observe(folder, jobs)
        assert everything(folder) == before
        for (_, path), each in zip(jobs, said):
            name = Path(path).name
            assert (name, each['done']) == (name, [])
            assert 'canary' not in each['message'] and (each['grown'] < MOST), (name, each)
            if each['ended'] != 'read':
                assert each['ended'] == 'refused' and len(each['message'].splitlines()) == 1, (name, each)
        return said
    return run


@pytest.fixture(scope='module')
def outside(tmp_path_factory):
    """(a folder for hostile files, what lies beside it)."""
    folder = tmp_path_factory.mktemp('hostile')
    (folder / 'inside').mkdir()
    return folder / 'inside', Outside(folder / 'outside').folder
