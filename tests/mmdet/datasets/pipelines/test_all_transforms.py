"""Every transform that is registered, in any order: boxes stay finite, in the picture, and with their labels."""
from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmcv_need.errors import UserError
from mmcv_need.registry import build
from mmdet.datasets.builder import PIPELINES
from mmdet.datasets.pipelines import Compose
from mmdet.datasets.pipelines.plan import render

NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
RATIOS = st.sampled_from([(1, 4), (1, 1), (1.5, 1.5)])
# Those that a training pipeline has between loading and formatting, with arguments of theirs.
TRANSFORMS = {
    'Expand': st.builds(dict, mean=st.just(NORM['mean']), ratio_range=RATIOS, prob=st.floats(0, 1)),
    'MinIoURandomCrop': st.builds(dict, min_ious=st.sampled_from([(0.1, 0.9), (0.5,)]), min_crop_size=st.floats(0.1, 0.9)),
    'Resize': st.builds(dict, img_scale=st.tuples(st.integers(8, 60), st.integers(8, 60)), keep_ratio=st.booleans()),
    'RandomFlip': st.builds(dict, flip_ratio=st.floats(0, 1),
                            direction=st.sampled_from(['horizontal', 'vertical', 'diagonal', ['horizontal', 'vertical']])),
    'Pad': st.builds(dict, size_divisor=st.sampled_from([1, 8, 32])), 'PhotoMetricDistortion': st.just({}),
    'Normalize': st.just(NORM)}
ENDS = {'LoadImageFromFile', 'LoadAnnotations', 'DefaultFormatBundle', 'ImageToTensor', 'Collect', 'MultiScaleFlipAug'}
STEPS = st.lists(st.sampled_from(sorted(TRANSFORMS)), max_size=4).flatmap(
    lambda names: st.tuples(*(TRANSFORMS[name].map(lambda options, name=name: {'type': name, **options}) for name in names)))
SIDES = st.integers(4, 70)
CORNERS = st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), max_size=5)


def boxes_of(shares, width, height):
    """Boxes in a picture, from where their corners are in it; some have no extent."""
    corners = np.sort(np.array(shares, np.float32).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    return corners * np.float32([width, height, width, height])


def test_every_transform_is_among_them():
    # other tests add some of their own
    ours = {name for name, kind in PIPELINES.module_dict.items() if kind.__module__.startswith('mmdet.')}
    assert ours == set(TRANSFORMS) | ENDS


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, size=st.tuples(SIDES, SIDES), shares=CORNERS, ignored=CORNERS, seed=st.integers(0, 2**32))
def test_boxes_stay_finite_in_the_picture_and_with_their_labels(make_sample, steps, size, shares, ignored, seed):
    width, height = size
    boxes, others = boxes_of(shares, width, height), boxes_of(ignored, width, height)
    sample = make_sample(np.zeros((height, width, 3), np.uint8), boxes, ignored=others, rng=np.random.default_rng(seed))
    try:
        sample = Compose([build(dict(step), PIPELINES) for step in steps])(sample)
    except UserError as error:  # an order of transforms that cannot be
        assert len(str(error).splitlines()) == 1
        return
    height, width = sample.plan.shape
    labels = sample['gt_labels'].tolist()
    assert len(labels) == len(sample['gt_bboxes']) and set(labels) <= set(range(len(boxes))) and len(set(labels)) == len(labels)
    for field, most in (('gt_bboxes', len(boxes)), ('gt_bboxes_ignore', len(others))):
        found = sample[field]
        assert found.dtype == np.float32 and found.shape[1:] == (4,) and len(found) <= most and np.isfinite(found).all()
        assert (found[:, 2:] >= found[:, :2]).all()
        assert (found >= -1e-2).all() and (found <= np.float32([width, height, width, height]) * (1 + 1e-4) + 1e-2).all()
    assert render(sample.plan).shape == (*(sample.plan.pad_shape or (height, width)), 3)
