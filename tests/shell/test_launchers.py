"""tools/dist_*.sh and slurm_*.sh: MMDetection's arguments and variables, and what they start."""
from __future__ import annotations

import pytest

USAGES = {'dist_train': 'CONFIG GPUS', 'dist_test': 'CONFIG CHECKPOINT GPUS',
          'slurm_train': 'PARTITION JOB_NAME CONFIG WORK_DIR', 'slurm_test': 'PARTITION JOB_NAME CONFIG CHECKPOINT'}


@pytest.fixture
def started(clone, run, monkeypatch):
    """Runs a script with programs that only print what they are asked; gives the words."""
    for name in ('NNODES', 'NODE_RANK', 'PORT', 'MASTER_ADDR', 'PYTHON', 'GPUS', 'GPUS_PER_NODE', 'CPUS_PER_TASK', 'GRES',
                 'SRUN_ARGS'):
        monkeypatch.delenv(name, raising=False)
    (clone / 'bin').mkdir()
    for program in ('python', 'srun', 'my python'):
        path = clone / 'bin' / program
        path.write_text(f'#!/bin/sh\n[ "$1" != -c ] || exit "${{NO_TORCHRUN:-0}}"\nprintf "%s\\n" "{program}" "$@"\nexit 7\n')
        path.chmod(0o755)
    monkeypatch.setenv('PATH', str(clone / 'bin'), prepend=':')

    def call(script, *arguments, **environment):
        result = run('bash', f'tools/{script}.sh', *arguments, cwd=clone, **environment)
        assert result.returncode == 7, result.stderr  # that of what was started
        return result.stdout.splitlines()
    return call


def test_on_one_machine_no_port_is_needed(started):
    assert started('dist_train', 'c.py', '8', '--seed', '1', 'a b') == [
        'python', 'tools/train.py', '--gpus', '8', 'c.py', '--seed', '1', 'a b']
    assert started('dist_test', 'c.py', 'w.pth', '2', '--eval', 'bbox', PORT='29501') == [
        'python', 'tools/test.py', '--gpus', '2', 'c.py', 'w.pth', '--eval', 'bbox']


def test_several_machines_meet_by_torchrun(started):
    nodes = {'NNODES': '2', 'NODE_RANK': '1', 'MASTER_ADDR': '10.0.0.1', 'PORT': '23333'}
    meeting = ['--nnodes', '2', '--node_rank', '1', '--master_addr', '10.0.0.1', '--master_port',
               '23333', '--nproc_per_node', '8']
    end = ['tools/train.py', '--launcher', 'pytorch', 'c.py', '--amp']
    assert started('dist_train', 'c.py', '8', '--amp', **nodes) == ['python', '-m', 'torch.distributed.run', *meeting, *end]
    assert started('dist_train', 'c.py', '8', '--amp', **nodes, NO_TORCHRUN='1') == [  # torch 1.8
        'python', '-m', 'torch.distributed.launch', '--use_env', *meeting, *end]
    assert started('dist_train', 'c.py', '8', NNODES='2')[3:11] == [
        '--nnodes', '2', '--node_rank', '0', '--master_addr', '127.0.0.1', '--master_port', '29500']


def test_the_interpreter_can_be_chosen(started, clone):
    assert started('dist_train', 'c.py', '1', PYTHON=f'{clone}/bin/my python')[0] == 'my python'
    assert 'other' in started('slurm_train', 'p', 'j', 'c.py', 'w', PYTHON='other')


def test_slurm_gets_a_task_for_each_card(started):
    assert started('slurm_train', 'part', 'job', 'c.py', 'work', '--seed', '1') == [
        'srun', '-p', 'part', '--job-name=job', '--ntasks=8', '--ntasks-per-node=8', '--cpus-per-task=5', '--gres=gpu:8',
        '--kill-on-bad-exit=1', 'python', '-u', 'tools/train.py', '--launcher', 'slurm', 'c.py', '--work-dir', 'work', '--seed',
        '1']
    assert started('slurm_test', 'part', 'job', 'c.py', 'w.pth', '--eval', 'bbox', GPUS='4', CPUS_PER_TASK='2', GRES='',
                   SRUN_ARGS='--time=1:00:00 --exclusive') == [
        'srun', '-p', 'part', '--job-name=job', '--ntasks=4', '--ntasks-per-node=4', '--cpus-per-task=2',
        '--kill-on-bad-exit=1', '--time=1:00:00', '--exclusive', 'python', '-u', 'tools/test.py', '--launcher', 'slurm', 'c.py',
        'w.pth', '--eval', 'bbox']
    words = started('slurm_train', 'p', 'j', 'c.py', 'w', GPUS='16', GPUS_PER_NODE='4', GRES='npu:4')
    assert words[4:8] == ['--ntasks=16', '--ntasks-per-node=4', '--cpus-per-task=5', '--gres=npu:4']


@pytest.mark.parametrize('script', USAGES)
def test_too_few_arguments_get_the_usage(clone, run, script):
    given = ['x'] * (len(USAGES[script].split()) - 1)
    result = run('bash', f'tools/{script}.sh', *given, cwd=clone)
    assert result.returncode == 2 and not result.stdout
    assert f'{script}.sh: {len(given) + 1} arguments or more are needed, got {len(given)}; usage: bash tools/{script}.sh ' \
           f'{USAGES[script]} [' in result.stderr


@pytest.mark.parametrize('script, arguments, environment, complaint', [
    ('dist_train', ('c.py', '0'), {}, "GPUS must be a whole number of 1 or more, got '0'"),
    ('dist_train', ('c.py', 'a[$(touch owned)]'), {}, 'GPUS must be'),
    ('dist_train', ('c.py', '1'), {'NNODES': 'x[$(touch owned)]'}, 'NNODES must be'),
    ('dist_train', ('c.py', '1'), {'NNODES': '2', 'NODE_RANK': '2'}, 'of NNODES=2 machines the last is 1'),
    ('dist_test', ('c.py', 'w.pth', '1'), {'PORT': '$(touch owned)'}, 'PORT must be'),
    ('slurm_train', ('p', 'j', 'c.py', 'w'), {'GPUS': 'a[$(touch owned)]'}, 'GPUS must be a whole number'),
    ('slurm_test', ('p', 'j', 'c.py', 'w'), {'CPUS_PER_TASK': '0'}, 'CPUS_PER_TASK must be a whole number'),
])
def test_a_number_that_is_none_is_refused(clone, run, script, arguments, environment, complaint):
    result = run('bash', f'tools/{script}.sh', *arguments, cwd=clone, **environment)
    assert result.returncode == 2 and complaint in result.stderr
    assert not list(clone.rglob('owned'))
