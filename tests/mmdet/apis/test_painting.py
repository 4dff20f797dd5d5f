"""Where paintings of detections are saved, and where not."""
from __future__ import annotations

import os
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmcv_need.errors import DataError, UserError
from mmdet.apis.painting import save_painted
from mmdet.core.post_processing.detections import Detections

NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@pytest.fixture
def dataset(tmp_path):
    """Makes a dataset of pictures with these names below tmp_path/data."""
    def make(*names):
        for name in names:
            path = tmp_path / 'data' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((8, 8, 3), 9, np.uint8))
        return SimpleNamespace(ann_file='annotations.json', img_prefix=str(tmp_path / 'data'), CLASSES=('a',),
                               annotations=SimpleNamespace(file_names=list(names)))
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
    with pytest.raises(DataError, match='would replace the picture'):
        save_painted(str(tmp_path / ('shown' if link else 'data')), [NOTHING], pictures, 0.3)


def test_a_painting_that_opencv_cannot_encode_is_one_line(dataset, tmp_path):
    pictures = dataset('a.png')
    os.rename(tmp_path / 'data/a.png', tmp_path / 'data/a')
    pictures.annotations.file_names = ['a']
    with pytest.raises(UserError, match='shown/a: cannot be written'):
        save_painted(str(tmp_path / 'shown'), [NOTHING], pictures, 0.3)


def test_the_pictures_of_several_datasets_are_painted_each_with_its_own_detections(dataset, tmp_path):
    both = SimpleNamespace(CLASSES=('a',), datasets=[dataset('a.png'), dataset('sub/b.png', 'c.png')])
    box = Detections(np.float32([[1, 1, 6, 6]]), np.float32([1]), np.array([0]))
    save_painted(str(tmp_path / 'shown'), [NOTHING, box, NOTHING], both, 0.3)
    means = {name: cv2.imread(str(tmp_path / 'shown' / name)).mean() for name in ('a.png', 'sub/b.png', 'c.png')}
    assert means['a.png'] == means['c.png'] == 9 != means['sub/b.png']


def test_two_pictures_of_one_name_are_refused(dataset, tmp_path):
    both = SimpleNamespace(CLASSES=('a',), datasets=[dataset('a.png'), dataset('a.png')])
    with pytest.raises(DataError, match=r'second picture is called a\.png'):
        save_painted(str(tmp_path / 'shown'), [NOTHING] * 2, both, 0.3)
