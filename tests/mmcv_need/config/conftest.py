"""Configs to test with: files in an empty folder, and text that is read over a base."""
from __future__ import annotations

import copy
import textwrap
import time

import pytest

from mmcv_need.config import Config
from mmcv_need.config.places import Place, traced
from mmcv_need.config.reader import read_text
from mmcv_need.errors import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A function that writes config files below an empty current directory and reads the first."""
    monkeypatch.chdir(tmp_path)

    def write(**files):
        for name, text in files.items():
            path = tmp_path / (name.replace('__', '/') + '.py')
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding='utf-8')
        return next(iter(files)).replace('__', '/') + '.py'
    return write


SSD = '''
    _base_ = ['../base/model.py', '../base/schedule.py']
    model = dict(bbox_head=dict(num_classes=20), neck=dict(_delete_=True, type='SSDNeck'))
    optimizer_config = dict(_delete_=True)
    new = dict(_delete_=True, x=[dict(_delete_=True, y=1)])
    step = [8]
'''

MODEL = '''
    size = 300
    model = dict(
        type='SingleStageDetector', neck=dict(a=1),
        bbox_head=dict(
            type='SSDHead',
            num_classes=80,
            size=size))
'''

SCHEDULE = '''
    optimizer_config = dict(grad_clip=None)
    step = [16, 22]
'''


@pytest.fixture
def ssd(folder):
    return Config.fromfile(folder(ssd__ssd300=SSD, base__model=MODEL, base__schedule=SCHEDULE))


@pytest.fixture(scope='session')
def base():
    """The data of the base file `base.py`, all of it written on line 7."""
    return {'data_root': 'data/coco/', 'model': {'depth': 16, 'strides': [8, 16], 'head': {'type': 'SSDHead'}}}


@pytest.fixture(scope='session')
def source(base):
    """A function that reads the text of a config over the base."""
    def read(text, path='configs/ssd.py'):
        own = copy.deepcopy(base)  # a config may change what it builds on
        return read_text(textwrap.dedent(text), path, lambda names, place: (own, traced(own, Place('base.py', 7))))
    return read


@pytest.fixture(scope='session')
def data(source):
    """A function that returns the data of a text."""
    return lambda text, path='configs/ssd.py': source(text, path).data


@pytest.fixture(scope='session')
def line(source):
    """A function that returns the place of a value in a text."""
    def place(text, *keys, path='configs/ssd.py'):
        trace = source(text, path).trace
        for key in keys:
            trace = trace.children[key]
        return trace.place
    return place


@pytest.fixture(scope='session')
def refused(data):
    """A function that expects a text to be refused, in one line and quickly; returns the message."""
    def message_of(text, path='configs/ssd.py'):
        start = time.monotonic()
        with pytest.raises(ConfigError) as error:
            data(text, path)
        message = str(error.value)
        assert '\n' not in message and len(message) < 400
        assert time.monotonic() - start < 10
        return message
    return message_of
