"""Where named weights come from: `open-mmlab://vgg16_caffe`, an address, or a file."""
from __future__ import annotations

import hashlib
import os
from functools import partial
from typing import Dict

import torch

from mmcv_need.dist_utils import on_rank_0
from mmcv_need.downloads.addresses import MIRRORS, Wanted, path_of, wanted
from mmcv_need.downloads.fetching import fetch
from mmcv_need.downloads.transfer import NoRoom, Unavailable
from mmcv_need.errors import CheckpointError, did_you_mean

# Names as MMDetection's configs write them. The address carries the first digits of the file's sha256.
NAMED: Dict[str, str] = {
    'open-mmlab://vgg16_caffe': 'https://download.openmmlab.com/pretrain/third_party/vgg16_caffe-292e1171.pth',
    'torchvision://vgg16': 'https://download.pytorch.org/models/vgg16-397923af.pth',
    'torchvision://ssd300_vgg16_coco': 'https://download.pytorch.org/models/ssd300_vgg16_coco-b556d3b4.pth',
}


def cache_folder() -> str:
    """Where downloads are kept: torch's own cache, moved by TORCH_HOME."""
    return os.path.join(torch.hub.get_dir(), 'checkpoints')


def local_file(source: str) -> str:
    """The file behind a name, an address or a path; downloaded once, by rank 0, and once more where a machine does not see it.

    Raises:
        CheckpointError: unknown name, no such file, or the address cannot be reached (with what to do instead).
    """
    if '://' not in source:
        if not os.path.isfile(source):
            raise CheckpointError(f'{source}: no such checkpoint file')
        return source
    file = wanted(address_of(source))
    if not file.digits and file.address.startswith('file://'):
        return _file_of(source, file.address)
    cached = place_of(file)
    on_rank_0(partial(_fetch, source, file, cached))
    if not os.path.isfile(cached):  # of another machine, with a disk of its own
        _fetch(source, file, cached)
    return cached


def place_of(file: Wanted) -> str:
    """Where a download is kept: one whose name has no checksum in a folder of its address, since many are called `best.pth`."""
    own = '' if file.digits else hashlib.sha256(file.address.encode()).hexdigest()[:16]
    return os.path.join(cache_folder(), own, file.name)


def _file_of(source: str, address: str) -> str:
    """The file that a `file://` address names, which is read where it is: it may be another one tomorrow.

    Raises:
        CheckpointError: there is none.
    """
    path = path_of(address)
    if not path:
        raise CheckpointError(f'{source}: no such file on this machine')
    return path


def address_of(source: str) -> str:
    """The address that a name stands for; addresses and paths as they are.

    Raises:
        CheckpointError: unknown name, or an address of no file.
    """
    address = NAMED.get(source.replace('openmmlab://', 'open-mmlab://'), source)
    if '://' in address and not address.startswith(('https://', 'http://', 'file://')):
        raise CheckpointError(f"'{source}' is no known name of weights.{did_you_mean(source, NAMED)}")
    if '://' in address:
        wanted(address)
    return address


def _fetch(source: str, file: Wanted, cached: str) -> None:
    """Make the file `cached`, if it is not there.

    Raises:
        CheckpointError: it cannot be fetched, or not be written.
    """
    try:
        fetch(file, cached)
    except NoRoom as error:
        raise CheckpointError(f"the weights '{source}' cannot be written to {cached} ({error}). Make room, or have TORCH_HOME "
                              f'name another folder; what has come so far is kept, and the same command goes on with '
                              f'it') from error
    except Unavailable as error:
        raise CheckpointError(
            f"the weights '{source}' are not here and cannot be downloaded ({error}). Download {file.address} elsewhere and "
            f'put it at {cached}, give the path of a file instead, or have {MIRRORS} name a mirror. For a backbone that is '
            f'--cfg-options model.backbone.init_cfg.checkpoint=/path/to/vgg16.pth, or model.backbone.init_cfg=None to train '
            f'from scratch (much longer)') from error
