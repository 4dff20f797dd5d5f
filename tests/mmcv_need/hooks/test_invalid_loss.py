"""CheckInvalidLossHook: a loss that is no number ends the run, and its pictures are named."""
from __future__ import annotations

import logging
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from mmcv_need.errors import ConfigError, DivergedError
from mmcv_need.hooks.invalid_loss import CheckInvalidLossHook
from mmcv_need.update_watch import UpdateWatch

NAN, INF = float('nan'), float('inf')
CPU = torch.device('cpu')
METAS = [{'filename': f'/data/{name}', 'ori_filename': name} for name in ('a.jpg', 'b.jpg', 'c.jpg')]


@pytest.fixture
def make_run(tmp_path):
    return partial(run_of, tmp_path)


def run_of(folder, iteration, losses_cls, metas=METAS, **outputs):
    """After iteration `iteration` of the run, counted from 1, the second of its epoch."""
    cls, bbox = torch.tensor(losses_cls), torch.tensor([0.5] * len(losses_cls))
    log_vars = {'loss_cls': cls.sum(), 'loss_bbox': bbox.sum(), 'loss': cls.sum() + bbox.sum()}
    outputs = {'loss': log_vars['loss'], 'log_vars': log_vars, **outputs}
    step = SimpleNamespace(loss_scale=None)
    watch = UpdateWatch(step, logging.getLogger('loss'), str(folder), CPU)
    watch.see({} if metas is None else {'img_metas': metas}, outputs, first=True)
    return SimpleNamespace(iter=iteration - 1, inner_iter=1, epoch=2, rank=0, world_size=1, device=CPU, watch=watch,
                           current_lr=lambda: [0.1], outputs=outputs)


def by_picture(*values):
    return {'loss_cls': torch.tensor(values), 'loss_bbox': torch.tensor([0.5] * len(values))}


@pytest.mark.parametrize('bad', [NAN, INF, -INF])
def test_a_loss_that_is_no_number_ends_the_run_with_one_line(make_run, bad):
    with pytest.raises(DivergedError) as caught:
        CheckInvalidLossHook(interval=50).after_train_iter(make_run(100, [1.0, bad, 2.0]))
    message = str(caught.value)
    assert message.startswith(f'epoch 3, iteration 2 (100 of the run): the loss is not finite: loss_cls {bad}, loss_bbox 1.5, ')
    assert 'Pictures: a.jpg, b.jpg, c.jpg. ' in message and '\n' not in message


def test_only_iterations_of_the_interval_are_looked_at(make_run):
    hook = CheckInvalidLossHook(interval=50)
    for iteration in (1, 49, 51, 99):
        hook.after_train_iter(make_run(iteration, [NAN]))
    with pytest.raises(DivergedError):
        hook.after_train_iter(make_run(50, [NAN]))


def test_a_finite_loss_passes(make_run):
    CheckInvalidLossHook(interval=1).after_train_iter(make_run(1, [1.0, 3e38, -2.0]))


def test_the_pictures_with_bad_losses_are_told_from_the_others(make_run):
    for losses, names in (((1.0, NAN, 2.0), 'b.jpg'), ((INF, 1.0, NAN), 'a.jpg, c.jpg')):
        with pytest.raises(DivergedError, match=f'Pictures: {names}[.] Look'):
            CheckInvalidLossHook(interval=1).after_train_iter(make_run(1, list(losses), losses=by_picture(*losses)))


def test_without_losses_by_picture_the_whole_batch_is_under_suspicion(make_run):
    finite = by_picture(3e38, 3e38, 3e38)  # only their sum is not finite
    for losses in (finite, {'loss': torch.tensor(NAN)}):
        with pytest.raises(DivergedError, match=r'Pictures: a\.jpg, b\.jpg, c\.jpg\. Look'):
            CheckInvalidLossHook(interval=1).after_train_iter(make_run(1, [3e38, 3e38, 3e38], losses=losses))


def test_a_batch_without_names_is_no_trouble(make_run):
    run = make_run(1, [NAN], metas=None)
    with pytest.raises(DivergedError, match='Pictures: unknown'):
        CheckInvalidLossHook(interval=1).after_train_iter(run)


def test_an_interval_of_nothing_is_refused():
    with pytest.raises(ConfigError, match=r'interval: expected 1 iteration or more .* not 0'):
        CheckInvalidLossHook(interval=0)
