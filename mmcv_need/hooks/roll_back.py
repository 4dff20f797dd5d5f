"""Takes a run that cannot learn any more back to its last good checkpoint, and lets it go on from there."""
from __future__ import annotations

import os
from functools import partial
from typing import Any, Dict, Optional

from mmcv_need.arguments import is_number
from mmcv_need.checkpoint import Loaded, latest_first, read
from mmcv_need.dist_utils import gather_plain, on_rank_0
from mmcv_need.errors import ConfigError, DivergedError
from mmcv_need.hooks.checkpoint import CheckpointHook
from mmcv_need.hooks.hook import HOOKS, Hook
from mmcv_need.hooks.schedules.lr_cycles import OneCycleLrUpdaterHook
from mmcv_need.run_state import roll_back
from mmcv_need.update_watch import LIMIT


@HOOKS.register_module()
class RollBackHook(Hook):
    """When `after` updates in a row were left out, or the run would be given up, what was learnt is that of a checkpoint again.

    That is the latest one that was written while updates were made, and can be read; if none was written since the last time,
    the one before that, as far as there is one. Weights, averages, the optimizer's memory and the loss scale are the
    checkpoint's. The place in the run goes on, so the batches that could not be learnt from do not come again, and neither do
    those since the checkpoint. All processes do so together.

    Args:
        after: updates left out in a row.
        times: how often in a run; then it ends with an error, as it does without this hook.
        lr_factor: of the learning rate from then on, each time.
    """

    def __init__(self, after: int = 10, times: int = 3, lr_factor: float = 1.0):
        if not is_number(after, int) or not 1 <= after < LIMIT:
            raise ConfigError(f'after: expected 1 to {LIMIT - 1} updates in a row, not {after!r}')
        if not is_number(times, int) or times < 1:
            raise ConfigError(f'times: expected 1 or more, not {times!r}')
        if not is_number(lr_factor) or not 0 < lr_factor <= 1:
            raise ConfigError(f'lr_factor: expected a number above 0 and up to 1, not {lr_factor!r}')
        self.after, self.times, self.lr_factor = after, times, lr_factor
        self.done = 0
        self.used: Optional[int] = None  # iteration of the checkpoint that was used last
        self.at = 0  # iteration at which it was

    def check_run(self, runner: Any) -> None:
        if not _savers(runner):
            raise ConfigError('RollBackHook: nothing would be saved to go back to; it needs checkpoint_config, with '
                              'save_optimizer=True')
        if self.lr_factor != 1 and any(isinstance(hook, OneCycleLrUpdaterHook) for hook in runner.hooks):
            raise ConfigError(f'RollBackHook: lr_factor {self.lr_factor}: the rates of OneCycle do not follow from the '
                              f"optimizer's; leave it out, or choose another policy")

    def before_run(self, runner: Any) -> None:
        runner.watch.patient = True

    def after_train_iter(self, runner: Any) -> None:
        """Before anything is saved of the iteration, so that whoever goes on from there need not know of it.

        What counts is what is known when a step is made: a checkpoint in between may make more known, but not at every place.
        """
        watch = runner.watch
        if watch.made.iteration != runner.iter + 1:
            return
        if watch.left_out >= self.after or watch.lost:
            watch.look()  # the update of this iteration may have been a good one
            if watch.left_out >= self.after or watch.lost:
                self._roll_back(runner)

    def before_save_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None:
        lost = str(runner.watch.lost) if runner.watch.lost else None
        checkpoint['roll_back'] = {'done': self.done, 'used': self.used, 'at': self.at, 'lost': lost}

    def after_load_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None:
        state = checkpoint.get('roll_back', {})
        self.done, self.used, self.at = state.get('done', 0), state.get('used'), state.get('at', 0)
        runner.watch.lost = DivergedError(state['lost']) if state.get('lost') else None

    def _roll_back(self, runner: Any) -> None:
        watch, now = runner.watch, runner.iter + 1
        why = str(watch.lost or f'iteration {now}: {watch.left_out} updates in a row were left out')
        if self.done >= self.times:
            raise DivergedError(f'{why}. The run was rolled back {self.done} times already (RollBackHook.times)')
        chosen = on_rank_0(partial(self._choose, runner))
        path = gather_plain(chosen.path if chosen else None, runner.device)[0]
        if path is None:
            raise DivergedError(f'{why}. There is no checkpoint to go back to')
        checkpoint = chosen.content if chosen else read(path).content
        roll_back(runner, path, checkpoint)
        for group in runner.optimizer.optimizer.param_groups:
            group.update({name: group[name] * self.lr_factor for name in ('lr', 'initial_lr') if name in group})
        self.done, self.used, self.at = self.done + 1, checkpoint['meta']['iter'], now
        watch.left_out, watch.lost = 0, None
        rate = f', the rate is {self.lr_factor:g} times what it was' if self.lr_factor != 1 else ''
        runner.logger.warning('%s. Rolled back (%d of %d times) to %s, of iteration %d; the run goes on after iteration %d%s',
                              why, self.done, self.times, path, self.used, now, rate)

    def _choose(self, runner: Any) -> Optional[Loaded]:
        """The checkpoint to go back to; None without any."""
        again = None
        for loaded in latest_first(sorted({os.path.realpath(hook.folder(runner)) for hook in _savers(runner)})):
            if not loaded.content.get('left_out'):
                written = loaded.content['meta']['iter']
                if self.used is None or written > self.at or written < self.used:
                    return loaded
                again = loaded if again is None or written == self.used else again
        return again


def _savers(runner: Any) -> Any:
    return [hook for hook in runner.hooks if isinstance(hook, CheckpointHook) and hook.save_optimizer]
