"""Weights in safetensors' format: written, read back to the bit, refused where they are something else."""
from __future__ import annotations

import builtins
import json
import struct

import pytest
import torch

from mmcv_need.checkpoint import read_checkpoint
from mmcv_need.errors import CheckpointError
from mmcv_need.serialization.safetensors_files import DTYPES, dump_safetensors

safetensors_torch = pytest.importorskip('safetensors.torch', reason='safetensors is optional')


def written(tmp_path, state, meta=None):
    path = tmp_path / 'net.safetensors'
    path.write_bytes(dump_safetensors({'meta': meta}, state))
    return str(path)


def test_every_kind_of_number_comes_back_to_the_bit(tmp_path):
    state = {str(dtype): (torch.arange(-3, 9).reshape(3, 4) * 0.7).to(dtype) for dtype in DTYPES.values()}
    state.update(empty=torch.zeros(0, 3), single=torch.tensor(2.5), turned=torch.arange(6.).reshape(2, 3).t())
    read = read_checkpoint(written(tmp_path, state))['state_dict']
    assert sorted(read) == sorted(state)
    for key, value in state.items():
        assert read[key].dtype == value.dtype and read[key].shape == value.shape and torch.equal(read[key], value)


def test_what_is_said_of_the_weights_comes_back(tmp_path):
    meta = {'CLASSES': ('cat', 'Hündin', 'a "dog"'), 'config': 'model = dict()\n', 'epoch': 24, 'iter': 7, 'env_info': 'secret'}
    path = written(tmp_path, {'a': torch.ones(1)}, meta)
    assert read_checkpoint(path)['meta'] == {key: value for key, value in meta.items() if key != 'env_info'}
    assert read_checkpoint(path, tensors=False) == {'meta': read_checkpoint(path)['meta'], 'state_dict': {'a': None}}


def test_files_of_the_package_itself_are_read_whatever_they_are_called(tmp_path):
    state = {'b.weight': torch.randn(3, 2), 'a.bias': torch.randn(5).half()}
    safetensors_torch.save_file(state, str(tmp_path / 'x.pth'))
    read = read_checkpoint(str(tmp_path / 'x.pth'))
    assert read['meta'] == {} and all(torch.equal(read['state_dict'][key], state[key]) for key in state)


def test_other_programs_read_ours(tmp_path):
    state = {'a': torch.randn(2, 3)}
    assert torch.equal(safetensors_torch.load_file(written(tmp_path, state))['a'], state['a'])


def bare(header, data=b''):
    text = json.dumps(header).encode()
    return struct.pack('<Q', len(text)) + text + data


HOSTILE = {
    'a tensor beyond the end': bare({'a': {'dtype': 'F32', 'shape': [4], 'data_offsets': [0, 16]}}, bytes(8)),
    'two tensors in the same bytes': bare({'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]},
                                           'b': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}}, bytes(8)),
    'a shape that is not its bytes': bare({'a': {'dtype': 'F32', 'shape': [2 ** 40], 'data_offsets': [0, 8]}}, bytes(8)),
    'a header beyond the end': struct.pack('<Q', 10 ** 6) + b'{"a":',
    'numbers of another kind': bare({'a': {'dtype': 'F8_E5M2', 'shape': [8], 'data_offsets': [0, 8]}}, bytes(8)),
    'classes that are no list': bare({'__metadata__': {'classes': '{"a": 1}'}}),
    'classes that are no texts': bare({'__metadata__': {'classes': '[1, 2]'}}),
    'classes that are nested too deeply': bare({'__metadata__': {'classes': '[' * 100_000}}),
}


@pytest.mark.parametrize('kind', HOSTILE)
def test_hostile_files_are_refused_in_one_line(tmp_path, kind):
    path = tmp_path / 'x.safetensors'
    path.write_bytes(HOSTILE[kind])
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(str(path))
    assert str(error.value).startswith(f'{path}: ') and '\n' not in str(error.value) and len(str(error.value)) < 400


def test_without_the_package_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    path, real = written(tmp_path, {'a': torch.ones(1)}), builtins.__import__

    def missing(name, *rest, **options):
        if name.startswith('safetensors'):
            raise ImportError(name)
        return real(name, *rest, **options)
    monkeypatch.setattr(builtins, '__import__', missing)
    with pytest.raises(CheckpointError, match=r'net\.safetensors: safetensors files need their package\. Run: pip install'):
        read_checkpoint(path)
