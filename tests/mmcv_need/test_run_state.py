"""A run's state in a checkpoint: an interrupted run ends as the unbroken one, to the bit; any level goes on at any other."""
from __future__ import annotations

import copy
import logging
import random

import numpy as np
import pytest
import torch

from mmcv_need.builder import build_optimizer
from mmcv_need.checkpoint import read_checkpoint
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import CheckpointError
from mmcv_need.hooks import DistSamplerSeedHook, Hook
from mmcv_need.optim import masked_step
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.precision import Precision
from mmcv_need.run_state import checkpoint_of
from mmcv_need.torch_versions import has

CPU = torch.device('cpu')
ITERS, EPOCHS = 4, 2
LEVELS = [('O0', 'float16')]
if has('float16 on the CPU'):  # older ones compute in half on accelerators only
    LEVELS += [('O1', 'bfloat16'), ('O2', 'bfloat16'), ('O1', 'float16'), ('O2', 'float16')]
SCALE = {'init_scale': 64.0, 'growth_interval': 2}


class Net(torch.nn.Module):
    """What a step may depend on: weights, running statistics, random numbers."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = torch.nn.Linear(2, 6), torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 1)
        self.drop = torch.nn.Dropout(0.3)

    def forward(self, return_loss, img, factor):
        return {'loss': self.last(self.drop(self.norm(self.first(img)))).float().square() * factor}

    @staticmethod
    def summarize_losses(losses, num_samples):
        loss = losses['loss'].mean()
        return {'loss': loss, 'log_vars': {'loss': loss.detach()}, 'num_samples': num_samples}


class Loader:
    """Batches with noise of Python's and numpy's generators; the gradients of some, counted over all epochs, are no numbers."""

    def __init__(self, bad=()):
        self.bad, self.epoch, self.skip = bad, 0, 0

    def set_epoch(self, epoch, skip=0):
        self.epoch, self.skip = epoch, skip

    def __len__(self):
        return ITERS

    def __iter__(self):
        for index in range(self.skip, ITERS):
            rng = np.random.default_rng([self.epoch, index])
            img = rng.normal(size=(5, 2)) + 0.1 * np.random.randn(5, 2) + 0.1 * random.random()
            factor = float('nan') if self.epoch * ITERS + index in self.bad else 1.0
            yield {'img': torch.from_numpy(img.astype(np.float32)), 'factor': factor}


class Keeping(Hook):
    """Keeps a checkpoint after each iteration, by their number, and after each epoch."""

    def __init__(self):
        self.kept = {}

    def after_train_iter(self, runner):
        self.keep(runner, runner.iter + 1, epoch=runner.epoch, iter=runner.iter + 1, inner_iter=runner.inner_iter + 1)

    def after_train_epoch(self, runner):
        number = runner.epoch + 1
        self.keep(runner, f'epoch {number}', epoch=number, iter=runner.iter, inner_iter=0)

    def keep(self, runner, name, **place):
        self.kept[name] = copy.deepcopy(checkpoint_of(runner, place, True))


def make_runner(folder, level='O0', dtype='float16', seed=0, optimizer='SGD', scale=SCALE, **settings):
    for generator in (random.seed, np.random.seed, torch.manual_seed):
        generator(seed)
    precision = Precision(CPU, level, dtype, scale if level != 'O0' and dtype == 'float16' else None)
    model = MMDataParallel(Net(), CPU, precision=precision)
    options = {'momentum': 0.9} if optimizer == 'SGD' else {}
    made = build_optimizer(model.module, {'optimizer': {'type': optimizer, 'lr': 0.05, 'weight_decay': 1e-3, **options}})
    step = OptimizerStep(made, {'max_norm': 1.0}, precision.loss_scale, **settings)
    runner = EpochBasedRunner(EPOCHS, model=model, optimizer=step, device=CPU, work_dir=str(folder),
                              logger=logging.Logger('run'), meta={'seed': 0})
    runner.register_hook(DistSamplerSeedHook())
    return runner


def run(runner, bad=()):
    """Run to the end; all checkpoints."""
    keeping = Keeping()
    runner.register_hook(keeping)
    runner.run([Loader(bad)])
    return keeping.kept


def content(value):
    """A checkpoint's content without the clock, so that == compares all of it to the bit."""
    if isinstance(value, dict):
        return {key: content(item) for key, item in value.items() if key != 'time'}
    if isinstance(value, (list, tuple)):
        return [content(item) for item in value]
    return (str(value.dtype), tuple(value.shape), value.numpy().tobytes()) if isinstance(value, torch.Tensor) else repr(value)


