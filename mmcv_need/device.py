"""The only file that knows npu, cuda and cpu.

Everything above asks this table. NPU is asked before CUDA, because Ascend's migration tools make `torch.cuda` answer for
an NPU. An accelerator stack that is installed but broken is an error, never silently passed over: whoever wants the CPU
on such a machine says `--device cpu`.
"""
from __future__ import annotations

import importlib
import importlib.util
import os
import re
from typing import Any, Callable, ContextManager, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import torch

from mmcv_need.errors import DeviceError


class Kind(NamedTuple):
    """A row of the device table: its torch name, and the process-group backends of its collectives, the best first."""
    name: str
    backends: Tuple[str, ...]


ENVIRONMENT = ('ASCEND_RT_VISIBLE_DEVICES', 'TASK_QUEUE_ENABLE', 'CUDA_VISIBLE_DEVICES')  # settings worth a line in a log
TORCH_VERSION = tuple(int(part) for part in re.findall(r'\d+', torch.__version__)[:2])

KINDS: Dict[str, Kind] = {kind.name: kind for kind in (
    Kind('npu', ('hccl',)), Kind('cuda', ('nccl', 'gloo')), Kind('cpu', ('gloo',)))}


def _module(name: str) -> Any:
    """torch.npu or torch.cuda: the functions of an accelerator."""
    return getattr(torch, name)


def _load_npu() -> bool:
    """Whether torch_npu is installed. Importing it adds `torch.npu`.

    Raises:
        DeviceError: it is installed and does not import (no CANN environment, another minor version of torch, ...).
    """
    if hasattr(torch, 'npu'):
        return True
    if importlib.util.find_spec('torch_npu') is None:
        return False
    try:
        importlib.import_module('torch_npu')
    except Exception as error:  # torch_npu raises ImportError, OSError, RuntimeError, ... here
        raise DeviceError(f'torch_npu is installed but does not import ({type(error).__name__}: {error}). Run `source '
                          f'/usr/local/Ascend/ascend-toolkit/set_env.sh`, check that torch_npu and torch {torch.__version__} '
                          f'have the same minor version, or say --device cpu') from error
    return True


def _nvidia_driver_present() -> bool:
    return os.path.exists('/proc/driver/nvidia/version') or os.path.exists('/dev/nvidiactl')


def is_usable(name: str) -> bool:
    """Whether devices of this kind can be used here.

    Raises:
        DeviceError: the stack of this kind is installed and broken.
    """
    if name == 'cpu':
        return True
    if name == 'npu':
        if not _load_npu():
            return False
        if not torch.npu.is_available():
            raise DeviceError('torch_npu is installed but no NPU is visible. Check `npu-smi info`, '
                              'ASCEND_RT_VISIBLE_DEVICES and the driver, or say --device cpu')
        return True
    if torch.cuda.is_available():
        return True
    if torch.version.cuda and _nvidia_driver_present() and os.environ.get('CUDA_VISIBLE_DEVICES') != '':
        raise DeviceError(f'an NVIDIA driver is here but torch {torch.__version__} (CUDA {torch.version.cuda}) sees no GPU. '
                          f'Check `nvidia-smi`, CUDA_VISIBLE_DEVICES and the driver version, or say --device cpu')
    return False


def select(name: str = 'auto', index: Optional[int] = None) -> torch.device:
    """The device to run on.

    Args:
        name: 'auto' (npu, then cuda, then cpu), a kind, or a kind with an index such as 'npu:3'.
        index: which card, where `name` does not say.

    Raises:
        DeviceError: it does not exist here, with what does.
    """
    kind, _, number = name.partition(':')
    if kind == 'auto':
        kind = next(other for other in KINDS if is_usable(other))
    if kind not in KINDS or (number and not number.isdigit()):
        raise DeviceError(f"unknown device '{name}'. Expected auto, {', '.join(KINDS)}, or one with a card such as npu:0")
    if not is_usable(kind):
        here = ', '.join(other for other in KINDS if other != kind and is_usable(other))
        raise DeviceError(f"device '{name}' cannot be used: torch {torch.__version__} has no {kind} here. Usable: {here}")
    if kind == 'cpu':
        return torch.device('cpu')
    card = int(number) if number else (index or 0)
    if card >= count(kind):
        raise DeviceError(f"device '{kind}:{card}' does not exist: {count(kind)} visible, numbered from 0")
    device = torch.device(kind, card)
    _module(kind).set_device(device)
    return device


