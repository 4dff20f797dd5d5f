"""A published file has the weights and what they mean, and tells nothing of the run or the machine; safetensors and back."""
from __future__ import annotations

import hashlib
import re

import pytest
import torch

from mmcv_need.checkpoint import read_checkpoint
from mmcv_need.errors import CheckpointError, UserError
from mmdet.apis.publishing import without_paths

CONFIG = '''/home/me/secret/configs/ssd.py
data_root = '/home/me/secret/data/coco/'
data = dict(train=dict(ann_file="/home/me/secret/train.json", img_prefix='data/coco/train2017/'))
model = dict(init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://vgg16_caffe'))
work_dir = './work_dirs/secret'
load_from = 'https://host/ssd.pth'
resume_from = None
'''
META = {'epoch': 3, 'iter': 30, 'CLASSES': ('a', 'b'), 'config': CONFIG, 'env_info': 'secret', 'exp_name': 'secret.py',
        'hook_msgs': {'best': '/secret/best.pth'}, 'seed': 7, 'time': 'secret'}


@pytest.fixture
def trained(weights, tmp_path):
    path = tmp_path / 'epoch_3.pth'
    average = {key: value.clone() for key, value in weights.items()}
    torch.save({'meta': META, 'state_dict': average, 'training_state_dict': {key: value + 1 for key, value in weights.items()},
                'optimizer': {'state': {}, 'param_groups': []}, 'ranks': [{'random': 'secret'}]}, path)
    return path


def test_a_published_file_has_its_digits_in_its_name_and_nothing_of_the_run(tool, trained, weights, tmp_path, capsys):
    tool('publish_model', trained, tmp_path / 'out' / 'ssd300.pth')
    (path,) = (tmp_path / 'out').iterdir()
    assert re.fullmatch(r'ssd300-[0-9a-f]{8}\.pth', path.name)
    assert path.name[7:15] == hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    made = torch.load(path, weights_only=True)
    assert set(made) == {'meta', 'state_dict'} and set(made['meta']) == {'CLASSES', 'config', 'epoch', 'iter'}
    assert all(torch.equal(made['state_dict'][key], weights[key]) for key in weights)
    assert b'secret' not in path.read_bytes()
    said = capsys.readouterr().out
    assert 'left out: optimizer, ranks, training_state_dict, meta.env_info, meta.exp_name, meta.hook_msgs, meta.seed' in said
    before = path.read_bytes()
    with pytest.raises(UserError, match='is there already'):
        tool('publish_model', trained, tmp_path / 'out' / 'ssd300.pth')
    tool('publish_model', trained, tmp_path / 'out' / 'ssd300.pth', '--overwrite')
    assert path.read_bytes() == before  # the same file gets the same name


def test_the_config_keeps_what_is_of_the_experiment():
    assert without_paths(CONFIG) == '''ssd.py
data_root = 'coco/'
data = dict(train=dict(ann_file="train.json", img_prefix='data/coco/train2017/'))
model = dict(init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://vgg16_caffe'))
work_dir = None
load_from = None
resume_from = None
'''
    assert without_paths(r"a = 'C:\\data\\coco\\'" + "\nb = '~/x/y.json'\nc = 1 / 2") == "a = 'coco/'\nb = 'y.json'\nc = 1 / 2"


def test_addresses_keep_no_secret_and_commands_no_path():
    config = """a = 'file:///home/me/x.pth'
b = 'https://me:key@host/x.pth?token=abc'
c = 'https://host/x.pth#sha256=12'
d = 'python /home/me/x.py --out=/home/me/y'
"""
    assert without_paths(config) == """a = 'x.pth'
b = 'https://host/x.pth'
c = 'https://host/x.pth#sha256=12'
d = 'python x.py --out=y'
"""


def test_a_file_without_weights_is_one_line(tool, tmp_path):
    torch.save({'meta': {}}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match=r'x\.pth: has no weights to publish'):
        tool('publish_model', tmp_path / 'x.pth', tmp_path / 'y.pth')


def test_to_safetensors_and_back_is_the_same_to_the_bit(tool, trained, weights, tmp_path, capsys):
    pytest.importorskip('safetensors', reason='safetensors is optional')
    tool('to_safetensors', trained, tmp_path / 'ssd.safetensors')
    tool('to_safetensors', tmp_path / 'ssd.safetensors', tmp_path / 'back.pth')
    assert 'left out: optimizer, ranks, training_state_dict' in capsys.readouterr().out
    for name in ('ssd.safetensors', 'back.pth'):
        read = read_checkpoint(str(tmp_path / name))
        assert {key: read['meta'][key] for key in ('CLASSES', 'epoch', 'iter')} == {
            'CLASSES': ('a', 'b'), 'epoch': 3, 'iter': 30}
        assert read['meta']['config'] == without_paths(CONFIG)
        assert sorted(read['state_dict']) == sorted(weights)
        assert all(torch.equal(read['state_dict'][key], weights[key]) for key in weights)


def test_a_name_that_tells_no_direction_is_refused(tool, trained, tmp_path):
    with pytest.raises(UserError, match=r'expected a name that ends in \.safetensors, \.pth, \.pt'):
        tool('to_safetensors', trained, tmp_path / 'x.bin')
