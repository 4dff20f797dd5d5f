"""Nothing is written before it is known that a run can be."""
from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch

from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmcv_need.errors import ConfigError
from mmcv_need.hooks import Hook


class Telling(Hook):
    """Tells what it is asked, and may refuse the run."""

    def __init__(self, refuses=False):
        self.refuses, self.told = refuses, []

    def check_run(self, runner):
        self.told.append(f'check_run {runner.max_epochs} x {len(runner.data_loader)}')
        if self.refuses:
            raise ConfigError('the run is too short')

    def before_run(self, runner):
        self.told.append('before_run')


def run(folder, hook, place=''):
    """A run with nothing to do, and a line from whoever prepares its work directory."""
    optimizer = SimpleNamespace(was_applied=lambda: None)
    runner = EpochBasedRunner(3, model=None, optimizer=optimizer, device=torch.device('cpu'), work_dir=str(folder),
                              logger=logging.Logger('run'))
    runner.stopped = 'before it began'
    runner.register_hook(hook, place=place)
    runner.run([range(2)], prepare=lambda: hook.told.append('prepare'))


@pytest.mark.parametrize('place, said', [('', ''), ('x.py:3: lr_config', 'x.py:3: lr_config: ')])
def test_a_hook_that_cannot_serve_a_run_says_so_before_anything_is_written(tmp_path, place, said):
    hook = Telling(refuses=True)
    with pytest.raises(ConfigError, match=f'^{said}the run is too short$'):
        run(tmp_path, hook, place)
    assert hook.told == ['check_run 3 x 2']


def test_a_work_dir_is_prepared_before_hooks_write_into_it(tmp_path):
    hook = Telling()
    run(tmp_path, hook)
    assert hook.told == ['check_run 3 x 2', 'prepare', 'before_run']
