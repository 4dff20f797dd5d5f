"""RollBackHook: what a run goes back to, what goes on, how often, and what an interruption does to it."""
from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from mmcv_need.checkpoint import read_checkpoint, save_checkpoint
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import ConfigError, DivergedError
from mmcv_need.hooks import (
    CheckInvalidLossHook,
    CheckpointHook,
    DistSamplerSeedHook,
    EMAHook,
    EvalHook,
    FixedLrUpdaterHook,
    Hook,
    OneCycleLrUpdaterHook,
    RollBackHook,
)
from mmcv_need.optim.loss_scale import LossScale
from mmcv_need.optimizer import OptimizerStep

CPU = torch.device('cpu')
ITERS = 10  # of an epoch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 2)

    def forward(self, img, return_loss, add):
        return {'loss': self.layer(img).square().sum(dim=1) + add}

    @staticmethod
    def summarize_losses(losses, num_samples):
        loss = losses['loss'].mean()
        return {'loss': loss, 'log_vars': {'loss': loss.detach()}, 'num_samples': num_samples}


class Loader:
    """Batches of an epoch, without names; the losses of those in `bad`, counted from 0 over the run, are no numbers."""

    def __init__(self, bad=()):
        self.bad, self.epoch, self.skip, self.given = set(bad), 0, 0, []

    def set_epoch(self, epoch, skip=0):
        self.epoch, self.skip = epoch, skip

    def __len__(self):
        return ITERS

    def __iter__(self):
        for i in range(self.epoch * ITERS + self.skip, (self.epoch + 1) * ITERS):
            self.given.append(i)
            generator = torch.Generator().manual_seed(i)
            yield {'img': torch.randn(4, 3, generator=generator), 'add': torch.tensor(math.nan if i in self.bad else 0.0)}


class Keep(Hook):
    """Remembers the weights after each iteration, as its very last."""

    def __init__(self):
        self.weights, self.rates = {}, {}

    def between_iters(self, runner):
        self.weights[runner.iter + 1] = [value.clone() for value in runner.model.module.state_dict().values()]
        self.rates[runner.iter + 1] = runner.current_lr()[0]


@pytest.fixture
def make(tmp_path, make_logger):
    """Makes a runner, with `said` and `keep`, in a folder of `tmp_path`."""
    def runner_of(*hooks, epochs=4, folder='run', saving=None, scale=None, **settings):
        logger, model = make_logger(), MMDataParallel(Net(), CPU)
        step = OptimizerStep(torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9),
                             loss_scale=LossScale(scale, CPU) if scale else None, **settings)
        runner = EpochBasedRunner(epochs, model=model, optimizer=step, device=CPU, work_dir=str(tmp_path / folder),
                                  logger=logger)
        runner.said, runner.keep = logger.said, Keep()
        saver = CheckpointHook(interval=5, by_epoch=False, minutes=None) if saving is None else saving
        for hook in (FixedLrUpdaterHook(), saver, DistSamplerSeedHook(), *hooks):
            runner.register_hook(hook)
        runner.register_hook(runner.keep, 'LOWEST')
        return runner
    return runner_of


def same(these, those):
    return all(torch.equal(a, b) for a, b in zip(these, those))


def rolled(runner):
    return [line for line in runner.said if 'Rolled back' in line]


def test_a_run_goes_back_to_its_weights_and_on_with_its_data(make, tmp_path):
    """Three bad updates, of iterations 13 to 15 as people count; the host hears of the third in the 16th."""
    runner, loader = make(RollBackHook(after=3)), Loader(bad=(12, 13, 14))
    runner.run([loader])
    weights, path = runner.keep.weights, tmp_path / 'run/iter_10.pth'
    assert rolled(runner) == []  # the 16th update was a good one
    runner, loader = make(RollBackHook(after=3), folder='again'), Loader(bad=(12, 13, 14, 15))
    runner.run([loader])
    weights, path = runner.keep.weights, tmp_path / 'again/iter_10.pth'
    assert rolled(runner) == [f'iteration 16: 4 updates in a row were left out. Rolled back (1 of 3 times) to {path}, of '
                              f'iteration 10; the run goes on after iteration 16']
    assert same(weights[16], weights[10]) and not same(weights[15], weights[10])
    assert loader.given == list(range(40)) and runner.iter == 40
    state = read_checkpoint(str(path))['optimizer']['state']
    assert runner.keep.rates[17] == 0.01 and not same(weights[17], weights[16])
    first = read_checkpoint(str(tmp_path / 'again/iter_20.pth'))
    assert first['left_out'] == 0 and first['roll_back'] == {'done': 1, 'used': 10, 'at': 16, 'lost': None}
    assert not torch.equal(first['optimizer']['state'][0]['momentum_buffer'], state[0]['momentum_buffer'])


