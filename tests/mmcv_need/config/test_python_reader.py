"""Reading a `.py` config computes data and nothing else, whatever the file contains."""
from __future__ import annotations

import re
import sys

import pytest


def test_a_config_in_mmdetection_style_reads_as_python_would_compute_it(data, refused):
    text = '''
        """Recipe card."""
        data_root = 'data/coco/'
        img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[1, 1, 1], to_rgb=True)
        train_pipeline = [
            dict(type='Normalize', **img_norm_cfg),
            *[dict(type='Resize', scale=(s, s)) for s in (300, 512) if s > 300],
        ]
        data = dict(
            train=dict(_delete_=True, ann_file=data_root + 'annotations/a.json', prefix=f'{data_root}train/',
                       pipeline=train_pipeline))
        lr = 2e-3 / 8
        low, (high, *_rest_) = 1, (2,)
    '''
    refused(text)  # a starred target is beyond the language
    read = data(text.replace(', *_rest_)', ',)'))
    norm = {'mean': [123.675, 116.28, 103.53], 'std': [1, 1, 1], 'to_rgb': True}
    pipeline = [{'type': 'Normalize', **norm}, {'type': 'Resize', 'scale': (512, 512)}]
    assert read == {
        'data_root': 'data/coco/', 'img_norm_cfg': norm, 'train_pipeline': pipeline,
        'data': {'train': {'_delete_': True, 'ann_file': 'data/coco/annotations/a.json', 'prefix': 'data/coco/train/',
                           'pipeline': pipeline}},
        'lr': 2.5e-4, 'low': 1, 'high': 2}
    assert read['data']['train']['pipeline'] is not read['train_pipeline']


def test_augmented_assignment_makes_a_new_value(data):
    assert data('a = [1]\nb = a\na += [2]\nc = 1\nc *= 3') == {'a': [1, 2], 'b': [1], 'c': 3}


def test_names_with_two_underscores_are_variables_only(data):
    assert data('__x = 1\n_y = __x + 1\na = b = 3') == {'_y': 2, 'a': 3, 'b': 3}


@pytest.mark.parametrize('text, found', [
    ('import os', 'custom_imports'), ('from os import path', 'custom_imports'), ('x = open("/etc/passwd")', "'open'"),
    ('x = __import__("os")', "'__import__'"), ('x = ().__class__', "'.__class__'"),
    ('x = "a".upper()', 'cannot be called'),
    ('x = lambda: 1', "'Lambda'"), ('def f(): pass', "'FunctionDef'"), ('class A: pass', "'ClassDef'"),
    ('if 1:\n  x = 1', 'if condition else'), ('for i in []:\n  x = 1', 'for x in'), ('while 1: pass', "'While'"),
    ('del x', 'not set above'), ('x = (y := 1)', "'NamedExpr'"), ('with x: pass', "'With'"), ('assert 1', "'Assert'"),
    ('x = ()\nx[0] = 1', 'a tuple has no entry'), ('x = 1\nx.a = 1', 'an int has no entry'), ('print(1)', "'print'"),
    ('1 + 1', "'Expr'"),
    ('from mmengine.config import read_base', '_base_ = '),
    ('x = b"1"', 'a bytes'), ('x = 1j', 'a complex'), ('x = ...', 'not config data'), ('x = (-1) ** 0.5', 'a complex'),
    ('x = 1 | 2', 'BitOr'), ('x = ~1', 'UnaryOp'), ('x = "%s" % 1', 'Mod'), ('x = 1 + "a"', 'an int and a str'),
    ('x = 1 / 0', 'division by zero'), ('x = [1][5]', 'out of range'),
    ('x = dict(abc=1)["abd"]', "Did you mean 'abc'?"),
    ('abc = 1\nx = abd', "Did you mean 'abc'?"), ('x = dict(a=1, a=2)', 'twice' if sys.version_info >= (3, 9) else 'repeated'),
    ('x = dict(a=1, **{"a": 2})', 'twice'),
    ('x = {[]: 1}', 'a key must be'), ('x = {(1, 2): 1}', 'a key must be'), ('x = {[1]}', 'unhashable'),
    ('x = [', 'not Python'),
    ('a, b = 1, 2, 3', '2 names cannot take 3'), ('dict = 1', 'Choose another'), ('x = range()', 'range'),
    ('x = list(1)', 'a list is'),
    ('x = [*1]', 'a list is needed'), ('x = {**1}', 'a dict is needed'), ('x = 1e999 - 1e999', 'nan'),
    ('x = _base_', 'not set'),
    ('x = "{{ fileBaseName }}"', "Did you mean 'fileBasename'?"), ('x = _base_.model', 'no base'),
    ('_base_ = 1', 'file name'),
    ('_base_ = "a.py"\n_base_ = "b.py"', 'more than once'), ('x = 1 @ 2', 'MatMult'), ('x = int("one")', 'invalid literal'),
    ('x\0', 'not Python'),
])
def test_everything_that_is_not_data_is_refused_with_its_line_and_a_remedy(refused, text, found):
    message = refused('\n' + text)
    assert re.match(r'configs/ssd\.py:[123]: ', message)
    assert found in message


@pytest.mark.parametrize('text', ["x = '\\d'", "x = 1 is 1", "x = [1, 2][0]", "x = 0o7", 'x = "a" is "a"',
        'x = 1if 1 else 2'])
def test_what_python_only_warns_about_is_no_error(data, text):
    assert 'x' in data(text)
