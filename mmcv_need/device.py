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
import sys
import warnings
from contextlib import suppress
from glob import escape, glob
from importlib import metadata
from typing import Any, ContextManager, Dict, List, NamedTuple, Optional, Tuple

import torch

from mmcv_need import torch_versions
from mmcv_need.errors import DeviceError
from mmcv_need.stack_options import CompileOptions
from mmcv_need.torch_versions import has, needs


class Kind(NamedTuple):
    """A row of the device table: its torch name; the process-group backends of its collectives, the best first; the class of
    the config's section of this name, where its stack has options."""
    name: str
    backends: Tuple[str, ...]
    options: Any = None


# Settings of the stacks that are worth a line in a log; no name here is one that holds a secret.
ENVIRONMENT = (
    'ASCEND_RT_VISIBLE_DEVICES', 'ASCEND_HOME_PATH', 'ASCEND_LAUNCH_BLOCKING', 'TASK_QUEUE_ENABLE', 'CPU_AFFINITY_CONF',
    'COMBINED_ENABLE', 'INF_NAN_MODE_ENABLE', 'INF_NAN_MODE_FORCE_DISABLE', 'MULTI_STREAM_MEMORY_REUSE',
    'PYTORCH_NPU_ALLOC_CONF', 'TORCH_NPU_FALLBACK_CPU_DISABLE', 'TORCH_TRANSFER_TO_NPU', 'ACL_OP_COMPILER_CACHE_MODE',
    'HCCL_ASYNC_ERROR_HANDLING', 'HCCL_BUFFSIZE', 'HCCL_CONNECT_TIMEOUT', 'HCCL_DETERMINISTIC', 'HCCL_EVENT_TIMEOUT',
    'HCCL_EXEC_TIMEOUT', 'HCCL_IF_IP', 'HCCL_INTRA_ROCE_ENABLE', 'HCCL_OP_EXPANSION_MODE', 'HCCL_SOCKET_IFNAME',
    'HCCL_WHITELIST_DISABLE', 'TORCH_DEVICE_BACKEND_AUTOLOAD', 'CUDA_VISIBLE_DEVICES', 'CUDA_LAUNCH_BLOCKING',
    'CUBLAS_WORKSPACE_CONFIG', 'PYTORCH_CUDA_ALLOC_CONF', 'NCCL_SOCKET_IFNAME', 'GLOO_SOCKET_IFNAME')

KINDS: Dict[str, Kind] = {kind.name: kind for kind in (
    Kind('npu', ('hccl',), CompileOptions), Kind('cuda', ('nccl', 'gloo')), Kind('cpu', ('gloo',)))}
OPTIONS = {kind.name: kind.options for kind in KINDS.values() if kind.options}  # class by key of a config
SET_ENV = tuple(f'/usr/local/Ascend/{folder}/set_env.sh' for folder in ('cann', 'ascend-toolkit', 'nnae'))  # newest first


def _cann_home() -> str:
    """Where the CANN is whose environment is set, or ''."""
    return os.environ.get('ASCEND_HOME_PATH') or os.environ.get('ASCEND_TOOLKIT_HOME') or ''


def stack(device: torch.device) -> Any:
    """The functions of an accelerator: torch.npu or torch.cuda."""
    return getattr(torch, device.type)


