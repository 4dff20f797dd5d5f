"""What test modules share: devices, detectors from the shipped configs, a tiny one and its data, numbers of tests/parity."""
from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from mmcv_need import device as devices
from mmcv_need.config import Config
from mmcv_need.errors import DeviceError
from mmcv_need.registry import build
from mmcv_need.torch_versions import has
from mmdet.core.evaluation import coco_api
from mmdet.models.builder import DETECTORS

ROOT = Path(__file__).resolve().parent.parent

# The demo's config with a sixteenth of VGG's width. 24 pictures make 7 batches of 4: wide and tall ones do not mix.
TINY = '''
_base_ = {base!r}
data_root = {data!r}
data = dict(
    samples_per_gpu=4,
    workers_per_gpu=0,
    train=dict(ann_file=data_root + 'annotations/instances_train2017.json', img_prefix=data_root + 'train2017/'),
    val=dict(ann_file=data_root + 'annotations/instances_val2017.json', img_prefix=data_root + 'val2017/'),
    test=dict(ann_file=data_root + 'annotations/instances_val2017.json', img_prefix=data_root + 'val2017/'))
model = dict(
    backbone=dict(width_factor=0.0625),
    neck=dict(in_channels=(32, 64), out_channels=(32, 64, 32, 16, 16)),
    bbox_head=dict(in_channels=(32, 64, 32, 16, 16)))
optimizer = dict(_delete_=True, type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4)
optimizer_config = dict(grad_clip=dict(max_norm=10))
lr_config = dict(_delete_=True, policy='step', warmup='linear', warmup_iters=5, warmup_ratio=0.01, step=[2])
runner = dict(max_epochs=3)
evaluation = dict(interval=1)
checkpoint_config = dict(interval=1)
log_config = dict(interval=2)
'''

TOLERANCES = {torch.float16: (1e-3, 1e-5), torch.bfloat16: (1.6e-2, 1e-5), torch.float32: (1.3e-6, 1e-5),
              torch.float64: (1e-7, 1e-7)}  # those of torch.testing


def assert_close(actual, expected, *, rtol=None, atol=None):
    """What torch.testing has of this name from 1.9 on, as far as the tests use it."""
    if isinstance(actual, (list, tuple)):
        assert len(actual) == len(expected)
        for pair in zip(actual, expected):
            assert_close(*pair, rtol=rtol, atol=atol)
        return
    actual, expected = torch.as_tensor(actual), torch.as_tensor(expected)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    if rtol is None:
        rtol, atol = TOLERANCES.get(actual.dtype, (0, 0))
    np.testing.assert_allclose(*(side.detach().cpu().double().numpy() for side in (actual, expected)), rtol=rtol, atol=atol,
                               equal_nan=False)


def load_all_the_same(load, *args, weights_only, **options):
    """torch.load of a version that cannot refuse what is more than weights: files that a test wrote itself."""
    return load(*args, **options)


if not hasattr(torch.testing, 'assert_close'):
    torch.testing.assert_close = assert_close
if not has('torch.load with weights_only'):
    torch.load = partial(load_all_the_same, torch.load, weights_only=None)

settings.register_profile('toolkit', deadline=None)  # a busy machine is slow, not wrong
settings.load_profile('toolkit')


def usable(kind):
    try:
        return devices.is_usable(kind)
    except DeviceError:  # installed but broken: tests/mmcv_need says so, and the others still run on what is left
        return False


@pytest.fixture(params=[kind for kind in devices.KINDS if usable(kind)])
def device(request):
    """The CPU, and each accelerator that is here."""
    return torch.device(request.param)


# Each that is installed: one that is broken fails. tests/mmdet/core/evaluation/test_coco_api.py says which must be here.
EVALUATORS = [name for name, module in coco_api.MODULES.items() if importlib.util.find_spec(module.split('.')[0])]


@pytest.fixture(scope='module')
def evaluators():
    """Names of the COCO evaluators that are here, the fastest first."""
    return EVALUATORS


@pytest.fixture(scope='module', params=EVALUATORS)
def evaluator(request):
    """Each COCO evaluator that is here."""
    return coco_api.find_evaluator(request.param)


