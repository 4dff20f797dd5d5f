"""The loss scale: when it shrinks and grows, by a table and by torch's own; and what a checkpoint does to it."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmcv_need.errors import ConfigError
from mmcv_need.optim.loss_scale import LossScale
from mmcv_need.torch_versions import has

if not has('modules without memory'):
    pytest.skip('this torch has no meta device that shows where things are', allow_module_level=True)
CPU, META = torch.device('cpu'), torch.device('meta')
GradScaler = getattr(getattr(torch, 'amp', None), 'GradScaler', None)
needs_torchs = pytest.mark.skipif(GradScaler is None, reason='this torch scales losses on CUDA only')


def after(scale: LossScale, finite: bool):
    scale.update(torch.tensor(finite))
    return scale.scale.item(), scale.good_steps.item()


def test_a_scale_shrinks_at_once_and_grows_after_so_many_good_steps_in_a_row():
    scale = LossScale({'init_scale': 8.0, 'growth_factor': 4.0, 'backoff_factor': 0.25, 'growth_interval': 3}, CPU)
    assert (scale.scale.item(), scale.good_steps.item()) == (8.0, 0)
    for finite, expected in [(True, (8.0, 1)), (True, (8.0, 2)), (True, (32.0, 0)), (True, (32.0, 1)), (False, (8.0, 0)),
                             (False, (2.0, 0)), (True, (2.0, 1)), (True, (2.0, 2)), (False, (0.5, 0)), (True, (0.5, 1)),
                             (True, (0.5, 2)), (True, (2.0, 0))]:
        assert after(scale, finite) == expected


def test_a_dynamic_scale_begins_where_torchs_does():
    scale = LossScale('dynamic', CPU)
    assert scale.dynamic and scale.settings == {'init_scale': 65536.0, 'growth_factor': 2.0, 'backoff_factor': 0.5,
                                                'growth_interval': 2000}
    assert after(scale, False) == (32768.0, 0)
    scale.good_steps.fill_(1998)
    assert after(scale, True) == (32768.0, 1999) and after(scale, True) == (65536.0, 0)


@pytest.mark.parametrize('init, lowest', [('dynamic', 1.0), (1024.0, 1.0), (512.0, 0.5), (1.0, 2.0 ** -10)])
def test_a_scale_has_sunk_too_far_below_1_and_ten_halvings(init, lowest):
    assert LossScale(init if init == 'dynamic' else {'init_scale': init}, CPU).lowest == lowest


def test_a_scale_never_grows_beyond_all_numbers():
    scale = LossScale({'init_scale': 2.0 ** 127, 'growth_interval': 1}, CPU)
    assert after(scale, True) == (2.0 ** 127, 0)


@needs_torchs
@pytest.mark.parametrize('seed', range(6))
def test_every_decision_is_torchs(seed):
    rng = np.random.default_rng(seed)
    settings = {'init_scale': float(2 ** rng.integers(0, 20)), 'growth_factor': float(rng.choice([1.5, 2, 4])),
                'backoff_factor': float(rng.choice([0.25, 0.5, 0.75])), 'growth_interval': int(rng.integers(1, 5))}
    ours, torchs = LossScale(settings, CPU), GradScaler('cpu', **settings)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.0)
    for finite in rng.random(60) < 0.8:
        torchs.scale(weight.sum()).backward()
        weight.grad.fill_(1.0 if finite else float('nan'))
        torchs.step(optimizer)
        torchs.update()
        ours.update(torch.tensor(bool(finite)))
        assert ours.scale.item() == torchs.get_scale() and ours.good_steps.item() == torchs.state_dict()['_growth_tracker']


@pytest.mark.parametrize('value', [128, 512.0, 1e-3])
def test_a_scale_that_is_a_number_stays_for_ever(value):
    scale = LossScale(value, CPU)
    for finite in [False] * 5 + [True] * 2001:
        scale.update(torch.tensor(finite))
    assert not scale.dynamic and scale.scale.item() == pytest.approx(value, rel=1e-7)


def test_changing_the_scale_asks_nothing_of_the_device():
    scale = LossScale('dynamic', META)
    scale.update(torch.empty((), dtype=torch.bool, device=META))  # no value can be asked for there
    assert scale.scale.device == META


# Checkpoints


def test_a_dynamic_scale_goes_on_where_another_was():
    first, second = LossScale({'growth_interval': 4}, CPU), LossScale({'growth_interval': 4}, CPU)
    for finite in (False, True, True, True):
        first.update(torch.tensor(finite))
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict() != LossScale({'growth_interval': 4}, CPU).state_dict()
    assert after(second, True) == after(first, True) == (65536.0, 0)


def test_growth_is_the_configs_business_and_not_the_checkpoints():
    scale = LossScale({'growth_interval': 2}, CPU)
    scale.load_state_dict({'scale': 4.0, '_growth_tracker': 1500, 'growth_interval': 2000, 'growth_factor': 16.0})
    assert after(scale, True) == (8.0, 0)


@needs_torchs
def test_the_state_is_torchs_whose_names_stand_in_mmcvs_checkpoints():
    settings = {'init_scale': 16.0, 'growth_factor': 3.0, 'backoff_factor': 0.25, 'growth_interval': 7}
    torchs, ours = GradScaler('cpu', **settings), LossScale(settings, CPU)
    assert ours.state_dict() == torchs.state_dict()
    torchs.load_state_dict({**torchs.state_dict(), 'scale': 48.0, '_growth_tracker': 5})
    ours.load_state_dict(torchs.state_dict())
    assert (ours.scale.item(), ours.good_steps.item()) == (48.0, 5)
    torchs.load_state_dict(ours.state_dict())
    assert torchs.get_scale() == 48.0


@pytest.mark.parametrize('value, state', [(128.0, {'scale': 4.0, '_growth_tracker': 3}), ('dynamic', {})])
def test_a_scale_that_stays_is_not_a_checkpoints_to_change_and_an_empty_state_says_nothing(value, state):
    scale = LossScale(value, CPU)
    before = scale.state_dict()
    scale.load_state_dict(state)  # {}: of a GradScaler that was switched off
    assert scale.state_dict() == before


# What is refused


@pytest.mark.parametrize('value', [0, -1.0, 1e39, 1e-50, 'static', None, True, float('inf'), float('nan'), [512.0],
                                   {'scale': 2.0}, {'init_scale': 0.0}, {'init_scale': float('inf')}, {'growth_interval': 0},
                                   {'growth_interval': True}, {'backoff_factor': '0.5'}])
def test_a_scale_that_is_none_is_refused(value):
    with pytest.raises(ConfigError, match=r"^loss_scale .*: expected a positive number such as 128\., 'dynamic', or a dict of "
                                          r'init_scale, growth_factor, backoff_factor, growth_interval$'):
        LossScale(value, CPU)


@pytest.mark.parametrize('value', [{'growth_factor': 1}, {'growth_factor': 0.5}, {'backoff_factor': 1.0},
                                   {'growth_interval': 2.5}])
def test_a_scale_that_could_only_go_one_way_is_refused(value):
    with pytest.raises(ConfigError, match=r'expected growth_factor > 1, backoff_factor < 1 and a whole growth_interval$'):
        LossScale(value, CPU)
