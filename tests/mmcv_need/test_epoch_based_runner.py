"""The loop: what is called when, where it stops, and that a resumed run is the unbroken run."""
from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from mmcv_need.builder import build_optimizer
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import CheckpointError, ConfigError
from mmcv_need.hooks import CheckpointHook, DistSamplerSeedHook, Hook, StepLrUpdaterHook
from mmcv_need.optimizer import OptimizerStep

CPU = torch.device('cpu')
ITERS, EPOCHS = 5, 4


class Net(torch.nn.Module):
    """A network with what a step depends on: weights, running statistics, random numbers."""
    def __init__(self, width=3):
        super().__init__()
        self.first = torch.nn.Linear(2, width)
        self.norm = torch.nn.BatchNorm1d(width)
        self.drop = torch.nn.Dropout(0.3)
        self.last = torch.nn.Linear(width, 1)

    def forward(self, return_loss, img):
        return {'loss_a': self.last(self.drop(self.norm(self.first(img)))).square()}

    def summarize_losses(self, losses, num_samples):
        loss = losses['loss_a'].sum()
        return {'loss': loss, 'log_vars': {'loss': loss.detach()}, 'num_samples': num_samples}


class Loader:
    """Batches in an order that follows from the epoch; remembers what it gave out."""
    def __init__(self):
        self.given, self.epoch, self.skip = [], 0, 0

    def set_epoch(self, epoch, skip=0):
        self.epoch, self.skip = epoch, skip

    def __len__(self):
        return ITERS

    def __iter__(self):
        order = np.random.default_rng([3, self.epoch]).permutation(ITERS)
        for index in order[self.skip:]:
            self.given.append((self.epoch, int(index)))
            rng = np.random.default_rng([self.epoch, index])
            yield {'img': torch.from_numpy(rng.normal(size=(4, 2)).astype(np.float32))}


class At(Hook):
    """Does something at a moment."""

    def __init__(self, moment, act):
        setattr(self, moment, act)


class Recorder(Hook):
    """Writes down every call with the place in the run."""

    def __init__(self, name='', calls=None):
        self.name, self.calls = name, [] if calls is None else calls

    def __getattribute__(self, moment):
        if moment.startswith(('check_', 'before_', 'after_')):
            return lambda runner, *given: self.calls.append((self.name, moment, runner.epoch, runner.iter, runner.inner_iter))
        return super().__getattribute__(moment)


def make_runner(folder, width=3, seed=0, **settings):
    torch.manual_seed(seed)
    model = MMDataParallel(Net(width), CPU)
    config = {'optimizer': {'type': 'SGD', 'lr': 0.05, 'momentum': 0.9, 'weight_decay': 1e-3}}
    optimizer = build_optimizer(model.module, config)
    settings = {'max_epochs': EPOCHS, **settings}
    return EpochBasedRunner(model=model, optimizer=OptimizerStep(optimizer, {'max_norm': 5.0}), device=CPU,
                            work_dir=str(folder), logger=logging.Logger('runner'), **settings)


def full_runner(folder, by_epoch=True, interval=1, **settings):
    runner = make_runner(folder, **settings)
    runner.register_hook(StepLrUpdaterHook(step=[2], warmup='linear', warmup_iters=7, warmup_ratio=0.1))
    runner.register_hook(CheckpointHook(interval=interval, by_epoch=by_epoch))
    runner.register_hook(DistSamplerSeedHook())
    return runner


def state(runner):
    """Everything that the next step depends on, as bytes."""
    optimizer = runner.optimizer.optimizer.state_dict()
    tensors = [*runner.model.module.state_dict().values(), torch.get_rng_state(),
               *(entry['momentum_buffer'] for entry in optimizer['state'].values())]
    return [str(optimizer['param_groups'])] + [tensor.numpy().tobytes() for tensor in tensors]


# Calls


