"""Each parameter finds its own state again, wherever it stood and in whatever group it was when it was saved."""
from __future__ import annotations

import copy
import inspect
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mmcv_need.builder import build_optimizer
from mmcv_need.optim.optimizer_state import load_by_name

MMCV = Path(__file__).parents[1] / 'data' / 'mmcv_1.7.2.pth'
PARAMWISE = dict(norm_decay_mult=0.0, bias_lr_mult=2.0)
KINDS = {'SGD': dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
         'AdamW': dict(type='AdamW', lr=0.01, weight_decay=0.1, amsgrad=True),
         'RMSprop': dict(type='RMSprop', lr=0.01, weight_decay=0.01, momentum=0.5, centered=True)}
NAMES = ['conv.weight', 'conv.bias', 'bn.weight', 'bn.bias', 'head.weight', 'head.bias']


class Net(nn.Module):
    """`order` is that of its layers, and so of its parameters."""

    def __init__(self, order=('conv', 'bn', 'head')):
        super().__init__()
        torch.manual_seed(0)
        layers = {'conv': nn.Conv2d(1, 3, 1), 'bn': nn.BatchNorm2d(3), 'head': nn.Conv2d(3, 3, 1)}
        for name in order:
            self.add_module(name, layers[name])

    def forward(self, x):
        return self.head(self.bn(self.conv(x)))


def make(settings, order=('conv', 'bn', 'head'), **more):
    model = Net(order)
    return model, build_optimizer(model, {'optimizer': dict(settings, **more)})


def train(model, optimizer, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(4, 1, 5, 5, generator=generator)).pow(2).mean().backward()
        optimizer.step()


def saved(model, optimizer):
    """(optimizer's state, names of the weights in the file's order, weights)."""
    return copy.deepcopy(optimizer.state_dict()), list(model.state_dict()), copy.deepcopy(model.state_dict())


def without_names(state):
    """As MMCV writes it."""
    groups = [{key: value for key, value in group.items() if key != 'param_names'} for group in state['param_groups']]
    return {**state, 'param_groups': groups}


def one_each(state):
    """As MMCV writes it with `paramwise_cfg`: in the order of the model, a group a parameter."""
    slots = {name: (slot, group) for group in state['param_groups']
             for name, slot in zip(group['param_names'], group['params'])}
    order = sorted(slots, key=NAMES.index)
    return {'state': {i: state['state'][slots[name][0]] for i, name in enumerate(order)},
            'param_groups': [{**{k: v for k, v in slots[name][1].items() if k != 'param_names'}, 'params': [i]}
                             for i, name in enumerate(order)]}


