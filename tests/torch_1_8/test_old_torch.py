"""What works under torch 1.8 alone, and the line that is said where something is missing."""
from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import torch

import mmcv_need
import mmdet
from mmcv_need.checkpoint import read_checkpoint

ROOT = Path(__file__).resolve().parents[2]


def test_every_module_imports(call):
    modules = [info.name for package in (mmcv_need, mmdet)
               for info in pkgutil.walk_packages(package.__path__, f'{package.__name__}.')]
    assert len(modules) > 150
    for name in modules:
        importlib.import_module(name)
    for path in [*(ROOT / 'tools').rglob('*.py'), ROOT / 'calc_fps.py']:
        stdout, _ = call('old', path, '--help') if 'parse_args' in path.read_text() else ('', '')
        assert 'usage' in stdout or 'parse_args' not in path.read_text()


def test_two_processes_train_alike_however_they_are_started(call, tiny, records, tmp_path):
    """By our launcher, which needs no port, and by torch.distributed.launch, which this torch has instead of torchrun."""
    words = ('tools/train.py', tiny, '--seed', 3, '--no-validate', '--device', 'cpu', '--work-dir')
    options = ('--cfg-options', 'runner.max_epochs=1', 'data.samples_per_gpu=2', 'log_config.interval=1')
    call('old', *words, tmp_path / 'ours', '--gpus', 2, *options)
    call('old', '-m', 'torch.distributed.launch', '--use_env', '--nproc_per_node', 2, '--master_port', 29713, *words,
         tmp_path / 'theirs', '--launcher', 'pytorch', *options)
    ours, theirs = (read_checkpoint(str(tmp_path / name / 'epoch_1.pth')) for name in ('ours', 'theirs'))
    assert ours['meta']['world_size'] == 2
    assert all(torch.equal(value, theirs['state_dict'][key]) for key, value in ours['state_dict'].items())
    losses = [record['loss'] for record in records(tmp_path / 'ours')]
    assert len(losses) == 7 and losses == [record['loss'] for record in records(tmp_path / 'theirs')]
    call('new', *words, tmp_path / 'new', '--gpus', 2, *options)
    newer = [record['loss'] for record in records(tmp_path / 'new')]
    assert losses[:3] == pytest.approx(newer[:3], rel=2e-4)  # later steps enlarge roundings
    assert losses == pytest.approx(newer, rel=0.05)


def test_the_tools_that_look_at_a_run_work(call, tiny, trained, tmp_path):
    call('old', 'tools/check_config.py', tiny)
    call('old', 'tools/check_dataset.py', tiny)
    stdout, _ = call('old', 'tools/print_config.py', tiny)
    assert 'SSDHead' in stdout
    stdout, _ = call('old', 'calc_fps.py', next(trained['old'].glob('*.log.json')), 1, 4)
    assert float(re.search(r'[0-9.]+', stdout.splitlines()[-1]).group()) > 0, stdout


@pytest.mark.parametrize('options, line', [
    (['--amp'], 'cannot compute in float16 with torch 1.8.1'),
    (['--cfg-options', "precision.opt_level='O2'", "precision.dtype='bfloat16'"], 'needs torch 1.10 or newer'),
    (['--cfg-options', "compile.backend='inductor'"], 'torch.compile needs torch 2.1 or newer, and this is 1.8.1'),
])
def test_what_is_missing_is_said_in_one_line(call, tiny, tmp_path, options, line):
    _, stderr = call('old', 'tools/train.py', tiny, '--work-dir', tmp_path, '--device', 'cpu', *options, status=2)
    assert line in stderr.splitlines()[-1] and 'Traceback' not in stderr
