"""What training and testing leave behind: no secret of the environment, nothing that others may read or the group change."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CANARY = 'canary-5f1d'
SECRETS = {name: f'{CANARY}-{i}' for i, name in enumerate((
    'AWS_SECRET_ACCESS_KEY', 'HF_TOKEN', 'WANDB_API_KEY', 'PASSWORD', 'HCCL_SECRET', 'NCCL_PASSWORD', 'ASCEND_TOKEN',
    'TORCH_KEY', 'CUDA_AUTH', 'SLURM_JWT', 'npm_config_auth'))}
PROXIES = {'no_proxy': CANARY, 'FTP_PROXY': f'ftp://user:{CANARY}@127.0.0.1:9'}
HOOKS = "log_config = dict(interval=1, hooks=[dict(type='TextLoggerHook'), dict(type='TensorboardLoggerHook')])"
BROKEN = '''
custom_hooks = [dict(type='CheckInvalidLossHook', interval=1)]
optimizer = dict(lr=1e30)
lr_config = dict(warmup=None)
'''


@pytest.fixture
def tool(monkeypatch):
    """Runs a tool to its end, for a user whose umask leaves everything open; returns what it said."""
    pytest.importorskip('tensorboard')

    def start(status, name, *words, **environment):
        command = [sys.executable, f'tools/{name}.py', *map(str, words), '--device', 'cpu']
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, preexec_fn=lambda: os.umask(0),
                              env={**os.environ, 'OMP_NUM_THREADS': '1', **SECRETS, **PROXIES, **environment})
        assert done.returncode == status, done.stderr[-4000:]
        return done.stdout + done.stderr
    return start


def open_to_others(folder, allowed=0o750):
    """What below a folder has more permissions than a folder may have, and a file but for running it."""
    found = {path: path.lstat().st_mode & 0o777 for path in folder.rglob('*') if not path.is_symlink()}
    return {str(path): oct(mode) for path, mode in found.items() if mode & ~(allowed if path.is_dir() else allowed & 0o666)}


def with_secrets(folder):
    return [str(path) for path in folder.rglob('*') if path.is_file() and CANARY.encode() in path.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize('processes', [1, 2])
def test_it_holds_no_secret_and_is_closed_to_others(tool, tiny, tmp_path, processes):
    config = tmp_path / 'mine.py'
    config.write_text(f'_base_ = [{str(tiny)!r}]\nrunner = dict(max_epochs=1)\ndata = dict(workers_per_gpu=1)\n{HOOKS}\n')
    left = tmp_path / 'left'
    said = tool(0, 'train', config, '--work-dir', left / 'work', '--seed', 3, '--gpus', processes)
    said += tool(0, 'test', config, left / 'work/latest.pth', '--eval', 'bbox', '--out', left / 'found.pkl', '--work-dir',
                 left / 'tested', '--eval-options', f'jsonfile_prefix={left}/found', '--show-dir', left / 'shown')
    config.write_text(config.read_text() + BROKEN)
    said += tool(2, 'train', config, '--work-dir', left / 'broken', '--seed', 3, '--gpus', processes)
    names = {path.name for path in left.rglob('*')}
    assert {'epoch_1.pth', 'last_checkpoint', 'finished.json', 'mine.py', '.lock', 'found.pkl', 'found.bbox.json'} <= names
    assert any(name.startswith('events.out') for name in names) and any(name.startswith('eval_') for name in names)
    assert CANARY not in said and with_secrets(left) == []
    assert 'OMP_NUM_THREADS: 1' in said  # the environment is told of
    assert left.stat().st_mode & 0o777 == 0o750 and open_to_others(left) == {}
    assert CANARY not in str(left) and open_to_others(left, 0o700) != {}  # the group may read


def test_a_user_may_share_with_the_group(tool, tiny, tmp_path):
    left = tmp_path / 'left'
    tool(0, 'train', tiny, '--work-dir', left, '--max_steps', 1, '--no-validate', SSD_UMASK='002')
    assert (left / '.lock').stat().st_mode & 0o777 == (left / 'iter_1.pth').stat().st_mode & 0o777 == 0o664
    assert left.stat().st_mode & 0o777 == 0o775
