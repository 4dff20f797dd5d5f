"""The house keeps its order: layers, imports, and names of devices in one file."""
from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Lowest first; of one row, none may import another. The longest name that fits a module counts.
LAYERS = [{'mmcv_need', 'mmdet.version'}, {'mmdet.core'}, {'mmdet.datasets', 'mmdet.models'}, {'mmdet.apis', 'mmdet'},
          {'calc_fps'}, {'tools'}]
OURS = {'mmcv_need', 'mmdet', 'tools', 'calc_fps'}
STANDARD = getattr(sys, 'stdlib_module_names', frozenset())  # from Python 3.10 on
DEVICES = {'cuda', 'npu', 'hccl', 'nccl'}


def modules(root):
    """Path by dotted name of every module of the toolkit."""
    paths = [path for top in ('mmcv_need', 'mmdet', 'tools') for path in sorted((root / top).rglob('*.py'))]
    paths += [root / 'calc_fps.py'] if (root / 'calc_fps.py').exists() else []
    dotted = ('.'.join(path.relative_to(root).with_suffix('').parts) for path in paths)
    return {name[:-len('.__init__')] if name.endswith('.__init__') else name: path for name, path in zip(dotted, paths)}


def layer_of(module):
    """(rank, the row's name that fits)."""
    fits = [(len(name), rank, name) for rank, row in enumerate(LAYERS) for name in row if f'{module}.'.startswith(f'{name}.')]
    return max(fits)[1:]


def imports(tree, known):
    """(node, module) of each import in a tree; `from package import module` names the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            for alias in node.names:
                yield node, f'{base}.{alias.name}' if f'{base}.{alias.name}' in known else base


def import_faults(module, tree, known):
    rank, own = layer_of(module)
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    inside = {id(child) for function in functions for child in ast.walk(function)}
    for node, target in imports(tree, known):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield f'{module}:{node.lineno}: relative import'
            continue
        top = target.split('.')[0]
        if id(node) in inside and (top in OURS or top in STANDARD):
            yield f'{module}:{node.lineno}: imports {target} inside a function'
        if top in OURS:
            other_rank, other = layer_of(target)
            if other_rank > rank or (other_rank == rank and other != own):
                yield f'{module}:{node.lineno}: {own} imports {target}, which is not below it'


def cycle_faults(trees):
    """Each module that imports itself, directly or through others."""
    edges = {name: {target for _, target in imports(tree, trees) if target in trees} for name, tree in trees.items()}
    for start in edges:
        reached, ahead = set(), list(edges[start])
        while ahead:
            name = ahead.pop()
            if name not in reached:
                reached.add(name)
                ahead += edges[name]
        if start in reached:
            yield f'{start}: import cycle'


def words(text):
    """Of an identifier or string, also of one like TwoWords; the optimizers that configs call NpuFusedSGD, ... are names."""
    text = re.sub(r'\bNpuFused(?=[A-Z]|\b)', '', text)
    return set(re.split(r'[\W_]+', text.lower())) | {word.lower() for word in re.findall(r'[A-Z]?[a-z]+|[A-Z]+(?![a-z])', text)}


def device_faults(module, tree):
    """Identifiers and strings, docstrings aside, that have the name of a device or its backend as a word."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {id(node.body[0].value) for node in ast.walk(tree)
                  if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in docstrings:
            continue
        for field in ('id', 'attr', 'name', 'asname', 'arg', 'module', 'value'):
            text = getattr(node, field, None)
            if isinstance(text, str):
                for word in sorted(DEVICES & words(text)):
                    yield f"{module}:{getattr(node, 'lineno', 0)}: says {word}: {text!r}"


def faults(root):
    known = modules(root)
    trees = {name: ast.parse(path.read_text(encoding='utf-8')) for name, path in known.items()}
    found = [f'{name}: called utils' for name in known if 'utils' in name.split('.')]
    found += cycle_faults(trees)
    for name, tree in trees.items():
        found += import_faults(name, tree, known)
        if name.split('.')[0] in ('mmcv_need', 'mmdet') and name != 'mmcv_need.device':
            found += device_faults(name, tree)
    return found


def test_the_house_is_in_order():
    assert faults(ROOT) == []


