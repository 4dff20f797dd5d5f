"""What a training with a config will be, in words: what to read before a day of it begins."""
from __future__ import annotations

from logging import Logger
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from mmcv_need.config import Config
from mmcv_need.hooks import CheckpointHook
from mmcv_need.registry import build
from mmcv_need.work_dir import checkpoint_folder
from mmdet.apis.auto_scale_lr import rate_doubts, samples_each
from mmdet.apis.checks import evaluates
from mmdet.apis.config_check import Findings
from mmdet.apis.datasets import themselves
from mmdet.apis.dialects.spellings import lookup
from mmdet.apis.doubts import doubts_of_length
from mmdet.apis.evaluation_faults import metric_of
from mmdet.apis.named_classes import class_of, num_classes_named
from mmdet.apis.rate_words import counted, enumerated, rate_words
from mmdet.apis.settings import EvaluationSettings
from mmdet.datasets.loader.sampler import GroupBatchSampler
from mmdet.datasets.wrappers import RepeatDataset

DEFAULT_SCALE = 'dynamic'


class Counts(NamedTuple):
    """Fields:
        pictures: of the training data, each once.
        steps: of an epoch.
    """
    pictures: int
    steps: int


def count(dataset: Any, samples: int, cards: int) -> Counts:
    """Of a dataset that is there, `samples` pictures a step on each of the cards."""
    steps = len(GroupBatchSampler(dataset.flag, samples, world_size=cards))
    while isinstance(dataset, RepeatDataset):
        dataset = dataset.dataset
    return Counts(len(dataset), steps)


def preview(cfg: Config, cards: int, found: Findings, counts: Optional[Counts] = None, *, validate: bool = True,
            max_steps: int = 0, starts_from: Optional[str] = None) -> List[str]:
    """Lines of a name and what is to be said of it.

    Args:
        cfg: in canonical form, without faults, `work_dir` set.
        cards: how many processes train.
        found: by config_check.py.
        counts: of the data, if they are known.
        validate: whether the run evaluates if the config does.
        max_steps: where the run stops; 0 for its end.
        starts_from: the checkpoint that it goes on from.
    """
    rows: Dict[str, str] = {
        'passes': _passes(cfg, counts), 'step': _step(cfg, cards, counts, max_steps),
        'rate': f'{lookup(cfg, "optimizer.type")}, {rate_words(cfg)}', 'precision': _precision(cfg),
        'network': _network(cfg, found), 'evaluation': _evaluation(cfg) if validate else 'none: --no-validate',
        'checkpoints': _checkpoints(cfg), 'seed': 'drawn at the start' if cfg.get('seed') is None else str(cfg.seed),
        'starts from': _start(cfg) if starts_from is None else f'{starts_from}, and goes on'}
    return [f'{name:<12} {words}' for name, words in rows.items()]


def announce(cfg: Config, cards: int, found: Findings, dataset: Any, logger: Logger, **run: Any) -> None:
    """Log the preview of a run that is about to begin, and what its author may not have meant.

    Args:
        dataset: of `data.train`.
        run: `validate`, `max_steps` and `starts_from` of `preview`, which has the others too.
    """
    counts = count(dataset, samples_each(cfg), cards)
    logger.info('The run:\n%s', '\n'.join(preview(cfg, cards, found, counts, **run)))
    for doubt in (*found.doubts, *doubts_of_length(cfg, counts.steps), *rate_doubts(cfg, cards)):
        logger.warning(doubt)


def _passes(cfg: Config, counts: Optional[Counts]) -> str:
    node, epochs, passes = cfg.data['train'], cfg.runner.max_epochs, cfg.runner.max_epochs
    words = counted(epochs, 'epoch')
    while isinstance(node, dict) and node.get('type') == 'RepeatDataset':
        words += f" x RepeatDataset {node['times']}"
        node, passes = node['dataset'], passes * node['times']
    words += f" = {counted(passes, 'pass')}" if passes > epochs else ''
    pictures = f'{counts.pictures:,} pictures' if counts else 'the pictures, not counted without data'
    return f'{words} over {pictures}' + (f' ({node["type"]})' if node['type'] == 'ClassBalancedDataset' else '')


