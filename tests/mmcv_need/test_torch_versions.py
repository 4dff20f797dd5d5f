"""Which torch can what is told by one table."""
from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
import torch

from mmcv_need import torch_versions
from mmcv_need.errors import ConfigError
from mmcv_need.torch_versions import FIRST, has, needs, require

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize('version, able', [((1, 8), False), ((1, 13), False), ((2, 0), False), ((2, 1), True), ((2, 13), True)])
def test_a_feature_is_there_from_its_first_version_on(monkeypatch, version, able):
    monkeypatch.setattr(torch_versions, 'TORCH_VERSION', version)
    assert has('torch.compile') is able


def test_what_is_missing_is_an_error_that_names_the_version_and_what_to_do(monkeypatch):
    monkeypatch.setattr(torch_versions, 'TORCH_VERSION', (1, 8))
    monkeypatch.setattr(torch, '__version__', '1.8.1+cpu')
    with pytest.raises(ConfigError) as raised:
        require('torch.compile', instead='leave compile out')
    assert str(raised.value) == 'torch.compile needs torch 2.1 or newer, and this is 1.8.1+cpu; leave compile out'
    monkeypatch.setattr(torch_versions, 'TORCH_VERSION', (2, 1))
    require('torch.compile', instead='leave compile out')


def test_a_feature_that_is_not_in_the_table_is_a_fault_of_the_program():
    with pytest.raises(KeyError):
        has('flying')


def test_versions_compare_as_numbers_and_not_as_text():
    assert needs('a second store beside that of the process group') == 'torch 1.11 or newer'
    assert all(isinstance(part, int) for first in FIRST.values() for part in first)
    assert tuple(map(int, torch.__version__.split('+')[0].split('.')[:2])) == torch_versions.TORCH_VERSION


def accepts(function, argument):
    return argument in inspect.signature(function).parameters


def multiplies_lists():
    try:
        torch._foreach_mul_([torch.ones(2)], torch.tensor(2.))
    except (AttributeError, TypeError):
        return False
    return hasattr(torch, '_foreach_norm')


def computes_in_half():
    if not hasattr(torch, 'autocast'):
        return False
    with torch.autocast('cpu', dtype=torch.float16):
        return torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype is torch.float16


@pytest.mark.filterwarnings('ignore:In CPU autocast')
@pytest.mark.parametrize('feature, there', [
    ('autocast in a chosen dtype', lambda: hasattr(torch, 'autocast')),
    ('torch.load with weights_only', lambda: hasattr(torch, '_weights_only_unpickler')),
    ('warn_only', lambda: accepts(torch.use_deterministic_algorithms, 'warn_only')),
    ('torch.compile', lambda: hasattr(torch, 'compile') and hasattr(torch, 'compiler')),
    ('operations on lists of tensors', multiplies_lists),
    ('float16 on the CPU', computes_in_half),
])
def test_the_table_tells_the_truth_about_this_torch(feature, there):
    assert has(feature) == there()


def test_no_other_file_compares_versions_of_torch():
    """Detection of an argument or a function is no comparison; the stand-in for an NPU is not part of the toolkit."""
    found = []
    for path in [*(ROOT / 'mmcv_need').rglob('*.py'), *(ROOT / 'mmdet').rglob('*.py'), *(ROOT / 'tools').rglob('*.py')]:
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Compare) and re.search(r'TORCH_VERSION|torch\.__version__', dumped(node)):
                found.append(path.name)
    assert found == ['torch_versions.py']


def dumped(node):
    return ' '.join(f"{getattr(getattr(child, 'value', None), 'id', '')}.{getattr(child, 'attr', '')}{getattr(child, 'id', '')}"
                    for child in ast.walk(node) if isinstance(child, (ast.Name, ast.Attribute)))
