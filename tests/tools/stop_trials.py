"""Runs of tools/train.py that get signals, from a program that has imported everything and forks a child for each.

    python stop_trials.py CONFIG FOLDER KIND=COUNT ...      writes what became of so many trials to FOLDER/results.json

Ranks of a run of two processes are forked, too, where the launcher would start new interpreters; all else is as it is.
(A process that has used more than one OpenMP thread cannot fork.)
"""
from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from multiprocessing import resource_tracker
from pathlib import Path
from types import SimpleNamespace

from process_tree import descendants, stat

ROOT = Path(__file__).resolve().parents[2]
ITERS, EPOCHS, SEED = 7, 3, 20261127
LONG = 10 ** 6  # epochs of a run that only a signal ends


def steps_done(folder):
    """(epoch, iteration) of every training record in the logs of a work directory."""
    lines = [line for path in sorted(folder.glob('*.log.json')) for line in path.read_text().split('\n') if '"train"' in line]
    return [(record['epoch'], record['iter']) for record in map(json.loads, filter(lambda line: line.endswith('}'), lines))]


def wait_until(true, what, seconds=300):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.005)


class Run:
    """A child that trains in a process group of its own.

    Args:
        train: tools/train.py as a module.
        config: of the run.
        folder: its work directory.
        ranks: how many processes.
        epochs: how many; the log interval is one.
        slow: 'evaluating': an evaluation takes a second for each batch; 'starting': it takes a minute from there to the first
            step. A file of that name in the folder says that it has begun.
    """

    def __init__(self, train, config, folder, ranks, epochs=EPOCHS, slow=None):
        words = [config, '--work-dir', folder, '--seed', 3, '--device', 'cpu', '--auto-resume',
                 *(['--gpus', ranks] if ranks > 1 else []), '--cfg-options', 'log_config.interval=1', 'data.workers_per_gpu=1',
                 'checkpoint_config.interval=2', f'data.samples_per_gpu={4 // ranks}', 'data.val_dataloader.samples_per_gpu=1',
                 f'runner.max_epochs={epochs}']
        self.folder, self.ranks, self.said = folder, ranks, folder.parent / f'{folder.name}.txt'
        self.before = len(steps_done(folder))
        self.pid = os.fork()
        if self.pid == 0:
            self._train(train, list(map(str, words)), slow)

    def _train(self, train, words, slow):
        from mmcv_need import stop_signals
        from mmcv_need.epoch_based_runner import EpochBasedRunner
        from mmdet.apis import endings, test
        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            output = os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(output, 1)
            os.dup2(output, 2)
            if slow == 'evaluating':
                self._slow_down(test, 'detect', slow, 1)
            elif slow == 'starting':
                self._slow_down(EpochBasedRunner, '_check_hooks', slow, 60)
            stop_signals.leave_at_once()
            status = endings.ended(train.main, words)
        except BaseException as error:
            os.write(2, f'{type(error).__name__}: {error}\n'.encode())
            status = 99
        for child in multiprocessing.active_children():  # as an interpreter does at its end
            child.terminate()
            child.join()
        os._exit(status)

    def _slow_down(self, owner, name, file, seconds):
        function = getattr(owner, name)

        def slowly(*given):
            (self.folder / file).touch()
            time.sleep(seconds)
            return function(*given)
        setattr(owner, name, slowly)

    def wait_for_file(self, name):
        wait_until(lambda: (self.folder / name).exists() or self.ended(), f'it is not {name}')
        assert not self.ended(), self.said.read_text()[-3000:]

    def wait_for_steps(self, count):
        wait_until(lambda: len(steps_done(self.folder)) - self.before >= count or self.ended(), 'no steps')
        assert not self.ended(), self.said.read_text()[-3000:]

    def ended(self):
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def send(self, number, target):
        """Signal the program, its group, or one of the ranks, as `target` says; the processes that there were."""
        seen = descendants(self.pid)
        if target == 'group':
            os.killpg(self.pid, number)
        else:
            ranks = [pid for pid in seen if stat(pid) and stat(pid)[1] == self.pid]
            os.kill(self.pid if target == 'program' else ranks[int(target)], number)
        return seen

    def end(self, seen=()):
        """(status, seconds until nobody was left, who was left after ten)."""
        started = time.monotonic()
        wait_until(self.ended, f'{self.folder.name} does not end')
        status = os.waitpid(self.pid, 0)[1]
        while any(map(stat, seen)) and time.monotonic() - started < 10:
            time.sleep(0.01)
        left = [pid for pid in seen if stat(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return (os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status),
                time.monotonic() - started, len(left))


def outcome(folder):
    """What the next iteration after the last checkpoint would depend on, and the numbers in the log but for times."""
    from mmcv_need.checkpoint import find_latest
    content = find_latest(str(folder)).content
    records = {}
    for path in sorted(folder.glob('*.log.json')):
        for record in map(json.loads, path.read_text().splitlines()):
            if 'mode' in record:
                kept = {key: value for key, value in record.items() if key not in ('time', 'data_time')}
                records[record['mode'], record['epoch'], record['iter']] = kept
    return {'iter': content['meta']['iter'], 'random': [rank['random'] for rank in content['ranks']],
            'records': [records[key] for key in sorted(records)], **{key: content[key] for key in ('state_dict', 'optimizer')}}


def identical(a, b):
    import torch
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.numpy().tobytes() == b.numpy().tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(identical(a[key], b[key]) for key in a)
    return len(a) == len(b) and all(map(identical, a, b)) if isinstance(a, (list, tuple)) else a == b


class Trials:
    """The kinds of trials; each gives plain data of one."""

    def __init__(self, train, config, folder):
        self.new = lambda name, ranks, **given: Run(train, config, folder / name, ranks, **given)
        self.folder, self.wholes = folder, {}
        self.rng = random.Random(SEED)

    def whole(self, ranks):
        """The outcome of an unbroken run."""
        if ranks not in self.wholes:
            run = self.new(f'whole_{ranks}', ranks)
            assert run.end()[0] == 0, run.said.read_text()[-3000:]
            self.wholes[ranks] = outcome(run.folder)
        return self.wholes[ranks]

    def gone_on_with(self, name, ranks):
        """Whether the same command ends the run as an unbroken one."""
        run = self.new(name, ranks)
        status = run.end()[0]
        assert status == 0, run.said.read_text()[-3000:]
        return identical(outcome(run.folder), self.whole(ranks))

    def left(self, run, seen):
        status, seconds, left = run.end(seen)
        return {'ranks': run.ranks, 'status': status, 'seconds': seconds, 'left': left, 'steps': len(steps_done(run.folder)),
                'checkpoints': sorted(path.name for path in run.folder.glob('*_*.pth')),
                'torn': [path.name for path in run.folder.glob('*.tmp.*')],
                'traceback': 'Traceback' in run.said.read_text(), 'said': run.said.read_text().splitlines()[-20:]}

    def stop(self, number):
        """SIGTERM or SIGUSR1 at a random moment, to whom it may reach; then the same command again."""
        ranks = 1 + number % 2
        targets = ['program', 'group'] if ranks == 1 else ['program', '0', '1', 'group']
        target = targets[number // 2 % len(targets)]
        asked = self.rng.choice([signal.SIGTERM, signal.SIGUSR1])
        run = self.new(f'stop_{number}', ranks)
        run.wait_for_steps(self.rng.randint(1, ITERS * EPOCHS - 6))
        time.sleep(self.rng.uniform(0, 0.05))
        found = self.left(run, run.send(asked, target))
        return {**found, 'target': target, 'signal': asked.name, 'identical': self.gone_on_with(f'stop_{number}', ranks)}

    def interrupt(self, number):
        """One Ctrl-C, in a terminal."""
        ranks = 1 + number % 2
        run = self.new(f'interrupt_{number}', ranks)
        run.wait_for_steps(3)
        found = self.left(run, run.send(signal.SIGINT, 'group'))
        return {**found, 'identical': self.gone_on_with(f'interrupt_{number}', ranks)}

    def interrupt_twice(self, number):
        run = self.new(f'twice_{number}', 1 + number % 2, epochs=LONG, slow='evaluating')
        run.wait_for_file('evaluating')  # it would take a second to leave that
        seen = run.send(signal.SIGINT, 'group')
        wait_until(lambda: 'Ctrl-C again' in run.said.read_text(), 'it says nothing')
        seen += run.send(signal.SIGINT, 'group')
        return self.left(run, seen)

    def evaluating(self, number):
        """A signal during the first evaluation, of eight seconds (four in two processes), to one of the ranks."""
        ranks = 1 + number % 2
        run = self.new(f'evaluating_{number}', ranks, slow='evaluating')
        run.wait_for_file('evaluating')
        found = self.left(run, run.send(signal.SIGTERM, 'program' if ranks == 1 else '1'))
        logs = ''.join(path.read_text() for path in run.folder.glob('*.log.json'))
        return {**found, 'evaluated': 'bbox_mAP' in logs, 'identical': self.gone_on_with(f'evaluating_{number}', ranks)}

    def starting(self, number):
        """A signal before the first step."""
        run = self.new(f'starting_{number}', 1 + number % 2, slow='starting')
        run.wait_for_file('starting')
        return self.left(run, run.send((signal.SIGTERM, signal.SIGINT)[number // 2 % 2], 'group'))

    def orphans(self, number):
        """SIGKILL to the program that started the others, at a random moment."""
        run = self.new(f'orphans_{number}', 2, epochs=LONG)
        run.wait_for_steps(self.rng.randint(1, 4))
        time.sleep(self.rng.uniform(0, 0.1))
        return self.left(run, run.send(signal.SIGKILL, 'program'))


def main(config, folder, wanted):
    import torch

    from mmcv_need import launch
    torch.set_num_threads(1)
    resource_tracker.ensure_running()  # or each launcher would have a child that is no rank
    spec = importlib.util.spec_from_file_location('train', ROOT / 'tools/train.py')
    train = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(train)
    launch.multiprocessing = SimpleNamespace(get_context=lambda _: multiprocessing.get_context('fork'))
    train.main([str(config), '--work-dir', str(folder / 'warm'), '--device', 'cpu', '--max_steps', '1', '--no-validate'])
    trials = Trials(train, config, folder)
    results = {kind: [getattr(trials, kind)(number) for number in range(int(count))] for kind, count in wanted}
    (folder / 'results.json').write_text(json.dumps(results))


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]), [word.split('=') for word in sys.argv[3:]])
