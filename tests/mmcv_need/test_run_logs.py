"""Logs of three engines come out in one form; what cannot be read is one line that says where."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need.errors import LogError
from mmcv_need.run_logs import read_records

DATA = Path(__file__).parent / 'data'


@pytest.fixture
def log(tmp_path):
    def write(lines):
        path = tmp_path / 'run.json'
        path.write_text('\n'.join(line if isinstance(line, str) else json.dumps(line) for line in lines))
        return str(path)
    return write


def mmengine_train(epoch, iteration, **values):
    return {'lr': 0.1, 'data_time': 0.01, 'loss': 2.0, 'time': 0.5, **values, 'epoch': epoch, 'iter': iteration,
            'step': iteration}


def mmengine_run(epochs, length, interval):
    """Records of a whole run, evaluated after each epoch, as MMEngine writes them."""
    for epoch in range(1, epochs + 1):
        for inner in range(interval, length + 1, interval):
            yield mmengine_train(epoch, (epoch - 1) * length + inner)
        yield {'coco/bbox_mAP': epoch / 10, 'coco/bbox_mAP_50': 0.5, 'data_time': 0.01, 'time': 0.2, 'step': epoch}


@pytest.mark.parametrize('name', ['ssd300_mmcv_1.2.7.log.json', 'tiny_mmcv_1.7.2.log.json'])
def test_records_of_mmcv_are_taken_as_they_are(name):
    written = [json.loads(line) for line in (DATA / name).read_text().splitlines()]
    assert read_records(str(DATA / name)) == [record for record in written if 'mode' in record]


def test_a_real_log_of_mmengine_counts_within_epochs_as_mmcv_does():
    records = read_records(str(DATA / 'scalars_mmengine_0.10.7.json'))
    assert [(record['mode'], record['epoch'], record['iter']) for record in records] == [
        ('train', 1, 1), ('train', 1, 2), ('train', 1, 3), ('train', 2, 1), ('train', 2, 2), ('train', 2, 3)]
    first = json.loads((DATA / 'scalars_mmengine_0.10.7.json').read_text().splitlines()[0])
    assert {key: records[0][key] for key in ('lr', 'data_time', 'loss', 'time')} == {key: first[key] for key in
                                                                                      ('lr', 'data_time', 'loss', 'time')}
    assert 'step' not in records[0]


@given(epochs=st.integers(1, 5), length=st.integers(1, 30), interval=st.integers(1, 10), first=st.integers(1, 5))
def test_iterations_within_epochs_are_found_for_any_length_and_interval(tmp_path_factory, epochs, length, interval, first):
    interval, first = min(interval, length), min(first, epochs)
    path = tmp_path_factory.mktemp('log') / 'scalars.json'
    run = [record for record in mmengine_run(epochs, length, interval) if record.get('epoch', first) >= first]
    path.write_text('\n'.join(map(json.dumps, run)))
    places = [(record['epoch'], record['iter']) for record in read_records(str(path)) if record['mode'] == 'train']
    inner = list(range(interval, length + 1, interval))
    if epochs > first or first == 1 or len(inner) > 1:  # of a lone record in a lone later epoch nothing tells
        assert places == [(epoch, k) for epoch in range(first, epochs + 1) for k in inner]


def test_an_evaluation_of_mmengine_belongs_to_its_epoch_and_has_plain_names(log):
    val = [record for record in read_records(log(mmengine_run(2, 6, 3))) if record['mode'] == 'val']
    assert val == [{'mode': 'val', 'epoch': epoch, 'bbox_mAP': epoch / 10, 'bbox_mAP_50': 0.5, 'data_time': 0.01, 'time': 0.2}
                   for epoch in (1, 2)]


def test_names_that_would_be_the_same_stay_whole(log):
    records = read_records(log([mmengine_train(1, 1), {'a/mAP': 0.1, 'b/mAP': 0.2, 'a/AR': 0.3, 'step': 1}]))
    assert records[1] == {'mode': 'val', 'epoch': 1, 'a/mAP': 0.1, 'b/mAP': 0.2, 'AR': 0.3}


def test_a_run_of_mmengine_without_epochs_counts_iterations(log):
    train = {'lr': 0.1, 'loss': 1.0, 'time': 0.5, 'iter': 100, 'step': 100}
    records = read_records(log([train, {'coco/bbox_mAP': 0.1, 'step': 100}, {**train, 'iter': 200, 'step': 200}]))
    assert [(record['mode'], record['iter'], record.get('epoch')) for record in records] == [
        ('train', 100, None), ('val', 100, None), ('train', 200, None)]


def test_an_unfinished_line_counts_only_where_it_is_expected(log):
    path = log([{'mode': 'train', 'epoch': 1, 'iter': 1, 'time': 0.5}, '{"mode": "tra'])
    assert len(read_records(path, unfinished=True)) == 1
    with pytest.raises(LogError, match=r'run\.json:2: not JSON'):
        read_records(path)


@pytest.mark.parametrize('line, complaint', [
    ('Epoch [1][2/5]', r':2: not JSON; give the .log.json of a run \(or scalars.json\)'),
    ('[1]', ':2: expected a JSON object, got list'),
    ({'mode': 'train', 'iter': 0, 'time': 1}, ':2: a train record needs a whole "iter" of 1 or more, got 0'),
    ({'mode': 'train', 'iter': 5, 'epoch': 'x', 'time': 1}, ':2: the "epoch" of a train record must be a whole number'),
    ({'mode': 'train', 'iter': 5, 'time': None}, ':2: a train record needs its "time" in seconds, got None'),
    ({'iter': 'many', 'step': 4}, ':2: expected a whole number of 0 or more as "iter", got \'many\''),
    ({'coco/bbox_mAP': 0.5, 'step': 1.5}, ':2: expected a whole number of 0 or more as "step", got 1.5')])
def test_what_is_no_record_is_said_with_its_line(log, line, complaint):
    with pytest.raises(LogError, match=complaint):
        read_records(log([{'env_info': 'x'}, line]))


@pytest.mark.parametrize('content', [None, b'\xff\xfe\x00'])
def test_what_is_no_text_file_is_said(tmp_path, content):
    path = tmp_path / 'x.json'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LogError, match='cannot be read'):
        read_records(str(path))
