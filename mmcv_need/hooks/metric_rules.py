"""A metric's value, and which way it gets better, told from its name where the config does not say."""
from __future__ import annotations

import re
from typing import Any, Mapping, Optional, Sequence, Union

from mmcv_need.arguments import is_number, listed
from mmcv_need.errors import ConfigError, did_you_mean

# Words of names such as 'bbox_mAP_50', 'AR@100', 'AP50', 'recall@300@0.5', 'coco/bbox_mAP', 'loss_cls'.
GREATER = ('acc', 'accuracy', 'macc', 'aacc', 'top', 'ap', 'map', 'ar', 'auc', 'precision', 'recall', 'miou', 'mdice')
LESS = ('loss',)
Keys = Union[str, Sequence[str], None]


def better_rule(metric: str, given: Optional[str] = None, greater_keys: Keys = None, less_keys: Keys = None) -> str:
    """'greater' or 'less': which values of a metric are the better ones.

    Args:
        metric: its name.
        given: what the config says, which settles it; None leaves it to the name.
        greater_keys, less_keys: MMCV's way to say it of names, or parts of names, that tell nothing by themselves.

    Raises:
        ConfigError: the name does not say, or `given` is neither.
    """
    if given is not None:
        if given not in ('greater', 'less'):
            raise ConfigError(f"rule: expected 'greater' or 'less', not {given!r}")
        return given
    name = metric.lower()
    for rule, keys in (('greater', greater_keys), ('less', less_keys)):
        if any(str(key).lower() in name for key in listed(keys or [])):
            return rule
    words = re.split('[^a-z]+', name)
    for rule, known in (('less', LESS), ('greater', GREATER)):
        if any(word in known for word in words):
            return rule
    raise ConfigError(f"'{metric}': the name of this metric does not say whether greater or less is better. Set rule='greater' "
                      f"or rule='less'")


def metric_value(metric: str, values: Mapping[str, Any], asker: str) -> float:
    """The value of a metric of an evaluation.

    Args:
        metric: its name.
        values: names and values of the evaluation.
        asker: who wants it, for errors.

    Raises:
        ConfigError: it is not among the values, or no number.
    """
    if is_number(values.get(metric)):
        return float(values[metric])
    wrong = f'is {values[metric]!r}, no number' if metric in values else 'is not among the values'
    numbers = [name for name, value in values.items() if is_number(value)]
    raise ConfigError(f"{asker}: '{metric}' {wrong}.{did_you_mean(metric, numbers)}")
