"""Datasets in lists, written out."""
from __future__ import annotations

import copy

import pytest

from mmcv_need.errors import ConfigError
from mmdet.apis.dataset_lists import split_ann_files, with_defaults

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