def test_the_check_reads_the_whole_house():
    known = modules(ROOT)
    assert {'mmcv_need.hooks.hook', 'mmdet.core.bbox.iou', 'mmdet.models', 'tools.train', 'calc_fps'} <= set(known)


@pytest.mark.parametrize('path, text, fault', [
    ('mmcv_need/a.py', 'import mmdet.core.b', 'not below it'),
    ('mmdet/core/a.py', 'from mmdet.models.b import B', 'not below it'),
    ('mmdet/datasets/a.py', 'from mmdet.models import b', 'not below it'),
    ('mmdet/models/a.py', 'import mmdet.datasets', 'not below it'),
    ('mmdet/models/a.py', 'from mmdet import apis', 'not below it'),
    ('mmdet/apis/a.py', 'from tools import train', 'not below it'),
    ('mmdet/core/a.py', 'import calc_fps', 'not below it'),
    ('mmdet/core/a.py', 'from . import b', 'relative import'),
    ('mmdet/core/a.py', 'def f():\n    from mmcv_need import b', 'inside a function'),
    ('mmdet/core/a.py', 'class A:\n    def f(self):\n        if self:\n            import mmcv_need.b', 'inside a function'),
    ('mmcv_need/a.py', 'import mmcv_need.b', 'mmcv_need.b: import cycle'),
    ('mmcv_need/a.py', 'from mmcv_need import b', 'mmcv_need.a: import cycle'),
    ('mmcv_need/utils.py', '', 'called utils'),
    ('mmdet/core/utils/a.py', '', 'called utils'),
    ('mmdet/core/a.py', 'x = y.cuda()', 'says cuda'),
    ('mmdet/core/a.py', 'import torch_npu', 'says npu'),
    ('mmdet/core/a.py', 'from torch import npu as accelerator', 'says npu'),
    ('mmdet/core/a.py', 'def f(use_npu):\n    """Runs on npu."""', "says npu: 'use_npu'"),
    ('mmdet/core/a.py', 'f(nccl=1)', 'says nccl'),
    ('mmdet/core/a.py', "f('HCCL_TIMEOUT')", 'says hccl'),
    ('mmdet/core/a.py', "f(f'cuda:{i}')", 'says cuda'),
    ('mmdet/core/a.py', 'class NpuHead:\n    pass', "says npu: 'NpuHead'"),
    ('mmdet/core/a.py', 'def makeHCCLGroup():\n    pass', 'says hccl'),
    ('mmdet/core/a.py', 'def f():\n    torch.cuda.empty_cache()', 'says cuda'),
    ('mmdet/core/a.py', 'def f(a, npu=None):\n    pass', 'says npu'),
    ('mmcv_need/a.py', '"""Doc."""\nx = 1\n"not a docstring: cuda"', 'says cuda'),
])
def test_a_fault_is_noticed(path, text, fault, tmp_path):
    for name in ('mmcv_need/b.py', 'mmdet/models/b.py', 'mmdet/datasets/__init__.py', 'mmdet/apis/__init__.py'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('import mmcv_need.a' if name == 'mmcv_need/b.py' else '')
    assert faults(tmp_path) == []
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text)
    assert any(fault in found for found in faults(tmp_path)), faults(tmp_path)


@pytest.mark.parametrize('path, text', [
    ('mmcv_need/device.py', 'import torch_npu\nx.cuda()'),
    ('mmdet/core/a.py', '"""For cuda and npu."""\ndef f():\n    """Not on npu."""\n    import optional_package'),
    ('mmdet/models/a.py', 'import torch\nfrom mmcv_need import device\nfrom mmdet.core import b'),
    ('mmdet/core/a.py', 'input_size = cudalike = "inputs"'),
    ('mmdet/core/a.py', 'x = {"NpuFusedSGD": SGD}\ny = name.startswith("NpuFused")'),
    ('tools/a.py', 'import calc_fps\nimport mmdet.apis\nname = "cuda"'),
    ('mmcv_need/hooks/__init__.py', 'from mmcv_need.hooks.a import A'),
])
def test_what_is_allowed_is_not_a_fault(path, text, tmp_path):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    assert faults(tmp_path) == []
