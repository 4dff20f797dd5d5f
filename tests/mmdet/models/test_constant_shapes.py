"""From batch to loss: the same few operations whatever the batch holds, nothing asked of the device, little memory.

Sizes:  N images,  G ground-truth boxes an image (padded),  A default boxes.
"""
from __future__ import annotations

import weakref

import pytest
import torch

from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.registry import build
from mmdet.apis.test import finish_batch
from mmdet.core.anchor.anchor_generator import SSDAnchorGenerator
from mmdet.core.bbox.assigner import MaxIoUAssigner
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.pipelines.plan import Plan, pixel_row, render
from mmdet.models.builder import LOSSES
from mmdet.models.dense_heads.ssd_head import SSDHead, SSDTrainCfg

dispatch = pytest.importorskip('torch.utils._python_dispatch', reason='this torch does not show its operations')
if not hasattr(dispatch, 'TorchDispatchMode'):
    pytest.skip('this torch does not show its operations', allow_module_level=True)

COCO = {
    300: ([8, 16, 32, 64, 100, 300], [[2], [2, 3], [2, 3], [2, 3], [2], [2]], 0.15, [38, 19, 10, 5, 3, 1]),
    512: ([8, 16, 32, 64, 128, 256, 512], [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]], 0.1, [64, 32, 16, 8, 4, 2, 1]),
}
CLASSES = 80
# Results whose shape depends on values, or values that the host asks for: each makes a device wait.
WAITS = {'aten::nonzero', 'aten::_local_scalar_dense', 'aten::item', 'aten::masked_select', 'aten::is_nonzero', 'aten::equal',
         'aten::unique_dim', 'aten::_unique2', 'aten::bincount', 'aten::repeat_interleave', 'aten::allclose'}


class Operations(dispatch.TorchDispatchMode):
    """Lists operations, and counts the bytes of the tensors that they made and that are still alive."""

    def __init__(self):
        super().__init__()
        self.names, self.waits = [], []
        self.num_views = self.live = self.peak = 0
        self._known = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self._remember(args, kwargs)
        result = func(*args, **kwargs)
        name = func._schema.name
        self.names.append(name)
        self.num_views += _is_view(func)
        if name in WAITS or _indexes_by_mask(name, args) or _copies_to_host(args, kwargs, result):
            self.waits.append(str(func))
        for tensor in _tensors(result):
            self._count(tensor.untyped_storage())
        return result

    def _remember(self, args, kwargs):
        """What comes from outside is not ours to count."""
        for tensor in _tensors([args, kwargs]):
            self._known.add(tensor.untyped_storage())

    def _count(self, storage):
        if storage not in self._known:
            self._known.add(storage)
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._release, storage.nbytes())

    def _release(self, size):
        self.live -= size


def _tensors(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for item in value for tensor in _tensors(item)] if isinstance(value, (list, tuple)) else []


def _is_view(func):
    """Whether the result shares the memory of an argument that is not written to."""
    aliases = [argument.alias_info for argument in func._schema.arguments if argument.alias_info is not None]
    return any(not alias.is_write for alias in aliases)


def _indexes_by_mask(name, args):
    return name in ('aten::index', 'aten::index_put', 'aten::index_put_', 'aten::_index_put_impl_') and any(
        tensor.dtype in (torch.bool, torch.uint8) for tensor in _tensors(args[1]))


def _copies_to_host(args, kwargs, result):
    """To another device, either way. The tests run on the meta device too, where the host is another one."""
    return len({tensor.device for tensor in _tensors([args, kwargs, result]) if tensor.dim() > 0}) > 1