RUNS = [{}, {'optimizer': 'Adam'}, {'may_wait': False}, {'cumulative_iters': 3}, {'cumulative_iters': 3, 'may_wait': False}]
RUNS += [{'level': level, 'dtype': dtype} for level, dtype in LEVELS[1:]]
RUNS += [{**run, 'cumulative_iters': 3, 'may_wait': False} for run in RUNS[-1:]]
RUNS += [pytest.param({'may_wait': False, 'optimizer': 'NAdam'}, marks=pytest.mark.newer_torch)]


@pytest.mark.parametrize('bad', [(), (1, 3, 6)], ids=['all good', 'some left out'])
@pytest.mark.parametrize('settings', RUNS, ids=lambda run: ' '.join(map(str, run.values())) or 'plain')
def test_a_run_that_goes_on_from_any_checkpoint_ends_as_if_it_had_never_stopped(tmp_path, settings, bad, monkeypatch):
    """All of each later checkpoint: weights, statistics, optimizer, loss scale, generators, values for the log."""
    # As beside an accelerator: what an optimizer counts is on the host, which hears later of a step that was left out.
    monkeypatch.setattr(masked_step, 'on_device', lambda value, weight: isinstance(value, torch.Tensor) and value.dim() > 0)
    kept = run(make_runner(tmp_path, **settings), bad)
    expected = {name: content(checkpoint) for name, checkpoint in kept.items()}
    assert len({repr(checkpoint['state_dict']) for checkpoint in expected.values()}) > 2
    for name in (1, 3, 4, 'epoch 1', 7):  # within accumulations, between them, before and after what ends an epoch
        runner = make_runner(tmp_path, seed=99, **settings)
        runner.resume('file', kept[name])
        for later, checkpoint in run(runner, bad).items():
            assert content(checkpoint) == expected[later], (name, later)


def test_gradients_stand_in_a_checkpoint_only_while_they_are_accumulated(tmp_path):
    kept = run(make_runner(tmp_path, cumulative_iters=3))
    assert [name for name, checkpoint in kept.items() if 'open_step' in checkpoint] == [1, 2, 4, 'epoch 1', 5, 7]


def test_where_a_file_does_not_say_whose_momentum_is_whose_it_begins_anew_and_a_line_says_so(tmp_path):
    """As of another program with groups of its own: weights and place go on, settings are the config's."""
    kept = copy.deepcopy(run(make_runner(tmp_path))['epoch 1'])
    groups = kept['optimizer']['param_groups']
    assert len(groups) == 1 and len(groups[0]['params']) == 6
    rest = {name: value for name, value in groups[0].items() if name not in ('params', 'param_names')}
    kept['optimizer']['param_groups'] = [{**rest, 'lr': 9.0, 'params': [0, 1]}, {**rest, 'lr': 9.0, 'params': [2, 3, 4, 5]}]
    runner, said = make_runner(tmp_path, seed=99), []
    runner.logger.warning = lambda text, *rest: said.append(text % rest)
    runner.resume('theirs.pth', kept)
    (line,) = said
    assert line.startswith("theirs.pth: the optimizer begins anew, without the checkpoint's momentum: it is of 6 parameters")
    assert not runner.optimizer.optimizer.state and runner.optimizer.optimizer.param_groups[0]['lr'] == 0.05
    assert (runner.epoch, runner.iter) == (1, ITERS)
    assert all(torch.equal(value, kept['state_dict'][key]) for key, value in runner.model.module.state_dict().items())


