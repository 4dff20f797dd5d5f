"""The older layout becomes today's: names, order, and the optimizer's state with its weights."""
from __future__ import annotations

import re

import pytest
import torch

from mmcv_need.errors import CheckpointError, UserError

META = {'epoch': 3, 'iter': 30, 'CLASSES': ('a', 'b'), 'config': 'model = dict()'}


@pytest.fixture
def old_file(weights, old_names, tmp_path):
    """Writes a file of the older layout; its optimizer has one group, or one for each parameter. Momentum tells the place."""
    def write(grouped='one', prefix='', **more):
        state = {f'{prefix}{name}': weights[today] for name, today in old_names.items()}
        count, options = len(state), {'lr': 0.1, 'momentum': 0.9}
        groups = [{**options, 'params': list(range(count))}] if grouped == 'one' else [
            {**options, 'lr': float(i), 'params': [i]} for i in range(count)]
        optimizer = {'state': {i: {'momentum_buffer': torch.tensor(float(i))} for i in range(count)}, 'param_groups': groups}
        torch.save({'meta': META, 'state_dict': state, 'optimizer': optimizer, **more}, tmp_path / 'old.pth')
        return tmp_path / 'old.pth'
    return write


@pytest.mark.parametrize('grouped', ['one', 'each'])
def test_names_order_and_optimizer_are_todays(tool, old_file, weights, old_names, tmp_path, capsys, grouped):
    tool('upgrade_ssd_version', old_file(grouped, prefix='module.'), tmp_path / 'new.pth')
    made = torch.load(tmp_path / 'new.pth', weights_only=True)
    assert list(made['state_dict']) == list(weights) and made['meta'] == META
    assert all(torch.equal(made['state_dict'][key], weights[key]) for key in weights)
    before = [old_names[name] for name in old_names]  # today's name of each old position
    for number, name in enumerate(weights):
        assert made['optimizer']['state'][number]['momentum_buffer'] == before.index(name)
    slots = [slot for group in made['optimizer']['param_groups'] for slot in group['params']]
    assert slots == list(range(len(weights)))
    if grouped == 'each':
        assert [group['lr'] for group in made['optimizer']['param_groups']] == [before.index(name) for name in weights]
    assert re.fullmatch(rf'wrote .*new\.pth \(\d\.\d MB\): {len(weights)} weights, optimizer\n', capsys.readouterr().out)


def test_an_average_is_brought_along(tool, old_file, old_names, weights, tmp_path):
    learning = {f"ema_{name.replace('.', '_')}": torch.zeros_like(weights[today]) for name, today in old_names.items()}
    state = {**{name: weights[today] for name, today in old_names.items()}, **learning}
    tool('upgrade_ssd_version', old_file(state_dict=state), tmp_path / 'new.pth')
    made = torch.load(tmp_path / 'new.pth', weights_only=True)
    assert list(made['state_dict']) == list(made['training_state_dict']) == list(weights)
    assert all((value == 0).all() for value in made['training_state_dict'].values())


def test_an_optimizer_that_does_not_tell_whose_is_whose_is_left_out_and_named(tool, old_file, tmp_path, capsys):
    odd = {'state': {}, 'param_groups': [{'params': [0, 1]}, {'params': [2, 3]}]}
    tool('upgrade_ssd_version', old_file(optimizer=odd, ranks=[1]), tmp_path / 'new.pth')
    assert 'left out: optimizer, ranks' in capsys.readouterr().out
    assert 'optimizer' not in torch.load(tmp_path / 'new.pth', weights_only=True)


@pytest.mark.parametrize('name, words', [('neck.l2_norm.weight', "has today's layout already"),
                                         ('conv.weight', "is no checkpoint of SSD's")])
def test_what_there_is_nothing_to_do_for_is_one_line(tool, tmp_path, name, words):
    torch.save({'state_dict': {name: torch.ones(1)}}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match=rf'x\.pth: {words}'):
        tool('upgrade_ssd_version', tmp_path / 'x.pth', tmp_path / 'y.pth')
    assert not (tmp_path / 'y.pth').exists()


def test_nothing_is_written_over_unless_it_is_asked_for(tool, old_file, tmp_path):
    source, target = old_file(), tmp_path / 'new.pth'
    target.write_bytes(b'mine')
    with pytest.raises(UserError, match=r'new\.pth: is there already, and stays as it is\. Give another name, or --overwrite'):
        tool('upgrade_ssd_version', source, target)
    assert target.read_bytes() == b'mine'
    tool('upgrade_ssd_version', source, target, '--overwrite')
    assert 'state_dict' in torch.load(target, weights_only=True)
    with pytest.raises(UserError, match='is a folder'):
        tool('upgrade_ssd_version', source, tmp_path, '--overwrite')
