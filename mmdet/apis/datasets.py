"""The datasets of a config's sections."""
from __future__ import annotations

import copy
from typing import Any, Dict, Iterator, Sequence, Tuple

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.apis.classes import check_same_classes
from mmdet.apis.dataset_lists import WRAPPED, with_defaults
from mmdet.datasets import DATASETS


def build_dataset(cfg: Config, section: str, **given: Any) -> Any:
    """The dataset of `data.train`, `data.val` or `data.test`; `given` are defaults for what the config does not say."""
    cfg = copy.deepcopy(cfg)
    cfg.data[section] = with_defaults(cfg.data[section], **given, **policy(cfg))
    return build(cfg, DATASETS, key=f'data.{section}')


def policy(cfg: Config) -> Dict[str, str]:
    """What a dataset is told of `data.bad_data`; nothing where that is the default, which any dataset can do with."""
    return {'bad_data': 'skip'} if cfg.data.get('bad_data') == 'skip' else {}


def build_val_losses(cfg: Config, trained: Sequence[str]) -> Any:
    """`data.val` through the pipeline of `data.train`: what `workflow = [..., ('val', 1)]` computes losses of.

    Args:
        cfg: in canonical form.
        trained: classes of the training data, in the order of their labels.

    Raises:
        ConfigError: there is no `data.val`, its labels mean other classes, or `data.train` has no pipeline.
    """
    cfg = copy.deepcopy(cfg)
    pipeline = next(themselves(cfg.data['train'])).get('pipeline')
    if cfg.data.get('val') is None or pipeline is None:
        raise ConfigError(f"{cfg.where('workflow')}: workflow: ('val', n) needs data.val, and the pipeline of "
                          f'data.train'.lstrip(': '))
    for dataset in themselves(cfg.data['val']):
        dataset.pop('test_mode', None)
        dataset.update(pipeline=copy.deepcopy(pipeline), **policy(cfg))
    found = build(cfg, DATASETS, key='data.val')
    check_same_classes(cfg, found, trained)
    return found


def mirror_too(cfg: Config) -> None:
    """Have `data.test` show each picture mirrored as well, in place.

    Raises:
        ConfigError: its pipeline shows one view only.
    """
    for dataset in themselves(cfg.data['test']):
        views = [step for step in dataset.get('pipeline') or () if step.get('type') == 'MultiScaleFlipAug']
        if not views:
            raise ConfigError('--tta: the pipeline of data.test has no MultiScaleFlipAug, which could mirror pictures')
        views[0]['flip'] = True
        steps = views[0].get('transforms') or []
        names = [step.get('type') for step in steps]
        if 'RandomFlip' not in names:  # which does what MultiScaleFlipAug asks for
            views[0]['transforms'] = list(steps)
            views[0]['transforms'].insert(names.index('Resize') + 1 if 'Resize' in names else 0, {'type': 'RandomFlip'})


def themselves(node: Any) -> Iterator[Any]:
    """The datasets of a config's section, which may stand within wrappers and lists."""
    return (dataset for _, dataset in placed(node, ''))


def placed(node: Any, key: str) -> Iterator[Tuple[str, Any]]:
    """The datasets of a config's section, which may stand within wrappers and lists, each with its place.

    Args:
        node: the section.
        key: its place, such as 'data.train'.
    """
    if isinstance(node, (list, tuple)):
        for i, item in enumerate(node):
            yield from placed(item, f'{key}.{i}')
    elif any(name in node for name in WRAPPED):
        for name in WRAPPED:
            if name in node:
                yield from placed(node[name], f'{key}.{name}')
    else:
        yield key, node
