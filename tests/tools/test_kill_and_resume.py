"""SIGKILL at random moments of training, then --auto-resume: the run ends as if nothing had happened, to the last bit.

The trials run in a process of their own, this file as a program: it imports everything once, trains once without being
disturbed, and then forks a child for every attempt. (A process that has used more than one OpenMP thread cannot fork.)
"""
from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEED = 20261122
OPTIONS = {
    'epoch': ['checkpoint_config.interval=1'],
    'iter': ['checkpoint_config.interval=3', 'checkpoint_config.by_epoch=False', 'checkpoint_config.max_keep_ckpts=2'],
}
# The third kind of run has all that an engine may have to remember, is saved after every iteration, and loads in a process.
EVERYTHING = '''
_base_ = {base!r}
precision = dict(opt_level='O1', dtype='float16', loss_scale=dict(init_scale=2.0 ** 24, growth_interval=3))
optimizer_config = dict(cumulative_iters=2)
momentum_config = dict(policy='cyclic')
workflow = [('train', 1), ('val', 1)]
custom_hooks = [dict(type='ExpMomentumEMAHook', momentum=0.1, total_iter=5)]
evaluation = dict(save_best='bbox_mAP', rule='greater')
checkpoint_config = dict(max_keep_ckpts=1, minutes=1e-9)
data = dict(workers_per_gpu=1)
'''
OPTIONS['everything'] = []
ITERS, LATEST_KILL = 7, 17  # iterations of an epoch, of three; a kill comes while the last epoch has some left
LAST = {'epoch': 'epoch_3.pth', 'iter': 'iter_21.pth', 'everything': 'epoch_3.pth'}


def arguments(config, folder, unit):
    if unit == 'everything':
        config = config.parent / 'everything.py'
    return [str(config), '--work-dir', str(folder), '--seed', '3', '--device', 'cpu', '--auto-resume',
            '--cfg-options', 'log_config.interval=1', *OPTIONS[unit]]


def steps_done(folder):
    """(epoch, iteration) of every training record in the logs of a work directory, in the order in which they were written."""
    lines = [line for path in sorted(folder.glob('*.log.json')) for line in path.read_text().split('\n') if '"train"' in line]
    return [(json.loads(line)['epoch'], json.loads(line)['iter']) for line in lines if line.endswith('}')]


def attempt(train, config, folder, unit, moment=None):
    """Trains in a child; with a `moment`, kills it (iterations of the run, seconds) after the start of the run."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            train.main(arguments(config, folder, unit))
            status = 0
        except BaseException as error:
            print(f'{type(error).__name__}: {error}', file=sys.stderr)
        finally:
            os._exit(status)
    if moment is not None:
        steps, seconds = moment
        before = len(steps_done(folder))
        while not any((epoch - 1) * ITERS + iteration >= steps for epoch, iteration in steps_done(folder)[before:]):
            time.sleep(0.002)
            assert os.waitpid(child, os.WNOHANG)[0] == 0, 'the run ended before its time'
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) if moment else status == 0, f'the run ended with status {status}'


def trial(train, config, folder, unit, rng):
    """A run that is killed up to three times, at least once in the middle of an epoch, and then left alone; where it was."""
    kills, at_least = [], rng.randint(1, 3)
    while len(kills) < at_least or not any(0 < iteration < ITERS for _, iteration in kills):
        done = max([(epoch - 1) * ITERS + iteration for epoch, iteration in kills], default=0)
        steps = min(done + rng.randint(1, 7), LATEST_KILL)
        attempt(train, config, folder, unit, (steps, rng.uniform(0, 0.15 if unit == 'everything' else 0.05)))
        kills.append(steps_done(folder)[-1])
        assert len(kills) < 20
    attempt(train, config, folder, unit)
    return kills


def main(config, folder, trials):
    import torch

    from mmcv_need.checkpoint import read_checkpoint
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location('train', ROOT / 'tools/train.py')
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    train.main([*arguments(config, folder / 'warm', 'epoch'), '--max_steps', '1', '--no-validate'])
    (config.parent / 'everything.py').write_text(EVERYTHING.format(base=str(config)))

    def final(work_dir, unit):
        content = read_checkpoint(str(work_dir / LAST[unit]))
        kept = {'random': content['ranks'][0]['random'], 'optimizer': content['optimizer'],
                **{key: content.get(key) for key in ('state_dict', 'training_state_dict', 'loss_scaler', 'open_step')}}
        best = sorted(work_dir.glob('best_*'))
        kept['best'] = [(path.name, read_checkpoint(str(path))['state_dict']) for path in best]
        return kept, content['meta']['iter']

    def identical(a, b):
        if isinstance(a, torch.Tensor):
            return a.dtype == b.dtype and a.numpy().tobytes() == b.numpy().tobytes()
        if isinstance(a, dict):
            return list(a) == list(b) and all(identical(a[key], b[key]) for key in a)
        return all(map(identical, a, b)) and len(a) == len(b) if isinstance(a, (list, tuple)) else a == b

    references = {}
    for unit in OPTIONS:
        attempt(train, config, folder / f'unbroken_{unit}', unit)
        references[unit] = final(folder / f'unbroken_{unit}', unit)
    rng = random.Random(SEED)
    results = []
    for number in range(trials):
        unit = list(OPTIONS)[number % len(OPTIONS)]
        expected, iterations = references[unit]
        work_dir = folder / f'trial_{number}'
        work_dir.mkdir()
        kills = trial(train, config, work_dir, unit, rng)
        state, done = final(work_dir, unit)
        results.append({'unit': unit, 'kills': kills, 'identical': identical(state, expected), 'iter': done,
                        'expected': iterations, 'names': sorted(os.listdir(work_dir))})
    units = [references[unit][0] for unit in ('epoch', 'iter')]
    (folder / 'results.json').write_text(json.dumps({
        'trials': results, 'units agree': identical(*units),
        'scale': references['everything'][0]['loss_scaler']['scale'], 'best': len(references['everything'][0]['best'])}))


def run_trials(tiny, folder, trials):
    done = subprocess.run([sys.executable, __file__, str(tiny), str(folder), str(trials)], capture_output=True, text=True,
                          env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads((folder / 'results.json').read_text())


@pytest.mark.parametrize('trials', [3, pytest.param(12, marks=pytest.mark.slow)])
def test_a_killed_run_ends_with_the_weights_and_the_optimizer_of_an_unbroken_one(tiny, tmp_path, trials):
    results = run_trials(tiny, tmp_path, trials)
    assert results['units agree']  # how often checkpoints are written changes nothing either
    assert len(results['trials']) == trials and results['best'] == 1
    assert 0 < results['scale'] < 2.0 ** 24  # some updates were left out
    for result in results['trials']:
        assert result['identical'] and result['iter'] == result['expected'] == 21
        assert any(0 < iteration < ITERS for _, iteration in result['kills'])  # in the middle of an epoch
        assert LAST[result['unit']] in result['names']
    kills = [place for result in results['trials'] for place in result['kills']]
    print(f'{trials} trials, {len(kills)} kills at (epoch, iteration) {kills}')


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
