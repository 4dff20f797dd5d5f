"""Which cards there are, and which of them is this thread's."""
from __future__ import annotations

import os
from typing import Any, Optional, Union

import torch

from torch_npu.native import native

Card = Union[torch.device, str, int, None]
NAMES = {True: 'Ascend910 (stand-in)', False: 'Ascend910B (stand-in)'}  # by whether it saturates
_settings = {'jit_compile': False}
_owner = os.getpid()


def index_of(card: Card) -> int:
    """The number of a card; the current one where none is named.

    Raises:
        ValueError: another kind of device.
    """
    if isinstance(card, str):
        card = torch.device(card)
    if isinstance(card, torch.device):
        if card.type != 'npu':
            raise ValueError(f'expected an npu, not {card}')
        card = card.index
    return native.current_card() if card is None else card


def is_available() -> bool:
    return device_count() > 0


def device_count() -> int:
    return native.card_count()


def current_device() -> int:
    return native.current_card()


def set_device(card: Card) -> None:
    native.set_current_card(index_of(card))


class device:
    """Within this, another card is the current one."""

    def __init__(self, card: Card):
        self.card = index_of(card)

    def __enter__(self) -> None:
        self.before = current_device()
        set_device(self.card)

    def __exit__(self, *_: Any) -> None:
        set_device(self.before)


def get_device_name(card: Card = None) -> str:
    index = index_of(card)
    if not 0 <= index < device_count():
        raise ValueError(f'npu:{index} does not exist: {device_count()} visible, numbered from 0')
    return NAMES[native.saturates()]


def is_bf16_supported() -> bool:
    """As Ascend's chips: the first 910, which saturates, has none."""
    return not native.saturates()


def set_compile_mode(jit_compile: Optional[bool] = None) -> None:
    """Whether operators are compiled for each shape. Here there is nothing to compile; the wish is kept for who asks."""
    if not isinstance(jit_compile, bool):
        raise TypeError(f'jit_compile: expected a bool, not {jit_compile!r}')
    _settings['jit_compile'] = jit_compile


def is_jit_compile_false() -> bool:
    return not _settings['jit_compile']


def init() -> None:
    """The cards are ready when the package is imported."""


def is_initialized() -> bool:
    return True


def _is_in_bad_fork() -> bool:
    """Whether this process was forked from one that has the cards, and so cannot use them."""
    return os.getpid() != _owner
