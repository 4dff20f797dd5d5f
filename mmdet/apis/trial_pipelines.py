"""A made-up picture through a config's pipelines: what they would make of real ones, before there are any."""
from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, UserError
from mmcv_need.registry import build
from mmdet.apis.datasets import placed
from mmdet.datasets import PIPELINES
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.pipelines import Sample
from mmdet.datasets.pipelines.compose import apply

SHAPES = ((96, 128), (128, 96))  # (h, w) of the pictures: wide, and tall
DRAWS = 4  # of each, since much in a pipeline happens at random
LOSSES_NEED = ('gt_bboxes', 'gt_labels')
DETECTIONS_NEED = ('img_shape', 'scale_factor')
Size = Tuple[int, int]


class Trial(NamedTuple):
    """Fields:
        faults: what is wrong with the pipelines of a section.
        sizes: (height, width) of the pictures that they made, each once.
    """
    faults: List[UserError]
    sizes: List[Size]


def try_pipelines(cfg: Config, section: str) -> Trial:
    """Every pipeline of `data.train`, `data.val` or `data.test`, which must be free of faults by name and argument.

    Args:
        cfg: in canonical form.
        section: 'train', 'val' or 'test'; the latter two without annotations.
    """
    whole = Trial([], [])
    for key, dataset in placed(cfg.data[section], f'data.{section}'):
        if 'pipeline' not in dataset:
            continue
        try:
            transforms = build(cfg, PIPELINES, key=f'{key}.pipeline')
            sizes = _sizes(cfg, f'{key}.pipeline', transforms, section == 'train' and not dataset.get('test_mode'))
        except UserError as error:
            whole.faults.append(error)
        else:
            whole.sizes.extend(size for size in sizes if size not in whole.sizes)
    return whole


def _sizes(cfg: Config, key: str, transforms: Sequence[Any], annotated: bool) -> List[Size]:
    """(height, width) of what a pipeline makes of the pictures, each once.

    Raises:
        ConfigError: it fails, or makes what no batch can be made of.
    """
    found: List[Size] = []
    for shape in SHAPES:
        for draw in range(DRAWS):
            made = _through(cfg, key, transforms, _sample(shape, draw, annotated))
            for view in made if isinstance(made, list) else [made]:
                if view is not None:
                    _check_item(cfg, key, view, annotated)
                    size = tuple(collate([view], finish=True)['img'].shape[2:])
                    found += [] if size in found else [size]
    return found


def _sample(shape: Size, draw: int, annotated: bool) -> Sample:
    """A black picture, with two boxes and an ignored region if it is annotated."""
    height, width = shape
    info = {'filename': 'made-up.jpg', 'id': draw, 'width': width, 'height': height, 'array': np.zeros((*shape, 3), np.uint8)}
    sample = Sample(img_info=info, img_prefix='', rng=np.random.default_rng(draw))
    if annotated:
        boxes = np.array([[8, 8, 72, 64], [40, 30, 90, 92], [2, 50, 30, 90]], np.float32)
        sample['ann_info'] = {'bboxes': boxes[:2], 'labels': np.zeros(2, np.int64), 'bboxes_ignore': boxes[2:],
                              'labels_ignore': np.zeros(1, np.int64)}
    return sample


def _through(cfg: Config, key: str, transforms: Sequence[Any], sample: Any) -> Any:
    """What a pipeline makes of a sample; None if it drops it."""
    height, width = sample['img_info']['array'].shape[:2]
    for i, transform in enumerate(transforms):
        place = f'{key}.{i}'
        if not isinstance(sample, Sample):
            raise _error(cfg, place, f'comes after Collect, which ends a pipeline; put {type(transform).__name__} before it')
        try:
            sample = apply(transform, sample)
        except UserError as error:
            raise _error(cfg, place, str(error)) from error
        except OSError:  # a transform of somebody's own that reads files, and there are none of a made-up picture
            return None
        except Exception as error:  # whatever it is, it would end a training
            reason = f'{type(error).__name__}: {error}'.splitlines()[0]
            raise _error(cfg, place, f'{type(transform).__name__} fails on a picture of {width} x {height} '
                                     f"{'with' if 'ann_info' in sample else 'without'} annotations ({reason})") from error
        if sample is None:
            return None
    return sample


def _check_item(cfg: Config, key: str, item: Any, annotated: bool) -> None:
    """A batch can be made of what comes out of a pipeline, and losses or detections of that."""
    if isinstance(item, Sample) or not isinstance(item, dict):
        keys = ['img', *LOSSES_NEED] if annotated else ['img']
        raise _error(cfg, key, f"does not end in a Collect; expected dict(type='Collect', keys={keys}) as its last step")
    needed: Tuple[str, ...] = ('img', *LOSSES_NEED) if annotated else ('img',)
    _require(cfg, key, 'keys', needed, item)
    if not annotated:
        _require(cfg, key, 'meta_keys', DETECTIONS_NEED, item['img_metas'])


def _require(cfg: Config, key: str, argument: str, needed: Sequence[str], found: Dict[str, Any]) -> None:
    missing = [name for name in needed if name not in found]
    if missing:
        raise _error(cfg, key, f"{', '.join(missing)}: missing from the {argument} of its Collect; it has {', '.join(found)}")


def _error(cfg: Config, key: str, message: str) -> ConfigError:
    return ConfigError(f'{cfg.where(key)}: {key}: {message}'.lstrip(': '))


def normalisations(node: Any) -> Optional[Dict[str, Any]]:
    """The arguments of the last Normalize of a pipeline, at whatever depth; None if there is none."""
    found = None
    for item in (node.values() if isinstance(node, dict) else node):
        if isinstance(item, dict) and item.get('type') == 'Normalize':
            found = {'to_rgb': True, **item}
        elif isinstance(item, (dict, list, tuple)):
            found = normalisations(item) or found
    return found
