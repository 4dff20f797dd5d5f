"""yolo.py: each of YOLO's layouts, made of a COCO file, becomes that file again."""
from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need.errors import DataError, UserError
from mmdet.datasets.yolo_reader import _object, read_data


def rows(source, name, polygons=False):
    width, height = source.sizes[name]
    lines = []
    for picture, label, x, y, w, h, _ in source.boxes:
        if picture == name:
            left, top, right, bottom = x / width, y / height, (x + w) / width, (y + h) / height
            values = (left, top, right, top, right, bottom, left, bottom) if polygons else (
                (left + right) / 2, (top + bottom) / 2, w / width, h / height)
            lines.append(f"{label} {' '.join(f'{value:.9f}' for value in values)}\n")
    return ''.join(lines)


def ultralytics(folder, source, draw, polygons=False, names='list'):
    for name, size in source.sizes.items():
        draw(folder / 'images/train/deep' / name, size)
        if rows(source, name):
            path = folder / 'labels/train/deep' / f"{name.split('.')[0]}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(rows(source, name, polygons))
    draw(folder / 'images/val/x.jpg', (30, 30))
    listed = list(source.classes) if names == 'list' else dict(enumerate(source.classes))
    (folder / 'data.yaml').write_text(f'path: .\ntrain: images/train\nval:\n- images/val\nnc: 3\nnames: {listed}\n')
    return folder / 'data.yaml', 'train'


def darknet(folder, source, draw):
    for name, size in source.sizes.items():
        draw(folder / 'obj' / name, size)
        (folder / 'obj' / f"{name.split('.')[0]}.txt").write_text(rows(source, name))
    (folder / 'train.txt').write_text(''.join(f'obj/{name}\n' for name in source.sizes))
    (folder / 'obj.names').write_text('\n'.join(source.classes))
    (folder / 'obj.data').write_text('classes = 3\ntrain = train.txt\nnames = obj.names\nbackup = backup/\n')
    return folder / 'obj.data', 'train'


def plain(folder, source, draw):
    folder = folder / 'mine'
    darknet(folder, source, draw)
    (folder / 'obj.names').rename(folder / 'classes.txt')
    return folder, 'mine'


LAYOUTS = {'boxes': ultralytics, 'polygons': lambda *given: ultralytics(*given, polygons=True),
           'numbered': lambda *given: ultralytics(*given, names='numbered'), 'darknet': darknet, 'folder': plain}


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout_gives_the_boxes_again_for_the_datasets(converters, source, draw, tmp_path, boxes_in, open_dataset, capsys,
                                                             layout):
    path, split = LAYOUTS[layout](tmp_path, source, draw)
    converters.yolo(path, '-o', tmp_path / 'out')
    made = tmp_path / f'out/{split}.json'
    assert boxes_in(made) == sorted((picture, source.classes[label], *box, 0) for picture, label, *box, _ in source.boxes)
    prefix = capsys.readouterr().out.splitlines()[-1].split(': ')[1]
    content = json.loads(made.read_text())
    assert [image['file_name'] for image in content['images']] == sorted(image['file_name'] for image in content['images'])
    dataset = open_dataset(made, prefix, filter_empty_gt=False)
    assert source.classes == dataset.CLASSES and not [d for d in dataset.defects() if 'cannot' in d.kind]
    for i, (width, height) in enumerate(source.sizes.values()):
        info = dataset.annotations.info(i)
        assert (info['width'], info['height']) == (width, height)
        assert cv2.imread(f"{prefix}/{info['filename']}").shape[:2] == (height, width)


def test_it_runs_in_the_folder_and_takes_files_that_begin_one_folder_too_high(converters, source, draw, tmp_path, boxes_in,
                                                                              monkeypatch):
    for name, size in source.sizes.items():
        draw(tmp_path / 'train/images' / name, size)
        path = tmp_path / 'train/labels' / f"{name.split('.')[0]}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(rows(source, name))
    (tmp_path / 'data.yaml').write_text(f'path: /home/someone\ntrain: ../train/images\nnames: {list(source.classes)}\n')
    monkeypatch.chdir(tmp_path)
    converters.yolo('data.yaml')
    assert len(boxes_in('annotations/train.json')) == len(source.boxes)
    monkeypatch.chdir(tmp_path / 'train')
    (tmp_path / 'train/classes.txt').write_text('\n'.join(source.classes))
    converters.yolo('.')
    assert len(boxes_in('annotations/train.json')) == len(source.boxes)


