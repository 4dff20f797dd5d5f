"""Streams and events. Work is done when a call returns; only copies that nobody waited for arrive at `synchronize`."""
from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator, Optional

import torch

from torch_npu.native import native
from torch_npu.npu.cards import Card, index_of


class Stream(torch.Stream):
    """The one stream of a card, whoever makes it; a stream of torch, as operators that are told of one ask for."""

    def __new__(cls, device: Card = None, priority: int = 0) -> Stream:
        return super().__new__(cls, device=torch.device('npu', index_of(device)))

    def synchronize(self) -> None:
        native.synchronize()

    def query(self) -> bool:
        return True

    def wait_stream(self, other: Any) -> None:
        """There is one, and it is in order."""

    wait_event = wait_stream

    def record_event(self, event: Optional[Event] = None) -> Event:
        event = event or Event()
        event.record(self)
        return event


class Event:
    """A place in a stream."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False):
        self.recorded = False

    def record(self, stream: Optional[Stream] = None) -> None:
        self.recorded = True

    def synchronize(self) -> None:
        """Wait for what came before it; for nothing, if it was not recorded."""
        if self.recorded:
            native.synchronize()

    def query(self) -> bool:
        return True

    def wait(self, stream: Optional[Stream] = None) -> None:
        """The stream goes on behind the event; there is one, and it is in order."""


def current_stream(card: Card = None) -> Stream:
    return Stream(card)


default_stream = current_stream


@contextmanager
def stream(_: Optional[Stream]) -> Iterator[None]:
    yield


def synchronize(card: Card = None) -> None:
    native.synchronize()
