"""Files with tensors of a card."""
from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch


@pytest.mark.parametrize('source', ['cpu', 'npu:0', 'npu:5'])
@pytest.mark.parametrize('target', ['cpu', 'npu:0', 'npu:3'])
def test_a_file_is_read_onto_any_device(source, target):
    value, file = torch.arange(6.).view(2, 3).t(), io.BytesIO()
    torch.save({'a': value.to(source)}, file)
    file.seek(0)
    loaded = torch.load(file, map_location=target, weights_only=True)['a']
    assert loaded.device == torch.device(target) and torch.equal(loaded.cpu(), value)


def test_a_file_goes_back_to_the_card_that_it_came_from():
    file = io.BytesIO()
    torch.save(torch.ones(2, device='npu:4'), file)
    file.seek(0)
    assert torch.load(file, weights_only=True).device == torch.device('npu:4')


def test_tensors_can_be_copied_deeply_and_pickled():
    layer = torch.nn.Linear(2, 2).to('npu:1')
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.weight.device == torch.device('npu:1') and torch.equal(other.weight, layer.weight)
        assert other.weight.data_ptr() != layer.weight.data_ptr()
