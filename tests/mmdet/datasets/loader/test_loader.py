"""Batches: their shapes, and that workers, ranks and resuming do not change a bit of them."""
from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import subprocess
import threading
import time
import warnings
from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmcv_need.errors import DataError
from mmdet.core.image.pixels import finish_pixels
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.loader import data_loader
from mmdet.datasets.loader.collate import SMALLEST_G, collate, pad_pictures, padded_length
from mmdet.datasets.loader.data_loader import REPLACEMENTS, SeededSamples, eval_loader, train_loader
from mmdet.datasets.pipelines.formatting import Collect
from mmdet.datasets.pipelines.geometric import Expand, RandomFlip, Resize
from mmdet.datasets.pipelines.loading import LoadAnnotations, LoadImageFromFile
from mmdet.datasets.pipelines.photometric import Normalize, PhotoMetricDistortion
from mmdet.datasets.pipelines.plan import Plan, pixel_row
from mmdet.datasets.pipelines.random_crop import MinIoURandomCrop
from mmdet.datasets.wrappers import RepeatDataset

MEAN = (123.675, 116.28, 103.53)
KEYS = ['img', 'gt_bboxes', 'gt_labels']
SIZES = [(60, 40), (40, 60), (50, 50), (64, 48), (33, 70), (90, 35), (48, 64), (72, 40)]


@pytest.fixture(scope='module')
def dataset(tmp_path_factory, coco_folder):
    folder = tmp_path_factory.mktemp('pictures')
    boxes = [dict(image_id=i, category_id=10 * (1 + (i + j) % 3), bbox=[3 + j, 4 + j, 20, 15])
             for i in range(1, len(SIZES) + 1) for j in range(i % 4 + 1)]
    path = coco_folder(folder, SIZES, boxes, pictures=True)

    def make(*extra, test_mode=False):
        resize = Resize((32, 24), keep_ratio=False)
        steps = [resize] if test_mode else [LoadAnnotations(), Expand(MEAN), MinIoURandomCrop(), resize, RandomFlip(0.5),
                                            PhotoMetricDistortion(), *extra]
        last = [Normalize(MEAN, (1, 1, 1)), Collect(KEYS[:1] if test_mode else KEYS)]
        return CocoDataset(str(path), [LoadImageFromFile(), *steps, *last], img_prefix=str(folder), test_mode=test_mode)
    return make


def flat(batch):
    """All of a batch that is numbers, as bytes, and the names of its pictures."""
    tensors = [batch['img'], batch['pixel_ops'].rows, *(batch[key] for key in KEYS[1:] if key in batch)]
    return [tensor.contiguous().numpy().tobytes() for tensor in tensors] + [meta['filename'] for meta in batch['img_metas']]


def epochs(loader, count=2):
    found = []
    for epoch in range(count):
        loader.set_epoch(epoch)
        found += [flat(batch) for batch in loader]
    return found


@pytest.mark.filterwarnings('ignore:This DataLoader will create')  # torch, on a machine with few cores
@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded, use of fork')
@pytest.mark.parametrize('workers', [1, 4])
def test_batches_are_bit_identical_with_any_number_of_workers(dataset, workers, monkeypatch):
    monkeypatch.setattr(data_loader, 'available_cores', lambda: 4)  # there are as many workers as cores at most
    found = RepeatDataset(dataset(), 2)
    alone = epochs(train_loader(found, 3, 0, seed=4))
    assert epochs(train_loader(found, 3, workers, seed=4)) == alone
    assert len(alone) == 2 * 6 and len({batch[0] for batch in alone}) == 12  # all different


@pytest.mark.parametrize('test_mode', [False, True])
def test_a_worker_finishes_pictures_as_a_device_does(dataset, test_mode):
    def batches(finish):
        found = dataset(test_mode=test_mode)
        return list(eval_loader(found, 3, 0, finish=finish) if test_mode else train_loader(found, 3, 0, seed=4, finish=finish))

    for ours, theirs in zip(batches(True), batches(False)):
        assert 'pixel_ops' not in ours and ours['img'].dtype == torch.float32
        assert ours['img'].is_contiguous(memory_format=torch.channels_last)
        np.testing.assert_allclose(ours['img'], finish_pixels(theirs['img'], theirs['pixel_ops']), rtol=1e-6, atol=2e-3)