def test_hooks_are_called_around_run_epochs_and_iterations(tmp_path):
    runner, hook = make_runner(tmp_path, max_epochs=2), Recorder()
    runner.register_hook(hook)
    runner.run([[{'img': torch.ones(4, 2)}] * 2])
    assert [call[1:] for call in hook.calls] == [  # moment, epoch, iter, inner_iter
        ('check_run', 0, 0, 0), ('before_run', 0, 0, 0),
        ('before_train_epoch', 0, 0, 0), ('before_train_iter', 0, 0, 0), ('after_train_iter', 0, 0, 0),
        ('before_train_iter', 0, 1, 1), ('after_train_iter', 0, 1, 1), ('after_train_epoch', 0, 2, 2),
        ('before_train_epoch', 1, 2, 0), ('before_train_iter', 1, 2, 0), ('after_train_iter', 1, 2, 0),
        ('before_train_iter', 1, 3, 1), ('after_train_iter', 1, 3, 1), ('after_train_epoch', 1, 4, 2),
        ('after_run', 2, 4, 0)]


def test_hooks_run_by_priority_and_ties_in_the_order_of_registration(tmp_path):
    runner, calls = make_runner(tmp_path), []
    for name, priority in (('log', 'VERY_LOW'), ('a', 'NORMAL'), ('first', 'highest'), ('b', 50), ('low', 'Low'), ('c', None),
                           ('high', 30), ('last', 100)):
        hook = Recorder(name, calls)
        runner.register_hook(hook) if priority is None else runner.register_hook(hook, priority)
    runner.call_hook('before_run')
    assert [call[0] for call in calls] == ['first', 'high', 'a', 'b', 'c', 'low', 'log', 'last']


@pytest.mark.parametrize('priority', [-1, 101, 'URGENT', 5.5])
def test_an_impossible_priority_is_refused(tmp_path, priority):
    with pytest.raises(ConfigError, match='neither a number from 0 to 100 nor one of HIGHEST'):
        make_runner(tmp_path).register_hook(Hook(), priority)


def test_general_moments_stand_for_the_special_ones(tmp_path):
    class Counting(Hook):
        def __init__(self):
            self.seen = []

        def before_epoch(self, runner):
            self.seen.append('epoch')

        def after_iter(self, runner):
            self.seen.append('iter')
    runner, hook = make_runner(tmp_path, max_epochs=1), Counting()
    runner.register_hook(hook)
    runner.run([[{'img': torch.ones(4, 2)}] * 2])
    assert hook.seen == ['epoch', 'iter', 'iter']


def test_validation_epochs_of_a_workflow_do_not_learn_and_do_not_count(tmp_path):
    runner, hook = make_runner(tmp_path, max_epochs=2), Recorder()
    runner.register_hook(hook)
    batches = [{'img': torch.ones(4, 2)}] * 2
    runner.run([batches, batches], [('train', 1), ('val', 1)])
    moments = [call[1] for call in hook.calls]
    assert moments.count('after_val_epoch') == 2 and moments.count('after_val_iter') == 4
    assert (runner.epoch, runner.iter) == (2, 4)


def test_a_validation_epoch_is_left_when_the_run_is_asked_to_stop_and_is_done_anew_by_whoever_goes_on(tmp_path):
    runner, hook = make_runner(tmp_path, max_epochs=2), Recorder()
    runner.register_hook(hook)
    runner.register_hook(At('after_val_iter', lambda run: setattr(run.wish, 'number', 15)))
    runner.run([[{'img': torch.ones(4, 2)}] * 3] * 2, [('train', 1), ('val', 1)])
    assert [call[1] for call in hook.calls if 'after_val' in call[1]] == ['after_val_iter']
    assert (runner.epoch, runner.iter, runner.inner_iter, runner.complete) == (1, 3, 0, False)
    assert runner._place_in(['train', 'val']) == 1  # the validation


def test_the_model_is_in_training_mode_again_after_an_evaluation(tmp_path):
    runner, seen = make_runner(tmp_path, max_epochs=2), []
    runner.register_hook(At('after_train_epoch', lambda run: run.model.eval()))
    runner.register_hook(At('before_train_iter', lambda run: seen.append(run.model.module.training)))
    runner.run([[{'img': torch.ones(4, 2)}]])
    assert seen == [True, True]


