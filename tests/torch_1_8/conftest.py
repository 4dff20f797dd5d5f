"""Two environments: this one, of torch 1.8, and that of requirements.txt; `bash tests/run_1_8.sh` makes both."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmcv_need.torch_versions import TORCH_VERSION

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='session')
def pythons():
    """The interpreters: dict(old, new)."""
    if 'NEWER_PYTHON' not in os.environ:
        pytest.skip('needs an environment of torch 1.8 and one of a newer torch: bash tests/run_1_8.sh')
    assert TORCH_VERSION == (1, 8) and sys.version_info[:2] == (3, 8)
    newer = subprocess.run([os.environ['NEWER_PYTHON'], '-c', 'import torch; print(torch.__version__)'], capture_output=True,
                           text=True, check=True).stdout
    assert int(newer.split('.')[0]) >= 2, f'the other environment has torch {newer}; deactivate it, or move .venv away'
    return {'old': sys.executable, 'new': os.environ['NEWER_PYTHON']}


@pytest.fixture(scope='session')
def call(pythons):
    """Runs words in an environment, 'old' or 'new', to the expected status: call('old', *words) -> stdout, stderr."""
    def run(which, *words, status=0):
        environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT), 'VIRTUAL_ENV': ''}
        done = subprocess.run([pythons[which], *map(str, words)], cwd=ROOT, env=environment, capture_output=True, text=True,
                              timeout=200, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout, done.stderr
    return run


@pytest.fixture(scope='session')
def configs(tiny, tmp_path_factory):
    """The demo's tiny config with SGD, and with the demo's own optimizer, by its name."""
    path = tmp_path_factory.mktemp('adamw') / 'tiny.py'
    path.write_text(tiny.read_text() + "optimizer = dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=1e-2)\n")
    return {'SGD': tiny, 'AdamW': path}


@pytest.fixture(scope='session')
def train(call, configs, tmp_path_factory):
    """Trains one of them for two epochs in an environment: train('new', 'SGD', *arguments) -> work directory."""
    def start(which, optimizer, *arguments):
        folder = tmp_path_factory.mktemp(which) / 'work'
        call(which, 'tools/train.py', configs[optimizer], '--work-dir', folder, '--seed', 3, '--device', 'cpu', *arguments,
             '--cfg-options', 'runner.max_epochs=2', 'log_config.interval=1')
        return folder
    return start


@pytest.fixture(scope='session')
def trained(train):
    """The work directories of a run with SGD from its beginning to its end in each environment: dict(old, new)."""
    return {which: train(which, 'SGD') for which in ('old', 'new')}


@pytest.fixture(scope='session')
def trained_by(train, trained):
    """The same by optimizer: dict(SGD, AdamW)."""
    return {'SGD': trained, 'AdamW': {which: train(which, 'AdamW', '--no-validate') for which in ('old', 'new')}}


@pytest.fixture(scope='session')
def records():
    """Reads the logs of a work directory: records(folder, mode) -> dicts."""
    def read(folder, mode='train'):
        lines = [json.loads(line) for path in sorted(folder.glob('*.log.json')) for line in path.read_text().splitlines()]
        return [line for line in lines if line.get('mode') == mode]
    return read
