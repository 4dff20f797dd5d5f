"""Configs: places, dumps, copies, reserved keys."""
from __future__ import annotations

import copy
import pickle

import pytest

from mmcv_need.config import Config, ConfigDict
from mmcv_need.errors import ConfigError


def refused(action, *args):
    with pytest.raises(ConfigError) as error:
        action(*args)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_every_value_knows_the_file_and_line_where_it_was_written(ssd):
    assert ssd.where('model.bbox_head.num_classes') == 'ssd/ssd300.py:3'
    assert ssd.where('model.bbox_head.size') == 'base/model.py:8'
    assert ssd.where('model.bbox_head.num_class') == ssd.where('model.bbox_head') == 'base/model.py:5'
    assert ssd.where('model.neck.type') == 'ssd/ssd300.py:3'
    assert ssd.where('step.0') == 'ssd/ssd300.py:6'
    assert ssd.where('new.x.0.y') == 'ssd/ssd300.py:5'
    assert ssd.where('nothing') == ''


@pytest.mark.parametrize('key', ['filename', 'text', 'pretty_text'])
def test_reserved_keys_are_refused(folder, key):
    assert refused(Config.fromfile, folder(a=f'x = 1\n{key} = 1')).startswith(f"a.py:2: the top-level key '{key}' is")
    refused(Config, {key: 1})
    refused(Config({}).__setitem__, key, 1)
    refused(Config({}).merge_from_dict, {f'{key}.a': 1})


@pytest.mark.parametrize('copied', [copy.deepcopy, lambda cfg: pickle.loads(pickle.dumps(cfg))])
def test_a_copy_is_equal_and_independent(ssd, copied):
    other = copied(ssd)
    assert other.to_dict() == ssd.to_dict()
    assert other.where('model.neck.type') == 'ssd/ssd300.py:3' and other.sources == ssd.sources
    other.model.neck.type = 'X'
    other.merge_from_dict({'step.0': 1})
    assert ssd.model.neck.type == 'SSDNeck' and ssd.step == [8]
    assert type(copied(ssd.model)) is ConfigDict and type(copied(ssd.model).neck) is ConfigDict


def test_to_dict_is_a_plain_and_deep_copy(ssd):
    plain = ssd.to_dict()
    assert type(plain['model']) is dict and type(plain['new']['x'][0]) is dict
    plain['step'].append(1)
    assert ssd.step == [8]


def test_the_dump_reads_back_without_its_bases(ssd, tmp_path):
    for suffix in ('py', 'json', 'yaml'):
        ssd.dump(tmp_path / f'dump.{suffix}')
        assert Config.fromfile(tmp_path / f'dump.{suffix}').to_dict() == ssd.to_dict()
    assert ssd.dump() == ssd.pretty_text == (tmp_path / 'dump.py').read_text()
    assert 'cannot be written' in refused(ssd.dump, tmp_path / 'no' / 'dump.py')


def test_a_config_within_itself_is_refused():
    data: dict = {}
    data['x'] = data
    assert 'within itself' in refused(Config, data)
    refused(Config, [1])
