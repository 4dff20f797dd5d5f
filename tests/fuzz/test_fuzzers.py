"""The fuzzers' promises on seeds and on their mutations, drawn by hypothesis: they hold without atheris too.

HYPOTHESIS_PROFILE=long draws 20 times as many; the slow test has atheris draw them, where it is installed.
"""
from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HERE = Path(__file__).resolve().parent
NAMES = ('annotation_reader', 'checkpoint_reader', 'config_reader')
EXAMPLES = 6000 if os.environ.get('HYPOTHESIS_PROFILE') == 'long' else 300
SPLICES = [b'', b'0', b'-1', b'9' * 400, b'1e999', b'null', b'NaN', b'"', b'\\', b'[', b']', b'{', b'}', b',', b':', b'\0',
           b'\x85', b'.', b'(', b')', b't', b'R', b's', b'}q\x00', b'\x8a\xff', b'<', b'>', b'&', b'\xff', b'\n', b'  ', b'**']
MUTATIONS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 12),
                               st.sampled_from(SPLICES) | st.binary(max_size=4)), max_size=5)


@pytest.fixture(scope='module')
def fuzzers():
    before = list(sys.path)
    sys.path.insert(0, str(HERE))
    try:
        return {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path[:] = before


def mutated(seed, mutations):
    """A seed with pieces cut out and others put in; its first byte, which chooses the reader, stays."""
    kind, content = seed[:1], seed[1:]
    for share, cut, splice in mutations:
        place = int(share * len(content))
        content = content[:place] + splice + content[place + cut:]
    return kind + content


@pytest.mark.parametrize('name', NAMES)
def test_the_seeds_are_read(fuzzers, name):
    for seed in fuzzers[name].seeds():
        fuzzers[name].one_input(seed)


@pytest.mark.parametrize('name', NAMES)
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(choice=st.integers(0, 10**6), mutations=MUTATIONS)
def test_whatever_becomes_of_a_seed_is_read_or_refused_in_one_line(fuzzers, name, choice, mutations):
    seeds = fuzzers[name].seeds()
    fuzzers[name].one_input(mutated(seeds[choice % len(seeds)], mutations))


def test_a_promise_that_is_broken_is_noticed(fuzzers, monkeypatch):
    def broken(*_, **__):
        raise KeyError('x')
    monkeypatch.setattr(fuzzers['config_reader'], 'read_text', broken)
    monkeypatch.setattr(fuzzers['checkpoint_reader'], 'read_checkpoint', broken)
    for name in ('config_reader', 'checkpoint_reader'):
        with pytest.raises(KeyError):
            fuzzers[name].one_input(fuzzers[name].seeds()[0])


def test_without_atheris_a_fuzzer_says_what_to_install():
    name = 'config_reader'
    block = f"import sys, runpy; sys.modules['atheris'] = None; sys.argv = ['{name}.py']; sys.path.insert(0, {str(HERE)!r}); "
    block += f"runpy.run_path({str(HERE / name)!r} + '.py', run_name='__main__')"
    done = subprocess.run([sys.executable, '-c', block], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.splitlines() == ['error: atheris is not here. Run: pip install atheris (it has '
                                                                 'wheels for Linux)']


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
def test_atheris_finds_nothing(name, tmp_path):
    if importlib.util.find_spec('atheris') is None:
        pytest.skip('atheris is not installed')
    done = subprocess.run([sys.executable, str(HERE / f'{name}.py'), '-atheris_runs=20000', '-seed=1'], cwd=tmp_path, text=True,
                          capture_output=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    assert done.returncode == 0 and 'Done 20000' in done.stderr and not list(tmp_path.iterdir()), done.stderr[-3000:]