# Steps


@pytest.mark.parametrize('steps', [1, 4, 5, 6, 11, ITERS * EPOCHS])
def test_max_steps_stops_after_exactly_so_many(tmp_path, steps):
    runner, loader = full_runner(tmp_path, max_steps=steps), Loader()
    runner.run([loader])
    assert runner.iter == steps and len(loader.given) == steps


def test_more_steps_than_epochs_have_change_nothing(tmp_path):
    runner, loader = full_runner(tmp_path, max_steps=1000), Loader()
    runner.run([loader])
    assert (runner.iter, runner.epoch) == (ITERS * EPOCHS, EPOCHS) == (runner.max_iters, runner.max_epochs)


@pytest.mark.parametrize('cumulative', [1, 2, 4, 7])
def test_a_step_is_the_textbooks_and_an_accumulated_one_that_of_mmcvs_hook(tmp_path, cumulative):
    runner, twin = make_runner(tmp_path, max_epochs=1), make_runner(tmp_path).model.module
    runner.optimizer.cumulative_iters, batches = cumulative, [{'img': torch.randn(4, 2)} for _ in range(6)]
    runner.model.module.drop.p = twin.drop.p = 0.0
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    whole = 6 // cumulative * cumulative  # iterations of complete windows; the rest is averaged over what there is
    for i, batch in enumerate(batches):
        (twin(True, batch['img'])['loss_a'].sum() / (cumulative if i < whole else 6 - whole)).backward()
        if (i + 1) % cumulative == 0 or i == 5:
            norm = torch.nn.utils.clip_grad_norm_(twin.parameters(), 5.0)
            optimizer.step()
            optimizer.zero_grad()
    runner.run([batches])
    for ours, expected in zip(runner.model.module.parameters(), twin.parameters()):
        torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-7)  # ours is torch's fused update, which may round once
    assert runner.log_buffer.average(1)['grad_norm'] == pytest.approx(float(norm), rel=1e-6)


def test_without_clipping_no_norm_is_computed(tmp_path):
    runner = make_runner(tmp_path, max_epochs=1)
    runner.optimizer.grad_clip = None
    runner.run([[{'img': torch.ones(4, 2)}]])
    assert list(runner.log_buffer.average()) == ['loss']


@pytest.mark.parametrize('resumable', [True, False])
@pytest.mark.parametrize('moment, iteration, done, epoch', [
    ('after_train_iter', 0, 1, 0), ('after_train_iter', 6, 7, 1), ('before_train_iter', 6, 7, 1),
    ('after_train_iter', 4, 5, 1),  # with the epoch's last iteration comes its end
    ('after_train_epoch', 10, 10, 2)])
def test_a_hook_may_stop_the_run_after_what_is_going_on(tmp_path, moment, iteration, done, epoch, resumable):
    runner, hook, loader = make_runner(tmp_path), Recorder(), Loader()
    runner.register_hook(At(moment, lambda run: run.stop('enough', resumable) if run.iter == iteration else None))
    runner.register_hook(hook)
    runner.run([loader])
    moments = [call[1] for call in hook.calls]
    assert (runner.iter, runner.epoch, len(loader.given)) == (done, epoch, done)
    assert moments.count('after_train_iter') == done and moments.count('after_train_epoch') == epoch
    assert moments[-1] == 'after_run' and moments.count('after_run') == 1
    assert (runner.stopped, runner.finished, runner.complete) == ('enough', True, not resumable)


def test_a_run_that_ends_by_itself_is_complete_and_was_not_stopped(tmp_path):
    whole, cut = make_runner(tmp_path), make_runner(tmp_path, max_steps=3)
    for runner in (whole, cut):
        runner.run([Loader()])
        assert runner.complete and runner.stopped is None
    assert (whole.finished, cut.finished) == (False, True)


