"""as_mmcv(): names of MMCV that exist here can be imported as such, others are errors that say so; and only if it is called."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CALLED = 'import mmcv_need\nmmcv_need.as_mmcv()\n'


def run(text):
    return subprocess.run([sys.executable, '-c', text], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_every_name_of_the_table_is_what_stands_here():
    done = run(CALLED + '''
import importlib
from mmcv_need.mmcv_alias import NAMES
count = 0
for key, homes in NAMES.items():
    module = importlib.import_module(f'mmcv.{key}'.rstrip('.'))
    for home, names in homes.items():
        for name in names.split():
            assert getattr(module, name) is getattr(importlib.import_module(home), name), name
            assert name in dir(module)
            count += 1
print(count)
''')
    assert done.returncode == 0 and int(done.stdout) > 50, done.stderr


def test_code_that_imports_mmcv_works():
    done = run(CALLED + '''
import mmcv, torch
from mmcv.cnn import ConvModule, build_norm_layer
from mmcv.runner import HOOKS, BaseModule, Hook, force_fp32, get_dist_info, load_checkpoint
from mmcv.runner.hooks import HOOKS as same
from mmcv.utils import Config, Registry, build_from_cfg
assert same is HOOKS and mmcv.Config is Config and get_dist_info() == (0, 1)
name, layer = build_norm_layer(dict(type='BN'), 8, postfix=1)
assert name == 'bn1' and isinstance(layer, torch.nn.BatchNorm2d)
KINDS = Registry('kinds')
@KINDS.register_module()
class Kind:
    def __init__(self, size):
        self.size = size
assert build_from_cfg(dict(type='Kind'), KINDS, dict(size=3)).size == 3
mmcv_need.as_mmcv()
import sys
assert sys.modules['mmcv'] is mmcv
''')
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('line, words', [
    ('from mmcv.cnn import ConvModul', ('mmcv.cnn.ConvModul', "Did you mean 'ConvModule'?")),
    ('from mmcv.ops import nms', ('mmcv.ops', 'mmdet.core')), ('import mmcv.ops', ('mmcv.ops', 'mmdet.core')),
    ('import mmcv\nmmcv.imread("a.jpg")', ('mmcv.imread', 'Use cv2.imread')),
    ('from mmcv import mkdir_or_exist', ('os.makedirs',)), ('from mmcv.parallel import DataContainer', ('mmcv.parallel',)),
    ('from mmcv.runner import OptimizerHook', ('optimizer_config',))])
def test_a_name_that_does_not_exist_here_is_an_error_that_says_what_to_use(line, words):
    done = run(CALLED + line)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith('ImportError: mmcv.') and 'mmcv_need/mmcv_alias.py' in last
    assert not [word for word in words if word not in last], last


def test_nothing_of_it_is_there_unless_it_is_called():
    done = run('import mmcv_need, mmdet.apis, sys\nassert "mmcv" not in sys.modules\n'
               'assert not [finder for finder in sys.meta_path if "mmcv_need" in getattr(finder, "__module__", "")]')
    assert done.returncode == 0, done.stderr


def test_it_refuses_where_another_mmcv_is_imported_already(tmp_path):
    (tmp_path / 'mmcv.py').write_text('')
    done = run(f'import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport mmcv\n' + CALLED)
    last = done.stderr.strip().splitlines()[-1]
    assert f'as_mmcv(): mmcv is imported already, from {tmp_path}/mmcv.py' in last and 'UserError' in last


def test_one_that_is_only_installed_is_not_reached(tmp_path):
    (tmp_path / 'mmcv.py').write_text('raise SystemExit(7)')
    assert run(f'import sys\nsys.path.insert(0, {str(tmp_path)!r})\n{CALLED}import mmcv\nmmcv.Config').returncode == 0
