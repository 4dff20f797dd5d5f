"""Nothing in packages, tools and benchmarks runs what a file, a flag or another machine says: read off the code.

The exceptions are named here, each with the functions that it may use: above all the unpickler of a few harmless names.
"""
from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = ('mmcv_need', 'mmdet', 'tools', 'benchmarks', 'calc_fps.py', 'setup.py')

# A module that can run what it reads -> where it may be imported, and which names of it may be used there.
MODULES = {'pickle': {'mmcv_need/serialization/pickles.py': {'Unpickler'},  # the restricted one
                      'mmdet/apis/results.py': {'dumps'}},  # MMDetection's file of results is written, never so read
           'pickletools': {'mmcv_need/serialization/pickle_shapes.py': {'genops', 'opcodes'}},  # looks, and makes nothing
           'runpy': {'benchmarks/learning.py': {'run_path'}},  # of this repository's own recipe
           '_pickle': {}, 'cloudpickle': {}, 'dill': {}, 'joblib': {}, 'marshal': {}, 'shelve': {}, 'code': {}, 'codeop': {},
           'imp': {}, 'pty': {}}
BUILTINS = {'eval', 'exec', 'compile', '__import__', 'execfile'}
CALLS = {'os': {'system', 'popen', 'execv', 'execve', 'execvp', 'execl', 'execlp', 'spawnv', 'spawnl', 'startfile'},
         'subprocess': {'getoutput', 'getstatusoutput'}, 'tempfile': {'mktemp'}, 'torch': {'load', 'jit'},
         'yaml': {'load_all', 'unsafe_load', 'full_load', 'UnsafeLoader', 'FullLoader', 'Loader'},
         'shutil': {'unpack_archive'}, 'importlib': {'reload'}, 'types': {'FunctionType', 'CodeType'}}
ANYWHERE = {'extractall', 'all_gather_object', 'gather_object', 'scatter_object_list', 'broadcast_object_list',
            'send_object_list', 'recv_object_list', 'read_pickle', 'load_module', 'exec_module'}
# Where a module is imported whose name is put together, or named by a variable: what it can be there.
IMPORTED = {'mmcv_need/mmcv_alias.py': 'a table of our own modules, and torch\'s',
            'mmcv_need/device.py': 'literals', 'mmcv_need/optim/fused_optimizers.py': 'literals',
            'mmdet/apis/custom_imports.py': 'what custom_imports says, where --allow-custom-imports is given',
            'mmdet/core/evaluation/coco_api.py': 'a table of three', 'benchmarks/run.py': 'a section that is in a table'}


