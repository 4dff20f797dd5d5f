"""Hostile annotations: none reads a file outside its folder, or takes more than bounded time and memory."""
from __future__ import annotations

import json
import pickle

import pytest

COCO = {'images': [{'id': 1, 'file_name': 'a.jpg', 'width': 64, 'height': 48}],
        'annotations': [{'id': 1, 'image_id': 1, 'category_id': 3, 'bbox': [1, 2, 30, 20], 'area': 600, 'iscrowd': 0}],
        'categories': [{'id': 3, 'name': 'cat'}]}
RECORD = {'filename': 'a.jpg', 'width': 64, 'height': 48, 'ann': {'bboxes': [[1, 2, 30, 40]], 'labels': [1]}}
XML = '''<annotation><size><width>64</width><height>48</height></size>
<object><name>dog</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object></annotation>'''
LAUGHS = ('<!DOCTYPE a [<!ENTITY a0 "ha">' + ''.join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12)) + ']>'
          + XML.replace('dog', '&a11;'))
FILE = '<!DOCTYPE a [<!ENTITY file SYSTEM "../outside/secret.txt">]>' + XML.replace('dog', '&file;')


def coco(table, **changes):
    """COCO with other values in a table's record; a value of None is left out."""
    changed = {**COCO[table][0], **changes}
    return json.dumps({**COCO, table: [{key: value for key, value in changed.items() if value is not None}]})


def custom(**changes):
    return json.dumps([{**RECORD, **changes}])


def nested(depth):
    return '[' * depth + ']' * depth


HOSTILE = {
    'outside.json': coco('images', file_name='../../outside/secret.jpg'),
    'absolute.json': coco('images', file_name='/etc/passwd'),
    'around.json': coco('images', file_name='x/../../../outside/secret.jpg'),
    'device.json': coco('images', file_name='/dev/zero'),
    'null.json': coco('images', file_name='a\0.jpg'), 'long.json': coco('images', file_name='a' * 100_000),
    'screen.json': coco('images', file_name='\x1b[2J\n.jpg'), 'surrogate.json': coco('images', file_name='\ud800.jpg'),
    'id.json': coco('images', id=2**70), 'size.json': coco('images', width=1e300), 'list.json': coco('images', height=[[1]]),
    'deep.json': '{"images": ' + nested(1_000_000) + '}',
    'deep_other.json': json.dumps(COCO)[:-1] + ', "x": ' + nested(200_000) + '}',
    'deep_open.json': '{"images": [' + '{"a":' * 200_000,
    'digits.json': json.dumps(COCO).replace('64', '9' * 100_000),
    'infinite.json': coco('annotations', bbox=[0, 0, 1e308, 1e308], area=None),
    'nan.json': coco('annotations', bbox=[float('nan')] * 4),
    'object.json': coco('annotations', bbox={'0': 1}), 'text.json': coco('annotations', category_id='3'),
    'class.json': coco('categories', name={'a': 1}), 'class_id.json': coco('categories', id=True),
    'keys.json': '{' + ','.join(f'"{i}": 1' for i in range(200_000)) + '}', 'quotes.json': '{"images": ["' + '\\"' * 500_000,
    'brackets.json': '{"images": ' + '[{]}' * 100_000, 'latin.json': b'{"images": "\xff"}',
    'custom_outside.json': custom(filename='../../outside/secret.jpg'), 'custom_huge.json': custom(width=1e300),
    'custom_label.json': custom(ann={'bboxes': [[0, 0, 9, 9]], 'labels': [1e300]}), 'custom_deep.json': nested(1_000_000),
    'custom_boxes.json': custom(ann={'bboxes': [[[0]] * 9] * 9, 'labels': [1]}),
    'custom_pickle.pkl': pickle.dumps([print]), 'custom_tuples.pkl': b'\x80\x02})' + b'\x85' * 1_000_000 + b'Ns.',
    'voc_laughs.xml': LAUGHS, 'voc_laughs_utf16.xml': ('<?xml version="1.0" encoding="utf-16"?>' + LAUGHS).encode('utf-16'),
    'voc_file.xml': FILE, 'voc_deep.xml': '<annotation>' + '<a>' * 600_000, 'voc_flat.xml': '<annotation>' + '<a/>' * 500_000,
    'voc_deepest.xml': '<annotation>' + '<a>' * 290_000 + '</a>' * 290_000 + '</annotation>',
    'voc_large.xml': '<annotation a="' + 'x' * 10**8 + '"/>', 'voc_huge.xml': XML.replace('64', '1e300'),
    'voc_number.xml': XML.replace('<xmin>3', '<xmin>-1e300'), 'voc_digits.xml': XML.replace('64', '9' * 100_000),
    'voc_encoding.xml': '<?xml version="1.0" encoding="zlib"?>' + XML, 'voc_null.xml': XML.replace('dog', 'd\0g'),
    'voc_name.xml': XML, 'voc_absolute.xml': XML,
}
NAMES = {'voc_name.xml': '../../outside/secret', 'voc_absolute.xml': '/etc/passwd'}  # in the list of pictures


def write(folder, name, content):
    """One annotation file; returns its kind and its path."""
    kind = name.partition('_')[0] if name.startswith(('custom', 'voc')) else 'coco'
    path = folder / name
    if kind == 'voc':
        year = folder / f'VOC2007_{path.stem}'
        (year / 'Annotations').mkdir(parents=True)
        path, picture = year / 'list.txt', NAMES.get(name, 'a')
        path.write_text(f'{picture}\n')
        name = 'Annotations/a.xml'
        content = content.replace('<size>', f'<filename>{picture}</filename><size>') if picture != 'a' else content
        path.with_name('Annotations').joinpath('a.xml').write_bytes(raw(content))
        return kind, path
    path.write_bytes(raw(content))
    return kind, path


def raw(content):
    return content if isinstance(content, bytes) else content.encode('utf-8', 'surrogatepass')


@pytest.fixture(scope='module')
def said(outside, watch):
    folder, _ = outside
    (folder / 'pictures').mkdir()
    return dict(zip(HOSTILE, watch(folder, [write(folder, *item) for item in HOSTILE.items()])))


def test_there_are_enough_of_them():
    assert len(HOSTILE) >= 10


@pytest.mark.parametrize('name', HOSTILE)
def test_a_hostile_annotation_is_refused_in_one_line(said, name):
    assert said[name]['ended'] == 'refused', said[name]