class Loss(torch.nn.Module):
    """Matching and loss for a batch of one input size, in shapes of the real thing."""

    def __init__(self, size, device='cpu', **assigner):
        super().__init__()
        strides, ratios, first, sides = COCO[size]
        generator = SSDAnchorGenerator(strides, ratios, size, (first, 0.9))
        self.head = SSDHead([1] * len(strides), generator, num_classes=CLASSES)
        self.anchors = generator.grid_anchors([(side, side) for side in sides], torch.device(device))
        self.size = size
        self.cfg = SSDTrainCfg(MaxIoUAssigner(0.5, 0.5, 0.0, **{'gt_max_assign_all': False, **assigner}))
        self.head.bbox_coder._means_stds(self.anchors.boxes.device)  # copied to a device once, before the first step

    def forward(self, scores, deltas, gt_bboxes, gt_labels):
        losses = self.head.loss(scores, deltas, self.anchors, gt_bboxes, gt_labels, self.cfg)
        return losses['loss_cls'], losses['loss_bbox']

    def batch(self, n, g, num_boxes, seed=0):
        """Random arguments of `forward`, with `num_boxes` ground truths in each image."""
        generator = torch.Generator().manual_seed(seed)
        a = len(self.anchors.boxes)
        gt_bboxes = torch.rand(n, g, 2, 2, generator=generator).sort(dim=2).values.flatten(2) * self.size
        gt_labels = torch.randint(CLASSES, (n, g), generator=generator).masked_fill(torch.arange(g) >= num_boxes, -1)
        scores, deltas = torch.randn(n, a, CLASSES + 1, generator=generator), torch.randn(n, a, 4, generator=generator)
        made = scores, deltas, gt_bboxes, gt_labels
        return tuple(tensor.to(self.anchors.boxes.device) for tensor in made)

    def meta_batch(self, n, g):
        """Arguments of these shapes without any values."""
        a = len(self.anchors.boxes)
        return (torch.empty(n, a, CLASSES + 1, device='meta', requires_grad=True),
                torch.empty(n, a, 4, device='meta', requires_grad=True),
                torch.empty(n, g, 4, device='meta'), torch.empty(n, g, device='meta', dtype=torch.int64))


def operations(loss, arguments, backward=False):
    arguments = (*(tensor.detach().requires_grad_() for tensor in arguments[:2]), *arguments[2:])
    with Operations() as seen:
        total = sum(part.sum() for part in loss(*arguments)) if backward else loss(*arguments)
        if backward:
            total.backward()
    return seen


@pytest.fixture(scope='module')
def ssd300():
    return Loss(300)


@pytest.mark.parametrize('backward', [False, True])
def test_nothing_waits_for_the_device_and_no_shape_depends_on_values(backward, device):
    loss = Loss(300, device)
    assert operations(loss, loss.batch(2, 8, 5), backward).waits == []


@pytest.mark.parametrize('kind', ['IoULoss', 'GIoULoss', 'DIoULoss', 'CIoULoss', 'BoundedIoULoss', 'L1Loss'])
def test_losses_of_decoded_boxes_wait_for_nothing_either(kind, device):
    loss = Loss(300, device)
    loss.head.reg_decoded_bbox, loss.head.loss_bbox = True, build(dict(type=kind), LOSSES)
    seen = operations(loss, loss.batch(2, 8, 5), backward=True)
    assert seen.waits == [] and seen.names == operations(loss, loss.batch(2, 8, 0), backward=True).names


def test_a_loss_takes_at_most_60_operations_that_compute(ssd300):
    """Views are counted apart: they launch nothing on a device. With torch 2.13 there are 60, and 21 views."""
    seen = operations(ssd300, ssd300.batch(2, 8, 5))
    assert len(seen.names) - seen.num_views <= 60, sorted(seen.names)
    assert len(seen.names) <= 90, sorted(seen.names)


@pytest.mark.parametrize('n, g, num_boxes', [(1, 8, 5), (8, 8, 5), (2, 64, 5), (2, 64, 64), (2, 8, 0), (2, 1, 1)])
def test_the_operations_are_the_same_whatever_the_batch_holds(ssd300, n, g, num_boxes):
    usual = operations(ssd300, ssd300.batch(2, 8, 5)).names
    assert operations(ssd300, ssd300.batch(n, g, num_boxes)).names == usual


def test_the_operations_are_the_same_for_ssd512(ssd300):
    ssd512 = Loss(512)
    assert operations(ssd512, ssd512.batch(1, 8, 5)).names == operations(ssd300, ssd300.batch(1, 8, 5)).names


def test_everything_works_without_values():
    """On the meta device there are none to ask for, and a copy to or from the host is a copy to another device."""
    for size in COCO:
        loss = Loss(size, 'meta')
        with Operations() as seen:
            losses = loss(*loss.meta_batch(32, 128))
        assert [one.shape for one in losses] == [(32,), (32,)]
        assert seen.waits == []


