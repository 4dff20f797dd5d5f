"""What a hook can look at, and when."""
from __future__ import annotations

from typing import Any, Dict

from mmcv_need.registry import Registry

HOOKS = Registry('HOOKS')


class Hook:
    """Override the moments that matter; the runner comes as the argument.

    `check_run` comes before anything is written: a hook that cannot serve this run says so there, by a ConfigError.
    `between_iters` comes when all hooks are done with a training iteration, log lines included: a checkpoint written then is
    complete. `evaluated` comes when an evaluation is all done, its best checkpoint included; on ranks other than 0 there are no
    values. `after_roll_back` comes when what was learnt is that of a checkpoint again, and the run's place is not.
    `before_train_epoch` and its sisters default to the general `before_epoch`, as in MMCV. What a hook must
    remember over an interruption it puts into the checkpoint, as plain data and tensors; saving and loading happen on every
    rank.
    """

    def check_run(self, runner: Any) -> None: ...
    def before_run(self, runner: Any) -> None: ...
    def after_run(self, runner: Any) -> None: ...
    def before_epoch(self, runner: Any) -> None: ...
    def after_epoch(self, runner: Any) -> None: ...
    def before_iter(self, runner: Any) -> None: ...
    def after_iter(self, runner: Any) -> None: ...

    def between_iters(self, runner: Any) -> None: ...
    def after_resume(self, runner: Any) -> None: ...
    def before_evaluation(self, runner: Any) -> None: ...
    def after_evaluation(self, runner: Any) -> None: ...
    def evaluated(self, runner: Any, values: Dict[str, Any]) -> None: ...
    def before_save_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None: ...
    def after_load_checkpoint(self, runner: Any, checkpoint: Dict[str, Any]) -> None: ...
    def after_roll_back(self, runner: Any, checkpoint: Dict[str, Any]) -> None: ...

    def before_train_epoch(self, runner: Any) -> None:
        self.before_epoch(runner)

    def after_train_epoch(self, runner: Any) -> None:
        self.after_epoch(runner)

    def before_val_epoch(self, runner: Any) -> None:
        self.before_epoch(runner)

    def after_val_epoch(self, runner: Any) -> None:
        self.after_epoch(runner)

    def before_train_iter(self, runner: Any) -> None:
        self.before_iter(runner)

    def after_train_iter(self, runner: Any) -> None:
        self.after_iter(runner)

    def before_val_iter(self, runner: Any) -> None:
        self.before_iter(runner)

    def after_val_iter(self, runner: Any) -> None:
        self.after_iter(runner)

    @staticmethod
    def every_n_epochs(runner: Any, n: int) -> bool:
        return n > 0 and (runner.epoch + 1) % n == 0

    @staticmethod
    def every_n_iters(runner: Any, n: int) -> bool:
        return n > 0 and (runner.iter + 1) % n == 0

    @staticmethod
    def every_n_inner_iters(runner: Any, n: int) -> bool:
        return n > 0 and (runner.inner_iter + 1) % n == 0

    @staticmethod
    def is_last_epoch(runner: Any) -> bool:
        return runner.epoch + 1 == runner.max_epochs

    @staticmethod
    def is_last_iter(runner: Any) -> bool:
        return runner.iter + 1 == runner.max_iters

    @staticmethod
    def end_of_epoch(runner: Any) -> bool:
        return runner.inner_iter + 1 == len(runner.data_loader)
