"""What is said of updates that were left out, and when a run is given up."""
from __future__ import annotations

import logging

import pytest
import torch

from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import DivergedError
from mmcv_need.optim import flags
from mmcv_need.optim.loss_scale import LossScale
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.update_watch import LIMIT, UpdateWatch

NAN = float('nan')


class Answers:
    """An optimizer step that answers so, one after the other."""
    loss_scale = None

    def __init__(self, *answers):
        self.answers = list(answers)

    def was_applied(self):
        return self.answers.pop(0)


@pytest.fixture
def logger():
    """A logger whose lines are in `said`."""
    logger = logging.Logger('watch')
    logger.said = []
    handler = logging.Handler()
    handler.emit = lambda record: logger.said.append((record.levelname, record.getMessage()))
    logger.addHandler(handler)
    return logger


def pictures(*names):
    return {'img_metas': [{'ori_filename': name} for name in names]}


def test_an_update_that_was_left_out_is_told_with_its_iteration_and_pictures(logger):
    watch = UpdateWatch(Answers(True, False), logger)
    watch.see(pictures('a.jpg', 'b.jpg'), first=True)
    watch.note(6)
    watch.look()
    assert logger.said == []
    watch.see(pictures('c.jpg', 'd.jpg'), first=True)
    watch.note(7)
    watch.look()
    assert logger.said == [('WARNING', 'iteration 7: its gradients are not finite, so its update was left out. '
                                       'Pictures: c.jpg, d.jpg')]


def test_the_pictures_are_those_of_all_batches_of_the_step(logger):
    watch = UpdateWatch(Answers(False), logger)
    for number, first in (('a', True), ('b', True), ('c', False), ('d', False)):  # a's step was another one
        watch.see(pictures(f'{number}.jpg'), first)
    watch.note(4)
    watch.see(pictures('of the next step.jpg'), True)
    watch.look()
    assert logger.said[0][1].endswith('Pictures: d.jpg, c.jpg, b.jpg')


def test_it_is_told_once(logger):
    watch = UpdateWatch(Answers(False, None, None), logger)
    watch.see({}, first=True)
    watch.note(1)
    for _ in range(3):
        watch.look()
    assert len(logger.said) == 1 and watch.left_out == 1


@pytest.mark.parametrize('batch, told', [
    ({}, 'unknown'), ({'img_metas': []}, 'unknown'), ({'img_metas': [{}, {'filename': '/data/x.jpg'}]}, '?, /data/x.jpg'),
    (pictures(*'abcdefgh'), 'a, b, c, d, e, f, g, h'), (pictures(*'abcdefghij'), 'a, b, c, d, e, f, g, h and 2 more')])
def test_pictures_are_named_as_far_as_the_batch_says(logger, batch, told):
    watch = UpdateWatch(Answers(False), logger)
    watch.see(batch, first=True)
    watch.note(1)
    watch.look()
    assert logger.said[0][1].endswith(f'left out. Pictures: {told}')


def test_the_loss_scale_that_came_of_it_is_told(logger):
    weight = torch.nn.Parameter(torch.ones(2))
    step = OptimizerStep(torch.optim.SGD([weight], lr=0.1), loss_scale=LossScale({'init_scale': 64.0}, torch.device('cpu')))
    watch = UpdateWatch(step, logger)
    for number, size in enumerate((1.0, NAN, NAN)):
        step.zero_grad()
        step.backward(weight.sum() * size)
        watch.look()
        step.clip()
        step.step()
        watch.see(pictures(f'{number}.jpg'), first=True)
        watch.note(number + 1)
    watch.look()
    assert [text for _, text in logger.said] == [
        f'iteration {i}: its gradients are not finite, so its update was left out; the loss scale is {scale} now. '
        f'Pictures: {i - 1}.jpg' for i, scale in ((2, 32), (3, 16))]


def test_a_loss_scale_that_stays_is_no_news(logger):
    weight = torch.nn.Parameter(torch.ones(2))
    step = OptimizerStep(torch.optim.SGD([weight], lr=0.1), loss_scale=LossScale(64.0, torch.device('cpu')))
    watch = UpdateWatch(step, logger)
    step.zero_grad()
    step.backward(weight.sum() * NAN)
    step.clip()
    step.step()
    watch.look()
    assert 'was left out. Pictures' in logger.said[0][1]


