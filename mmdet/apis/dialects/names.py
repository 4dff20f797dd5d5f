"""Names of components: without MMDetection 3's scopes, and ours where MMDetection had a second class for the same thing."""
from __future__ import annotations

from typing import Any

from mmcv_need.config import Config

SCOPES = ('mmdet.', 'mmengine.', 'mmcv.')
# MMDetection's forms for Ascend have constant shapes; here that is how the classes themselves are written.
SAME_AS = {'AscendSSDHead': 'SSDHead', 'AscendMaxIoUAssigner': 'MaxIoUAssigner'}


def settle_names(cfg: Config) -> None:
    """Bring every `type` of a config to the name that it has here, in place."""
    for value in cfg.values():
        _settle(value)


def _settle(value: Any) -> None:
    if isinstance(value, dict):
        if isinstance(value.get('type'), str):
            name = next((value['type'][len(scope):] for scope in SCOPES if value['type'].startswith(scope)), value['type'])
            value['type'] = SAME_AS.get(name, name)
        for item in value.values():
            _settle(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _settle(item)