def test_ignored_regions_and_padded_pictures_ask_for_no_values_either():
    loss, (scores, deltas, gt_bboxes, gt_labels) = Loss(300, 'meta', ignore_iof_thr=0.5), Loss(300, 'meta').meta_batch(2, 8)
    regions, valid = torch.empty(2, 8, 4, device='meta'), torch.empty(2, 8732, device='meta', dtype=torch.bool)
    with Operations() as seen:
        losses = loss.head.loss(scores, deltas, loss.anchors, gt_bboxes, gt_labels, loss.cfg, regions, valid)
    assert losses['loss_cls'].shape == (2,) and seen.waits == []


def peak_bytes(loss, arguments):
    with Operations() as seen:
        kept = loss(*arguments)
    assert len(kept) == 2
    return seen.peak


def test_bytes_are_the_same_with_and_without_values(ssd300):
    """Which is why a large batch can be accounted for on the meta device."""
    with_values = ssd300.batch(2, 16, 5)
    with_values = (*(tensor.requires_grad_() for tensor in with_values[:2]), *with_values[2:])
    meta = Loss(300, 'meta')
    assert peak_bytes(ssd300, with_values) == pytest.approx(peak_bytes(meta, meta.meta_batch(2, 16)), rel=1e-3)


def test_temporaries_of_ssd512_at_32_images_of_128_boxes_stay_below_1_gb():
    """One (N, G, A) float tensor is 402 MB, the scores' log-probabilities, kept for going backward, are 255 MB."""
    loss = Loss(512, 'meta')
    assert peak_bytes(loss, loss.meta_batch(32, 128)) <= 1e9


def test_the_account_of_bytes_sees_what_lives_and_what_is_freed():
    with Operations() as seen:
        a = torch.zeros(1000)
        b = a + 1
        del a
        c = b[:10].mul_(2)
        assert (seen.live, seen.peak) == (4000, 8000)
        del b, c
        assert seen.live == 0


@pytest.mark.parametrize('waits', [
    lambda x: x[x > 0], lambda x: x.nonzero(), lambda x: x.sum().item(), lambda x: bool(x.any()), lambda x: x.unique(),
    lambda x: x.masked_select(x > 0), lambda x: x.index_put_((x > 0,), torch.tensor(1.)), lambda x: x.to('meta')])
def test_waiting_is_noticed(waits):
    with Operations() as seen:
        waits(torch.arange(4.))
    assert seen.waits


def test_the_whole_is_exportable_and_gives_the_same_numbers(ssd300):
    """torch.export refuses whatever depends on values."""
    torch_export = pytest.importorskip('torch.export', reason='this torch cannot export')
    arguments = ssd300.batch(2, 8, 5)
    program = torch_export.export(ssd300, arguments, strict=False)
    other = ssd300.batch(2, 8, 3, seed=1)
    for one in (arguments, other):
        for exported, expected in zip(program.module()(*one), ssd300(*one)):
            torch.testing.assert_close(exported, expected)


def test_a_whole_training_step_waits_for_nothing(build_detector):
    """From the batch on the device to the changed weights: colours, network, matching, loss, backward, clipping, step.

    As on an accelerator, where the host may not wait for the flag that says whether the gradients are finite.
    """
    def item(seed):
        plan = Plan(torch.randint(0, 256, (160, 160, 3), generator=torch.Generator().manual_seed(seed)).byte().numpy(),
                    colour=(5., 1, 1.1, 0.9, 3., 2., 1., 0.), mean=(120.,) * 3, std=(60.,) * 3, to_rgb=True)
        boxes = torch.tensor([[10., 10, 60, 60], [50, 70, 120, 150]]).numpy()
        return {'img': render(plan), 'pixel_row': pixel_row(plan), 'img_metas': {}, 'gt_bboxes': boxes,
                'gt_labels': torch.tensor([1, 2]).numpy()}

    wrapper = MMDataParallel(build_detector('ssd_demo.py'), torch.device('cpu'), finish_batch).train()
    optimizer = OptimizerStep(torch.optim.SGD(wrapper.parameters(), lr=1e-3, momentum=0.9), dict(max_norm=10),
                              may_wait=False)

    def step(batch):
        outputs = wrapper.train_step(batch)
        optimizer.zero_grad()
        optimizer.backward(outputs['loss'])
        optimizer.clip()
        optimizer.step()

    step(collate([item(0), item(1)]))  # the first step makes default boxes and momentum, and asks
    optimizer.was_applied()
    batch = collate([item(2), item(3)])
    with Operations() as seen:
        step(batch)
    assert len(seen.names) > 300 and not seen.waits
