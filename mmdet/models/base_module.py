"""What modules in MMCV's manner derive from, and how their first weights come about."""
from __future__ import annotations

from typing import Any

from torch import nn

from mmcv_need.arguments import listed
from mmcv_need.registry import AS_WRITTEN, build
from mmdet.models.builder import INITIALIZERS


class BaseModule(nn.Module):
    """A module whose `init_cfg` says what its first weights are. Its constructor is given settings as they are written.

    `init_weights` is called once the detector is put together, before weights of a checkpoint are loaded.

    Args:
        init_cfg: settings of an initializer (`mmdet/models/first_weights.py`, `initializers.py`), a list of them, or None.
    """
    config_parts: Any = AS_WRITTEN

    def __init__(self, init_cfg: Any = None):
        super().__init__()
        self.init_cfg = init_cfg
        self._is_init = False

    @property
    def is_init(self) -> bool:
        return self._is_init

    def init_weights(self) -> None:
        """First weights of this module by its `init_cfg`, then those of its children in MMCV's manner; once.

        Weights that are loaded go over what the children have made of themselves, as in MMCV.
        """
        if self._is_init:
            return
        self._is_init = True
        initializers = [] if self.init_cfg is None else listed(build(self.init_cfg, INITIALIZERS))
        loading = [initializer for initializer in initializers if hasattr(initializer, 'path')]
        for initializer in initializers:
            if initializer not in loading:
                initializer(self)
        for child in self.children():
            give_first_weights(child)
        for initializer in loading:
            initializer(self)


class Sequential(BaseModule, nn.Sequential):
    """nn.Sequential with an `init_cfg`."""

    def __init__(self, *modules: nn.Module, init_cfg: Any = None):
        BaseModule.__init__(self, init_cfg)
        for index, module in enumerate(modules):
            self.add_module(str(index), module)


class ModuleList(BaseModule, nn.ModuleList):
    """nn.ModuleList with an `init_cfg`."""

    def __init__(self, modules: Any = (), init_cfg: Any = None):
        BaseModule.__init__(self, init_cfg)
        self.extend(modules)


def give_first_weights(module: nn.Module) -> None:
    """Call `init_weights` of a module in MMCV's manner, or in that of MMDetection before 2.12, which asks for no arguments.

    Modules of this toolkit have their first weights from their constructors. What lies within one that has no such method is
    looked through.
    """
    if type(module).__module__.startswith('mmdet.') and not isinstance(module, BaseModule):
        return
    if hasattr(module, 'init_weights'):
        module.init_weights()
        return
    for child in module.children():
        give_first_weights(child)
