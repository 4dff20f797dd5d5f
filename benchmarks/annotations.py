"""Large annotation files: the first reading, later ones, and what further processes hold of their own.

Each reading is a process of its own. The first one of a file is measured once, beside pycocotools reading the same file.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple

from benchmarks.annotation_files import write_annotations
from benchmarks.interleaved import Measure
from benchmarks.settings import ROOT, Settings
from mmdet.datasets.annotation_store import SUFFIX


class File(NamedTuple):
    """Fields:
        name: of the file.
        pictures, boxes: how many.
        polygons: whether each box has one.
        cold, peak, warm: limits in seconds, MB and seconds.
        peer: whether pycocotools reads it, too.
    """
    name: str
    pictures: int
    boxes: int
    polygons: bool
    cold: float
    peak: float
    warm: float
    peer: bool


FILES = (File('as train2017', 118_287, 860_001, True, 10, 1500, 0.3, True),
         File('as Objects365', 1_700_000, 8_000_000, False, float('inf'), 6000, 1, False))
SMALL = (File('small', 3000, 20_000, True, float('inf'), float('inf'), float('inf'), True),)
OURS = """
from mmdet.datasets.coco import CocoDataset
before, start = own(), time.perf_counter()
dataset = CocoDataset(sys.argv[1], [])
report['seconds'] = time.perf_counter() - start
report['own'] = own() - before
report['pictures'] = len(dataset)
rng = np.random.default_rng(0)
for i in rng.integers(0, len(dataset), 3000):
    dataset.get_ann_info(int(i))
report['own after use'] = own() - before
"""
PYCOCOTOOLS = """
from pycocotools.coco import COCO
start = time.perf_counter()
with contextlib.redirect_stdout(io.StringIO()):
    COCO(sys.argv[1])
report['seconds'] = time.perf_counter() - start
"""
PROGRAM = """
import contextlib, io, json, re, sys, time, warnings
import numpy as np
warnings.simplefilter('ignore')

def memory(file, name):
    found = re.search(name + r':\\s+(\\d+)', open(file).read())
    return int(found.group(1)) / 1024

def own():  # of no file: what other processes cannot share
    return memory('/proc/self/smaps_rollup', 'Anonymous')

report = {}
%s
report['peak'] = memory('/proc/self/status', 'VmHWM')
print(json.dumps(report))
"""


def measure(settings: Settings) -> Iterator[Measure]:
    """Seconds, and MB."""
    for file in SMALL if settings.small else FILES:
        path = settings.scratch / f'{file.name.replace(" ", "_")}.json'
        write_annotations(path, file.pictures, file.boxes, file.polygons)
        yield from readings(path, file, settings)
        os.unlink(path)
        os.unlink(f'{path}{SUFFIX}')


def readings(path: Path, file: File, settings: Settings) -> Iterator[Measure]:
    os.utime(path, (10**9, 10**9))  # it has been lying there for long
    cold = run(OURS, path)
    peer = run(PYCOCOTOOLS, path) if file.peer else None
    warm = [run(OURS, path) for _ in range(settings.rounds)]
    what = f'{file.pictures:,} pictures, {file.boxes:,} boxes, {path.stat().st_size / 1e6:.0f} MB'

    def beside(name: str, unit: str, values: List[float], limit: float = float('inf')) -> Measure:
        return Measure('annotations', f'{what}: {name}', unit, values, target=f'<= {limit:g}' if limit < float('inf') else '')

    yield beside('first reading', 's', [cold['seconds']], file.cold)
    yield beside('first reading, peak memory', 'MB', [cold['peak']], file.peak)
    if peer:
        yield Measure('annotations', f'{what}: first reading', 's', [cold['seconds']], 'pycocotools', [peer['seconds']])
        yield Measure('annotations', f'{what}: first reading, peak memory', 'MB', [cold['peak']], 'pycocotools',
                      [peer['peak']], relation='share')
    yield beside('later readings', 's', [found['seconds'] for found in warm], file.warm)
    limit = float('inf') if settings.small or not file.peer else 10
    yield beside('memory of its own of a further process', 'MB', [found['own'] for found in warm], limit)
    yield beside('the same after 3,000 pictures', 'MB', [found['own after use'] for found in warm], limit)


def run(program: str, path: Path) -> Dict[str, Any]:
    """What a program reports, in a process of its own."""
    done = subprocess.run([sys.executable, '-c', PROGRAM % program, str(path)], check=True, stdout=subprocess.PIPE, text=True,
                          cwd=ROOT, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    return json.loads(done.stdout)
