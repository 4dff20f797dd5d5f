"""Transforms and whole pipelines on the draws that MMDetection made, against what it made of them (data/README.md).

Boxes, labels, shapes and flags are equal. So is every pixel as long as colours are not distorted, fill included; distorted
or normalised ones are within float rounding.
"""
from __future__ import annotations

import hashlib
import platform
from types import SimpleNamespace

import numpy as np
import pytest

from mmdet.core.image.pixels import finish_pixels
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.pipelines import Compose, Sample
from mmdet.datasets.pipelines.formatting import Collect, DefaultFormatBundle, ImageToTensor
from mmdet.datasets.pipelines.geometric import Expand, Pad, RandomFlip, Resize
from mmdet.datasets.pipelines.loading import LoadAnnotations, LoadImageFromFile
from mmdet.datasets.pipelines.photometric import Normalize, PhotoMetricDistortion
from mmdet.datasets.pipelines.plan import render
from mmdet.datasets.pipelines.random_crop import MinIoURandomCrop
from mmdet.datasets.pipelines.test_time_aug import MultiScaleFlipAug

TRANSFORMS = {kind.__name__: kind for kind in (Expand, MinIoURandomCrop, Resize, RandomFlip, Pad, Normalize,
                                               PhotoMetricDistortion)}
GEOMETRIC = ['Expand', 'Expand_p1', 'MinIoURandomCrop', 'MinIoURandomCrop_noclip', 'RandomFlip', 'RandomFlip_v', 'RandomFlip_d',
             'RandomFlip_dirs', 'Pad_div', 'Pad_size', 'Resize_300', 'Resize_keep']
NORMALIZING = ['Normalize', 'Normalize_bgr', 'Normalize_std']
MEAN = (123.675, 116.28, 103.53)
# At 360 degrees a float32 has a step of 3e-5, and a channel moves by value * saturation / 60 (up to 10 levels) with each
# degree. OpenCV and we round the hue five times or so on the way there and back.
COLOUR_ROUNDING = 1e-3


class RecordedDraws:
    """numpy's legacy generator after seeding, that compares each draw with the one that MMDetection made there.

    Of long searches the first 60 draws are recorded, and the number of all.
    """

    def __init__(self, seed, draws, num_draws):
        self.state = np.random.RandomState(seed)
        self.draws = iter(draws)
        self.left = num_draws

    def _check(self, *draw):
        self.left -= 1
        expected = next(self.draws, None)
        if expected is not None:
            assert [*draw] == expected

    def uniform(self, low, high):
        value = self.state.uniform(low, high)
        self._check('uniform', [low, high], value)
        return value

    def integers(self, high):
        value = self.state.randint(high)
        expected = next(self.draws, None)
        self.left -= 1
        if expected is not None and expected[0] == 'choice':  # of as many, all as likely
            assert len(expected[1]) == high and expected[1][value] == expected[2]
        elif expected is not None:
            assert ['randint', [high], value] == expected
        return value

    def random(self, size=None):
        """A share in 0..1: of a crop's range, one after another as they are used; or of what RandomFlip chooses from."""
        return self._share() if size is None else SimpleNamespace(tolist=lambda: (self._share() for _ in range(size)))

    def _share(self):
        value = self.state.random_sample()
        expected = next(self.draws, None)
        self.left -= 1
        if expected is not None and expected[0] == 'uniform':  # MMDetection's uniform(room) is from there to 1
            low, high = expected[1] if len(expected[1]) == 2 else (expected[1][0], 1.0)
            assert low + (high - low) * value == expected[2]
        elif expected is not None:
            choices, chosen, shares = expected[1:]
            assert chosen == choices[int(np.searchsorted(np.cumsum(shares), value, side='right'))]
        return value

    def permutation(self, count):
        value = self.state.permutation(count)
        self._check('permutation', [count], value.tolist())
        return value

    def assert_used_up(self):
        assert self.left == 0


