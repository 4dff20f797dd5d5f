"""The environment of CANN: found where it lies, defaults that give way to what is set, nothing where there is none."""
from __future__ import annotations

import json

import pytest

STRICT = 'set -euo pipefail; source test/env_npu.sh; echo "$-"; env'


@pytest.fixture
def cann(cards, monkeypatch):
    """Puts a set_env.sh, as careless as the real one, into a layout below the folder that stands for /usr/local/Ascend."""
    monkeypatch.setenv('ASCEND_INSTALL_PATH', str(cards / 'Ascend'))
    for name in ('TASK_QUEUE_ENABLE', 'HCCL_CONNECT_TIMEOUT', 'HCCL_WHITELIST_DISABLE'):
        monkeypatch.delenv(name, raising=False)

    def put(layout):
        (cards / 'Ascend' / layout).mkdir(parents=True)
        (cards / 'Ascend' / layout / 'set_env.sh').write_text(
            f'false\nexport CANN={layout} LD_LIBRARY_PATH=lib:$A_NAME_THAT_IS_NOT_SET\n')
    return put


def values(result):
    return dict(line.split('=', 1) for line in result.stdout.splitlines() if '=' in line)


@pytest.mark.parametrize('layout', ['cann', 'ascend-toolkit', 'nnae'])
def test_every_layout_is_found_and_the_callers_strictness_stays(cards, run, cann, layout):
    cann(layout)
    result = run('bash', '-c', STRICT, cwd=cards)
    assert result.returncode == 0, result.stderr
    assert {'e', 'u'} <= set(result.stdout.splitlines()[0])
    assert values(result).items() >= {'CANN': layout, 'TASK_QUEUE_ENABLE': '1', 'HCCL_WHITELIST_DISABLE': '1', 'DYNAMIC_OP':
                                      'ADD#MUL', 'COMBINED_ENABLE': '1', 'PTCOPY_ENABLE': '1', 'ASCEND_GLOBAL_LOG_LEVEL': '3',
                                      'ASCEND_SLOG_PRINT_TO_STDOUT': '0', 'ASCEND_GLOBAL_EVENT_ENABLE': '0'}.items()
    assert 'HCCL_IF_IP' not in values(result)


def test_the_newest_layout_comes_first_and_an_active_environment_before_all(cards, run, cann):
    for layout in ('nnae', 'ascend-toolkit', 'cann'):
        cann(layout)
    assert values(run('bash', '-c', STRICT, cwd=cards))['CANN'] == 'cann'
    assert 'CANN' not in values(run('bash', '-c', STRICT, cwd=cards, ASCEND_TOOLKIT_HOME='/opt/mine'))


def test_what_is_set_stays(cards, run, cann):
    cann('cann')
    result = run('bash', '-c', STRICT, cwd=cards, TASK_QUEUE_ENABLE='2', HCCL_CONNECT_TIMEOUT='600')
    assert values(result).items() >= {'TASK_QUEUE_ENABLE': '2', 'HCCL_CONNECT_TIMEOUT': '600'}.items()


def test_a_machine_without_cann_is_left_as_it_is(cards, run, cann):
    result = run('bash', '-c', STRICT, cwd=cards)
    assert result.returncode == 0, result.stderr
    assert not [name for name in values(result) if name.startswith(('HCCL', 'TASK_QUEUE'))]


def test_the_devices_logs_are_quietened_where_the_command_exists(cards, run, cann, monkeypatch):
    cann('cann')
    tool = cards / 'bin/msnpureport'
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$@" >>"{cards}/reported.txt"\nexit 1\n')
    tool.chmod(0o755)
    monkeypatch.setenv('PATH', str(tool.parent), prepend=':')
    assert run('bash', '-c', STRICT, cwd=cards).returncode == 0
    assert (cards / 'reported.txt').read_text().splitlines() == [*(f'-g error -d {i}' for i in range(8)), '-e disable']


@pytest.mark.parametrize('flags, environment, sourced', [
    ((), {}, True), (('--device=npu',), {}, True), (('--device=cpu',), {}, False), (('--device=cuda',), {}, False),
    ((), {'etp_running_flag': 'true'}, False), ((), {'etp_running_flag': 'false'}, True)])
def test_scripts_take_it_where_it_can_matter(cards, run, cann, flags, environment, sourced):
    cann('cann')
    result = run('bash', 'test/train_full_8p.sh', '--data_path=shapes', *flags, cwd=cards, **environment)
    assert result.returncode == 0, result.stderr
    assert ('CANN' in json.loads((cards / 'called.json').read_text())['environment']) is sourced
