"""From the options of a command line to the metrics of a dataset."""
from __future__ import annotations

import argparse
import inspect
from logging import Logger
from typing import Any, Dict, Mapping, Optional, Sequence

from mmcv_need.arguments import accepted_arguments, shortened, what_it_should_be
from mmcv_need.config import Config, DictAction
from mmcv_need.errors import ConfigError, did_you_mean
from mmcv_need.registry import build
from mmdet.apis.checks import check_has_metrics
from mmdet.apis.results import check_writable, write_results
from mmdet.apis.settings import EvaluationSettings
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.wrappers import ConcatDataset


def add_eval_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--eval', nargs='+', metavar='METRIC', help='bbox, proposal (COCO); mAP, recall (VOC)')
    parser.add_argument('--format-only', action='store_true',
                        help='only write COCO results to PREFIX.bbox.json, with --eval-options jsonfile_prefix=PREFIX')
    parser.add_argument('--eval-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE',
                        help='such as classwise=True; jsonfile_prefix=PREFIX writes PREFIX.bbox.json')


def take_eval_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Check the three options; `args.json_file` says where COCO results go, or is None."""
    prefix = args.eval_options.pop('jsonfile_prefix', None)
    args.json_file = None if prefix is None else f'{prefix}.bbox.json'
    if args.eval and args.format_only:
        parser.error('--eval and --format-only cannot be used together')
    if args.format_only and args.json_file is None:
        parser.error('--format-only needs --eval-options jsonfile_prefix=PREFIX')


def eval_arguments(args: argparse.Namespace, cfg: Config, dataset: Any) -> Dict[str, Any]:
    """Arguments of the dataset's `evaluate`: the config's `evaluation`, then --eval-options; checked before anything slow.

    Raises:
        ConfigError: the dataset has no such metric, or no such option of it.
    """
    if args.eval or args.eval_options:
        check_has_metrics(cfg, 'data.test', cfg.data['test'])
        dataset.check_metrics(args.eval or [], where='--eval')
        check_eval_options(args.eval_options, dataset, '--eval-options')
    if args.json_file:
        check_writable(args.json_file, dataset, '--eval-options jsonfile_prefix')
    if not args.eval:
        return {}
    options = config_options(cfg, dataset) if cfg.get('evaluation') else {}
    return {**options, **args.eval_options, 'metric': args.eval}


def config_options(cfg: Config, dataset: Any) -> Dict[str, Any]:
    """Arguments of the dataset's `evaluate` that the config's `evaluation` has, but for `metric`.

    Raises:
        ConfigError: the dataset has no such option.
    """
    options = build(cfg, EvaluationSettings, key='evaluation').options
    options.pop('metric', None)
    check_eval_options(options, dataset, f"{cfg.where('evaluation')}: evaluation".lstrip(': '))
    return options


def check_eval_options(options: Mapping[str, Any], dataset: Any, where: str) -> None:
    """What the options name are arguments of the dataset's `evaluate`, with values that it can use.

    Raises:
        ConfigError: one is not.
    """
    if isinstance(dataset, ConcatDataset):
        for part in dataset.datasets:
            check_eval_options(options, part, where)
    else:
        check_options_of(type(dataset), options, where)


def check_options_of(kind: Any, options: Mapping[str, Any], where: str) -> None:
    """What the options name are arguments of the `evaluate` of a class of datasets, with values that it can use.

    Raises:
        ConfigError: one is not.
    """
    accepted = accepted_arguments(kind.evaluate, skip_first=True) or {}
    known = [name for name in accepted if name not in ('results', 'metric', 'logger')]
    for name, value in options.items():
        if name == 'metric':
            raise ConfigError(f'{where} metric={value}: metrics are given by --eval, such as --eval bbox')
        if name not in known:
            raise ConfigError(f'{where} {name}: the evaluation of a {kind.__name__} has no such option.'
                              f"{did_you_mean(name, [*known, 'jsonfile_prefix'])} To change the config, use --cfg-options")
        expected = what_it_should_be(value, accepted[name])
        if expected:
            raise ConfigError(f'{where} {name}: expected {expected}, not {shortened(value)}')
    checked = inspect.signature(kind.check_options).parameters
    kind.check_options([], where=where, **{name: value for name, value in options.items() if name in checked})


def check_save_best(cfg: Config, wanted: Optional[str], names: Optional[Sequence[str]]) -> None:
    """The metric whose best checkpoint is to be kept is a number that an evaluation gives, if it is known which those are.

    Raises:
        ConfigError: it is not.
    """
    if wanted not in (None, 'auto') and names is not None and wanted not in names:
        raise ConfigError(f"{cfg.where('evaluation.save_best')}: evaluation.save_best: the evaluation gives no number "
                          f"'{wanted}'.{did_you_mean(wanted, names)}".lstrip(': '))


def report(args: argparse.Namespace, options: Mapping[str, Any], results: Sequence[Detections], dataset: Any,
           logger: Logger) -> Dict[str, Any]:
    """Write COCO results and print the metrics, as the command line asks.

    Args:
        args: of `take_eval_options`.
        options: of `eval_arguments`.

    Returns:
        The metrics, {} if none are asked for.
    """
    if args.json_file:
        write_results(args.json_file, results, dataset)
        logger.info('wrote the detections to %s', args.json_file)
    if not args.eval:
        return {}
    metric = dataset.evaluate(results, logger=logger, **options)
    print(metric)
    return metric
