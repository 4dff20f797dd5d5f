"""Flags reach the host behind the work in hand."""
from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mmcv_need.optim import flags
from mmcv_need.torch_versions import has


@pytest.mark.parametrize('value', [True, False])
def test_a_flag_on_the_host_is_read_as_it_is(value):
    read = flags.read_later(torch.tensor(value))
    assert read() is value and read() is value


@pytest.mark.parametrize('value', [True, False])
@pytest.mark.parametrize('version', ['1.8.1', '2.6.0'])
def test_a_flag_of_an_accelerator_is_copied_behind_the_work_in_hand_and_waited_for_when_it_is_read(machine, card, monkeypatch,
                                                                                                   version, value):
    machine(npu=1, version=version)
    done = torch.npu.streams

    class Pinned:
        pinned = False

        def copy_(self, flag, non_blocking):
            assert self.pinned and non_blocking  # only to pinned memory does a copy not wait
            done.append('copied')

        def pin_memory(self):
            assert not has('pinned memory of every accelerator')
            self.pinned = True
            return self

        def __bool__(self):
            done.append('read')
            return value

    def empty(shape, dtype, pin_memory=False):
        assert (shape, dtype) == ((), torch.bool)
        made = Pinned()
        made.pinned = pin_memory
        return made
    monkeypatch.setattr(torch, 'empty', empty)
    read = flags.read_later(SimpleNamespace(device=card('npu'), dtype=torch.bool))
    assert done == ['copied', 'recorded']
    assert read() is value and done[2:] == ['waited for', 'read']
