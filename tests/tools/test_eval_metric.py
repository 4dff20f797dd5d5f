"""tools/analysis_tools/eval_metric.py measures saved detections as tools/test.py measured them when they were fresh."""
from __future__ import annotations

import ast
import json
import os
import pickle
import warnings

import numpy as np
import pytest

from mmcv_need.errors import UserError
from mmcv_need.logger import get_logger


@pytest.fixture(scope='module')
def eval_metric(load_file):
    """The command line, run in this process."""
    module = load_file('tools/analysis_tools/eval_metric.py')

    def main(*words):
        with warnings.catch_warnings():
            try:
                module.main([str(word) for word in words])
            finally:
                get_logger('mmdet')
    return main


@pytest.fixture(scope='module')
def saved(tools, tiny, trained, tmp_path_factory):
    """Folder with found.pkl, found.json and work/eval_<time>.json, of three runs of tools/test.py."""
    folder = tmp_path_factory.mktemp('saved')
    checkpoint = trained.folder / 'latest.pth'
    tools.test(tiny, checkpoint, '--eval', 'bbox', 'proposal', '--out', folder / 'found.pkl', '--work-dir', folder / 'work')
    tools.test(tiny, checkpoint, '--out', folder / 'found.json')
    return folder


def printed(capsys):
    """The dict that a tool printed."""
    return ast.literal_eval([line for line in capsys.readouterr().out.splitlines() if line.startswith('{')][-1])


@pytest.mark.parametrize('name', ['found.pkl', 'found.json'])
def test_saved_detections_have_the_metrics_that_fresh_ones_had(eval_metric, tiny, saved, capsys, name):
    capsys.readouterr()
    eval_metric(tiny, saved / name, '--eval', 'bbox', 'proposal')
    fresh = json.loads(next((saved / 'work').glob('eval_*.json')).read_text())
    assert fresh['config'] == str(tiny) and 0 < fresh['metric']['AR@100'] <= 1 and 'bbox_mAP_l' in fresh['metric']
    assert printed(capsys) == fresh['metric']


def test_options_of_the_evaluation_and_of_the_config_are_heeded(eval_metric, tiny, saved, capsys):
    eval_metric(tiny, saved / 'found.pkl', '--eval', 'bbox', '--eval-options', 'metric_items=mAP_50', 'iou_thrs=0.5',
                '--cfg-options', 'evaluation.classwise=True')
    out = capsys.readouterr().out
    assert 'category' in out and 'diamond' in out and 'IoU=0.50:0.50' in out
    eval_metric(tiny, saved / 'found.pkl', '--eval', 'bbox', '--eval-options', 'classwise=False',
                '--cfg-options', 'evaluation.classwise=True', 'evaluation.metric=proposal')
    assert 'category' not in capsys.readouterr().out  # the command line counts, of metrics too
    eval_metric(tiny, saved / 'found.pkl', '--eval', 'bbox', '--eval-options', 'metric_items=mAP_50')
    assert list(printed(capsys)) == ['bbox_mAP_50', 'bbox_mAP_copypaste']


def test_format_only_writes_the_json_and_measures_nothing(eval_metric, tiny, saved, tmp_path, capsys):
    eval_metric(tiny, saved / 'found.pkl', '--format-only', '--eval-options', f'jsonfile_prefix={tmp_path}/new/x')
    assert (tmp_path / 'new/x.bbox.json').read_bytes() == (saved / 'found.json').read_bytes()
    assert '{' not in capsys.readouterr().out


@pytest.fixture
def refused(eval_metric, tiny, saved, capsys):
    """Runs the tool, which must fail; returns its one line."""
    def start(*words, results='found.pkl'):
        with pytest.raises((UserError, SystemExit)) as error:
            eval_metric(tiny, saved / results, *words)
        if isinstance(error.value, SystemExit):
            return capsys.readouterr().err.splitlines()[-1]
        assert '\n' not in str(error.value)
        return str(error.value)
    return start


@pytest.mark.parametrize('words, message', [
    ([], '--eval bbox, or --format-only'), (['--eval', 'bbx'], "--eval: metric 'bbx' is not supported. Did you mean 'bbox'?"),
    (['--eval', 'bbox', '--format-only'], 'cannot be used together'), (['--format-only'], '--format-only needs'),
    (['--eval', 'bbox', '--eval-options', 'metric_item=mAP'], "Did you mean 'metric_items'?"),
    (['--eval', 'bbox', '--eval-options', 'metric_items=mAP50'], '--eval-options: metric_items: no metric has a'),
    (['--eval', 'bbox', '--eval-options', 'iou_thr=0.5'], "Did you mean 'iou_thrs'?"),
    (['--eval', 'bbox', '--eval-options', 'proposal_nums=300,100'], '--eval-options: proposal_nums: expected ascending'),
    (['--eval', 'bbox', '--cfg-options', 'evaluation.iou_thr=0.5'], 'evaluation iou_thr: the evaluation of a')])
def test_what_cannot_be_measured_is_refused_in_one_line(refused, words, message):
    assert message in refused(*words)


def test_a_wrapper_without_metrics_is_refused(eval_metric, tiny, saved, tmp_path):
    (tmp_path / 'repeated.py').write_text(f"""_base_ = [{str(tiny)!r}]
data = dict(test=dict(_delete_=True, type='RepeatDataset', times=1, dataset={{{{_base_.data.val}}}}))""")
    with pytest.raises(UserError, match=r'repeated\.py:2: data\.test: a RepeatDataset has no metrics'):
        eval_metric(tmp_path / 'repeated.py', saved / 'found.pkl', '--eval', 'bbox')


def test_detections_of_another_dataset_or_none_are_refused(refused, saved):
    nested = pickle.loads((saved / 'found.pkl').read_bytes())
    for name, content in (('short.pkl', nested[:-1]), ('classes.pkl', [picture[:-1] for picture in nested])):
        (saved / name).write_bytes(pickle.dumps(content))
    assert 'holds 7 pictures, but the dataset' in refused('--eval', 'bbox', results='short.pkl')
    assert 'holds 5 classes' in refused('--eval', 'bbox', results='classes.pkl')
    assert 'No such file' in refused('--eval', 'bbox', results='missing.pkl')


def test_a_pickle_that_would_run_something_is_refused_and_not_run(refused, saved, tmp_path):
    class Harm:
        def __reduce__(self):
            return os.system, (f'mkdir {tmp_path}/marker',)

    (saved / 'harm.pkl').write_bytes(pickle.dumps([[np.zeros((0, 5))] * 6, Harm()]))
    assert 'system; expected nothing but plain data' in refused('--eval', 'bbox', results='harm.pkl')
    assert not (tmp_path / 'marker').exists()