def _first_line(error: BaseException) -> str:
    """Of an error's text; torch_npu's go on for pages."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip().rstrip('.')


def _load_npu() -> bool:
    """Whether torch_npu is installed. It adds `torch.npu`, by itself with `import torch` from torch 2.5 on, else when imported.

    Raises:
        DeviceError: it is installed and does not import.
    """
    if hasattr(torch, 'npu'):
        return True
    if importlib.util.find_spec('torch_npu') is None:
        return False
    version = '.'.join(map(str, torch_versions.TORCH_VERSION))
    if torch.version.cuda:
        raise DeviceError(f'torch_npu is installed beside torch {torch.__version__}, built for CUDA, and needs the CPU build: '
                          f'pip install torch=={version}.* --index-url https://download.pytorch.org/whl/cpu; or say '
                          f'--device cuda, or --device cpu')
    _check_torch_npu_version(version)
    try:
        importlib.import_module('torch_npu')
    except Exception as error:  # torch_npu raises ImportError, OSError, RuntimeError, ... here
        said, home = f'({type(error).__name__}: {_first_line(error)})', _cann_home()
        if isinstance(error, ModuleNotFoundError) or (home and not re.search(r'\blib\w+\.so', str(error))):
            raise DeviceError(f'torch_npu is installed but does not import {said}. See which torch, torch_npu and CANN go '
                              f'together, or say --device cpu') from error
        scripts = ' or '.join(f'`source {path}`' for path in [path for path in SET_ENV if os.path.exists(path)] or SET_ENV[:2])
        what = f'the CANN at {home} lacks what it needs' if home else 'the environment of CANN is not set'
        raise DeviceError(f"torch_npu is installed but {what} {said}. Run {scripts} of the CANN that "
                          f'goes with this torch_npu, or say --device cpu') from error
    return True


def _check_torch_npu_version(own: str) -> None:
    """torch_npu is made for one minor version of torch, and may crash with another: it is asked without an import."""
    try:
        version = metadata.version('torch_npu')
    except metadata.PackageNotFoundError:  # on the path, and not installed
        return
    other = '.'.join(re.findall(r'\d+', version)[:2])
    if other != own:
        raise DeviceError(f'torch_npu {version} goes with torch {other}, and here is torch {torch.__version__}: '
                          f'pip install torch-npu=={own}.*, or torch {other}; or say --device cpu')


def _is_npu_visible() -> bool:
    """True; that there is no card is an error, where torch_npu is installed."""
    why = ''
    try:
        if torch.npu.is_available():
            return True
    except RuntimeError as error:  # some versions raise where there is no driver
        why = f' ({_first_line(error)})'
    chosen = os.environ.get('ASCEND_RT_VISIBLE_DEVICES', 'which is not set')
    raise DeviceError(f'torch_npu is installed but no NPU is visible{why}. Check `npu-smi info`, the driver and '
                      f'ASCEND_RT_VISIBLE_DEVICES ({chosen}), or say --device cpu')


def _transferred() -> bool:
    """Whether Ascend's migration tool makes torch.cuda answer for the NPU."""
    return 'torch_npu.contrib.transfer_to_npu' in sys.modules


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
        return _load_npu() and _is_npu_visible()
    if _transferred():
        raise DeviceError('torch.cuda answers for the NPU here, by torch_npu.contrib.transfer_to_npu; say --device npu')
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
    try:
        stack(device).set_device(device)
    except RuntimeError as error:
        raise DeviceError(f"device '{kind}:{card}' cannot be opened: {_first_line(error)}. Is it another process's, or closed "
                          f'to this user?') from error
    if kind == 'npu' and _transferred():
        warnings.warn('torch_npu.contrib.transfer_to_npu is active and changes torch; nothing here needs it: unset '
                      'TORCH_TRANSFER_TO_NPU, or do not import it', UserWarning, stacklevel=2)
    return device


def count(name: str) -> int:
    """Visible devices of a kind; 1 for cpu."""
    return 1 if name == 'cpu' else getattr(torch, name).device_count()


def backend(device: torch.device, wanted: Optional[str] = None) -> str:
    """The process-group backend of this device's collectives: the wanted one where it can serve the device, else its best."""
    able = KINDS[device.type].backends
    return wanted if wanted in able else able[0]


def on_loopback() -> Dict[str, str]:
    """Environment in which the processes of one machine talk over its loopback interface, where the backend knows how to."""
    name = 'lo' if sys.platform.startswith('linux') else 'lo0'
    return {'GLOO_SOCKET_IFNAME': name, 'NCCL_SOCKET_IFNAME': name}


