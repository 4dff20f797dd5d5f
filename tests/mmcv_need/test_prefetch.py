"""Batches that are copied and finished beside the step: in which order streams are told of it."""
from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from mmcv_need import device as devices
from mmcv_need.prefetch import on_side_stream

CARD = SimpleNamespace(type='card')


class OnCard(torch.Tensor):
    """A tensor that says that it is on a card, and notes in which streams it is used."""
    device = CARD
    log: list = []

    def record_stream(self, stream):
        self.log.append(('keep for', stream.name))


@pytest.fixture
def log(monkeypatch):
    """What happens, in order: streams are stand-ins."""
    found = OnCard.log
    found.clear()
    main = SimpleNamespace(name='main', wait_stream=lambda other: found.append(('main waits for', other.name)))

    @contextmanager
    def stream(side):
        found.append(('into', side.name))
        yield
        found.append(('out of', side.name))

    stack = SimpleNamespace(Stream=lambda device: SimpleNamespace(name='side'), stream=stream,
                            current_stream=lambda device: main)
    monkeypatch.setattr(devices, 'stack', lambda device: stack)
    return found


class Wrapper:
    def __init__(self, log):
        self.log = log

    def on_device(self, batch):
        self.log.append(('copy', batch['number']))
        return {'img': torch.zeros(1).as_subclass(OnCard), 'deep': [(torch.zeros(1).as_subclass(OnCard), 'name')],
                'host': torch.zeros(1), 'number': batch['number']}


def batches(log, count):
    for number in range(count):
        log.append(('load', number))
        yield {'number': number}


def test_a_batch_is_copied_beside_the_step_before_and_waited_for_on_the_device(log):
    for batch in on_side_stream(batches(log, 2), Wrapper(log), CARD):
        log.append(('step', batch['number']))
    assert log == [entry for number in range(2) for entry in (
        ('load', number), ('into', 'side'), ('copy', number), ('out of', 'side'), ('main waits for', 'side'),
        ('keep for', 'main'), ('keep for', 'main'), ('step', number))]


def test_nothing_is_read_ahead_of_what_is_asked_for(log):
    coming = on_side_stream(batches(log, 5), Wrapper(log), CARD)
    next(coming)
    coming.close()
    assert [entry for entry in log if entry[0] == 'load'] == [('load', 0)]


def test_each_view_of_a_test_picture_is_copied(log):
    (views,) = on_side_stream([[{'number': 0}, {'number': 1}]], Wrapper(log), CARD)
    assert [view['number'] for view in views] == [0, 1]


def test_an_error_of_the_loader_comes_where_its_batch_would(log):
    def failing():
        yield {'number': 0}
        raise ValueError('picture 7')

    coming = on_side_stream(failing(), Wrapper(log), CARD)
    next(coming)
    with pytest.raises(ValueError, match='picture 7'):
        next(coming)


def test_on_the_cpu_batches_pass_as_they_are():
    given = [{'number': number} for number in range(3)]
    assert list(on_side_stream(iter(given), None, torch.device('cpu'))) == given


def test_a_stack_without_streams_is_served_without(monkeypatch):
    monkeypatch.setattr(devices, 'stack', lambda device: SimpleNamespace())
    assert list(on_side_stream([1, 2], None, CARD)) == [1, 2]
