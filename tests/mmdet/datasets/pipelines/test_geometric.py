"""Windows and boxes: what each transform promises."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError
from mmdet.datasets.pipelines import Compose
from mmdet.datasets.pipelines.geometric import Expand, Pad, RandomFlip, Resize
from mmdet.datasets.pipelines.plan import Plan, render
from mmdet.datasets.pipelines.random_crop import MinIoURandomCrop
from mmdet.datasets.pipelines.test_time_aug import MultiScaleFlipAug

MEAN = (123.675, 116.28, 103.53)
GOLDEN_BOXES, GOLDEN_LABELS = [[10, 10, 40, 50], [50, 20, 70, 30]], [1, 2]


MODES = (1, 0.1, 0.3, 0.5, 0.7, 0.9, 0)  # of a crop, by number


@pytest.fixture
def golden_sample(make_sample, legacy_draws):
    """MMDetection's example of 60 x 80 with two boxes, after np.random.seed(seed)."""
    picture = (np.arange(60 * 80 * 3) % 251).reshape(60, 80, 3).astype(np.float32)
    return lambda seed: make_sample(picture, GOLDEN_BOXES, GOLDEN_LABELS, rng=legacy_draws(seed))


@pytest.mark.parametrize('seed, size, shift', [(0, (80, 60), (0, 0)), (1, (252, 189), (0, 39)), (2, (86, 64), (3, 2)),
                                               (3, (80, 60), (0, 0))])
def test_expand_of_the_example(golden_sample, seed, size, shift):
    sample = Expand(MEAN)(golden_sample(seed))
    assert sample.plan.shape == size[::-1]
    np.testing.assert_array_equal(sample['gt_bboxes'], np.float32(GOLDEN_BOXES) + np.tile(np.float32(shift), 2))
    assert sample['img_shape'] == (60, 80, 3)  # stays, in MMDetection too


@pytest.mark.parametrize('seed, size, boxes, labels', [
    (0, (75, 41), [[9, 0, 39, 38], [49, 8, 69, 18]], [1, 2]),
    (1, (39, 20), [[24, 5, 39, 15]], [2]),
    (2, (80, 60), GOLDEN_BOXES, [1, 2]),
    (3, (49, 36), [[20, 19, 40, 29]], [2]),
    (4, (57, 35), [[0, 0, 20, 35], [30, 8, 50, 18]], [1, 2]),
    (5, (54, 33), [[0, 0, 20, 31], [30, 1, 50, 11]], [1, 2])])
def test_crop_of_the_example(golden_sample, monkeypatch, seed, size, boxes, labels):
    monkeypatch.setattr(MinIoURandomCrop, '_reachable_overlap', lambda *_: np.inf)  # draws for every mode, as MMDetection
    sample = MinIoURandomCrop()(golden_sample(seed))
    assert sample.plan.shape == size[::-1] and sample['img_shape'] == (*size[::-1], 3)
    assert sample['gt_bboxes'].tolist() == boxes
    assert sample['gt_labels'].tolist() == labels


def test_resize_and_flip_of_the_example(golden_sample):
    sample = Resize((300, 300), keep_ratio=False)(golden_sample(0))
    assert sample['scale_factor'].tolist() == [3.75, 5, 3.75, 5] and sample['scale_factor'].dtype == np.float32
    assert sample['gt_bboxes'].tolist() == [[37.5, 50, 150, 250], [187.5, 100, 262.5, 150]]
    sample = RandomFlip(0.5)(golden_sample(1))
    assert (sample['flip'], sample['flip_direction']) == (True, 'horizontal')
    assert sample['gt_bboxes'].tolist() == [[40, 10, 70, 50], [10, 20, 30, 30]]
    sample = RandomFlip(0.5)(golden_sample(0))
    assert (sample['flip'], sample['flip_direction']) == (False, None)


SIDES = st.integers(12, 90)


