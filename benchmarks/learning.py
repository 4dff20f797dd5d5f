"""Whether what is fast still learns: the same training in float32, in bfloat16, and through the plain eager pipeline.

    python benchmarks/learning.py --seeds 0 1                           the demo's network and pictures, on any device
    python benchmarks/learning.py --model ssd300 --data-root DIR        SSD300 with BatchNorm, from scratch, on a folder
                                                                        with annotations/ and {train,val}2017/ as COCO has them

Each run is tools/train.py itself in a process of its own; mAP_50 is that of its last evaluation.
"""
from __future__ import annotations

import argparse
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # works from a clone, without installing

from rich.console import Console
from rich.table import Table

from benchmarks.interleaved import spread
from benchmarks.reference_pipeline import eager
from benchmarks.settings import ROOT
from mmcv_need.config import Config
from mmcv_need.serialization.json_files import read_json

VARIANTS = {'fp32, planned': '', 'bf16, planned': "precision = dict(opt_level='O1', dtype='bfloat16')\n", 'fp32, eager': ''}
BASES = {'demo': 'ssd_demo.py', 'ssd300': 'ssd300_coco.py'}
# SSD300 from scratch on some hundred pictures: BatchNorm instead of ImageNet's weights, and the demo's optimizer.
SSD300 = '''
model = dict(
    backbone=dict(norm_cfg=dict(type='BN'), init_cfg=None, out_feature_indices=None),
    neck=dict(norm_cfg=dict(type='BN'), l2_norm_scale=5),
    bbox_head=dict(num_classes={num_classes}))
optimizer = dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=1e-2)
optimizer_config = dict(_delete_=True, grad_clip=dict(max_norm=10))
lr_config = dict(_delete_=True, policy='step', warmup='linear', warmup_iters=100, warmup_ratio=0.01, step=[80, 110])
'''
SSD300_EPOCHS = 120
ENDS = '''
runner = dict(max_epochs={epochs})
checkpoint_config = dict(interval={epochs})
evaluation = dict(interval={epochs}, metric='bbox')
'''


def config_text(model: str, variant: str, data_root: Path, epochs: Optional[int]) -> str:
    """A config file for one variant, that inherits the rest."""
    base = ROOT / 'configs' / BASES[model]
    text = f'_base_ = {str(base)!r}\n{VARIANTS[variant]}'
    cfg = Config.fromfile(str(base))
    own: Dict[str, Any] = {'pipeline': eager(cfg.train_pipeline)} if variant == 'fp32, eager' else {}
    data: Dict[str, Any] = {'train': own}
    if model == 'ssd300':
        content = read_json(str(data_root / 'annotations/instances_train2017.json'))
        text += SSD300.format(num_classes=len(content['categories']))
        data = {'samples_per_gpu': 16, 'workers_per_gpu': 8, 'train': {'times': 1, 'dataset': own}}
    last = epochs or (SSD300_EPOCHS if model == 'ssd300' else cfg.runner.max_epochs)
    return text + f'data = {data!r}\n' + ENDS.format(epochs=last)


def train(model: str, variant: str, seed: int, data_root: Path, folder: Path, device: str, epochs: Optional[int]) -> float:
    """mAP_50 of one run.

    Raises:
        subprocess.CalledProcessError: training ended with an error, which it printed.
    """
    name = f'{variant.replace(", ", "_")}_{seed}'
    config, work_dir = folder / f'{name}.py', folder / name
    config.write_text(config_text(model, variant, data_root, epochs), encoding='utf-8')
    program = [sys.executable, os.path.abspath(__file__), '--run', str(config), '--work-dir', str(work_dir),
               '--seed', str(seed), '--device', device, '--data-root', f'{data_root}/']
    with open(folder / f'{name}.txt', 'w', encoding='utf-8') as log:
        subprocess.run(program, check=True, stdout=log)
    lines = [json.loads(line) for path in sorted(work_dir.glob('*.log.json')) for line in path.read_text().splitlines()]
    return [line['bbox_mAP_50'] for line in lines if 'bbox_mAP_50' in line][-1]


def show(found: Dict[str, List[float]], seeds: Sequence[int]) -> None:
    """mAP_50 of each seed, with mean and spread, and whether the others are within what seeds make of the first."""
    table = Table('mAP_50', *(f'seed {seed}' for seed in seeds), 'mean', 'lowest to highest', 'quartiles apart')
    for name, values in found.items():
        table.add_row(name, *(f'{value:.3f}' for value in values), f'{statistics.mean(values):.3f}',
                      f'{min(values):.3f} to {max(values):.3f}', f'{spread(values):.3f}')
    Console(width=None if Console().is_terminal else 160).print(table)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Compare what precisions and pipelines learn')
    parser.add_argument('--model', choices=BASES, default='demo', help='(default: %(default)s)')
    parser.add_argument('--data-root', type=Path, help="folder of the pictures; the demo's are drawn if not given")
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1], help='(default: 0 1)')
    parser.add_argument('--variants', nargs='+', choices=VARIANTS, default=list(VARIANTS), help='(default: all)')
    parser.add_argument('--device', default='auto')
    parser.add_argument('--epochs', type=int, help="instead of the config's")
    parser.add_argument('--pictures', type=int, default=600, help='that are drawn for training (default: %(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there')
    parser.add_argument('--work-dir', type=Path, help='keep logs and checkpoints there')
    args = parser.parse_args(arguments)
    if args.model == 'ssd300' and not args.data_root:
        parser.error('--model ssd300 needs --data-root: a folder with annotations/ and {train,val}2017/')
    return args


def main(arguments: Sequence[str]) -> int:
    args = parse(arguments)
    with tempfile.TemporaryDirectory(prefix='learning-') as scratch:
        folder = args.work_dir or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        data_root = args.data_root or Path(scratch) / 'demo'
        if not args.data_root:
            draw = [sys.executable, str(ROOT / 'tools/make_demo_data.py'), '--out', str(data_root),
                    '--train', str(args.pictures), '--val', str(max(8, args.pictures // 5))]
            subprocess.run(draw, check=True, stdout=subprocess.DEVNULL)
        found: Dict[str, List[float]] = {name: [] for name in args.variants}
        for seed in args.seeds:  # seeds outermost: whatever the machine does meanwhile hits all variants
            for name in args.variants:
                value = train(args.model, name, seed, data_root.resolve(), folder.resolve(), args.device, args.epochs)
                found[name].append(value)
                print(f'seed {seed}, {name}: mAP_50 {value:.3f}', flush=True)
    show(found, args.seeds)
    if args.json:
        content: Dict[str, Any] = {'model': args.model, 'seeds': args.seeds, 'mAP_50': found}
        args.json.write_text(json.dumps(content, indent=2), encoding='utf-8')
    return 0


if __name__ == '__main__':
    if sys.argv[1:2] == ['--run']:  # one training: the tool itself, which knows the eager transforms since they are imported
        sys.argv = ['train.py', *sys.argv[2:]]
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
    sys.exit(main(sys.argv[1:]))
