"""Options of an evaluation are held against what the dataset's `evaluate` and `check_options` take."""
from __future__ import annotations

import numpy as np
import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis.checks import check_has_metrics
from mmdet.apis.evaluation import check_eval_options, check_save_best
from mmdet.apis.settings import EvaluationSettings
from mmdet.datasets.coco import CocoDataset
from mmdet.datasets.voc import VOCDataset
from mmdet.datasets.wrappers import ConcatDataset


class Plain:
    """Its check knows metrics only."""
    CLASSES = ('a',)
    flag = np.zeros(3, np.uint8)

    def __len__(self):
        return 3

    def evaluate(self, results, metric='mAP', logger=None, *, share: float = 0.5, strict: bool = False):
        pass

    @staticmethod
    def check_options(metric, where=''):
        assert metric == []


class Careful(Plain):
    """Its check knows one of the options."""

    @staticmethod
    def check_options(metric, where='', share=0.5):
        if share > 1:
            raise ConfigError(f'{where}: share {share}')


def bare(kind):
    """A dataset without its data: nothing is evaluated here."""
    dataset = kind.__new__(kind)
    dataset.CLASSES, dataset.flag, dataset.annotations = ('a',), np.zeros(3, np.uint8), range(3)
    return dataset


def coco():
    return bare(CocoDataset)


def voc():
    return bare(VOCDataset)


@pytest.mark.parametrize('dataset, options', [
    (coco(), dict(classwise=True, proposal_nums=[1, 10], iou_thrs=[0.5], metric_items='mAP')),
    (voc(), dict(iou_thr=0.5, proposal_nums=[100])), (voc(), dict(iou_thr=[0.5, 0.7])),
    (Plain(), dict(share=3, strict=True)), (Careful(), dict(share=1, strict=True)), (Plain(), {}),
    (ConcatDataset([voc(), ConcatDataset([voc()])]), dict(iou_thr=0.5))])
def test_what_a_dataset_takes_passes(dataset, options):
    check_eval_options(options, dataset, '--eval-options')


@pytest.mark.parametrize('dataset, options, words', [
    (voc(), dict(iou_thrs=[0.5]), ["iou_thrs: the evaluation of a VOCDataset has no such option. Did you mean 'iou_thr'?"]),
    (voc(), dict(classwise=True), ['a VOCDataset has no such option']), (coco(), dict(metric='bbox'), ['--eval bbox']),
    (coco(), dict(proposal_nums=[10, 1]), [': proposal_nums: expected ascending']), (coco(), dict(logger=1), ['no such']),
    (Plain(), dict(strict=1), ['strict: expected a value of type bool, not 1']), (Careful(), dict(share=2), [': share 2']),
    (ConcatDataset([Plain(), coco()]), dict(share=1), ['share: the evaluation of a CocoDataset'])])
def test_the_rest_is_refused_in_one_line_that_says_who_asked(dataset, options, words):
    with pytest.raises(ConfigError) as error:
        check_eval_options(options, dataset, '--eval-options')
    message = str(error.value)
    assert message.startswith('--eval-options') and '\n' not in message and all(word in message for word in words)


def check(dataset, evaluation):
    """As a run of this config does."""
    settings = EvaluationSettings(**evaluation)
    names = dataset.metric_names(**settings.options) if hasattr(dataset, 'metric_names') else None
    check_save_best(Config(dict(evaluation=evaluation)), settings.when['save_best'], names)


@pytest.mark.parametrize('dataset, evaluation', [
    (coco(), dict(save_best='bbox_mAP_75')), (coco(), dict(save_best='AR@1000', metric=['bbox', 'proposal'], classwise=True)),
    (coco(), dict(save_best='auto')), (coco(), dict()), (voc(), dict(save_best='AP75', iou_thr=[0.5, 0.75])),
    (ConcatDataset([voc(), voc()]), dict(save_best='1_mAP')), (Plain(), dict(save_best='my_mAP'))])
def test_the_best_checkpoint_may_be_told_by_any_number_of_an_evaluation(dataset, evaluation):
    check(dataset, evaluation)


@pytest.mark.parametrize('dataset, evaluation, words', [
    (coco(), dict(save_best='bbox_map'), "no number 'bbox_map'. Did you mean 'bbox_mAP'?"),
    (coco(), dict(save_best='bbox_mAP_copypaste'), "no number 'bbox_mAP_copypaste'. Did you mean 'bbox_mAP"),
    (coco(), dict(save_best='AR@100'), "no number 'AR@100'. Known: bbox_mAP, bbox_mAP_50, "),
    (voc(), dict(save_best='bbox_mAP'), "no number 'bbox_mAP'. Known: AP50, mAP."),
    (ConcatDataset([voc(), voc()]), dict(save_best='mAP'), "no number 'mAP'. Did you mean '1_mAP'?")])
def test_another_name_is_refused_before_an_epoch_is_lost(dataset, evaluation, words):
    with pytest.raises(ConfigError) as error:
        check(dataset, evaluation)
    assert str(error.value).startswith(f'evaluation.save_best: the evaluation gives {words}')


COCO, REPEATED = dict(type='CocoDataset'), dict(type='RepeatDataset', dataset=dict(type='CocoDataset'))


@pytest.mark.parametrize('dataset', [COCO, dict(type=VOCDataset), dict(type='ConcatDataset', datasets=[COCO, COCO]), coco()])
def test_datasets_and_their_concatenations_have_metrics(dataset):
    check_has_metrics(Config({}), 'data.val', dataset)


@pytest.mark.parametrize('dataset, place, name', [
    (REPEATED, 'data.val', 'RepeatDataset'),
    (dict(type='ClassBalancedDataset', dataset=COCO), 'data.val', 'ClassBalancedDataset'),
    (dict(type='ConcatDataset', datasets=[COCO, REPEATED]), 'data.val.datasets.1', 'RepeatDataset')])
def test_what_draws_pictures_more_often_has_none(dataset, place, name):
    with pytest.raises(ConfigError) as error:
        check_has_metrics(Config({}), 'data.val', dataset)
    assert str(error.value) == f'{place}: a {name} has no metrics; name the dataset itself'