@st.composite
def labelled_boxes(draw, width, height, most=6):
    boxes = []
    for _ in range(draw(st.integers(0, most))):
        x1, x2 = sorted(draw(st.tuples(st.floats(0, width, width=32), st.floats(0, width, width=32))))
        y1, y2 = sorted(draw(st.tuples(st.floats(0, height, width=32), st.floats(0, height, width=32))))
        if x2 - x1 >= 1 and y2 - y1 >= 1:
            boxes.append((x1, y1, x2, y2))
    return boxes


@st.composite
def scenes(draw):
    """Width, height, boxes, ignored boxes."""
    width, height = draw(SIDES), draw(SIDES)
    return width, height, draw(labelled_boxes(width, height)), draw(labelled_boxes(width, height, most=2))


STEPS = {'expand': lambda: Expand(MEAN, prob=0.8), 'crop': MinIoURandomCrop,
         'flip': lambda: RandomFlip(0.5, ['horizontal', 'diagonal']),
         'stretch': lambda: Resize((50, 40), keep_ratio=False), 'fit': lambda: Resize((70, 40))}


@settings(max_examples=120, deadline=None)
@given(scenes(), st.lists(st.sampled_from(sorted(STEPS)), max_size=5), st.integers(0, 2 ** 32))
def test_boxes_stay_in_the_picture_with_their_labels(make_sample, scene, names, seed):
    width, height, boxes, ignored = scene
    sample = make_sample(np.zeros((height, width, 3), np.uint8), boxes, ignored=ignored, rng=np.random.default_rng(seed))
    sample = Compose([STEPS[name]() for name in names])(sample)
    height, width = sample.plan.shape
    assert len(sample['gt_labels']) == len(sample['gt_bboxes']) <= len(boxes)
    assert len(set(sample['gt_labels'].tolist())) == len(sample['gt_labels'])  # each box keeps its own
    for field in ('gt_bboxes', 'gt_bboxes_ignore'):
        found = sample[field]
        assert found.dtype == np.float32 and found.shape[1:] == (4,) and np.isfinite(found).all()
        assert (found[:, 2:] >= found[:, :2]).all()
        slack = 1e-4 * max(height, width)
        assert (found >= -slack).all() and (found <= np.float32([width, height, width, height]) + slack).all()
    assert render(sample.plan).shape == (height, width, 3)


class Recorder:
    """A generator that remembers the modes drawn."""

    def __init__(self, seed, modes=MODES):
        self.rng = np.random.default_rng(seed)
        self.possible, self.modes = modes, []

    def random(self, size):
        return self.rng.random(size)

    def integers(self, count):
        drawn = int(self.rng.integers(count))
        self.modes.append(float(self.possible[drawn]))
        return drawn


@settings(max_examples=150, deadline=None)
@given(scenes(), st.integers(0, 2 ** 32))
def test_a_crop_satisfies_its_mode(eager, make_sample, scene, seed):
    width, height, boxes, ignored = scene
    rng = Recorder(seed)
    sample = MinIoURandomCrop()(make_sample(np.zeros((height, width, 3), np.uint8), boxes, ignored=ignored, rng=rng))
    plan, mode = sample.plan, rng.modes[-1]
    if mode == 1:
        assert (plan.left, plan.top, plan.width, plan.height) == (0, 0, width, height)
        return
    patch = (plan.left, plan.top, plan.left + plan.width, plan.top + plan.height)
    assert 0 <= patch[0] < patch[2] <= width and 0 <= patch[1] < patch[3] <= height
    assert plan.width >= int(0.3 * width) and plan.height >= int(0.3 * height)
    assert (plan.height + 1) / plan.width >= 0.5 and (plan.width + 1) / plan.height >= 0.5
    for box in np.float32([*boxes, *ignored]).reshape(-1, 4):
        assert eager.iou(patch, box.astype(float)) >= mode - 1e-5  # of every box, ignored ones too
    kept = [i for i, box in enumerate(boxes) if eager.has_centre_inside(patch, np.float32(box))]  # as exact as boxes are
    assert sample['gt_labels'].tolist() == kept
    if boxes or ignored:
        assert len(sample['gt_bboxes']) + len(sample['gt_bboxes_ignore']) > 0


