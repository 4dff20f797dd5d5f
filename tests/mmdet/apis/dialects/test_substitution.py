"""`${key}` means what MMDetection 2.28 makes of it."""
from __future__ import annotations

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis.checks import top_level_faults
from mmdet.apis.dialects import canonical


def read(tmp_path, text):
    path = tmp_path / 'c.py'
    path.write_text(text, encoding='utf-8')
    return Config.fromfile(path)


def test_a_whole_string_becomes_the_value_and_a_part_becomes_text(tmp_path):
    cfg = canonical(read(tmp_path, """
rate, sizes, root = 0.5, [300, 512], 'data/'
optimizer = dict(type='SGD', lr='${rate}', tag='${root}at ${rate}')
work_dir = '${root}${optimizer.type}'
seeds = ('${rate}', '${sizes}', ['x${rate}'], 7)
"""))
    assert cfg.optimizer == dict(type='SGD', lr=0.5, tag='data/at 0.5')
    assert cfg.work_dir == 'data/SGD' and cfg.seeds == (0.5, [300, 512], ['x0.5'], 7)
    cfg.seeds[1].append(1)
    assert cfg.sizes == [300, 512]  # a copy was put there


def test_what_is_put_there_is_as_the_config_says_it_whatever_the_order(tmp_path):
    cfg = canonical(read(tmp_path, "first = '${second}'\nsecond = '${third}'\nthird = 3\nfourth = '${second}'\n"))
    assert (cfg.first, cfg.second, cfg.fourth) == ('${third}', 3, '${third}')


def test_other_dollars_stay(tmp_path):
    cfg = canonical(read(tmp_path, "a, b, c = '$x', '${not this}', '${}'\n"))
    assert (cfg.a, cfg.b, cfg.c) == ('$x', '${not this}', '${}')


def test_a_wrapper_of_the_model_becomes_the_model(tmp_path):
    cfg = canonical(read(tmp_path, "model = dict(type='Inner')\nmodel_wrapper = dict(type='Outer', model='${model}', n=1)\n"))
    assert cfg.to_dict() == dict(model=dict(type='Outer', model=dict(type='Inner'), n=1))


@pytest.mark.parametrize('text, words', [
    ("rate = 1\na = '${rat}'", "c.py:2: a: '${rat}': the config has no 'rat'. Did you mean 'rate'?"),
    ("b = [1]\na = dict(\n    x=['s${b}'])", "c.py:3: a.x.0: 's${b}': b is a list, which cannot stand within a text.")])
def test_what_cannot_be_put_there_is_refused_with_its_line(text, words, tmp_path):
    with pytest.raises(ConfigError) as caught:
        canonical(read(tmp_path, text))
    assert words in str(caught.value)


def test_it_does_not_grow_without_end(tmp_path):
    text = f"a = {'x' * 1000!r}\nb = {['${a}'] * 2000!r}\n"
    with pytest.raises(ConfigError, match='the data grows too large'):
        canonical(read(tmp_path, text))


def test_a_name_that_is_only_referred_to_so_is_read_by_something(tmp_path, recwarn):
    assert not list(top_level_faults(read(tmp_path, "base_rate = 1e-3\noptimizer = dict(type='SGD', lr='${base_rate}')\n")))
    assert not recwarn.list