def remembered(model, optimizer):
    """What an optimizer knows of each parameter, by name."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {names[parameter]: entry for parameter, entry in optimizer.state.items()}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].keys() == other[name].keys()
        assert all(torch.equal(torch.as_tensor(one[name][key]), torch.as_tensor(other[name][key])) for key in one[name]), name


def options(optimizer, *names):
    return [tuple(group[name] for name in names) for group in optimizer.param_groups]


# The way to and fro


@pytest.mark.parametrize('paramwise', [None, PARAMWISE], ids=['one group', 'groups'])
@pytest.mark.parametrize('kind', KINDS)
def test_a_run_goes_on_to_the_last_bit(kind, paramwise):
    model, optimizer = make(KINDS[kind], paramwise_cfg=paramwise)
    train(model, optimizer, 3)
    for group in optimizer.param_groups:
        group['initial_momentum'] = 0.9  # a hook's
    state, stored, weights = saved(model, optimizer)
    train(model, optimizer, 3, seed=1)
    again, resumed = make(KINDS[kind], paramwise_cfg=paramwise)
    again.load_state_dict(weights)
    assert load_by_name(resumed, state, stored, again) is None
    assert repr(resumed.state_dict()) == repr(state)  # in the same order, too
    train(again, resumed, 3, seed=1)
    assert all(torch.equal(one, other) for one, other in zip(model.state_dict().values(), again.state_dict().values()))
    assert_same(remembered(again, resumed), remembered(model, optimizer))
    assert options(resumed, 'lr', 'initial_lr', 'param_names') == options(optimizer, 'lr', 'initial_lr', 'param_names')


@pytest.mark.parametrize('kind', KINDS)
def test_mmcvs_group_a_parameter_becomes_our_groups(kind):
    model, optimizer = make(KINDS[kind], paramwise_cfg=PARAMWISE)
    train(model, optimizer, 3)
    state, stored, _ = saved(model, optimizer)
    for group in state['param_groups']:
        group['lr'] /= 10  # a schedule is under way
    again, resumed = make(KINDS[kind], paramwise_cfg=PARAMWISE)
    assert load_by_name(resumed, one_each(state), stored, again) is None
    assert_same(remembered(again, resumed), remembered(model, optimizer))
    assert options(resumed, 'initial_lr', 'weight_decay') == options(optimizer, 'initial_lr', 'weight_decay')
    assert options(resumed, 'lr') == [(group['lr'],) for group in state['param_groups']]


def test_a_checkpoint_that_mmcv_wrote_is_gone_on_with():
    """One group of all four parameters; its rate was a tenth of initial_lr."""
    content = torch.load(MMCV, weights_only=True)
    model = nn.Sequential()
    model.add_module('conv', nn.Conv2d(3, 4, 3))
    model.add_module('bn', nn.BatchNorm2d(4))
    settings = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4)
    optimizer = build_optimizer(model, {'optimizer': settings})
    assert load_by_name(optimizer, content['optimizer'], content['state_dict'], model) is None
    assert options(optimizer, 'lr', 'initial_lr', 'foreach') == [(0.001, 0.01, None)]
    found = remembered(model, optimizer)
    assert list(found) == ['conv.weight', 'conv.bias', 'bn.weight', 'bn.bias']
    for i, name in enumerate(found):
        assert torch.equal(found[name]['momentum_buffer'], content['optimizer']['state'][i]['momentum_buffer'])


def test_weights_in_another_order_and_of_other_names_find_their_state():
    """As checkpoints of the older layout: the file has its order, and the model knows its names."""
    model, optimizer = make(KINDS['SGD'], order=('head', 'conv', 'bn'))
    train(model, optimizer, 2)
    state, stored, _ = saved(model, optimizer)
    for one_state in (without_names(state), state):
        again, resumed = make(KINDS['SGD'])
        load_by_name(resumed, one_state, stored, again)
        assert_same(remembered(again, resumed), remembered(model, optimizer))
    again, resumed = make(KINDS['SGD'])
    again.current_key = lambda key: key.replace('old_head', 'head')
    for group in state['param_groups']:
        group['param_names'] = [name.replace('head', 'old_head') for name in group['param_names']]
    load_by_name(resumed, state, stored, again)
    assert_same(remembered(again, resumed), remembered(model, optimizer))


@given(st.permutations(['conv', 'bn', 'head']), st.permutations(['conv', 'bn', 'head']), st.sets(st.sampled_from(NAMES)),
       st.booleans(), st.booleans())
def test_any_order_and_any_frozen_parameters_in_the_file_or_not(before, today, frozen, in_file, named):
    """MMCV's optimizers hold frozen parameters too; ours hold those that learn. The momentum of each is its own name."""
    frozen = sorted(frozen)[:5]
    model = Net(today)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name not in frozen
    optimizer = build_optimizer(model, {'optimizer': KINDS['SGD']})
    stored = list(Net(before).state_dict())
    held = [name for name in stored if name in NAMES and (in_file or name not in frozen)]
    group = {**optimizer.state_dict()['param_groups'][0], 'params': list(range(len(held))), 'param_names': held}
    state = {'state': {i: {'momentum_buffer': NAMES.index(name)} for i, name in enumerate(held) if name not in frozen},
             'param_groups': [group]}
    load_by_name(optimizer, state if named else without_names(state), stored, model)
    found = remembered(model, optimizer)
    assert {name: entry['momentum_buffer'] for name, entry in found.items()} == {
        name: NAMES.index(name) for name in NAMES if name not in frozen}


@pytest.mark.parametrize('frozen', ['conv', 'bn'])
def test_mmcvs_groups_of_frozen_parameters_are_passed_over(frozen):
    model, optimizer = make(KINDS['SGD'], paramwise_cfg=PARAMWISE)
    train(model, optimizer, 2)
    state, stored, _ = saved(model, optimizer)
    again = Net()
    getattr(again, frozen).requires_grad_(False)
    resumed = build_optimizer(again, {'optimizer': dict(KINDS['SGD'], paramwise_cfg=PARAMWISE)})
    assert load_by_name(resumed, one_each(state), stored, again) is None
    before = remembered(model, optimizer)
    assert_same(remembered(again, resumed), {name: before[name] for name in NAMES if not name.startswith(frozen)})


def test_what_has_no_state_yet_starts_without():
    model, optimizer = make(KINDS['SGD'])
    state, stored, _ = saved(model, optimizer)
    again, resumed = make(KINDS['SGD'])
    train(again, resumed, 1)
    load_by_name(resumed, state, stored, again)
    assert not resumed.state


# Groups


