"""Hostile configs: none runs anything, reads anything but configs, or takes more than bounded time and memory."""
from __future__ import annotations

import os

import pytest

LAUGHS = 'a0: &a0 [x, x]\n' + ''.join(f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 30))
# name -> text; OUT is the path of the folder beside, and `made` a file that would betray that something was run
HOSTILE = {
    'import.py': 'import os\nos.system("touch made")', 'from.py': 'from os import system\nsystem("touch made")',
    'dunder.py': 'x = __import__("os").system("touch made")', 'open.py': 'x = open("OUT/secret.txt").read()',
    'eval.py': 'x = eval("open(\'made\', \'w\')")', 'exec.py': 'exec("open(\'made\', \'w\')")',
    'lambda.py': 'x = (lambda: open("made", "w"))()', 'function.py': 'def f():\n    open("made", "w")\nf()',
    'class.py': 'class A:\n    x = open("made", "w")', 'decorator.py': '@print\nclass A: pass',
    'subclasses.py': 'x = ().__class__.__base__.__subclasses__()', 'globals.py': 'x = dict.__init__.__globals__',
    'format.py': 'x = "{0.__class__}".format(1)', 'fstring.py': 'x = f"{open(\'made\', \'w\')}"',
    'fstring_attribute.py': 'x = f"{(1).__class__.__mro__}"', 'comprehension.py': 'x = [open("made", "w") for i in range(1)]',
    'walrus.py': 'x = (open := 1)', 'starred.py': 'x = dict(**open("made", "w"))', 'type.py': 'x = type("A", (), {})',
    'getattr.py': 'x = getattr(1, "real")', 'assert.py': 'assert open("made", "w")', 'del.py': 'del open',
    'method.py': 'x = [].append.__self__', 'update.py': 'x = {}\nx.update(open("made", "w"))',
    'base_method.py': '_base_ = "wide.py"\n_base_.__class__', 'base_update.py': '_base_ = "wide.py"\n_base_.update(print)',
    'sort_key.py': 'x = sorted([1], key=print)', 'string.py': 'x = str(open("made", "w"))',
    'append.py': 'x = [1]\n' + 'x.append(x)\n', 'extend.py': 'x = [1]\n' + 'x.extend(x)\n' * 60,
    'zip.py': 'x = zip(*[range(999)] * 9999)', 'round.py': 'x = round(1, -10**9)',
    'custom_imports.py': 'custom_imports = dict(imports=["antigravity"])\nx = __file__',
    'yaml_apply.yaml': 'x: !!python/object/apply:os.system ["touch made"]',
    'yaml_new.yaml': 'x: !!python/object/new:subprocess.Popen [["touch", "made"]]',
    'yaml_name.yaml': 'x: !!python/name:os.system',
    'yaml_module.yaml': 'x: !!python/module:os', 'yaml_laughs.yaml': LAUGHS, 'yaml_merge.yaml': 'a: &a {x: 1}\nb: {<<: *a}',
    'json_deep.json': '{"x": ' + '[' * 400_000 + ']' * 400_000 + '}', 'json_number.json': '{"x": ' + '9' * 100_000 + '}',
    'base_passwd.py': '_base_ = "/etc/passwd"', 'base_outside.py': '_base_ = "OUT/secret.txt"',
    'base_up.py': '_base_ = "../outside/secret"', 'base_environ.py': '_base_ = "/proc/self/environ"',
    'base_zero.py': '_base_ = "/dev/zero"', 'base_pipe.py': '_base_ = "pipe.py"', 'base_link.py': '_base_ = "link.py"',
    'base_hidden.py': '_base_ = "../outside/.hidden/secret.py"', 'base_hidden.json': '{"_base_": "OUT/.hidden/secret.json"}',
    'base_itself.py': '_base_ = "base_itself.py"', 'base_doubling.py': '_base_ = ["doubling_0.py"]',
    'base_data.py': '_base_ = "data:text/plain,x=1"', 'base_url.py': '_base_ = "http://127.0.0.1:9/x.py"',
    'base_null.py': '_base_ = "a\\0.py"',
    'reference_loop.py': '_base_ = "wide.py"\nx = "' + '{{ _base_.text }}' * 20_000 + '"',
    'list.py': 'x = [0] * 10**9', 'text.py': "x = 'a' * 10**9", 'power.py': 'x = 10**10**10', 'range.py': 'x = range(10**30)',
    'doubling.py': 'x = [1]\n' + 'x = [x, x]\n' * 100, 'brackets.py': 'x = ' + '[' * 60_000,
    'minus.py': 'x = ' + '-' * 60_000 + '1',
    'plus.py': 'x = 1' + '+1' * 60_000, 'digits.py': 'x = ' + '9' * 100_000, 'width.py': 'x = f"{1:999999999}"',
    'names.py': 'x = 1\n' + 'x = [x]\n' * 16_000, 'long.py': '#' * (1 << 21), 'screen.py': 'x = \x1b[2J',
    'bom.py': '\ufeffx = y',
    'null.py': 'x = "a\0b"', 'surrogate.py': 'x = "\\ud800" + y',
}
DATA = {'list_of_one.py': 'x = [0] * 3', 'names_only.py': 'custom_imports = dict(imports=["antigravity"])',
        'reference.py': 'x = "{{ fileDirname.__class__ }}"'}  # no more than data


@pytest.fixture(scope='module')
def said(outside, watch):
    """What the watched process says of each config."""
    folder, beside = outside
    for name, text in {**HOSTILE, **DATA, 'wide.py': f'text = "{"a" * 1000}"'}.items():
        (folder / name).write_text(text.replace('OUT', str(beside)), encoding='utf-8')
    for i in range(8):
        (folder / f'doubling_{i}.py').write_text(f'_base_ = {[f"doubling_{i + 1}.py"] * 3}')
    (folder / 'doubling_8.py').write_text('')
    os.mkfifo(folder / 'pipe.py')
    (folder / 'link.py').symlink_to(beside / 'secret.txt')
    jobs = [('config', folder / name) for name in (*HOSTILE, *DATA)]
    return dict(zip((*HOSTILE, *DATA), watch(folder, jobs)))


def test_there_are_enough_of_them():
    assert len(HOSTILE) >= 30


@pytest.mark.parametrize('name', HOSTILE)
def test_a_hostile_config_is_refused_in_one_line_that_names_it(said, name):
    assert said[name]['ended'] == 'refused', said[name]
    assert name in said[name]['message'] or 'doubling' in said[name]['message']
    assert 'made' not in os.listdir()


@pytest.mark.parametrize('name', DATA)
def test_what_is_only_data_is_read_as_such(said, name):
    assert said[name]['ended'] == 'read'
