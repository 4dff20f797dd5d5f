"""Options of an evaluation are held against what the dataset's `evaluate` and `check_metrics` take."""
from __future__ import annotations

from types import SimpleNamespace

import pytest

from mmcv_need.errors import ConfigError
from mmdet.apis.evaluation import check_eval_options
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.voc import VOCDataset


class Plain:
    """Its check knows metrics only."""

    def evaluate(self, results, metric='mAP', logger=None, *, share: float = 0.5, strict: bool = False):
        pass

    def check_metrics(self, metric, where=''):
        assert metric == []


class Careful(Plain):
    """Its check knows one of the options."""

    def check_metrics(self, metric, where='', share=0.5):
        if share > 1:
            raise ConfigError(f'{where}: share {share}')


def coco():
    return CocoDataset.__new__(CocoDataset)  # neither evaluates anything here


def voc():
    return VOCDataset.__new__(VOCDataset)


@pytest.mark.parametrize('dataset, options', [
    (coco(), dict(classwise=True, proposal_nums=[1, 10], iou_thrs=[0.5], metric_items='mAP')),
    (voc(), dict(iou_thr=0.5, proposal_nums=[100])), (voc(), dict(iou_thr=[0.5, 0.7])),
    (Plain(), dict(share=3, strict=True)), (Careful(), dict(share=1, strict=True)), (Plain(), {}),
    (SimpleNamespace(datasets=[voc(), SimpleNamespace(datasets=[voc()])]), dict(iou_thr=0.5))])
def test_what_a_dataset_takes_passes(dataset, options):
    check_eval_options(options, dataset, '--eval-options')


@pytest.mark.parametrize('dataset, options, words', [
    (voc(), dict(iou_thrs=[0.5]), ["iou_thrs: the evaluation of a VOCDataset has no such option. Did you mean 'iou_thr'?"]),
    (voc(), dict(classwise=True), ['a VOCDataset has no such option']), (coco(), dict(metric='bbox'), ['--eval bbox']),
    (coco(), dict(proposal_nums=[10, 1]), [': proposal_nums: expected ascending']), (coco(), dict(logger=1), ['no such']),
    (Plain(), dict(strict=1), ['strict: expected a value of type bool, not 1']), (Careful(), dict(share=2), [': share 2']),
    (SimpleNamespace(datasets=[Plain(), coco()]), dict(share=1), ['share: the evaluation of a CocoDataset'])])
def test_the_rest_is_refused_in_one_line_that_says_who_asked(dataset, options, words):
    with pytest.raises(ConfigError) as error:
        check_eval_options(options, dataset, '--eval-options')
    message = str(error.value)
    assert message.startswith('--eval-options') and '\n' not in message and all(word in message for word in words)
