"""Many samples of SSD300's training pipeline: reproducible one by one, and distributed as those of the plain pipeline.

The plain one (eager.py) draws from numpy's legacy generator, as MMDetection does, with seeds of its own; so the two have no
number in common, and agree in distribution only.
"""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmcv_need.config import Config
from mmcv_need.registry import build
from mmdet.core.image.pixels import finish_pixels
from mmdet.datasets.builder import PIPELINES
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.loader import data_loader
from mmdet.datasets.loader.collate import collate

CONFIG = Path(__file__).resolve().parents[4] / 'configs' / 'ssd300_coco.py'
MEAN = (123.675, 116.28, 103.53)
BOXES = np.float32([[8, 10, 70, 68], [30, 14, 94, 72.5]])
SIDE = 64  # of the network input, less than 300 for speed
NUM_SAMPLES, NUM_PICTURES = 6000, 2000
MODES = (1, 0.1, 0.3, 0.5, 0.7, 0.9, 0)


def training_steps(**changes):
    """The transforms of configs/ssd300_coco.py, loading and collecting included; `changes` by type, as in a config."""
    cfg = Config.fromfile(CONFIG)
    for step in cfg.train_pipeline:
        step.update(changes.get(step['type'], {}))
    return build(cfg, PIPELINES, key='train_pipeline')


class NotingModes:
    """A generator that remembers which crop mode was drawn last, and hands everything on."""

    def __init__(self, rng):
        self.rng = rng
        self.mode = None

    def __getattr__(self, name):
        return getattr(self.rng, name)

    def integers(self, count):
        drawn = int(self.rng.integers(count))
        if count >= len(MODES) - 1:  # one may be missing, on purpose
            self.mode = drawn
        return drawn


def statistics(canvas, crop, mode, offset, boxes, flipped):
    """Of one sample, by name; None where there is nothing to say. Shapes are (height, width), the picture's is 80 x 100."""
    cropped = MODES[mode] != 1
    return {'expanded': canvas != (80, 100), 'ratio': canvas[1] / 100 if canvas != (80, 100) else None, 'mode': mode,
            'crop width': crop[1] / canvas[1] if cropped else None, 'crop height': crop[0] / canvas[0] if cropped else None,
            'crop aspect': crop[0] / crop[1] if cropped else None,
            'crop left': offset[0] / canvas[1] if cropped else None, 'crop top': offset[1] / canvas[0] if cropped else None,
            'crop at the left edge': offset[0] == 0 if cropped else None, 'number of boxes': len(boxes),
            'box width': boxes[0, 2] - boxes[0, 0] if len(boxes) else None,
            'box x': boxes[0, 0] if len(boxes) else None, 'box y': boxes[0, 1] if len(boxes) else None, 'flipped': flipped}


def moments(img):
    """Of a network input (3, H, W); to a tenth, so that values that are equal but for float rounding count as equal."""
    return {f'{function.__name__} of channel {channel}': round(float(function(img[channel])), 1)
            for function in (np.mean, np.std) for channel in range(3)}


def in_columns(samples):
    return {key: np.array([sample[key] for sample in samples if sample[key] is not None], float) for key in samples[0]}


def planned_samples(make_sample, picture, count, with_pixels, **changes):
    """Statistics of our samples, by name; each is (count,) or shorter."""
    _, _, expand, crop, resize, flip, *colours, collect = training_steps(Resize=dict(img_scale=(SIDE, SIDE)), **changes)
    found = []
    for index in range(count):
        sample = make_sample(picture, BOXES, rng=NotingModes(np.random.default_rng([3, 1, index])))
        sample = expand(sample)
        canvas, start = sample.plan.shape, (sample.plan.left, sample.plan.top)
        sample = crop(sample)
        shape, offset = sample.plan.shape, (sample.plan.left - start[0], sample.plan.top - start[1])
        sample = flip(resize(sample))
        if with_pixels:
            for step in colours:
                sample = step(sample)
            batch = collate([collect(sample)])
            found.append(moments(finish_pixels(batch['img'], batch['pixel_ops'])[0].numpy()))
        else:
            found.append(statistics(canvas, shape, sample.rng.mode, offset, sample['gt_bboxes'], sample['flip']))
    return in_columns(found)


