"""What the toolkit is compared with does the same work, or the comparison would mean nothing."""
from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import inference
from benchmarks.bare_stack import BareStack, ForwardBackward, forward_flops
from benchmarks.pictures import make_pictures
from benchmarks.pipeline import dataset_of, finished, pipelines_of
from benchmarks.reference_loss import per_image_loss
from benchmarks.reference_nms import per_class, post_process
from benchmarks.reference_pipeline import eager, earlier_order, stack
from benchmarks.settings import build_network, read_config
from benchmarks.variants import synthetic_batch
from mmdet.apis.test import finish_batch
from mmdet.core.post_processing.detections import Detections, suppress
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.pipelines.random_crop import MinIoURandomCrop

CONFIGS = ['ssd300_coco.py', 'ssd512_coco.py']


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pictures') / 'drawn'
    make_pictures(folder, 12)
    return folder


@pytest.fixture(scope='module')
def ssd300():
    return build_network(read_config('ssd300_coco.py')).eval()


def test_drawn_pictures_are_of_coco_s_size_and_weight(drawn):
    sizes = [path.stat().st_size for path in (drawn / 'train2017').iterdir()]
    assert len(sizes) == 12 and min(sizes) > 120_000 and max(sizes) < 220_000


def test_the_same_seed_draws_the_same_pictures(drawn, tmp_path):
    make_pictures(tmp_path / 'again', 2)
    for path in (tmp_path / 'again/train2017').iterdir():
        assert path.read_bytes() == (drawn / 'train2017' / path.name).read_bytes()


