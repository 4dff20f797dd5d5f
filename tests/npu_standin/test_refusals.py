"""What a card does not do ends a training run with a message that names the operator."""
from __future__ import annotations

import re

SHORT = ('--no-validate', '--max_steps', '2')


def test_an_operator_that_the_card_does_not_have_is_named(train):
    run = train(*SHORT, NPU_STANDIN_BLOCK='aten::max_pool2d_with_indices')
    assert run.status == 1
    assert "NotImplementedError: The operator 'aten::max_pool2d_with_indices' is not supported on this npu" in run.errors


def test_a_tensor_left_on_the_host_is_refused_by_the_operator_that_meets_it(train):
    run = train(*SHORT, way='stray')
    assert run.status == 1
    last = run.errors.strip().splitlines()[-1]
    assert last.startswith('RuntimeError: aten::')
    assert last.endswith(('found at least two, npu:0 and cpu', 'found at least two, cpu and npu:0'))


def test_the_same_mistake_goes_unseen_on_the_cpu(train):
    assert train(*SHORT, way='stray', device='cpu').status == 0


def test_a_card_that_is_too_small_is_said_to_be_full_with_the_operator_that_found_out(train):
    run = train(*SHORT, NPU_STANDIN_MEMORY_MB='6')
    assert run.status == 1
    last = run.errors.strip().splitlines()[-1]
    assert re.match(r'torch\.OutOfMemoryError: NPU out of memory in aten::\w+\. Tried to allocate \d+ bytes on npu:0', last)
    assert f'which has {6 << 20} bytes' in last
