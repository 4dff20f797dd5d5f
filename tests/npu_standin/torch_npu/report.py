"""What a process did on its cards, written at its end where NPU_STANDIN_REPORT names a file.

A test that compares a run with one on the CPU sees there that the run was on a card at all.
"""
from __future__ import annotations

import atexit
import json
import os
from pathlib import Path
from typing import Any, Dict

from torch_npu.native import native

OWNER = os.getpid()


def summary() -> Dict[str, Any]:
    """What can be counted.

    Returns:
        calls: of each operator. overflows: results of each that were not finite though what it was given was.
        infinite_results: tensors that were not finite when a kernel was done with them. memory: peak of each card in bytes.
    """
    return {'calls': dict(native.calls_by_name()), 'overflows': dict(native.overflows()),
            'infinite_results': native.infinite_results(),
            'memory': [native.most_memory_in_use(card) for card in range(native.card_count())]}


def write(path: Path) -> None:
    if os.getpid() == OWNER:
        path.write_text(json.dumps(summary(), indent=1))


def at_exit() -> None:
    """Each rank writes a file of its own, whose name ends in its number."""
    if os.environ.get('NPU_STANDIN_REPORT'):
        atexit.register(write, Path(f"{os.environ['NPU_STANDIN_REPORT']}.{os.environ.get('RANK', '0')}"))
