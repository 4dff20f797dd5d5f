"""Starts one of the project's tools with something changed: python drive.py WAY tools/train.py ARGUMENTS

    plain       nothing
    contiguous  tensors of the CPU in the layout of an npu's, and updates without torch's fused kernels, which an npu has not:
                sums in another order differ in their last bits
    stray       the default boxes are left on the host, a bug that only strict devices show
"""
from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmcv_need import device as devices
from mmdet.models.dense_heads.ssd_head import SSDHead


def lay_out_contiguously() -> None:
    devices.memory_format = lambda device: torch.contiguous_format
    devices.fuses_updates = lambda device: False


def leave_anchors_on_the_host() -> None:
    make = SSDHead.anchors

    def anchors(head: SSDHead, *given: Any) -> Any:
        return make(head, *given).to(torch.device('cpu'))
    SSDHead.anchors = anchors


WAYS = {'plain': lambda: None, 'contiguous': lay_out_contiguously, 'stray': leave_anchors_on_the_host}

if __name__ == '__main__':
    way, *sys.argv = sys.argv[1:]
    WAYS[way]()
    runpy.run_path(sys.argv[0], run_name='__main__')
