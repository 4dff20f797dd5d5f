"""Datasets in lists, written out."""
from __future__ import annotations

import copy

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis.dataset_lists import split_ann_files, with_defaults
from mmdet.apis.dialects import canonical

VOC = dict(type='VOCDataset', pipeline=[dict(type='LoadImageFromFile')])


def test_a_dataset_with_one_file_stays_as_it_is():
    node = dict(type='RepeatDataset', times=2, dataset=dict(VOC, ann_file='a.txt', img_prefix='a/'))
    assert split_ann_files(node) == node


def test_a_list_of_files_becomes_a_dataset_each():
    node = dict(VOC, ann_file=['7.txt', '12.txt'], img_prefix=['VOC2007/', 'VOC2012/'])
    expected = [dict(VOC, ann_file='7.txt', img_prefix='VOC2007/'), dict(VOC, ann_file='12.txt', img_prefix='VOC2012/')]
    given = copy.deepcopy(node)
    assert split_ann_files(node) == dict(type='ConcatDataset', datasets=expected)
    assert node == given  # what was given stays


def test_what_is_no_list_is_of_all_and_every_list_of_files_is_split():
    node = dict(VOC, ann_file=('a', 'b'), img_prefix='same/', proposal_file=['p', 'q'], classes=['cat', 'dog'])
    first, second = split_ann_files(node)['datasets']
    assert first == dict(VOC, ann_file='a', img_prefix='same/', proposal_file='p', classes=['cat', 'dog'])
    assert second['proposal_file'] == 'q' and second['img_prefix'] == 'same/'


def test_how_to_evaluate_goes_to_the_whole():
    found = split_ann_files(dict(VOC, ann_file=['a', 'b'], separate_eval=False))
    assert found['separate_eval'] is False and all('separate_eval' not in part for part in found['datasets'])


def test_lists_in_wrappers_are_found():
    node = dict(type='RepeatDataset', times=10, dataset=dict(VOC, ann_file=['a', 'b']))
    found = split_ann_files(node)
    assert found['times'] == 10 and found['dataset']['type'] == 'ConcatDataset' and len(found['dataset']['datasets']) == 2
    nested = split_ann_files(dict(type='ConcatDataset', datasets=[dict(VOC, ann_file=['a', 'b']), dict(VOC, ann_file='c')]))
    assert [part['type'] for part in nested['datasets']] == ['ConcatDataset', 'VOCDataset']


def test_a_list_of_datasets_is_a_concatenation():
    found = split_ann_files([dict(VOC, ann_file='a'), dict(VOC, ann_file=['b', 'c'])])
    assert found['type'] == 'ConcatDataset' and found['datasets'][0] == dict(VOC, ann_file='a')
    assert [part['ann_file'] for part in found['datasets'][1]['datasets']] == ['b', 'c']


@pytest.mark.parametrize('node', [None, 'data', 5])
def test_what_is_no_dataset_is_left_to_others(node):
    assert split_ann_files(node) is node and with_defaults(node, test_mode=True) is node


def test_lists_that_do_not_match_are_an_error_that_names_the_key():
    node = dict(type='RepeatDataset', times=2, dataset=dict(VOC, ann_file=['a', 'b'], img_prefix=['x', 'y', 'z']))
    with pytest.raises(ConfigError, match=r'^data\.train\.dataset\.img_prefix: has 3 entries for 2 of ann_file') as caught:
        split_ann_files(node, 'data.train')
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize('node, key', [
    ([], 'data.test'), ((), 'data.test'), (dict(type='ConcatDataset', datasets=[]), 'data.test.datasets'),
    (dict(type='RepeatDataset', times=2, dataset=[]), 'data.test.dataset'), (dict(VOC, ann_file=[]), 'data.test.ann_file'),
    ([dict(VOC, ann_file='a'), dict(VOC, ann_file=())], 'data.test.1.ann_file')])
def test_empty_lists_are_an_error_that_names_the_key(node, key):
    with pytest.raises(ConfigError, match=r': the list is empty; expected at least one (dataset|file)$') as caught:
        split_ann_files(node, 'data.test')
    assert str(caught.value).startswith(f'{key}: ')


@pytest.mark.parametrize('text, message', [
    ("data = dict(\n    test=[dict(ann_file='a'),\n          dict(ann_file=['a', 'b'],\n               img_prefix=['c'])])",
     'mine.py:4: data.test.1.img_prefix: has 1 entries for 2 of ann_file'),
    ("data = dict(\n    test=dict(type='ConcatDataset',\n              datasets=[]))",
     'mine.py:3: data.test.datasets: the list is empty')])
def test_errors_name_file_and_line_of_the_config(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.py').write_text(text)
    with pytest.raises(ConfigError) as caught:
        canonical(Config.fromfile('mine.py'))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize('section', ['val', 'test'])
@pytest.mark.parametrize('kind', [list, tuple])
def test_of_the_batches_in_a_list_of_datasets_the_loader_takes_the_largest(section, kind):
    parts = kind([dict(VOC, ann_file='a', samples_per_gpu=2), dict(VOC, ann_file='b'),
                  dict(VOC, ann_file='c', samples_per_gpu=5), dict(VOC, ann_file='d', samples_per_gpu=3)])
    cfg = canonical(Config({'data': {section: parts}}))
    assert cfg.data == {section: dict(type='ConcatDataset', datasets=[dict(VOC, ann_file=name) for name in 'abcd']),
                        f'{section}_dataloader': dict(samples_per_gpu=5)}


def test_a_batch_in_a_list_is_one_number_and_said_once():
    parts = [dict(VOC, ann_file='a', samples_per_gpu='two')]
    with pytest.raises(ConfigError, match=r"data\.test\.0\.samples_per_gpu: expected an integer of 1 or more, not 'two'"):
        canonical(Config(dict(data=dict(test=parts))))
    parts = [dict(VOC, ann_file='a'), dict(VOC, ann_file='b', samples_per_gpu=2)]
    with pytest.raises(ConfigError, match=r'data\.test\.1\.samples_per_gpu and data\.test_dataloader\.samples_per_gpu .*twice'):
        canonical(Config(dict(data=dict(test=parts, test_dataloader=dict(samples_per_gpu=3)))))


def test_defaults_go_to_the_datasets_within_wrappers():
    node = dict(type='ConcatDataset', separate_eval=True, datasets=[
        dict(VOC, ann_file='a'), dict(type='RepeatDataset', times=2, dataset=dict(VOC, ann_file='b', test_mode=False))])
    given = copy.deepcopy(node)
    found = with_defaults(node, test_mode=True)
    assert 'test_mode' not in found and found['separate_eval'] is True
    assert found['datasets'][0] == dict(VOC, ann_file='a', test_mode=True)
    assert found['datasets'][1] == given['datasets'][1]  # it says so itself
    assert node == given
    assert with_defaults([dict(VOC)], test_mode=True) == [dict(VOC, test_mode=True)]
