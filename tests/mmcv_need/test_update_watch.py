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


CPU = torch.device('cpu')


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


@pytest.fixture
def watching(logger, tmp_path):
    """Makes the watch of an optimizer step, for a run in `tmp_path`."""
    return lambda step: UpdateWatch(step, logger, str(tmp_path), CPU)


def see(watch, batch, first=True, loss=1.0):
    watch.see(batch, {'loss': torch.tensor(loss)}, first)


def note(watch, iteration):
    watch.note(iteration, 1, [0.1])


def pictures(*names):
    return {'img_metas': [{'ori_filename': name} for name in names]}


def test_an_update_that_was_left_out_is_told_with_its_iteration_and_pictures(watching, logger):
    watch = watching(Answers(True, False))
    see(watch, pictures('a.jpg', 'b.jpg'))
    note(watch, 6)
    watch.look()
    assert logger.said == []
    see(watch, pictures('c.jpg', 'd.jpg'))
    note(watch, 7)
    watch.look()
    assert logger.said == [('WARNING', 'iteration 7: its gradients are not finite, so its update was left out; '
                                       'see bad_updates/iter_7_rank_0.json. Pictures: c.jpg, d.jpg')]


def test_the_pictures_are_those_of_all_batches_of_the_step(watching, logger):
    watch = watching(Answers(False))
    for number, first in (('a', True), ('b', True), ('c', False), ('d', False)):  # a's step was another one
        see(watch, pictures(f'{number}.jpg'), first)
    note(watch, 4)
    see(watch, pictures('of the next step.jpg'))
    watch.look()
    assert logger.said[0][1].endswith('Pictures: d.jpg, c.jpg, b.jpg')


def test_it_is_told_once(watching, logger):
    watch = watching(Answers(False, None, None))
    see(watch, {})
    note(watch, 1)
    for _ in range(3):
        watch.look()
    assert len(logger.said) == 1 and watch.left_out == 1


@pytest.mark.parametrize('batch, told', [
    ({}, 'unknown'), ({'img_metas': []}, 'unknown'), ({'img_metas': [{}, {'filename': '/data/x.jpg'}]}, '?, /data/x.jpg'),
    (pictures(*'abcdefgh'), 'a, b, c, d, e, f, g, h'), (pictures(*'abcdefghij'), 'a, b, c, d, e, f, g, h and 2 more')])
def test_pictures_are_named_as_far_as_the_batch_says(watching, logger, batch, told):
    watch = watching(Answers(False))
    see(watch, batch)
    note(watch, 1)
    watch.look()
    assert logger.said[0][1].endswith(f'iter_1_rank_0.json. Pictures: {told}')


def test_the_loss_scale_that_came_of_it_is_told(watching, logger):
    weight = torch.nn.Parameter(torch.ones(2))
    step = OptimizerStep(torch.optim.SGD([weight], lr=0.1), loss_scale=LossScale({'init_scale': 64.0}, torch.device('cpu')))
    watch = watching(step)
    for number, size in enumerate((1.0, NAN, NAN)):
        step.zero_grad()
        step.backward(weight.sum() * size)
        watch.look()
        step.clip()
        step.step()
        see(watch, pictures(f'{number}.jpg'))
        note(watch, number + 1)
    watch.look()
    assert [text for _, text in logger.said] == [
        f'iteration {i}: its gradients are not finite, so its update was left out; the loss scale is {scale} now. '
        f'Pictures: {i - 1}.jpg' for i, scale in ((2, 32), (3, 16))]


def test_a_loss_scale_that_stays_is_no_news(watching, logger):
    weight = torch.nn.Parameter(torch.ones(2))
    step = OptimizerStep(torch.optim.SGD([weight], lr=0.1), loss_scale=LossScale(64.0, torch.device('cpu')))
    watch = watching(step)
    step.zero_grad()
    step.backward(weight.sum() * NAN)
    step.clip()
    step.step()
    watch.look()
    assert 'was left out; see ' in logger.said[0][1] and 'loss scale' not in logger.said[0][1]


def test_a_run_of_nothing_but_updates_left_out_is_given_up(watching, logger):
    watch = watching(Answers(*[False] * LIMIT))
    for number in range(1, LIMIT):
        see(watch, {})
        note(watch, number)
        watch.look()
    see(watch, {})
    note(watch, LIMIT)
    with pytest.raises(DivergedError, match=r'^iteration 50: 50 updates in a row were left out, the last because its gradients '
                                            r'are not finite[.] Lower the learning rate, or clip gradients .*grad_clip\)[.] '
                                            r'No checkpoint .* there yet; see bad_updates/iter_50_rank_0.json$') as error:
        watch.look()
    assert '\n' not in str(error.value) and len(logger.said) == LIMIT


def test_one_good_update_in_between_begins_the_count_anew(watching, logger):
    bad = [False] * (LIMIT - 1)
    watch = watching(Answers(*bad, True, *bad, True, False))
    for number in range(2 * LIMIT + 1):
        see(watch, {})
        note(watch, number)
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
