"""What the tensors of a card take, in bytes. Nothing is held beyond that, so 'reserved' is 'allocated'."""
from __future__ import annotations

from typing import Tuple

from torch_npu.native import native
from torch_npu.npu.cards import Card, index_of


def memory_allocated(card: Card = None) -> int:
    return native.memory_in_use(index_of(card))


def max_memory_allocated(card: Card = None) -> int:
    return native.most_memory_in_use(index_of(card))


def reset_peak_memory_stats(card: Card = None) -> None:
    native.forget_most_memory(index_of(card))


def mem_get_info(card: Card = None) -> Tuple[int, int]:
    """(free, total)."""
    return native.memory_limit() - memory_allocated(card), native.memory_limit()


def empty_cache() -> None:
    """Nothing is cached."""


memory_reserved, max_memory_reserved = memory_allocated, max_memory_allocated
