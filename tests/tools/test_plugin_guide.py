"""docs/en/plugins.md: each plug-in that it shows is trained with, evaluated and gone on with, outside this repository."""
from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmcv_need import registry
from mmcv_need.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / 'docs/en/plugins.md'
BLOCKS = dict(re.findall(r'^```python\n# (\w+\.py)\n(.*?)^```', GUIDE.read_text(encoding='utf-8'), re.MULTILINE | re.DOTALL))
CONFIGS = sorted(name for name in BLOCKS if name.startswith('with_'))


def listed(coco, path):
    """The annotations of a COCO file as the guide's dataset reads them."""
    content = json.loads(coco.read_text())
    lines = []
    for image in content['images']:
        boxes = [(*annotation['bbox'], annotation['category_id'] - 1) for annotation in content['annotations']
                 if annotation['image_id'] == image['id']]
        words = [f'{x},{y},{x + w},{y + h},{label}' for x, y, w, h, label in boxes]
        lines.append(' '.join([image['file_name'], str(image['width']), str(image['height']), *words]))
    path.write_text('\n'.join(lines) + '\n')


@pytest.fixture(scope='module')
def folder(tmp_path_factory, tiny, demo):
    """The guide's files, with the tiny config in place of the demo's."""
    path = tmp_path_factory.mktemp('mine')
    for name, text in BLOCKS.items():
        path.joinpath(name).write_text(text.replace("'configs/ssd_demo.py'", repr(str(tiny))))
    (path / 'pictures').symlink_to(demo)
    for section in ('train', 'val'):
        listed(demo / f'annotations/instances_{section}2017.json', path / f'boxes_{section}.txt')
    return path


@pytest.fixture
def alone(monkeypatch, folder):
    """In that folder, and what is imported of it is gone afterwards."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    yield
    for name in [name for name, module in sys.modules.items() if str(getattr(module, '__file__', '')).startswith(str(folder))]:
        del sys.modules[name]


@pytest.fixture
def forgotten():
    """Names that the guide registers are free again, since each test imports its modules anew."""
    known = dict(registry._TABLE)
    yield
    registry._TABLE.clear()
    registry._TABLE.update(known)


def test_the_guide_shows_each_kind():
    assert [f'with_my_{kind}.py' for kind in ('backbone', 'dataset', 'head', 'hook', 'neck', 'transform')] == CONFIGS
    kinds = ('backbone', 'dataset', 'head', 'hook', 'loss', 'neck', 'transform')
    assert set(BLOCKS) - set(CONFIGS) == {f'my_{kind}.py' for kind in kinds}


@pytest.mark.parametrize('name', CONFIGS)
def test_a_plug_in_is_trained_with_evaluated_and_gone_on_with(tools, folder, alone, forgotten, tmp_path, capsys, name):
    metric = 'mAP' if name == 'with_my_dataset.py' else 'bbox'
    flags = ('--work-dir', tmp_path, '--seed', 3, '--allow-custom-imports', '--no-validate')
    tools.train(name, *flags, '--max-steps', 2)
    assert torch.load(tmp_path / 'latest.pth', weights_only=True)['meta']['iter'] == 2
    tools.test(name, tmp_path / 'latest.pth', '--eval', metric, '--allow-custom-imports')
    assert ("'mAP'" if metric == 'mAP' else "'bbox_mAP'") in capsys.readouterr().out
    tools.train(name, *flags, '--max-steps', 4, '--resume-from', tmp_path / 'latest.pth')
    assert torch.load(tmp_path / 'latest.pth', weights_only=True)['meta']['iter'] == 4


@pytest.mark.parametrize('tool', ['train', 'test', 'check_dataset'])
def test_without_the_flag_none_of_it_is_run(tools, folder, alone, tmp_path, tool):
    given = (tmp_path / 'none.pth', '--eval', 'bbox') if tool == 'test' else ()
    with pytest.raises(ConfigError, match=r'with_my_neck\.py:2: custom_imports\.imports: runs Python code.*my_neck.*--allow'):
        getattr(tools, tool)('with_my_neck.py', *given)
    assert 'my_neck' not in sys.modules


def test_check_config_knows_plug_ins_only_with_the_flag(tools, folder, alone, forgotten, capsys):
    assert tools.check_config('with_my_head.py', '--gpus', 1) == 2
    assert '--allow-custom-imports' in capsys.readouterr().err and 'my_head' not in sys.modules
    assert tools.check_config('with_my_head.py', '--gpus', 1, '--allow-custom-imports') == 0
    assert 'SSDVGG, SSDNeck, MyHead' in capsys.readouterr().out


def test_the_config_can_be_printed_without_the_flag(tools, folder, alone, capsys):
    tools.print_config('with_my_neck.py')
    assert "custom_imports = dict(imports=['my_neck'])" in capsys.readouterr().out and 'my_neck' not in sys.modules


def test_a_misspelt_argument_of_a_plug_in_is_one_line(tools, folder, alone, forgotten, tmp_path):
    with pytest.raises(ConfigError, match=r'--cfg-options: model\.neck\.num_level: MyNeck.*Did you mean .num_levels.'):
        tools.train('with_my_neck.py', '--work-dir', tmp_path, '--allow-custom-imports', '--cfg-options',
                    'model.neck.num_level=5')


@pytest.mark.slow
def test_all_processes_of_a_run_import_the_plug_ins(folder, tmp_path):
    words = [sys.executable, str(ROOT / 'tools/train.py'), 'with_my_head.py', '--work-dir', str(tmp_path), '--no-validate',
             '--allow-custom-imports', '--gpus', '2', '--device', 'cpu', '--max-steps', '2']
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert torch.load(tmp_path / 'latest.pth', weights_only=True)['meta']['iter'] == 2