def count(name: str) -> int:
    """Visible devices of a kind; 1 for cpu."""
    return 1 if name == 'cpu' else _module(name).device_count()


def backend(device: torch.device, wanted: Optional[str] = None) -> str:
    """The process-group backend of this device's collectives: the wanted one where it can serve the device, else its best."""
    able = KINDS[device.type].backends
    return wanted if wanted in able else able[0]


def seed_all(seed: int) -> None:
    """Seed torch's generators, on the host and on every visible accelerator."""
    torch.manual_seed(seed)
    if hasattr(torch, 'npu'):
        torch.npu.manual_seed_all(seed)


def set_deterministic(benchmark: bool, deterministic: bool) -> None:
    """cuDNN's search for the fastest algorithm, or repeatable algorithms everywhere (slower)."""
    torch.backends.cudnn.benchmark = benchmark and not deterministic
    if deterministic:
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')  # without it, repeatable matrix products raise
        torch.use_deterministic_algorithms(True, **({'warn_only': True} if TORCH_VERSION >= (1, 11) else {}))


def rng_state(device: torch.device) -> List[torch.Tensor]:
    """States of the generators that a run on `device` draws from: the host's, then the device's."""
    states = [torch.get_rng_state()]
    if device.type != 'cpu':
        states.append(_module(device.type).get_rng_state(device))
    return states


def set_rng_state(device: torch.device, states: List[torch.Tensor]) -> None:
    """Inverse of `rng_state`."""
    torch.set_rng_state(states[0].cpu())
    if device.type != 'cpu' and len(states) > 1:
        _module(device.type).set_rng_state(states[1].cpu(), device)


def max_memory_mb(device: torch.device) -> Optional[int]:
    """Peak memory of tensors on the device in MB; None on the CPU, which does not count."""
    if device.type == 'cpu':
        return None
    return int(_module(device.type).max_memory_allocated(device) / 2**20)


def empty_cache(device: torch.device) -> None:
    """Give memory that torch holds and does not use back to the device; the CPU's is not held."""
    if device.type != 'cpu':
        _module(device.type).empty_cache()


def memory_in_text_log(device: torch.device) -> bool:
    """Old parsers of the NPU's text log count fields, and there was no memory field; it stands in the json only."""
    return device.type == 'cuda'


def memory_format(device: torch.device) -> torch.memory_format:
    """The layout that convolutions of this device run fastest in. An NPU lays tensors out in formats of its own."""
    return torch.contiguous_format if device.type == 'npu' else torch.channels_last


def check_half(device: torch.device, dtype: torch.dtype) -> None:
    """A device can compute in float16 or bfloat16.

    Raises:
        DeviceError: it cannot, or this torch cannot on it; nothing falls back to float32.
    """
    able, needs = True, 'another card'
    if device.type == 'cpu':
        needed = (2, 3) if dtype is torch.float16 else (1, 10)
        able, needs = needed <= TORCH_VERSION, 'torch {}.{} or newer'.format(*needed)
    elif dtype is torch.bfloat16:
        if TORCH_VERSION < (1, 10):
            able, needs = False, 'torch 1.10 or newer'
        elif device.type == 'cuda' and torch.version.cuda:  # older cards only emulate it
            able, needs = torch.cuda.get_device_capability(device) >= (8, 0), 'compute capability 8.0 (Ampere) or newer'
        else:  # the first Ascend 910 has none
            able = getattr(_module(device.type), 'is_bf16_supported', lambda: True)()
    if not able:
        name = str(dtype).replace('torch.', '')
        raise DeviceError(f'{describe(device)} cannot compute in {name} with torch {torch.__version__}: that needs {needs}. '
                          f'Choose another precision, such as opt_level O0')