class OneStream:
    """Random numbers for both pipelines, in the order in which they are used, whichever way they are asked for."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.integers, self.permutation, self.bit_generator = self.rng.integers, self.rng.permutation, self.rng.bit_generator

    def random(self, size=None):
        return self.rng.random() if size is None else SimpleNamespace(tolist=lambda: (self.random() for _ in range(size)))

    def uniform(self, low, high):
        return low + (high - low) * self.random()

    def choice(self, values, p=None):
        place = self.integers(len(values)) if p is None else np.searchsorted(np.cumsum(p), self.random(), side='right')
        return values[int(place)]


@pytest.mark.parametrize('config', [*CONFIGS, 'ssd_demo.py'])
@pytest.mark.parametrize('order', [list, earlier_order])
def test_the_plain_pipeline_gives_our_boxes_and_pixels_for_the_same_draws(config, order, drawn, monkeypatch):
    """Within a level of 255 after 2.19; before, the order of scaling and colours differs, and so do roundings."""
    monkeypatch.setattr(MinIoURandomCrop, '_reachable_overlap', lambda *_: np.inf)  # or we would skip hopeless draws
    cfg = read_config(config)
    train, _ = pipelines_of(cfg)
    ours, plain = dataset_of(cfg, drawn, order(train)), dataset_of(cfg, drawn, eager(order(train)))
    spread, worst = torch.tensor(cfg.img_norm_cfg['std']).view(3, 1, 1), []
    for index in range(12):
        one, other = (dataset.sample(index, OneStream(index)) for dataset in (ours, plain))
        np.testing.assert_allclose(one['gt_bboxes'], other['gt_bboxes'], atol=1e-3)
        assert one['gt_labels'].tolist() == other['gt_labels'].tolist()
        difference = (finished([one]) - stack([other])).abs()[0] * spread
        worst.append(difference.max() if order is list else difference.mean())
    assert max(worst) < 1.0


def test_the_plain_pipeline_goes_through_the_real_loader_untouched(drawn):
    cfg = read_config('ssd300_coco.py')
    items = [dataset_of(cfg, drawn, eager(pipelines_of(cfg)[0])).sample(i, np.random.default_rng(i)) for i in range(3)]
    torch.testing.assert_close(finish_batch(collate(items))['img'], stack(items), rtol=0, atol=0)
    torch.testing.assert_close(collate(items, finish=True)['img'], stack(items), rtol=0, atol=1e-5)


@pytest.mark.parametrize('pictures', [1, 4])
def test_the_loss_by_picture_is_ours(pictures, ssd300):
    batch = synthetic_batch(300, pictures, 80, torch.device('cpu'), seed=pictures)
    batch['gt_labels'][0] = -1  # a picture without objects
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(pictures, 8732, 81, generator=generator, requires_grad=True)
    deltas = torch.randn(pictures, 8732, 4, generator=generator, requires_grad=True)
    anchors = ssd300.bbox_head.anchor_generator.grid_anchors([(side, side) for side in (38, 19, 10, 5, 3, 1)], scores.device)
    truths = [(boxes[labels >= 0], labels[labels >= 0]) for boxes, labels in zip(batch['gt_bboxes'], batch['gt_labels'])]
    both = (ssd300.bbox_head.loss(scores, deltas, anchors, batch['gt_bboxes'], batch['gt_labels'], ssd300.train_cfg),
            per_image_loss(scores, deltas, anchors.boxes, *zip(*truths), ssd300.bbox_head.bbox_coder))
    gradients = [torch.autograd.grad(sum(loss.sum() for loss in found.values()), [scores, deltas]) for found in both]
    for ours, theirs in [*((both[0][name], both[1][name]) for name in ('loss_cls', 'loss_bbox')), *zip(*gradients)]:
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('config, size, convolutions, gflop', [('ssd300_coco.py', 300, 35, 68.72),
                                                               ('ssd512_coco.py', 512, 39, 197.26)])
def test_the_bare_stack_has_exactly_the_network_s_convolutions(config, size, convolutions, gflop):
    network = build_network(read_config(config))
    bare = BareStack(network)

    def shapes(module):
        return [tuple(layer.weight.shape) for layer in module.modules() if isinstance(layer, torch.nn.Conv2d)]

    assert len(shapes(bare)) == convolutions and sorted(shapes(bare)) == sorted(shapes(network))
    assert {type(layer).__name__ for layer in bare.modules()} == {'BareStack', 'ModuleList', 'Conv2d', 'ReLU', 'MaxPool2d'}
    assert forward_flops(bare, size) / 1e9 == pytest.approx(gflop, abs=0.01)


def test_the_bare_stack_computes_what_the_network_does_without_its_l2_norm(ssd300):
    network, img = build_network(read_config('ssd300_coco.py')), torch.randn(1, 3, 300, 300)
    del network.neck.l2_norm
    with torch.no_grad():
        scores, _ = network.bbox_head(network.extract_feat(img))
        maps = BareStack(network)(img)[0::2]
    flat = torch.cat([level.permute(0, 2, 3, 1).reshape(1, -1, 81) for level in maps], dim=1)
    torch.testing.assert_close(flat, scores)


def test_going_backward_through_it_reaches_every_weight():
    bare = BareStack(build_network(read_config('ssd_demo.py')))
    ForwardBackward(bare, torch.randn(1, 3, 160, 160), torch.enable_grad, lambda: None)()
    assert all(parameter.grad is not None for parameter in bare.parameters())


def test_class_by_class_and_in_one_order_keep_the_same_boxes(ssd300):
    outputs, metas = inference.typical_outputs(ssd300, 300, torch.device('cpu'), 3700)
    candidates = outputs['candidates']
    assert len(candidates.scores) == pytest.approx(3700, abs=50)
    kept = suppress([candidates], ssd300.test_cfg)
    assert inference.differences(kept, per_class(candidates, 0.45, 200)) == 0
    given = [outputs[name] for name in ('scores', 'deltas', 'anchors')]
    plain = post_process(*given, ssd300.bbox_head.bbox_coder, metas, ssd300.test_cfg, 0.45)[0]
    assert inference.differences(kept, plain) == 0
    assert len(kept.scores) == 200 and len(np.unique(kept.labels)) > 5


def test_each_box_that_differs_is_counted():
    boxes, scores, labels = np.arange(20.0).reshape(5, 4), np.array([.9, .8, .7, .6, .5]), np.arange(5)
    whole = Detections(boxes, scores, labels)
    assert inference.differences(whole, whole) == 0
    assert inference.differences(whole, Detections(boxes[:3], scores[:3], labels[:3])) == 2
    assert inference.differences(whole, Detections(boxes, scores, labels[[0, 2, 1, 3, 4]])) == 2
    assert inference.differences(whole, Detections(boxes, scores + [0, 0, 1e-9, 0, 0], labels)) == 1
