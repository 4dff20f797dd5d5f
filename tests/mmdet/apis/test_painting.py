"""Where paintings of detections are saved, and where not."""
from __future__ import annotations

import os
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmcv_need.errors import DataError, UserError
from mmdet.apis.painting import painted_paths, save_painted, show_painted
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.wrappers import ClassBalancedDataset, ConcatDataset, RepeatDataset

NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


class Pictures:
    CLASSES = ('a',)
    ann_file = 'annotations.json'

    def __init__(self, folder, names):
        self.img_prefix, self.annotations = str(folder), SimpleNamespace(file_name=list(names).__getitem__)
        self.flag = np.zeros(len(names), np.uint8)

    def __len__(self):
        return len(self.flag)

    def get_cat_ids(self, index):
        return [0]


@pytest.fixture
def dataset(tmp_path):
    """Makes a dataset of grey pictures with these names below tmp_path/data, or another folder."""
    def make(*names, folder='data', grey=9):
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((8, 8, 3), grey, np.uint8))
        return Pictures(tmp_path / folder, names)
    return make


def test_painted_pictures_keep_their_folders(dataset, tmp_path):
    save_painted(str(tmp_path / 'shown'), [NOTHING] * 2, dataset('a.png', 'sub/b.png'), 0.3)
    assert (tmp_path / 'shown/a.png').is_file() and (tmp_path / 'shown/sub/b.png').is_file()


@pytest.mark.parametrize('absolute', [True, False])
def test_a_file_name_that_leads_out_of_the_folder_is_refused_and_nothing_written(dataset, tmp_path, absolute):
    (tmp_path / 'data').mkdir()
    name = str(tmp_path / 'outside.png') if absolute else '../outside.png'
    pictures = dataset('a.png', name)
    before = (tmp_path / 'outside.png').stat().st_mtime_ns
    with pytest.raises(DataError) as error:
        save_painted(str(tmp_path / 'shown'), [NOTHING] * 2, pictures, 0.3)
    assert str(error.value).startswith(f'annotations.json: file_name {name!r} leads out of --show-dir {tmp_path}/shown; ')
    assert '\n' not in str(error.value)
    assert (tmp_path / 'outside.png').stat().st_mtime_ns == before and not (tmp_path / 'shown').exists()


@pytest.mark.parametrize('link', [True, False])
def test_a_picture_is_not_replaced_by_its_painting(dataset, tmp_path, link):
    pictures = dataset('a.png')
    if link:
        (tmp_path / 'shown').symlink_to(tmp_path / 'data')
    with pytest.raises(DataError, match='would replace a picture of the data'):
        save_painted(str(tmp_path / ('shown' if link else 'data')), [NOTHING], pictures, 0.3)


def test_another_picture_of_the_data_is_not_replaced_either(dataset, tmp_path):
    """Painting x.png into the folder `0` would replace the source of `0/x.png`."""
    pictures = dataset('0/x.png', 'x.png')
    before = (tmp_path / 'data/0/x.png').read_bytes()
    with pytest.raises(DataError, match=r'the painting of x\.png would replace a picture of the data'):
        save_painted(str(tmp_path / 'data/0'), [NOTHING] * 2, pictures, 0.3)
    assert (tmp_path / 'data/0/x.png').read_bytes() == before


def test_a_painting_that_opencv_cannot_encode_is_one_line(dataset, tmp_path):
    pictures = dataset('a.png')
    os.rename(tmp_path / 'data/a.png', tmp_path / 'data/a')
    pictures.annotations.file_name = ['a'].__getitem__
    with pytest.raises(UserError, match='shown/a: cannot be written'):
        save_painted(str(tmp_path / 'shown'), [NOTHING], pictures, 0.3)


def greys(folder):
    """Name and mean of each picture below a folder."""
    return {str(path.relative_to(folder)): cv2.imread(str(path)).mean() for path in sorted(folder.rglob('*.png'))}


BOX = Detections(np.float32([[1, 1, 6, 6]]), np.float32([1]), np.array([0]))


def test_the_pictures_of_several_datasets_are_painted_each_with_its_own_detections_in_its_own_folder(dataset, tmp_path):
    both = ConcatDataset([dataset('a.png'), dataset('sub/b.png', 'a.png', folder='other', grey=20)])
    save_painted(str(tmp_path / 'shown'), [NOTHING, BOX, NOTHING], both, 0.3)
    found = greys(tmp_path / 'shown')
    assert found.pop('1/sub/b.png') != 20 and found == {'0/a.png': 9, '1/a.png': 20}


def test_folders_nest_as_datasets_do(dataset, tmp_path):
    inner = ConcatDataset([dataset('a.png', grey=30), dataset('a.png', folder='other', grey=20)])
    save_painted(str(tmp_path / 'shown'), [NOTHING] * 3, ConcatDataset([dataset('b.png'), inner]), 0.3)
    assert greys(tmp_path / 'shown') == {'0/b.png': 9, '1/0/a.png': 30, '1/1/a.png': 20}


def test_a_picture_that_wrappers_repeat_has_one_painting(dataset, tmp_path):
    pictures = RepeatDataset(ClassBalancedDataset(dataset('a.png', 'b.png'), 1.0), 2)
    paths = painted_paths(str(tmp_path / 'shown'), pictures)
    assert [os.path.basename(path) for path in paths] == ['a.png', 'b.png'] * 2
    save_painted(str(tmp_path / 'shown'), [NOTHING, BOX] * 2, pictures, 0.3)
    found = greys(tmp_path / 'shown')
    assert set(found) == {'a.png', 'b.png'} and found['a.png'] == 9 != found['b.png']


def test_a_name_that_leads_out_of_the_folder_of_its_part_is_refused(dataset, tmp_path):
    both = ConcatDataset([dataset('../a.png', folder='data/sub'), dataset('b.png')])
    with pytest.raises(DataError, match=r"file_name '\.\./a\.png' leads out"):
        painted_paths(str(tmp_path / 'shown'), both)


def test_two_pictures_of_one_name_in_a_dataset_are_refused(dataset, tmp_path):
    with pytest.raises(DataError, match=r'second picture is called a\.png'):
        save_painted(str(tmp_path / 'shown'), [NOTHING] * 2, dataset('a.png', 'a.png'), 0.3)


@pytest.mark.parametrize('keys, shown', [([-1, -1, -1], 3), ([-1, ord('q')], 2), ([27], 1)])
def test_pictures_come_one_after_another_in_a_window_until_a_key_ends_it(dataset, monkeypatch, keys, shown):
    seen, waits, pressed = [], [], iter(keys)
    for name, action in (('imshow', lambda window, img: seen.append(img.shape)), ('setWindowTitle', lambda *_: None),
                         ('waitKey', lambda wait: waits.append(wait) or next(pressed)), ('destroyAllWindows', lambda: None)):
        monkeypatch.setattr(cv2, name, action)
    show_painted([NOTHING] * 3, dataset('a.png', 'b.png', 'c.png'), 0.3, seconds=1.5)
    assert seen == [(8, 8, 3)] * shown and waits == [1500] * shown


def test_without_a_window_one_line_says_what_to_do(dataset, monkeypatch):
    def no_window(*_):
        raise cv2.error('not implemented')
    monkeypatch.setattr(cv2, 'imshow', no_window)
    with pytest.raises(UserError, match='use --show-dir DIR'):
        show_painted([NOTHING], dataset('a.png'), 0.3)
