"""Where named weights come from: `open-mmlab://vgg16_caffe`, an address, or a file."""
from __future__ import annotations

import os
import re
import socket
from functools import partial
from typing import Dict

import torch

from mmcv_need.dist_utils import on_rank_0
from mmcv_need.errors import CheckpointError, did_you_mean

# Names as MMDetection's configs write them. The address carries the first digits of the file's sha256.
NAMED: Dict[str, str] = {
    'open-mmlab://vgg16_caffe': 'https://download.openmmlab.com/pretrain/third_party/vgg16_caffe-292e1171.pth',
    'torchvision://vgg16': 'https://download.pytorch.org/models/vgg16-397923af.pth',
}

TIMEOUT = 20.0  # seconds without an answer


def cache_folder() -> str:
    """Where downloads are kept: torch's own cache, moved by TORCH_HOME."""
    return os.path.join(torch.hub.get_dir(), 'checkpoints')


def local_file(source: str) -> str:
    """The file behind a name, an address or a path; downloaded once, by rank 0.

    Raises:
        CheckpointError: unknown name, no such file, or the address cannot be reached (with what to do instead).
    """
    if '://' not in source:
        if not os.path.isfile(source):
            raise CheckpointError(f'{source}: no such checkpoint file')
        return source
    address = address_of(source)
    cached = os.path.join(cache_folder(), os.path.basename(address))
    on_rank_0(partial(_download, source, address, cached))
    return cached


def address_of(source: str) -> str:
    """The address that a name stands for; addresses and paths as they are.

    Raises:
        CheckpointError: unknown name.
    """
    address = NAMED.get(source.replace('openmmlab://', 'open-mmlab://'), source)
    if '://' in address and not address.startswith(('https://', 'http://', 'file://')):
        raise CheckpointError(f"'{source}' is no known name of weights.{did_you_mean(source, NAMED)}")
    return address


def _download(source: str, address: str, cached: str) -> None:
    """Make the file `cached`, if it is not there."""
    if os.path.isfile(cached):
        return
    digits = re.search(r'-([0-9a-f]{8,})\.pth$', address)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # where packets are dropped, the system would wait for minutes
    try:
        os.makedirs(os.path.dirname(cached), exist_ok=True)
        torch.hub.download_url_to_file(address, cached, hash_prefix=digits.group(1) if digits else None)
    except (OSError, RuntimeError) as error:  # urllib's errors are OSErrors; a wrong checksum is a RuntimeError
        raise CheckpointError(
            f"the weights '{source}' are not here and cannot be downloaded ({error}). Download {address} elsewhere and "
            f'put it at {cached}, or give the path of a file instead. For a backbone that is --cfg-options '
            f'model.backbone.init_cfg.checkpoint=/path/to/vgg16.pth, or model.backbone.init_cfg=None to train from scratch '
            f'(much longer)') from error
    finally:
        socket.setdefaulttimeout(timeout)
