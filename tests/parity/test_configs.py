"""The shipped configs say what MMDetection's own say, value by value."""
from __future__ import annotations

from pathlib import Path

import pytest

from mmcv_need.config import Config

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
OURS = {'ssd300_coco': 'ssd300_coco.py', 'ssd512_coco': 'ssd512_coco.py', 'ssd300_voc': 'ssd300_voc0712.py',
        'ssd512_voc': 'ssd512_voc0712.py', 'ssdlite': 'ssdlite_mobilenetv2_scratch_600e_coco.py'}
SECTIONS = ('model', 'optimizer', 'optimizer_config', 'lr_config', 'runner', 'train_pipeline', 'test_pipeline', 'data')


def plain(value):
    """As json says it: lists for tuples."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def read(name):
    return plain(Config.fromfile(CONFIGS / name).to_dict())


@pytest.mark.parametrize('section', SECTIONS)
@pytest.mark.parametrize('name', OURS)
def test_every_value_is_mmdetections(name, section, stored):
    expected, actual = stored('configs.json')[name][section], read(OURS[name])[section]
    if section == 'model' and name != 'ssdlite':  # the numbers were computed without a download
        assert actual['backbone'].pop('init_cfg') == dict(type='Pretrained', checkpoint='open-mmlab://vgg16_caffe')
        assert expected['backbone'].pop('init_cfg') is None
    assert actual == expected


@pytest.mark.parametrize('name, cards, rate', [('ssd300_coco_npu.py', 1, 2e-3 / 8), ('ssd300_coco_npu_8p.py', 8, 2e-3)])
def test_the_configs_of_the_modelzoo_differ_from_ssd300_in_few_places(name, cards, rate):
    """Ascend's ModelZoo: the rate of one card is an eighth, eight workers, HCCL; O2 with loss scale 128 as its README's row."""
    ours, base = read(name), read('ssd300_coco.py')
    differences = {(section, key) for section, values in base.items() if isinstance(values, dict)
                   for key in values if ours[section][key] != values[key]}
    assert differences == {('dist_params', 'backend'), ('data', 'workers_per_gpu')} | (
        {('optimizer', 'lr'), ('auto_scale_lr', 'base_batch_size')} if cards == 1 else set())
    assert ours['auto_scale_lr'] == {'enable': False, 'base_batch_size': 8 * cards}
    assert {key: ours[key] for key in set(ours) - set(base)} == {'precision': {'opt_level': 'O2', 'loss_scale': 128.0}}
    assert ours['optimizer']['lr'] == rate and ours['dist_params'] == {'backend': 'hccl'}
    assert (ours['data']['samples_per_gpu'], ours['data']['workers_per_gpu']) == (8, 8)


@pytest.mark.parametrize('name', ['ssd300_{}coco.py', 'ssd512_{}coco.py', 'ssd300_{}voc0712.py', 'ssd512_{}voc0712.py'])
def test_a_half_precision_form_changes_precision_and_warm_up_only(name):
    half, base = read(name.format('fp16_')), read(name.format(''))
    assert half.pop('fp16') == {'loss_scale': 'dynamic'}
    assert half.pop('lr_config') == {**base.pop('lr_config'), 'warmup_iters': 1000, 'warmup_ratio': 0.1}
    assert half == base
