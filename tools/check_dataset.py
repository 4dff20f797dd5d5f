"""Look over the data of a config, every picture of them: python tools/check_dataset.py configs/ssd300_coco.py --html page.html

What can be used for nothing is an error: status 2, unless `data.bad_data='skip'` leaves it out and it is no more than may be.
"""
from __future__ import annotations

import argparse
import os
import sys
from typing import Any, List, Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # works from a clone, without installing

from mmcv_need.cores import available_cores
from mmcv_need.errors import ConfigError
from mmcv_need.logger import get_logger
from mmcv_need.registry import build
from mmdet.apis.command_line import add_config_options, read_config
from mmdet.apis.data_root import check_data_files
from mmdet.apis.dataset_check import settle
from mmdet.apis.dataset_page import write_page
from mmdet.apis.dataset_report import Report, lines_of, report_on, write_list
from mmdet.apis.datasets import build_dataset
from mmdet.apis.endings import run
from mmdet.apis.inference import load_detector
from mmdet.apis.results import prepare_file
from mmdet.apis.settings import DataSettings
from mmdet.datasets.pictures import AnnotatedPictures
from mmdet.datasets.wrappers import own_datasets
from mmdet.models.detectors import SingleStageDetector

SECTIONS = ('train', 'val', 'test')


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Look over the data of a config, every picture of them')
    parser.add_argument('config', help='such as configs/ssd300_coco.py')
    parser.add_argument('--sections', nargs='+', choices=SECTIONS, help='of `data`; all that the config has by default')
    parser.add_argument('--html', metavar='FILE', help='write a page: classes, box sizes, pictures with boxes, what is wrong')
    parser.add_argument('--list', metavar='FILE', help='write all that was found, a line each')
    parser.add_argument('--threads', type=int, default=available_cores(), help='that decode pictures; one a core by default')
    add_config_options(parser)
    args = parser.parse_args(arguments)
    if args.threads < 1:
        parser.error(f'--threads {args.threads}: expected 1 or more')
    return args


def main(arguments: Sequence[str]) -> None:
    args = parse(arguments)
    cfg = read_config(args)
    given = [name for name in SECTIONS if (cfg.get('data') or {}).get(name) is not None]
    sections = args.sections or given
    missing = [name for name in sections if name not in given]
    if missing or not sections:
        raise ConfigError(f"{args.config}: has no data.{', no data.'.join(missing or SECTIONS)} to look over")
    for path, option in ((args.html, '--html'), (args.list, '--list')):
        if path:
            prepare_file(path, option)
    check_data_files(cfg, *sections)
    settings = build(cfg, DataSettings, key='data')
    cfg.data['bad_data'] = 'skip'  # or the first thing that is wrong would hide the others
    model = load_detector(cfg, None)[0] if cfg.get('model') else None
    if not isinstance(model, SingleStageDetector) or model.head_takes_lists:
        model = None  # nothing is known of its default boxes
    reports: List[Report] = []
    done: List[Any] = []
    for section in sections:
        if cfg.data[section] in done:
            print(f'data.{section}: the same as data.{sections[done.index(cfg.data[section])]}')
        else:
            reports += look_over(build_dataset(cfg, section), f'data.{section}', model, args.threads)
        done.append(cfg.data[section])
    if args.list:
        write_list(args.list, reports)
    if args.html:
        write_page(args.html, args.config, reports)
        print(f'wrote {args.html}')
    for report in reports:
        settle(report.dataset, report.section, report.records, report.files, settings, get_logger('mmdet'))


def look_over(dataset: Any, section: str, model: Any, threads: int) -> List[Report]:
    """Report on the datasets within wrappers, and print it."""
    reports = []
    for own in own_datasets(dataset):
        if isinstance(own, AnnotatedPictures):
            reports.append(report_on(own, section, model, threads))
            print('\n'.join(lines_of(reports[-1])), flush=True)
        else:
            print(f'{section}: {type(own).__name__}: not a dataset whose annotations can be looked over')
    return reports


if __name__ == '__main__':
    run(main)
