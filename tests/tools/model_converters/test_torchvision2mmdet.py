"""torchvision's files, converted: the same network as loaded directly, with the names of the classes."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmcv_need.errors import CheckpointError, UserError
from mmcv_need.weights import load_weights, state_dict_of
from mmdet.datasets.coco_classes import COCO_CLASSES

ROOT = Path(__file__).resolve().parents[3]
BOXES = (4, 6, 6, 6, 4, 4)


@pytest.fixture
def theirs(weights, tmp_path):
    """Writes a file with torchvision's names, of our small network's sizes, with some columns of scores."""
    def write(columns, nested=False):
        names = {f'backbone.features.{24 + i}': f'backbone.extra.0.{1 + i}' for i in (0, 2, 4)}
        names.update({'backbone.features.31': 'backbone.extra.0.7.1', 'backbone.features.33': 'backbone.extra.0.7.3',
                      'neck.l2_norm.weight': 'backbone.scale_weight'})
        for level in range(4):
            names.update({f'neck.extra_layers.{level}.{i}.conv': f'backbone.extra.{level + 1}.{2 * i}' for i in (0, 1)})
        for level in range(6):
            names.update({f'bbox_head.{kind}_convs.{level}.0': f'head.{word}_head.module_list.{level}'
                          for kind, word in (('cls', 'classification'), ('reg', 'regression'))})
        state = {}
        for key, value in weights.items():
            name = names.get(key) or f"{names.get(key.rpartition('.')[0], key.rpartition('.')[0])}.{key.rpartition('.')[2]}"
            if 'classification' in name:
                rows = BOXES[int(name.split('.')[3])] * columns
                value = torch.randn(rows, *value.shape[1:], generator=torch.Generator().manual_seed(rows))
            state[name] = value
        torch.save({'model': state, 'epoch': 3} if nested else state, tmp_path / 'tv.pth')
        return tmp_path / 'tv.pth'
    return write


@pytest.mark.parametrize('nested', [False, True], ids=['published', 'of the reference scripts'])
def test_a_file_trained_on_coco_has_our_names_order_and_classes(tool, theirs, small, tmp_path, capsys, nested):
    tool('torchvision2mmdet', theirs(91, nested), tmp_path / 'ours.pth')
    made = torch.load(tmp_path / 'ours.pth', weights_only=True)
    assert made['meta']['CLASSES'] == COCO_CLASSES and 'unnamed_classes=10' in made['meta']['config']
    direct, converted = (small(**{'bbox_head.unnamed_classes': 10}) for _ in range(2))
    assert not any(load_weights(direct, state_dict_of(torch.load(tmp_path / 'tv.pth')), 'tv.pth', strict=True))
    assert not any(load_weights(converted, made['state_dict'], 'ours.pth', strict=True))
    for (key, value), other in zip(direct.state_dict().items(), converted.state_dict().values()):
        assert torch.equal(value, other), key
    assert '71 weights, 80 classes' in capsys.readouterr().out


def test_other_data_have_other_classes(tool, theirs, tmp_path):
    tool('torchvision2mmdet', theirs(3), tmp_path / 'ours.pth', '--classes', 'cat', 'dog')
    made = torch.load(tmp_path / 'ours.pth', weights_only=True)
    before = torch.load(tmp_path / 'tv.pth', weights_only=True)['head.classification_head.module_list.0.bias']
    assert made['meta'] == {'CLASSES': ('cat', 'dog')}
    assert torch.equal(made['state_dict']['bbox_head.cls_convs.0.0.bias'].reshape(4, 3), before.reshape(4, 3)[:, [1, 2, 0]])
    with pytest.raises(UserError, match=r'--classes: 1 names; .* has 2 classes beside background'):
        tool('torchvision2mmdet', tmp_path / 'tv.pth', tmp_path / 'x.pth', '--classes', 'cat')


def test_a_file_of_another_network_is_one_line_and_status_2(tmp_path):
    torch.save({'conv.weight': torch.ones(1)}, tmp_path / 'x.pth')
    done = subprocess.run([sys.executable, 'tools/model_converters/torchvision2mmdet.py', str(tmp_path / 'x.pth'),
                           str(tmp_path / 'y.pth')], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count('\n') == 1
    assert f"error: {tmp_path / 'x.pth'}: no file of torchvision's ssd300_vgg16" in done.stderr


def test_a_head_whose_scores_do_not_fit_its_offsets_is_refused(tool, theirs, tmp_path):
    state = torch.load(theirs(91), weights_only=True)
    state['head.classification_head.module_list.0.weight'] = torch.zeros(363, 32, 3, 3)
    torch.save(state, tmp_path / 'odd.pth')
    with pytest.raises(CheckpointError, match='or of sizes that do not fit'):
        tool('torchvision2mmdet', tmp_path / 'odd.pth', tmp_path / 'y.pth')