def plain_samples(eager, draws, picture, count, with_pixels):
    """Likewise of the plain pipeline. Without pixels, the canvas holds its own x and y, by which a crop tells where it is."""
    rng, found = NotingModes(draws(12345)), []
    for _ in range(count):
        sample = {'img': picture, 'gt_bboxes': BOXES, 'gt_bboxes_ignore': np.zeros((0, 4), np.float32),
                  'gt_labels': np.arange(len(BOXES))}
        eager.expand(sample, rng, MEAN)
        canvas = sample['img'].shape[:2]
        if not with_pixels:
            y, x = np.mgrid[0:canvas[0], 0:canvas[1]]
            sample['img'] = np.stack([x, y, x], axis=2).astype(np.float32)
        eager.min_iou_random_crop(sample, rng)
        shape, offset = sample['img'].shape[:2], sample['img'][0, 0, :2].tolist()
        eager.resize(sample, rng, SIDE, SIDE)
        before = sample['img']
        eager.random_flip(sample, rng)
        if with_pixels:
            eager.photo_metric_distortion(sample, rng)
            eager.normalize(sample, rng, MEAN, (1, 1, 1))
            found.append(moments(sample['img'].transpose(2, 0, 1)))
        else:
            found.append(statistics(canvas, shape, rng.mode, offset, sample['gt_bboxes'], sample['img'] is not before))
    return in_columns(found)


def disagreements(ours, theirs):
    """Names of statistics whose distributions differ: Kolmogorov and Smirnov's distance beyond what chance gives once in a
    thousand times, or means further apart than four standard errors."""
    found = []
    for key, a in ours.items():
        b = theirs[key]
        values = np.concatenate([a, b])
        distance = np.abs(np.searchsorted(np.sort(a), values, 'right') / len(a)
                          - np.searchsorted(np.sort(b), values, 'right') / len(b)).max()
        error = (a.var() / len(a) + b.var() / len(b)) ** 0.5
        if distance > 1.95 * (1 / len(a) + 1 / len(b)) ** 0.5 or abs(a.mean() - b.mean()) > 4 * error:
            found.append(key)
    return found


@pytest.fixture(scope='module')
def picture(natural_picture):
    return natural_picture(0, 80, 100)


@pytest.fixture(scope='module')
def plain_geometry(eager, legacy_draws, picture):
    return plain_samples(eager, legacy_draws, picture, NUM_SAMPLES, with_pixels=False)


@pytest.mark.slow
def test_crops_boxes_flips_and_canvases_are_distributed_as_those_of_the_plain_pipeline(make_sample, picture, plain_geometry):
    ours = planned_samples(make_sample, picture, NUM_SAMPLES, with_pixels=False)
    assert disagreements(ours, plain_geometry) == []


@pytest.mark.slow
@pytest.mark.parametrize('changes, seen', [
    (dict(RandomFlip=dict(flip_ratio=0.45)), {'flipped'}), (dict(Expand=dict(ratio_range=(1, 3.6))), {'ratio'}),
    (dict(Expand=dict(prob=0.45)), {'expanded'}), (dict(MinIoURandomCrop=dict(min_ious=(0.1, 0.3, 0.7, 0.9))), {'mode'}),
    (dict(MinIoURandomCrop=dict(min_crop_size=0.4)), {'crop width', 'crop height', 'box width'})],
    ids=lambda value: str(sorted(value.items()) if isinstance(value, dict) else sorted(value)))
def test_a_slightly_wrong_setting_shows_in_the_statistics(make_sample, picture, plain_geometry, changes, seen):
    ours = planned_samples(make_sample, picture, NUM_SAMPLES, with_pixels=False, **changes)
    assert seen <= set(disagreements(ours, plain_geometry))


def test_colours_of_the_network_input_are_distributed_as_those_of_the_plain_pipeline(eager, make_sample, legacy_draws, picture):
    theirs = plain_samples(eager, legacy_draws, picture, NUM_PICTURES, with_pixels=True)
    ours = planned_samples(make_sample, picture, NUM_PICTURES, with_pixels=True)
    assert disagreements(ours, theirs) == []


@pytest.fixture(scope='module')
def swatches():
    """Black, white and orange."""
    return np.uint8([[[0, 0, 0], [255, 255, 255], [40, 120, 200]]])