def test_every_mode_is_drawn_equally_often():
    rng = Recorder(0)
    transform = MinIoURandomCrop()
    for _ in range(2100):
        transform._search(rng, (60, 80), np.zeros((0, 4), np.float32))
    values, counts = np.unique(rng.modes, return_counts=True)
    assert values.tolist() == pytest.approx([0, 0.1, 0.3, 0.5, 0.7, 0.9, 1])
    assert counts.sum() == 2100 and (abs(counts - 300) < 5 * 300 ** 0.5).all()


@pytest.mark.parametrize('boxes', [[[0, 0, 1, 1], [99, 79, 100, 80]], [[0, 0, 1, 80], [99, 0, 100, 80]], [[0, 0, 100, 80]] * 2,
                                   [[-500, -500, -400, -400]], [[10, 10, 10, 10]]])
def test_the_search_for_a_crop_ends_however_the_boxes_lie(make_sample, boxes):
    for seed in range(20):
        sample = MinIoURandomCrop()(make_sample(np.zeros((80, 100, 3), np.uint8), boxes, rng=np.random.default_rng(seed)))
        assert min(sample.plan.shape) >= 1


@pytest.mark.parametrize('shape', [(1, 1), (1, 40), (40, 1), (2, 2)])
def test_the_search_for_a_crop_ends_in_the_smallest_pictures(make_sample, shape):
    for seed in range(20):
        sample = MinIoURandomCrop()(make_sample(np.zeros((*shape, 3), np.uint8), rng=np.random.default_rng(seed)))
        assert min(sample.plan.shape) >= 1 and not sample.plan.is_filled


def test_an_ignored_box_alone_may_be_all_that_a_crop_keeps(make_sample):
    """Ignored boxes count in the search, so a picture can come out without ground truth, as in MMDetection."""
    bare = 0
    for seed in range(200):
        sample = make_sample(np.zeros((80, 100, 3), np.uint8), [[0, 0, 20, 20]], ignored=[[70, 50, 100, 80]],
                             rng=np.random.default_rng(seed))
        sample = MinIoURandomCrop((0.,))(sample)
        bare += not len(sample['gt_bboxes']) and len(sample['gt_bboxes_ignore']) == 1
        assert len(sample['gt_labels']) == len(sample['gt_bboxes'])
    assert bare > 10


def test_pictures_without_boxes_pass_through_every_step(make_sample):
    for seed in range(10):
        sample = make_sample(np.zeros((80, 100, 3), np.uint8), rng=np.random.default_rng(seed))
        sample = Compose([STEPS[name]() for name in ('expand', 'crop', 'stretch', 'flip')])(sample)
        assert sample['gt_bboxes'].shape == (0, 4) and sample['gt_labels'].shape == (0,)
        assert sample['gt_bboxes'].dtype == np.float32


def test_a_picture_without_annotations_at_all_passes_through_every_step():
    from mmdet.datasets.pipelines import Sample
    from mmdet.datasets.pipelines.loading import LoadImageFromFile
    sample = Sample(img_info={'filename': 'x', 'array': np.zeros((80, 100, 3), np.uint8)}, rng=np.random.default_rng(0))
    sample = Compose([LoadImageFromFile(), *(STEPS[name]() for name in ('expand', 'crop', 'stretch', 'flip'))])(sample)
    assert sample.plan.shape == (40, 50) and 'gt_bboxes' not in sample


def test_ignored_boxes_move_with_the_others_and_come_first(make_sample, scripted_draws):
    sample = make_sample(np.zeros((80, 100, 3), np.uint8), [[10, 20, 30, 40]], ignored=[[0, 0, 10, 10]],
                         rng=scripted_draws(0., 0.5, 0.5, 0.5, 0.4))
    assert sample['bbox_fields'] == ['gt_bboxes_ignore', 'gt_bboxes']
    sample = Expand(MEAN, ratio_range=(1, 3), prob=1.)(sample)
    assert sample['gt_bboxes'].tolist() == [[60, 60, 80, 80]] and sample['gt_bboxes_ignore'].tolist() == [[50, 40, 60, 50]]
    sample = RandomFlip(0.5)(sample)
    assert sample['gt_bboxes'].tolist() == [[120, 60, 140, 80]] and sample['gt_bboxes_ignore'].tolist() == [[140, 40, 150, 50]]


