"""A config of MMDetection 3 means what the same config means in MMDetection 2.28's form."""
from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.hooks import HOOKS
from mmcv_need.registry import build
from mmdet.apis.checks import check_top_level
from mmdet.apis.config_check import look_over
from mmdet.apis.data_root import replace_data_root
from mmdet.apis.dialects import canonical, with_policy_hook

ROOT = Path(__file__).resolve().parents[5]
READ = ('model', 'data', 'evaluation', 'optimizer', 'lr_config', 'runner', 'checkpoint_config', 'log_config', 'dist_params',
        'auto_scale_lr', 'cudnn_benchmark', 'load_from', 'log_level')


def test_ours_written_as_version_3_has_every_value_of_ours(ssd300):
    cfg, ours = (canonical(Config.fromfile(path)).to_dict() for path in (ssd300(), ROOT / 'configs/ssd300_coco.py'))
    for key in READ:
        assert cfg[key] == ours[key], key
    assert cfg['custom_hooks'][0] == dict(type='NumClassCheckHook')


def test_nothing_is_said_of_it_and_nothing_is_wrong_with_it(ssd300):
    cfg = Config.fromfile(ssd300())
    check_top_level(cfg)  # warnings are errors here
    found = look_over(canonical(cfg), 'train', 'val', 'test')
    assert not found.faults and found.boxes == 8732 and found.size == (300, 300)


def test_its_rate_is_mmdetections_at_every_golden_iteration(ssd300):
    """tests/parity/data/schedule_sampler.json, which MMDetection computed."""
    cfg = canonical(Config.fromfile(ssd300()))
    hook = build(with_policy_hook(cfg, 'lr_config', 'LrUpdaterHook'), HOOKS, key='lr_config')
    rows = json.loads((ROOT / 'tests/parity/data/schedule_sampler.json').read_text())['lr']
    for iteration, epoch, rate in rows:
        assert hook.rates([2e-3], epoch, iteration, max_epochs=24, epoch_len=9162)[0] == pytest.approx(rate, rel=1e-12, abs=0)


def test_every_value_stands_where_it_was_written(ssd300):
    path = ssd300()
    cfg, lines = canonical(Config.fromfile(path)), path.read_text().splitlines()
    for key, words in {'data.samples_per_gpu': 'batch_size=8', 'data.train.dataset.pipeline.4.img_scale': 'scale=(input_size',
                       'data.val.pipeline.1.transforms.0.keep_ratio': 'keep_ratio=False', 'lr_config.step': 'MultiStepLR',
                       'runner.max_epochs': 'max_epochs=24', 'evaluation.metric': "metric='bbox'",
                       'data.train.dataset.ann_file': 'instances_train2017', 'optimizer.lr': 'lr=2e-3',
                       'checkpoint_config.interval': 'CheckpointHook', 'log_config.interval': 'LoggerHook'}.items():
        assert words in lines[int(cfg.where(key).rpartition(':')[2]) - 1], key


@pytest.mark.parametrize('replaced, section, expected', [
    (("dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),", ''), 'lr_config',
     dict(policy='step', step=[16, 22])),
    (("type='LinearLR', start_factor=0.001, by_epoch=False", "type='ConstantLR', factor=0.1, by_epoch=False"), 'lr_config',
     dict(policy='step', warmup='constant', warmup_iters=500, warmup_ratio=0.1, step=[16, 22])),
    (("type='MultiStepLR', begin=0, end=24, by_epoch=True, milestones=[16, 22], gamma=0.1",
      "type='CosineAnnealingLR', T_max=24, eta_min=1e-5, end=24"), 'lr_config',
     dict(policy='CosineAnnealing', warmup='linear', warmup_iters=500, warmup_ratio=0.001, min_lr=1e-5)),
    (("type='MultiStepLR', begin=0, end=24, by_epoch=True, milestones=[16, 22], gamma=0.1",
      "type='PolyLR', power=0.9, eta_min=0, end=24, convert_to_iter_based=True"), 'lr_config',
     dict(policy='poly', warmup='linear', warmup_iters=500, warmup_ratio=0.001, power=0.9, min_lr=0, by_epoch=False)),
    (("checkpoint=dict(type='CheckpointHook', interval=1)",
      "checkpoint=dict(type='CheckpointHook', interval=2, max_keep_ckpts=3, save_best='coco/bbox_mAP')"), 'evaluation',
     dict(interval=1, metric='bbox', save_best='bbox_mAP')),
    (("type='CheckpointHook', interval=1", "type='CheckpointHook', save_best=['coco/bbox_mAP_50']"), 'evaluation',
     dict(interval=1, metric='bbox', save_best='bbox_mAP_50')),
    (("val_interval=1)", "val_interval=5, val_begin=10)"), 'evaluation', dict(interval=5, start=10, metric='bbox')),
    (("metric='bbox'", "metric=['bbox', 'proposal'], classwise=True"), 'evaluation',
     dict(interval=1, metric=['bbox', 'proposal'], classwise=True)),
    (("dict(type='LocalVisBackend')", "dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')"), 'log_config',
     dict(interval=50, hooks=[dict(type='TextLoggerHook'), dict(type='TensorboardLoggerHook')])),
    (('load_from = None\nresume = False', "load_from = 'a.pth'\nresume = True"), 'resume_from', 'a.pth'),
    (('resume = False', 'resume = True'), 'auto_resume', True),
    (('resume = False', 'randomness = dict(seed=7, deterministic=True)'), 'seed', 7)])