def dotted(node: ast.AST) -> str:
    """`a.b.c` of names and attributes, '' of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    base = dotted(node.value) if isinstance(node, ast.Attribute) else ''
    return f'{base}.{node.attr}' if base else ''


def faults(path: str, text: str) -> list:
    """Each place of a file that could run something, as `path:line: what`."""
    tree, found = ast.parse(text), []
    safe = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
            and [dotted(base) for base in node.bases] == ['yaml.SafeLoader']}
    for node in ast.walk(tree):
        for what in (*imports(path, node), *uses(path, node), *calls(path, node, safe)):
            found.append(f'{path}:{node.lineno}: {what}')
    return found


def imports(path, node):
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name in MODULES and (path not in MODULES[alias.name] or alias.asname):
                yield f'imports {alias.name}'
    elif isinstance(node, ast.ImportFrom):
        if node.module in MODULES:
            yield f'imports from {node.module}'
        for alias in node.names:
            if alias.name in CALLS.get(node.module or '', ()) or alias.name in ANYWHERE:
                yield f'imports {node.module}.{alias.name}'


def uses(path, node):
    if isinstance(node, ast.Name) and node.id in BUILTINS:
        yield f'says {node.id}'
    elif isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        allowed = MODULES.get(owner, {}).get(path)
        if allowed is not None and node.attr not in allowed:
            yield f'uses {owner}.{node.attr}'
        if node.attr in CALLS.get(owner, ()) or node.attr in ANYWHERE or owner == 'builtins':
            yield f'says {owner or "x"}.{node.attr}'
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and ('0.0.0.0' in node.value or node.value == '::'):
        yield 'names every address of the machine'


def calls(path, node, safe_loaders):
    if not isinstance(node, ast.Call):
        return
    name, keywords = dotted(node.func), {keyword.arg: keyword.value for keyword in node.keywords}
    shell = keywords.get('shell')
    if 'shell' in keywords and not (isinstance(shell, ast.Constant) and shell.value is False):
        yield 'starts a shell'
    if name == 'yaml.load' and not (len(node.args) == 2 and dotted(node.args[1]) in safe_loaders):
        yield 'reads YAML that may make objects'
    if name in ('np.load', 'numpy.load') and not isinstance(keywords.get('allow_pickle'), (type(None), ast.Constant)):
        yield 'may unpickle arrays'
    if getattr(keywords.get('allow_pickle'), 'value', False) or (None in keywords and name in ('np.load', 'numpy.load')):
        yield 'may unpickle arrays'
    named = name.endswith('import_module') and node.args and isinstance(node.args[0], ast.Constant)
    if name.endswith('import_module') and not named and path not in IMPORTED:
        yield 'imports a module whose name is not written there'


def files():
    paths = [path for top in CODE for path in ([ROOT / top] if top.endswith('.py') else sorted((ROOT / top).rglob('*.py')))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding='utf-8') for path in paths}


def test_nothing_in_the_code_can_run_what_it_reads():
    assert [fault for path, text in files().items() for fault in faults(path, text)] == []


def test_the_whole_code_is_read_and_no_exception_outlives_its_reason():
    known = files()
    assert {'mmcv_need/config/config.py', 'mmdet/apis/train.py', 'tools/train.py', 'tools/analysis_tools/eval_metric.py',
            'benchmarks/run.py', 'calc_fps.py', 'setup.py'} <= set(known)
    for module, places in MODULES.items():
        for path, names in places.items():
            assert f'import {module}\n' in known[path] and all(f'{module}.{name}' in known[path] for name in names)
    assert all('import_module' in known[path] for path in IMPORTED)


OFFENDING = [
    'import pickle', 'import pickle as p', 'from pickle import loads', 'import marshal', 'import shelve', 'import dill',
    'import joblib', 'eval("1")', 'exec("x = 1")', 'compile("1", "", "eval")', '__import__("os")', 'run = eval',
    'import builtins\nbuiltins.exec("1")', 'import os\nos.system("ls")', 'import os\nos.popen("ls")', 'from os import system',
    'import subprocess\nsubprocess.run("ls", shell=True)', 'import subprocess\nsubprocess.Popen("ls", shell=flag)',
    'import subprocess\nsubprocess.getoutput("ls")', 'import yaml\nyaml.load(text, yaml.Loader)',
    'import yaml\nyaml.load(text)', 'import yaml\nyaml.load(text, Loader)',
    'import yaml\nyaml.unsafe_load(text)', 'import torch\ntorch.load("x.pth")', 'from torch import load',
    'import torch\ntorch.load("x.pth", weights_only=False)',
    'import torch.distributed as dist\ndist.all_gather_object(a, b)',
    'from torch.distributed import broadcast_object_list', 'import tempfile\ntempfile.mktemp()', 'HOST = "0.0.0.0"',
    'f"http://0.0.0.0:{port}"', 'import numpy as np\nnp.load(f, allow_pickle=True)', 'np.load(f, **options)',
    'import importlib\nimportlib.import_module(name)', 'import importlib.util\nspec.loader.exec_module(m)',
    'tar.extractall(".")',
    'import pandas\npandas.read_pickle("x")']


@pytest.mark.parametrize('text', OFFENDING)
def test_a_fault_is_noticed_wherever_it_stands(text):
    indented = 'def f(a, b):\n' + ''.join(f'    {line}\n' for line in text.splitlines())
    for path in ('mmcv_need/config/merge.py', 'mmdet/apis/train.py', 'tools/train.py'):
        assert faults(path, text) and faults(path, indented)


@pytest.mark.parametrize('path, text', [
    ('mmdet/apis/results.py', 'import pickle\npickle.loads(data)'), ('mmdet/apis/results.py', 'import pickle as p'),
    ('mmcv_need/serialization/pickles.py', 'import pickle\npickle.load(file)'),
    ('mmcv_need/serialization/pickle_shapes.py', 'import pickle')])
def test_an_exception_is_for_what_it_names_and_for_nothing_else(path, text):
    assert faults(path, text)


@pytest.mark.parametrize('text', [
    'import re\nre.compile("a")', 'model.eval()', 'import torch\ntorch.compile(f)', 'import subprocess\nsubprocess.run(["ls"])',
    'import importlib\nimportlib.import_module("torch_npu")', 'import ast\nast.literal_eval("1")', 'ADDRESS = "127.0.0.1"',
    'import json\njson.load(file)', 'import numpy as np\nnp.load(f)', 'subprocess.run(words, shell=False)'])
def test_what_is_harmless_is_no_fault(text):
    assert faults('mmdet/apis/train.py', text) == []
