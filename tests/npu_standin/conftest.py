"""The stand-in for an NPU, built once, and the project's tools as processes that find it.

on_card/ is for a process that has the stand-in as its accelerator: test_on_card.py starts it.
"""
from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
collect_ignore = [] if os.environ.get('NPU_STANDIN_INSIDE') else ['on_card']

# The tiny config in batches of two, each of which is logged: four cards have work for two epochs.
SHORT = '''
_base_ = {base!r}
data = dict(samples_per_gpu=2)
runner = dict(max_epochs=2)
evaluation = dict(interval=2)
log_config = dict(interval=1)
'''

_outcomes: Counter = Counter()


def pytest_runtest_logreport(report):
    """Counts outcomes of this folder: whoever started the tests can see whether they ran, see .ci/run."""
    if report.nodeid.startswith('tests/npu_standin/') and (report.when == 'call' or report.skipped):
        _outcomes[report.outcome] += 1


def pytest_sessionfinish():
    if os.environ.get('NPU_STANDIN_OUTCOMES') and not os.environ.get('NPU_STANDIN_INSIDE'):
        with open(os.environ['NPU_STANDIN_OUTCOMES'], 'a', encoding='utf-8') as file:  # by each of pytest's processes
            file.write(f"{_outcomes['passed']} passed, {_outcomes['skipped']} skipped\n")


@pytest.fixture(scope='session')
def builder():
    """The module torch_npu/build.py, without the package, which would give this process the device."""
    spec = importlib.util.spec_from_file_location('npu_standin_build', FOLDER / 'torch_npu/build.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='session')
def standin(builder):
    """The environment of a process that finds the stand-in where the real torch_npu would be."""
    reason = builder.hindrance()
    if reason:
        pytest.skip(reason)
    try:
        builder.library()
    except RuntimeError as error:
        (pytest.fail if os.environ.get('CI') else pytest.skip)(str(error))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(('NPU_STANDIN_', 'ASCEND_', 'INF_NAN_'))}
    cache = {name: os.environ[name] for name in ('NPU_STANDIN_CACHE',) if name in os.environ}
    return {**kept, **cache, 'PYTHONPATH': str(FOLDER), 'OMP_NUM_THREADS': '1', 'TORCH_CPP_LOG_LEVEL': 'ERROR'}


@pytest.fixture(scope='session')
def short(tmp_path_factory, tiny):
    """The config file short.py."""
    path = tmp_path_factory.mktemp('short') / 'short.py'
    path.write_text(SHORT.format(base=[str(tiny)]))
    return path


class Run:
    """What a training process left: its status, what it said, its folder, and what its cards did."""

    def __init__(self, done, folder):
        self.status, self.errors, self.said, self.folder = done.returncode, done.stderr, done.stdout + done.stderr, folder

    @property
    def losses(self):
        lines = next(self.folder.glob('*.log.json')).read_text().splitlines()
        return [record['loss'] for record in map(json.loads, lines) if record.get('mode') == 'train']

    def checkpoint(self):
        return torch.load(self.folder / 'latest.pth', map_location='cpu', weights_only=True)

    def on_cards(self):
        """calls, infinite_results and memory of each process: see torch_npu/report.py."""
        return [json.loads(path.read_text()) for path in sorted(self.folder.parent.glob(f'{self.folder.name}.report.*'))]


@pytest.fixture(scope='session')
def train(standin, short, tmp_path_factory):
    """Trains the short config by tools/train.py in a process of its own, or in several; returns the Run.

    Args:
        arguments: of tools/train.py.
        config: another than the short one.
        way: see drive.py; None starts tools/train.py itself.
        cards: processes that torchrun starts, if there is more than one.
        environment: of the stand-in.
    """
    def start(*arguments, config=short, device='npu', way='plain', cards=1, **environment):
        folder = tmp_path_factory.mktemp('run') / 'work'
        launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', str(cards)] if cards > 1 else []
        driver = [str(FOLDER / 'drive.py'), way] if way else []
        command = [sys.executable, *launcher, *driver, 'tools/train.py', str(config), '--work-dir', str(folder), '--seed', '3',
                   '--device', device, *map(str, arguments)]
        command += ['--launcher', 'pytorch'] if cards > 1 else []
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400,
                              env={**standin, 'NPU_STANDIN_REPORT': f'{folder}.report', **environment})
        return Run(done, folder)
    return start


@pytest.fixture(scope='session')
def trained(train):
    """The Run of the short config on a card."""
    run = train()
    assert run.status == 0, run.errors[-6000:]
    return run


@pytest.fixture(scope='session')
def differences():
    """Names of the tensors of two values that are not the same to the last bit, and of what only one has."""
    def flat(value, name=''):
        if isinstance(value, (dict, list, tuple)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            return {key: leaf for part, child in items for key, leaf in flat(child, f'{name}.{part}').items()}
        return {name: value}

    def compare(a, b):
        a, b = flat(a), flat(b)
        assert any(isinstance(value, torch.Tensor) for value in a.values())
        common = [name for name in a if name in b]
        return sorted(set(a) ^ set(b)) + [name for name in common if not (
            torch.equal(a[name], b[name]) if isinstance(a[name], torch.Tensor) else a[name] == b[name])]
    return compare
