"""Where a checkpoint was written, and where that is among other batches."""
from __future__ import annotations

import logging

import pytest

from mmcv_need.errors import CheckpointError
from mmcv_need.place_in_run import PlaceInRun, among, place_of


@pytest.fixture
def log(caplog):
    logger = logging.getLogger('place')
    logger.propagate = True
    return logger


@pytest.mark.parametrize('meta, place', [
    (dict(epoch=2, iter=17, inner_iter=3, epoch_len=7), (2, 17, 3, 7)),
    (dict(epoch=2, iter=14, inner_iter=0, epoch_len=7), (2, 14, 0, 7)),
    (dict(epoch=1, iter=14, inner_iter=7, epoch_len=7), (1, 14, 7, 7)),
    (dict(epoch=2, iter=14), (2, 14, 0, 7)),  # MMCV's, and MMEngine's, after an epoch
    (dict(epoch=2, iter=10), (2, 10, 0, 5)), (dict(epoch=2, iter=11), (2, 11, 0, None)),
    (dict(epoch=0, iter=3), (0, 3, 0, None)), (dict(epoch=0, iter=0), (0, 0, 0, None))])
def test_a_file_says_where_it_was_written(meta, place):
    assert place_of(meta, 'x.pth') == PlaceInRun(*place)


def test_all_iterations_of_an_epoch_are_the_epoch():
    places = [(2, 0, 4), (1, 4, 4), (2, 3, 4), (0, 0, None), (0, 3, None)]
    assert [PlaceInRun(epoch, 0, inner, length).done for epoch, inner, length in places] == [
        (2, 0), (2, 0), (2, 3), (0, 0), (0, 3)]


@pytest.mark.parametrize('meta, words', [
    (dict(epoch=1), 'does not say where'), ({}, 'does not say where'),
    (dict(epoch='1', iter=7), "cannot be: epoch '1'"), (dict(epoch=1.0, iter=7), 'cannot be: epoch 1.0'),
    (dict(epoch=True, iter=7), 'cannot be: epoch True'), (dict(epoch=1, iter=-3), 'cannot be: iter -3'),
    (dict(epoch=1, iter=7, inner_iter=None), 'cannot be: inner_iter None'),
    (dict(epoch=1, iter=7, inner_iter=100, epoch_len=7), 'cannot be: inner_iter 100, epoch_len 7'),
    (dict(epoch=1, iter=7, epoch_len='7'), "cannot be: epoch_len '7'"), (dict(epoch=1, iter=10 ** 30), 'cannot be: iter')])
def test_a_place_that_cannot_be_is_refused(meta, words):
    with pytest.raises(CheckpointError, match=f'^x.pth: .*{words}'):
        place_of(meta, 'x.pth')


@pytest.mark.parametrize('place, epoch_len, expected, said', [
    ((2, 17, 3, 7), 7, (2, 17, 3), ''),  # the same batches: the same place
    ((2, 14, 7, 7), 7, (2, 14, 7), ''),
    ((2, 14, 0, 7), 4, (2, 8, 0), 'had 7: data, batch or number of processes changed'),
    ((1, 14, 7, 7), 4, (2, 8, 0), 'at iteration 8 and not 14'),  # an epoch but for its end
    ((0, 0, 0, 7), 4, (0, 0, 0), ''),
    ((2, 11, 0, None), 7, (2, 14, 0), 'does not say how many it had'),  # MMCV counts an epoch that has begun
    ((1, 11, 0, None), 7, (1, 11, 4), 'goes on after 4 of epoch 2'),  # MMEngine does not
    ((0, 3, 0, None), 7, (0, 3, 3), 'goes on after 3 of epoch 1'),
    ((0, 0, 0, None), 7, (0, 0, 0), '')])
def test_a_place_among_other_batches_is_between_epochs(place, epoch_len, expected, said, log, caplog):
    assert among(PlaceInRun(*place), epoch_len, log)[:3] == expected
    assert (said in caplog.text) if said else not caplog.records


def test_a_place_within_an_epoch_means_nothing_among_other_batches(log):
    with pytest.raises(CheckpointError, match='after 3 of 7 iterations of an epoch, which now has 4'):
        among(PlaceInRun(2, 17, 3, 7), 4, log)
