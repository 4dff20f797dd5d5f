"""Numbers that are none, injected into runs one way after another: each is caught before it reaches weights or a checkpoint.

A run that met one ends at the bits of the run that never did.
"""
from __future__ import annotations

import json
from functools import partial
from typing import Any, Callable, NamedTuple, Optional

import pytest
import torch

from mmcv_need.checkpoint import find_latest, read_checkpoint
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import DivergedError
from mmcv_need.hooks import CheckpointHook, EMAHook, Hook
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.precision import Precision
from mmcv_need.torch_versions import has

CPU = torch.device('cpu')
NAN, INF = float('nan'), float('inf')
BAD = 3  # iteration of an injection, counted from 0
HALF = has('float16 on the CPU')


class Net(torch.nn.Module):
    """What a detector is to the engine, with running statistics."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.last = torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 2)

    def forward(self, img, return_loss, img_metas, add, weight, gt_bboxes, gt_labels):
        """`add` is added to the losses without a gradient, `weight` multiplies them."""
        out = self.last(torch.relu(self.norm(self.first(img)))).float()
        return {'loss_cls': out.square().sum(dim=1) * weight + add, 'loss_bbox': (out - gt_bboxes[:, 0, :2]).abs().sum(dim=1)}

    @staticmethod
    def summarize_losses(losses, num_samples):
        log_vars = {name: loss.sum() for name, loss in losses.items()}
        total = log_vars['loss'] = sum(log_vars.values())
        return {'loss': total, 'log_vars': {name: value.detach() for name, value in log_vars.items()},
                'losses': {name: loss.detach() for name, loss in losses.items()}, 'num_samples': num_samples}


def batch_of(i):
    generator = torch.Generator().manual_seed(i)
    labels = torch.full((4, 8), -1)
    labels[:, :2] = 1
    return {'img': torch.randn(4, 4, generator=generator), 'add': torch.zeros(4), 'weight': torch.ones(4),
            'gt_bboxes': torch.rand(4, 8, 4, generator=generator), 'gt_labels': labels,
            'img_metas': [{'ori_filename': f'{i}_{k}.jpg', 'img_id': 10 * i + k} for k in range(4)]}


def put(name, index, value):
    """Changes a batch."""
    def inject(runner, batch):
        batch[name][index] = value
    return inject


def in_gradient(value):
    """A gradient that is no number, of a loss that is one."""
    def inject(runner, batch):
        weight = runner.model.module.first.weight
        handle = weight.register_hook(lambda gradient: handle.remove() or gradient.index_fill(0, torch.tensor([1]), value))
    return inject


def in_statistics(runner, batch):
    """As if the statistics of a batch overflowed, while what is computed of them does not."""
    norm = runner.model.module.norm

    def spoil(module, given, output):
        handle.remove()
        module.running_var.data[2] = INF  # backward still has what it needs
    handle = norm.register_forward_hook(spoil)


class Case(NamedTuple):
    """An injection, the precision it meets, and whether a loss shows it, and of which pictures."""
    inject: Callable[[Any, Any], None]
    level: str = 'O0'
    scale: Any = None
    dtype: str = 'float16'
    suspects: Optional[list] = None


LEFT_OUT = {
    'a NaN picture': Case(put('img', (1, 0), NAN), suspects=[0, 1, 2, 3]),  # a norm spreads it over the batch
    'an infinite picture': Case(put('img', (1, 0), INF), suspects=[0, 1, 2, 3]),
    'a NaN box': Case(put('gt_bboxes', (2, 0, 0), NAN), suspects=[2]),
    'a NaN loss without a gradient': Case(put('add', 1, NAN), suspects=[1]),
    'an infinite loss without a gradient': Case(put('add', 3, INF), suspects=[3]),
    'a loss of infinite weight': Case(put('weight', 0, INF), suspects=[0]),
    'a NaN gradient of a finite loss': Case(in_gradient(NAN)),
    'an infinite gradient of a finite loss': Case(in_gradient(-INF)),
    'statistics that overflow': Case(in_statistics),
    'a NaN picture, O1 bfloat16': Case(put('img', (1, 0), NAN), 'O1', dtype='bfloat16', suspects=[0, 1, 2, 3]),
    'a NaN picture, O2 bfloat16': Case(put('img', (1, 0), NAN), 'O2', dtype='bfloat16', suspects=[0, 1, 2, 3]),
    **({'a NaN picture, O1 with a fixed scale': Case(put('img', (1, 0), NAN), 'O1', 8.0, suspects=[0, 1, 2, 3]),
        'a NaN loss, O1 with a dynamic scale': Case(put('add', 1, NAN), 'O1', {'init_scale': 8.0}, suspects=[1]),
        'a NaN box, O2 with a dynamic scale': Case(put('gt_bboxes', (2, 0, 0), NAN), 'O2', {'init_scale': 8.0}, suspects=[2]),
        'a gradient that overflows, O2 with a fixed scale': Case(in_gradient(INF), 'O2', 8.0)} if HALF else {})}


class Injecting(Hook):
    """Injects before iterations, counted from 0."""

    def __init__(self, inject, at):
        self.inject, self.at = inject, at

    def before_train_iter(self, runner):
        if runner.iter in self.at:
            self.inject(runner, runner.batch)


CLEAN = Case(None)


@pytest.fixture
def make_runner(make_logger):
    """Makes the runner of a case, whose `said` are the lines logged."""
    def make(folder, case=CLEAN, at=(), hooks=(), epochs=1, may_wait=None, optimizer='SGD', **settings):
        logger, precision = make_logger(), Precision(CPU, case.level, case.dtype, case.scale)
        model = MMDataParallel(Net(), CPU, precision=precision)
        options = {'momentum': 0.9} if optimizer == 'SGD' else {}
        step = OptimizerStep(getattr(torch.optim, optimizer)(model.parameters(), lr=0.01, **options), {'max_norm': 5.0},
                             precision.loss_scale, buffers=model.module.buffers(), may_wait=may_wait, **settings)
        runner = EpochBasedRunner(epochs, model=model, optimizer=step, device=CPU, work_dir=str(folder), logger=logger)
        for hook in (*([Injecting(case.inject, at)] if case.inject else []), *hooks):
            runner.register_hook(hook)
        runner.said = logger.said
        return runner
    return make


def learnt(runner):
    return [value.clone() for value in runner.model.module.state_dict().values()]


def same(these, those):
    return all(torch.equal(a, b) for a, b in zip(these, those))


@pytest.mark.parametrize('may_wait', [True, False])
@pytest.mark.parametrize('name', LEFT_OUT)
def test_an_injection_is_left_out_whole_told_and_written_down(name, may_wait, tmp_path, make_runner):
    case = LEFT_OUT[name]
    runner, clean = (make_runner(tmp_path / folder, one, at=(BAD,), may_wait=may_wait)
                     for folder, one in (('run', case), ('clean', case._replace(inject=None))))
    runner.run([[batch_of(i) for i in range(8)]])
    clean.run([[batch_of(i) for i in range(8) if i != BAD]])
    if case.scale is None or not isinstance(case.scale, dict):
        assert same(learnt(runner), learnt(clean))
    assert all(value.isfinite().all() for value in learnt(runner))
    warning, = [line for line in runner.said if 'left out' in line]
    cause = 'gradients are' if case.suspects is None else 'loss is'
    assert warning.startswith(f'iteration {BAD + 1}: its {cause} not finite, so its update was left out')
    assert warning.endswith('Pictures: ' + ', '.join(f'{BAD}_{k}.jpg' for k in case.suspects or range(4)))
    record = json.loads((tmp_path / f'run/bad_updates/iter_{BAD + 1}_rank_0.json').read_text())
    assert [(row['file'], row['id']) for row in record['pictures'] if row['suspect']] == [
        (f'{BAD}_{k}.jpg', 10 * BAD + k) for k in case.suspects or ()]


@pytest.mark.skipif(not HALF, reason='this torch has no float16 on the CPU')
@pytest.mark.parametrize('level', ['O1', 'O2'])
def test_a_gradient_that_overflows_is_no_news_with_a_dynamic_scale_and_nothing_is_written_down(level, tmp_path, make_runner):
    runner = make_runner(tmp_path, Case(in_gradient(INF), level, {'init_scale': 8.0}), at=(BAD,))
    runner.run([[batch_of(i) for i in range(8)]])
    assert [line for line in runner.said if 'left out' in line] == [
        f'iteration {BAD + 1}: its gradients are not finite, so its update was left out; the loss scale is 4 now. Pictures: '
        + ', '.join(f'{BAD}_{k}.jpg' for k in range(4))]
    assert not (tmp_path / 'bad_updates').exists()


@pytest.mark.skipif(not HALF, reason='this torch has no float16 on the CPU')
@pytest.mark.parametrize('init, count, last', [(2048.0, 12, 0.5), (8.0, 11, 2 ** -8)])
def test_a_loop_of_overflows_ends_the_run_when_the_scale_has_sunk_although_some_updates_are_made(
        init, count, last, tmp_path, make_runner):
    """Never two in a row: counting those would go on for ever."""
    case = Case(in_gradient(INF), 'O1', {'init_scale': init})
    runner = make_runner(tmp_path, case, at=range(1, 1000, 2))
    with pytest.raises(DivergedError, match=f'^iteration {2 * count}: the loss scale has sunk to {last:g}, and still its '
                                            f'gradients are not finite[.] .*O0[.] No checkpoint .*; see .*/iter_{2 * count}_'):
        runner.run([[batch_of(i) for i in range(60)]])
    assert len(list((tmp_path / 'bad_updates').iterdir())) == 1  # what the last was computed of


@pytest.mark.parametrize('optimizer', ['SGD', 'AdamW'])
@pytest.mark.parametrize('stop', [4, 5, 6])
def test_a_run_that_is_interrupted_within_a_step_that_will_be_left_out_goes_on_to_the_same_bits(
        stop, optimizer, tmp_path, make_runner):
    """Steps of 3 iterations; only a loss without a gradient, and running statistics, say that the second is bad."""
    for number, case in enumerate((Case(put('add', 1, NAN)), Case(in_statistics))):
        make = partial(make_runner, case=case, at=(BAD,), optimizer=optimizer, cumulative_iters=3)
        whole = make(tmp_path / f'{number} whole', hooks=[CheckpointHook(interval=1, by_epoch=False)])
        whole.run([[batch_of(i) for i in range(9)]])
        assert len([line for line in whole.said if 'left out' in line]) == 1
        path = tmp_path / f'{number} whole/iter_{stop}.pth'
        assert all(value.isfinite().all() for value in read_checkpoint(str(path))['state_dict'].values())
        rest = make(tmp_path / f'{number} rest')
        rest.resume(str(path))
        rest.run([Rest([batch_of(i) for i in range(9)], stop)])
        assert same(learnt(rest), learnt(whole)) and len([line for line in rest.said if 'left out' in line]) == (stop < 6)


class Rest(list):
    """The batches of an epoch, of which a resumed run takes what it has not had."""

    def __init__(self, batches, done):
        super().__init__(batches)
        self.done = done

    def __iter__(self):
        return iter(self[self.done:])


# Checkpoints


def spoil_weight(runner):
    runner.model.module.last.weight.data[1, 3] = NAN


def spoil_statistics(runner):
    runner.model.module.norm.running_mean[5] = -INF


def spoil_momentum(runner):
    runner.optimizer.optimizer.state[runner.model.module.first.bias]['momentum_buffer'][0] = NAN


def spoil_average(runner):
    ema = next(hook for hook in runner.hooks if isinstance(hook, EMAHook))
    ema.average['first.weight'][0, 0] = INF


class Spoiling(Hook):
    """Spoils something when an epoch's iterations are done."""

    def __init__(self, spoil, epoch):
        self.spoil, self.epoch = spoil, epoch

    def after_train_iter(self, runner):
        if runner.epoch == self.epoch and self.end_of_epoch(runner):
            self.spoil(runner)


