"""Weights: what fits is loaded, and what does not is told."""
from __future__ import annotations

import pytest
import torch

from mmcv_need.errors import CheckpointError
from mmcv_need.weights import Mismatch, load_weights, state_dict_of


def test_the_prefix_of_wrappers_is_taken_off():
    weight = torch.ones(2)
    assert list(state_dict_of({'state_dict': {'module.a.weight': weight, 'module.b.module.weight': weight}})) == \
        ['a.weight', 'b.module.weight']


STATE = {'backbone.a.weight': torch.ones(2), 'neck.module.weight': torch.zeros(1)}


@pytest.mark.parametrize('prefix', ['', 'module.', 'module.module.', '_orig_mod.', 'module._orig_mod.', '_orig_mod.module.',
                                    'model.', 'module.model.', 'detector.'])
@pytest.mark.parametrize('keys', [(), ('state_dict',), ('model',), ('model_state_dict',), ('state_dict', 'state_dict'),
                                  ('model', 'state_dict')])
def test_weights_are_found_wherever_they_stand_and_whatever_wraps_them(prefix, keys):
    checkpoint = {f'{prefix}{key}': value for key, value in STATE.items()}
    for key in reversed(keys):
        checkpoint = {key: checkpoint, 'epoch': 3}
    found = state_dict_of(checkpoint)
    assert list(found) == list(STATE) and all(found[key] is STATE[key] for key in STATE)


def test_compiled_parts_have_their_names():
    assert list(state_dict_of({'backbone._orig_mod.a': torch.ones(1)})) == ['backbone.a']


def test_a_part_of_a_model_that_is_called_model_stays():
    assert list(state_dict_of({'model.a': torch.ones(1), 'head.b': torch.ones(1)})) == ['model.a', 'head.b']


def test_a_file_that_holds_itself_ends():
    checkpoint = {'a': torch.ones(1)}
    checkpoint['state_dict'] = checkpoint
    assert list(state_dict_of({'state_dict': {'model': {'x.y': torch.ones(1)}}})) == ['x.y']
    with pytest.raises(CheckpointError, match="'state_dict' of the checkpoint is a dict"):
        state_dict_of(checkpoint)


def test_a_bare_state_dict_is_a_checkpoint_too():
    assert list(state_dict_of({'a.weight': torch.ones(2), 'version': 3})) == ['a.weight']


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 1)
        self.norm = torch.nn.BatchNorm2d(2)


def net_state(**changes):
    state = {key: torch.full_like(value, 5) for key, value in Net().state_dict().items()}
    for key, value in changes.items():
        key = key.replace('__', '.')
        if value is None:
            del state[key]
        else:
            state[key] = value
    return state


TABLE = [
    (dict(), {}, {}, {}),
    (dict(conv__bias=None), {'conv.bias': (2,)}, {}, {}),
    (dict(norm__num_batches_tracked=None), {}, {}, {}),
    (dict(extra=torch.ones(1)), {}, {'extra': (1,)}, {}),
    (dict(conv__bias=torch.ones(3)), {}, {}, {'conv.bias': ((3,), (2,))}),
    (dict(conv__bias=None, extra=torch.ones(()), norm__weight=torch.ones(9)), {'conv.bias': (2,)}, {'extra': ()},
     {'norm.weight': ((9,), (2,))}),
]


@pytest.mark.parametrize('changes, missing, unexpected, misshaped', TABLE)
def test_weights_that_fit_are_loaded_and_the_others_reported(changes, missing, unexpected, misshaped):
    net = Net()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    mismatch = load_weights(net, net_state(**changes), 'x.pth')
    assert mismatch == (missing, unexpected, misshaped)
    for key, value in net.state_dict().items():
        if key.endswith('num_batches_tracked'):
            continue
        untouched = key in missing or key in misshaped
        assert torch.equal(value, before[key] if untouched else torch.full_like(value, 5))


@pytest.mark.parametrize('changes, missing, unexpected, misshaped', TABLE)
def test_strict_takes_all_or_nothing(changes, missing, unexpected, misshaped):
    net = Net()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    if not (missing or unexpected or misshaped):
        load_weights(net, net_state(**changes), 'x.pth', strict=True)
        return
    with pytest.raises(CheckpointError) as error:
        load_weights(net, net_state(**changes), 'x.pth', strict=True)
    for words in (['x.pth: made for another model'], ['not in the checkpoint: conv.bias'] * bool(missing),
                  ['not in the model: extra'] * bool(unexpected), ['of another shape'] * bool(misshaped)):
        assert all(word in str(error.value) for word in words)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_where_nothing_fits_that_is_an_error_even_if_not_strict():
    with pytest.raises(CheckpointError, match=r'^x.pth: none of its 1 tensors fits this model; not in the checkpoint: conv'):
        load_weights(Net(), {'fc.weight': torch.ones(1)}, 'x.pth')


def test_a_long_list_of_keys_is_cut_short():
    state = {f'layer{i}.weight': torch.ones(1) for i in range(50)}
    text = str(load_weights(Net(), {**net_state(), **state}, 'x.pth'))
    assert text.count('layer') == 8 and '(50 in all)' in text


def test_in_an_error_all_is_said_in_one_line():
    text = str(Mismatch({'a': (2,)}, {'b': ()}, {'c': ((9,), (3, 4))}))
    assert text == 'not in the checkpoint: a; not in the model: b; of another shape: c (9,) in the file, (3, 4) in the model'


def test_in_the_log_each_key_has_a_row_with_its_shapes():
    table = Mismatch({'neck.weight': (512,)}, {'fc.weight': (10, 512), 'scale': ()}, {'head.bias': ((84,), (486,))}).table()
    assert table == """\
not in the file, kept as the model had them (1)   in the file  in the model
  neck.weight                                     -            512
not in the model, passed over (2)                 in the file  in the model
  fc.weight                                       10x512       -
  scale                                           one number   -
of another shape, kept as the model had them (1)  in the file  in the model
  head.bias                                       84           486"""


def rows(*keys):
    """Of the table of a model that lacks these keys, the first column without its title."""
    return [line.split()[0] for line in Mismatch(dict.fromkeys(keys, (1,)), {}, {}).table().split('\n')[1:]]


def test_many_keys_that_begin_alike_have_one_row():
    features = [f'backbone.features.{i}.{kind}' for i in range(20) for kind in ('weight', 'bias')]
    assert rows(*features, 'neck.l2_norm.weight') == ['backbone.features.*', 'neck.l2_norm.weight']
    text = Mismatch({}, dict.fromkeys(features, (3, 3)), {}).table()
    assert text.split('\n')[1].split() == ['backbone.features.*', '40', 'tensors', '-']


def test_a_group_is_as_small_as_its_rows_allow():
    assert rows(*(f'head.{i}.weight' for i in range(12))) == [f'head.{i}.weight' for i in range(12)]
    assert rows(*(f'head.{i}.{j}' for i in range(12) for j in range(2))) == [f'head.{i}.*' for i in range(12)]
    assert rows(*(f'head.{i}.{j}' for i in range(13) for j in range(2))) == ['head.*']


def test_names_without_anything_in_common_are_counted():
    found = Mismatch({f'layer{i}.weight': (1,) for i in range(50)}, {}, {}).table().split('\n')
    assert len(found) == 13 and found[-1] == '  and 39 more' and found[1].startswith('  layer0.weight')


def test_where_all_fits_there_is_no_table():
    assert Mismatch({}, {}, {}).table() == ''