def test_the_dataset_s_own_boxes_are_not_changed(make_sample):
    boxes = np.float32([[10, 20, 30, 40]])
    annotation = {'bboxes': boxes, 'labels': np.array([1]), 'bboxes_ignore': boxes.copy()}
    from mmdet.datasets.pipelines import Sample
    from mmdet.datasets.pipelines.loading import LoadAnnotations, LoadImageFromFile
    for seed in range(10):
        sample = Sample(img_info={'filename': 'x', 'array': np.zeros((80, 100, 3), np.uint8)}, ann_info=annotation,
                        rng=np.random.default_rng(seed))
        sample = Compose([LoadImageFromFile(), LoadAnnotations(), *(make() for make in STEPS.values())])(sample)
        sample['gt_bboxes'] += 7
        sample['gt_labels'] += 7
    assert boxes.tolist() == annotation['bboxes_ignore'].tolist() == [[10, 20, 30, 40]] and annotation['labels'].tolist() == [1]


def test_expand_happens_as_often_as_it_should_with_canvases_of_every_size(make_sample):
    ratios, places = [], []
    for seed in range(600):
        sample = Expand(MEAN)(make_sample(np.zeros((100, 200, 3), np.uint8), rng=np.random.default_rng(seed)))
        plan = sample.plan
        if plan.shape != (100, 200):
            ratios.append(plan.width / 200)
            places.append((-plan.left / max(plan.width - 200, 1), -plan.top / max(plan.height - 100, 1)))
            assert plan.left <= 0 and plan.top <= 0 and plan.left + plan.width >= 200 and plan.top + plan.height >= 100
    assert abs(len(ratios) - 300) < 5 * 150 ** 0.5
    assert np.histogram(ratios, bins=3, range=(1, 4))[0].min() > 60
    assert np.mean(places, axis=0) == pytest.approx([0.5, 0.5], abs=0.1)


def test_the_canvas_has_the_means_colour_in_the_pictures_channel_order(make_sample, scripted_draws):
    for to_rgb, colour in ((True, (103, 116, 123)), (False, (123, 116, 103))):
        sample = make_sample(np.zeros((8, 8, 3), np.uint8), rng=scripted_draws(0., 1., 0.5, 0.5))
        assert tuple(render(Expand(MEAN, to_rgb, prob=1.)(sample).plan)[0, 0]) == colour


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 500), st.integers(1, 500), st.integers(20, 400), st.integers(20, 400))
@example(500, 1, 100, 20)
def test_keeping_the_ratio_fits_the_picture_into_the_scale(make_sample, width, height, long_side, short_side):
    long_side, short_side = max(long_side, short_side), min(long_side, short_side)
    sample = Resize((long_side, short_side))(make_sample(np.zeros((height, width, 3), np.uint8)))
    new_height, new_width = sample.plan.shape
    assert min(new_height, new_width) >= 1  # be the picture a line
    assert max(new_height, new_width) <= long_side and min(new_height, new_width) <= short_side
    assert max(new_height, new_width) == long_side or min(new_height, new_width) == short_side
    np.testing.assert_allclose(sample['scale_factor'], np.float32([new_width / width, new_height / height] * 2))
    assert sample['keep_ratio'] is True


def test_resize_clips_boxes_only_if_asked(make_sample):
    picture, boxes = np.zeros((80, 100, 3), np.uint8), [[-10, -20, 110, 90]]
    clipped = Resize((200, 160), keep_ratio=False)(make_sample(picture, boxes))
    assert clipped['gt_bboxes'].tolist() == [[0, 0, 200, 160]]
    whole = Resize((200, 160), keep_ratio=False, bbox_clip_border=False)(make_sample(picture, boxes))
    assert whole['gt_bboxes'].tolist() == [[-20, -40, 220, 180]]


