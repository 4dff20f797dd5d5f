"""What a config's `evaluation` asks of `data.val`, before that is read: metrics, options, and the metric of the best."""
from __future__ import annotations

import inspect
from typing import Any, Dict, Iterator, List, Optional

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.apis.datasets import placed
from mmdet.apis.evaluation import check_options_of, check_save_best
from mmdet.apis.named_classes import class_of
from mmdet.apis.settings import EvaluationSettings


def evaluation_faults(cfg: Config) -> Iterator[ConfigError]:
    """What the datasets of `data.val` cannot do.

    Args:
        cfg: in canonical form, `data.val` and `evaluation` free of faults by name and argument.
    """
    settings = build(cfg, EvaluationSettings, key='evaluation')
    options = dict(settings.options)
    metric = options.pop('metric', None)
    kinds = list(dict.fromkeys(class_of(dataset) for _, dataset in placed(cfg.data['val'], 'data.val')))
    for kind in kinds:
        try:
            for name, value in options.items():
                check_options_of(kind, {name: value}, f"{cfg.where(f'evaluation.{name}')}: evaluation".lstrip(': '))
            if metric is not None:
                place = f"{cfg.where('evaluation.metric')}: evaluation.metric".lstrip(': ')
                kind.check_options(metric, where=f'{place}: data.val is of {kind.__name__}')
        except ConfigError as error:
            yield error
            return
    try:
        check_save_best(cfg, settings.when['save_best'], _names(cfg.data['val'], settings.options))
    except ConfigError as error:
        yield error


def metric_of(kind: Any, settings: EvaluationSettings) -> Any:
    """The metric, or metrics, that a class of datasets is evaluated by; none if only its own code says which."""
    if 'metric' in settings.options:
        return settings.options['metric']
    own = inspect.signature(kind.evaluate).parameters.get('metric')
    return () if own is None or own.default is own.empty else own.default


def _names(node: Any, options: Dict[str, Any]) -> Optional[List[str]]:
    """Names of the numbers that an evaluation gives, as `metric_names` of the datasets says; None if one does not."""
    if 'datasets' not in node:
        kind = class_of(node)
        return kind.metric_names(**options) if hasattr(kind, 'metric_names') else None
    parts = [_names(part, options) for part in node['datasets']]
    if any(part is None for part in parts) or not node.get('separate_eval', True):
        return parts[0]
    return [f'{i}_{name}' for i, part in enumerate(parts) for name in part or ()]