def test_hooks_see_the_batch_of_the_iteration_and_what_came_of_it(tmp_path):
    runner, seen, batches = make_runner(tmp_path, max_epochs=1), [], [{'img': torch.ones(n, 2)} for n in (2, 3)]
    runner.register_hook(At('before_train_iter', lambda run: seen.append(run.batch)))
    runner.register_hook(At('after_train_iter', lambda run: seen.extend([run.batch, run.outputs['num_samples']])))
    runner.run([batches])
    assert seen[0] is seen[1] is batches[0] and seen[3] is seen[4] is batches[1] and seen[2::3] == [2, 3]


# Resuming


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
    """A run with a checkpoint after every iteration and every epoch: folder, state at its end, batches."""
    folder = tmp_path_factory.mktemp('unbroken')
    runner, loader = full_runner(folder, by_epoch=False), Loader()
    runner.register_hook(CheckpointHook(interval=1))
    runner.run([loader])
    return folder, state(runner), loader.given


@pytest.mark.parametrize('name', ['iter_1', 'iter_4', 'iter_5', 'epoch_1', 'iter_6', 'iter_13', 'epoch_3', 'iter_20',
                                  'epoch_4'])
def test_a_resumed_run_goes_on_exactly_where_the_other_was(tmp_path, unbroken, name):
    folder, end, batches = unbroken
    runner, loader = full_runner(tmp_path, seed=99), Loader()
    runner.resume(str(folder / f'{name}.pth'))
    done = int(name[5:]) if name.startswith('iter') else int(name[6:]) * ITERS
    assert runner.iter == done
    runner.run([loader])
    assert loader.given == batches[done:]
    assert (runner.epoch, runner.iter) == (EPOCHS, EPOCHS * ITERS)
    assert state(runner) == end


def test_what_follows_an_epoch_is_done_after_resuming_at_its_last_iteration(tmp_path, unbroken):
    runner = full_runner(tmp_path)
    runner.resume(str(unbroken[0] / 'iter_10.pth'))
    runner.run([Loader()])
    assert (tmp_path / 'epoch_2.pth').exists() and not (tmp_path / 'epoch_1.pth').exists()


@pytest.mark.parametrize('name, moments', [('epoch_2', 1), ('epoch_4', 1), ('iter_7', 1), ('iter_10', 1), (None, 0)])
def test_hooks_hear_once_of_a_run_that_goes_on(tmp_path, unbroken, name, moments):
    """What else belonged to that moment, such as an evaluation, came after the checkpoint, and may be missing."""
    runner, hook = make_runner(tmp_path), Recorder()
    runner.register_hook(hook)
    runner.register_hook(DistSamplerSeedHook())
    if name:
        runner.resume(str(unbroken[0] / f'{name}.pth'))
    runner.run([Loader()])
    assert [call[1] for call in hook.calls].count('after_resume') == moments
    if moments:
        assert [call[1] for call in hook.calls][:3] == ['after_load_checkpoint', 'check_run', 'before_run']


@pytest.mark.parametrize('name, expected', [
    (None, 'ttvttv'), ('iter_3', 'ttvttv'), ('epoch_1', 'tvttv'), ('iter_7', 'tvttv'), ('epoch_2', 'vttv'), ('iter_12', 'ttv'),
    ('epoch_3', 'tv'), ('epoch_4', 'v')])
def test_a_resumed_run_goes_on_in_its_place_of_the_workflow(tmp_path, unbroken, name, expected):
    runner, hook = make_runner(tmp_path), Recorder()
    runner.register_hook(hook)
    runner.register_hook(DistSamplerSeedHook())
    if name:
        runner.resume(str(unbroken[0] / f'{name}.pth'))
    runner.run([Loader(), Loader()], [('train', 2), ('val', 1)])
    begun = [call[1] for call in hook.calls if call[1] in ('before_train_epoch', 'before_val_epoch')]
    assert ''.join(moment[len('before_')] for moment in begun) == expected


def test_a_resumed_run_counts_its_steps_from_the_beginning(tmp_path, unbroken):
    runner, loader = full_runner(tmp_path, max_steps=9), Loader()
    runner.resume(str(unbroken[0] / 'iter_7.pth'))
    runner.run([loader])
    assert runner.iter == 9 and len(loader.given) == 2