def prepare_collectives(device: torch.device, timeout: float) -> float:
    """Set, where the user has not, what makes a dead peer end the others after `timeout` seconds; before the group is made.

    HCCL has to give up before the group does, or its report is lost. It waits for peers HCCL_CONNECT_TIMEOUT (120 to 7200)
    and 20 more, and in an operation HCCL_EXEC_TIMEOUT (the first Ascend 910 rounds down to a multiple of 68), than
    which HCCL_EVENT_TIMEOUT has to be longer. Errors of peers are not waited out where *_ASYNC_ERROR_HANDLING is 1, as it is
    by default in torch_npu from 2.1 and torch from 2.2 on. Sources: CANN's and torch_npu's pages of each; ProcessGroupNCCL.

    Returns:
        Seconds for the process group.
    """
    if device.type == 'cuda' and not has('collectives that end with a lost peer'):
        os.environ.setdefault('NCCL_ASYNC_ERROR_HANDLING', '1')
    if device.type != 'npu':
        return timeout
    os.environ.setdefault('HCCL_ASYNC_ERROR_HANDLING', '1')
    connect = _set_seconds('HCCL_CONNECT_TIMEOUT', min(max(timeout, 120), 7200))
    execute = _set_seconds('HCCL_EXEC_TIMEOUT', max(timeout, 68))
    event = _set_seconds('HCCL_EVENT_TIMEOUT', execute + 32)  # as far apart as the defaults, 1836 and 1868
    return max(connect + 20, execute, event) + 30


def _set_seconds(name: str, seconds: float) -> float:
    """Set a limit in the environment unless it is set; the one that holds."""
    given = os.environ.setdefault(name, str(round(seconds)))
    if not re.fullmatch(r'\d+(\.\d+)?', given):
        raise DeviceError(f"{name}='{given}': expected a number of seconds; set it so, or not at all")
    return float(given)


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
        torch.use_deterministic_algorithms(True, **({'warn_only': True} if has('warn_only') else {}))


def rng_state(device: torch.device) -> List[torch.Tensor]:
    """States of the generators that a run on `device` draws from: the host's, then the device's."""
    states = [torch.get_rng_state()]
    if device.type != 'cpu':
        states.append(stack(device).get_rng_state(device))
    return states


def set_rng_state(device: torch.device, states: List[torch.Tensor]) -> None:
    """Inverse of `rng_state`."""
    torch.set_rng_state(states[0].cpu())
    if device.type != 'cpu' and len(states) > 1:
        stack(device).set_rng_state(states[1].cpu(), device)


def max_memory_mb(device: torch.device) -> Optional[int]:
    """Peak memory of tensors on the device in MB; None on the CPU, which does not count."""
    if device.type == 'cpu':
        return None
    return int(stack(device).max_memory_allocated(device) / 2**20)


def empty_cache(device: torch.device) -> None:
    """Give memory that torch holds and does not use back to the device; the CPU's is not held."""
    if device.type != 'cpu':
        stack(device).empty_cache()


def memory_in_text_log(device: torch.device) -> bool:
    """Old parsers of the NPU's text log count fields, and there was no memory field; it stands in the json only."""
    return device.type == 'cuda'


def memory_format(device: torch.device) -> torch.memory_format:
    """The layout that convolutions of this device run fastest in. An NPU lays tensors out in formats of its own."""
    return torch.contiguous_format if device.type == 'npu' else torch.channels_last


def finishes_pictures(device: torch.device) -> bool:
    """Whether a batch's colours are best distorted on the device, by a few large operations; not yet measured on an NPU."""
    return device.type == 'cuda'


def check_half(device: torch.device, dtype: torch.dtype) -> None:
    """A device can compute in float16 or bfloat16.

    Raises:
        DeviceError: it cannot, or this torch cannot on it; nothing falls back to float32.
    """
    able, wanted = True, 'another card'
    if device.type == 'cpu' or (dtype is torch.bfloat16 and not has('bfloat16')):
        feature = 'float16 on the CPU' if dtype is torch.float16 else 'bfloat16'
        able, wanted = has(feature), needs(feature)
    elif dtype is torch.bfloat16:
        if device.type == 'cuda' and torch.version.cuda:  # older cards only emulate it
            able, wanted = torch.cuda.get_device_capability(device) >= (8, 0), 'compute capability 8.0 (Ampere) or newer'
        elif device.type == 'npu':  # the first Ascend 910 has none
            able, wanted = _npu_can('is_bf16_supported'), 'an Atlas A2 or newer'
        else:
            able = torch.cuda.is_bf16_supported()
    if not able:
        name = str(dtype).replace('torch.', '')
        raise DeviceError(f'{describe(device)} cannot compute in {name} with torch {torch.__version__}: that needs {wanted}. '
                          f'Choose another precision, such as opt_level O0')


