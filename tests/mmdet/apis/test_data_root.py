"""Moving a config's data, and seeing that they are there."""
from __future__ import annotations

import os

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, DataError
from mmdet.apis.data_root import VARIABLE, check_data_files, move_data, replace_data_root

OLD = 'data/coco/'


def coco(split, root=OLD, **more):
    return dict(type='CocoDataset', ann_file=f'{root}annotations/instances_{split}2017.json',
                img_prefix=f'{root}{split}2017/', **more)


def config(root=OLD, **data):
    data = data or dict(samples_per_gpu=8, train=dict(type='RepeatDataset', times=5, dataset=coco('train', root)),
                        val=coco('val', root), test=coco('val', root))
    return Config(dict(data_root=root, data=data))


def refused(error, action, *arguments):
    with pytest.raises(error) as caught:
        action(*arguments)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize('root', ['/mnt/coco', '/mnt/coco/'])
def test_every_path_below_the_old_root_moves_wrapped_or_not(root):
    cfg = config()
    replace_data_root(cfg, root)
    assert cfg.data_root == '/mnt/coco/'
    assert cfg.data.train.dataset.ann_file == '/mnt/coco/annotations/instances_train2017.json'
    assert cfg.data.train.dataset.img_prefix == '/mnt/coco/train2017/'
    assert cfg.data.val.ann_file == cfg.data.test.ann_file == '/mnt/coco/annotations/instances_val2017.json'
    assert cfg.data.samples_per_gpu == 8 and cfg.data.train.times == 5


def test_paths_elsewhere_and_other_words_stay():
    cfg = config(train=dict(coco('train'), ann_file='/else/where.json', classes=['data', 'coco'], note='see data/coco/'))
    replace_data_root(cfg, '/new')
    assert cfg.data.train.ann_file == '/else/where.json' and cfg.data.train.img_prefix == '/new/train2017/'
    assert cfg.data.train.classes == ['data', 'coco'] and cfg.data.train.note == 'see data/coco/'


def test_a_datasets_own_data_root_moves_too_with_slash_or_without():
    cfg = config(train=dict(type='CocoDataset', data_root='data/coco/', ann_file='a.json'),
                 val=dict(type='CocoDataset', data_root='data/coco', ann_file='a.json'))
    replace_data_root(cfg, 'new')
    assert cfg.data.train.data_root == cfg.data.val.data_root == 'new/'
    assert cfg.data.train.ann_file == 'a.json'


def test_lists_of_files_and_of_datasets_are_searched():
    cfg = config(train=dict(type='ConcatDataset', datasets=[coco('train'), coco('val')]),
                 val=dict(coco('val'), ann_file=[OLD + 'a.json', OLD + 'b.json']))
    replace_data_root(cfg, 'new')
    assert [item.ann_file for item in cfg.data.train.datasets] == [
        f'new/annotations/instances_{s}2017.json' for s in ('train', 'val')]
    assert cfg.data.val.ann_file == ['new/a.json', 'new/b.json']


@pytest.mark.parametrize('train', [
    (coco('train'), coco('val')), dict(type='ConcatDataset', datasets=(coco('train'), coco('val'))),
    [dict(type='RepeatDataset', times=2, dataset=(coco('train'), coco('val')))],
    dict(coco('train'), ann_file=(OLD + 'a.json', OLD + 'b.json'))])
def test_tuples_are_searched_as_lists_are(train):
    cfg = config(train=train)
    replace_data_root(cfg, 'new')
    assert OLD not in str(cfg.data) and str(cfg.data).count("'new/") == str(train).count(f"'{OLD}")


def test_a_tuple_stays_a_tuple():
    sizes = dict(type='Resize', img_scale=(300, 300), scales=((1, 2), (3, 4)))
    cfg = config(train=dict(coco('train'), classes=('circle',), pipeline=(sizes,)))
    replace_data_root(cfg, 'new')
    assert cfg.data.train.pipeline == (sizes,) and cfg.data.train.classes == ('circle',)


def test_a_root_without_a_slash_at_its_end_is_a_folder_all_the_same():
    cfg = config('data/coco', train=dict(ann_file='data/coco/a.json'))
    replace_data_root(cfg, 'new')
    assert os.path.normpath(cfg.data.train.ann_file) == os.path.join('new', 'a.json')


def test_a_folder_whose_name_begins_like_the_root_stays():
    cfg = config('data/coco', train=dict(ann_file='data/coco2/a.json', img_prefix='data/coco/train2017/'))
    replace_data_root(cfg, 'new')
    assert cfg.data.train == dict(ann_file='data/coco2/a.json', img_prefix='new/train2017/')


def test_a_root_that_no_path_begins_with_is_an_error_and_not_passed_over():
    cfg = config('data/coco', train=dict(ann_file='data/coco2/a.json', img_prefix='data/coco_extra/'))
    with pytest.raises(ConfigError, match='--data-root changes nothing'):
        replace_data_root(cfg, 'new')


def test_replacing_twice_moves_from_the_first_to_the_second():
    cfg = config()
    replace_data_root(cfg, 'first')
    replace_data_root(cfg, 'second')
    assert cfg.data.val.img_prefix == 'second/val2017/' and cfg.data_root == 'second/'


@pytest.mark.parametrize('root', [None, ''])
def test_a_config_without_a_root_is_an_error(root):
    cfg = Config(dict(data=dict(train=coco('train')), **({} if root is None else {'data_root': root})), filename='mine.py')
    message = refused(ConfigError, replace_data_root, cfg, 'new')
    assert 'mine.py' in message and 'data_root' in message


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / OLD / 'annotations').mkdir(parents=True)
    for split in ('train', 'val'):
        (tmp_path / OLD / 'annotations' / f'instances_{split}2017.json').write_text('{}')
        (tmp_path / OLD / f'{split}2017').mkdir()
    return tmp_path


