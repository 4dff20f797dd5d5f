"""Fuzz the config reader: python tests/fuzz/config_reader.py -atheris_runs=20000

The first byte chooses the language. Whatever the text, the outcome is data or a ConfigError, and the data can be dumped, read
again and printed.
"""
from __future__ import annotations

from harness import ROOT, check_message, fuzz, instrumented

with instrumented():
    from mmcv_need.config.config import Config
    from mmcv_need.config.options import parse_options
    from mmcv_need.config.places import Place, traced
    from mmcv_need.config.reader import read_text
    from mmcv_need.errors import ConfigError

SUFFIXES = ('.py', '.json', '.yaml')
BASE = {'data_root': 'data/coco/', 'model': {'depth': 16, 'strides': [8, 16], 'head': {'type': 'SSDHead'}}}
TEXTS = ('x = [0] * 10**9', 'x = [1]\n' + 'x = [x, x]\n' * 8, 'x = f"{1:99999}"', 'x = 10 ** 10 ** 10', "x = 'a' * 10**9",
         'x = [0 for i in range(9) for j in range(9)]',
         '_base_ = "b.py"\nx = "{{ _base_.model.strides.1 }}"\ny = _base_.model',
         'a, (b, c) = 1, (2, 3)\nd = dict(a=a, **dict(b=b))\nd2 = {**d, "c": c}\ne = [*range(3)][::-1]', 'x = {1, (2, 3)}')


def one_input(data: bytes) -> None:
    suffix = SUFFIXES[data[0] % 3] if data else '.py'
    text = data[1:].decode('utf-8', 'surrogateescape')
    try:
        source = read_text(text, f'configs/x{suffix}', lambda names, place: (BASE, traced(BASE, Place('base.py', 7))))
    except ConfigError as error:
        check_message(error)
    else:
        _use(source.data)
    try:
        options = parse_options(text.split('\n')[:9])
        Config({'model': {'a': [1, {'b': 2}]}}).merge_from_dict(options)
    except ConfigError as error:
        check_message(error)


def _use(data: dict) -> None:
    try:
        cfg = Config(data)
        again = read_text(cfg.pretty_text, 'configs/y.py', lambda names, place: ({}, traced({}, Place('', 0))))
    except ConfigError as error:
        check_message(error)
    else:
        assert again.data == cfg.to_dict(), (again.data, cfg.to_dict())


def seeds() -> list:
    texts = [(path.suffix, path.read_bytes()) for path in sorted(ROOT.glob('configs/ssd_demo.py'))]
    texts += [('.py', text.encode()) for text in TEXTS]
    texts += [('.json', b'{"a": [1, {"b": "{{ fileBasename }}"}], "_base_": "b.py", "c": {{ _base_.model.depth }}}'),
              ('.yaml', b'a: &a [1, {b: 2}]\nc: *a\nd: !!set {1}\ne: 2020-01-01\n')]
    return [bytes([SUFFIXES.index(suffix)]) + text for suffix, text in texts]


if __name__ == '__main__':
    fuzz(one_input, seeds())
