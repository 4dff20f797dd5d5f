"""torch.npu: cards that count what is done to them."""
from contextlib import contextmanager
from types import SimpleNamespace

import torch

from torch_npu import VERSION, settings

opened, streams, released, compile_modes, seeds = [], [], [], [], []
peaks = {}  # bytes by card
generators = [torch.Generator().manual_seed(0) for _ in range(settings['cards'])]
config = SimpleNamespace()


def is_available():
    return device_count() > 0


def device_count():
    if settings['cards'] < 0:
        raise RuntimeError('Initialize:aclrtGetDeviceCount failed, ret = 507899\n[ERROR] (PID:1, Device:-1, RankID:-1)')
    return settings['cards']


def set_device(device):
    if device.index in settings['in_use']:
        raise RuntimeError('SetDevice failed, error code is 507033\n[ERROR] (PID:1, Device:0, RankID:-1)')
    opened.append(str(device))


def get_device_name(device=None):
    return settings['chip']


def manual_seed_all(seed):
    for generator in generators:
        generator.manual_seed(seed)


def get_rng_state(device):
    return generators[device.index].get_state()


def set_rng_state(state, device):
    generators[device.index].set_state(state)


def rand(count, device):
    """Numbers drawn on a card; stands for torch.rand(count, device='npu:0')."""
    return torch.rand(count, generator=generators[device.index])


def max_memory_allocated(device):
    return peaks.get(device.index, 0)


def empty_cache():
    released.append('all')


def current_stream(device):
    return streams


class Event:
    def record(self, stream):
        self.stream = stream
        stream.append('recorded')

    def synchronize(self):
        self.stream.append('waited for')


def set_compile_mode(jit_compile):
    compile_modes.append(jit_compile)


class amp:
    """Its autocast: of torch 1.8 it knew no dtype."""
    if VERSION < (1, 10):
        @staticmethod
        @contextmanager
        def autocast(enabled=True):
            yield torch.float16
    else:
        @staticmethod
        @contextmanager
        def autocast(enabled=True, dtype=torch.float16):
            yield dtype


if VERSION >= (2, 1):
    def is_bf16_supported():
        return settings['chip'] != 'Ascend910A'
