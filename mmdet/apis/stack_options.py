"""Options that a config gives to the stack of one kind of device, in a top-level section of that kind's name."""
from __future__ import annotations

from typing import Any, List

from mmcv_need import device as devices
from mmcv_need.config import Config
from mmcv_need.registry import build


def check_stack_options(cfg: Config) -> None:
    """Names and values of the options of every kind of device, whatever is here.

    Raises:
        ConfigError: the first that is wrong.
    """
    for kind in _sections(cfg):
        build(cfg, devices.OPTIONS[kind], key=kind)


def apply_stack_options(cfg: Config, device: Any) -> None:
    """Set the options of this device's stack: those of the config, else the toolkit's own; none where the stack has none.

    Raises:
        ConfigError: a section is wrong, whichever kind of device it is for.
    """
    check_stack_options(cfg)
    options = devices.OPTIONS.get(device.type)
    if options is not None:
        made = build(cfg, options, key=device.type) if cfg.get(device.type) is not None else options()
        made.apply(devices.stack(device))


def idle_stack_options(cfg: Config, device: Any) -> List[str]:
    """A line for each section that is for another kind of device."""
    return [f"{cfg.where(kind)}: {kind}: has no effect: the run is on {device.type}".lstrip(': ')
            for kind in _sections(cfg) if kind != device.type]


def _sections(cfg: Config) -> List[str]:
    return [kind for kind in devices.OPTIONS if cfg.get(kind) is not None]
