"""Datasets in lists and wrappers, from the command lines."""
from __future__ import annotations

import ast
import pickle

import numpy as np
import pytest

from mmcv_need.errors import ConfigError, UserError
from mmdet.apis import init_detector

LISTS = '''
_base_ = {base!r}
data = dict(
    val=[dict({{{{_base_.data.val}}}}, samples_per_gpu=2), {{{{_base_.data.val}}}}],
    test=dict(_delete_=True, type='RepeatDataset', times=2, dataset={{{{_base_.data.val}}}}))
runner = dict(max_epochs=1)
'''
METRICS = ('bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_75', 'bbox_mAP_s', 'bbox_mAP_m', 'bbox_mAP_l')


@pytest.fixture(scope='module')
def config(tiny, tmp_path_factory):
    """A config that evaluates on two datasets while it trains, and tests on a dataset that is repeated."""
    path = tmp_path_factory.mktemp('lists') / 'lists.py'
    path.write_text(LISTS.format(base=str(tiny)))
    return path


@pytest.fixture(scope='module')
def run(training, config):
    return training(config=config)


def test_training_evaluates_each_dataset_of_a_list_by_itself(run):
    record = run.of('val')[-1]
    assert {f'{i}_{name}' for i in (0, 1) for name in METRICS} <= set(record) and 'bbox_mAP' not in record
    assert all(record[f'0_{name}'] == record[f'1_{name}'] for name in METRICS)  # they are the same pictures
    assert '1_: ' in run.logs[0].read_text()


def test_a_list_is_tested_dataset_by_dataset_and_painted_into_folders(tools, config, run, tmp_path, demo, capsys):
    both = config.parent / 'both.py'
    both.write_text(f"_base_ = {str(config)!r}\ndata = dict(test=[{{{{_base_.data.test.dataset}}}}] * 2)\n")
    tools.test(both, run.folder / 'latest.pth', '--eval', 'bbox', '--show-dir', tmp_path / 'shown')
    metrics = ast.literal_eval(capsys.readouterr().out.splitlines()[-1])
    assert metrics['0_bbox_mAP'] == metrics['1_bbox_mAP'] == run.of('val')[-1]['0_bbox_mAP']
    names = {path.name for path in (demo / 'val2017').iterdir()}
    for part in '01':
        assert {path.name for path in (tmp_path / 'shown' / part).iterdir()} == names


def test_a_repeated_dataset_has_no_metrics_but_detections_and_paintings(tools, config, run, tmp_path, demo):
    weights = run.folder / 'latest.pth'
    tools.test(config, weights, '--out', tmp_path / 'found.pkl', '--show-dir', tmp_path / 'shown')
    nested = pickle.loads((tmp_path / 'found.pkl').read_bytes())
    assert len(nested) == 16
    for first, second in zip(nested[:8], nested[8:]):
        for boxes, others in zip(first, second):
            np.testing.assert_allclose(boxes, others, rtol=1e-4, atol=1e-3)
    names = {path.name for path in (demo / 'val2017').iterdir()}
    assert {path.name for path in (tmp_path / 'shown').iterdir()} == names
    with pytest.raises(ConfigError, match=r'lists\.py:5: data\.test: a RepeatDataset has no metrics'):
        tools.test(config, weights, '--eval', 'bbox')
    with pytest.raises(ConfigError, match=r'data\.test: a RepeatDataset has no metrics'):
        tools.test(config, weights, '--out', tmp_path / 'found.pkl', '--eval-options', 'classwise=True')
    with pytest.raises(UserError, match='ids of a COCO annotation file, which a RepeatDataset lacks'):
        tools.test(config, weights, '--format-only', '--eval-options', f'jsonfile_prefix={tmp_path}/found')


def test_a_detector_with_an_empty_list_of_datasets_is_refused(tiny):
    with pytest.raises(ConfigError, match=r'data\.test\.datasets: the list is empty; expected at least one dataset'):
        init_detector(tiny, cfg_options={'data.test': dict(_delete_=True, type='ConcatDataset', datasets=[])})
