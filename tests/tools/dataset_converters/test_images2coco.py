"""images2coco.py: a folder of pictures, to detect in."""
from __future__ import annotations

import json

import pytest

from mmcv_need.errors import DataError


@pytest.fixture
def folder(source, draw, tmp_path):
    for name, size in source.sizes.items():
        draw(tmp_path / 'pictures/in' / name, size)
    (tmp_path / 'pictures/notes.txt').write_text('mine')
    (tmp_path / 'pictures/.hidden.jpg').write_text('')
    (tmp_path / 'classes.txt').write_text('\n'.join(source.classes))
    return tmp_path / 'pictures'


def test_the_file_stands_where_mmdetection_puts_it_and_the_datasets_read_it(converters, source, folder, open_dataset, capsys):
    converters.images2coco(folder, folder.parent / 'classes.txt', 'all.json')
    path = folder.parent / 'annotations/all.json'
    captured = capsys.readouterr()
    assert captured.out == f'{path}: 3 pictures, 0 boxes, 3 classes\n'
    assert captured.err == f"left out: {folder / 'notes.txt'}: not a picture, by its name\n"
    dataset = open_dataset(path, folder, test_mode=True)
    assert source.classes == dataset.CLASSES
    for i, (name, (width, height)) in enumerate(source.sizes.items()):
        assert dataset.annotations.info(i) == {'filename': f'in/{name}', 'id': i, 'width': width, 'height': height}


def test_kinds_are_left_out_on_demand(converters, folder, tmp_path):
    converters.images2coco(folder, folder.parent / 'classes.txt', tmp_path / 'x.json', '-e', 'JPG')
    assert [image['file_name'] for image in json.loads((tmp_path / 'x.json').read_text())['images']] == ['in/b.png']


def test_a_picture_that_is_none_is_a_line(converters, folder, tmp_path, capsys):
    (folder / 'z.jpg').write_bytes(b'<html>')
    arguments = folder, folder.parent / 'classes.txt', tmp_path / 'x.json'
    with pytest.raises(DataError, match='1 of 4 pictures cannot be used'):
        converters.images2coco(*arguments)
    assert 'z.jpg: holds text, not a picture' in capsys.readouterr().err and not (tmp_path / 'x.json').exists()
    converters.images2coco(*arguments, '--skip-bad')
    assert len(json.loads((tmp_path / 'x.json').read_text())['images']) == 3


@pytest.mark.parametrize('name, complaint', [('empty', 'has no pictures'), ('nowhere', 'no such folder')])
def test_a_folder_without_pictures_is_refused(converters, folder, tmp_path, name, complaint):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match=f'{name}: {complaint}'):
        converters.images2coco(tmp_path / name, folder.parent / 'classes.txt', tmp_path / 'x.json')
