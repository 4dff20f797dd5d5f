"""What tools/test.py does with detections beside measuring them, and the same detector from Python."""
from __future__ import annotations

import json
import pickle

import cv2
import numpy as np
import pytest

from mmdet.apis import inference_detector, init_detector


@pytest.fixture(scope='module')
def checkpoint(tools, tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp('results')
    tools.train(str(tiny), '--work-dir', str(folder), '--seed', '1', '--device', 'cpu', '--no-validate')
    return folder / 'latest.pth'


def test_one_run_writes_json_pickle_and_pictures_of_the_same_detections(tools, tiny, checkpoint, tmp_path, demo):
    options = [str(tiny), str(checkpoint), '--device', 'cpu']
    tools.test(*options, '--out', str(tmp_path / 'found.pkl'), '--show-dir', str(tmp_path / 'shown'),
               '--show-score-thr', '0.03')
    tools.test(*options, '--format-only', '--eval-options', f'jsonfile_prefix={tmp_path}/res')
    rows = json.loads((tmp_path / 'res.bbox.json').read_text())
    nested = pickle.loads((tmp_path / 'found.pkl').read_bytes())
    names = [image['file_name'] for image in json.loads((demo / 'annotations/instances_val2017.json').read_text())['images']]
    assert len(nested) == len(names) == 8 and all(len(picture) == 6 for picture in nested)
    assert sum(len(boxes) for picture in nested for boxes in picture) == len(rows) > 0
    assert sorted(path.name for path in (tmp_path / 'shown').iterdir()) == sorted(names)


def test_inference_gives_what_evaluation_found(tools, tiny, checkpoint, tmp_path, demo):
    tools.test(str(tiny), str(checkpoint), '--device', 'cpu', '--out', str(tmp_path / 'found.pkl'))
    nested = pickle.loads((tmp_path / 'found.pkl').read_bytes())
    detector = init_detector(str(tiny), str(checkpoint), device='cpu')
    images = json.loads((demo / 'annotations/instances_val2017.json').read_text())['images']
    paths = [str(demo / 'val2017' / image['file_name']) for image in images]
    assert detector.CLASSES == ('circle', 'square', 'triangle', 'ring', 'cross', 'diamond')
    batch = inference_detector(detector, paths)
    alone = inference_detector(detector, cv2.imread(paths[3]))
    for found, expected in ((batch[3], nested[3]), (alone, nested[3])):
        for boxes, wanted in zip(found, expected):
            np.testing.assert_allclose(boxes, wanted, rtol=1e-4, atol=1e-3)


def test_what_has_no_effect_is_said(tools, tiny, checkpoint, tmp_path, capsys):
    tools.test(str(tiny), str(checkpoint), '--device', 'cpu', '--out', str(tmp_path / 'found.json'),
               '--tmpdir', 'x', '--gpu-collect')
    said = capsys.readouterr().out
    assert '--tmpdir has no effect' in said and '--gpu-collect has no effect' in said and '--fuse-conv-bn' not in said