def test_what_else_may_be_said_becomes_what_2_28_says(ssd300, replaced, section, expected):
    assert canonical(Config.fromfile(ssd300(replaced))).to_dict()[section] == expected


@pytest.mark.parametrize('replaced, key, expected', [
    (("filter_cfg=dict(filter_empty_gt=True, min_size=32),", ''), 'filter_empty_gt', False),
    (('min_size=32),', 'min_size=32, bbox_min_size=8),'), 'min_size', 8),
    (("data_prefix=dict(img='train2017/')", "metainfo=dict(classes=('a', 'b')), data_prefix=dict(img='train2017/')"),
     'classes', ('a', 'b'))])
def test_a_dataset_says_it_as_2_28_does(ssd300, replaced, key, expected):
    assert canonical(Config.fromfile(ssd300(replaced))).data.train.dataset[key] == expected


def test_a_data_root_of_the_command_line_moves_the_data(ssd300):
    cfg = Config.fromfile(ssd300())
    replace_data_root(cfg, '/mnt/coco')
    data = canonical(cfg).data
    assert data.train.dataset.ann_file == '/mnt/coco/annotations/instances_train2017.json'
    assert data.val.img_prefix == data.test.img_prefix == '/mnt/coco/val2017/'


def test_a_hook_of_another_name_is_one_more(ssd300):
    stop = "stop=dict(type='EarlyStoppingHook', monitor='x')"
    cfg = canonical(Config.fromfile(ssd300(("timer=dict(type='IterTimerHook')", stop))))
    assert [hook.type for hook in cfg.custom_hooks] == ['NumClassCheckHook', 'CheckInvalidLossHook', 'EarlyStoppingHook']
    assert cfg.where('custom_hooks.1.interval')


def test_padding_comes_after_normalising_and_resizes_have_their_old_names(ssd300):
    cfg = canonical(Config.fromfile(ssd300(
        ('pad_size_divisor=1)', 'pad_size_divisor=32)'),
        ("dict(type='Resize', scale=(input_size, input_size), keep_ratio=False),\n    dict(type='RandomFlip', prob=0.5)",
         "dict(type='RandomChoiceResize', scales=[(300, 300), (320, 320)], keep_ratio=False),\n"
         "    dict(type='RandomFlip', prob=0.5)"))))
    steps = cfg.data.train.dataset.pipeline
    assert steps[4] == dict(type='Resize', img_scale=[(300, 300), (320, 320)], keep_ratio=False, multiscale_mode='value')
    assert [step.type for step in steps[-4:]] == ['Normalize', 'Pad', 'DefaultFormatBundle', 'Collect']


def test_what_has_no_counterpart_is_named_in_one_line(ssd300):
    cfg = Config.fromfile(ssd300(("metric='bbox'", "metric='bbox', outfile_prefix='x'"), ('drop_last=False', 'drop_last=True'),
                                 more="tta_model = dict(type='DetTTAModel')"))
    with pytest.warns(UserWarning) as said:
        canonical(cfg)
    line, = (str(warning.message) for warning in said)
    for key in ('val_dataloader.drop_last (', 'val_evaluator.outfile_prefix (', 'tta_model ('):
        assert key in line
    assert line.startswith(cfg.filename) and 'no effect' in line


