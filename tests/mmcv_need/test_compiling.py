"""`compile`: what a torch, a machine and a backend can do, said before training."""
from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest
import torch

from mmcv_need import compiling, torch_versions
from mmcv_need.compiling import Compiling
from mmcv_need.errors import ConfigError
from mmcv_need.torch_versions import has

CPU = torch.device('cpu')
pytestmark = [pytest.mark.skipif(not has('torch.compile'), reason='torch.compile came with torch 2'),
              pytest.mark.filterwarnings('ignore:`torch.jit')]  # torch's own, which compiling imports


@pytest.fixture(autouse=True)
def a_compiler(monkeypatch):
    monkeypatch.setattr(compiling.shutil, 'which', lambda name: f'/usr/bin/{name}')


@pytest.mark.parametrize('options, words', [
    ({'backend': 'inducter'}, ["backend 'inducter'", "Did you mean 'inductor'?", 'cudagraphs']),
    ({'mode': 'fast'}, ["mode 'fast'", 'reduce-overhead', 'max-autotune']),
    ({'backend': 'cudagraphs', 'mode': 'default'}, ["mode 'default'", "for backend 'inductor'"])])
def test_what_torch_does_not_know_is_refused(options, words):
    with pytest.raises(ConfigError) as error:
        Compiling(CPU, **options)
    assert all(word in str(error.value) for word in words)


def test_an_old_torch_is_told_from_the_start(monkeypatch):
    monkeypatch.setattr(torch_versions, 'TORCH_VERSION', (1, 13))
    with pytest.raises(ConfigError, match=r'needs torch 2\.1 or newer'):
        Compiling(CPU)


def test_without_a_compiler_nothing_is_left_uncompiled_in_silence(monkeypatch):
    monkeypatch.delenv('CXX', raising=False)
    monkeypatch.setattr(compiling.shutil, 'which', lambda name: None)
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler on the CPU, and none of g\+\+, clang\+\+"):
        Compiling(CPU)
    Compiling(CPU, backend='aot_eager')


def test_on_a_card_it_is_triton_that_is_needed(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ConfigError, match='needs triton on card, which is not installed'):
        Compiling(SimpleNamespace(type='card'))


def test_functions_are_compiled_whole_for_each_shape_once():
    seen = []

    def backend(graph, inputs):
        seen.append([tuple(value.shape) for value in inputs if isinstance(value, torch.Tensor)])
        return graph.forward

    compiled = Compiling(CPU, backend='eager')
    compiled.backend = backend
    function = compiled(lambda x: x * 2 + 1, begins_step=True)
    for length in (3, 4, 3, 4):
        torch.testing.assert_close(function(torch.ones(length)), torch.full((length,), 3.))
    assert seen == [[(3,)], [(4,)]]


def test_what_it_is_stands_in_the_log():
    assert str(Compiling(CPU)) == 'torch.compile, inductor'
    assert str(Compiling(CPU, mode='reduce-overhead')) == 'torch.compile, inductor, reduce-overhead'
