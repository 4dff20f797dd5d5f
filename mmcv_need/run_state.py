"""A run's state as a checkpoint, and back: what the next iteration depends on, exactly.

    meta          plain data: the run's, and the place: epoch, iter, inner_iter, epoch_len
    state_dict    weights and buffers, float32 at every level of precision; the average where there is one (averages.py)
    optimizer     its state_dict
    loss_scaler   of float16 runs
    open_step     of a step that is accumulated and not complete: gradients by name, buffers as they were when it began, its
                  first iteration, and whether its losses so far are sound
    left_out      how many updates in a row were left out because they were not finite
    ranks         for each process: its random generators, and its values for the next log line

Hooks add keys of their own.
"""
from __future__ import annotations

import time
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Mapping, Optional

import torch

from mmcv_need.averages import learning_weights, separated
from mmcv_need.checkpoint import meta_of
from mmcv_need.dist_utils import any_over_ranks, gather_plain
from mmcv_need.errors import CheckpointError, UserError
from mmcv_need.finiteness import first_not_finite
from mmcv_need.optim.optimizer_state import OrderUnknown, load_by_name
from mmcv_need.place_in_run import PlaceInRun, place_of
from mmcv_need.random_state import random_state, set_random_state
from mmcv_need.weights import current_weights, load_weights

# As what is wrong with a file shows: a tensor may be said to be larger than any memory, a count than any integer.
WRONG = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


def checkpoint_of(runner: Any, place: Mapping[str, int], save_optimizer: bool) -> Dict[str, Any]:
    """The checkpoint of a run. Every rank calls it, and all get the same.

    Args:
        runner: an EpochBasedRunner.
        place: epoch, iter and inner_iter: what is complete.
        save_optimizer: whether training can go on from it.
    """
    runner.watch.look()  # an optimizer's counts are right once the last update is known
    meta = {**runner.meta, **place, 'epoch_len': len(runner.data_loader), 'time': time.asctime()}
    weights = {key: value.cpu() for key, value in runner.model.module.state_dict().items()}
    checkpoint: Dict[str, Any] = {'meta': meta, 'state_dict': weights}
    if save_optimizer:
        step = runner.optimizer
        own = {'random': random_state(runner.device), 'log_buffer': runner.log_buffer.state()}
        checkpoint.update(optimizer=on_host(step.optimizer.state_dict()), ranks=gather_plain(own, runner.device),
                          left_out=runner.watch.left_out)
        if step.loss_scale:
            checkpoint['loss_scaler'] = step.loss_scale.state_dict()
        if place['iter'] < runner.max_iters and not step.window(place['iter'], runner.max_iters)[0]:
            checkpoint['open_step'] = _open_step(runner.model.module, step, place['iter'])
            if not checkpoint['open_step']['sound']:  # it will be left out, and its statistics with it
                weights.update(_buffers_before(runner.model.module, step, weights))
    runner.call_hook('before_save_checkpoint', checkpoint)
    return checkpoint


def _open_step(module: torch.nn.Module, step: Any, iteration: int) -> Dict[str, Any]:
    return {'gradients': {name: parameter.grad.cpu() for name, parameter in module.named_parameters()
                          if parameter.grad is not None},
            'buffers': [buffer.cpu() for buffer in step.buffers_before], 'begun': step.start_of(iteration),
            'sound': not bool(any_over_ranks(~step.sound()))}


def _buffers_before(module: torch.nn.Module, step: Any, names: Mapping[str, Any]) -> Dict[str, torch.Tensor]:
    """Buffers of these names as they were when the step began."""
    before = {id(buffer): value for buffer, value in zip(step.buffers, step.buffers_before)}
    return {name: before[id(buffer)].cpu() for name, buffer in module.named_buffers() if name in names and id(buffer) in before}


def on_host(state: Any) -> Any:
    """Nested dicts and lists with their tensors on the CPU, for a file that can be read without the device."""
    if isinstance(state, torch.Tensor):
        return state.cpu()
    if isinstance(state, dict):
        return {key: on_host(value) for key, value in state.items()}
    return [on_host(value) for value in state] if isinstance(state, list) else state


def restore(runner: Any, path: str, checkpoint: Mapping[str, Any]) -> PlaceInRun:
    """Bring a run to where a checkpoint was written.

    Args:
        runner: an EpochBasedRunner, made as for a new run.
        path: of the file, for errors.
        checkpoint: its content.

    Returns:
        Where it was written.

    Raises:
        CheckpointError: the file does not fit, has no training state, or one that makes no sense or is not finite.
    """
    meta = meta_of(checkpoint)
    if 'optimizer' not in checkpoint or not {'epoch', 'iter'} <= set(meta):
        raise CheckpointError(f'{path}: holds no training state to resume from. To start a new run from its weights, give '
                              f'--cfg-options load_from={path} and another --work-dir')
    place = place_of(meta, path)
    with _making_sense(path):
        checkpoint = separated(checkpoint)
        _restore_learning(runner, path, checkpoint)
        runner.epoch, runner.iter, runner.inner_iter = place[:3]
        _restore_rest(runner, checkpoint)
    return place