def _step(cfg: Config, cards: int, counts: Optional[Counts], max_steps: int) -> str:
    each, together = samples_each(cfg), lookup(cfg, 'optimizer_config.cumulative_iters') or 1
    words = f"{cards * each:,} pictures a step ({counted(cards, 'card')} x {each})"
    words += f', {together} steps accumulated into one of the optimizer' if together > 1 else ''
    if counts:
        words += f"; {counted(counts.steps, 'step')} an epoch, {counts.steps * cfg.runner.max_epochs:,} in all"
    return words + (f'; stops after {max_steps:,}' if max_steps else '')


def _precision(cfg: Config) -> str:
    given = cfg.get('precision') or {}
    level, kind = given.get('opt_level', 'O0'), given.get('dtype', 'float16')
    if level == 'O0':
        return 'O0, float32'
    scale = given.get('loss_scale')
    scale = DEFAULT_SCALE if scale is None or isinstance(scale, dict) else scale
    return f'{level}, {kind}' + (f", loss scale {scale if isinstance(scale, str) else f'{scale:g}'}" * (kind == 'float16'))


def _network(cfg: Config, found: Findings) -> str:
    model = cfg.model
    parts = [str(part['type']) for part in (model.get(name) for name in ('backbone', 'neck', 'bbox_head'))
             if isinstance(part, dict) and 'type' in part]
    words = [', '.join(parts), f'pictures of {found.size[1]} x {found.size[0]}' if found.size else 'pictures of several sizes']
    words += [f'{found.boxes:,} default boxes'] if found.boxes else []
    count = num_classes_named(cfg)
    return '; '.join(words if count is None else [*words, counted(count, 'class')])


def _evaluation(cfg: Config) -> str:
    if not evaluates(cfg):
        return 'none'
    settings = build(cfg, EvaluationSettings, key='evaluation')
    when, unit = settings.when, 'epoch' if settings.when['by_epoch'] else 'step'
    words = f'after every {unit}' if when['interval'] == 1 else f"after every {counted(when['interval'], unit)}"
    since = f", from {unit} {when['start']} on" if when['start'] is not None else ''
    kinds = dict.fromkeys(class_of(dataset) for dataset in themselves(cfg.data['val']))
    metrics = dict.fromkeys(name for kind in kinds for name in _names(metric_of(kind, settings)))
    best = f"; the best {when['save_best']} is kept" if when['save_best'] else ''
    by = f', by {enumerated(list(metrics))}' if metrics else ''
    return f'{words} on data.val{since}{by}{best}'


def _names(metric: Any) -> Tuple[str, ...]:
    return (metric,) if isinstance(metric, str) else tuple(metric)


def _checkpoints(cfg: Config) -> str:
    if cfg.get('checkpoint_config') is None:
        return 'none'
    hook = build(cfg, CheckpointHook, key='checkpoint_config')
    unit = 'epoch' if hook.by_epoch else 'step'
    words = 'at the end' if hook.interval < 1 else f'after every {unit}' if hook.interval == 1 else (
        f'after every {counted(hook.interval, unit)}')
    kept = f'the last {hook.max_keep_ckpts} kept' if hook.max_keep_ckpts > 0 else 'all kept'
    between = f'; at most {hook.minutes:g} minutes without one' if hook.minutes and hook.save_optimizer else ''
    return f"in {checkpoint_folder(cfg.work_dir, hook.out_dir)} {words}, {kept}{between}"


def _start(cfg: Config) -> str:
    if cfg.get('load_from'):
        return f'the weights of {cfg.load_from}'
    weights = lookup(cfg, 'model.init_cfg.checkpoint') or lookup(cfg, 'model.backbone.init_cfg.checkpoint')
    return f'{weights} (backbone)' if weights else 'random weights'
