"""Reading a JSON object piece by piece, against reading it at once."""
from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdet.datasets.json_tables import Unreadable, pieces

TEXT = st.text(alphabet='a{}[],:"\\\n éß' + chr(0x1F600), max_size=6)
VALUE = st.recursive(st.none() | st.booleans() | st.integers(-2**40, 2**40) | TEXT,
                     lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=12)
RECORDS = st.lists(st.dictionaries(TEXT, VALUE, max_size=4) | VALUE, max_size=8)


def read(path, size):
    """The object put together again."""
    found = {}
    for key, start, value in pieces(str(path), size):
        if start:
            assert len(found[key]) == start
            found[key] += value
        else:
            found[key] = value
    return found


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    return tmp_path_factory.mktemp('json') / 'object.json'


@settings(max_examples=400, deadline=None)
@given(content=st.dictionaries(TEXT, RECORDS | VALUE, max_size=4), size=st.integers(0, 60),
       indent=st.sampled_from([None, 0, 2]), separators=st.sampled_from([(',', ':'), (', ', ' : ')]))
def test_the_pieces_of_any_object_make_it_up(path, content, size, indent, separators):
    path.write_text(json.dumps(content, ensure_ascii=False, indent=indent, separators=separators), encoding='utf-8')
    assert read(path, size) == content


@settings(max_examples=300, deadline=None)
@given(content=st.dictionaries(TEXT, RECORDS, min_size=1, max_size=3), size=st.integers(0, 30), data=st.data())
def test_what_is_no_json_is_unreadable_wherever_it_is_cut(path, content, size, data):
    text = json.dumps(content).encode()
    path.write_bytes(text[:data.draw(st.integers(0, len(text) - 1))])
    with pytest.raises(Unreadable):
        read(path, size)


@pytest.mark.parametrize('text', ['', ' ', '[]', '7', '{"a": 1,}', '{"a" 1}', '{"a": [1, 2}}', '{"a": [1]] }', '{"a": }',
                                  '{"a": 1} 2', '{"a": [NaN]}', '{"a": [{} {}]}', '{"a": [,]}', '{a: 1}', '{"a": {"b": }}',
                                  '{"a": 1 "b": 2}', '{,"a": 1}', '{"a": [{},]}', '{"a": [{}}'])
def test_other_things_are_unreadable_too(path, text):
    path.write_text(text)
    for size in (0, 1, 1000):
        with pytest.raises(Unreadable):
            read(path, size)


def test_pieces_are_about_as_long_as_asked_for(path):
    path.write_text(json.dumps({'a': [{'n': i, 'text': '}, {'} for i in range(1000)]}))
    lengths = [len(value) for _, _, value in pieces(str(path), 500)]
    assert sum(lengths) == 1000 and 10 < max(lengths) < 30 and min(lengths[:-1]) > 10


@pytest.mark.parametrize('polygons', [[], [[1, 2.5, -3e-7]], [[1, 2], [3, 4]], [[[1]]]])
@pytest.mark.parametrize('after', [{}, {'area': 7, 'list': [1, 2]}])
@pytest.mark.parametrize('indent', [None, 1])
def test_polygons_are_not_looked_at(path, polygons, after, indent):
    records = [{'id': i, 'segmentation': polygons, **after} for i in range(3)]
    path.write_text(json.dumps({'annotations': records}, indent=indent))
    assert read(path, 10) == {'annotations': [{**record, 'segmentation': 0} for record in records]}


@pytest.mark.parametrize('value', ['"segmentation":[1]', 'segmentation', '\\"segmentation":[2]', ':[1]'])
def test_a_text_that_looks_like_polygons_stays(path, value):
    content = {'annotations': [{value: value, 'list': [value, [1]]}, {'segmentation': {'counts': [1, 2], 'size': [3, 4]}}]}
    if value == 'segmentation':
        content['annotations'][0][value] = {'counts': [value]}
    path.write_text(json.dumps(content))
    assert read(path, 5) == content