def autocast(device: torch.device, dtype: Optional[torch.dtype]) -> ContextManager[Any]:
    """Within this, operations compute in `dtype` where torch holds it safe (see `check_half`); None: as they are given."""
    chosen = {'dtype': dtype} if dtype is not None and has('autocast in a chosen dtype') else {}
    if device.type == 'npu' and not has('autocast of every accelerator'):
        return torch.npu.amp.autocast(enabled=dtype is not None, **chosen)
    if not has('autocast in a chosen dtype'):
        return torch.cuda.amp.autocast(enabled=dtype is not None)
    return torch.autocast(device.type, enabled=dtype is not None, **chosen)


def _npu_can(question: str) -> bool:
    """What torch_npu says of the chip; before 2.1 it only gave the chip's number, which is 220 for the first Atlas A2."""
    tools = importlib.import_module('torch_npu.npu.utils')
    for module in (torch.npu, tools):
        if hasattr(module, question):
            return getattr(module, question)()
    return getattr(tools, 'get_soc_version', lambda: 0)() >= 220


def saturates(device: torch.device) -> bool:
    """Whether overflow gives the largest number and NaN gives 0, so that only a status of the device tells of them.

    So it is on the first Ascend 910, and on others where it is forced. Source: torch_npu's page of INF_NAN_MODE_ENABLE.
    """
    if device.type != 'npu':
        return False
    try:
        return not _npu_can('is_support_inf_nan')
    except RuntimeError as error:
        raise DeviceError(f'{_first_line(error)}. Unset INF_NAN_MODE_ENABLE') from error


def clear_overflow(device: torch.device) -> None:
    """Reset the status of a device that saturates."""
    importlib.import_module('torch_npu').npu_clear_float_status(torch.zeros(8, device=device))


def overflowed(device: torch.device) -> torch.Tensor:
    """() bool on the device: whether anything overflowed since `clear_overflow`, on a device that saturates."""
    status = torch.zeros(8, device=device)
    found = importlib.import_module('torch_npu').npu_get_float_status(status)  # some versions write into their argument
    return (found[0] != 0) | (status[0] != 0)


def fused_optimizers(device: torch.device) -> Dict[str, Any]:
    """Optimizers of a device's own stack by name, torch_npu's NpuFused*; {} where there are none."""
    if device.type != 'npu':
        return {}
    try:
        return {name: kind for name, kind in vars(importlib.import_module('torch_npu.optim')).items() if isinstance(kind, type)}
    except ImportError:  # old torch_npu: they came with apex
        return {}


def fuses_updates(device: torch.device) -> bool:
    """Whether torch has its fused optimizers for this device."""
    return device.type in ('cuda', 'cpu') and has('fused optimizers')


def profiler(device: torch.device) -> Any:
    """The module that profiles this device: torch.profiler, or torch_npu's of the same functions, with files of its own."""
    if device.type != 'npu':
        return torch.profiler
    module = getattr(importlib.import_module('torch_npu'), 'profiler', None)
    if not hasattr(module, 'profile'):
        raise DeviceError('this torch_npu has no profiler that goes by steps; leave ProfilerHook out of custom_hooks')
    return module


def _cann_version() -> str:
    """Of the CANN whose environment is set; '' if it does not say."""
    text = ''
    for path in glob(os.path.join(escape(_cann_home()), '*-linux', 'ascend_*_install.info')) if _cann_home() else ():
        with suppress(OSError), open(path, encoding='utf-8', errors='replace') as file:
            text += file.read() + '\n'
    return ''.join(re.findall(r'^version=(\S+)', text, re.MULTILINE)[:1])


def describe(device: torch.device) -> str:
    """A line for the log, such as 'cuda:0 (NVIDIA H200)' or 'npu:0 (Ascend910A, torch_npu 2.1.0, CANN 8.0.RC1)'."""
    if device.type == 'cpu':
        return f'cpu ({torch.get_num_threads()} threads)'
    parts = [stack(device).get_device_name(device)]
    if device.type == 'npu':
        parts.append(f"torch_npu {getattr(importlib.import_module('torch_npu'), '__version__', 'of unknown version')}")
        parts += [f'CANN {version}' for version in [_cann_version()] if version]
    return f"{device} ({', '.join(parts)})"