@pytest.fixture(scope='module')
def table(stored):
    return stored('transforms.json')


@pytest.fixture(scope='module')
def pixels(stored):
    return stored('transforms.npz')


def painted_picture(seed, height, width):
    """(h, w, 3) uint8: gradient, rectangles and noise; what MMDetection was given, so its draws must not change."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([x * 255.0 / width, y * 255.0 / height, (x + y) * 255.0 / (height + width)], axis=-1)
    for _ in range(8):
        left, top = rng.randint(0, width - 10), rng.randint(0, height - 10)
        picture[top:top + rng.randint(10, height), left:left + rng.randint(10, width)] = rng.randint(0, 256, 3)
    picture += rng.standard_normal(picture.shape) * 12
    return picture.clip(0, 255).astype(np.uint8)


def sample_of(picture, boxes, labels, ignored=(), rng=None):
    info = {'bboxes': np.float32(boxes), 'labels': np.int64(labels), 'bboxes_ignore': np.float32(ignored).reshape(-1, 4)}
    sample = Sample(img_info={'filename': 'pic.png', 'array': picture}, ann_info=info, rng=rng)
    return Compose([LoadImageFromFile(), LoadAnnotations()])(sample)


def network_inputs(item):
    """(3, H, W) of a pipeline's result: finished on the device, and in the worker."""
    batch = collate([item])
    return finish_pixels(batch['img'], batch['pixel_ops'])[0].numpy(), collate([item], finish=True)['img'][0].numpy()


@pytest.fixture(autouse=True)
def all_modes_are_tried(monkeypatch):
    """As MMDetection does; we skip a mode that no crop can satisfy, with its draws."""
    monkeypatch.setattr(MinIoURandomCrop, '_reachable_overlap', lambda *_: np.inf)


@pytest.fixture
def run(table):
    """Runs a transform on its recorded draws: (seed, sample after it, what MMDetection has) of each seed."""
    def each(name):
        cfg = dict(table['transforms'][name]['cfg'])
        transform = TRANSFORMS[cfg.pop('type')](**cfg)
        start = table['input']
        for seed, expected in table['transforms'][name]['seeds'].items():
            rng = RecordedDraws(int(seed), expected['draws'], expected['num_draws'])
            sample = transform(sample_of(painted_picture(50, 120, 160), start['gt_bboxes'], start['gt_labels'],
                                         start['gt_bboxes_ignore'], rng))
            rng.assert_used_up()
            if expected['num_draws']:
                assert rng.state.random_sample() == expected['next_rand']
            yield seed, sample, expected
    return each


@pytest.mark.parametrize('name', [*GEOMETRIC, *NORMALIZING, 'PhotoMetricDistortion'])
def test_draws_boxes_labels_shapes_and_flags_are_equal(run, name):
    count = 0
    for seed, sample, expected in run(name):
        for key in ('gt_bboxes', 'gt_bboxes_ignore', 'gt_labels', 'img_shape', 'pad_shape', 'scale_factor', 'flip',
                    'flip_direction'):
            if key in expected:
                assert np.asarray(sample[key]).tolist() == expected[key], f'{key}, seed {seed}'
        assert sample['gt_bboxes'].dtype == np.float32
        count += 1
    assert count in (1, 3, 8)


@pytest.mark.parametrize('name', GEOMETRIC)
def test_every_pixel_of_a_geometric_transform_is_equal(run, pixels, name):
    for seed, sample, expected in run(name):
        shown = render(sample.plan)
        assert list(shown.shape) == expected['shape'] and shown.dtype == np.uint8
        if name.startswith('Resize'):
            np.testing.assert_allclose(shown[::8, ::8].astype(int), pixels[f'{name}_s{seed}'], atol=1)
            if platform.machine() not in ('x86_64', 'AMD64'):
                continue  # other machines' builds of OpenCV may round a level otherwise
        assert hashlib.sha1(shown.tobytes()).hexdigest() == expected['sha1']