def of_swatches(img):
    """What has become of them in a network input (3, 1, 3); rounded, as above."""
    black, white, orange = (img + np.float32(MEAN)[:, None, None])[:, 0].T
    low, middle, high = np.sort(orange)
    return {'black': round(float(black[0]), 1), 'white': round(float(white[0]), 1), 'strongest channel': int(orange.argmax()),
            'weakest channel': int(orange.argmin()), 'spread': round(float(high - low), 1),
            'hue': round(float((middle - low) / (high - low)), 3)}


def planned_colours(make_sample, swatches, **changes):
    distort, normalize, _, collect = training_steps(PhotoMetricDistortion=changes)[-4:]
    batch = collate([collect(normalize(distort(make_sample(swatches, BOXES, rng=np.random.default_rng([3, 1, index])))))
                     for index in range(NUM_SAMPLES)])
    return in_columns([of_swatches(img) for img in finish_pixels(batch['img'], batch['pixel_ops']).numpy()])


@pytest.fixture(scope='module')
def plain_colours(eager, legacy_draws, swatches):
    rng, found = legacy_draws(54321), []
    for _ in range(NUM_SAMPLES):
        sample = {'img': swatches}
        eager.photo_metric_distortion(sample, rng)
        eager.normalize(sample, rng, MEAN, (1, 1, 1))
        found.append(of_swatches(sample['img'].transpose(2, 0, 1)))
    return in_columns(found)


def test_colours_alone_are_distributed_as_plain_ones(make_sample, swatches, plain_colours):
    assert disagreements(planned_colours(make_sample, swatches), plain_colours) == []


@pytest.mark.parametrize('changes, seen', [
    (dict(brightness_delta=24), 'black'), (dict(contrast_range=(0.5, 1.4)), 'white'),
    (dict(saturation_range=(0.5, 1.4)), 'spread'), (dict(hue_delta=15), 'hue')], ids=str)
def test_slightly_wrong_colours_show_in_the_statistics(make_sample, swatches, plain_colours, changes, seen):
    assert seen in disagreements(planned_colours(make_sample, swatches, **changes), plain_colours)


def test_numpys_one_argument_draw_is_between_its_argument_and_one():
    """What MMDetection's MinIoURandomCrop relies on, and eager.py spells out: a crop hardly ever starts at the very edge."""
    for room in (0.2, 1.0, 57.5):
        assert np.random.RandomState(4).uniform(room) == room + (1 - room) * np.random.RandomState(4).uniform(0, 1)


@pytest.mark.filterwarnings('ignore:This DataLoader will create')  # torch, on a machine with few cores
@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded, use of fork')
def test_samples_depend_on_seed_epoch_and_index_alone(coco_folder, natural_picture, tmp_path, monkeypatch):
    monkeypatch.setattr(data_loader, 'available_cores', lambda: 4)  # or four workers would be as many as there are cores
    sizes = [(160, 120), (120, 160), (150, 150), (200, 133), (133, 200), (160, 120)]
    boxes = [dict(image_id=i, category_id=10 * (1 + j % 3), bbox=[10 + 20 * j, 5 + 15 * j, 60, 50])
             for i in range(1, len(sizes) + 1) for j in range(i % 3 + 1)]
    path = coco_folder(tmp_path, sizes, boxes)
    for i, (width, height) in enumerate(sizes, 1):
        cv2.imwrite(str(tmp_path / f'{i:03}.png'), natural_picture(i, height, width))
    dataset = CocoDataset(str(path), training_steps(), classes=('cat', 'dog', 'horse'), img_prefix=str(tmp_path))

    def epochs(workers, seed=7):
        loader, found = data_loader.train_loader(dataset, 2, workers, seed), []
        for epoch in (0, 1):
            loader.set_epoch(epoch)
            for batch in loader:
                assert batch['img'].shape == (2, 3, 300, 300)
                found.append([batch[key].contiguous().numpy().tobytes() for key in ('img', 'gt_bboxes', 'gt_labels')]
                             + [batch['pixel_ops'].rows.numpy().tobytes()])
        return found

    alone = epochs(0)
    assert epochs(1) == alone and epochs(4) == alone
    assert len({tuple(batch) for batch in [*alone, *epochs(0, seed=8)]}) == 2 * len(alone)  # all different
