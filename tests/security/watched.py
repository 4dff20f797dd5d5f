"""Read files in a process that notes all that it does: `python watched.py JOBS.json`, a list of [kind, path].

It prints a JSON object for each: how it ended ('read', 'refused', or another error), the message, what was done that reading
data does not need (of the events of sys.addaudithook), and by how many MB the memory grew.
"""
from __future__ import annotations

import codecs
import json
import os
import sys
from contextlib import suppress
from encodings.aliases import aliases
from pathlib import Path
from typing import Any, List

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy.random  # noqa: F401  loaded when it is first needed, and then noted
import torch
import yaml  # noqa: F401  as above

from mmcv_need.checkpoint import meta_of, read_checkpoint
from mmcv_need.config import Config
from mmcv_need.errors import UserError
from mmcv_need.place_in_run import place_of
from mmcv_need.serialization.pickles import load_pickle
from mmcv_need.weights import load_weights, state_dict_of
from mmdet.datasets.builder import DATASETS
from mmdet.datasets.pipelines.loading import LoadImageFromFile
from mmdet.datasets.pipelines.sample import Sample  # noqa: F401

HARMLESS = {'object.__getattr__', 'sys._getframe', 'mmap.__new__', 'os.fspath', 'array.__new__', 'cpython.run_stdin',
            'sys.excepthook', 'sys.unraisablehook', 'builtins.id', 'fcntl.flock'}
FOLDERS = {'os.listdir', 'os.scandir', 'os.walk', 'glob.glob'}
done: List[str] = []
watching = False
root = ''


def note(event: str, details: Any) -> None:
    if watching and not expected(event, details):
        done.append(f'{event} {details!r:.200}')


def expected(event: str, details: Any) -> bool:
    """Whether reading data below the folder of the file needs it."""
    if event == 'compile':
        # ast.parse, which makes a tree and no code; before Python 3.9 it parses what stands in an f-string by itself
        return details[1] in ('<unknown>', *(['<fstring>'] if sys.version_info < (3, 9) else []))
    if event == 'open':
        path, _, flags = details
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) if isinstance(flags, int) else 0
        return is_below(path) and not writes
    return event in HARMLESS or (event in FOLDERS and is_below(details[0]))


def is_below(path: Any) -> bool:
    if isinstance(path, int):  # a descriptor: it was noted when it was opened
        return True
    real = os.path.realpath(os.fsdecode(path))
    return real == root or real.startswith(os.path.join(root, ''))


def read(kind: str, path: str) -> str:
    if kind == 'config':
        cfg = Config.fromfile(path)
        return cfg.pretty_text + cfg.text
    if kind == 'checkpoint':
        return of_checkpoint(path)
    if kind == 'program':  # to see that nothing goes unnoticed
        exec(Path(path).read_text())
        return ''
    if kind == 'results':
        return repr(load_pickle(path))[:10000]
    settings = {'coco': {}, 'voc': {'img_prefix': os.path.dirname(path)}, 'custom': {'classes': ('cat', 'dog')}}[kind]
    settings = {'img_prefix': os.path.join(os.path.dirname(path), 'pictures'), **settings}
    dataset = DATASETS.get({'coco': 'CocoDataset', 'voc': 'VOCDataset', 'custom': 'CustomDataset'}[kind])(
        path, [LoadImageFromFile()], **settings)
    return repr([dataset[index]['ori_shape'] for index in range(len(dataset))])


def of_checkpoint(path: str) -> str:
    """All that loading weights and going on with a run looks at."""
    read_checkpoint(path, tensors=False)
    content = read_checkpoint(path)
    place = place_of(meta_of(content), path) if 'meta' in content else None
    mismatch = load_weights(torch.nn.Linear(2, 2), state_dict_of(content), path)
    return f'{place} {mismatch} {mismatch.table()}'


def memory(field: str) -> int:
    text = Path('/proc/self/status').read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(field))) // 1024


def watched(kind: str, path: str) -> dict:
    global watching, root
    root = os.path.realpath(os.path.dirname(path))
    os.chdir(root)
    os.environ['XDG_CACHE_HOME'] = os.path.join(root, 'cache')  # where tables of annotations are looked for
    Path('/proc/self/clear_refs').write_text('5')  # the peak is that of what follows
    before = memory('VmRSS')
    done.clear()
    watching = True
    try:
        ended, message = 'read', read(kind, path)
    except UserError as error:
        ended, message = 'refused', str(error)
    except BaseException as error:
        ended, message = type(error).__name__, f'{error}'
    finally:
        watching = False
    return {'ended': ended, 'message': message[:20000], 'done': list(done), 'grown': memory('VmHWM') - before}


# Modules that are loaded when they are first needed.
for _name in [*aliases.values(), 'utf_8_sig', 'unicode_escape', 'raw_unicode_escape']:
    with suppress(LookupError):
        codecs.lookup(_name)
sys.addaudithook(note)
for _kind, _path in json.loads(Path(sys.argv[1]).read_text()):
    print(json.dumps(watched(_kind, _path)), flush=True)