def test_momentum_and_loss_scale_are_those_of_the_checkpoint(make, tmp_path):
    """What comes after is what a run makes that has the checkpoint's state there, and the batches from 16 on."""
    settings = dict(scale={'init_scale': 1024.0, 'growth_interval': 4})
    runner, loader = make(RollBackHook(after=2), **settings), Loader(bad=range(12, 15))
    runner.run([loader])
    assert [line.split('to ')[1].split(',')[0] for line in rolled(runner)] == [str(tmp_path / 'run/iter_10.pth')]
    other = make(folder='other', **settings)
    checkpoint = read_checkpoint(str(tmp_path / 'run/iter_10.pth'))
    checkpoint['meta'].update(iter=15, epoch=1, inner_iter=5)
    other.resume('file', checkpoint)
    other.run([Loader()])
    assert same(runner.keep.weights[40], other.keep.weights[40])
    assert runner.optimizer.loss_scale.scale == other.optimizer.loss_scale.scale


def test_the_average_goes_back_too(make):
    runner = make(EMAHook(), RollBackHook(after=2))
    runner.run([Loader(bad=(12, 13, 14))])
    before, = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
    twin = make(EMAHook(), folder='twin')
    checkpoint = read_checkpoint(f'{runner.work_dir}/iter_10.pth')
    checkpoint['meta'].update(iter=15, epoch=1, inner_iter=5)
    twin.resume('file', checkpoint)
    twin.run([Loader()])
    after, = (hook for hook in twin.hooks if isinstance(hook, EMAHook))
    assert len(rolled(runner)) == 1 and same(before.average.values(), after.average.values())


@pytest.mark.parametrize('scheduled', [True, False])
def test_the_rate_is_lowered_each_time_and_stays_so_after_an_interruption(make, tmp_path, scheduled):
    hook = RollBackHook(after=2, lr_factor=0.5)
    bad = [*range(12, 15), *range(22, 25)]
    runner = make(hook)
    if not scheduled:
        runner._hooks = [entry for entry in runner._hooks if not isinstance(entry[1], FixedLrUpdaterHook)]
    runner.run([Loader(bad)])
    assert [runner.keep.rates[i] for i in (12, 14, 16, 24, 26, 40)] == [0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025]
    assert rolled(runner)[1].endswith('the run goes on after iteration 25, the rate is 0.5 times what it was')
    for stop in (15, 20, 30):
        rest = make(RollBackHook(after=2, lr_factor=0.5), folder=f'rest {stop}')
        if not scheduled:
            rest._hooks = [entry for entry in rest._hooks if not isinstance(entry[1], FixedLrUpdaterHook)]
        rest.resume(str(tmp_path / f'run/iter_{stop}.pth'))
        Path(rest.work_dir).mkdir()
        for path in sorted((tmp_path / 'run').glob('iter_*.pth')):  # what was there then
            if int(path.stem.split('_')[1]) <= stop:
                (Path(rest.work_dir) / path.name).write_bytes(path.read_bytes())
        rest.run([Loader(bad)])
        assert same(rest.keep.weights[40], runner.keep.weights[40]) and rest.keep.rates[40] == 0.0025


def test_without_a_newer_checkpoint_the_one_before_is_taken_as_far_as_there_is_one(make, tmp_path):
    runner = make(RollBackHook(after=1, times=4), saving=CheckpointHook(interval=5, by_epoch=False, minutes=None))
    runner.run([Loader(bad=range(10, 18))])
    used = [line.split('iter_')[1].split('.')[0] for line in rolled(runner)]
    assert used == ['10', '5', '5', '5']


def test_files_that_are_damaged_or_not_finite_or_of_the_bad_stretch_are_passed_over(make, tmp_path):
    class Meddle(Hook):
        def before_train_iter(self, runner):
            if runner.iter == 22:
                (tmp_path / 'run/iter_20.pth').write_bytes(b'damaged')
                checkpoint = read_checkpoint(str(tmp_path / 'run/iter_15.pth'))
                checkpoint['optimizer']['state'][0]['momentum_buffer'][0] = math.inf
                save_checkpoint(checkpoint, str(tmp_path / 'run/iter_15.pth'))
    runner = make(RollBackHook(after=6), Meddle())
    with pytest.warns(UserWarning, match='passed over') as warned:
        runner.run([Loader(bad=range(22, 29))])
    assert len(rolled(runner)) == 1 and '/iter_10.pth' in rolled(runner)[0]
    assert read_checkpoint(str(tmp_path / 'run/iter_25.pth'))['left_out'] > 0
    said = sorted(str(warning.message).split(str(tmp_path))[1] for warning in warned)
    assert said[0] == '/run/iter_15.pth: optimizer.state.0.momentum_buffer (3 of 6 numbers) is not finite'
    assert said[1].startswith('/run/iter_20.pth: not a checkpoint')


