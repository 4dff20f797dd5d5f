"""SIGKILL at random moments of training, then --auto-resume: the run ends as if nothing had happened, to the last bit."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmcv_need.checkpoint import read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
TRIALS = Path(__file__).parent / 'kill_trials.py'
ALONE = ('epoch', 'iter', 'everything')
LANES = 2  # programs side by side: each waits now and then
SEED = 20261122


def run_trials(tiny, folder, kills, units, lanes=1):
    """Runs with so many kills in all, by some programs side by side: what each of them found."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    programs, folders = [], [folder / str(lane) for lane in range(lanes)]
    try:
        for lane, own in enumerate(folders):
            own.mkdir()
            config = own / 'tiny.py'
            config.write_text(tiny.read_text())
            words = [sys.executable, TRIALS, config, own, kills // lanes, SEED + lane, *units]
            programs.append(subprocess.Popen([str(word) for word in words], env=environment, stdout=subprocess.DEVNULL,
                                             stderr=subprocess.PIPE, text=True))
        for program in programs:
            _, errors = program.communicate(timeout=1200)
            assert program.returncode == 0, errors[-3000:]
    finally:
        for program in programs:
            program.kill()
            program.communicate()
    return [json.loads((own / 'results.json').read_text()) for own in folders]


def check_trials(found, kills, iterations):
    """Every run ended as the unbroken one; so many kills, some of them within an epoch."""
    trials = [trial for lane in found for trial in lane['trials']]
    assert [trial for trial in trials if not trial['identical'] or trial['iter'] != iterations] == []
    assert sum(len(trial['kills']) for trial in trials) == kills
    assert sum(trial['within an epoch'] for trial in trials) >= kills / 4
    print(f"{kills} kills of {len(trials)} runs: {[trial['kills'] for trial in trials]}")


@pytest.mark.slow
@pytest.mark.parametrize('kills, lanes', [(9, 1), (200, LANES)])
def test_a_killed_run_ends_with_the_weights_and_the_optimizer_of_an_unbroken_one(tiny, quick_folder, kills, lanes):
    found = run_trials(tiny, quick_folder, kills, ALONE, lanes)
    check_trials(found, kills, 21)
    for lane in found:
        assert lane['units agree']  # how often checkpoints are written changes nothing either
        assert len(lane['best']) == 1 and 0 < lane['scale'] < 2.0 ** 24  # some updates were left out


@pytest.mark.slow
def test_four_processes_of_which_any_are_killed_end_as_if_none_had_been(tiny, quick_folder, same):
    """One of them, the one that started them, or all; the processes of the unbroken run are really started, not forked."""
    check_trials(run_trials(tiny, quick_folder, 30, ['ranks']), 30, 20)
    options = ['log_config.interval=1', 'checkpoint_config.interval=2', 'checkpoint_config.by_epoch=False',
               'data.samples_per_gpu=2', 'runner.max_epochs=5']
    words = [tiny, '--work-dir', quick_folder / 'real', '--seed', 3, '--device', 'cpu', '--gpus', 4, '--cfg-options', *options]
    subprocess.run([sys.executable, 'tools/train.py', *map(str, words)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, 'OMP_NUM_THREADS': '1'}, timeout=300)
    real, forked = (read_checkpoint(str(quick_folder / name / 'latest.pth')) for name in ('real', '0/unbroken_ranks'))
    assert real['meta']['world_size'] == 4 and isinstance(real['ranks'][3]['random'], dict)
    assert all(same(real[key], forked[key]) for key in ('state_dict', 'optimizer'))
    assert [same(a['random'], b['random']) for a, b in zip(real['ranks'], forked['ranks'])] == [True] * 4
    assert any(torch.is_tensor(value) for value in real['state_dict'].values())