def test_global_generators_and_earlier_epochs_change_nothing(dataset):
    first = train_loader(dataset(), 2, 0, seed=1)
    first.set_epoch(5)
    expected = [flat(batch) for batch in first]
    np.random.seed(3)
    torch.manual_seed(3)
    assert epochs(first, 1) != expected
    second = train_loader(dataset(), 2, 0, seed=1)
    second.set_epoch(5)
    assert [flat(batch) for batch in second] == expected
    other = train_loader(dataset(), 2, 0, seed=2)
    other.set_epoch(5)
    assert [flat(batch) for batch in other] != expected


def test_skipping_batches_continues_bit_by_bit(dataset):
    loader = train_loader(dataset(), 2, 0, seed=1)
    loader.set_epoch(2)
    whole = [flat(batch) for batch in loader]
    loader.set_epoch(2, skip=3)
    assert [flat(batch) for batch in loader] == whole[3:] and len(loader) == len(whole)


def test_two_ranks_share_the_samples_of_one_process(dataset):
    def samples(loader):
        loader.set_epoch(1)
        return [(meta['filename'], batch['img'][i].numpy().tobytes())
                for batch in loader for i, meta in enumerate(batch['img_metas'])]

    ranks = [samples(train_loader(dataset(), 2, 0, seed=1, rank=rank, world_size=2)) for rank in range(2)]
    assert sorted(ranks[0] + ranks[1]) == sorted(samples(train_loader(dataset(), 4, 0, seed=1)))


