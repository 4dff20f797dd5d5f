"""What a config may cost is bounded, whatever it says, and every value keeps its place."""
from __future__ import annotations

import pytest

from mmcv_need.config.places import Place

DOUBLING = 'x = [1]\n' + 'x = [x, x]\n' * 100

HOSTILE = {
    'a huge list': 'x = [0] * 10**9', 'a huge string': 'x = "a" * 10**9', 'a huge tuple': 'x = 10**9 * (1,)',
    'a tower of powers': 'x = 10 ** 10 ** 10', 'a power of a power': 'x = 2 ** 200\ny = x ** 200',
    'a huge float': 'x = 2.0 ** 10**5',
    'a huge range': 'x = range(10**30)', 'a loop over a huge range': 'x = [0 for i in range(10**9)]',
    'nested loops': 'x = [0 for a in range(999) for b in range(999) for c in range(999)]',
    'nested comprehensions': 'x = [[[0 for a in range(999)] for b in range(999)] for c in range(999)]',
    'doubling': DOUBLING, 'doubled text': 'x = "ab"\n' + 'x = x + x\n' * 60,
    'doubled list': 'x = [1]\n' + 'x += x\n' * 60,
    'a comparison of doubled lists': DOUBLING + DOUBLING.replace('x', 'y') + 'z = x == y',
    'membership in doubled lists': DOUBLING + DOUBLING.replace('x', 'y') + 'z = x in [y]',
    'a doubled text': DOUBLING + 'x = f"{x}"',
    'hashing a doubled tuple': 'x = (1,)\n' + 'x = (x, x)\n' * 100 + 'y = {x}\n',
    'a wide format': 'x = f"{1:999999999}"',
    'a wide format with zeros': 'x = f"{1:00000000009999999999}"', 'a nested wide format': 'x = f"{1:{9999999}}"',
    'a precise format': 'x = f"{1.5:.99999999f}"', 'a wide format by percent': 'x = "%999999999d" % 1',
    'text repeated by reference': 'x = "a" * 400000\nx = [x] * 9999', 'brackets': 'x = ' + '[' * 5000 + ']' * 5000,
    '150 brackets': 'x = ' + '[' * 150 + ']' * 150, 'braces': 'x = ' + '{1:' * 90 + '1' + '}' * 90,
    'signs': 'x = ' + '-' * 50000 + '1',
    'nots': 'x = ' + 'not ' * 50000 + '1', 'sums': 'x = 1' + '+1' * 50000, 'subscripts': 'x = a' + '[0]' * 50000,
    'attributes': 'x = a' + '.b' * 50000, 'depth by name': 'x = 1\n' + 'x = [x]\n' * 5000,
    'digits': 'x = ' + '9' * 100000,
    'many digits': 'x = ' + '9' * 300, 'lambdas': 'x = ' + 'lambda: ' * 20000 + '1', 'surrogate': 'x = "\ud800" + y',
    'references': '_base_ = "b.py"\nx = "a" * 1000\ny = f"' + '{x}' * 2000 + '"', 'null': 'x = "\0"',
    'a chain on which ast.parse crashes before Python 3.11': 'x = 1' + '+1' * 300000,
}


@pytest.mark.parametrize('name', HOSTILE)
def test_a_bomb_is_refused_quickly(refused, name):
    refused(HOSTILE[name])


def test_sharing_without_growth_is_no_bomb(data):
    assert data('x = [1]\n' + 'x = [x, x]\n' * 3)['x'] == [[[[1], [1]], [[1], [1]]], [[[1], [1]], [[1], [1]]]]
    assert len(str(data('x = [1]\n' + 'x = [x, x]\n' * 12))) > 2 ** 12


def test_a_value_stands_where_it_was_written_also_through_names_and_unpacking(line):
    text = '''\
        norm = dict(mean=[1, 2],
                    std=3)
        pipeline = [
            dict(type='A'),
            dict(type='B', **norm)]
        data = dict(
            n=1, train=dict(pipeline=pipeline + [dict(type='C')]),
            val=dict(pipeline=pipeline[1:] * 2))
    '''
    assert line(text, 'data', 'train', 'pipeline') == Place('configs/ssd.py', 7)
    assert line(text, 'data', 'train', 'pipeline', 0, 'type').line == 4
    assert line(text, 'data', 'train', 'pipeline', 1, 'type').line == 5
    assert line(text, 'data', 'train', 'pipeline', 1, 'std').line == 2
    assert line(text, 'data', 'train', 'pipeline', 2, 'type').line == 7
    assert line(text, 'data', 'val', 'pipeline', 1, 'mean', 0).line == 1
    assert line(text, 'data').line == 6
    assert line('x = dict(\n  a=1)\ny = [*x, *"b"]', 'y', 0).line == 2


def test_names_that_other_values_use_are_reported(source):
    read = source('''
        _base_ = 'b.py'
        a = 1
        b = a + 1
        c = [d for d in [b]]
        e = _base_.model.depth
        f = '{{_base_.data_root}}x'
    ''')
    assert read.used == {'a', 'b', 'model', 'data_root'}
