"""Runs with a hook and a detector as MMCV's and MMDetection's users write them."""
from __future__ import annotations

import pytest
import torch

from mmcv_need import registry
from mmcv_need.hooks import HOOKS, Hook
from mmdet.core.post_processing.detections import Detections
from mmdet.models import DETECTORS, build_backbone, build_head, build_neck
from mmdet.models.detectors import BaseDetector, SingleStageDetector

SEEN = []


class Looker(Hook):
    """Notes what it finds in the runner, as MMCV's hooks look for it."""

    def before_run(self, runner):
        runner.register_hook(Late(), priority='VERY_LOW')
        SEEN.append(('run', runner.rank, runner.world_size, runner.max_epochs, sorted(runner.meta)[:1], runner.mode))

    def after_train_iter(self, runner):
        first = runner.optimizer.param_groups[0]
        assert first['lr'] == runner.current_lr()[0] and runner.data_batch['img'].shape[0] == 4
        assert set(runner.outputs) >= {'loss', 'log_vars', 'num_samples'} and runner.outputs['loss'].item() > 0
        runner.log_buffer.update({'rate': first['lr']})
        SEEN.append(('iter', runner.epoch, runner.iter, runner.inner_iter, runner.max_iters, self.end_of_epoch(runner),
                     self.is_last_iter(runner), self.every_n_iters(runner, 3), self.every_n_inner_iters(runner, 7)))

    def after_train_epoch(self, runner):
        runner.log_buffer.output['mine'] = 0.25
        runner.log_buffer.ready = True
        assert any(isinstance(hook, Looker) for hook in runner.hooks) and len(runner.data_loader.dataset) == 24
        assert runner.model.module.bbox_head.num_classes == 6 and runner.work_dir and runner.logger
        SEEN.append(('epoch', runner.epoch, self.every_n_epochs(runner, 2), self.is_last_epoch(runner)))


class Late(Hook):
    def after_run(self, runner):
        SEEN.append(('end', runner.epoch, runner.iter))


class Plain(BaseDetector):
    """A detector that builds its parts, and hands lists to our head's batch form through SingleStageDetector's own methods."""

    def __init__(self, backbone, neck, bbox_head, train_cfg=None, test_cfg=None, init_cfg=None):
        super().__init__(init_cfg)
        self.inner = SingleStageDetector(
            build_backbone(backbone), build_neck(neck), build_head(bbox_head),
            registry.build(train_cfg, SingleStageDetector.config_parts['train_cfg']),
            registry.build(test_cfg, SingleStageDetector.config_parts['test_cfg']))

    @property
    def bbox_head(self):
        return self.inner.bbox_head

    def forward_train(self, img, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore=None):
        return self.inner.forward_train(img, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore)

    def simple_test(self, img, img_metas, rescale=False):
        found = self.inner.simple_test(img, img_metas, rescale)
        assert all(isinstance(one, Detections) for one in found)
        return [one.by_class(6) for one in found]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, '_TABLE', dict(registry._TABLE))
    HOOKS.register_module(module=Looker)
    DETECTORS.register_module(module=Plain)
    SEEN.clear()


@pytest.fixture
def config(tiny, tmp_path):
    """The tiny config with some lines more."""
    def write(text):
        path = tmp_path / 'mine.py'
        path.write_text(f'_base_ = [{str(tiny)!r}]\n{text}\n')
        return path
    return write


def test_a_hook_finds_in_the_runner_what_mmcv_has_there(training, config):
    path = config("custom_hooks = [dict(type='Looker', priority='LOW')]\nrunner = dict(max_epochs=2)\n"
                  'log_config = dict(interval=7)')
    run = training('--no-validate', config=path)
    assert SEEN[0] == ('run', 0, 1, 2, ['CLASSES'], 'train') and SEEN[-1] == ('end', 2, 14)
    expected = []
    for epoch in range(2):
        for inner in range(7):
            count = epoch * 7 + inner
            expected.append(('iter', epoch, count, inner, 14, inner == 6, count == 13, count % 3 == 2, inner == 6))
        expected.append(('epoch', epoch, epoch == 1, epoch == 1))
    assert SEEN[1:-1] == expected
    assert [record['mine'] for record in run.of('val')] == [0.25, 0.25]
    assert all('rate' in record for record in run.of('train'))


def test_a_detector_in_mmdetections_manner_is_trained_and_evaluated_as_ours(tools, training, trained, config, tmp_path, capsys):
    theirs = training('--no-validate', '--max-steps', 3, config=config("model = dict(type='Plain')"))
    ours = training('--no-validate', '--max-steps', 3)
    for one, other in zip(theirs.of('train'), ours.of('train')):  # first weights, data and steps are the same
        assert one['loss'] == pytest.approx(other['loss'], rel=1e-4)
    state = theirs.checkpoint()['state_dict']
    assert {key.partition('.')[2] for key in state} == set(ours.checkpoint()['state_dict'])
    renamed = {f'inner.{key}': value for key, value in trained.checkpoint()['state_dict'].items()}
    torch.save({'state_dict': renamed, 'meta': {}}, tmp_path / 'renamed.pth')
    capsys.readouterr()
    tools.test(config("model = dict(type='Plain')"), tmp_path / 'renamed.pth', '--eval', 'bbox')
    found = [line for line in capsys.readouterr().out.splitlines() if 'bbox_mAP' in line][-1]
    tools.test(config(''), trained.folder / 'latest.pth', '--eval', 'bbox')
    assert found == [line for line in capsys.readouterr().out.splitlines() if 'bbox_mAP' in line][-1]
