"""Command line options: MMDetection 2.x values, and mistakes as one-line usage errors."""
from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need.config.options import DictAction, parse_options
from mmcv_need.errors import ConfigError

MMDETECTION_VALUES = {
    '1': 1, '1.5': 1.5, '1e-3': 0.001, '-2': -2, 'True': True, 'TRUE': True, 'false': False, 'none': 'none',
    '0x10': '0x10',
    '1,2,3': [1, 2, 3], '[1,2,3]': [1, 2, 3], '(1,2)': (1, 2), '[(1,2),(3,4)]': [(1, 2), (3, 4)], '[a,b]': ['a', 'b'],
    '[]': [], '()': (), '1,': [1], '[1]': [1], '"[1,2]"': [1, 2], 'a=b': 'a=b',
}
DELIBERATE_DIFFERENCES = {'None': None, '"a b"': 'a b', 'a b': 'a b', "[None,'x y']": [None, 'x y']}
OTHER_VALUES = {
    '': '', '(1,)': (1,), ' [ 1 , 2 ] ': [1, 2], "['a,b']": ['a,b'], '[[1],[2,[3]]]': [[1], [2, [3]]], "it's": "it's",
    '/data/my coco/x.json': '/data/my coco/x.json', '"1"': 1, 'f(x)': 'f(x)', "['(']": ['('],
}


def exactly(value):
    return type(value), [exactly(item) for item in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize('text, value', {**MMDETECTION_VALUES, **DELIBERATE_DIFFERENCES, **OTHER_VALUES}.items())
def test_a_value_reads_as_the_table_says(text, value):
    assert exactly(parse_options([f'a.b={text}'])['a.b']) == exactly(value)


@pytest.mark.parametrize('option', ['lr', '=3', 'a..b=1', 'a=[1,2', 'a=1,2]', 'a=(1,2]', 'a=1,,2', 'a=,', "a={'b': 1}",
                                    'a=' + '[' * 5000 + ']' * 5000])
def test_a_mistake_is_refused_in_one_line(option):
    with pytest.raises(ConfigError) as error:
        parse_options([option])
    assert '\n' not in str(error.value)
    assert len(str(error.value)) < 300


@given(st.text())
def test_any_text_gives_data_or_a_config_error(text):
    try:
        parse_options([text, 'a=' + text])
    except ConfigError as error:
        assert '\n' not in str(error)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    made.add_argument('--cfg-options', nargs='+', action=DictAction)
    return made


def test_a_repeated_flag_adds_to_the_earlier_one():
    arguments = parser().parse_args(['--cfg-options', 'a=1', 'b=2', '--cfg-options', 'b=3', 'c.d=x'])
    assert arguments.cfg_options == {'a': 1, 'b': 3, 'c.d': 'x'}


def test_a_repeated_flag_leaves_the_default_alone():
    default = {'a': 1}
    made = argparse.ArgumentParser()
    made.add_argument('--cfg-options', nargs='+', action=DictAction, default=default)
    assert made.parse_args(['--cfg-options', 'b=2']).cfg_options == {'a': 1, 'b': 2}
    assert default == {'a': 1}


def test_a_mistake_is_an_ordinary_usage_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args(['--cfg-options', 'lr'])
    assert stopped.value.code == 2
    assert "argument --cfg-options: 'lr' is not an option" in capsys.readouterr().err
