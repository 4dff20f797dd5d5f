"""What a config may call: a few of Python's functions on data, and the methods of lists and dicts."""
from __future__ import annotations

import pytest

from mmcv_need.config import Config
from mmcv_need.config.places import Place

EXPRESSIONS = [
    ('len("abc")', 3), ('len({"a": 1, "b": 2})', 2), ('[(i, c) for i, c in enumerate("ab")]', [(0, 'a'), (1, 'b')]),
    ('list(enumerate([7], 5))', [(5, 7)]), ('[a + b for a, b in zip((1, 2), (10, 20, 30))]', [11, 22]), ('max(1, 3, 2)', 3),
    ('min([4, 2])', 2), ('sum([1, 2.5])', 3.5), ('sum((1, 2), 3)', 6), ('sorted((3, 1, 2))', [1, 2, 3]), ('abs(-2)', 2),
    ('round(2.567, 1)', 2.6), ('round(2.5)', 2), ('int(7.9)', 7), ('int("12")', 12), ('float("1e-3")', 1e-3), ('float(2)', 2.0),
    ('str(1.5) + "x"', '1.5x'), ('bool([])', False), ('dict(a=1).get("b", 2)', 2), ('dict(a=1).get("b")', None),
    ('list(dict(a=1, b=2).keys())', ['a', 'b']), ('[v for v in dict(a=1, b=2).values()]', [1, 2]),
    ('{v: k for k, v in dict(a=1).items()}', {1: 'a'}), ('dict(a=1).copy()', {'a': 1}), ('[1].copy()', [1]),
    ('[1, 2].pop()', 2), ('dict(a=1).pop("b", 3)', 3), ('dict(a=1).setdefault("a", 2)', 1),
]
# Every way in which configs of MMDetection 2.28 and 3.3 change what is there: 7 and 64 files have one of them.
CHANGES = [
    ('a = dict(b=1)\na.update(dict(c=2))', {'a': {'b': 1, 'c': 2}}),
    ('a = dict(b=1)\na.update(b=2, **dict(c=3))', {'a': {'b': 2, 'c': 3}}),
    ('a = {}\na.update({f"s.{i}.{j}": n for i, n in enumerate([1, 2]) for j in range(n)})',
     {'a': {'s.0.0': 1, 's.1.0': 2, 's.1.1': 2}}),
    ('a = dict(b=1, c=2)\na.pop("b")', {'a': {'c': 2}}), ('a = dict(b=1)\nc = a.pop("b")', {'a': {}, 'c': 1}),
    ('a = dict(b=1)\na["c"] = 2', {'a': {'b': 1, 'c': 2}}), ('a = [dict(b=1)]\na[-1]["b"] = (2,)', {'a': [{'b': (2,)}]}),
    ('a = [1, 2]\na[0] = 3', {'a': [3, 2]}), ('a = [1]\na.append(2)\na.extend((3, 4))\na.insert(0, 0)', {'a': [0, 1, 2, 3, 4]}),
    ('a = [1, 2, 3]\nb = a.pop(0)', {'a': [2, 3], 'b': 1}), ('a = [1, 2]\ndel a[0]', {'a': [2]}),
    ('a = dict(b=1, c=2)\ndel a["b"]', {'a': {'c': 2}}), ('a = b = 1\ndel a', {'b': 1}),
    ('a = b = 1\ndel a, b', {}), ('a = b = 1\ndel (a, b)', {}),
    ('a = dict(n=1)\na["n"] += 2', {'a': {'n': 3}}), ('a = dict(b=dict(c=1))\na.b.c = 2', {'a': {'b': {'c': 2}}}),
    ('a = dict(n=[1])\nb = a\nb["n"].append(2)', {'a': {'n': [1, 2]}, 'b': {'n': [1, 2]}}),
    ('a = dict(n=1)\nb = a.copy()\nb["n"] = 2', {'a': {'n': 1}, 'b': {'n': 2}}),
    ('a = dict(b=1)\na.setdefault("c", [])\na["c"].append(1)', {'a': {'b': 1, 'c': [1]}}),
]


@pytest.mark.parametrize('expression, value', EXPRESSIONS)
def test_a_function_or_method_has_the_value_that_python_gives_it(data, expression, value):
    read = data(f'x = {expression}')['x']
    assert (type(read), read) == (type(value), value)
    assert value == eval(expression)


@pytest.mark.parametrize('text, values', CHANGES)
def test_a_change_has_the_effect_that_it_has_in_python(data, text, values):
    assert data(text) == values


@pytest.mark.parametrize('text, values', [pair for pair in CHANGES if 'a.b.c' not in pair[0]])
def test_the_expected_effects_are_those_of_python(text, values):
    names = {}
    exec(text, {}, names)
    assert names == values


