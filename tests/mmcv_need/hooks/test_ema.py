"""Averages of the weights: the definition as a loop, what evaluation and files see, and that resuming is exact."""
from __future__ import annotations

import io
import math
from types import SimpleNamespace

import pytest
import torch

from mmcv_need.averages import learning_weights, separated
from mmcv_need.errors import CheckpointError, ConfigError
from mmcv_need.hooks.ema import EMAHook, ExpMomentumEMAHook, LinearMomentumEMAHook
from mmcv_need.hooks.weight_averaging import WeightAveragingHook

MAKERS = [lambda: EMAHook(momentum=0.3, warm_up=1), lambda: EMAHook(momentum=0.5, interval=3),
          lambda: LinearMomentumEMAHook(momentum=0.3, interval=2), lambda: ExpMomentumEMAHook(momentum=0.1, total_iter=4)]


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(2, 3, 1)
        self.norm = torch.nn.BatchNorm2d(3)
        self.last = torch.nn.Conv2d(3, 1, 1)

    def forward(self, x):
        return self.last(self.norm(self.first(x)))


class Run:
    """Stands for the runner: steps of a network, with hooks around them, and its checkpoints."""

    def __init__(self, *hooks, dtype=torch.float32, seed=0):
        torch.manual_seed(seed)
        network = Net().to(dtype)
        self.model = SimpleNamespace(module=network)
        self.optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        self.hooks, self.iter = hooks, 0
        self.started = False

    @property
    def network(self):
        return self.model.module

    def call(self, moment, *given):
        for hook in self.hooks:
            getattr(hook, moment)(self, *given)

    def train(self, iterations):
        if not self.started:
            self.call('check_run')
            self.call('before_run')
            self.started = True
        self.network.train()
        for _ in range(iterations):
            self.call('before_train_iter')
            self.step()
            self.call('after_train_iter')
            self.iter += 1
        return self

    def step(self):
        generator = torch.Generator().manual_seed(self.iter)
        batch = torch.randn(2, 2, 3, 3, generator=generator).to(self.network.first.weight.dtype)
        self.optimizer.zero_grad()
        self.network(batch).square().mean().backward()
        self.optimizer.step()

    def checkpoint(self, done=None, save_optimizer=True):
        content = {'meta': {'iter': self.iter if done is None else done}, 'state_dict': dict(self.network.state_dict())}
        if save_optimizer:
            content['optimizer'] = self.optimizer.state_dict()
        self.call('before_save_checkpoint', content)
        file = io.BytesIO()
        torch.save(content, file)
        file.seek(0)
        return torch.load(file, weights_only=True)

    def resume(self, content):
        self.network.load_state_dict(content['state_dict'])
        self.optimizer.load_state_dict(content['optimizer'])
        self.iter = content['meta']['iter']
        self.call('after_load_checkpoint', content)
        return self