@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_evaluation_loads_each_picture_once(dataset, world_size):
    loaders = [eval_loader(dataset(test_mode=True), 3, 0, rank, world_size) for rank in range(world_size)]
    names = [[meta['ori_filename'] for batch in loader for meta in batch['img_metas']] for loader in loaders]
    assert sorted(chain(*names)) == [f'{i:03}.png' for i in range(1, 9)]
    assert [len(loader) for loader in loaders] == [-(-len(mine) // 3) for mine in names]
    assert 'gt_bboxes' not in next(iter(loaders[0])) and len(loaders[0].dataset) == 8


class Refuse:
    """Of no use: samples whose draw is below a share."""

    def __init__(self, share):
        self.share = share

    def __call__(self, sample):
        return None if sample.rng.uniform(0, 1) < self.share else sample


@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded, use of fork')
def test_a_refused_sample_is_replaced_by_one_of_its_group_always_the_same(dataset):
    found = dataset(Refuse(0.5))
    groups = {found.annotations.file_names[i]: found.flag[i] for i in range(len(found))}
    samples, replaced = SeededSamples(found, seed=3), 0
    for epoch in range(4):
        for index in range(len(found)):
            item = samples[epoch, index]
            name = item['img_metas']['ori_filename']
            replaced += name != found.annotations.file_names[index]
            assert groups[name] == found.flag[index]
            np.testing.assert_array_equal(item['img'], SeededSamples(dataset(Refuse(0.5)), 3)[epoch, index]['img'])
    assert 5 < replaced < 27
    assert epochs(train_loader(found, 2, 1, seed=3)) == epochs(train_loader(found, 2, 0, seed=3))


def test_a_pipeline_that_refuses_everything_is_an_error_and_not_a_loop(dataset):
    class Count(Refuse):
        calls = 0

        def __call__(self, sample):
            Count.calls += 1

    error = SeededSamples(dataset(Count(1)), seed=0)[0, 2]
    assert isinstance(error, DataError) and 'picture 2' in str(error)
    assert Count.calls == REPLACEMENTS + 1


@pytest.mark.parametrize('workers', [0, 1])
def test_an_error_of_a_worker_arrives_as_itself_in_one_line(dataset, workers):
    class Fail:
        def __call__(self, sample):
            raise DataError('picture.jpg: damaged')

    with pytest.raises(DataError, match=r'^picture\.jpg: damaged$'):
        next(iter(train_loader(dataset(Fail()), 2, workers, seed=3)))


def item(height=24, width=32, boxes=2, dtype=np.uint8, value=200):
    picture = np.full((height, width, 3), value, dtype)
    return {'img': picture, 'pixel_row': pixel_row(Plan(picture)), 'img_metas': {'boxes': boxes},
            'gt_bboxes': np.full((boxes, 4), 7, np.float32), 'gt_labels': np.full(boxes, 3, np.int64)}


def test_a_batch_has_padded_boxes_and_pictures_in_channels_last():
    batch = collate([item(boxes=2), item(boxes=0), item(boxes=5)])
    assert batch['img'].shape == (3, 3, 24, 32) and batch['img'].dtype == torch.uint8
    assert batch['img'].is_contiguous(memory_format=torch.channels_last)
    assert batch['gt_bboxes'].shape == (3, 8, 4) and batch['gt_bboxes'].dtype == torch.float32
    assert batch['gt_labels'].shape == (3, 8) and batch['gt_labels'].dtype == torch.int64
    for i, count in enumerate((2, 0, 5)):
        assert (batch['gt_bboxes'][i, :count] == 7).all() and not batch['gt_bboxes'][i, count:].any()
        assert batch['gt_labels'][i].tolist() == [3] * count + [-1] * (8 - count)
    assert [meta['boxes'] for meta in batch['img_metas']] == [2, 0, 5]
    assert batch['pixel_ops'].rows.shape[0] == 3 and not batch['pixel_ops'].padded


def test_the_number_of_box_places_is_a_power_of_two_so_that_few_shapes_occur():
    assert [padded_length(count) for count in (0, 1, 8, 9, 16, 17, 100, 129)] == [8, 8, 8, 16, 16, 32, 128, 256]
    assert SMALLEST_G == 8
    assert len({padded_length(count) for count in range(500)}) == 7
    assert collate([item(boxes=3), item(boxes=33)])['gt_labels'].shape == (2, 64)


def test_pictures_of_mixed_sizes_are_padded_with_zeros_after_normalisation():
    items = [item(20, 30), item(10, 40), item(20, 40)]
    for i in items:
        plan = Plan(i['img'])
        plan.mean, plan.std, plan.to_rgb = MEAN, (2., 2., 2.), True
        i['pixel_row'] = pixel_row(plan)
    batch = collate(items)
    assert batch['img'].shape == (3, 3, 20, 40) and batch['pixel_ops'].padded
    assert batch['img'].is_contiguous(memory_format=torch.channels_last)
    pixels = finish_pixels(batch['img'], batch['pixel_ops'])
    for picture, (height, width) in zip(pixels, [(20, 30), (10, 40), (20, 40)]):
        inside = picture[:, :height, :width]
        torch.testing.assert_close(inside, ((200 - torch.tensor(MEAN)) / 2)[:, None, None].expand_as(inside))
        assert not picture[:, height:].any() and not picture[:, :, width:].any()


def test_float_and_byte_pictures_in_one_batch_lose_nothing():
    """A user's transform may leave some pictures as floats."""
    for sizes in ([(8, 8), (8, 8)], [(8, 8), (6, 9)]):
        batch = collate([item(*sizes[0], value=200), item(*sizes[1], dtype=np.float32, value=-12.5)])
        assert batch['img'][0].max() == 200 and batch['img'][1].min() == -12.5


def test_padding_leaves_pictures_of_one_size_alone():
    pictures = [np.full((4, 5, 3), i, np.uint8) for i in range(3)]
    np.testing.assert_array_equal(pad_pictures(pictures), np.stack(pictures))


@pytest.mark.slow
def test_a_batch_holds_memory_of_its_own(dataset):
    """The dataset's array must not be seen through a batch that someone changes."""
    picture = item()
    batch = collate([picture])
    batch['img'].zero_()
    batch['gt_bboxes'].zero_()
    assert picture['img'].min() == 200 and picture['gt_bboxes'].min() == 7


def test_making_batches_gives_no_warning(dataset):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        epochs(train_loader(dataset(), 2, 0, seed=0), 1)


def wait_quietly(ready):
    faulthandler.disable()  # pytest's would report the signal
    ready.set()
    time.sleep(60)


class Broken:
    """Stands for torch's loader: one batch, then `error`; one worker, which ends as `end` makes it."""

    def __init__(self, error, end):
        fork = multiprocessing.get_context('fork')
        ready = fork.Event()
        worker = fork.Process(target=wait_quietly, args=(ready,), daemon=True)
        worker.start()
        ready.wait()
        self.error, self.end, self._iterator = error, end, SimpleNamespace(_workers=[worker])

    def __iter__(self):
        yield {'img': 1}
        self.end(self._iterator._workers[0])
        raise self.error


@pytest.mark.parametrize('error', [ConnectionResetError('reset by peer'), EOFError(), RuntimeError('exited unexpectedly')])
@pytest.mark.parametrize('late', [False, True])
@pytest.mark.parametrize('number, hint', [(signal.SIGKILL, 'see `dmesg`'), (signal.SIGBUS, 'see `df /dev/shm`'),
                                          (signal.SIGTERM, '')])
def test_a_worker_that_ends_is_told_by_what_ended_it(dataset, error, late, number, hint):
    """torch tells of some of them itself, in several ways; at times it is the connection that breaks a moment earlier."""
    loader = eval_loader(dataset(test_mode=True), 3, 0)

    def end(worker):
        threading.Timer(0.2 * late, os.kill, (worker.pid, number)).start()

    loader._loader = Broken(error, end)
    batches = iter(loader)
    assert next(batches) == {'img': 1}
    pid = loader._loader._iterator._workers[0].pid
    with pytest.raises(RuntimeError, match=rf'^DataLoader worker \(pid {pid}\) was killed by {number.name}.*{hint}'):
        next(batches)


@pytest.mark.filterwarnings('ignore:This process .* is multi-threaded, use of fork')
# torch opens files to see if there are too many, and may be interrupted by the news of the worker's end
@pytest.mark.filterwarnings('ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning')
@pytest.mark.parametrize('when', ['stuck in a sample', 'stopped within an epoch', 'stopped between epochs'])
def test_a_worker_that_gives_nothing_is_named_and_ended(dataset, monkeypatch, when):
    """Stopped, it would not heed torch's own request to end either, and this process would wait for it for ever."""
    class Slow:
        samples = 0

        def __call__(self, sample):
            self.samples += 1
            time.sleep(600 if self.samples == 6 else 0)
            return sample

    monkeypatch.setattr(data_loader, 'patience', lambda: 1.25)
    loader = train_loader(dataset(*[Slow()] if 'sample' in when else []), 2, 1, seed=3)
    batches = iter(loader)
    list(batches) if 'between' in when else next(batches)
    worker = loader._loader._iterator._workers[0]
    if 'stopped' in when:
        os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(RuntimeError, match=rf'^DataLoader worker \(pid {worker.pid}\) gave nothing for 1 s: it was stopped'):
        list(loader if 'between' in when else batches)
    assert not worker.is_alive()


def test_an_error_that_no_worker_died_of_stays_what_it_is(dataset, monkeypatch):
    monkeypatch.setattr(data_loader, 'SETTLE', 0.1)
    loader = eval_loader(dataset(test_mode=True), 3, 0)
    loader._loader = Broken(RuntimeError('something else'), lambda worker: None)
    with pytest.raises(RuntimeError, match=r'^something else$'):
        list(loader)
    loader._loader._iterator._workers[0].kill()


def test_signals_to_a_whole_job_are_for_the_process_and_not_for_its_workers(dataset):
    loader = train_loader(dataset(), 2, 1, seed=3)
    batches = iter(loader)
    next(batches)
    worker, = loader._loader._iterator._workers
    for number in (signal.SIGINT, signal.SIGUSR1):
        os.kill(worker.pid, number)
    subprocess.run(['kill', '-TERM', str(worker.pid)], check=True)  # of another process
    assert list(batches) and worker.is_alive()
    worker.terminate()  # of its own
    worker.join(60)
    assert worker.exitcode == 0
