"""Trains by tools/train.py, kills it at random moments until it has been killed so often, and compares what is left.

A program of its own (test_kill_and_resume.py): it imports everything once, trains once without being disturbed, and then forks
a child for every attempt; the processes of a run of several are forked too. (A process that has used more than one OpenMP
thread cannot fork.)

    kill_trials.py CONFIG FOLDER KILLS SEED UNIT...
"""
from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch

from mmcv_need.checkpoint import read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {
    'epoch': ['checkpoint_config.interval=1'],
    'iter': ['checkpoint_config.interval=3', 'checkpoint_config.by_epoch=False', 'checkpoint_config.max_keep_ckpts=2'],
    'everything': [],
    'ranks': ['checkpoint_config.interval=2', 'checkpoint_config.by_epoch=False', 'checkpoint_config.max_keep_ckpts=2',
              'data.samples_per_gpu=2', 'runner.max_epochs=5'],
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
RANKS = 4
KILLS_A_RUN = 4, 8  # then it is left alone
VICTIMS = ('rank', 'launcher', 'all')  # of a run of several processes
DEADLINE = 60  # seconds: a run whose processes are not gone by then hangs


lengths = {}  # unit -> iterations of an epoch


def arguments(config, folder, unit):
    config = config.parent / 'everything.py' if unit == 'everything' else config
    return [str(config), '--work-dir', str(folder), '--seed', '3', '--device', 'cpu', '--auto-resume',
            *(['--gpus', str(RANKS)] if unit == 'ranks' else []), '--cfg-options', 'log_config.interval=1', *OPTIONS[unit]]


def steps_done(folder):
    """(epoch, iteration) of every training record in the logs of a work directory, in the order in which they were written."""
    lines = [line for path in sorted(folder.glob('*.log.json')) for line in path.read_text().split('\n') if '"train"' in line]
    return [(json.loads(line)['epoch'], json.loads(line)['iter']) for line in lines if line.endswith('}')]


def start(train, config, folder, unit):
    """A child that trains, as a session of its own; what it says is added to a file beside its work directory."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.setsid()
        said = os.open(f'{folder}.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        status = train.main(arguments(config, folder, unit)) or 0
    except SystemExit as error:
        status = error.code
    except BaseException as error:
        print(f'{type(error).__name__}: {error}', file=sys.stderr)
    finally:
        os._exit(status)


def children(pid):
    with suppress(OSError):
        return [int(word) for word in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]
    return []


def gone(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] in 'ZX'
    except OSError:
        return True


def wait_until(true, what):
    end = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.002)


def kill(child, victim, rng):
    """Kills one process of a run, or all; returns when all are gone: its exit status."""
    ranks = children(child)
    for pid in {'rank': rng.sample(ranks, min(1, len(ranks))) or [child], 'launcher': [child], 'all': [*ranks, child]}[victim]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    ended = []
    wait_until(lambda: ended or ended.extend(filter(None, [os.waitpid(child, os.WNOHANG)])) or ended[-1][0] or ended.clear(),
               f'the run goes on without its {victim}')
    wait_until(lambda: all(map(gone, ranks)), f'ranks outlive their {victim}')
    return ended[-1][1]


def attempt(train, config, folder, unit, moment=None, rng=None):
    """Trains in a child; with a `moment`, kills it: (iterations that the run must have done first, or 0; seconds after that).

    Returns:
        (epoch, iteration) where it was killed; None if it came to its end.
    """
    if (folder / 'finished.json').exists():  # the last kill came when all was written
        return None
    child = start(train, config, folder, unit)
    if moment is None:
        status = os.waitpid(child, 0)[1]
        assert status == 0, f'the run ended with status {status}: {Path(f"{folder}.txt").read_text()[-2000:]}'
        return None
    steps, seconds = moment
    before = len(steps_done(folder))
    wait_until(lambda: not steps or gone(child) or any((epoch - 1) * lengths[unit] + iteration >= steps
                                                       for epoch, iteration in steps_done(folder)[before:]), 'no step is done')
    time.sleep(seconds)
    status = kill(child, rng.choice(VICTIMS) if unit == 'ranks' else 'launcher', rng)
    if status == 0:  # it was done already
        return None
    said = Path(f'{folder}.txt').read_text()[-2000:]
    told = os.WEXITSTATUS(status) == 128 + signal.SIGKILL and 'was killed by SIGKILL' in said
    assert os.WIFSIGNALED(status) or told, said
    return (steps_done(folder) or [(1, 0)])[-1]


def trial(train, config, folder, unit, seconds, most, rng):
    """A run that is killed up to `most` times and then left alone: where it was killed.

    The first time it is killed within an epoch; after that whenever, of the `seconds` that an unbroken run takes, and if it is
    only starting.
    """
    kills = []
    for number in range(min(most, rng.randint(*KILLS_A_RUN))):
        steps, share = (0, 0.35) if number else (rng.randint(1, lengths[unit] - 1), 0.03)
        moment = steps, rng.uniform(0, share * seconds)
        place = attempt(train, config, folder, unit, moment, rng)
        if place is None:
            return kills
        kills.append(place)
    attempt(train, config, folder, unit)
    return kills


def final(folder):
    """All that a run must end with as the unbroken one does, and the meta of its last checkpoint."""
    content = read_checkpoint(str(folder / 'latest.pth'))
    kept = {'random': [rank['random'] for rank in content['ranks']], 'optimizer': content['optimizer'],
            **{key: content.get(key) for key in ('state_dict', 'training_state_dict', 'loss_scaler', 'open_step')}}
    best = sorted(folder.glob('best_*'))
    kept['best'] = [(path.name, read_checkpoint(str(path))['state_dict']) for path in best]
    return kept, content['meta']


def identical(a, b):
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(identical(a[key], b[key]) for key in a)
    return all(map(identical, a, b)) and len(a) == len(b) if isinstance(a, (list, tuple)) else a == b


def main(config, folder, kills, seed, *units):
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location('train', ROOT / 'tools/train.py')
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    train.main([*arguments(config, folder / 'warm', 'epoch'), '--max_steps', '1', '--no-validate'])
    (config.parent / 'everything.py').write_text(EVERYTHING.format(base=str(config)))
    spawn = torch.multiprocessing.get_context
    torch.multiprocessing.get_context = lambda method=None: spawn('fork')  # all is imported, and no device was opened

    references, seconds = {}, {}
    for unit in units:
        began = time.monotonic()
        attempt(train, config, folder / f'unbroken_{unit}', unit)
        seconds[unit] = time.monotonic() - began
        references[unit], meta = final(folder / f'unbroken_{unit}')
        lengths[unit] = meta['epoch_len']
    rng, results, total = random.Random(seed), [], 0
    while total < kills:
        unit, work_dir = units[len(results) % len(units)], folder / f'trial_{len(results)}'
        work_dir.mkdir()
        places = trial(train, config, work_dir, unit, seconds[unit], kills - total, rng)
        state, meta = final(work_dir)
        total += len(places)
        within = sum(0 < iteration < lengths[unit] for _, iteration in places)
        results.append({'unit': unit, 'kills': places, 'within an epoch': within, 'iter': meta['iter'],
                        'identical': identical(state, references[unit])})
        shutil.rmtree(work_dir)
    alike = {'epoch', 'iter'} <= set(units) and identical(references['epoch'], references['iter'])
    (folder / 'results.json').write_text(json.dumps({
        'trials': results, 'units agree': alike,
        'scale': references['everything']['loss_scaler']['scale'] if 'everything' in units else None,
        'best': [name for state in references.values() for name, _ in state['best']]}))


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
