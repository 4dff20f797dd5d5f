"""What a log and a checkpoint say about the machine: an allow-list, so that no secret of the environment gets in."""
from __future__ import annotations

import os
import platform
import sys

import cv2
import numpy as np
import torch

from mmcv_need import device as devices
from mmdet.version import __version__

ALLOWED = ('OMP_NUM_THREADS', 'RANK', 'WORLD_SIZE', 'LOCAL_RANK', *devices.ENVIRONMENT)


def env_info() -> str:
    """Lines of name: value."""
    rows = {'sys.platform': sys.platform, 'machine': platform.machine(), 'Python': platform.python_version(),
            'PyTorch': torch.__version__, 'NumPy': np.__version__, 'OpenCV': cv2.__version__, 'MMDetection': __version__,
            **{name: os.environ[name] for name in ALLOWED if name in os.environ}}
    return '\n'.join(f'{name}: {value}' for name, value in rows.items())
