"""Detection in several views of a picture: as it is run, against each view done by hand."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis import inference_detector, init_detector
from mmdet.apis import test_detector as detect_all
from mmdet.core.anchor.anchor_generator import Anchors
from mmdet.core.bbox.coder import DeltaXYWHBBoxCoder
from mmdet.core.post_processing.detections import SSDTestCfg, detect
from mmdet.core.post_processing.nms import keep_all
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.pipelines import Sample
from mmdet.models.detectors.single_stage import SingleStageDetector

DEMO = Path(__file__).resolve().parents[3] / 'configs/ssd_demo.py'
SMALL = {'model.backbone.width_factor': 0.0625, 'model.backbone.init_cfg': None, 'model.neck.in_channels': (32, 64),
         'model.neck.out_channels': (32, 64, 32, 16, 16), 'model.bbox_head.in_channels': (32, 64, 32, 16, 16)}
SCALES = [(160, 160), (184, 168)]
VIEWS = [(scale, direction) for scale in SCALES for direction in (None, 'horizontal', 'diagonal')]


def make(**options):
    """An untrained small detector whose test pipeline looks at pictures in the given way."""
    cfg = Config.fromfile(DEMO)
    cfg.merge_from_dict({**SMALL, 'model.test_cfg.score_thr': 0.3, 'model.test_cfg.nms_pre': 40,
                         'model.test_cfg.nms.iou_threshold': 0.2})
    load, views = cfg.data.test.pipeline
    keep_ratio = options.pop('keep_ratio', False)
    given = {name: value for name, value in views.items() if name not in ('img_scale', 'flip')}
    views = {**given, **options, 'transforms': [dict(type='Resize', keep_ratio=keep_ratio), dict(type='RandomFlip'),
                                                *views['transforms'][1:]]}
    cfg.data.test['pipeline'] = [load, views]
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match='no checkpoint'):
        detector = init_detector(cfg, device='cpu')
    with torch.no_grad():
        for conv in detector.model.module.bbox_head.cls_convs:  # some sure scores, all different
            conv[0].weight *= 20
    return detector


@pytest.fixture(scope='module')
def several():
    return make(img_scale=SCALES, flip=True, flip_direction=['horizontal', 'diagonal'])


@pytest.fixture(scope='module')
def pictures():
    """Three pictures of different shapes: smooth colours and rectangles."""
    rng, made = np.random.default_rng(0), []
    for height, width in ((120, 160), (200, 90), (150, 150)):
        picture = cv2.resize(rng.integers(0, 255, (5, 5, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
        for x, y in rng.integers(0, 60, (4, 2)).tolist():
            picture[y:y + 30, x:x + 25] = rng.integers(0, 255, 3)
        made.append(picture)
    return made


@pytest.fixture(scope='module')
def results(several, pictures):
    return inference_detector(several, pictures)


def candidates_by_hand(picture_batch, detector):
    """For each picture (n, 6): box, score and label before suppression, of all views, each scaled, mirrored and run by hand."""
    module, found = detector.model.module, [[] for _ in picture_batch]
    everything = SSDTestCfg(score_thr=0.3, nms_pre=40, nms=keep_all, max_per_img=-1)
    mean, std = np.float32([123.675, 116.28, 103.53]), np.float32([58.395, 57.12, 57.375])
    for (width, height), direction in VIEWS:
        axes = {None: (), 'horizontal': 1, 'diagonal': (0, 1)}[direction]
        shown = [np.flip(cv2.resize(picture, (width, height)), axes) for picture in picture_batch]
        rgb = torch.from_numpy((np.stack(shown)[..., ::-1].astype(np.float32) - mean) / std)
        metas = [{'img_shape': (height, width), 'scale_factor': np.ones(4, np.float32)}] * len(shown)
        with torch.no_grad():
            scores, deltas, sizes = module.predict(rgb.permute(0, 3, 1, 2))
            anchors = module.bbox_head.anchors(sizes, scores.device)
            results = detect(scores, deltas, anchors, module.bbox_head.bbox_coder, metas, everything, rescale=True)
        for rows, result, picture in zip(found, results, picture_batch):
            for (x1, y1, x2, y2), score, label in zip(*result):
                if direction:
                    x1, x2 = width - x2, width - x1
                if direction == 'diagonal':
                    y1, y2 = height - y2, height - y1
                across, down = np.float32(width / picture.shape[1]), np.float32(height / picture.shape[0])
                rows.append([x1 / across, y1 / down, x2 / across, y2 / down, score, label])
    return [np.array(rows, dtype=np.float32) for rows in found]


def suppressed_in_a_loop(rows, threshold, limit):
    """Rows kept: the best, then the best of those that overlap none that is kept of their class."""
    kept = []
    for row in sorted(rows.tolist(), key=lambda row: -row[4]):
        if len(kept) < limit and not any(other[5] == row[5] and iou(other, row) > threshold for other in kept):
            kept.append(row)
    return np.array(kept, dtype=np.float32)


def iou(a, b):
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def test_detections_are_those_of_all_views_by_hand_suppressed_once(several, pictures, results):
    for by_class, candidates in zip(results, candidates_by_hand(pictures, several)):
        assert len(candidates) > 300
        expected = suppressed_in_a_loop(candidates, 0.2, several.model.module.test_cfg.max_per_img)
        for label, rows in enumerate(by_class):
            np.testing.assert_allclose(rows, expected[expected[:, 5] == label][:, :5], rtol=0, atol=1e-4)


def test_a_list_of_one_view_is_that_view_bit_for_bit(pictures):
    detector = make(img_scale=(160, 160))
    batch = collate([detector.pipeline(sample_of(picture)) for picture in pictures])
    on_device, module = detector.model.on_device(batch), detector.model.module
    with torch.no_grad():
        plain = module(on_device['img'], on_device['img_metas'], return_loss=False, rescale=True)
        listed = module([on_device['img']], [on_device['img_metas']], return_loss=False, rescale=True)
    assert sum(len(picture.scores) for picture in plain) > 50
    for one, other in zip(plain, listed):
        for part, same in zip(one, other):
            np.testing.assert_array_equal(part, same)


def sample_of(picture):
    return Sample(img_info={'filename': 'array', 'array': picture})


def test_several_views_without_a_common_frame_are_refused(several):
    with pytest.raises(ConfigError, match='rescale=True'):
        several.model.module([torch.zeros(1, 3, 160, 160)] * 2, [[{}], [{}]], return_loss=False)


def test_one_picture_alone_gives_what_it_gives_in_a_batch(several, pictures, results):
    for rows, others in zip(inference_detector(several, pictures[1]), results[1]):
        np.testing.assert_allclose(rows, others, rtol=0, atol=1e-3)


def test_nothing_found_in_any_view_is_an_empty_result(several, pictures, monkeypatch):
    monkeypatch.setattr(several.model.module, 'test_cfg', SSDTestCfg(score_thr=1., nms_pre=40))
    assert [rows.shape for rows in inference_detector(several, pictures[0])] == [(0, 5)] * 6


class BrightBox(nn.Module):
    """A head that finds the extent of what is bright, exactly: one default box, one class."""
    bbox_coder = DeltaXYWHBBoxCoder()

    def forward(self, levels):
        boxes = []
        for img in levels[0]:
            y, x = torch.nonzero(img.mean(dim=0) > 0, as_tuple=True)
            boxes.append([x.min().item(), y.min().item(), x.max().item() + 1., y.max().item() + 1.])
        deltas = self.bbox_coder.encode(self.anchors().boxes, torch.tensor(boxes))[:, None]
        return torch.tensor([[10., -10.]]).expand(len(boxes), 1, 2), deltas

    def anchors(self, *_):
        return Anchors.from_boxes(torch.tensor([[20., 20., 60., 60.]]), [1])

    def get_bboxes(self, scores, deltas, anchors, metas, cfg, rescale):
        return detect(scores, deltas, anchors, self.bbox_coder, metas, cfg, rescale)


@pytest.mark.parametrize('keep_ratio', [False, True])
def test_every_view_finds_a_thing_at_its_place_in_the_original_picture(keep_ratio):
    """Pictures of three sizes in a batch, so views are padded; nothing is suppressed, so every view tells."""
    detector = make(scale_factor=[1., 2., 3.], flip=True, flip_direction=['horizontal', 'vertical', 'diagonal'],
                    keep_ratio=keep_ratio)
    detector.model.module = SingleStageDetector(nn.Identity(), bbox_head=BrightBox(), test_cfg=SSDTestCfg(nms=keep_all))
    detector.model.module.extract_feat = lambda img: (img,)
    pictures, boxes = [], [[10, 20, 45, 40], [0, 5, 90, 200], [149, 7, 150, 150]]
    for (height, width), (x1, y1, x2, y2) in zip(((120, 160), (200, 90), (150, 150)), boxes):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[y1:y2, x1:x2] = 255
        pictures.append(picture)
    for by_class, box in zip(inference_detector(detector, pictures), boxes):
        assert by_class[0].shape == (12, 5)
        np.testing.assert_allclose(by_class[0][:, :4], [box] * 12, rtol=0, atol=1e-3)


def test_evaluation_detects_in_batches_of_views_as_inference_does(several, pictures, results):
    """The function behind tools/test.py and behind the evaluation during training."""
    items = [several.pipeline(sample_of(picture)) for picture in pictures]
    batches = [collate(items[:2]), collate(items[2:])]
    loader = type('Loader', (), {'dataset': pictures, '__iter__': lambda self: iter(batches), '__len__': lambda self: 2})()
    found = detect_all(several.model, loader, show_progress=False)
    assert len(found) == 3
    for result, expected in zip(found, results):
        for rows, others in zip(result.by_class(6), expected):
            np.testing.assert_allclose(rows, others, rtol=0, atol=1e-3)
