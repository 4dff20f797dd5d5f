"""An overflow in a half-precision run is caught on both kinds of card: the step is left out and the loss scale halves."""
from __future__ import annotations

import json
import math

import pytest

SCALE = 256.0  # low enough that nothing else overflows
# 31 convolutions go backward in each step: the fortieth belongs to the second.
OVERFLOW = {'NPU_STANDIN_OVERFLOW': 'aten::convolution_backward:40'}


@pytest.fixture(scope='module')
def half(train):
    def start(level, fixed=False, **environment):
        scale = ['--loss-scale', SCALE] if fixed else ['--cfg-options', f'precision.loss_scale.init_scale={SCALE}']
        run = train('--opt-level', level, '--no-validate', '--max_steps', 3, *scale, **environment)
        assert run.status == 0, run.errors[-6000:]
        return run
    return start


def scale_of(run):
    return run.checkpoint()['loss_scaler']['scale']


def is_finite(run):
    return all(value.isfinite().all() for value in run.checkpoint()['state_dict'].values())


@pytest.mark.parametrize('level, inf_nan', [('O1', '1'), *(pytest.param(*given, marks=pytest.mark.slow)
                                                       for given in (('O1', '0'), ('O2', '0'), ('O2', '1')))])
def test_an_overflow_leaves_out_its_step_and_halves_the_scale(half, level, inf_nan):
    run = half(level, INF_NAN_MODE_ENABLE=inf_nan, **OVERFLOW)
    assert scale_of(run) == SCALE / 2 and is_finite(run)
    assert 'iteration 2: its gradients are not finite, so its update was left out; the loss scale is 128 now' in run.said
    assert all(map(math.isfinite, run.losses)) and len(run.losses) == 3
    assert (run.on_cards()[0]['infinite_results'] > 0) == (inf_nan == '1')  # a card that saturates never shows infinity


@pytest.mark.slow
def test_a_scale_that_is_a_number_stays_and_the_step_is_left_out(half):
    run = half('O1', INF_NAN_MODE_ENABLE='0', fixed=True, **OVERFLOW)
    assert is_finite(run) and 'iteration 2: its gradients are not finite, so its update was left out' in run.said


@pytest.mark.slow
@pytest.mark.parametrize('inf_nan', ['0', '1'])
def test_in_float32_such_an_update_is_written_down_too(train, inf_nan):
    run = train('--no-validate', '--max_steps', 3, INF_NAN_MODE_ENABLE=inf_nan, **OVERFLOW)
    assert run.status == 0, run.errors[-6000:]
    record = json.loads((run.folder / 'bad_updates/iter_2_rank_0.json').read_text())
    assert f"left out; see bad_updates/iter_2_rank_0.json. Pictures: {record['pictures'][0]['file']}" in run.said
    assert is_finite(run) and len(record['pictures']) == 2
    for picture in record['pictures']:
        assert picture['id'] is not None and len(picture['gt_bboxes']) == len(picture['gt_labels']) > 0


@pytest.mark.slow
def test_without_an_overflow_every_step_counts(half):
    run = half('O1', INF_NAN_MODE_ENABLE='0')
    assert scale_of(run) == SCALE and 'left out' not in run.said


def test_on_a_card_that_saturates_nothing_but_its_status_tells(half):
    run = half('O1', INF_NAN_MODE_ENABLE='0', NPU_STANDIN_STATUS='0', **OVERFLOW)
    assert scale_of(run) == SCALE and 'left out' not in run.said
