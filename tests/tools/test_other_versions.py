"""A config in the spelling of another MMDetection version trains to the same bits."""
from __future__ import annotations

import pytest

from mmcv_need.config import Config

STEPS = ('--max_steps', 2, '--no-validate')


def as_version_2_6(cfg):
    """total_epochs, train_cfg and test_cfg outside the model, pretrained, imgs_per_gpu."""
    cfg['total_epochs'] = cfg.pop('runner')['max_epochs']
    cfg['model']['pretrained'] = cfg['model']['backbone'].pop('init_cfg', None)
    for name in ('train_cfg', 'test_cfg'):
        cfg[name] = cfg['model'].pop(name)
    cfg['data']['imgs_per_gpu'] = cfg['data'].pop('samples_per_gpu')
    return cfg


def step_of_3(step):
    names = {'Resize': ('img_scale', 'scale'), 'RandomFlip': ('flip_ratio', 'prob')}
    old, new = names.get(step['type'], ('', ''))
    return {**{new if name == old else name: value for name, value in step.items()}, 'type': f"mmdet.{step['type']}"}


def dataset_of_3(node):
    if 'dataset' in node:
        return {**node, 'dataset': dataset_of_3(node['dataset'])}
    steps = [step for step in node['pipeline'] if step['type'] not in ('Normalize', 'DefaultFormatBundle', 'Collect')]
    return {'type': node['type'], 'ann_file': node['ann_file'], 'data_prefix': {'img': node['img_prefix']},
            'filter_cfg': {'filter_empty_gt': True, 'min_size': 32},
            'pipeline': [*map(step_of_3, steps), {'type': 'mmdet.PackDetInputs'}],
            **({'metainfo': {'classes': node['classes']}} if 'classes' in node else {})}


def as_version_3(cfg):
    """train_dataloader, optim_wrapper, param_scheduler, data_preprocessor, loops, default_hooks."""
    data, schedule, clip = cfg.pop('data'), cfg.pop('lr_config'), (cfg.pop('optimizer_config', None) or {}).get('grad_clip')
    inner = data['train']
    while 'dataset' in inner:
        inner = inner['dataset']
    norm = next(step for step in inner['pipeline'] if step['type'] == 'Normalize')
    cfg['model']['data_preprocessor'] = dict(type='DetDataPreprocessor', mean=norm['mean'], std=norm['std'],
                                             bgr_to_rgb=norm.get('to_rgb', True), pad_size_divisor=1)
    cfg['train_dataloader'] = dict(batch_size=data['samples_per_gpu'], num_workers=data['workers_per_gpu'],
                                   sampler=dict(type='DefaultSampler', shuffle=True), dataset=dataset_of_3(data['train']))
    cfg['train_cfg'] = dict(type='EpochBasedTrainLoop', max_epochs=cfg.pop('runner')['max_epochs'], val_interval=1)
    cfg['optim_wrapper'] = dict(type='OptimWrapper', optimizer=cfg.pop('optimizer'), clip_grad=clip)
    cfg['param_scheduler'] = [
        dict(type='LinearLR', start_factor=schedule['warmup_ratio'], by_epoch=False, begin=0, end=schedule['warmup_iters']),
        dict(type='MultiStepLR', milestones=schedule['step'], by_epoch=True, gamma=schedule.get('gamma', 0.1))]
    cfg['default_hooks'] = dict(logger=dict(type='LoggerHook', interval=cfg.pop('log_config')['interval']),
                                checkpoint=dict(type='CheckpointHook', **cfg.pop('checkpoint_config')))
    for name in ('evaluation', 'train_pipeline', 'test_pipeline', 'img_norm_cfg', 'workflow', 'resume_from'):
        cfg.pop(name, None)
    return {**cfg, 'default_scope': 'mmdet', 'resume': False}


@pytest.fixture(scope='module')
def plainly(training):
    """Two steps of the tiny config as it is."""
    return training(*STEPS)


@pytest.mark.parametrize('spelling', [as_version_2_6, as_version_3])
def test_two_steps_end_with_the_same_bits(spelling, plainly, training, tiny, same, tmp_path):
    path = tmp_path / 'tiny.py'
    Config(spelling(Config.fromfile(tiny).to_dict())).dump(path)
    run = training(*STEPS, config=path)
    assert same(run.training_state(), plainly.training_state())
