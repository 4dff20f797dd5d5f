"""A logger that remembers; a work directory in which a run has left its files, and people theirs; cards that are not here."""
from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple, Optional

import pytest
import torch

from mmcv_need import device as devices
from mmcv_need import torch_versions

DOUBLE = Path(__file__).parent / 'torch_npu_double'
EVENTS = 'tf_logs/events.out.tfevents.1763812345.host.42.0'
BAD = 'bad_updates/iter_7_rank_0.json'
OURS = ['20261122_120000.log', '20261122_120000.log.json', 'best_bbox_mAP_50_epoch_3.pth', 'best_coco_bbox_mAP_iter_30.pth',
        'epoch_1.pth', 'epoch_12.pth', 'finished.json', 'iter_7.pth', 'iter_8.pth.tmp.77', 'last_checkpoint', 'latest.pth',
        'latest.pth.tmp.77', BAD, EVENTS]
OTHERS = ['epoch_1.pth.bak', 'my_epoch_1.pth', 'epoch_x.pth', 'epoch_1.pth.tmp.x', 'best.pth', 'notes.log', 'ssd300_coco.py',
          'eval_20261122_120000.json', 'tf_logs/notes.txt', 'bad_updates/notes.json', 'sub/epoch_1.pth', 'Epoch_1.pth',
          '20261122_120000.txt']


@pytest.fixture
def make_logger():
    """Makes a logger whose `said` are the lines that it was told."""
    def make():
        logger, handler = logging.Logger('run', 'INFO'), logging.Handler()
        logger.said = []
        handler.emit = lambda record: logger.said.append(record.getMessage())
        logger.addHandler(handler)
        return logger
    return make


@pytest.fixture
def used(tmp_path):
    """folder; names of the run's files and of others; left(folder): the names that are there."""
    for name in [*OURS, *OTHERS]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)

    def left(folder):
        paths = [path for path in Path(folder).rglob('*') if not path.is_dir() or path.is_symlink()]
        return sorted(str(path.relative_to(folder)) for path in paths)
    return SimpleNamespace(folder=tmp_path, ours=OURS, others=OTHERS, left=left)


class Torch:
    """torch, except that what is on an NPU is on the CPU, and that `torch.device('npu')` needs no torch_npu."""

    def __getattr__(self, name):
        return getattr(torch, name)

    @staticmethod
    def device(kind, index=None):
        return torch.device(kind, index) if kind != 'npu' and index is not None else \
            torch.device(kind) if kind != 'npu' else Card(kind, index)

    @staticmethod
    def zeros(*shape, device):
        return torch.zeros(*shape, device='cpu' if device.type == 'npu' else device)


class Card(NamedTuple):
    """A device of any kind."""
    type: str
    index: Optional[int] = 0

    def __str__(self):
        return f'{self.type}:{self.index}'


@pytest.fixture
def card():
    """Makes a device of a kind, which need not be here: card('npu', 3)."""
    return Card


@pytest.fixture
def torch_npu(monkeypatch, tmp_path):
    """Installs the double of torch_npu, not imported yet: torch_npu(version='2.6.0', cards=8, ...), see its docstring.

    `torch` says which torch it is beside, by default the one it is for. Returns a function that imports it.
    """
    for name in ('ASCEND_HOME_PATH', 'ASCEND_TOOLKIT_HOME', 'ASCEND_RT_VISIBLE_DEVICES'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(devices, 'SET_ENV', tuple(str(tmp_path / name / 'set_env.sh') for name in ('cann', 'old', 'older')))
    monkeypatch.setattr(devices, 'torch', Torch())
    monkeypatch.setattr(torch.version, 'cuda', None)
    monkeypatch.delattr(torch, 'npu', raising=False)
    for name in ('is_available', 'device_count', 'set_device', 'get_device_name'):
        monkeypatch.setattr(torch.cuda, name, getattr(torch.cuda, name))  # put back what transfer_to_npu replaces
    before = set(sys.modules)

    def install(version='2.6.0', torch_version=None, **settings):
        numbers = tuple(int(part) for part in (torch_version or version).split('.')[:2])
        monkeypatch.setattr(torch_versions, 'TORCH_VERSION', numbers)
        monkeypatch.setenv('TORCH_NPU_DOUBLE', json.dumps({'version': version, **settings}))
        info = tmp_path / f'torch_npu-{version}.dist-info'
        info.mkdir()
        (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: torch-npu\nVersion: {version}\n')
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.syspath_prepend(str(DOUBLE))
        return lambda: importlib.import_module('torch_npu')
    yield install
    for name in set(sys.modules) - before:
        if name.split('.')[0] == 'torch_npu':
            del sys.modules[name]
    if hasattr(torch, 'npu'):
        del torch.npu


@pytest.fixture
def machine(monkeypatch, torch_npu):
    """Makes a machine with so many NPUs and CUDA GPUs; None: without the software. Returns the GPUs that were opened."""
    opened = []

    def make(npu=None, cuda=None, **settings):
        if npu is None:
            find_spec = importlib.util.find_spec
            monkeypatch.setattr(importlib.util, 'find_spec',
                                lambda name, *rest: None if name == 'torch_npu' else find_spec(name, *rest))
        else:
            torch_npu(cards=npu, **settings)()
        for name, function in {'is_available': lambda: bool(cuda), 'device_count': lambda: cuda or 0,
                               'set_device': lambda device: opened.append(str(device)),
                               'get_device_name': lambda device: 'a cuda card'}.items():
            monkeypatch.setattr(torch.cuda, name, function)
        monkeypatch.setattr(devices, '_nvidia_driver_present', lambda: False)
        return opened
    return make
