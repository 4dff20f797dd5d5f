"""Which way a metric gets better, told from its name where the config does not say."""
from __future__ import annotations

import re
from typing import Optional

from mmcv_need.errors import ConfigError

# Words of names such as 'bbox_mAP_50', 'AR@100', 'AP50', 'recall@300@0.5', 'coco/bbox_mAP', 'loss_cls'.
GREATER = ('acc', 'accuracy', 'macc', 'aacc', 'top', 'ap', 'map', 'ar', 'auc', 'precision', 'recall', 'miou', 'mdice')
LESS = ('loss',)


def better_rule(metric: str, given: Optional[str] = None) -> str:
    """'greater' or 'less': which values of a metric are the better ones.

    Args:
        metric: its name.
        given: what the config says, which settles it; None leaves it to the name.

    Raises:
        ConfigError: the name does not say, or `given` is neither.
    """
    if given is not None:
        if given not in ('greater', 'less'):
            raise ConfigError(f"rule: expected 'greater' or 'less', not {given!r}")
        return given
    words = re.split('[^a-z]+', metric.lower())
    for rule, known in (('less', LESS), ('greater', GREATER)):
        if any(word in known for word in words):
            return rule
    raise ConfigError(f"'{metric}': the name of this metric does not say whether greater or less is better. Set rule='greater' "
                      f"or rule='less'")
