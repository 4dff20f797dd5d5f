"""The environment of the torch 1.8 line: of a Python that was chosen, beside the one that is active."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('python', ['/no/such/python3.8', sys.executable if sys.version_info[:2] != (3, 8) else '/bin/sh'])
def test_without_a_python_3_8_the_script_fails_and_says_so(run, python):
    result = run('bash', 'tests/run_1_8.sh', cwd=ROOT, PYTHON_3_8=python)
    assert result.returncode == 1 and result.stdout == ''
    line, = result.stderr.splitlines()
    assert line.startswith(f'tests/run_1_8.sh: no Python 3.8 with venv: looked at {python}. Install one')
    assert 'PYTHON_3_8=/path/to/python3.8' in line


def test_a_chosen_python_gets_an_environment_of_its_own_whose_pins_hold(clone, run):
    (clone / 'requirements.txt').write_text('')
    query = f'source tools/python_env.sh; python_env requirements.txt .venv_own "{sys.executable}"; echo "$PYTHON"'
    result = run('bash', '-euo', 'pipefail', '-c', query, cwd=clone)
    python = clone / '.venv_own/bin/python'
    assert result.stdout == f'{python}\n', result.stderr
    assert python.exists() and not (clone / '.venv').exists()
    (clone / 'requirements.txt').write_text('pip==0.0.1\n')
    query = f'source tools/python_env.sh; env_query "{python}" missing requirements.txt'
    assert run('bash', '-c', query, cwd=clone).stdout == 'pip==0.0.1\n'
