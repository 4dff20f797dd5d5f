"""The same weights in the file of every tool that people come from: the network's outputs are equal to the bit."""
from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mmcv_need.averages import evaluated_weights
from mmcv_need.checkpoint import read_checkpoint
from mmcv_need.optim.optimizer_state import load_by_name
from mmcv_need.weights import current_weights, load_weights

KEYMAP = Path(__file__).resolve().parents[2] / 'parity/data/keymap_2_11.json'
WIDTHS = dict(backbone={'width_factor': 0.0625}, neck=dict(in_channels=(32, 64), out_channels=(32, 64, 32, 16, 16, 16)),
              bbox_head=dict(in_channels=(32, 64, 32, 16, 16, 16)))
OPTIONS = {f'{part}.{name}': value for part, options in WIDTHS.items() for name, value in options.items()}


@pytest.fixture(scope='module')
def small(build_detector):
    """Makes an SSD300 of a sixteenth of VGG's width."""
    return lambda: build_detector('ssd300_coco.py', **OPTIONS)


@pytest.fixture(scope='module')
def source(small):
    torch.manual_seed(3)
    return small().eval()


def outputs(detector):
    img = torch.randn(1, 3, 300, 300, generator=torch.Generator().manual_seed(1)) * 50
    with torch.no_grad():
        return detector.eval().predict(img)[:2]


def old(state):
    names = json.loads(KEYMAP.read_text())
    ours = {theirs: key for key, theirs in names['keymap_2_28_to_2_11'].items()}
    return {theirs: state[ours[theirs]] for theirs in names['order_2_11']}


def with_average_of_mmcv(state):
    """As its EMAHook leaves a file: the average at the weights' names, the weights that learn in buffers."""
    learning = {f"ema_{key.replace('.', '_')}": torch.randn_like(value) for key, value in state.items()}
    return {'meta': {'epoch': 1}, 'state_dict': {**state, **learning}}


def with_average_of_mmengine(state):
    learning = {f'module.{key}': torch.randn_like(value) for key, value in state.items()}
    return {'state_dict': state, 'ema_state_dict': {'steps': torch.tensor(5), **learning}}


LAYOUTS = {
    'MMDetection 2.14 and later': lambda state: {'meta': {'epoch': 1, 'iter': 7}, 'state_dict': state},
    'MMDetection up to 2.13, ModelZoo': lambda state: {'meta': {'epoch': 1}, 'state_dict': old(state), 'optimizer': {}},
    'MMDetection 3': lambda state: {'meta': {'dataset_meta': {'classes': ('a',)}}, 'state_dict': state, 'message_hub': {},
                                    'optimizer': {}, 'param_schedulers': []},
    'ModelZoo, with the prefix of DDP': lambda state: {'state_dict': {f'module.{key}': v for key, v in old(state).items()}},
    'wrapped twice and compiled': lambda state: {'state_dict': {f'module.module._orig_mod.{k}': v for k, v in state.items()}},
    'nested': lambda state: {'model': {'state_dict': state}, 'epoch': 3},
    'a part of something': lambda state: {f'model.{key}': value for key, value in state.items()},
    'a wrapped part of something': lambda state: {f'module.model.module.{key}': value for key, value in state.items()},
    'a bare state dict': dict,
    'with an average of MMCV': with_average_of_mmcv,
    'with an average of MMEngine': with_average_of_mmengine,
}


@pytest.mark.parametrize('zipped', [True, False], ids=['zip', 'stream'])
@pytest.mark.parametrize('layout', LAYOUTS)
def test_outputs_are_equal_to_the_bit(layout, zipped, source, small, tmp_path):
    torch.save(LAYOUTS[layout](source.state_dict()), tmp_path / 'x.pth', _use_new_zipfile_serialization=zipped)
    loaded = small()
    assert not any(load_weights(loaded, evaluated_weights(read_checkpoint(str(tmp_path / 'x.pth'))), 'x.pth', strict=True))
    for found, expected in zip(outputs(loaded), outputs(source)):
        assert torch.equal(found, expected)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_their_values_in_float32(dtype, source, small, tmp_path):
    """Such as those of MMCV's Fp16OptimizerHook, which keeps the whole network in half."""
    state = {key: value.to(dtype) for key, value in source.state_dict().items()}
    torch.save({'state_dict': old(state), 'meta': {'fp16': {}}}, tmp_path / 'x.pth')
    loaded, rounded = small(), small()
    load_weights(loaded, evaluated_weights(read_checkpoint(str(tmp_path / 'x.pth'))), 'x.pth', strict=True)
    rounded.load_state_dict({key: value.float() for key, value in state.items()})
    assert {value.dtype for value in loaded.state_dict().values()} == {torch.float32}
    for found, expected in zip(outputs(loaded), outputs(rounded)):
        assert torch.equal(found, expected)


def sgd(detector):
    return torch.optim.SGD(detector.parameters(), lr=0.1, momentum=0.9)


def momentum_of(detector, optimizer):
    """What is remembered, by name."""
    return {name: optimizer.state[parameter]['momentum_buffer'] for name, parameter in detector.named_parameters()}


def test_the_momentum_of_the_old_layout_goes_to_its_weights(source, small):
    """An old file counts parameters in its own order: extra layers in the backbone, offsets before scores."""
    order = list(old(source.state_dict()))
    theirs = {key: torch.randn_like(value) for key, value in old(source.state_dict()).items()}
    state = {'state': {i: {'momentum_buffer': theirs[key]} for i, key in enumerate(order)},
             'param_groups': [{**sgd(source).state_dict()['param_groups'][0], 'params': list(range(len(order)))}]}
    loaded = small()
    optimizer = sgd(loaded)
    load_by_name(optimizer, state, current_weights(loaded, old(source.state_dict())), loaded)
    found, expected = old(momentum_of(loaded, optimizer)), theirs
    assert list(found) == order and all(torch.equal(found[key], expected[key]) for key in order)