@pytest.mark.parametrize('before, today', [(PARAMWISE, None), (None, PARAMWISE), (PARAMWISE, dict(bias_decay_mult=0.0))])
@pytest.mark.parametrize('layout', [lambda state: state, one_each], ids=['ours', 'mmcv'])
def test_other_groups_keep_what_is_remembered_and_take_the_configs_settings(before, today, layout):
    model, optimizer = make(KINDS['SGD'], paramwise_cfg=before)
    train(model, optimizer, 3)
    state, stored, _ = saved(model, optimizer)
    for group in state['param_groups']:
        group['lr'], group['initial_lr'] = 7.0 * group['lr'], 7.0 * group['initial_lr']
    again, resumed = make(KINDS['SGD'], paramwise_cfg=today)
    fresh = options(resumed, 'lr', 'initial_lr', 'weight_decay', 'param_names')
    note = load_by_name(resumed, layout(state), stored, again)
    assert_same(remembered(again, resumed), remembered(model, optimizer))
    assert note.startswith("parameter groups differ from the checkpoint's")
    assert options(resumed, 'lr', 'initial_lr', 'weight_decay', 'param_names') == fresh


def test_a_count_of_steps_that_a_group_keeps_goes_on():
    """As that of apex's FusedAdam."""
    state, stored, _ = saved(*make(KINDS['SGD']))
    state['param_groups'][0]['step'] = 7
    again, resumed = make(KINDS['SGD'], paramwise_cfg=PARAMWISE)
    assert load_by_name(resumed, state, stored, again).startswith("parameter groups differ")
    assert options(resumed, 'step', 'initial_lr') == [(7, 0.1), (7, 0.2), (7, 0.1)]


def test_groups_that_happen_to_be_alike_stay_apart():
    model, optimizer = make(KINDS['SGD'], paramwise_cfg=PARAMWISE)
    train(model, optimizer, 2)
    state, stored, _ = saved(model, optimizer)
    for group in state['param_groups']:
        group.update(lr=0.5, initial_lr=0.5, weight_decay=0.0)
    again, resumed = make(KINDS['SGD'], paramwise_cfg=PARAMWISE)
    assert 'initial_lr 0.5 (config: 0.2)' in load_by_name(resumed, state, stored, again)
    assert options(resumed, 'initial_lr') == [(0.5,)] * 3


def test_the_file_goes_before_the_config_and_the_difference_is_said():
    """As in MMCV, whose resumed runs start from the file's rate."""
    model, optimizer = make(KINDS['SGD'])
    train(model, optimizer, 1)
    state, stored, _ = saved(model, optimizer)
    state['param_groups'][0]['lr'] = 1e-5  # moved by the schedule, so it is no difference
    again, resumed = make(dict(KINDS['SGD'], lr=0.3, weight_decay=0.0))
    note = load_by_name(resumed, state, stored, again)
    assert options(resumed, 'lr', 'initial_lr', 'weight_decay') == [(1e-5, 0.1, 0.01)]
    assert note == "the optimizer goes on with the checkpoint's settings: initial_lr 0.1 (config: 0.3), weight_decay 0.01 " \
                   "(config: 0.0)"


@pytest.mark.parametrize('name, others', [('lr', ('momentum', 'betas')), ('momentum', ('lr',))])
def test_what_no_schedule_of_this_run_moves_stays_where_the_file_has_it_and_that_is_said(name, others):
    model, optimizer = make(KINDS['SGD'])
    state, stored, _ = saved(model, optimizer)
    state['param_groups'][0].update({name: 0.0625, f'initial_{name}': state['param_groups'][0][name]})
    again, resumed = make(KINDS['SGD'])
    note = load_by_name(resumed, state, stored, again, others)
    assert note.startswith(f"the optimizer goes on with the checkpoint's settings: {name} 0.0625 (config: ")
    assert load_by_name(resumed, state, stored, again, (name,)) is None


def test_momentum_that_a_schedule_moves_is_no_difference_and_lists_are_tuples():
    for kind, moved in (('SGD', dict(momentum=0.5)), ('AdamW', dict(betas=[0.5, 0.999]))):
        model, optimizer = make(KINDS[kind])
        state, stored, _ = saved(model, optimizer)
        state['param_groups'][0].update(moved)
        fresh = [make(KINDS[kind]) for _ in range(3)]
        assert 'config: ' in load_by_name(fresh[0][1], state, stored, fresh[0][0])
        state['param_groups'][0]['initial_momentum'] = 0.9
        assert load_by_name(fresh[1][1], state, stored, fresh[1][0]) is None
    state['param_groups'][0]['betas'] = [0.9, 0.999]
    del state['param_groups'][0]['initial_momentum']
    assert load_by_name(fresh[2][1], state, stored, fresh[2][0]) is None


