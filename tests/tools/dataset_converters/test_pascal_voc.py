"""pascal_voc.py: VOC made of a COCO file becomes that file again."""
from __future__ import annotations

import json
import re

import pytest

from mmcv_need.errors import DataError, UserError


def xml(size, objects):
    rows = ''.join(f'<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>'
                   f'<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>' for name, x1, y1, x2, y2, difficult in objects)
    return f'<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>{rows}</annotation>'


@pytest.fixture
def devkit(tmp_path, source, draw):
    """VOC2007 and VOC2012 with the same pictures."""
    for year in ('VOC2007', 'VOC2012'):
        folder = tmp_path / 'VOCdevkit' / year
        for part in ('Annotations', 'ImageSets/Main', 'JPEGImages'):
            (folder / part).mkdir(parents=True)
        for name, size in source.sizes.items():
            stem = name.split('.')[0]
            draw(folder / f'JPEGImages/{stem}.jpg', size)
            objects = [(source.classes[label], x + 1, y + 1, x + w + 1, y + h + 1, crowd)  # VOC counts pixels from 1
                       for picture, label, x, y, w, h, crowd in source.boxes if picture == name]
            (folder / f'Annotations/{stem}.xml').write_text(xml(size, objects))
        (folder / 'ImageSets/Main/trainval.txt').write_text('a\nb\nc\n')
        (folder / 'ImageSets/Main/test.txt').write_text('c\n')
    return tmp_path / 'VOCdevkit'


def expected(source):
    return sorted((f"{picture.split('.')[0]}.jpg", source.classes[label], *rest) for picture, label, *rest in source.boxes)


def test_each_list_of_each_year_becomes_a_file_with_the_same_boxes(converters, devkit, source, boxes_in, tmp_path):
    out = tmp_path / 'out'
    converters.pascal_voc(devkit, '-o', out, '--out-format', 'coco')
    assert sorted(path.name for path in out.iterdir()) == [
        'voc0712_trainval.json', 'voc07_test.json', 'voc07_trainval.json', 'voc12_test.json', 'voc12_trainval.json']
    assert boxes_in(out / 'voc07_trainval.json') == expected(source)
    assert boxes_in(out / 'voc0712_trainval.json') == sorted(2 * expected(source))
    content = json.loads((out / 'voc0712_trainval.json').read_text())
    assert [image['file_name'] for image in content['images']] == [f'VOC{year}/JPEGImages/{name}.jpg' for year in (2007, 2012)
                                                                   for name in 'abc']
    assert [image['width'] for image in content['images'][:3]] == [64, 50, 40]
    assert len(content['categories']) == 20
    assert content['categories'][0] == {'id': 0, 'name': 'aeroplane', 'supercategory': 'none'}


def test_the_datasets_read_it_and_difficult_boxes_are_ignored(converters, devkit, open_dataset, tmp_path):
    converters.pascal_voc(devkit, '-o', tmp_path)
    dataset = open_dataset(tmp_path / 'voc07_trainval.json', devkit)
    assert dataset.annotations.file_names == ['VOC2007/JPEGImages/a.jpg', 'VOC2007/JPEGImages/b.jpg']
    assert dataset.get_ann_info(1)['bboxes'].tolist() == [[1, 2, 4, 6]]
    assert dataset.get_ann_info(1)['bboxes_ignore'].tolist() == [[10, 5, 35, 65]]


def test_a_folder_of_ones_own_is_converted_with_its_classes(converters, devkit, source, boxes_in, tmp_path):
    names = tmp_path / 'names.txt'
    names.write_text('person\ndog\ncat\n')
    converters.pascal_voc(devkit / 'VOC2007', '-o', tmp_path, '--classes', names)
    assert boxes_in(tmp_path / 'trainval.json') == expected(source)


@pytest.mark.parametrize('name, spoil, complaint', [
    ('a.xml', lambda text: text.replace('cat', 'cow boy'), "a.xml: has an object of class 'cow boy'. .*--classes FILE"),
    ('a.xml', lambda text: text.replace('<xmax>25', '<xmax>5'), r'a.xml: object\[0\]: box \[4, 6, 4, 36\] .* has no area'),
    ('b.xml', lambda text: text.replace('<width>50', '<width>51'), r'b.jpg: its record says 51 x 80 .* has 50 x 80'),
    ('b.xml', lambda text: text[:40], 'b.xml: not valid XML')])
def test_every_defect_is_a_line_and_nothing_is_written_unless_it_is_left_out(converters, devkit, tmp_path, capsys, name, spoil,
                                                                            complaint):
    path = devkit / 'VOC2007/Annotations' / name
    path.write_text(spoil(path.read_text()))
    with pytest.raises(DataError, match='1 of 3 pictures cannot be used; nothing was written'):
        converters.pascal_voc(devkit, '-o', tmp_path / 'out')
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1
    assert re.search(complaint, error)
    assert not (tmp_path / 'out').exists()
    converters.pascal_voc(devkit, '-o', tmp_path / 'out', '--skip-bad')
    assert 'left out: ' in capsys.readouterr().err
    assert len(json.loads((tmp_path / 'out/voc07_trainval.json').read_text())['images']) == 2


def test_what_is_there_stays(converters, devkit, tmp_path):
    (tmp_path / 'voc12_test.json').write_text('mine')
    with pytest.raises(UserError, match=r"voc12_test.json: is there already, and may be someone's work"):
        converters.pascal_voc(devkit, '-o', tmp_path)
    assert [path.name for path in tmp_path.glob('*.json')] == ['voc12_test.json']


def test_a_folder_without_lists_is_refused(converters, tmp_path):
    with pytest.raises(DataError, match='holds neither VOC2007 nor VOC2012 nor Annotations/'):
        converters.pascal_voc(tmp_path)


def test_pictures_may_be_of_any_kind_and_missing_ones_are_named(converters, devkit, draw, tmp_path, capsys):
    folder = devkit / 'VOC2007/JPEGImages'
    (folder / 'b.jpg').unlink()
    draw(folder / 'b.png', (50, 80))
    converters.pascal_voc(devkit, '-o', tmp_path / 'one')
    names = [image['file_name'] for image in json.loads((tmp_path / 'one/voc07_trainval.json').read_text())['images']]
    assert names == [f'VOC2007/JPEGImages/{name}' for name in ('a.jpg', 'b.png', 'c.jpg')]
    (folder / 'c.jpg').unlink()
    with pytest.raises(UserError):
        converters.pascal_voc(devkit, '-o', tmp_path / 'two')
    assert 'VOC2007/JPEGImages/c: no such picture' in capsys.readouterr().err
