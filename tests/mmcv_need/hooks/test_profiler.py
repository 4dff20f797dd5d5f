"""ProfilerHook: what it records and for how long, and that what it writes can be read."""
from __future__ import annotations

import json
import re
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from mmcv_need import device as devices
from mmcv_need.errors import ConfigError
from mmcv_need.hooks.hook import HOOKS
from mmcv_need.hooks.profiler import ProfilerHook, profiler_of_environment
from mmcv_need.registry import build
from mmcv_need.torch_versions import TORCH_VERSION

CPU = torch.device('cpu')
pytestmark = [pytest.mark.filterwarnings('ignore:.*Profiler clears events:UserWarning'),
              pytest.mark.skipif(TORCH_VERSION < (1, 11), reason='traces of torch 1.8 name every operation twice')]


def run_with(folder, hook, epochs=1, iterations=5, rank=0, device=CPU):
    """A run whose iteration i multiplies matrices (i + 2) times; its log, and whether it was being profiled in each."""
    lines, profiled = [], []
    runner = SimpleNamespace(work_dir=str(folder), rank=rank, iter=0, device=device, hooks=[hook],
                             logger=SimpleNamespace(info=lambda message, *given: lines.append(message % given)))
    hook.check_run(runner)
    hook.before_run(runner)
    for _ in range(epochs):
        for _ in range(iterations):
            for _ in range(runner.iter + 2):
                torch.mm(torch.ones(8, 8), torch.ones(8, 8))
            hook.after_train_iter(runner)
            profiled.append(hook.profiler is not None)
            runner.iter += 1
        hook.after_train_epoch(runner)
    hook.after_run(runner)
    return lines, profiled


def products(path):
    """How many products of matrices a trace has."""
    return sum(event.get('name') == 'aten::mm' for event in json.loads(path.read_text())['traceEvents'])


def test_the_first_iterations_are_traced_and_the_slowest_operations_logged(tmp_path):
    lines, profiled = run_with(tmp_path, ProfilerHook(profile_iters=3))
    assert profiled == [True, True, False, False, False]
    path = tmp_path / 'profile_iter_3.json'
    assert products(path) == 2 + 3 + 4
    assert lines[0] == 'profiling 3 iterations' and lines[1] == f'profile of the iterations up to 3: {path}'
    assert re.search(r'slowest operations:\n-+[\s\S]*Self CPU[\s\S]*aten::mm .* 9 ', lines[2])
    assert len(lines) == 3


def test_epochs_may_count(tmp_path):
    run_with(tmp_path, ProfilerHook(by_epoch=True, profile_iters=2), epochs=3, iterations=2)
    assert [path.name for path in tmp_path.iterdir()] == ['profile_iter_4.json']
    assert products(tmp_path / 'profile_iter_4.json') == 2 + 3 + 4 + 5


def test_mmengines_name_of_the_number(tmp_path):
    assert run_with(tmp_path, ProfilerHook(profile_times=1))[1] == [False] * 5


def test_a_run_that_is_shorter_is_profiled_as_far_as_it_goes(tmp_path):
    run_with(tmp_path, ProfilerHook(profile_iters=100), iterations=2)
    assert sum(products(path) for path in tmp_path.iterdir()) == 5


def test_each_cycle_of_a_schedule_has_its_trace(tmp_path):
    cycle = dict(wait=1, warmup=1, active=2, repeat=2)
    lines, _ = run_with(tmp_path, ProfilerHook(profile_iters=9, schedule=cycle), iterations=10)
    assert {path.name: products(path) for path in tmp_path.iterdir()} == {'profile_iter_4.json': 4 + 5,
                                                                         'profile_iter_8.json': 8 + 9}
    assert sum(line.startswith('slowest') for line in lines) == 2


def test_a_report_may_be_the_table_alone(tmp_path):
    hook = ProfilerHook(profile_iters=1, on_trace_ready=dict(type='log_trace', sort_by='count', row_limit=1))
    lines, _ = run_with(tmp_path, hook)
    assert list(tmp_path.iterdir()) == []
    assert len([line for line in lines[1].splitlines() if 'aten::' in line]) == 1


def test_a_report_may_be_a_trace_for_tensorboard_alone(tmp_path):
    lines, _ = run_with(tmp_path, ProfilerHook(profile_iters=1, on_trace_ready=dict(type='tb_trace')))
    path, = (tmp_path / 'tf_tracing_logs').iterdir()
    assert re.fullmatch(r'.+\.1\.pt\.trace\.json', path.name) and products(path) == 2
    assert not any('slowest' in line for line in lines)


def test_the_trace_may_be_elsewhere_and_hold_shapes(tmp_path):
    path = tmp_path / 'new' / 'trace.json'
    run_with(tmp_path, ProfilerHook(profile_iters=1, json_trace_path=str(path), record_shapes=True))
    assert '[8, 8]' in re.sub(r'\s+', ' ', json.dumps([event['args'] for event in json.loads(path.read_text())['traceEvents']
                                                        if event.get('name') == 'aten::mm']))
    assert [found.name for found in tmp_path.iterdir()] == ['new']


