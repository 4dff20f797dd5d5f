"""JSON and YAML configs."""
from __future__ import annotations

import pytest

JSON = r'''{
"_base_": "b.py",
"a": {"b": [1,
 {"c": "\u00e9\"}"}],
 "d": {}}, "e": {{ _base_.model.depth }}, "f": "{{_base_.model.depth}}x",
"g": []}'''

YAML = r'''_base_: b.py

a:
  b: [1,
   {c: "\u00e9\"}"}]
  d: {}
e: {{ _base_.model.depth }}
f: "{{_base_.model.depth}}x"
g: []
'''


@pytest.mark.parametrize('path, text, lines', [('x.json', JSON, (3, 4, 5)), ('x.yaml', YAML, (4, 5, 6))])
def test_json_and_yaml_have_lines_bases_and_references_too(data, line, path, text, lines):
    assert data(text, path) == {'a': {'b': [1, {'c': 'é"}'}], 'd': {}}, 'e': 16, 'f': '16x', 'g': []}
    keys = ('a', 'b', 0), ('a', 'b', 1, 'c'), ('a', 'd')
    assert tuple(line(text, *each, path=path).line for each in keys) == lines


@pytest.mark.parametrize('path, text', [
    ('x.json', '[1]'), ('x.json', '{"a": 1,}'), ('x.json', '{"a": 1, "a": 2}'), ('x.json', '[' * 99999),
    ('x.json', '{"a": NaN}'),
    ('x.json', '{"a": ' + '9' * 9999 + '}'), ('x.json', ''), ('x.json', '{"_base_": 3}'), ('x.yaml', 'a: 2020-01-01'),
    ('x.yaml', '- 1'),
    ('x.yaml', 'a: 2020-99-99'), ('x.yaml', 'a: [1'), ('x.yaml', 'a: !!python/object/apply:os.system ["true"]'),
    ('x.yaml', '[' * 9999),
    ('x.yaml', 'a: &a [*a]'), ('x.yaml', 'a: &a {b: *a}'), ('x.yaml', 'a: &a {x: 1}\nb: {<<: *a}'),
    ('x.yaml', 'a: !!set {1}'), ('x.yaml', '? [1]\n: 2'),
    ('x.yaml', 'a0: &a0 [x]\n' + ''.join(f'a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n' for i in range(1, 40))),
    ('x.yaml', '1: 2'), ('x.yaml', 'a: \x01'),
    ('x.yaml', 'a: .nan'), ('x.yaml', '? .nan\n: 2'), ('x.yaml', 'a: !!binary x'), ('x.txt', 'a = 1'), ('x', ''),
    ('x.yaml', 'a: {1e400: 2, .nan: 3}'),
])
def test_hostile_json_and_yaml_are_refused(refused, path, text):
    assert refused(text, path).startswith(path)