def test_the_same_source_gives_the_same_bytes(converters, source, draw, tmp_path):
    path, _ = ultralytics(tmp_path, source, draw)
    for out in ('one', 'two'):
        converters.yolo(path, '-o', tmp_path / out)
    assert (tmp_path / 'one/train.json').read_bytes() == (tmp_path / 'two/train.json').read_bytes()


def test_boxes_follow_the_picture_as_exif_turns_it(converters, draw, tmp_path):
    draw(tmp_path / 'x.jpg', (60, 40))
    data = (tmp_path / 'x.jpg').read_bytes()
    tiff = b'MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0'
    exif = b'\xff\xe1' + (len(tiff) + 8).to_bytes(2, 'big') + b'Exif\0\0' + tiff
    (tmp_path / 'x.jpg').write_bytes(data[:2] + exif + data[2:])
    (tmp_path / 'x.txt').write_text('0 0.5 0.5 0.5 0.25\n')
    (tmp_path / 'classes.txt').write_text('thing\n')
    converters.yolo(tmp_path, '-o', tmp_path / 'out')
    content = json.loads((tmp_path / f'out/{tmp_path.name}.json').read_text())
    size = content['images'][0]['width'], content['images'][0]['height']
    assert size == (40, 60) == cv2.imread(str(tmp_path / 'x.jpg')).shape[1::-1]
    assert content['annotations'][0]['bbox'] == [10, 22.5, 20, 15]


def test_the_check_of_datasets_finds_nothing_wrong_with_what_was_made(converters, tools, tiny, source, draw, tmp_path, capsys):
    path, split = darknet(tmp_path, source, draw)
    converters.yolo(path, '-o', tmp_path / 'out')
    tools.check_dataset(tiny, '--sections', 'val', '--cfg-options', f"data.val.ann_file={tmp_path / f'out/{split}.json'}",
                        f'data.val.img_prefix={tmp_path}/', f"data.val.classes={','.join(source.classes)}",
                        f'model.bbox_head.num_classes={len(source.classes)}')
    printed = capsys.readouterr().out
    assert '3 pictures' in printed and '4 boxes' in printed and 'cannot be used' not in printed


@given(box=st.tuples(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.01, 1), st.floats(0.01, 1)),
       width=st.integers(1, 5000), height=st.integers(1, 5000))
def test_a_box_comes_back_from_its_centre_and_sides(box, width, height):
    x1, y1, w, h = box[0], box[1], min(box[2], 1 - box[0]), min(box[3], 1 - box[1])
    label, found = _object('x:1', ['2', *map(repr, (x1 + w / 2, y1 + h / 2, w, h))], 3, (width, height))
    assert label == 2
    assert np.allclose(found, [x1 * width, y1 * height, (x1 + w) * width, (y1 + h) * height], atol=1e-6)


@pytest.mark.parametrize('line, complaint', [
    ('0 0.5 0.5 0.2', 'has 4 numbers; expected 5'), ('0 0.5 0.5 0.2 0.2 0.9', 'has 6 numbers; .* the score of a detection'),
    ('3 0.5 0.5 0.2 0.2', 'class 3: expected a whole number from 0 to 2'), ('0.5 0.5 0.5 0.2 0.2', 'class 0.5: expected a'),
    ('0 320 240 20 20', "'320 240 20 20': expected shares"), ('0 0.5 0.5 0 0.2', 'the box has no area'),
    ('cat 0.5 0.5 0.2 0.2', 'is not all numbers'), ('0 nan 0.5 0.2 0.2', 'is not all numbers')])
def test_a_line_that_is_no_box_is_named(line, complaint):
    with pytest.raises(DataError, match=f'^a.txt:7: .*{complaint}'):
        _object('a.txt:7', line.split(), 3, (640, 480))