def test_several_scales_are_drawn_by_value_or_range(make_sample):
    picture = np.zeros((100, 100, 3), np.uint8)
    by_value = {Resize([(50, 40), (90, 80)], 'value', keep_ratio=False)(
        make_sample(picture, rng=np.random.default_rng(seed))).plan.shape for seed in range(30)}
    assert by_value == {(40, 50), (80, 90)}
    in_range = [Resize([(50, 40), (90, 80)], 'range', keep_ratio=False)(
        make_sample(picture, rng=np.random.default_rng(seed))).plan.shape for seed in range(60)]
    assert all(40 <= height <= 80 and 50 <= width <= 90 for height, width in in_range) and len(set(in_range)) > 30
    by_ratio = [Resize((100, 60), ratio_range=(0.5, 2.), keep_ratio=False)(
        make_sample(picture, rng=np.random.default_rng(seed))).plan.shape for seed in range(60)]
    assert all(30 <= height <= 120 and abs(width / height - 100 / 60) < 0.05 for height, width in by_ratio)


def test_resize_takes_its_own_scale_instead_of_a_given_one_if_asked(make_sample):
    picture = np.zeros((80, 100, 3), np.uint8)
    for override, shape in ((False, (200, 300, 3)), (True, (40, 50, 3))):
        steps = [Resize(keep_ratio=False), Resize((50, 40), keep_ratio=False, override=override)]
        sample = MultiScaleFlipAug(steps[1:], img_scale=(300, 200))(make_sample(picture, [[0, 0, 100, 80]]))
        assert sample['img_shape'] == shape and sample['gt_bboxes'].tolist() == [[0, 0, shape[1], shape[0]]]
        sample = MultiScaleFlipAug(steps, img_scale=(300, 200))(make_sample(picture, [[0, 0, 100, 80]]))
        assert sample['img_shape'] == shape


def test_a_test_picture_takes_its_scale_from_multi_scale_flip_aug(make_sample):
    transform = MultiScaleFlipAug([Resize(keep_ratio=False), RandomFlip()], img_scale=(300, 200))
    sample = transform(make_sample(np.zeros((80, 100, 3), np.uint8)))
    assert sample['img_shape'] == (200, 300, 3)
    assert (sample['flip'], sample['flip_direction']) == (False, None)


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
def test_a_flip_is_its_own_inverse(make_sample, natural_picture, direction):
    picture, boxes = natural_picture(0, 60, 80), [[10, 20, 30.5, 40], [0, 0, 80, 60]]
    once = RandomFlip(1., direction)(make_sample(picture, boxes))
    assert (once['flip'], once['flip_direction']) == (True, direction)
    axes = {'horizontal': 1, 'vertical': 0, 'diagonal': (0, 1)}[direction]
    np.testing.assert_array_equal(render(once.plan), np.flip(picture, axes))
    twice = RandomFlip(1., direction)(once)
    np.testing.assert_array_equal(render(twice.plan), picture)
    assert twice['gt_bboxes'].tolist() == boxes


def test_boxes_follow_what_they_frame(make_sample):
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[20:40, 10:30] = 255
    for direction in ('horizontal', 'vertical', 'diagonal'):
        sample = RandomFlip(1., direction)(make_sample(picture, [[10, 20, 30, 40]]))
        x1, y1, x2, y2 = sample['gt_bboxes'][0].astype(int)
        shown = render(sample.plan)
        assert (shown[y1:y2, x1:x2] == 255).all() and shown.sum() == picture.sum()


