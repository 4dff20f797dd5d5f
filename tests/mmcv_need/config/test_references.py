"""References to the file itself and to its base."""
from __future__ import annotations

import os

import pytest

from mmcv_need.config.places import Place


def test_base_values_can_be_read_in_three_ways(data, line, base):
    text = '''
        a = {{ _base_.model }}
        b = '{{ _base_.data_root }}train/{{_base_.model.strides.1}}'
        c = _base_.model.strides[0] + _base_['model']['depth']
        d = dict(**_base_.model.head)
        e = f'{{{{_base_.model.depth}}}}{_base_.model.depth}'
        _base_ = './b.py'
    '''
    assert data(text) == {'a': base['model'], 'b': 'data/coco/train/16', 'c': 24, 'd': {'type': 'SSDHead'},
            'e': '{16}16'}
    assert line(text, 'd', 'type') == Place('base.py', 7)
    assert line(text, 'a', 'strides', 0) == Place('base.py', 7)


@pytest.mark.parametrize('text, found', [
    ('x = "{{ _base_.modle }}"', "Did you mean 'model'?"), ('x = _base_.model.depht', "Did you mean 'depth'?"),
    ('x = "{{ _base_.model }}"', 'no string can hold'), ('x = data_root', 'Write _base_.data_root'),
    ('x = {{ _base_.model.strides.7 }}', 'range'),
    ('x = _base_.model.strides.a', "'.a' of a list"), ('x = {{_base_.model.depth.x}}', 'cannot be looked up'),
    ('x = ({{_base_.model}})()', 'cannot be called'), ('x = a{{_base_.model}}', 'a{{ _base_.model }}'),
])
def test_a_wrong_reference_is_refused(refused, text, found):
    assert found in refused(f"_base_ = 'b.py'\n{text}")


@pytest.mark.parametrize('path, text', [
    ('/a dir/it\'s "q"\\/ssd.v1.py',
     "x = ['{{ fileDirname }}', '{{fileBasename}}', '{{ fileBasenameNoExtension }}', {{ fileExtname }}]"),
    ('/a dir/it\'s "q"\\/ssd.v1.json',
     '{"x": ["{{ fileDirname }}", "{{fileBasename}}", "{{ fileBasenameNoExtension }}", {{ fileExtname }}]}'),
    ('/a dir/it\'s "q"\\/ssd.v1.yaml',
     'x: ["{{ fileDirname }}", "{{fileBasename}}", "{{ fileBasenameNoExtension }}", {{ fileExtname }}]'),
])
def test_the_file_can_name_itself_whatever_its_name_contains(data, path, text):
    suffix = os.path.splitext(path)[1]
    assert data(text, path) == {'x': ['/a dir/it\'s "q"\\', f'ssd.v1{suffix}', 'ssd.v1', suffix]}
