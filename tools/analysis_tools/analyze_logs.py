"""Curves and times of training runs, from their logs: MMCV's `.log.json`, MMEngine's `scalars.json`, and ours.

    python tools/analysis_tools/analyze_logs.py plot_curve work_dirs/a/*.log.json --keys loss_cls loss_bbox --out losses.png
    python tools/analysis_tools/analyze_logs.py cal_train_time work_dirs/a/*.log.json
"""
from __future__ import annotations

import argparse
import io
import os
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # works from a clone

import numpy as np

from mmcv_need.errors import ConfigError, LogError, UserError, did_you_mean
from mmcv_need.run_logs import read_records
from mmcv_need.serialization.atomic_files import written_atomically

Record = Dict[str, Any]
Curve = Tuple[str, List[float], List[float]]  # what it is drawn over, where, and the values
NO_WINDOWS = ('agg', 'cairo', 'pdf', 'pgf', 'ps', 'svg', 'template')  # matplotlib's backends that only write files
COUNTS = ('mode', 'epoch', 'iter')  # say where a record belongs; all its other numbers can be drawn


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Curves and times of training runs, from their logs')
    tasks = parser.add_subparsers(dest='task', required=True)
    plot = tasks.add_parser('plot_curve', help='draw losses over iterations and metrics over epochs (needs matplotlib)')
    plot.add_argument('json_logs', nargs='+', metavar='LOG.json')
    plot.add_argument('--keys', nargs='+', default=['bbox_mAP'], metavar='KEY', help='such as loss_cls, lr, bbox_mAP')
    plot.add_argument('--start-epoch', type=int, default=1, metavar='N', help='leave out what came before')
    plot.add_argument('--eval-interval', type=int, default=1, metavar='N',
                      help="has no effect, for MMDetection's sake: the log itself says which epochs were evaluated")
    plot.add_argument('--title')
    plot.add_argument('--legend', nargs='+', metavar='TEXT', help='for each key of the first log, then of the second, ...')
    plot.add_argument('--backend', help="of matplotlib, for a window")
    plot.add_argument('--style', default='dark', help="seaborn's or matplotlib's: dark, whitegrid, ggplot, ...")
    plot.add_argument('--out', metavar='FILE', help='write .png, .pdf, .svg; without it, a window shows the curves')
    time = tasks.add_parser('cal_train_time', help='seconds an iteration, by epoch')
    time.add_argument('json_logs', nargs='+', metavar='LOG.json')
    time.add_argument('--include-outliers', action='store_true', help="count the first record of each epoch too")
    args = parser.parse_args(arguments)
    if args.task == 'plot_curve' and args.legend and len(args.legend) != len(args.json_logs) * len(args.keys):
        parser.error(f'--legend: expected {len(args.json_logs) * len(args.keys)} texts, one for each key in each log, got '
                     f'{len(args.legend)}')
    return args


def times_by_epoch(records: Sequence[Record], skip_first: bool) -> Dict[int, np.ndarray]:
    """Seconds an iteration of each epoch's train records; without epochs whose only record is skipped."""
    times: Dict[int, List[float]] = {}
    for record in records:
        if record['mode'] == 'train':
            times.setdefault(record.get('epoch', 1), []).append(record['time'])
    return {epoch: np.array(seconds[skip_first:]) for epoch, seconds in times.items() if seconds[skip_first:]}


def cal_train_time(path: str, include_outliers: bool) -> List[str]:
    """MMDetection's lines about a log.

    Raises:
        LogError: it has no record that counts.
    """
    records = read_records(path)
    times = times_by_epoch(records, skip_first=not include_outliers)
    if not times:
        if not any(record['mode'] == 'train' for record in records):
            raise LogError(f'{path}: has no train record')
        raise LogError(f'{path}: has only one train record an epoch, which does not count: add --include-outliers, or train '
                       f'with a smaller log_config.interval')
    mean = {epoch: seconds.mean() for epoch, seconds in times.items()}
    slowest, fastest = max(mean, key=lambda epoch: mean[epoch]), min(mean, key=lambda epoch: mean[epoch])
    return [f'-----Analyze train time of {path}-----',
            f'slowest epoch {slowest}, average time is {mean[slowest]:.4f}',
            f'fastest epoch {fastest}, average time is {mean[fastest]:.4f}',
            f'time std over epochs is {np.std(list(mean.values())):.4f}',
            f'average iter time: {np.concatenate(list(times.values())).mean():.4f} s/iter', *lone_epochs(records, times), '']


def lone_epochs(records: Sequence[Record], counted: Mapping[int, Any]) -> List[str]:
    """A line that names the epochs that do not count, if there are any."""
    lone = sorted({record.get('epoch', 1) for record in records if record['mode'] == 'train'} - set(counted))
    return [f"left out, as their first record is their only one: epoch {', '.join(map(str, lone))}"] if lone else []


