"""`torch.npu`: cards, their memory, generators, streams, autocast."""
from __future__ import annotations

from torch_npu.npu import amp, config, utils
from torch_npu.npu.cards import (
    _is_in_bad_fork,
    current_device,
    device,
    device_count,
    get_device_name,
    init,
    is_available,
    is_bf16_supported,
    is_initialized,
    set_compile_mode,
    set_device,
)
from torch_npu.npu.memory import (
    empty_cache,
    max_memory_allocated,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_reserved,
    reset_peak_memory_stats,
)
from torch_npu.npu.random import (
    default_generators,
    get_rng_state,
    get_rng_state_all,
    initial_seed,
    manual_seed,
    manual_seed_all,
    set_rng_state,
    set_rng_state_all,
)
from torch_npu.npu.streams import Event, Stream, current_stream, default_stream, stream, synchronize

__all__ = [
    'Event', 'Stream', '_is_in_bad_fork', 'amp', 'config', 'current_device', 'current_stream', 'default_generators',
    'default_stream', 'device', 'device_count', 'empty_cache', 'get_amp_supported_dtype', 'get_device_name', 'get_rng_state',
    'get_rng_state_all', 'init', 'initial_seed', 'is_available', 'is_bf16_supported', 'is_initialized', 'manual_seed',
    'manual_seed_all', 'max_memory_allocated', 'max_memory_reserved', 'mem_get_info', 'memory_allocated', 'memory_reserved',
    'reset_peak_memory_stats', 'set_compile_mode', 'set_device', 'set_rng_state', 'set_rng_state_all', 'stream', 'synchronize',
    'utils']

get_amp_supported_dtype = amp.get_amp_supported_dtype  # torch.autocast asks for it here