def roll_back(runner: Any, path: str, checkpoint: Mapping[str, Any]) -> None:
    """Bring what a run has learnt back to where one of its checkpoints was written, when an iteration's step is made.

    That is weights, averages, the optimizer's memory and the loss scale. The place in the run and among the data, random
    generators, rates and all else go on: the batches that it could not learn from do not come again. Every rank calls it.

    Args:
        runner: an EpochBasedRunner.
        path: of the file, for errors.
        checkpoint: its content.

    Raises:
        CheckpointError: see `restore`.
    """
    settings = [{key: value for key, value in group.items() if key != 'params'}
                for group in runner.optimizer.optimizer.param_groups]
    with _making_sense(path):
        checkpoint = separated(checkpoint)
        _restore_learning(runner, path, checkpoint, told=False)
        for group, own in zip(runner.optimizer.optimizer.param_groups, settings):
            group.update(own)
        runner.optimizer.begin(runner.iter + 1)
        runner.call_hook('after_roll_back', checkpoint)


@contextmanager
def _making_sense(path: str) -> Iterator[None]:
    """What is wrong with the content of a file, however it shows, is an error in a line."""
    try:
        yield
    except UserError:
        raise
    except WRONG as error:
        if 'OutOfMemory' in type(error).__name__:
            raise
        raise CheckpointError(f'{path}: its training state makes no sense ({type(error).__name__}: {error}). Use another '
                              f'checkpoint') from error


def _restore_learning(runner: Any, path: str, checkpoint: Mapping[str, Any], told: bool = True) -> None:
    """Weights, optimizer and loss scale; `told`: whether the log says which of the file's settings differ."""
    weights = learning_weights(checkpoint)
    load_weights(runner.model.module, weights, path, strict=True)
    _restore_optimizer(runner, path, checkpoint, weights, told)
    scaler = _loss_scaler(checkpoint)
    if runner.optimizer.loss_scale and scaler:
        runner.optimizer.loss_scale.load_state_dict(scaler)


def _restore_rest(runner: Any, checkpoint: Mapping[str, Any]) -> None:
    """Everything but what was learnt."""
    module, step = runner.model.module, runner.optimizer
    runner.watch.left_out = int(checkpoint.get('left_out', 0))
    ranks = checkpoint.get('ranks', [])
    if runner.rank < len(ranks):  # MMCV's files have none; processes that join now keep their own generators
        own = ranks[runner.rank]
        runner.log_buffer.load_state(own['log_buffer'])
        set_random_state(runner.device, own['random'])
    step.begin(runner.iter)
    if 'open_step' in checkpoint:
        begun = checkpoint['open_step']
        step.begun = begun.get('begun', 0)
        for name, parameter in module.named_parameters():
            if name in begun['gradients']:
                parameter.grad = begun['gradients'][name].to(parameter.device).reshape(parameter.shape)
        step.buffers_before = [buffer.to(own.device) for buffer, own in zip(begun['buffers'], step.buffers)]
        step.sound_losses = torch.tensor(bool(begun.get('sound', True)), device=runner.device)
    runner.call_hook('after_load_checkpoint', checkpoint)


def _loss_scaler(checkpoint: Mapping[str, Any]) -> Optional[Mapping[str, Any]]:
    """The loss scale's state, where MMCV (in `meta`) or MMEngine (in `optimizer`) may have put it, too."""
    found = checkpoint.get('loss_scaler') or (meta_of(checkpoint).get('fp16') or {}).get('loss_scaler')
    return found or checkpoint['optimizer'].get('loss_scaler')


def _restore_optimizer(runner: Any, path: str, checkpoint: Mapping[str, Any], weights: Mapping[str, Any], told: bool) -> None:
    module = runner.model.module
    scheduled = {setting for hook in runner.hooks for setting in getattr(hook, 'moves', ())}
    try:
        note = load_by_name(runner.optimizer.optimizer, checkpoint['optimizer'], current_weights(module, weights), module,
                            scheduled)
    except OrderUnknown as error:
        note = f"the optimizer begins anew, without the checkpoint's momentum: {error}"
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f'{path}: the optimizer state does not fit this optimizer ({error})') from error
    bad = first_not_finite({'optimizer': checkpoint['optimizer'], 'loss_scaler': _loss_scaler(checkpoint)})
    if bad:
        raise CheckpointError(f'{path}: {bad} is not finite. Use an older checkpoint')
    if note and told:
        runner.logger.warning('%s: %s', path, note)