def test_a_file_without_initial_lr_starts_its_schedule_from_its_rate():
    """MMCV writes none if no hook sets the rate, and takes the file's rate for it."""
    model, optimizer = make(KINDS['SGD'])
    state, stored, _ = saved(model, optimizer)
    del state['param_groups'][0]['initial_lr']
    again, resumed = make(dict(KINDS['SGD'], lr=0.3))
    load_by_name(resumed, state, stored, again)
    assert options(resumed, 'lr', 'initial_lr') == [(0.1, 0.1)]


@pytest.mark.skipif('foreach' not in inspect.signature(torch.optim.SGD).parameters, reason='its SGD has no such options')
def test_how_to_compute_stays_the_configs_and_options_of_newer_versions_come_and_go():
    model, optimizer = make(KINDS['SGD'], foreach=True)
    state, stored, _ = saved(model, optimizer)
    del state['param_groups'][0]['maximize']  # a file of torch 1.8
    state['param_groups'][0]['fused'] = True  # a file of an accelerator
    again, resumed = make(KINDS['SGD'], foreach=False)
    assert load_by_name(resumed, state, stored, again) is None
    assert options(resumed, 'foreach', 'fused', 'maximize') == [(False, None, False)]
    state['param_groups'][0].update(lr_mult=1.0, decay_mult=1.0)  # MMEngine leaves its factors there
    load_by_name(resumed, state, stored, again)


def test_groups_without_names_go_by_position_if_their_sizes_are_todays():
    """As torch does: of an optimizer that was not made by builder.py."""
    def own(model):
        return torch.optim.SGD([{'params': list(model.head.parameters())},
                                {'params': [*model.conv.parameters(), *model.bn.parameters()]}], lr=0.1, momentum=0.9)
    model, again = Net(), Net()
    optimizer, resumed = own(model), own(again)
    train(model, optimizer, 2)
    state, stored, _ = saved(model, optimizer)
    assert all('param_names' not in group for group in state['param_groups'])
    load_by_name(resumed, state, stored, again)
    assert_same(remembered(again, resumed), remembered(model, optimizer))
    again, resumed = make(dict(KINDS['SGD'], nesterov=False))
    with pytest.raises(ValueError, match=r'of 6 parameters in 2 groups without names, .* no telling which is which'):
        load_by_name(resumed, state, stored, again)


def test_counts_of_steps_are_numbers_for_classes_that_are_not_torchs():
    """They add one to a tensor that all parameters would share."""
    class Fused(torch.optim.Adam):
        pass
    model = Net()
    optimizer = Fused(model.parameters(), lr=0.1)
    other, adam = make(dict(type='Adam', lr=0.1))
    train(other, adam, 3)
    loaded = []
    optimizer.load_state_dict = loaded.append
    load_by_name(optimizer, saved(other, adam)[0], list(other.state_dict()), model)
    assert [type(entry['step']) for entry in loaded[0]['state'].values()] == [int] * 6
    assert loaded[0]['state'][0]['step'] == 3


# What does not fit


@pytest.mark.parametrize('before, today, words', [
    (KINDS['AdamW'], KINDS['SGD'], 'than SGD: they differ in amsgrad, betas, dampening, eps, momentum, nesterov'),
    (KINDS['SGD'], KINDS['RMSprop'], 'than RMSprop: they differ in alpha, centered'),
    (dict(type='Adam', lr=0.1), dict(type='AdamW', lr=0.1), 'than AdamW: they differ in decoupled_weight_decay')])
def test_the_state_of_another_optimizer_is_refused(before, today, words):
    model, optimizer = make(before)
    if 'decoupled' in words and 'decoupled_weight_decay' not in optimizer.param_groups[0]:
        pytest.skip('this torch writes the same groups for both')
    train(model, optimizer, 1)
    again, resumed = make(today)
    with pytest.raises(ValueError, match=words):
        load_by_name(resumed, *saved(model, optimizer)[:2], again)
    assert not resumed.state


def test_a_parameter_that_the_file_does_not_know_is_named():
    model = Net()
    model.head.requires_grad_(False)
    optimizer = build_optimizer(model, {'optimizer': KINDS['SGD']})
    again, resumed = make(KINDS['SGD'])
    with pytest.raises(ValueError, match=r"no place for 2 parameters that learn now, such as 'head\.bias'"):
        load_by_name(resumed, *saved(model, optimizer)[:2], again)
    with pytest.raises(ValueError, match='it is of 4 parameters in 1 groups without names, this optimizer of 6'):
        load_by_name(resumed, without_names(optimizer.state_dict()), list(model.state_dict()), again)
