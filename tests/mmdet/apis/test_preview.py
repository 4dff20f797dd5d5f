"""The preview says of a run what the run then does: passes, batch, steps, evaluations, checkpoints."""
from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

from mmcv_need.config import Config
from mmdet.apis.config_check import Findings
from mmdet.apis.dialects import canonical
from mmdet.apis.preview import Counts, count, preview
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.loader.data_loader import train_loader
from mmdet.datasets.wrappers import RepeatDataset

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
FOUND = Findings([], [], (300, 300), 8732)


class Pictures:
    """So many pictures, the first of them wide."""
    CLASSES = ('cat',)

    def __init__(self, wide, tall):
        self.flag = np.array([1] * wide + [0] * tall, dtype=np.uint8)

    def __len__(self):
        return len(self.flag)


def rows(*changes, cards=8, counts=None, name='ssd300_coco.py', **run):
    cfg = Config.fromfile(CONFIGS / name)
    for change in changes:
        cfg.merge_from_dict(copy.deepcopy(change))
    cfg['work_dir'] = cfg.get('work_dir') or 'work_dirs/x'
    return dict(line.split(None, 1) if not line.startswith('starts') else ('starts', line[13:])
                for line in preview(canonical(cfg), cards, FOUND, counts, **run))


def test_ssd300_on_coco_is_what_its_recipe_says():
    assert rows(counts=Counts(117266, 9162)) == {
        'passes': '24 epochs x RepeatDataset 5 = 120 passes over 117,266 pictures',
        'step': '64 pictures a step (8 cards x 8); 9,162 steps an epoch, 219,888 in all',
        'rate': 'SGD, lr 0.002, x0.1 after epochs 16 and 22; linear warm-up from 0.001 of it over 500 steps',
        'precision': 'O0, float32',
        'network': 'SSDVGG, SSDNeck, SSDHead; pictures of 300 x 300; 8,732 default boxes; 80 classes',
        'evaluation': 'after every epoch on data.val, by bbox',
        'checkpoints': 'in work_dirs/x after every epoch, all kept; at most 10 minutes without one',
        'seed': 'drawn at the start', 'starts': 'open-mmlab://vgg16_caffe (backbone)'}


@pytest.mark.parametrize('change, row, words', [
    ({'data.samples_per_gpu': 16}, 'step', '128 pictures a step (8 cards x 16)'),
    ({'data.train_dataloader': dict(samples_per_gpu=2)}, 'step', '16 pictures a step (8 cards x 2)'),
    ({'optimizer_config.cumulative_iters': 4}, 'step',
     '64 pictures a step (8 cards x 8), 4 steps accumulated into one of the optimizer'),
    ({'data.train.times': 1}, 'passes', '24 epochs x RepeatDataset 1 over the pictures, not counted without data'),
    ({'precision': 'bf16'}, 'precision', 'O1, bfloat16'),
    ({'precision': dict(opt_level='O2', loss_scale=128.)}, 'precision', 'O2, float16, loss scale 128'),
    ({'fp16': dict(loss_scale='dynamic')}, 'precision', 'O1, float16, loss scale dynamic'),
    ({'evaluation': None}, 'evaluation', 'none'),
    ({'data.val': None}, 'evaluation', 'none'),
    ({'evaluation': dict(interval=2, start=10, save_best='bbox_mAP', metric=['bbox', 'proposal'])}, 'evaluation',
     'after every 2 epochs on data.val, from epoch 10 on, by bbox and proposal; the best bbox_mAP is kept'),
    ({'evaluation': dict(interval=500, by_epoch=False)}, 'evaluation', 'after every 500 steps on data.val, by bbox'),
    ({'checkpoint_config': None}, 'checkpoints', 'none'),
    ({'checkpoint_config': dict(interval=-1, minutes=None)}, 'checkpoints', 'in work_dirs/x at the end, all kept'),
    ({'checkpoint_config': dict(interval=1000, by_epoch=False, max_keep_ckpts=3, out_dir='/far')}, 'checkpoints',
     'in /far/x after every 1,000 steps, the last 3 kept; at most 10 minutes without one'),
    ({'seed': 5}, 'seed', '5'),
    ({'model.backbone.init_cfg': None}, 'starts', 'random weights'),
    ({'load_from': 'a.pth'}, 'starts', 'the weights of a.pth')])
def test_what_a_config_changes_is_said(change, row, words):
    assert rows(change)[row] == words


def test_what_the_command_line_changes_is_said():
    changed = rows(counts=Counts(100, 8), cards=1, validate=False, max_steps=30, starts_from='work/epoch_2.pth')
    assert changed['evaluation'] == 'none: --no-validate' and changed['starts'] == 'work/epoch_2.pth, and goes on'
    assert changed['step'] == '8 pictures a step (1 card x 8); 8 steps an epoch, 192 in all; stops after 30'


def test_a_dataset_whose_evaluation_does_not_say_by_what_is_evaluated_by_it_knows_what(monkeypatch):
    monkeypatch.setattr(CocoDataset, 'evaluate', lambda self, results, **options: {})
    config = {'evaluation': dict(_delete_=True, interval=2)}
    assert rows(config)['evaluation'] == 'after every 2 epochs on data.val'


def test_a_run_without_repeats_has_as_many_passes_as_epochs():
    assert rows(name='ssd_demo.py')['passes'] == '14 epochs over the pictures, not counted without data'


@pytest.mark.parametrize('wide, tall, times, samples, cards', [(70, 30, 1, 8, 1), (70, 30, 5, 8, 2), (9, 0, 1, 4, 4),
                                                               (1, 1, 3, 2, 8)])
def test_steps_are_those_of_the_loader(wide, tall, times, samples, cards):
    dataset = RepeatDataset(RepeatDataset(Pictures(wide, tall), times), 2)
    loader = train_loader(dataset, samples, workers=0, seed=0, rank=0, world_size=cards)
    assert count(dataset, samples, cards) == Counts(wide + tall, len(loader))