@pytest.fixture(scope='session')
def load_file():
    """A .py file of the repository as a module, whatever it does to the path: load_file('tools/train.py')."""
    def load(path):
        spec = importlib.util.spec_from_file_location(f'file_{Path(path).stem}', ROOT / path)
        module = importlib.util.module_from_spec(spec)
        before = list(sys.path)
        spec.loader.exec_module(module)
        sys.path[:] = before
        return module
    return load


@pytest.fixture(scope='session')
def recipe(load_file):
    """The module tests/parity/recipe.py."""
    return load_file('tests/parity/recipe.py')


@pytest.fixture(scope='session')
def bad_pictures(load_file):
    """Name -> (makes the file at a path, of a picture; words of its error): tests/mmdet/datasets/bad_pictures.py."""
    return load_file('tests/mmdet/datasets/bad_pictures.py').KINDS


@pytest.fixture(scope='session')
def stored():
    """Reads a file of tests/parity/data: stored('assigner.npz') -> arrays by name, or a json's value."""
    def read(name):
        path = ROOT / 'tests/parity/data' / name
        if path.suffix == '.json':
            return json.loads(path.read_text())
        with np.load(path) as arrays:
            return dict(arrays)
    return read


@pytest.fixture(scope='session')
def build_detector():
    """Builds the detector of a config in configs/, with random weights, without any download."""
    def make(name='ssd300_coco.py', **options):
        cfg = Config.fromfile(ROOT / 'configs' / name)
        cfg.merge_from_dict({'model.backbone.init_cfg': None, **{f'model.{key}': value for key, value in options.items()}})
        return build(cfg, DETECTORS, key='model')
    return make


@pytest.fixture(scope='session')
def demo(tmp_path_factory):
    """The folder of 24 and 8 drawn pictures."""
    folder = tmp_path_factory.mktemp('data') / 'demo'
    subprocess.run([sys.executable, str(ROOT / 'tools/make_demo_data.py'), '--out', str(folder), '--train', '24', '--val', '8',
                    '--seed', '4'], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope='session')
def tiny(tmp_path_factory, demo):
    """The config file tiny.py: a network that trains on them in two seconds."""
    path = tmp_path_factory.mktemp('configs') / 'tiny.py'
    path.write_text(TINY.format(base=[str(ROOT / 'configs/ssd_demo.py')], data=f'{demo}/'))
    return path


@pytest.fixture
def quick_folder(tmp_path):
    """A folder in memory, where there is such a place: for tests that write much and are not about the disk."""
    memory = Path('/dev/shm')
    if not (memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 ** 30):
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix='test_', dir=memory))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope='session')
def pad():
    """Makes a batch of ground truths: [(boxes (n, 4), labels (n,)), ...] -> (N, G, 4) and (N, G), -1 where padded."""
    def batch(ground_truths, size=None):
        size = size or max([1] + [len(labels) for _, labels in ground_truths])
        bboxes = torch.zeros(len(ground_truths), size, 4)
        all_labels = torch.full((len(ground_truths), size), -1, dtype=torch.int64)
        for i, (boxes, labels) in enumerate(ground_truths):
            bboxes[i, :len(labels)] = torch.as_tensor(boxes).reshape(-1, 4)
            all_labels[i, :len(labels)] = torch.as_tensor(labels)
        return bboxes, all_labels
    return batch


@pytest.fixture(scope='session')
def in_processes():
    """Runs a program in some gloo processes, with this repository and a folder as its arguments, until all end well."""
    def run(source, folder, size):
        with socket.socket() as listener:
            listener.bind(('127.0.0.1', 0))
            port = str(listener.getsockname()[1])
        processes = []
        for rank in map(str, range(size)):
            environment = {**os.environ, 'RANK': rank, 'LOCAL_RANK': rank, 'WORLD_SIZE': str(size),
                           'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': port, 'GLOO_SOCKET_IFNAME': 'lo', 'OMP_NUM_THREADS': '1'}
            processes.append(subprocess.Popen([sys.executable, '-c', source, str(ROOT), str(folder)], env=environment,
                                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
        try:
            for process in processes:
                _, errors = process.communicate(timeout=120)
                assert process.returncode == 0, errors
        finally:
            for process in processes:
                process.kill()
    return run


@pytest.fixture(scope='session')
def in_two_processes(in_processes):
    """The same in two: run(source, folder)."""
    return partial(in_processes, size=2)