def test_every_defect_is_a_line_and_nothing_is_written_unless_it_is_left_out(converters, source, draw, tmp_path, capsys):
    path, _ = ultralytics(tmp_path, source, draw)
    (tmp_path / 'labels/train/deep/a.txt').write_text('0 0.5 0.5 0.1 0.1\n9 0.5 0.5 0.1 0.1\n')
    (tmp_path / 'images/train/deep/c.jpg').write_bytes(b'')
    with pytest.raises(DataError, match='2 of 3 pictures cannot be used; nothing was written'):
        converters.yolo(path, '-o', tmp_path / 'out')
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and 'deep/a.txt:2: class 9' in lines[0] and 'c.jpg: is empty (0 bytes)' in lines[1]
    assert not (tmp_path / 'out').exists()
    converters.yolo(path, '-o', tmp_path / 'out', '--skip-bad')
    assert [image['file_name'] for image in json.loads((tmp_path / 'out/train.json').read_text())['images']] == [
        'images/train/deep/b.png']
    with pytest.raises(UserError, match='is there already'):
        converters.yolo(path, '-o', tmp_path / 'out')


@pytest.mark.parametrize('name, text, complaint', [
    ('data.yaml', 'train: .\n', 'names: expected the names of the classes'),
    ('data.yaml', 'names: [a]\n', 'has none of train, val'),
    ('data.yaml', 'train: nowhere\nnames: [a]\n', "names 'nowhere', and there is no"),
    ('data.yaml', '- 1\n', 'expected keys train'), ('data.yaml', 'train: [x\n', r'data.yaml:\d+: not YAML'),
    ('data.yaml', 'train: .\nnames: [a, a]\n', "class 'a' is named twice"),
    ('data.yaml', 'train: .\nnames: {0: a, 2: b}\n', 'a name for each class from 0 to 1'),
    ('data.yaml', 'train: .\nnames: [a]\n', 'train: names no picture'), ('obj.data', 'train = x\n', "has no 'names = FILE'"),
    ('data.json', '{}', "not known; expected Ultralytics' data.yaml")])
def test_what_names_no_data_is_refused(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_data(str(tmp_path / name))


def test_labels_without_a_picture_are_named(converters, source, draw, tmp_path, capsys):
    path, _ = darknet(tmp_path, source, draw)
    (tmp_path / 'obj/lost.txt').write_text('0 0.5 0.5 0.1 0.1\n')
    converters.yolo(path, '-o', tmp_path / 'out')
    assert capsys.readouterr().err == f"left out: {tmp_path / 'obj/lost.txt'}: labels of a picture that is not there\n"


def test_a_picture_outside_the_folder_is_refused(converters, source, draw, tmp_path, capsys):
    path, _ = darknet(tmp_path / 'data', source, draw)
    outside = draw(tmp_path / 'other.jpg', (20, 20))
    (tmp_path / 'data/train.txt').write_text(f'{outside}\n')
    with pytest.raises(DataError):
        converters.yolo(path)
    assert 'other.jpg: is not below' in capsys.readouterr().err


def test_data_of_which_no_label_is_found_are_refused(converters, source, draw, tmp_path):
    path, _ = ultralytics(tmp_path, source, draw)
    (tmp_path / 'labels').rename(tmp_path / 'Labelled')
    with pytest.raises(DataError, match=r'no picture has a label file; that of .*a.jpg would be .*labels.train.deep.a.txt'):
        converters.yolo(path)


def test_another_number_of_classes_than_names_is_refused(source, draw, tmp_path):
    path, _ = ultralytics(tmp_path, source, draw)
    path.write_text(path.read_text().replace('nc: 3', 'nc: 5'))
    with pytest.raises(DataError, match='nc: says 5 classes, and names has 3'):
        read_data(str(path))


def test_files_that_windows_marks_as_utf_8_are_read(converters, source, draw, boxes_in, tmp_path):
    folder, _ = plain(tmp_path, source, draw)
    for path in [folder / 'classes.txt', *(folder / 'obj').glob('*.txt')]:
        path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    converters.yolo(folder, '-o', tmp_path)
    assert {row[1] for row in boxes_in(tmp_path / 'mine.json')} == {'cat', 'dog', 'person'}