def test_only_rank_0_is_profiled(tmp_path):
    assert run_with(tmp_path, ProfilerHook(profile_iters=1), rank=1) == ([], [False] * 5)
    assert list(tmp_path.iterdir()) == []


def test_a_config_can_ask_for_it(tmp_path):
    hook = build({'type': 'ProfilerHook', 'profile_iters': 1, 'activities': ['CPU'], 'schedule': {'active': 1, 'warmup': 0},
                  'on_trace_ready': {'type': 'log_trace', 'row_limit': 3}}, HOOKS)
    assert hook.schedule == {'wait': 0, 'warmup': 0, 'active': 1} and hook.report['row_limit'] == 3


def test_a_device_that_the_run_is_not_on_is_refused(tmp_path):
    for activities, named in ((['cpu', 'gpu'], 'cpu, gpu'), (['gpu'], 'gpu'), ([], 'none')):
        with pytest.raises(ConfigError, match=f'ProfilerHook: activities: this run has cpu, not {named}$'):
            run_with(tmp_path, ProfilerHook(activities=activities))


def test_a_second_profiler_is_refused_since_two_crash_the_process():
    hooks = [ProfilerHook(), profiler_of_environment({'PROFILE_TYPE': 'TORCH'})]
    for hook in hooks:
        with pytest.raises(ConfigError, match='ProfilerHook: a process can have one profiler; keep one, '):
            hook.check_run(SimpleNamespace(device=torch.device('cpu'), hooks=hooks))


@pytest.mark.parametrize('arguments, words', [
    (dict(profile_iters=0), 'profile_iters: expected 1 or more'), (dict(schedule={'activ': 1}), "schedule: knows no 'activ'"),
    (dict(schedule={'active': 0}), 'active of 1 or more'), (dict(schedule={'wait': -1}), 'whole numbers'),
    (dict(schedule={'wait': 0.5}), 'whole numbers'), (dict(on_trace_ready={'type': 'x'}), "expected dict.type='log_trace'"),
    (dict(on_trace_ready={'dir_name': 'x'}), "expected dict.type='log_trace'"),
    (dict(on_trace_ready={'type': 'tb_trace', 'dir': 'x'}), "tb_trace has no argument 'dir'. Known: dir_name")])
def test_what_makes_no_sense_is_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        ProfilerHook(**arguments)


# The ModelZoo's environment


def test_the_modelzoos_switch_profiles_one_iteration(tmp_path):
    hook = profiler_of_environment({'PROFILE_TYPE': 'TORCH', 'PROFILE_START_STEP': '3'})
    run_with(tmp_path, hook, iterations=8)
    assert {path.name: products(path) for path in tmp_path.iterdir()} == {'profile_iter_4.json': 3 + 2}


def test_the_switch_counts_ten_iterations_by_itself_and_is_off_by_default():
    assert profiler_of_environment({}) is None and profiler_of_environment({'PROFILE_TYPE': ''}) is None
    assert profiler_of_environment({'PROFILE_TYPE': 'GE'}).schedule == {'wait': 9, 'warmup': 1, 'active': 1, 'repeat': 1}


@pytest.mark.parametrize('start', ['0', 'x', '-1'])
def test_the_switch_has_to_be_a_number(start):
    with pytest.raises(ConfigError, match='PROFILE_START_STEP: expected'):
        profiler_of_environment({'PROFILE_TYPE': 'TORCH', 'PROFILE_START_STEP': start})


def test_an_npus_profiler_writes_its_own_traces(tmp_path, monkeypatch):
    """A stand-in of the functions that torch_npu.profiler shares with torch.profiler; device.py finds the real one."""
    def profile(activities, schedule, on_trace_ready, **record):
        steps = []
        return SimpleNamespace(__enter__=lambda: None, step=lambda: steps.append(1),
                               __exit__=lambda *_: on_trace_ready((activities, schedule, len(steps), record['with_stack'])))

    traces = {}
    activities = SimpleNamespace(CPU='c', NPU='n')
    module = SimpleNamespace(profile=profile, schedule=lambda **cycle: cycle, ProfilerActivity=activities,
                             tensorboard_trace_handler=lambda folder: partial(traces.__setitem__, folder))
    monkeypatch.setattr(devices, 'profiler', lambda device: module)
    lines, _ = run_with(tmp_path, ProfilerHook(profile_iters=3, schedule={'wait': 1, 'active': 2}, with_stack=True),
                        device=SimpleNamespace(type='npu'))
    assert lines == ['profiling 3 iterations']
    (folder, trace), = traces.items()
    assert folder == str(tmp_path / 'tf_tracing_logs')
    assert trace[0] == ['c', 'n'] and trace[1]['wait'] == 1 and trace[2:] == (3, True)