POISON = {'a NaN weight': (spoil_weight, r'training_state_dict\.last\.weight \(1 of 16 numbers\)'),
          'infinite statistics': (spoil_statistics, r'norm\.running_mean \(1 of 8 numbers\)'),
          'a NaN momentum': (spoil_momentum, r'optimizer\.state\.\d\.momentum_buffer \(1 of 8 numbers\)'),
          'an infinite average': (spoil_average, r'first\.weight \(1 of 32 numbers\)')}


@pytest.mark.parametrize('name', POISON)
def test_what_holds_such_numbers_is_never_written_and_older_files_stay(name, tmp_path, make_runner):
    spoil, named = POISON[name]
    hooks = [EMAHook(), Spoiling(spoil, epoch=2), CheckpointHook(interval=1, max_keep_ckpts=1)]
    runner = make_runner(tmp_path, hooks=hooks, epochs=5)
    with pytest.raises(DivergedError, match=f'^{tmp_path}/epoch_3.pth: not written after iteration 12: {named} is not '
                                            f'finite[.] .* The last good checkpoint is {tmp_path}/epoch_2.pth$') as error:
        runner.run([[batch_of(i) for i in range(4)]])
    assert '\n' not in str(error.value)
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['epoch_2.pth', 'latest.pth']
    assert find_latest(str(tmp_path)).content['meta']['iter'] == 8
