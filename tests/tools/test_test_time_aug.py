"""Several views of each test picture, from the command lines."""
from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from mmdet.apis import inference_detector, init_detector
from mmdet.datasets.coco import CocoDataset

VIEWS = '''
_base_ = {base!r}
views = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=[(160, 160), (192, 192)],
        flip=True,
        transforms=[
            dict(type='Resize', keep_ratio=False),
            dict(type='RandomFlip'),
            dict(type='Normalize', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img'])
        ])
]
data = dict(val=dict(pipeline=views), test=dict(pipeline=views))
runner = dict(max_epochs=1)
'''


@pytest.fixture(scope='module')
def config(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp('views') / 'views.py'
    path.write_text(VIEWS.format(base=str(tiny)))
    return path


@pytest.fixture(scope='module')
def run(training, config):
    """A training run of one epoch, and the detections that its evaluation measured."""
    seen, evaluate = [], CocoDataset.evaluate

    def spy(dataset, results, **options):
        seen.append(results)
        return evaluate(dataset, results, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CocoDataset, 'evaluate', spy)
        folder = training(config=config).folder
    (detections,) = seen
    return folder / 'latest.pth', [picture.by_class(6) for picture in detections]


@pytest.fixture(scope='module')
def found(tools, config, run, tmp_path_factory):
    """What tools/test.py finds: [picture][class] -> (n, 5)."""
    path = tmp_path_factory.mktemp('found') / 'found.pkl'
    tools.test(config, run[0], '--out', path)
    return pickle.loads(path.read_bytes())


def assert_close(actual, expected):
    assert len(actual) == len(expected) and sum(len(rows) for picture in expected for rows in picture) > 50
    for picture, other in zip(actual, expected):
        for rows, others in zip(picture, other):
            np.testing.assert_allclose(rows, others, rtol=0, atol=1e-3)


def test_evaluation_during_training_detects_what_the_tool_detects(run, found):
    assert_close(run[1], found)


def test_inference_finds_what_the_tool_finds_and_one_view_finds_something_else(config, tiny, run, found, demo):
    images = json.loads((demo / 'annotations/instances_val2017.json').read_text())['images']
    paths = [str(demo / 'val2017' / image['file_name']) for image in images[:4]]
    assert_close(inference_detector(init_detector(str(config), str(run[0]), device='cpu'), paths), found[:4])
    one = inference_detector(init_detector(str(tiny), str(run[0]), device='cpu'), paths[0])
    assert any(len(rows) != len(others) or (rows != others).any() for rows, others in zip(one, found[0]))