def test_after_so_many_times_the_run_ends(make, tmp_path):
    runner = make(RollBackHook(after=2, times=2))
    with pytest.raises(DivergedError, match=r'^iteration 21: 3 updates in a row were left out[.] The run was rolled back 2 '
                                            r'times already [(]RollBackHook.times[)]$'):
        runner.run([Loader(bad=range(12, 40))])
    assert len(rolled(runner)) == 2


def test_without_a_checkpoint_there_is_nothing_to_go_back_to(make):
    runner = make(RollBackHook(after=2))
    with pytest.raises(DivergedError, match=r'There is no checkpoint to go back to$'):
        runner.run([Loader(bad=range(5))])


def test_a_checkpoint_that_would_not_be_finite_is_rolled_back_from_after_the_next_step(make, tmp_path):
    class Spoil(Hook):
        def after_train_iter(self, runner):
            if runner.iter == 19:
                runner.model.module.layer.bias.data[0] = math.nan
    runner = make(Spoil(), RollBackHook(lr_factor=0.1))
    runner.run([Loader()])
    assert rolled(runner)[0].startswith(f'{tmp_path}/run/iter_20.pth: not written after iteration 20: layer.bias (1 of 2 ')
    assert '/run/iter_15.pth, of iteration 15; the run goes on after iteration 21' in rolled(runner)[0]
    assert not (tmp_path / 'run/iter_20.pth').exists() and (tmp_path / 'run/iter_40.pth').exists()
    assert [line[:40] for line in runner.said if 'left out' in line] == ['iteration 21: its loss is not finite, so'[:40]]
    assert runner.watch.lost is None


def test_one_that_is_found_at_the_end_ends_the_run_with_an_error(make, tmp_path):
    class Spoil(Hook):
        def after_train_epoch(self, runner):
            if runner.epoch == 3:
                runner.model.module.layer.bias.data[0] = math.nan
    runner = make(Spoil(), RollBackHook(), saving=CheckpointHook(interval=1, minutes=None))
    runner._hooks.sort(key=lambda entry: not isinstance(entry[1], Spoil))
    with pytest.raises(DivergedError, match=r'epoch_4.pth: not written after iteration 40: layer.bias .*The last good '
                                            r'checkpoint is .*epoch_3.pth$'):
        runner.run([Loader()])


def test_a_best_checkpoint_that_is_not_written_is_not_remembered_as_the_best(make, tmp_path):
    class Spoil(Hook):
        def before_evaluation(self, runner):
            if runner.epoch == 1:
                runner.model.module.layer.bias.data[0] = math.nan
    scores = iter([0.1, 0.4, 0.2, 0.1])
    best = EvalHook(lambda runner: {'bbox_mAP': next(scores)}, save_best='bbox_mAP')
    runner = make(Spoil(), best, RollBackHook(after=1))
    runner.run([Loader()])
    assert [path.name for path in (tmp_path / 'run').glob('best_*')] == ['best_bbox_mAP_epoch_3.pth']
    assert len(rolled(runner)) == 1


def test_a_loss_that_is_looked_at_is_rolled_back_from_at_once(make):
    runner = make(CheckInvalidLossHook(interval=1), RollBackHook(after=49))
    runner.run([Loader(bad=(12,))])
    line, = rolled(runner)
    assert line.startswith('epoch 2, iteration 3 (13 of the run): the loss is not finite: loss nan.')
    assert 'The last good checkpoint is ' in line and line.endswith('goes on after iteration 13')


def test_a_scale_that_has_sunk_is_that_of_the_checkpoint_again(make):
    """Two bad ones of three: fewer in a row than the hook waits for."""
    runner = make(RollBackHook(after=3), scale={'init_scale': 2.0}, epochs=6)
    runner.run([Loader(bad=[i for i in range(20, 45) if i % 3])])
    assert 'the loss scale has sunk to' in rolled(runner)[0] and len(rolled(runner)) == 1
    assert runner.optimizer.loss_scale.scale.item() > 2.0 ** -9


def test_a_step_that_is_accumulated_begins_anew(make):
    runner = make(RollBackHook(after=1), cumulative_iters=3)
    runner.run([Loader(bad=(14, 16))])  # within steps of iterations 12 to 14 and 15 to 17
    assert [line.split()[1] for line in rolled(runner)] == ['18:'] and runner.iter == 40
    assert all(value.isfinite().all() for value in runner.keep.weights[40])


@pytest.mark.parametrize('given, told', [
    (dict(after=0), r'after: expected 1 to 49 updates in a row, not 0'), (dict(after=50), 'after: expected 1 to 49'),
    (dict(times=0), 'times: expected 1 or more, not 0'), (dict(lr_factor=0), 'lr_factor: expected a number above 0'),
    (dict(lr_factor=2.0), 'up to 1, not 2.0')])