def test_a_finished_run_does_nothing_more(tmp_path, unbroken):
    runner, loader = full_runner(tmp_path), Loader()
    runner.resume(str(unbroken[0] / 'epoch_4.pth'))
    runner.run([loader])
    assert loader.given == [] and state(runner) == unbroken[1]


def test_a_checkpoint_whose_parameters_had_other_names_in_another_order_goes_on_to_the_same_end(tmp_path, unbroken):
    folder, end, batches = unbroken
    content = torch.load(folder / 'epoch_1.pth', weights_only=True)
    names = [name for name, _ in Net().named_parameters()]
    weights, states = content['state_dict'], content['optimizer']['state']
    content['state_dict'] = {f'old.{name}': weights[name] for name in reversed(list(weights))}
    content['optimizer']['state'] = {len(names) - 1 - i: entry for i, entry in states.items()}
    del content['optimizer']['param_groups'][0]['param_names']
    torch.save(content, tmp_path / 'old.pth')
    runner, loader = full_runner(tmp_path, seed=99), Loader()
    runner.model.module.current_key = lambda key: key.replace('old.', '')
    runner.resume(str(tmp_path / 'old.pth'))
    runner.run([loader])
    assert loader.given == batches[ITERS:] and state(runner) == end


# What cannot be resumed


def refused(runner, path, words):
    with pytest.raises(CheckpointError, match=words) as error:
        runner.resume(str(path))
    assert '\n' not in str(error.value)
    assert str(path) in str(error.value)


def test_a_checkpoint_of_another_network_is_refused(tmp_path, unbroken):
    refused(make_runner(tmp_path, width=4), unbroken[0] / 'epoch_1.pth', 'made for another model')


def test_a_file_of_weights_only_is_refused_with_what_it_is_good_for(tmp_path):
    path = tmp_path / 'weights.pth'
    weights = Net().state_dict()
    for content in (weights, {'state_dict': weights, 'meta': {'epoch': 1, 'iter': 5}},
                    {'state_dict': weights, 'optimizer': {}}):
        torch.save(content, path)
        refused(make_runner(tmp_path), path,
                r'holds no training state to resume from\. .*--cfg-options load_from=.* and another --work-dir')


@pytest.mark.parametrize('name, refuses', [('iter_7', True), ('epoch_1', False)])
def test_a_place_within_an_epoch_of_other_batches_is_refused(tmp_path, unbroken, name, refuses):
    class Longer(Loader):
        def __len__(self):
            return ITERS + 1
    runner = full_runner(tmp_path)
    runner.resume(str(unbroken[0] / f'{name}.pth'))
    if refuses:
        with pytest.raises(CheckpointError, match=r'after 2 of 5 iterations of an epoch, which now has 6.*epoch_N\.pth'):
            runner.run([Longer()])
    else:
        runner.run([Longer()])


def test_an_optimizer_state_that_does_not_fit_is_refused(tmp_path, unbroken):
    content = torch.load(unbroken[0] / 'epoch_1.pth', weights_only=True)
    content['optimizer']['param_groups'][0]['params'].pop()
    torch.save(content, tmp_path / 'odd.pth')
    refused(make_runner(tmp_path), tmp_path / 'odd.pth', 'the optimizer state does not fit this optimizer')


def test_an_epoch_that_max_steps_completes_has_its_checkpoint_and_one_that_it_cuts_has_not(tmp_path):
    full_runner(tmp_path / 'whole', max_steps=2 * ITERS).run([Loader()])
    full_runner(tmp_path / 'cut', max_steps=2 * ITERS - 1).run([Loader()])
    assert (tmp_path / 'whole' / 'epoch_2.pth').exists() and not (tmp_path / 'whole' / 'epoch_3.pth').exists()
    assert (tmp_path / 'cut' / 'epoch_1.pth').exists() and not (tmp_path / 'cut' / 'epoch_2.pth').exists()


@pytest.mark.parametrize('steps', [0, -1])
def test_a_run_of_no_steps_is_refused(tmp_path, steps):
    with pytest.raises(ConfigError, match='1 or more'):
        full_runner(tmp_path, max_steps=steps)
