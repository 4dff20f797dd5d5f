"""Start-up: importing the toolkit beside importing torch, each in a process of its own."""
from __future__ import annotations

import os
import subprocess
import sys
from typing import Dict, Iterator, List

from benchmarks.interleaved import Measure, interleave
from benchmarks.settings import ROOT, Settings

PROGRAMS = {
    'import torch': 'import torch',
    'from mmdet.apis import train_detector': 'from mmdet.apis import train_detector',
    'python tools/train.py --help': "import runpy, sys; sys.argv = ['train.py', '--help']; "
                                    "runpy.run_path('tools/train.py', run_name='__main__')"}
# The peak of the process's memory in KB, of its own: getrusage would count what its parent had when it was forked.
REPORT = ('import atexit, re; atexit.register(lambda: print(re.search(r"VmHWM:\\s+(\\d+)", '
          'open("/proc/self/status").read()).group(1)))\n' if os.path.exists('/proc/self/status') else '')


def measure(settings: Settings) -> Iterator[Measure]:
    """Seconds, and MB of a process."""
    memory: Dict[str, List[float]] = {name: [] for name in PROGRAMS}

    def start(name: str) -> None:
        environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
        done = subprocess.run([sys.executable, '-c', REPORT + PROGRAMS[name]], cwd=ROOT, env=environment, check=True,
                              stdout=subprocess.PIPE, text=True)
        if REPORT:
            memory[name].append(int(done.stdout.split()[-1]) / 1024)

    seconds = interleave({name: (lambda name=name: start(name)) for name in PROGRAMS}, settings.rounds,
                         warm_up=0 if settings.small else 1)
    torch_alone, *ours = PROGRAMS
    for name in ours:
        yield Measure('startup', name, 's', seconds[name], torch_alone, seconds[torch_alone])
    beyond = [one - other for one, other in zip(seconds[ours[0]], seconds[torch_alone])]
    yield Measure('startup', f'{ours[0]}, beyond torch', 's', beyond, target='' if settings.small else '<= 0.5')
    for name in PROGRAMS if REPORT else ():
        yield Measure('startup', f'{name}: memory', 'MB', memory[name][-settings.rounds:])