def test_a_run_of_nothing_but_updates_left_out_is_given_up(logger):
    watch = UpdateWatch(Answers(*[False] * LIMIT), logger)
    for number in range(1, LIMIT):
        watch.see({}, first=True)
        watch.note(number)
        watch.look()
    watch.see({}, first=True)
    watch.note(LIMIT)
    with pytest.raises(DivergedError, match=r'^iteration 50: 50 updates in a row had gradients that are not finite; none was '
                                            r'applied.*Lower the learning rate, clip gradients .*grad_clip\)$') as error:
        watch.look()
    assert '\n' not in str(error.value) and len(logger.said) == LIMIT


def test_one_good_update_in_between_begins_the_count_anew(logger):
    bad = [False] * (LIMIT - 1)
    watch = UpdateWatch(Answers(*bad, True, *bad, True, False), logger)
    for number in range(2 * LIMIT + 1):
        watch.see({}, first=True)
        watch.note(number)
        watch.look()
    assert watch.left_out == 1 and len(logger.said) == 2 * LIMIT - 1


# In a run


class Net(torch.nn.Module):
    """A network that says when it is called."""

    def __init__(self, events=None):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.events = torch.nn.Linear(2, 1), [] if events is None else events

    def forward(self, return_loss, img, img_metas=()):
        self.events.append('forward')
        return {'loss': self.layer(img).square()}

    @staticmethod
    def summarize_losses(losses, num_samples):
        loss = losses['loss'].mean()
        return {'loss': loss, 'log_vars': {'loss': loss.detach()}, 'num_samples': num_samples}


def batches(count, bad=()):
    generator = torch.Generator().manual_seed(1)
    made = [{'img': torch.randn(3, 2, generator=generator), **pictures(f'{i}.jpg')} for i in range(count)]
    for i in bad:
        made[i]['img'][0, 0] = NAN
    return made


def make_runner(logger, folder, events=None, **settings):
    model = MMDataParallel(Net(events), torch.device('cpu'))
    step = OptimizerStep(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), {'max_norm': 1.0}, **settings)
    return EpochBasedRunner(1, model=model, optimizer=step, device=torch.device('cpu'), work_dir=str(folder), logger=logger)


def weights(runner):
    return [parameter.detach().clone() for parameter in runner.model.parameters()]


@pytest.mark.parametrize('may_wait', [True, False])
def test_a_run_learns_from_all_but_the_bad_batches_and_names_them(logger, tmp_path, may_wait):
    runner, clean = (make_runner(logger, tmp_path, may_wait=may_wait) for _ in range(2))
    given = batches(8, bad=(2, 5, 7))
    runner.run([given])
    clean.run([[batch for i, batch in enumerate(given) if i not in (2, 5, 7)]])
    assert all(torch.equal(a, b) for a, b in zip(weights(runner), weights(clean)))
    warnings = [text for level, text in logger.said if level == 'WARNING']
    assert [(text.split(':')[0], text[-5:]) for text in warnings] == [
        ('iteration 3', '2.jpg'), ('iteration 6', '5.jpg'), ('iteration 8', '7.jpg')]  # the last, when the run ends


def test_the_host_hears_of_an_update_when_the_next_one_is_on_its_way(logger, tmp_path, monkeypatch):
    events = []

    def read_later(flag):
        events.append('sent')
        return lambda: events.append('read') or bool(flag)
    monkeypatch.setattr(flags, 'read_later', read_later)
    make_runner(logger, tmp_path, events, may_wait=False).run([batches(3)])
    assert events == ['forward', 'sent', 'forward', 'read', 'sent', 'forward', 'read', 'sent', 'read']


@pytest.mark.parametrize('settings, count', [({}, LIMIT), ({'may_wait': False}, LIMIT), ({'cumulative_iters': 2}, 2 * LIMIT)])
def test_a_run_that_goes_nowhere_ends_with_an_error_and_the_weights_that_it_had(logger, tmp_path, settings, count):
    runner = make_runner(logger, tmp_path, **settings)
    before = weights(runner)
    with pytest.raises(DivergedError, match=f'^iteration {count}: '):
        runner.run([batches(count + 5, bad=range(count + 5))])
    assert all(torch.equal(a, b) for a, b in zip(weights(runner), before))
