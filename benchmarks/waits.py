"""How often a step makes the host wait for the device."""
from __future__ import annotations

import warnings
from typing import Any, Callable, Iterable, List, Optional

import torch

from mmcv_need import device as devices

# Operations that ask a device for a value, or whose shape depends on one.
NAMES = {'aten::_local_scalar_dense', 'aten::item', 'aten::nonzero', 'aten::is_nonzero', 'aten::equal', 'aten::masked_select',
         'aten::allclose', 'aten::_unique2', 'aten::unique_dim'}
Mode = getattr(getattr(torch.utils, '_python_dispatch', None), 'TorchDispatchMode', None)


def count_waits(call: Callable[[], Any], device: torch.device, on_host: Iterable[Any] = ()) -> Optional[int]:
    """Waits in one call; None where neither the device nor this torch tells.

    On the CPU, where nothing waits, those that an accelerator would have: operations of NAMES. `on_host` are tensors that
    would be on the host there too, such as the counters of steps that torch's optimizers keep.
    """
    if device.type == 'cpu':
        return None if Mode is None else len(_operations(call, {tensor.data_ptr() for tensor in on_host}))
    module = devices.stack(device)
    if not hasattr(module, 'set_sync_debug_mode'):
        return None
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        module.set_sync_debug_mode('warn')
        try:
            call()
        finally:
            module.set_sync_debug_mode('default')
    return sum('synchroniz' in str(warning.message) for warning in seen)


def _operations(call: Callable[[], Any], on_host: Any) -> List[str]:
    seen: List[str] = []

    class Watch(Mode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func._schema.name in NAMES and args[0].data_ptr() not in on_host:
                seen.append(func._schema.name)
            return func(*args, **(kwargs or {}))

    with Watch():
        call()
    return seen
