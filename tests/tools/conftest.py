"""The tools as functions, what a training run leaves, and the toolkit in a folder of its own."""
from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmcv_need.logger import get_logger

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='session')
def tools(load_file):
    """tools.train(...), tools.test(...), tools.print_config(...), ...: the command lines, run in this process on the CPU.

    What they change for the whole process is put back.
    """
    names = ('train', 'test', 'print_config', 'check_config', 'check_dataset')
    modules = {name: load_file(f'tools/{name}.py') for name in names}

    def call(name):
        def main(*arguments):
            words = [str(word) for word in arguments]
            if name in ('train', 'test') and '--device' not in words:
                words += ['--device', 'cpu']
            environment, state, threads = dict(os.environ), torch.get_rng_state(), torch.get_num_threads()
            with warnings.catch_warnings():
                try:
                    return modules[name].main(words)
                finally:
                    get_logger('mmdet')  # closes the log file
                    os.environ.clear()
                    os.environ.update(environment)
                    torch.set_rng_state(state)
                    torch.set_num_threads(threads)
        return main
    return SimpleNamespace(modules=modules, **{name: call(name) for name in modules})


@pytest.fixture(scope='session')
def process_tree(load_file):
    """process_tree.py, which stop_trials.py imports as its neighbour."""
    return load_file('tests/tools/process_tree.py')


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """The toolkit in another folder, and this Python as the active environment."""
    if not (Path(sys.prefix) / 'bin/python').exists() or sys.prefix == sys.base_prefix:
        pytest.skip('needs to run in an environment (bash tests/run.sh does)')
    for name in ('configs', 'mmcv_need', 'mmdet', 'test', 'tools'):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns('output', '__pycache__'))
    for name in ('calc_fps.py', 'requirements.txt'):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / 'data/coco').mkdir(parents=True)
    (tmp_path / 'data/coco/mine.txt').write_text("the user's")
    for name, value in (('VIRTUAL_ENV', sys.prefix), ('OMP_NUM_THREADS', '1'), ('OMP_WAIT_POLICY', 'PASSIVE')):
        monkeypatch.setenv(name, value)
    return tmp_path


class Run:
    """What a training run left in its work directory."""

    def __init__(self, folder):
        self.folder = Path(folder)

    @property
    def names(self):
        return sorted(path.name for path in self.folder.iterdir() if not path.name.startswith('.'))

    @property
    def logs(self):
        return sorted(self.folder.glob('*.log'))

    @property
    def records(self):
        return [json.loads(line) for path in sorted(self.folder.glob('*.log.json')) for line in path.read_text().splitlines()]

    def of(self, mode):
        return [record for record in self.records if record.get('mode') == mode]

    def checkpoint(self, name='latest.pth'):
        return torch.load(self.folder / name, weights_only=True)

    def training_state(self, name='latest.pth'):
        """What the next iteration depends on."""
        content = self.checkpoint(name)
        return {'state_dict': content['state_dict'], 'optimizer': content['optimizer'], 'random': content['ranks'][0]['random']}


@pytest.fixture(scope='session')
def training(tools, tiny, tmp_path_factory):
    """Trains with some arguments; returns the Run."""
    def start(*arguments, config=None, folder=None):
        folder = folder or tmp_path_factory.mktemp('run') / 'work'
        tools.train(config or tiny, '--work-dir', folder, '--seed', 3, *arguments)
        return Run(folder)
    return start


@pytest.fixture(scope='session')
def trained(training):
    """The Run of the tiny config as it is: three epochs of seven iterations, evaluated each time."""
    return training()


@pytest.fixture(scope='session')
def same():
    """Whether two values of a checkpoint are the same to the last bit."""
    def equal(a, b):
        if isinstance(a, torch.Tensor):
            return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
        if isinstance(a, dict):
            return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
        if isinstance(a, (list, tuple)):
            return len(a) == len(b) and all(map(equal, a, b))
        return a == b
    return equal