def curve(path: str, records: Sequence[Record], key: str, start_epoch: int) -> Curve:
    """What a value is drawn over ('iter' or 'epoch'), where, and the values.

    What training logged is drawn over the iterations of the run, what evaluations found over epochs.

    Raises:
        LogError: the log has no number of this name.
    """
    plain = key.rpartition('/')[2]
    name = key if any(key in record for record in records) else plain  # MMEngine's `coco/bbox_mAP` is read as `bbox_mAP`
    found = [record for record in records if type(record.get(name)) in (int, float)]
    mode = 'train' if any(record['mode'] == 'train' for record in found) else 'val'
    found = [record for record in found if record['mode'] == mode and record.get('epoch', start_epoch) >= start_epoch]
    if not found:
        known = {k for record in records for k, v in record.items() if k not in COUNTS and type(v) in (int, float)}
        why = ' (was the run evaluated, or had it --no-validate?)' if 'mAP' in key else ''
        raise LogError(f'{path}: has no number {key} from epoch {start_epoch} on{why}.{did_you_mean(key, known)}')
    values = [record[name] for record in found]
    if mode == 'val':
        axis = 'epoch' if 'epoch' in found[0] else 'iter'
        return axis, [record[axis] for record in found], values
    return 'iter', iterations_of_run(records, found), values


def iterations_of_run(records: Sequence[Mapping[str, Any]], chosen: Sequence[Mapping[str, Any]]) -> List[float]:
    """Where in the run each chosen train record is; an epoch is taken to be as long as the latest record of any says.

    A log whose iterations go on from epoch to epoch counts those of the run already.
    """
    train = [record for record in records if record['mode'] == 'train']
    several = len({record.get('epoch') for record in train}) > 1  # of one epoch, iterations grow whatever they count
    grows = several and all(b['iter'] > a['iter'] for a, b in zip(train, train[1:]))
    length = 0 if grows else max(record['iter'] for record in train)
    return [record['iter'] + (record.get('epoch', 1) - 1) * length for record in chosen]


def plot_curve(args: argparse.Namespace) -> None:
    """Draw curves into a file or a window; losses and metrics each have axes of their own.

    Raises:
        ConfigError: matplotlib is not installed, or cannot do what is asked of it.
        LogError: a log lacks a key.
    """
    legends = args.legend or [f'{path}_{key}' for path in args.json_logs for key in args.keys]
    curves = []
    for path in args.json_logs:
        records = read_records(path)
        for key in args.keys:
            print(f'plot curve of {path}, metric is {key}')
            curves.append(curve(path, records, key, args.start_epoch))
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ConfigError('plot_curve needs matplotlib, which is not installed: pip install matplotlib') from error
    try:
        if args.backend:
            pyplot.switch_backend(args.backend)
    except (ImportError, ValueError) as error:
        raise ConfigError(f'--backend {args.backend}: {error}') from None
    if not args.out and pyplot.get_backend().lower() in NO_WINDOWS:
        raise ConfigError(f'matplotlib has no window to draw into (its backend is {pyplot.get_backend()}); give --out FILE')
    with pyplot.style.context(style_name(args.style, pyplot.style.available)):
        figure = draw(pyplot, curves, legends, args.title)
        if args.out:
            save(figure, args.out)
        else:
            pyplot.show()
        pyplot.close(figure)


def draw(pyplot: Any, curves: Sequence[Curve], legends: Sequence[str], title: Optional[str]) -> Any:
    """A figure with axes for what is drawn over iterations, and others for what is drawn over epochs."""
    axes_of = sorted({axis for axis, _, _ in curves}, reverse=True)
    figure, rows = pyplot.subplots(len(axes_of), squeeze=False, figsize=(8, 5 * len(axes_of)))
    for (axis, xs, ys), legend in zip(curves, legends):
        drawn = {'marker': 'o'} if axis == 'epoch' else {'linewidth': 0.5}
        rows[axes_of.index(axis)][0].plot(xs, ys, label=legend, **drawn)
    for (axes,), axis in zip(rows, axes_of):
        axes.set_xlabel(axis)
        axes.legend()
    if title:
        figure.suptitle(title)
    return figure


def style_name(style: str, available: Sequence[str]) -> str:
    """The style by matplotlib's name, which has changed for those of seaborn."""
    for name in (style, f'seaborn-v0_8-{style}', f'seaborn-{style}'):
        if name in available or name == 'default':
            return name
    raise ConfigError(f'--style {style}: no such style.{did_you_mean(style, available)}')


def save(figure: Any, path: str) -> None:
    """Write a figure in the format that the name ends in, whole or not at all."""
    kind = os.path.splitext(path)[1][1:].lower()
    formats = figure.canvas.get_supported_filetypes()
    if kind not in formats:
        raise ConfigError(f"--out {path}: expected a name that ends in one of .{', .'.join(sorted(formats))}")
    data = io.BytesIO()
    figure.savefig(data, format=kind)
    with written_atomically(path) as file:
        file.write(data.getvalue())
    print(f'save curve to: {path}')


def main(arguments: Sequence[str]) -> int:
    args = parse(arguments)
    try:
        if args.task == 'plot_curve':
            plot_curve(args)
        else:
            for path in args.json_logs:
                print('\n'.join(cal_train_time(path, args.include_outliers)))
    except (UserError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
