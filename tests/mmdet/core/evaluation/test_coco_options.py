"""What may be asked of COCO's metrics, and what is said of the rest before anything slow."""
from __future__ import annotations

import numpy as np
import pytest

from mmcv_need.errors import ConfigError
from mmdet.core.evaluation.coco_metric import CocoMetric
from mmdet.core.evaluation.coco_options import check_metrics


@pytest.mark.parametrize('metric, hint', [('bbx', "'bbox'"), ('segm', 'bbox, proposal'), (['bbox', 'proposals'], "'proposal'"),
                                          ('proposal_fast', "use 'proposal'")])
def test_a_metric_that_is_not_there_is_an_error_in_one_line(metric, hint):
    with pytest.raises(ConfigError, match='not supported') as error:
        check_metrics(metric)
    assert hint in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize('option, words', [
    (dict(metric_items=['mAP50']), ["metric_items: no metric has a number 'mAP50'", "Did you mean 'mAP_50'?"]),
    (dict(metric_items='AR@100', proposal_nums=[1, 10]), ["'AR@100'", "'AR@10'"]),
    (dict(proposal_nums=[300, 100]), ['proposal_nums: expected ascending', '[300, 100]']),
    (dict(proposal_nums=[0, 100]), ['proposal_nums']), (dict(proposal_nums=[]), ['proposal_nums']),
    (dict(proposal_nums='100'), ["'100'"]), (dict(proposal_nums=[1.5]), ['[1.5]']), (dict(proposal_nums=[True, 2]), ['True']),
    (dict(iou_thrs=[50, 75]), ['iou_thrs: expected numbers above 0 and up to 1', '[50, 75]']),
    (dict(iou_thrs=0), ['iou_thrs']), (dict(iou_thrs=[]), ['iou_thrs']), (dict(iou_thrs='half'), ["'half'"])])
def test_an_option_that_makes_no_sense_is_an_error_in_one_line(option, words):
    with pytest.raises(ConfigError) as error:
        check_metrics('bbox', **option)
    message = str(error.value)
    assert all(word in message for word in words) and len(message.splitlines()) == 1
    with pytest.raises(ConfigError) as error:
        check_metrics([], where='a.py:3', **option)
    assert str(error.value) == f'a.py:3: {message}'
    metric = CocoMetric({'images': [], 'annotations': [], 'categories': []}, np.zeros(0), [], [])
    with pytest.raises(ConfigError):
        metric([], **option)
