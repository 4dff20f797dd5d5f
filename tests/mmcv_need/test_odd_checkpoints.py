"""A checkpoint in which any value is another: a run goes on from it, or says in one line why it cannot."""
from __future__ import annotations

import copy
import logging
import os
import random
import warnings

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmcv_need.builder import build_optimizer
from mmcv_need.checkpoint import find_latest, meta_of, save_checkpoint
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import CheckpointError, UserError
from mmcv_need.hooks import CheckpointHook
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.place_in_run import LIMIT, PlaceInRun, among, place_of
from mmcv_need.precision import Precision
from mmcv_need.run_state import checkpoint_of

CPU = torch.device('cpu')
LONG = os.environ.get('HYPOTHESIS_PROFILE') == 'long'
ODD = [None, True, -1, 0, 1, 2**53, -2**70, 1e308, float('nan'), float('inf'), '', 'a\x1b\n',
       b'\xff', [], {}, [[]], {'a': {}}, {0: 1}, torch.tensor(1.0), torch.zeros(0), torch.zeros(2, 3),
       torch.tensor([float('nan')]), torch.zeros(1).expand(2**20),
       torch.zeros(3, dtype=torch.complex64), torch.zeros(3, dtype=torch.bool), torch.zeros(3, dtype=torch.float64),
       torch.float16]


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)

    def forward(self, return_loss, img):
        return {'loss': self.norm(self.first(img)).sum()}

    @staticmethod
    def summarize_losses(losses, num_samples):
        return {'loss': losses['loss'], 'log_vars': {'loss': losses['loss'].detach()}, 'num_samples': num_samples}


def make_runner(folder, optimizer):
    torch.manual_seed(0)
    precision = Precision(CPU, 'O0')
    model = MMDataParallel(Net(), CPU, precision=precision)
    made = build_optimizer(model.module, {'optimizer': {'type': optimizer, 'lr': 0.05}})
    runner = EpochBasedRunner(2, model=model, optimizer=OptimizerStep(made, {'max_norm': 1.0}, None, cumulative_iters=3),
                              device=CPU, work_dir=str(folder), logger=logging.Logger('run'), meta={'seed': 0})
    runner.register_hook(CheckpointHook())
    runner.logger.addHandler(logging.NullHandler())
    return runner


class Loader:
    skip = 0

    def set_epoch(self, epoch, skip=0):
        self.skip = skip

    def __len__(self):
        return 4

    def __iter__(self):
        return iter([{'img': torch.ones(5, 2) * i} for i in range(self.skip, 4)])


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """By optimizer, the checkpoint of a run within an accumulation."""
    found = {}
    for optimizer in ('SGD', 'Adam'):
        runner = make_runner(tmp_path_factory.mktemp('odd'), optimizer)
        runner.max_steps = 2
        runner.run([Loader()])
        runner.data_loader = Loader()
        found[optimizer] = checkpoint_of(runner, {'epoch': 0, 'iter': 2, 'inner_iter': 2}, True)
    return found


def paths_of(value, at=()):
    """The place of every value within nested dicts and lists."""
    if at:
        yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, item in items:
        yield from paths_of(item, (*at, key))


def with_another(content, path, value):
    content = copy.deepcopy(content)
    inner = content
    for key in path[:-1]:
        inner[key] = list(inner[key]) if isinstance(inner[key], tuple) else inner[key]
        inner = inner[key]
    if value is KeyError:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return content


def outcome(runner, content):
    """'goes on', or the message with which it does not."""
    generators = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            runner.resume('x.pth', content)
            for parameter in runner.model.module.parameters():
                assert parameter.shape in ((3, 2), (3,)) and parameter.dtype == torch.float32
            return 'goes on'
    except UserError as error:
        assert len(str(error).splitlines()) == 1
        return str(error)
    finally:
        random.setstate(generators[0])
        np.random.set_state(generators[1])
        torch.set_rng_state(generators[2])


@pytest.mark.parametrize('optimizer', ['SGD', 'Adam'])
def test_the_checkpoint_itself_is_gone_on_from(written, tmp_path, optimizer):
    assert 'open_step' in written[optimizer]
    assert outcome(make_runner(tmp_path, optimizer), written[optimizer]) == 'goes on'


@pytest.mark.parametrize('cases', [600, pytest.param(10**6, marks=pytest.mark.slow)], ids=['some', 'all'])
def test_any_other_value_anywhere_is_gone_on_from_or_refused_in_one_line(written, tmp_path, cases):
    every = [(optimizer, path, value) for optimizer, content in written.items() for path in paths_of(content)
             if len(path) < 6 or path[5] in (0, 1)  # of the numbers of a generator, two
             for value in [*ODD, KeyError]]
    assert len(every) > 4000
    chosen = random.Random(0).sample(every, min(cases, len(every)))
    ends = {outcome(make_runner(tmp_path, optimizer), with_another(written[optimizer], path, value))
            for optimizer, path, value in chosen}
    assert 'goes on' in ends and len(ends) > 50


COUNTS = st.integers(0, 12) | st.sampled_from([-1, LIMIT - 1, LIMIT, 2**64, True, None, 1.5, '1', [1]])


@settings(max_examples=2000 if LONG else 300)
@given(st.dictionaries(st.sampled_from(['epoch', 'iter', 'inner_iter', 'epoch_len']), COUNTS), st.integers(1, 12),
       st.booleans())
def test_any_place_in_a_run_is_one_among_todays_batches_or_refused(meta, epoch_len, about):
    try:
        place = place_of(meta, 'x.pth')
        now = among(place, epoch_len, logging.Logger('place'), about)
    except CheckpointError as error:
        assert len(str(error).splitlines()) == 1
        return
    assert now.epoch >= 0 and 0 <= now.inner_iter <= epoch_len == now.epoch_len
    assert place.epoch <= now.epoch <= place.epoch + 1
    assert among(now, epoch_len, logging.Logger('place'), about) == now  # it is a place of today already


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=5, unique=True), st.randoms())
def test_the_latest_place_is_found_in_whatever_order_files_were_written(tmp_path_factory, places, rng):
    folder = tmp_path_factory.mktemp('places')
    rng.shuffle(places)
    for number, (epoch, inner) in enumerate(places):
        meta = {'epoch': epoch, 'iter': epoch * 6 + inner, 'inner_iter': inner, 'epoch_len': 6}
        save_checkpoint({'meta': meta, 'optimizer': {}}, str(folder / f'iter_{number}.pth'), latest=False)
    found = place_of(meta_of(find_latest(str(folder)).content), 'x.pth')
    assert (found.epoch, found.inner_iter) == max(places) and isinstance(found, PlaceInRun)
