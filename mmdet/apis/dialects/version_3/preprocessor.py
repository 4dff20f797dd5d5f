"""`model.data_preprocessor` of MMDetection 3: what MMDetection 2 says as the last transforms of each pipeline."""
from __future__ import annotations

from typing import Any, Dict, List

from mmcv_need.config import Config
from mmdet.apis.dialects.spellings import ABSENT, drop, lookup, move, section_of
from mmdet.apis.dialects.version_3.idle import leave_out, refusal

KEY = 'model.data_preprocessor'
KNOWN = ('type', 'mean', 'std', 'bgr_to_rgb', 'rgb_to_bgr', 'pad_size_divisor', 'pad_value', 'pad_mask', 'mask_pad_value',
         'pad_seg', 'seg_pad_value', 'boxtype2tensor', 'non_blocking', 'batch_augments')
OF_MASKS = ('mask_pad_value', 'seg_pad_value')


def take_preprocessor(cfg: Config, idle: List[str]) -> List[Dict[str, Any]]:
    """The transforms that do what the preprocessor does, which is taken out of the config.

    Returns:
        `Normalize` and `Pad`, those that are needed; [] without a preprocessor.
    """
    _take_variable(cfg)
    given = section_of(cfg, KEY, KNOWN)
    if given is None:
        drop(cfg, KEY)
        return []
    if given.get('type', 'DetDataPreprocessor') != 'DetDataPreprocessor':
        raise refusal(cfg, f'{KEY}.type', f"expected 'DetDataPreprocessor', not {given['type']!r}")
    for name, harmless in (('pad_value', 0), ('batch_augments', None), ('rgb_to_bgr', False), ('pad_mask', False),
                           ('pad_seg', False)):
        if given.get(name, harmless) != harmless and given[name]:
            raise refusal(cfg, f'{KEY}.{name}', f'not supported; expected {harmless!r}, not {given[name]!r}')
    for name in OF_MASKS:
        if name in given:
            leave_out(cfg, f'{KEY}.{name}', idle)
    steps = []
    if given.get('mean') is not None or given.get('bgr_to_rgb'):
        mean, std = given.get('mean') or [0., 0., 0.], given.get('std') or [1., 1., 1.]
        steps.append(dict(type='Normalize', mean=mean, std=std, to_rgb=bool(given.get('bgr_to_rgb', False))))
    if given.get('pad_size_divisor', 1) != 1:
        steps.append(dict(type='Pad', size_divisor=given['pad_size_divisor']))
    drop(cfg, KEY)
    return steps


def _take_variable(cfg: Config) -> None:
    """At the top level it is either a name that the model's is made of, or the model's where that has none."""
    if lookup(cfg, 'data_preprocessor') is not None and lookup(cfg, KEY, ABSENT) is ABSENT and cfg.get('model') is not None:
        move(cfg, 'data_preprocessor', KEY)
    drop(cfg, 'data_preprocessor')