def test_a_dict_of_the_base_has_its_entries_as_attributes_and_methods(data):
    assert data('''
        _base_ = 'b.py'
        head = _base_.model.head
        head.update(dict(num_classes=1))
        head.type = 'OtherHead'
        steps = _base_.model['strides'].copy()
        steps.append(32)
    ''') == {'head': {'type': 'OtherHead', 'num_classes': 1}, 'steps': [8, 16, 32]}


def test_what_changed_stands_where_it_was_changed(line):
    text = '''\
        a = dict(b=1,
                 c=2)
        a.update(dict(
            d=3))
        a['e'] = 4
        f = [1,
             2]
        f.append(3)
        f.insert(0, 4)
        f[1] = 5
        a.pop('b')
    '''
    assert [line(text, 'a', key).line for key in 'cde'] == [2, 4, 5]
    assert [line(text, 'f', i).line for i in range(4)] == [9, 10, 7, 8]
    assert line(text, 'a', 'e') == Place('configs/ssd.py', 5)


def test_a_base_is_changed_for_whoever_inherits_it(folder):
    name = folder(child='''
        _base_ = 'middle.py'
        model = dict(head=dict(num_classes=3))
    ''', middle='''
        _base_ = 'low.py'
        _base_.train_dataloader.dataset.pipeline = ['new']
        _base_.model.head.num_classes = 2
        detector = _base_.model
        detector.pop('data_preprocessor')
        del _base_.tta_model
        test_dataloader = _base_.train_dataloader
    ''', low='''
        model = dict(data_preprocessor=dict(mean=1), head=dict(num_classes=80, type='Head'))
        train_dataloader = dict(dataset=dict(type='Coco', pipeline=['old']))
        tta_model = dict(type='Tta')
    ''')
    cfg = Config.fromfile(name)
    loader = {'dataset': {'type': 'Coco', 'pipeline': ['new']}}
    assert cfg.to_dict() == {
        'model': {'head': {'num_classes': 3, 'type': 'Head'}}, 'train_dataloader': loader, 'test_dataloader': loader,
        'detector': {'head': {'num_classes': 2, 'type': 'Head'}}}
    assert cfg.where('train_dataloader.dataset.pipeline.0') == 'middle.py:3'
    assert cfg.where('train_dataloader.dataset.type') == 'low.py:3'
    assert cfg.where('model.head.num_classes') == 'child.py:3'
    assert cfg.where('detector.head.num_classes') == 'middle.py:4'


@pytest.mark.parametrize('text, found', [
    ('x = len(1)', 'a list is needed'), ('x = sum(["a"])', 'adds numbers'), ('x = sorted([1, "a"])', 'not supported'),
    ('x = sorted([1], reverse=True)', 'by name'), ('x = round(1.5, 10**9)', 'digits'), ('x = max([])', 'empty'),
    ('x = float("nan")', 'nan'), ('len = 1\nx = len("a")', "'len' cannot be called"), ('x = "a".join(["b"])', "'.join' cannot"),
    ('x = (1,)\nx.append(2)', "'.append' cannot"), ('x = {}\nx.append(2)', 'Only update, pop'),
    ('x = {}\nx.update(1)', 'a dict is'),
    ('x = {}\nx.pop("a")', "no key 'a'"), ('x = []\nx.pop()', 'out of range'), ('x = [1]\nx["a"] = 1', 'has no entry'),
    ('x = [1]\nx[1] = 1', 'out of range'), ('x = [1]\nx[0:1] = [2]', 'at once'), ('x = [1]\ndel x[3]', 'out of range'),
    ('x = {}\ndel x["a"]', "no key 'a'"), ('x = {}\nx[[]] = 1', 'a key must be'), ('x = {}\nx.setdefault([], 1)', 'unhashable'),
    ('x = dict(abc=1)\ny = x.abd', "Did you mean 'abc'?"), ('x = [1]\nx.append(x)', 'nested too deeply'),
    ('x = dict(a=1)\nx["a"] += "b"', 'an int and a str'), ('x = {}\nx.update(1, 2, a=3)', 'a dict is'),
    ('x = {}.get()', 'missing 1 required'), ('_base_ = "b.py"\n_base_.model.depht += 1', "Did you mean 'depth'?"),
    ('_base_.model = 1', 'no base'), ('x = int(10**80)', 'too large'), ('x = [].append(1)(2)', 'this cannot be called'),
])
def test_a_wrong_call_or_change_is_refused_with_its_line(refused, text, found):
    message = refused(text)
    assert message.startswith('configs/ssd.py:') and found in message