def test_settings_that_mean_nothing_are_refused(given, told):
    with pytest.raises(ConfigError, match=told):
        RollBackHook(**given)


def test_a_run_that_could_not_be_rolled_back_is_refused(make):
    for saving in (CheckpointHook(save_optimizer=False), Hook()):
        with pytest.raises(ConfigError, match='nothing would be saved to go back to'):
            make(RollBackHook(), saving=saving).run([Loader()])
    with pytest.raises(ConfigError, match=r'lr_factor 0.5: the rates of OneCycle'):
        make(OneCycleLrUpdaterHook(max_lr=0.1), RollBackHook(lr_factor=0.5)).run([Loader()])
    make(OneCycleLrUpdaterHook(max_lr=0.01), RollBackHook(), epochs=1).run([Loader()])


WORKER = '''
import json, logging, os, sys
import torch
import torch.distributed as dist

sys.path.insert(0, sys.argv[1])
from mmcv_need import dist_utils
from mmcv_need.distributed import MMDistributedDataParallel
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.hooks import CheckpointHook, RollBackHook
from mmcv_need.optimizer import OptimizerStep

dist_utils.init_dist('pytorch', 'gloo')
rank, size = dist_utils.get_dist_info()
said = []
logger = logging.Logger('run')
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logger.addHandler(handler)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.norm = torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)

    def forward(self, img, return_loss, img_metas, add):
        return {'loss': self.norm(self.layer(img)).sub(1).square().sum(dim=1) + add}

    @staticmethod
    def summarize_losses(losses, num_samples):
        loss = losses['loss'].mean()
        return {'loss': loss, 'log_vars': {'loss': loss.detach()}, 'losses': losses, 'num_samples': num_samples}


def batch(i):
    """On rank 1 a picture of batch 3, and of each from 12 to 15, has a loss that is none, without a gradient."""
    generator, add = torch.Generator().manual_seed(100 * i + rank), torch.zeros(4)
    if rank == 1 and i in (3, 12, 13, 14, 15):
        add[2] = float('nan')
    return {'img': torch.randn(4, 3, generator=generator), 'add': add,
            'img_metas': [{'ori_filename': f'{i}_{rank}_{k}.jpg'} for k in range(4)]}


model = MMDistributedDataParallel(Net(), torch.device('cpu'))
step = OptimizerStep(torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), buffers=model.module.buffers())
runner = EpochBasedRunner(1, model=model, optimizer=step, device=torch.device('cpu'), work_dir=sys.argv[2], logger=logger)
runner.register_hook(CheckpointHook(interval=10, by_epoch=False, minutes=None))
runner.register_hook(RollBackHook(after=3))
weights = {}
step_of = runner.train_iter


def train_iter(batch):
    outputs = step_of(batch)
    weights[runner.iter + 1] = sum((p.detach().double() * (i + 1)).sum().item() for i, p in enumerate(model.parameters()))
    return outputs


runner.train_iter = train_iter
runner.run([[batch(i) for i in range(24)]])
json.dump({'weights': weights, 'said': said}, open(f'{sys.argv[2]}/{rank}.json', 'w'))
dist_utils.leave_dist()
'''


def test_two_processes_leave_out_and_roll_back_together_what_only_one_of_them_sees(tmp_path, in_two_processes):
    in_two_processes(WORKER, tmp_path)
    first, second = (json.loads((tmp_path / f'{rank}.json').read_text()) for rank in range(2))
    weights = {int(i): value for i, value in first['weights'].items()}
    assert first['weights'] == second['weights'] and all(map(math.isfinite, weights.values()))
    assert weights[4] == weights[3] != weights[5] and weights[13] == weights[12] == weights[15] == weights[16]
    warnings = [line for line in first['said'] if 'left out' in line]
    assert warnings[0] == ('iteration 4: the loss of rank 1 is not finite, so its update was left out; see '
                           'bad_updates/iter_4_rank_1.json. Pictures: 3_1_2.jpg')
    assert [line.split(':')[0] for line in warnings][:5] == [f'iteration {i}' for i in (4, 13, 14, 15, 16)]
    back, = (line for line in first['said'] if 'Rolled back' in line)
    assert f'{tmp_path}/iter_10.pth, of iteration 10; the run goes on after iteration 16' in back
    records = {rank: json.loads((tmp_path / f'bad_updates/iter_4_rank_{rank}.json').read_text()) for rank in (0, 1)}
    assert [[row['file'] for row in records[rank]['pictures'] if row['suspect']] for rank in (0, 1)] == [[], ['3_1_2.jpg']]
    assert records[1]['losses'] == [{'loss': 'nan'}] and records[1]['pictures'][0]['losses'] == {'loss': 'nan'}
