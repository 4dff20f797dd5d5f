"""What of a checkpoint is for others: weights, names of the classes, config; nothing of the machine or of the run."""
from __future__ import annotations

import re
from typing import Any, Dict, Mapping

from mmcv_need.averages import evaluated_weights
from mmcv_need.downloads.addresses import shown
from mmcv_need.errors import CheckpointError

KEPT = ('CLASSES', 'PALETTE', 'epoch', 'iter', 'mmdet_version', 'mmcv_version', 'mmengine_version')
ROOT = r'(?:/|~[\w.-]*/|[A-Za-z]:[\\/]|\\\\)'  # with which an absolute path begins
QUOTED = re.compile(rf'''(['"]){ROOT}[^'"\n]*\1''')
WITHIN = re.compile(rf'''(?<=[ \t=]){ROOT}[^\s'"]+''')
ADDRESS = re.compile(r'''\b(file|https?)://[^\s'"]+''')
ALONE = re.compile(rf'^{ROOT}\S.*$', re.MULTILINE)  # MMCV writes the path of each file of a config above its text
OF_THE_RUN = re.compile(r'''^(work_dir|load_from|resume_from)\s*=\s*(['"]).*\2''', re.MULTILINE)


def published(checkpoint: Mapping[str, Any], path: str) -> Dict[str, Any]:
    """dict(meta, state_dict) for others.

    Args:
        checkpoint: of any layout that loads.
        path: for errors.

    Raises:
        CheckpointError: it has no weights.
    """
    weights = evaluated_weights(checkpoint)
    if not weights:
        raise CheckpointError(f'{path}: has no weights to publish')
    meta = checkpoint.get('meta') or {}
    kept = {name: meta[name] for name in KEPT if meta.get(name) is not None}
    config = meta.get('config', meta.get('cfg'))
    if isinstance(config, str):
        kept['config'] = without_paths(config)
    return {'meta': kept, 'state_dict': weights}


def without_paths(config: str) -> str:
    """The text of a config that tells nothing of the machine: of an absolute path its last part is left, and of an address
    what is no secret.

    `work_dir`, `load_from` and `resume_from`, which are of the run, are None.
    """
    config = OF_THE_RUN.sub(r'\1 = None', config)
    config = ADDRESS.sub(lambda found: _public(found.group(0)), config)
    config = QUOTED.sub(lambda found: f'{found.group(1)}{_last(found.group(0)[1:-1])}{found.group(1)}', config)
    config = WITHIN.sub(lambda found: _last(found.group(0)), config)
    return ALONE.sub(lambda found: _last(found.group(0)), config)


def _public(address: str) -> str:
    """An address without user, password and question, any of which may be a key; of a file of this machine its name."""
    if address.startswith('file:'):
        return _last(address)
    plain, _, fragment = address.partition('#')
    return shown(plain) + (f'#{fragment}' if fragment.startswith('sha256=') else '')


def _last(path: str) -> str:
    """The last part of a path, with what ends it as a folder."""
    parts = re.split(r'[\\/]', path.rstrip('\\/'))
    return parts[-1] + ('/' if path.endswith(('/', '\\')) else '')