def test_files_that_are_there_pass(folder):
    check_data_files(config(), 'train', 'val', 'test')


@pytest.mark.parametrize('section', ['train', 'val', 'test'])
def test_a_missing_file_is_named_with_its_section_and_where_coco_goes(folder, section):
    split = 'train' if section == 'train' else 'val'
    path = folder / OLD / 'annotations' / f'instances_{split}2017.json'
    path.unlink()
    message = refused(DataError, check_data_files, config(), 'train', 'val', 'test')
    assert f'{OLD}annotations/{path.name}' in message and f'data.{"val" if split == "val" else "train"}' in message
    assert 'cocodataset.org' in message and '--data-root' in message
    check_data_files(config(), 'val' if section == 'train' else 'train')  # only what is asked is looked at


def test_a_missing_folder_of_pictures_is_named_before_a_worker_finds_out(folder):
    (folder / OLD / 'train2017').rmdir()
    assert f'no folder of pictures at {OLD}train2017' in refused(DataError, check_data_files, config(), 'train')


def test_the_error_names_file_and_line_of_the_config(folder):
    (folder / 'mine.py').write_text("data = dict(\n    val=dict(type='CocoDataset', ann_file='no.json'))\n")
    message = refused(DataError, check_data_files, Config.fromfile('mine.py'), 'val')
    assert message.startswith('mine.py:2: data.val: no annotation file at no.json')


def test_a_datasets_own_root_goes_before_its_file(folder):
    check_data_files(config(train=dict(data_root=OLD, ann_file='annotations/instances_train2017.json')), 'train')
    message = refused(DataError, check_data_files, config(train=dict(data_root='other', ann_file='a.json')), 'train')
    assert os.path.join('other', 'a.json') in message


def test_datasets_in_wrappers_and_lists_are_checked(folder):
    wrong = coco('train', 'gone/')
    for train in (dict(type='RepeatDataset', times=2, dataset=dict(type='RepeatDataset', times=2, dataset=wrong)),
                  dict(type='ConcatDataset', datasets=[coco('train'), wrong])):
        assert 'gone/annotations' in refused(DataError, check_data_files, config(train=train), 'train')


def test_sections_that_are_absent_are_none_of_its_business(folder):
    check_data_files(config(train=coco('train')), 'train', 'val', 'test')
    check_data_files(config(train=coco('train'), val=None), 'val')


def test_a_config_made_in_python_has_no_place_to_name(folder):
    message = refused(DataError, check_data_files, config(val=dict(ann_file='no.json')), 'val')
    assert message.startswith('data.val: no annotation file')


def voc(*years):
    """Of one year, or of several in lists."""
    files = [f'data/VOCdevkit/VOC{year}/ImageSets/Main/trainval.txt' for year in years]
    prefixes = [f'data/VOCdevkit/VOC{year}/' for year in years]
    one = len(years) == 1
    return dict(type='VOCDataset', ann_file=files[0] if one else files, img_prefix=prefixes[0] if one else prefixes)


def test_voc_is_looked_for_in_lists_and_wrappers_and_the_error_says_where_it_goes(folder):
    (folder / 'data/VOCdevkit/VOC2007/ImageSets/Main').mkdir(parents=True)
    (folder / 'data/VOCdevkit/VOC2007/ImageSets/Main/trainval.txt').write_text('000001\n')
    check_data_files(config(train=voc(2007)), 'train')
    for train in (voc(2007, 2012), dict(type='RepeatDataset', times=10, dataset=voc(2007, 2012)), [voc(2007), voc(2012)]):
        message = refused(DataError, check_data_files, config(train=train), 'train')
        assert 'no annotation file at data/VOCdevkit/VOC2012/ImageSets/Main/trainval.txt' in message
        assert 'host.robots.ox.ac.uk' in message and '--data-root' in message and 'cocodataset' not in message
    (folder / 'data/VOCdevkit/VOC2012/ImageSets/Main').mkdir(parents=True)
    (folder / 'data/VOCdevkit/VOC2012/ImageSets/Main/trainval.txt').write_text('000001\n')
    check_data_files(config(train=voc(2007, 2012)), 'train')


def test_each_folder_of_a_list_is_looked_for(folder):
    files = [f'{OLD}annotations/instances_{split}2017.json' for split in ('train', 'val')]
    train = dict(type='CocoDataset', ann_file=files, img_prefix=[f'{OLD}train2017/', f'{OLD}gone/'])
    assert f'no folder of pictures at {OLD}gone/' in refused(DataError, check_data_files, config(train=train), 'train')


def test_a_custom_dataset_is_told_what_to_check(folder):
    train = dict(type='CustomDataset', data_root='mine', ann_file='list.pkl', img_prefix='')
    message = refused(DataError, check_data_files, config(train=train), 'train')
    assert f"no annotation file at {os.path.join('mine', 'list.pkl')}. Check ann_file and data_root" in message


def test_the_environment_says_so_where_the_command_line_does_not(monkeypatch):
    monkeypatch.setenv(VARIABLE, '/mnt/a')
    for said, root in ((None, '/mnt/a/'), ('/mnt/b', '/mnt/b/')):
        cfg = config()
        move_data(cfg, said)
        assert cfg.data_root == root and cfg.data.val.img_prefix == f'{root}val2017/'
    assert f'no data_root that {VARIABLE} could replace' in refused(ConfigError, move_data, Config(dict(data={})), None)
    monkeypatch.delenv(VARIABLE)
    cfg = config()
    move_data(cfg, None)
    assert cfg.data_root == OLD