def test_directions_are_drawn_by_their_shares(make_sample):
    def shares(transform):
        drawn = [transform(make_sample(np.zeros((4, 4, 3), np.uint8), rng=np.random.default_rng(seed)))['flip_direction']
                 for seed in range(1000)]
        return [drawn.count(name) / 1000 for name in ('horizontal', 'vertical', 'diagonal', None)]

    assert shares(RandomFlip(0.5)) == pytest.approx([0.5, 0, 0, 0.5], abs=0.06)
    assert shares(RandomFlip(0.6, ['horizontal', 'vertical', 'diagonal'])) == pytest.approx([0.2, 0.2, 0.2, 0.4], abs=0.06)
    assert shares(RandomFlip([0.1, 0.7], ['horizontal', 'vertical'])) == pytest.approx([0.1, 0.7, 0, 0.2], abs=0.06)
    assert shares(RandomFlip()) == [0, 0, 0, 1]


@pytest.mark.parametrize('arguments, shape', [(dict(size_divisor=32), (64, 96)), (dict(size=(100, 120)), (100, 120)),
                                              (dict(size=(10, 120)), (60, 120)), (dict(size_divisor=20), (60, 80)),
                                              (dict(size_divisor=32, pad_val=dict(img=0, seg=255)), (64, 96))])
def test_pad_adds_zeros_at_the_right_and_below(make_sample, arguments, shape):
    sample = Pad(**arguments)(make_sample(np.full((60, 80, 3), 7, np.uint8), [[1, 2, 3, 4]]))
    shown = render(sample.plan)
    assert sample['pad_shape'] == shown.shape == (*shape, 3) and sample['img_shape'] == (60, 80, 3)
    assert (shown[:60, :80] == 7).all() and shown.sum() == 7 * 60 * 80 * 3
    assert sample['gt_bboxes'].tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize('make', [
    lambda: Expand(ratio_range=(0.5, 4)), lambda: Expand(ratio_range=(4, 1)), lambda: MinIoURandomCrop(min_crop_size=0),
    lambda: MinIoURandomCrop(min_crop_size=1.5), lambda: Resize((300, 0)), lambda: Resize((300,)),
    lambda: Resize(()), lambda: Resize([]), lambda: Resize(300), lambda: Resize('300'), lambda: Resize([(300, 300), 5]),
    lambda: Resize([(300, '300')]), lambda: MultiScaleFlipAug([], ()), lambda: MultiScaleFlipAug([], 300),
    lambda: RandomFlip(0.5, []), lambda: RandomFlip(None, ()), lambda: RandomFlip(0.5, None),
    lambda: RandomFlip([-0.5, 0.7], ['horizontal', 'vertical']),
    lambda: Resize((300, 300), multiscale_mode='all'), lambda: Resize((300, 300), backend='pillow'),
    lambda: RandomFlip(0.5, 'sideways'), lambda: RandomFlip(1.5), lambda: RandomFlip([0.5, 0.5]),
    lambda: RandomFlip([0.6, 0.6], ['horizontal', 'vertical']), Pad, lambda: Pad((3, 3), 32), lambda: Pad((3, 3), pad_val=114),
    lambda: Pad((3, 3), pad_val=dict(img=114)), lambda: Resize([(1, 1), (2, 2), (3, 3)]),
    lambda: Resize([(1, 1), (2, 2)], ratio_range=(1, 2)), lambda: Resize(ratio_range=(1, 2)),
    lambda: MultiScaleFlipAug([], [(300, 300), (500, 500)]), lambda: MultiScaleFlipAug([], (300, 300), flip=True)])
def test_arguments_that_cannot_be_meant_are_errors_in_one_line(make):
    with pytest.raises(ConfigError) as error:
        make()
    assert len(str(error.value).splitlines()) == 1


def test_resize_without_a_scale_says_so(make_sample):
    with pytest.raises(ConfigError, match='img_scale'):
        Resize()(make_sample(np.zeros((4, 4, 3), np.uint8)))


def test_a_window_may_be_moved_in_steps():
    plan = Plan(np.zeros((60, 80, 3), np.uint8))
    plan.move_window(10, 5, 50, 40)
    plan.flip_x = True
    plan.move_window(1, 2, 20, 30)  # counted from the right now
    assert (plan.left, plan.top, plan.width, plan.height) == (10 + 50 - 1 - 20, 7, 20, 30)
