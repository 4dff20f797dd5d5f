"""tools/train.py and tools/test.py in two processes under torchrun, on the CPU."""
from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def torchrun(*words):
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', *map(str, words),
               '--launcher', 'pytorch', '--device', 'cpu']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, env=environment)
    assert done.returncode == 0, done.stderr[-8000:]
    return done


@pytest.fixture(scope='module')
def run(tiny, tmp_path_factory):
    """The work directory of a run of two processes, and what it said on stderr."""
    folder = tmp_path_factory.mktemp('two')
    done = torchrun('tools/train.py', tiny, '--work-dir', folder, '--seed', '2', '--cfg-options', 'runner.max_epochs=2',
                    'data.samples_per_gpu=2', 'remark=1', 'data.train.classes=[square,circle,triangle,ring,cross,diamond]')
    return folder, done.stderr


@pytest.fixture(scope='module')
def work(run):
    return run[0]


@pytest.mark.parametrize('words', ['remark: nothing reads this key', 'labels follow the order of the file', 'dist_params'])
def test_a_warning_is_said_by_one_of_the_two(run, words):
    assert len([line for line in run[1].splitlines() if words in line]) == 1


@pytest.mark.slow
def test_half_precision_trains_in_two_processes_too(work, tiny, tmp_path):
    torchrun('tools/train.py', tiny, '--work-dir', tmp_path, '--seed', '2', '--no-validate', '--max_steps', 4,
             '--cfg-options', 'data.samples_per_gpu=2', 'fp16.loss_scale=512.')
    assert 'Precision: O1, float32 weights, float16' in next(tmp_path.glob('*.log')).read_text()
    records = [[json.loads(line) for line in next(folder.glob('*.log.json')).read_text().splitlines()][1:3]
               for folder in (tmp_path, work)]
    losses, exact = ([record['loss'] for record in half] for half in records)
    assert losses == pytest.approx(exact, rel=0.1) and losses != exact


def test_two_processes_leave_one_log_and_one_set_of_checkpoints(work):
    assert len(list(work.glob('*.log.json'))) == 1
    assert sorted(path.name for path in work.glob('*.pth')) == ['epoch_1.pth', 'epoch_2.pth', 'latest.pth']


def test_two_processes_and_one_find_what_the_training_run_found(work, tiny, tools, capsys):
    logged = [json.loads(line) for line in next(work.glob('*.log.json')).read_text().splitlines()]
    expected = {key: value for key, value in logged[-1].items() if key.startswith('bbox_')}
    done = torchrun('tools/test.py', tiny, work / 'latest.pth', '--eval', 'bbox')
    printed = re.findall(r"\{'bbox_mAP'.*\}", done.stdout)
    assert len(printed) == 1 and ast.literal_eval(printed[0]) == expected
    tools.test(str(tiny), str(work / 'latest.pth'), '--eval', 'bbox', '--device', 'cpu')
    assert ast.literal_eval(re.findall(r"\{'bbox_mAP'.*\}", capsys.readouterr().out)[0]) == expected
    said = [line for line in done.stderr.splitlines() if 'dist_params' in line]
    assert len(said) == 1 and said[0].endswith("dist_params.backend='nccl' is not for cpu; the processes use 'gloo'")