@pytest.mark.parametrize('replaced, words', [
    (("type='MultiStepLR'", "type='MultStepLR'"), "param_scheduler.1.type: expected one of MultiStepLR"),
    (('begin=0, end=500', 'begin=5, end=500'), 'param_scheduler.0: a LinearLR is a warm-up here'),
    (("type='MultiStepLR', begin=0", "type='MultiStepLR', begin=1"), 'param_scheduler.1.begin: a schedule begins with the run'),
    (('milestones=[16, 22]', 'milestone=[16, 22]'),
     "param_scheduler.1.milestone: nothing reads this key. Did you mean 'milestones'"),
    (("type='DefaultSampler', shuffle=True", "type='InfiniteSampler'"),
     "train_dataloader.sampler.type: expected 'DefaultSampler'"),
    (('batch_size=8, num_workers=3, per', 'batchsize=8, num_workers=3, per'), "Did you mean 'batch_size'"),
    (('backend_args = None', "backend_args = dict(backend='petrel')"), 'files are read from disk'),
    (("type='CocoMetric'", "type='LVISMetric'"), "val_evaluator.type: expected CocoMetric or VOCMetric"),
    (("ann_file=data_root + 'annotations/instances_val2017.json'", "ann_file='other.json'"),
     "val_evaluator.ann_file: 'other.json'"),
    (("type='DetDataPreprocessor'", "type='DataPreprocessor'"), 'model.data_preprocessor.type: expected'),
    (("type='EpochBasedTrainLoop'", "type='TrainLoop'"), 'train_cfg.type: expected EpochBasedTrainLoop'),
    (("type='EpochBasedTrainLoop'", "type='IterBasedTrainLoop'"), 'since training goes by epochs here'),
    (('end=24, by_epoch=True, milestones', 'end=12, by_epoch=True, milestones'),
     'param_scheduler.1.end: a schedule ends with the run here; expected 24, not 12'),
    (("type='MultiStepLR', begin=0, end=24, by_epoch=True, milestones=[16, 22], gamma=0.1",
      "type='CosineAnnealingLR', by_epoch=False, begin=0, end=1000"),
     'param_scheduler.1.end: a schedule ends with the run here, whose steps are not counted yet'),
    (('by_epoch=False, begin=0, end=500', 'begin=0, end=1'), 'param_scheduler.0: the rate of a warm-up rises with every step'),
    (("type='CheckpointHook', interval=1", "type='CheckpointHook', save_best=['coco/bbox_mAP', 'x']"),
     'default_hooks.checkpoint.save_best: one metric chooses the best checkpoint here, not 2'),
    (('load_from = None', "load_from = None\nlr_config = dict(policy='step', step=[1])"), 'say the same thing twice'),
    (('resume = False', "resume = 'auto'"), 'resume: expected True or False')])
def test_what_cannot_be_said_here_is_refused_with_its_line(ssd300, replaced, words):
    path = ssd300(replaced)
    with pytest.raises(ConfigError) as caught, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        canonical(Config.fromfile(path))
    assert words in str(caught.value) and f'{path}:' in str(caught.value), str(caught.value)


@pytest.fixture(scope='module')
def upgrade(load_file):
    """tools/model_converters/upgrade_config.py's main."""
    return load_file('tools/model_converters/upgrade_config.py').main


@pytest.mark.parametrize('version', [2, 3])
def test_an_upgraded_config_means_the_same_and_is_read_without_translation(version, ssd300, upgrade, tmp_path):
    path, out = str(ssd300() if version == 3 else ROOT / 'configs/ssd300_coco.py'), str(tmp_path / 'out.py')
    upgrade([path, out])
    expected, written = canonical(Config.fromfile(path)).to_dict(), Config.fromfile(out)
    assert {key: written[key] for key in READ} == {key: expected[key] for key in READ}
    assert canonical(Config.fromfile(out)).to_dict() == written.to_dict()
    assert not {'train_pipeline', 'train_dataloader', 'param_scheduler'} & set(written)
    with pytest.raises(ConfigError, match='exists already'):
        upgrade([path, out])


def test_an_upgrade_that_fails_leaves_nothing(ssd300, upgrade, tmp_path):
    with pytest.raises(ConfigError, match=r'ends in \.py'):
        upgrade([str(ssd300()), str(tmp_path / 'out.txt')])
    with pytest.raises(ConfigError, match='LVISMetric'):
        upgrade([str(ssd300(("type='CocoMetric'", "type='LVISMetric'"))), str(tmp_path / 'out.py')])
    assert sorted(path.name for path in tmp_path.iterdir()) == ['ssd300_3.py']