def bits(tensors):
    return {name: tensor.clone() for name, tensor in tensors.items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def parameters(run):
    return bits(dict(run.network.named_parameters()))


def weights(run):
    return bits(run.network.state_dict())


class Recorder:
    """Weights after each step, by name."""

    def __init__(self):
        self.seen = []

    def __getattr__(self, moment):
        return lambda run, *_: self.seen.append(bits(run.network.state_dict())) if moment == 'after_train_iter' else None


# The definition


@pytest.mark.parametrize('hook, momentum', [
    (EMAHook(), lambda i: min(0.0002, (1 + i) / (100 + i))),
    (EMAHook(momentum=0.5, warm_up=10), lambda i: min(0.5, (1 + i) / (10 + i))),
    (EMAHook(momentum=0.5, interval=3), lambda i: min(0.125, (1 + i) / (100 + i)) if i in (0, 3, 6, 9) else 0),
    (EMAHook(momentum=0.1, warm_up=0), lambda i: 0.1),
    (LinearMomentumEMAHook(momentum=0.5, warm_up=10), lambda i: min(0.5, (1 + i) / (10 + i))),
    (LinearMomentumEMAHook(momentum=0.5, interval=3), lambda i: min(0.125, (1 + i) / (100 + i)) if i in (2, 5, 8, 11) else 0),
    (ExpMomentumEMAHook(), lambda i: 0.0002 + 0.9998 * math.exp(-(1 + i) / 2000)),
    (ExpMomentumEMAHook(momentum=0.01, total_iter=5, interval=2, skip_buffers=True),
     lambda i: 0.01 + 0.99 * math.exp(-(1 + i) / 5) if i % 2 else 0)])
def test_the_average_is_the_definitions(hook, momentum):
    recorder = Recorder()
    run = Run(recorder, hook, dtype=torch.float64)
    oracle = weights(run)
    run.train(12)
    for i, seen in enumerate(recorder.seen):
        m = momentum(i)
        for name in oracle:
            oracle[name] = (1 - m) * oracle[name] + m * seen[name]
    assert not torch.allclose(oracle['first.weight'], run.network.first.weight, rtol=1e-6)  # it is not just the weights
    for name, average in hook.average.items():
        assert torch.allclose(average, oracle[name], rtol=1e-12, atol=1e-14), name


def test_in_float32_the_average_stays_near_the_definition():
    recorder, hook = Recorder(), EMAHook(momentum=0.02, warm_up=1)
    run = Run(recorder, hook)
    oracle = {name: value.double() for name, value in parameters(run).items()}
    run.train(100)
    for seen in recorder.seen:
        for name in oracle:
            oracle[name] = 0.98 * oracle[name] + 0.02 * seen[name].double()
    for name, average in hook.average.items():
        assert average.dtype == torch.float32
        assert torch.allclose(average.double(), oracle[name], rtol=1e-5, atol=1e-6), name


def test_a_weight_that_does_not_learn_is_its_own_average_to_the_bit():
    hook = EMAHook(momentum=0.003, warm_up=1)
    run = Run(hook)
    run.network.frozen = torch.nn.Parameter(torch.randn(3000), requires_grad=False)
    run.train(60)
    assert torch.equal(hook.average['frozen'], run.network.frozen)
    assert not torch.equal(hook.average['last.weight'], run.network.last.weight)


def test_half_weights_are_averaged_in_float32():
    """In half precision 0.9998 is 1, and such an average would never move."""
    hook = EMAHook()
    run = Run(hook, dtype=torch.bfloat16)
    run.call('before_run')
    start = bits(hook.average)
    run.train(20)
    assert all(average.dtype == torch.float32 for average in hook.average.values())
    assert not torch.equal(hook.average['first.weight'], start['first.weight'])
    before = weights(run)
    run.call('before_evaluation')
    run.call('after_evaluation')
    assert same(weights(run), before)


def test_mmcvs_average_has_the_parameters_and_mmdetections_the_running_statistics_too():
    def averaged(hook):
        Run(hook).train(1)
        return set(hook.average)
    names = set(dict(Net().named_parameters()))
    assert averaged(EMAHook()) == names
    for hook in (ExpMomentumEMAHook, LinearMomentumEMAHook):
        assert averaged(hook()) == names | {'norm.running_mean', 'norm.running_var'}
        assert averaged(hook(skip_buffers=True)) == names


# Evaluation


@pytest.mark.parametrize('make', MAKERS)
@pytest.mark.parametrize('before, after', [('before_evaluation', 'after_evaluation'), ('before_val_epoch', 'after_val_epoch')])
def test_an_evaluation_sees_the_average_and_training_goes_on_from_the_weights(make, before, after):
    hook = make()
    run, twin = Run(hook).train(5), Run().train(5)
    average, objects = bits(hook.average), [id(p) for p in run.network.parameters()]
    storage = [p.data_ptr() for p in run.network.parameters()]
    assert same(weights(run), weights(twin))
    run.call(before)
    assert all(torch.equal(weights(run)[name], average[name]) for name in average)
    assert not torch.equal(run.network.first.weight, twin.network.first.weight)
    run.call(after)
    assert same(weights(run), weights(twin)) and same(hook.average, average)
    assert [id(p) for p in run.network.parameters()] == objects
    assert [p.data_ptr() for p in run.network.parameters()] == storage
    assert same(weights(run.train(3)), weights(twin.train(3)))


def test_evaluations_change_nothing_in_what_is_learned_or_averaged():
    hook, other = EMAHook(momentum=0.3, warm_up=1), EMAHook(momentum=0.3, warm_up=1)
    run, twin = Run(hook), Run(other).train(9)
    for _ in range(3):
        run.train(3)
        for _ in range(2):
            run.call('before_evaluation')
            run.call('after_evaluation')
    assert same(weights(run), weights(twin)) and same(hook.average, other.average)


def test_an_evaluation_that_broke_off_does_not_cost_the_weights():
    hook = EMAHook(momentum=0.3, warm_up=1)
    run, twin = Run(hook).train(3), Run().train(3)
    run.call('before_evaluation')
    run.call('before_evaluation')  # the next attempt
    assert same(weights(run.train(2)), weights(twin.train(2)))


class Evaluating(Recorder):
    """Evaluates in the moment after a step; the average's hook may come before or after it."""

    def __init__(self):
        self.seen = []

    def __getattr__(self, moment):
        def evaluate(run, *_):
            run.call('before_evaluation')
            self.seen.append(parameters(run))
            run.call('after_evaluation')
        return evaluate if moment == 'after_train_iter' else lambda *_: None


def test_an_evaluation_between_the_step_and_the_hook_has_the_step_in_its_average():
    early, late = Evaluating(), Evaluating()
    first, second = Run(early, EMAHook(momentum=0.3, warm_up=1)).train(4), Run(EMAHook(momentum=0.3, warm_up=1), late).train(4)
    assert len(early.seen) == 4 and all(same(a, b) for a, b in zip(early.seen, late.seen))
    assert same(first.hooks[1].average, second.hooks[0].average)


# Checkpoints


@pytest.mark.parametrize('make', MAKERS)
@pytest.mark.parametrize('at', range(1, 8))
def test_a_resumed_run_has_the_unbroken_runs_average_and_weights_to_the_bit(make, at):
    hook, other = make(), make()
    unbroken = Run(hook).train(9)
    content = Run(make()).train(at).checkpoint()
    resumed = Run(other, seed=99).resume(content).train(9 - at)
    assert same(weights(resumed), weights(unbroken)) and same(other.average, hook.average)


@pytest.mark.parametrize('make', MAKERS)
def test_a_file_holds_the_average_as_its_weights_and_beside_them_those_that_learn(make):
    hook = make()
    run = Run(hook).train(5)
    before = weights(run)
    content = run.checkpoint()
    assert list(content['state_dict']) == list(before)
    assert all(torch.equal(content['state_dict'][name], hook.average.get(name, before[name])) for name in before)
    assert same(content['training_state_dict'], {name: before[name] for name in hook.average})
    assert same(weights(run), before) and same(learning_weights(content), before)


def test_a_file_for_use_only_holds_the_average_only():
    content = Run(EMAHook(momentum=0.3)).train(5).checkpoint(save_optimizer=False)
    assert set(content) == {'meta', 'state_dict'}


def test_a_file_does_not_change_when_training_goes_on():
    hook = EMAHook(momentum=0.3, warm_up=1)
    run = Run(hook).train(3)
    content = {'meta': {'iter': 3}, 'state_dict': {}}
    run.call('before_save_checkpoint', content)
    before = bits(content['state_dict'])
    run.train(2)
    assert same(content['state_dict'], before)


@pytest.mark.parametrize('make', MAKERS)
def test_a_file_written_while_the_network_has_the_average_is_the_same(make):
    run = Run(make()).train(5)
    plain = run.checkpoint()
    run.call('before_evaluation')
    during = run.checkpoint()
    run.call('after_evaluation')
    for key in ('state_dict', 'training_state_dict'):
        assert same(plain[key], during[key])


class Saving:
    """Saves in the moment after a step, as CheckpointHook by iterations does; the average's hook may come before or after."""

    def __init__(self):
        self.files = []

    def __getattr__(self, moment):
        save = moment == 'after_train_iter'
        return lambda run, *_: self.files.append(run.checkpoint(done=run.iter + 1)) if save else None


@pytest.mark.parametrize('make', MAKERS)
def test_a_file_written_between_the_step_and_the_hook_has_the_step_in_its_average(make):
    early, late, other = Saving(), Saving(), make()
    unbroken = Run(early, make()).train(7)
    Run(make(), late).train(7)
    for a, b in zip(early.files, late.files):
        assert same(a['state_dict'], b['state_dict']) and same(a['training_state_dict'], b['training_state_dict'])
    resumed = Run(other, seed=99).resume(early.files[3]).train(3)
    assert same(weights(resumed), weights(unbroken)) and same(other.average, unbroken.hooks[1].average)


def test_a_file_written_before_the_step_was_made_has_nothing_of_it():
    hook = EMAHook(momentum=0.3, warm_up=1)
    run = Run(hook).train(3)
    average = bits(hook.average)
    run.call('before_train_iter')
    content = run.checkpoint()  # the step failed, and the run saves what it has
    assert all(torch.equal(content['state_dict'][name], average[name]) for name in average)


def test_a_file_without_an_average_starts_one_from_its_weights():
    content, hook = Run().train(4).checkpoint(), EMAHook(momentum=0.3, warm_up=1)
    run = Run(hook, seed=99).resume(content)
    assert same(hook.average, parameters(run)) and same(weights(run), bits(content['state_dict']))


def test_a_file_with_running_statistics_in_its_average_resumes_a_run_without_and_the_other_way_round():
    full, bare = ExpMomentumEMAHook(momentum=0.3, total_iter=1), EMAHook(momentum=0.3, warm_up=1)
    of_full, of_bare = Run(full).train(4), Run(bare).train(4)
    hook = EMAHook()
    resumed = Run(hook, seed=99).resume(of_full.checkpoint())
    assert same(weights(resumed), weights(of_full)) and same(hook.average, {name: full.average[name] for name in hook.average})
    hook = ExpMomentumEMAHook()
    resumed = Run(hook, seed=99).resume(of_bare.checkpoint())
    assert same(weights(resumed), weights(of_bare))
    assert same(hook.average, {name: bare.average.get(name, weights(of_bare)[name]) for name in hook.average})


def test_a_run_that_loads_the_learning_weights_itself_resumes_the_same():
    hook, other = EMAHook(momentum=0.3, warm_up=1), EMAHook(momentum=0.3, warm_up=1)
    unbroken, content = Run(hook).train(7), Run(EMAHook(momentum=0.3, warm_up=1)).train(4).checkpoint()
    run = Run(other, seed=99)
    run.network.load_state_dict(learning_weights(content))
    run.optimizer.load_state_dict(content['optimizer'])
    run.iter = 4
    run.call('after_load_checkpoint', content)
    run.train(3)
    assert same(weights(run), weights(unbroken)) and same(other.average, hook.average)


@pytest.mark.parametrize('damage', [lambda state: state.update(other=torch.zeros(1)),
                                    lambda state: state.update({'first.bias': torch.zeros(1)})])
def test_learning_weights_of_another_network_are_refused(damage):
    content = Run(EMAHook()).train(1).checkpoint()
    damage(content['training_state_dict'])
    with pytest.raises(CheckpointError, match=r'training_state_dict: .* of shape \(1,\) does not fit the network'):
        Run(EMAHook()).resume(content)


# MMCV's files


def test_a_resumed_mmcv_file_goes_on_with_its_average():
    source, hook = Run().train(3), EMAHook()
    averages = {name: torch.full_like(value, 7.0) for name, value in source.network.named_parameters()}
    state = source.network.state_dict()  # MMCV's `ema_*` buffers hold what learns, after its exchange
    buffers = {f"ema_{name.replace('.', '_')}": state[name] for name in averages}
    content = {'state_dict': {**state, **averages, **buffers}, 'optimizer': source.optimizer.state_dict(), 'meta': {'iter': 3}}
    run = Run(hook, seed=99).resume(separated(content))
    assert same(weights(run), weights(source)) and same(hook.average, averages)


# Arguments


def test_what_the_hook_is_to_resume_from_the_run_must_be_resumed_from():
    hook = EMAHook(resume_from='work_dirs/old/latest.pth')
    with pytest.raises(ConfigError, match=r"EMAHook: resume_from 'work_dirs/old/latest.pth': this run starts anew"):
        Run(hook).train(1)
    content = Run(EMAHook()).train(2).checkpoint()
    Run(EMAHook(resume_from='work_dirs/old/latest.pth')).resume(content).train(1)


def test_an_average_says_its_momentum():
    with pytest.raises(NotImplementedError):
        Run(WeightAveragingHook(0.1, interval=1, resume_from=None, buffers=False)).train(1)