# Levels


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A checkpoint after three iterations at each level, by level and kind of half."""
    paths = {}
    for level, dtype in LEVELS:
        folder = tmp_path_factory.mktemp(f'{level}_{dtype}')
        runner = make_runner(folder, level, dtype)
        runner.max_steps = 3
        runner.run([Loader()])
        paths[level, dtype] = runner.save_checkpoint('iter_3.pth', epoch=0, iteration=3, inner_iter=3)
    return paths


def described(level):
    return ' '.join(level)


@pytest.mark.parametrize('level', LEVELS, ids=described)
def test_a_checkpoint_holds_float32_at_every_level_and_loads_as_data(files, level):
    checkpoint = read_checkpoint(files[level])
    weights = {key: value for key, value in checkpoint['state_dict'].items() if value.is_floating_point()}
    moments = [entry['momentum_buffer'] for entry in checkpoint['optimizer']['state'].values()]
    assert {value.dtype for value in (*weights.values(), *moments)} == {torch.float32} and len(moments) == 6
    assert not any(torch.equal(value, value.bfloat16().float()) for key, value in weights.items() if key.endswith('weight'))
    assert ('loss_scaler' in checkpoint) == (level[0] != 'O0' and level[1] == 'float16')
    if has('torch.load with weights_only'):
        torch.load(files[level], weights_only=True)


@pytest.mark.parametrize('after', LEVELS, ids=described)
@pytest.mark.parametrize('before', LEVELS, ids=described)
def test_a_run_goes_on_at_any_level_from_a_checkpoint_of_any_other(tmp_path, files, before, after):
    checkpoint, runner = read_checkpoint(files[before]), make_runner(tmp_path, *after, seed=7)
    runner.resume(files[before])
    assert content(runner.model.module.state_dict()) == content(checkpoint['state_dict'])
    assert content(runner.optimizer.optimizer.state_dict()['state']) == content(checkpoint['optimizer']['state'])
    scale = runner.optimizer.loss_scale
    assert (scale is None) == (after[0] == 'O0' or after[1] == 'bfloat16')
    if scale is not None:
        assert scale.scale.item() == (128.0 if 'loss_scaler' in checkpoint else 64.0)  # it grew after two steps
    runner.run([Loader()])
    exact = make_runner(tmp_path)
    exact.run([Loader()])
    for value, expected in zip(runner.model.module.parameters(), exact.model.module.parameters()):
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, expected, rtol=0, atol=0.03)


@pytest.mark.skipif(len(LEVELS) == 1, reason='this torch has no float16 on the CPU')
@pytest.mark.parametrize('scale, expected', [('dynamic', 2048.0), (512.0, 512.0)])
def test_mmcvs_checkpoints_bring_their_loss_scale_for_one_that_is_dynamic(tmp_path, files, scale, expected):
    checkpoint = {key: value for key, value in read_checkpoint(files['O0', 'float16']).items() if key != 'ranks'}
    state = {'scale': 2048.0, 'growth_factor': 2.0, 'backoff_factor': 0.5, 'growth_interval': 2000, '_growth_tracker': 7}
    checkpoint['meta'] = {'epoch': 1, 'iter': 4, 'fp16': {'loss_scaler': state}}
    torch.save(checkpoint, tmp_path / 'mmcv.pth')
    runner = make_runner(tmp_path, 'O2', 'float16', scale=scale)
    runner.resume(str(tmp_path / 'mmcv.pth'))
    assert runner.optimizer.loss_scale.scale.item() == expected
    assert (runner.epoch, runner.iter, runner.inner_iter) == (1, 4, 0)


@pytest.mark.skipif(len(LEVELS) == 1, reason='this torch has no float16 on the CPU')
def test_mmengines_checkpoints_bring_their_loss_scale(tmp_path, files):
    checkpoint = {key: value for key, value in read_checkpoint(files['O0', 'float16']).items() if key != 'ranks'}
    checkpoint['optimizer'] = {**checkpoint['optimizer'], 'loss_scaler': {'scale': 2048.0, '_growth_tracker': 7},
                               'base_param_settings': {'params': torch.zeros(1), 'lr': 0.05}}
    runner = make_runner(tmp_path, 'O1', 'float16', scale='dynamic')
    runner.resume('file', {**checkpoint, 'meta': {'epoch': 1, 'iter': 4}})
    assert runner.optimizer.loss_scale.scale.item() == 2048.0


# What else there is


def test_how_many_updates_in_a_row_were_left_out_is_remembered(tmp_path):
    kept = run(make_runner(tmp_path), bad=(2, 3, 4))
    assert [kept[name]['left_out'] for name in (1, 2, 3, 4, 5, 6)] == [0, 0, 1, 2, 3, 0]
    runner = make_runner(tmp_path)
    runner.resume('file', kept[5])
    assert runner.watch.left_out == 3


def test_a_step_that_was_accumulated_among_other_batches_begins_anew(tmp_path):
    """Epochs of 4 and then of 3: the run goes on after epoch 1, at iteration 3, where a step of 4 has one iteration left."""
    kept = run(make_runner(tmp_path, cumulative_iters=3))
    assert 'open_step' in kept['epoch 1']
    runner, loader = make_runner(tmp_path, cumulative_iters=4), Loader()
    runner.resume('file', kept['epoch 1'])
    loader.__class__ = type('Shorter', (Loader,), {'__len__': lambda self: 3})
    runner.max_steps, windows = 4, []
    window = runner.optimizer.window
    runner.optimizer.window = lambda *place: windows.append(window(*place)) or windows[-1]
    runner.run([loader])
    assert runner.iter == 4 and windows[0] == (True, True, 1.0)


WRONG = {
    'a place': lambda c: c['meta'].update(inner_iter='3'), 'meta': lambda c: c.update(meta=[1]),
    'no generators': lambda c: c.update(ranks=[{}]), 'empty generators': lambda c: c['ranks'][0].update(random={}),
    'a short generator': lambda c: c['ranks'][0]['random'].update(torch=[torch.zeros(5, dtype=torch.uint8)]),
    'values for the log': lambda c: c['ranks'][0].update(log_buffer=[1]),
    'the state of a hook': lambda c: c.update(remembering=[1]), 'an open step': lambda c: c.update(open_step=3),
    "MMCV's loss scale": lambda c: (c.pop('loss_scaler', None), c['meta'].update(fp16=5)),
    'weights that learn': lambda c: c.update(training_state_dict=5), 'left out': lambda c: c.update(left_out='many'),
    'a momentum of another shape': lambda c: c['optimizer']['state'][0].update(momentum_buffer=torch.zeros(2)),
    'a momentum that is text': lambda c: c['optimizer']['state'][0].update(momentum_buffer='much'),
    'a rate that is text': lambda c: c['optimizer']['param_groups'][0].update(initial_lr='0.1'),
    'no groups': lambda c: c.update(optimizer={'state': {}}), 'groups': lambda c: c['optimizer'].update(param_groups=3)}


@pytest.mark.parametrize('wrong', WRONG)
def test_a_training_state_that_makes_no_sense_is_an_error_in_a_line(tmp_path, files, wrong):
    checkpoint = copy.deepcopy(read_checkpoint(files['O0', 'float16']))
    WRONG[wrong](checkpoint)
    runner = make_runner(tmp_path, *LEVELS[-1])
    runner.register_hook(Remembering())
    with pytest.raises(CheckpointError) as error:
        runner.resume('file.pth', checkpoint)
    assert str(error.value).startswith('file.pth: ') and '\n' not in str(error.value)


class Remembering(Hook):
    """A hook that counts, and keeps its count over an interruption."""

    def __init__(self):
        self.count, self.loaded = 0, 0

    def after_train_iter(self, runner):
        self.count += 1

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint['remembering'] = {'count': self.count}

    def after_load_checkpoint(self, runner, checkpoint):
        self.loaded += 1
        self.count = checkpoint.get('remembering', {}).get('count', 0)


def test_hooks_keep_what_they_must_remember(tmp_path, files):
    first, second, third = Remembering(), Remembering(), Remembering()
    runner = make_runner(tmp_path)
    runner.register_hook(first)
    checkpoint = run(runner)[5]
    for hook, given in ((second, checkpoint), (third, read_checkpoint(files['O0', 'float16']))):
        runner = make_runner(tmp_path)
        runner.register_hook(hook)
        runner.resume('file', given)
    assert (second.count, second.loaded) == (5, 1) and (third.count, third.loaded) == (0, 1)


def test_a_checkpoint_says_of_what_and_where_it_is(files):
    meta = read_checkpoint(files['O0', 'float16'])['meta']
    assert {key: meta[key] for key in ('epoch', 'iter', 'inner_iter', 'epoch_len', 'seed')} == \
        {'epoch': 0, 'iter': 3, 'inner_iter': 3, 'epoch_len': ITERS, 'seed': 0} and isinstance(meta['time'], str)


def test_a_checkpoint_without_the_optimizer_is_of_weights_only(tmp_path):
    runner = make_runner(tmp_path)
    runner.data_loader = Loader()
    path = runner.save_checkpoint('weights.pth', epoch=0, iteration=0, inner_iter=0, save_optimizer=False)
    assert list(read_checkpoint(path)) == ['meta', 'state_dict']
    with pytest.raises(CheckpointError, match='holds no training state to resume from'):
        make_runner(tmp_path).resume(path)


def test_each_process_gets_its_own_generators_back(tmp_path, files):
    checkpoint = read_checkpoint(files['O0', 'float16'])
    states = []
    for seed in range(2):
        runner = make_runner(tmp_path, seed=seed)
        runner.data_loader = Loader()
        path = runner.save_checkpoint('own.pth', epoch=0, iteration=0, inner_iter=0)
        states += read_checkpoint(path)['ranks']
    checkpoint['ranks'] = states
    drawn = []
    for rank in range(3):  # a third process has nothing of its own there, and keeps what it was seeded with
        runner = make_runner(tmp_path, seed=9)
        runner.rank = rank
        runner.resume('file', checkpoint)
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    expected = []
    for seed in (0, 1, 9):
        make_runner(tmp_path, seed=seed)
        expected.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn == expected
