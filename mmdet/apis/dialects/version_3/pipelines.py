"""Pipelines of MMDetection 3: other names of arguments, and `PackDetInputs` at the end.

What the preprocessor does to a batch there, the last transforms do here; and what tests do to a picture is inside
MultiScaleFlipAug.
"""
from __future__ import annotations

from typing import Any, Dict, List

from mmcv_need.config import Config
from mmcv_need.config.config_dict import plain
from mmdet.apis.dialects.spellings import drop, lookup, move
from mmdet.apis.dialects.version_3.idle import check_local, refusal

# Transform -> its arguments' old names; those that stay are not listed.
ARGUMENTS = {'Resize': {'scale': 'img_scale', 'clip_object_border': 'bbox_clip_border'},
             'RandomResize': {'scale': 'img_scale', 'clip_object_border': 'bbox_clip_border'},
             'RandomChoiceResize': {'scales': 'img_scale', 'clip_object_border': 'bbox_clip_border'},
             'RandomFlip': {'prob': 'flip_ratio'}}
RESIZES = {'RandomResize': {}, 'RandomChoiceResize': {'multiscale_mode': 'value'}}
# Arguments that say what is done here in any case: key -> the one value.
GIVEN = {'LoadImageFromFile': {'imdecode_backend': 'cv2', 'ignore_empty': False}, 'LoadAnnotations': {'box_type': 'hbox'},
         'Resize': {'interpolation': 'bilinear', 'backend': 'cv2'}, 'RandomResize': {'resize_type': 'Resize'},
         'RandomChoiceResize': {'resize_type': 'Resize'}}
LOADING = ('LoadImageFromFile', 'LoadAnnotations', 'LoadProposals', 'FilterAnnotations')


def settle_pipeline(cfg: Config, key: str, test: bool, finish: List[Dict[str, Any]]) -> None:
    """The transforms at a place, in place; a pipeline that does not end with PackDetInputs is one of MMDetection 2.

    Args:
        cfg, key: config and place.
        test: whether of a picture that is looked at only.
        finish: transforms that the preprocessor stands for.
    """
    steps = lookup(cfg, key)
    if not isinstance(steps, list) or not any(isinstance(step, dict) and step.get('type') == 'PackDetInputs' for step in steps):
        return
    for i, step in enumerate(steps):
        if isinstance(step, dict):
            _settle_step(cfg, f'{key}.{i}', step)
    kept = [step for step in lookup(cfg, key) if step.get('type') != 'PackDetInputs'
            and not (test and step.get('type') in LOADING and step['type'] != 'LoadImageFromFile')]
    last = [plain(step) for step in finish]
    if test:
        cfg.rearrange(key, _of_test(kept, last))
    else:
        keys = ['img', 'gt_bboxes', 'gt_labels']
        cfg.rearrange(key, [*kept, *last, dict(type='DefaultFormatBundle'), dict(type='Collect', keys=keys)])


def _of_test(steps: List[Any], last: List[Dict[str, Any]]) -> List[Any]:
    end = [*last, dict(type='ImageToTensor', keys=['img']), dict(type='Collect', keys=['img'])]
    resizes = [step for step in steps if step.get('type') == 'Resize' and step.get('img_scale') is not None]
    if len(resizes) != 1:
        return [*steps, *end]
    scale, first = resizes[0].pop('img_scale'), steps.index(resizes[0])
    loading = [step for step in steps[:first] if step.get('type') in LOADING]
    views = dict(type='MultiScaleFlipAug', img_scale=scale, flip=False,
                 transforms=[step for step in steps if step not in loading] + end)
    return [*loading, views]


def _settle_step(cfg: Config, key: str, step: Dict[str, Any]) -> None:
    kind = str(step.get('type'))
    for old, new in ARGUMENTS.get(kind, {}).items():
        move(cfg, f'{key}.{old}', f'{key}.{new}')
    for name, value in GIVEN.get(kind, {}).items():
        if step.get(name, value) != value:
            raise refusal(cfg, f'{key}.{name}', f'expected {value!r}, not {step[name]!r}')
        drop(cfg, f'{key}.{name}')
    check_local(cfg, f'{key}.backend_args')
    if kind in RESIZES:
        step['type'] = 'Resize'
        cfg.merge_from_dict({f'{key}.{name}': value for name, value in RESIZES[kind].items()}, source=cfg.where(key))
