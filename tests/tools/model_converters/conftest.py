"""The converters as functions, and a small SSD300 whose weights go through them."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = {'backbone.width_factor': 0.0625, 'neck.in_channels': (32, 64), 'neck.out_channels': (32, 64, 32, 16, 16, 16),
           'bbox_head.in_channels': (32, 64, 32, 16, 16, 16)}


@pytest.fixture(scope='session')
def tool(load_file):
    """tool('to_safetensors', IN, OUT, ...) runs it, in this process."""
    def call(name, *arguments):
        load_file(f'tools/model_converters/{name}.py').main([str(argument) for argument in arguments])
    return call


@pytest.fixture(scope='session')
def small(build_detector):
    return lambda **options: build_detector('ssd300_coco.py', **OPTIONS, **options)


@pytest.fixture(scope='session')
def weights(small):
    torch.manual_seed(5)
    return small().state_dict()


@pytest.fixture(scope='session')
def old_names():
    """Names before 2.14, in their order -> names today."""
    names = json.loads((ROOT / 'tests/parity/data/keymap_2_11.json').read_text())
    today = {theirs: ours for ours, theirs in names['keymap_2_28_to_2_11'].items()}
    return {name: today[name] for name in names['order_2_11']}
