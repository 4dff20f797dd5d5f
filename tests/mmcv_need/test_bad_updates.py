"""What is written of an update that was left out: readable, strict JSON, of bounded size and number; and a full disk."""
from __future__ import annotations

import errno
import json
import math

import numpy as np
import pytest
import torch

from mmcv_need import bad_updates
from mmcv_need.bad_updates import BOXES, FILES, PICTURES, BadUpdates, Step, seen

NAN = math.nan


def strict(text):
    def refuse(name):
        raise AssertionError(f'{name} is no JSON')
    return json.loads(text, parse_constant=refuse)


def batch(pictures=2, boxes=3, padding=5):
    labels = torch.full((pictures, boxes + padding), -1)
    labels[:, :boxes] = torch.arange(boxes)
    metas = [{'filename': f'/data/{i}.jpg', 'ori_filename': f'{i}.jpg', 'img_id': np.int64(i), 'flip': i % 2 == 1,
              'scale_factor': np.array([1.5] * 4, dtype=np.float32)} for i in range(pictures)]
    return {'img': torch.zeros(pictures, 3, 300, 300), 'img_metas': metas, 'gt_labels': labels,
            'gt_bboxes': torch.rand(pictures, boxes + padding, 4) + 1,
            'gt_bboxes_ignore': torch.tensor([[[1.0, 2.0, 3.0, 4.0]] + [[0.0] * 4] * 7] * pictures)}


def outputs(*losses):
    losses = torch.tensor(losses)
    return {'loss': losses.sum(), 'log_vars': {'loss_cls': losses.sum(), 'loss': losses.sum()}, 'losses': {'loss_cls': losses}}


@pytest.fixture
def writer(tmp_path, make_logger):
    return BadUpdates(str(tmp_path), make_logger())


def test_a_file_says_what_the_network_was_given(writer, tmp_path):
    given = batch()
    given['gt_bboxes'][1, 0, 2] = NAN
    step = Step(123, 2, [0.001, 0.002], [seen(given, outputs(1.0, NAN)), seen(batch(1), outputs(2.0))])
    assert writer.write(step, 'its loss is not finite', 128.0) == 'bad_updates/iter_123_rank_0.json'
    text = (tmp_path / 'bad_updates/iter_123_rank_0.json').read_text()
    record = strict(text)
    assert {key: record[key] for key in ('iteration', 'epoch', 'rank', 'processes', 'reason', 'lr', 'loss_scale')} == {
        'iteration': 123, 'epoch': 2, 'rank': 0, 'processes': 1, 'reason': 'its loss is not finite', 'lr': [0.001, 0.002],
        'loss_scale': 128.0}
    assert record['losses'] == [{'loss_cls': 'nan', 'loss': 'nan'}, {'loss_cls': 2.0, 'loss': 2.0}]
    first, second, third = record['pictures']  # the suspect comes first
    assert (first['file'], first['id'], first['batch'], first['suspect'], first['flip']) == ('1.jpg', 1, 1, True, True)
    assert (second['file'], third['file'], third['batch']) == ('0.jpg', '0.jpg', 2) and not second['suspect']
    assert first['gt_labels'] == [0, 1, 2] and first['gt_bboxes'][0][2] == 'nan' and len(first['gt_bboxes']) == 3
    assert second['gt_bboxes'] == [[pytest.approx(x, rel=1e-6) for x in box] for box in given['gt_bboxes'][0, :3].tolist()]
    assert first['gt_bboxes_ignore'] == [[1.0, 2.0, 3.0, 4.0]] and first['scale_factor'] == [1.5] * 4
    assert len(text.splitlines()) < 20  # a line for each picture


def test_a_batch_that_says_little_is_no_trouble(writer, tmp_path):
    bare = seen({'img_metas': [{}, {'filename': 'x.jpg'}]}, {'loss': torch.tensor(NAN)})
    writer.write(Step(1, 1, [0.1], [bare]), 'why', None)
    record = strict((tmp_path / 'bad_updates/iter_1_rank_0.json').read_text())
    assert [tuple(row[key] for key in ('file', 'id', 'suspect')) for row in record['pictures']] == [
        ('?', None, True), ('x.jpg', None, True)]
    writer.write(Step(2, 1, [0.1], [seen({}, {'loss': torch.tensor(1.0)})]), 'why', None)
    assert strict((tmp_path / 'bad_updates/iter_2_rank_0.json').read_text())['pictures'] == []


def test_its_size_is_bounded_and_suspects_are_always_in_it(writer, tmp_path):
    given = batch(pictures=700, boxes=400)
    losses = [1.0] * 699 + [NAN]
    writer.write(Step(1, 1, [0.1], [seen(given, outputs(*losses))]), 'why', None)
    path = tmp_path / 'bad_updates/iter_1_rank_0.json'
    record = strict(path.read_text())
    assert len(record['pictures']) == PICTURES and record['pictures_not_listed'] == 700 - PICTURES
    assert record['pictures'][0]['file'] == '699.jpg' and record['pictures'][0]['suspect']
    assert len(record['pictures'][0]['gt_bboxes']) == BOXES and record['pictures'][0]['boxes_not_listed'] == 400 - BOXES
    assert path.stat().st_size < 2 ** 21


def test_their_number_is_bounded_but_for_that_of_the_end(writer, tmp_path):
    names = [writer.write(Step(i, 1, [0.1], [seen(batch(), outputs(1.0, NAN))]), 'why', None) for i in range(30)]
    assert names[:FILES] == [f'bad_updates/iter_{i}_rank_0.json' for i in range(FILES)] and set(names[FILES:]) == {None}
    assert writer.write(Step(99, 1, [0.1], []), 'the end', None, last=True) == 'bad_updates/iter_99_rank_0.json'
    assert len(list((tmp_path / 'bad_updates').iterdir())) == FILES + 1


def test_a_full_disk_ends_nothing(writer, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')
    monkeypatch.setattr('mmcv_need.serialization.atomic_files.os.fsync', fail)
    assert writer.write(Step(5, 1, [0.1], [seen(batch(), outputs(1.0, NAN))]), 'why', None) is None
    assert writer.logger.said == [f'{tmp_path}/bad_updates/iter_5_rank_0.json: cannot be written (No space left on device); '
                                  f'the run goes on']
    assert list((tmp_path / 'bad_updates').iterdir()) == []


def test_a_file_in_the_place_of_the_folder_ends_nothing(writer, tmp_path):
    (tmp_path / 'bad_updates').write_text('mine')
    assert writer.write(Step(5, 1, [0.1], []), 'why', None) is None and len(writer.logger.said) == 1
    assert (tmp_path / 'bad_updates').read_text() == 'mine'


def test_what_is_kept_of_a_batch_is_small_and_its_own():
    """Not the pictures; and results that the next step writes over have been copied."""
    given, made = batch(), outputs(1.0, 2.0)
    kept = seen(given, made)
    made['losses']['loss_cls'].zero_()
    assert kept.losses_by_picture() == [{'loss_cls': 1.0}, {'loss_cls': 2.0}] and set(kept.truths) == {
        'gt_bboxes', 'gt_labels', 'gt_bboxes_ignore'}
    assert bad_updates.seen({}, {'loss': torch.tensor(1.0), 'losses': {'loss': torch.tensor(1.0)}}).losses == {}
