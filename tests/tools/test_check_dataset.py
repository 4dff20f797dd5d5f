"""tools/check_dataset.py: it looks at everything, says what is wrong, and draws a page; training refuses the same data."""
from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from mmcv_need.errors import DataError, UserError

EMPTY = {'img', 'meta', 'br'}


class Page(HTMLParser):
    """What a page says: its text, its tags in order; every tag that opens is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ''
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def rows(self):
        return [tag for tag, _ in self.tags].count('tr')


@pytest.fixture
def data(demo, tiny, tmp_path):
    """A copy of the drawn pictures, and a config of it: (folder, config, change) where `change` edits an annotation file."""
    folder = tmp_path / 'data'
    shutil.copytree(demo, folder)
    config = tmp_path / 'checked.py'
    config.write_text(tiny.read_text().replace(str(demo), str(folder)))

    def change(edit, split='train'):
        path = folder / f'annotations/instances_{split}2017.json'
        content = json.loads(path.read_text())
        edit(content)
        path.write_text(json.dumps(content))
        return content
    return folder, config, change


def test_sound_data_have_nothing_to_be_said_of_them(data, tools, capsys, tmp_path):
    _, config, _ = data
    tools.check_dataset(config, '--html', tmp_path / 'page.html', '--list', tmp_path / 'list.txt')
    out = capsys.readouterr().out
    assert 'data.train: ' in out and '24 pictures' in out and 'data.test: the same as data.val' in out and 'ERROR' not in out
    assert (tmp_path / 'list.txt').read_text() == ''
    page = Page((tmp_path / 'page.html').read_text())
    assert page.text.count('Nothing: every picture was decoded') == 2
    images = [attributes for tag, attributes in page.tags if tag == 'img']
    assert len(images) == 12 + 8 and all(image['src'].startswith('data:image/jpeg;base64,') for image in images)
    assert not any(attributes.get('src', attributes.get('href', 'data:')).startswith('http') for _, attributes in page.tags)
    for name in ('circle', 'square', 'data.train', 'data.val', 'reached by no default box'):
        assert name in page.text


def test_all_kinds_of_bad_pictures_are_found_at_once_and_training_refuses_them(data, tools, capsys, tmp_path, bad_pictures):
    folder, config, change = data
    picture = np.zeros((240, 320, 3), np.uint8)

    def name_them(content):
        for number, name in enumerate(bad_pictures):
            bad_pictures[name][0](folder / f'train2017/bad_{number}.jpg', picture)
            content['images'].append({'id': 1000 + number, 'file_name': f'bad_{number}.jpg', 'width': 320, 'height': 240})
            content['annotations'].append({'id': 5000 + number, 'image_id': 1000 + number, 'category_id': 1, 'area': 400,
                                           'bbox': [10, 10, 20, 20], 'iscrowd': 0})
    change(name_them)
    with pytest.raises(DataError) as error:
        tools.check_dataset(config, '--list', tmp_path / 'list.txt', '--html', tmp_path / 'page.html', '--sections', 'train')
    assert 'and 19 more like it' in str(error.value)
    assert 'ERROR 20 x picture file that cannot be used' in capsys.readouterr().out
    lines = (tmp_path / 'list.txt').read_text().splitlines()
    assert len(lines) == 20 and 'and 15 more' not in lines
    for number, (_, words) in enumerate(bad_pictures.values()):
        line = next(line for line in lines if f'bad_{number}.jpg' in line)
        assert line.startswith('data.train\tpicture file that cannot be used\t') and all(word in line for word in words)
    assert Page((tmp_path / 'page.html').read_text()).text.count('bad_') >= 20
    with pytest.raises(DataError, match=r'data\.train: .*bad_\d+\.jpg'):
        tools.train(config, '--work-dir', tmp_path / 'work')


def test_by_policy_they_are_skipped_counted_and_listed_and_the_training_goes_on(data, tools, capsys, tmp_path):
    folder, config, _ = data
    for number in (2, 9):
        file = sorted((folder / 'train2017').iterdir())[number]
        file.write_bytes(file.read_bytes()[:-40])
    bad = sorted((folder / 'val2017').iterdir())[3]
    bad.write_bytes(b'')
    options = ['--cfg-options', 'data.bad_data=skip', 'data.max_bad_data=0.2', 'runner.max_epochs=1']
    tools.check_dataset(config, *options)
    assert 'ERROR 2 x picture file that cannot be used' in capsys.readouterr().out
    with pytest.warns(UserWarning, match='skipped'):
        tools.train(config, '--work-dir', tmp_path / 'work', '--seed', '3', *options)
    listed = [line for path in (tmp_path / 'work').glob('*.bad_data.txt') for line in path.read_text().splitlines()]
    assert sum('is cut short' in line for line in listed) == 2 and sum('is empty' in line for line in listed) == 1
    records = [json.loads(line) for path in (tmp_path / 'work').glob('*.log.json') for line in path.read_text().splitlines()]
    assert any('bbox_mAP' in record for record in records)


def test_more_than_may_be_skipped_is_an_error_of_the_tool(data, tools):
    folder, config, _ = data
    for file in sorted((folder / 'train2017').iterdir())[:3]:
        file.write_bytes(b'')
    with pytest.raises(DataError, match=r'1 of 24 may \(data\.max_bad_data=0\.001\)'):
        tools.check_dataset(config, '--cfg-options', 'data.bad_data=skip')


def test_odd_boxes_are_told_and_are_no_errors(data, tools, capsys):
    """The defects that published sets have: BCCD's raw files boxes without area and boxes twice, COCO crowds and tiny ones."""
    _, config, change = data

    def edit(content):
        boxes = content['annotations']
        boxes[0].update(bbox=[5, 5, 0, 0], area=0)
        boxes[1]['bbox'][2:] = [1.23, 40]
        boxes[2]['iscrowd'] = 1
        boxes.append({**boxes[3], 'id': 99999})
        content['images'].append({**content['images'][0], 'id': 99999})
    change(edit)
    grey = sorted((data[0] / 'train2017').iterdir())[0]
    cv2.imwrite(str(grey), cv2.imread(str(grey), cv2.IMREAD_GRAYSCALE))
    tools.check_dataset(config, '--sections', 'train')
    out = capsys.readouterr().out
    for line in ('note  1 x box without area', 'note  1 x box with a side below two pixels', 'note  1 x crowd or difficult box',
                 'note  1 x box that occurs twice', 'note  1 x picture without boxes', 'x grey picture'):
        assert line in out
    assert 'ERROR' not in out


def test_names_in_a_file_are_text_on_the_page_and_not_markup(data, tools, tmp_path):
    _, config, change = data

    def edit(content):
        content['categories'][0]['name'] = '<script>alert(1)</script>'
    change(edit)
    change(edit, 'val')
    tools.check_dataset(config, '--html', tmp_path / 'page.html', '--sections', 'train', '--cfg-options',
                        'data.train.classes=None')
    page = Page((tmp_path / 'page.html').read_text())
    assert 'script' not in [tag for tag, _ in page.tags] and '<script>alert(1)</script>' in page.text


@pytest.mark.parametrize('words, message', [
    (['--sections', 'test', '--cfg-options', 'data.test=None'], 'has no data.test to look over'),
    (['--html', '{folder}'], '--html: .*: is a folder'),
    (['--list', '{folder}/data/annotations/instances_val2017.json/x'], '--list')])
def test_what_cannot_be_done_is_said_before_anything_slow(data, tools, tmp_path, words, message):
    _, config, _ = data
    with pytest.raises(UserError, match=message):
        tools.check_dataset(config, *(word.format(folder=tmp_path) for word in words))