@pytest.mark.parametrize('name', NORMALIZING)
def test_normalised_pixels_are_equal_within_float_rounding(run, pixels, name):
    for seed, sample, _ in run(name):
        for shown in network_inputs(Collect(['img'])(sample)):
            np.testing.assert_allclose(shown.transpose(1, 2, 0)[::8, ::8], pixels[f'{name}_s{seed}'], rtol=1e-6, atol=2e-5)


def test_distorted_colours_are_equal_within_float_rounding(run, pixels):
    for seed, sample, _ in run('PhotoMetricDistortion'):
        for shown in network_inputs(Collect(['img'])(sample)):
            np.testing.assert_allclose(shown.transpose(1, 2, 0)[::8, ::8], pixels[f'PhotoMetricDistortion_s{seed}'],
                                       rtol=0, atol=COLOUR_ROUNDING)


def assert_same_input(item, pixels, name):
    """A network input in parts: every tenth row and column, and the means of all rows and of all columns."""
    atol = COLOUR_ROUNDING if platform.machine() in ('x86_64', 'AMD64') else 2.3  # a level of resizing, distorted
    for shown in network_inputs(item):
        np.testing.assert_allclose(shown[:, ::10, ::10], pixels[f'{name}_sample'], rtol=0, atol=atol)
        np.testing.assert_allclose(shown.mean(axis=2, dtype=np.float64), pixels[f'{name}_rows'], rtol=0, atol=atol)
        np.testing.assert_allclose(shown.mean(axis=1, dtype=np.float64), pixels[f'{name}_columns'], rtol=0, atol=atol)


@pytest.mark.parametrize('seed', range(8))
def test_the_training_pipeline_of_ssd300_gives_mmdetections_sample(table, pixels, seed):
    data = table['pipelines']
    expected = data['train']['seeds'][str(seed)]
    rng = RecordedDraws(seed, expected['draws'], expected['num_draws'])
    steps = Compose([Expand(MEAN), MinIoURandomCrop(), Resize((300, 300), keep_ratio=False), RandomFlip(0.5),
                     PhotoMetricDistortion(), Normalize(MEAN, (1, 1, 1)), DefaultFormatBundle(),
                     Collect(['img', 'gt_bboxes', 'gt_labels'])])
    item = steps(sample_of(painted_picture(70, 240, 320), data['gt_bboxes'], data['gt_labels'], rng=rng))
    rng.assert_used_up()
    np.testing.assert_array_equal(item['gt_bboxes'], np.float32(expected['gt_bboxes']))
    np.testing.assert_array_equal(item['gt_labels'], expected['gt_labels'])
    assert_same_metas(item['img_metas'], expected['meta'])
    assert_same_input(item, pixels, f'train_s{seed}')


def test_the_test_pipeline_of_ssd300_gives_mmdetections_input(table, pixels):
    data = table['pipelines']
    steps = MultiScaleFlipAug([Resize(keep_ratio=False), Normalize(MEAN, (1, 1, 1)), ImageToTensor(['img']), Collect(['img'])],
                              img_scale=(300, 300))
    item = steps(sample_of(painted_picture(70, 240, 320), data['gt_bboxes'], data['gt_labels']))
    assert_same_metas(item['img_metas'], data['test']['seeds']['0']['meta'])
    assert_same_input(item, pixels, 'test_s0')


def assert_same_metas(metas, expected):
    assert set(metas) == set(expected)
    for key in set(expected) - {'img_norm_cfg'}:
        np.testing.assert_array_equal(metas[key], expected[key], err_msg=key)
    norm, wanted = metas['img_norm_cfg'], expected['img_norm_cfg']
    assert norm['to_rgb'] == wanted['to_rgb']
    for key in ('mean', 'std'):
        np.testing.assert_array_equal(np.float32(norm[key]), np.float32(wanted[key]))
