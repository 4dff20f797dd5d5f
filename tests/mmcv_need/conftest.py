"""A work directory in which a run has left its files, and people theirs."""
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

EVENTS = 'tf_logs/events.out.tfevents.1763812345.host.42.0'
OURS = ['20261122_120000.log', '20261122_120000.log.json', 'best_bbox_mAP_50_epoch_3.pth', 'best_coco_bbox_mAP_iter_30.pth',
        'epoch_1.pth', 'epoch_12.pth', 'finished.json', 'iter_7.pth', 'iter_8.pth.tmp.77', 'last_checkpoint', 'latest.pth',
        'latest.pth.tmp.77', EVENTS]
OTHERS = ['epoch_1.pth.bak', 'my_epoch_1.pth', 'epoch_x.pth', 'epoch_1.pth.tmp.x', 'best.pth', 'notes.log', 'ssd300_coco.py',
          'eval_20261122_120000.json', 'tf_logs/notes.txt', 'sub/epoch_1.pth', 'Epoch_1.pth', '20261122_120000.txt']


@pytest.fixture
def used(tmp_path):
    """folder; names of the run's files and of others; left(folder): the names that are there."""
    for name in [*OURS, *OTHERS]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)

    def left(folder):
        paths = [path for path in Path(folder).rglob('*') if not path.is_dir() or path.is_symlink()]
        return sorted(str(path.relative_to(folder)) for path in paths)
    return SimpleNamespace(folder=tmp_path, ours=OURS, others=OTHERS, left=left)
