"""Pictures that decode, and pictures that do not."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from mmcv_need.errors import ConfigError
from mmdet.datasets.picture_files import read_image
from mmdet.datasets.pipelines import Compose, Sample
from mmdet.datasets.pipelines.formatting import Collect, DefaultFormatBundle, ImageToTensor
from mmdet.datasets.pipelines.loading import LoadAnnotations, LoadImageFromFile
from mmdet.datasets.pipelines.plan import render


def loaded(folder, name):
    return LoadImageFromFile()(Sample(img_info={'filename': name}, img_prefix=str(folder)))


def test_a_picture_is_loaded_in_opencvs_channel_order_with_its_facts(tmp_path, natural_picture):
    picture = natural_picture(0, 60, 80)
    (tmp_path / 'sub').mkdir()
    cv2.imwrite(str(tmp_path / 'sub' / 'a.png'), picture)
    sample = loaded(tmp_path, 'sub/a.png')
    np.testing.assert_array_equal(render(sample.plan), picture)
    assert sample['filename'] == str(tmp_path / 'sub' / 'a.png') and sample['ori_filename'] == 'sub/a.png'
    assert sample['ori_shape'] == sample['img_shape'] == sample['pad_shape'] == (60, 80, 3)
    assert sample['img_fields'] == ['img'] and sample['scale_factor'].tolist() == [1, 1, 1, 1]
    assert (sample['flip'], sample['flip_direction']) == (False, None)


@pytest.mark.parametrize('orientation, turned', [
    (1, lambda p: p), (2, np.fliplr), (3, lambda p: p[::-1, ::-1]), (4, np.flipud),
    (6, lambda p: np.rot90(p, -1)), (8, np.rot90)])
def test_exif_orientation_is_applied(tmp_path, natural_picture, jpeg_bytes, with_orientation, orientation, turned):
    data = jpeg_bytes(natural_picture(0, 40, 64))
    (tmp_path / 'turned.jpg').write_bytes(with_orientation(data, orientation))
    expected = turned(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    sample = loaded(tmp_path, 'turned.jpg')
    np.testing.assert_array_equal(render(sample.plan), expected)
    assert sample['img_shape'] == expected.shape


@pytest.mark.parametrize('channels', [1, 4])
@pytest.mark.parametrize('depth', [np.uint8, np.uint16])
def test_grey_transparent_and_deep_pictures_become_three_channels_of_bytes(tmp_path, channels, depth):
    top = np.iinfo(depth).max
    picture = (np.random.RandomState(0).rand(20, 30, channels) * top).astype(depth)
    cv2.imwrite(str(tmp_path / 'odd.png'), picture)
    shown = render(loaded(tmp_path, 'odd.png').plan)
    assert shown.shape == (20, 30, 3) and shown.dtype == np.uint8
    if channels == 1:
        assert (shown == shown[..., :1]).all()
    np.testing.assert_allclose(shown[..., 0], picture[..., 0] / (top / 255.), atol=1.001)


def test_an_array_is_taken_as_it_is(natural_picture):
    picture = natural_picture(0, 40, 50)
    sample = LoadImageFromFile()(Sample(img_info={'filename': 'camera', 'array': picture}))
    np.testing.assert_array_equal(render(sample.plan), picture)
    assert sample['filename'] == 'camera' and sample['img_shape'] == (40, 50, 3)


def test_read_image_reads_what_was_written(tmp_path, natural_picture):
    cv2.imwrite(str(tmp_path / 'ü ä.bmp'), natural_picture(0))
    np.testing.assert_array_equal(read_image(str(tmp_path / 'ü ä.bmp')), natural_picture(0))


def test_a_settled_picture_from_a_read_only_source_may_be_written(natural_picture):
    """np.frombuffer and memory maps give such arrays."""
    picture = natural_picture(0, 20, 30)
    picture.flags.writeable = False
    sample = LoadImageFromFile()(Sample(img_info={'filename': 'x', 'array': picture}))
    assert Collect(['img'])(sample)['img'].shape == (20, 30, 3)


@pytest.mark.parametrize('bbox, label, keys', [(True, True, {'gt_bboxes', 'gt_bboxes_ignore', 'gt_labels'}),
                                               (True, False, {'gt_bboxes', 'gt_bboxes_ignore'}), (False, True, {'gt_labels'})])
def test_annotations_are_taken_as_asked(natural_picture, bbox, label, keys):
    info = {'bboxes': np.ones((2, 4), np.float32), 'labels': np.array([3, 4]), 'bboxes_ignore': np.zeros((0, 4), np.float32)}
    sample = Sample(img_info={'filename': 'x', 'array': natural_picture(0, 20, 30)}, ann_info=info)
    sample = Compose([LoadImageFromFile(), LoadAnnotations(bbox, label)])(sample)
    assert {key for key in sample if key.startswith('gt_')} == keys
    assert sample['bbox_fields'] == (['gt_bboxes_ignore', 'gt_bboxes'] if bbox else [])


@pytest.mark.parametrize('make', [lambda: LoadImageFromFile(color_type='grayscale'), lambda: LoadAnnotations(with_mask=True),
                                  lambda: LoadAnnotations(with_seg=True), lambda: ImageToTensor(['gt_bboxes']),
                                  lambda: LoadImageFromFile(file_client_args=dict(backend='petrel'))])
def test_what_is_not_supported_is_an_error_in_one_line(make):
    with pytest.raises(ConfigError) as error:
        make()
    assert len(str(error.value).splitlines()) == 1


def test_accepted_for_mmdetections_configs(natural_picture):
    sample = Sample(img_info={'filename': 'x', 'array': natural_picture(0, 20, 30)})
    steps = [LoadImageFromFile(to_float32=True, file_client_args=dict(backend='disk')), ImageToTensor(['img']),
             DefaultFormatBundle(), Collect(['img'])]
    assert Compose(steps)(sample)['img'].shape == (20, 30, 3)


def test_collect_keeps_what_it_is_asked_for_and_names_what_is_missing(natural_picture):
    sample = LoadImageFromFile()(Sample(img_info={'filename': 'x', 'array': natural_picture(0, 20, 30)}))
    item = Collect(['img'], meta_keys=('filename', 'img_shape', 'not there'))(sample)
    assert item['img_metas'] == {'filename': 'x', 'img_shape': (20, 30, 3)}
    assert set(item) == {'img', 'pixel_row', 'img_metas'}
    with pytest.raises(ConfigError, match="no 'gt_bboxes'"):
        Collect(['img', 'gt_bboxes'])(sample)


def test_a_pipeline_stops_where_a_transform_returns_none():
    called = []
    assert Compose([lambda s: None, called.append])({}) is None
    assert not called