def autocast(device: torch.device, dtype: torch.dtype) -> ContextManager[Any]:
    """Within this, operations compute in `dtype` where torch holds it safe. `check_half` comes first."""
    if device.type == 'npu' and TORCH_VERSION < (2, 1):
        return torch.npu.amp.autocast(**({'dtype': dtype} if TORCH_VERSION >= (1, 10) else {}))
    return torch.autocast(device.type, dtype=dtype) if TORCH_VERSION >= (1, 10) else torch.cuda.amp.autocast()


def saturates(device: torch.device) -> bool:
    """Whether overflow gives the largest number and not infinity, so that only a status of the device tells of it.

    So does the first generation of Ascend 910. Source: torch_npu's documentation of INF_NAN_MODE_ENABLE.
    """
    if device.type != 'npu':
        return False
    return not getattr(importlib.import_module('torch_npu.npu.utils'), 'is_support_inf_nan', lambda: False)()


def clear_overflow(device: torch.device) -> None:
    """Reset the status of a device that saturates."""
    importlib.import_module('torch_npu').npu_clear_float_status(torch.zeros(8, device=device))


def overflowed(device: torch.device) -> torch.Tensor:
    """() bool on the device: whether anything overflowed since `clear_overflow`, on a device that saturates."""
    status = torch.zeros(8, device=device)
    found = importlib.import_module('torch_npu').npu_get_float_status(status)  # some versions write into their argument
    return (found[0] != 0) | (status[0] != 0)


def read_later(flag: torch.Tensor) -> Callable[[], bool]:
    """Start to copy a flag () to the host; the result waits for it, which takes no time once the device is past it."""
    if flag.device.type == 'cpu':
        return lambda: bool(flag)
    module = _module(flag.device.type)
    copy = torch.empty((), dtype=flag.dtype, pin_memory=True)
    copy.copy_(flag, non_blocking=True)
    event = module.Event()
    event.record(module.current_stream(flag.device))

    def read() -> bool:
        event.synchronize()
        return bool(copy)
    return read


def fused_optimizers(device: torch.device) -> Dict[str, Any]:
    """Optimizers of a device's own stack by name, torch_npu's NpuFused*; {} where there are none."""
    if device.type != 'npu':
        return {}
    try:
        return {name: kind for name, kind in vars(importlib.import_module('torch_npu.optim')).items() if isinstance(kind, type)}
    except ImportError:  # old torch_npu: they came with apex
        return {}


def profile(device: torch.device, activities: Sequence[str], schedule: Optional[Mapping[str, int]],
            on_trace_ready: Callable[[Any], None], folder: str, **record: bool) -> Any:
    """A profiler: a context with `step`, that calls `on_trace_ready` after each cycle of iterations.

    An NPU's writes traces and tables of its own into `folder` instead, for MindStudio Insight.

    Raises:
        DeviceError: the device's stack has none.
    """
    module = torch.profiler
    if device.type == 'npu':
        module = getattr(importlib.import_module('torch_npu'), 'profiler', None)
        if not hasattr(module, 'profile'):
            raise DeviceError('this torch_npu has no profiler that goes by steps; leave ProfilerHook out of custom_hooks')
        on_trace_ready = module.tensorboard_trace_handler(folder)
    kinds = [getattr(module.ProfilerActivity, name.upper()) for name in activities]
    return module.profile(activities=kinds, schedule=module.schedule(**schedule) if schedule else None,
                          on_trace_ready=on_trace_ready, **record)


def slowest_operations(device: torch.device, profiler: Any, sort_by: Optional[str], rows: int) -> str:
    """A table of the operations that took the most time on the device, or in the order that torch calls `sort_by`."""
    return profiler.key_averages().table(sort_by=sort_by or f'self_{device.type}_time_total', row_limit=rows)


def describe(device: torch.device) -> str:
    """A line for the log, such as 'cuda:0 (NVIDIA H200)'."""
    if device.type == 'cpu':
        return f'cpu ({torch.get_num_threads()} threads)'
    return f'{device} ({_module(device.type).get_device_name(device)})'
