"""Numbers that are none, from the command lines: a run that is rolled back, and checkpoints that nobody takes."""
from __future__ import annotations

import json
import math

import pytest

from mmcv_need.checkpoint import find_latest, read_checkpoint, save_checkpoint
from mmcv_need.errors import CheckpointError, DivergedError
from mmcv_need.optimizer import OptimizerStep

HOOK = "_base_ = [{base!r}]\ncustom_hooks = [dict(type='RollBackHook', after=2, lr_factor=0.5)]\n"


@pytest.fixture
def spoil(monkeypatch):
    """Has the losses of these calls of `backward`, counted from 1, weigh NaN: what is computed of them is none."""
    def losses(calls):
        number, backward = 0, OptimizerStep.backward

        def spoilt(step, loss, share=1.0):
            nonlocal number
            number += 1
            backward(step, loss * math.nan if number in calls else loss, share)
        monkeypatch.setattr(OptimizerStep, 'backward', spoilt)
    return losses


def options(config, folder, *more):
    return (config, '--work-dir', folder, '--seed', '3', '--no-validate', *more)


def test_a_run_is_rolled_back_as_its_config_says_and_comes_to_its_end(tools, tiny, tmp_path, spoil, capsys):
    config = tmp_path / 'rolling.py'
    config.write_text(HOOK.format(base=str(tiny)))
    spoil({9, 10, 11})  # of 7 iterations an epoch
    tools.train(*options(config, tmp_path / 'work'))
    said = capsys.readouterr().out
    assert 'iteration 11: 3 updates in a row were left out. Rolled back (1 of 3 times) to ' in said
    assert 'epoch_1.pth, of iteration 7; the run goes on after iteration 11, the rate is 0.5 times what it was' in said
    last = read_checkpoint(str(tmp_path / 'work/epoch_3.pth'))
    assert last['meta']['iter'] == 21 and all(value.isfinite().all() for value in last['state_dict'].values())
    assert last['optimizer']['param_groups'][0]['initial_lr'] == 0.005
    record = json.loads((tmp_path / 'work/bad_updates/iter_9_rank_0.json').read_text())
    assert record['epoch'] == 2 and len(record['pictures']) == 4
    assert all(picture['gt_bboxes'] and isinstance(picture['id'], int) for picture in record['pictures'])


def test_without_the_hook_it_ends_with_the_last_good_checkpoint_named(tools, tiny, tmp_path, spoil):
    spoil(range(9, 100))
    with pytest.raises(DivergedError, match=r'^iteration 58: 50 updates in a row were left out, .*The last good checkpoint is '
                                            r'.*epoch_1\.pth; see bad_updates/iter_58_rank_0\.json$'):
        tools.train(*options(tiny, tmp_path / 'work', '--cfg-options', 'runner.max_epochs=9'))


@pytest.mark.parametrize('key', ['state_dict', 'optimizer'])
def test_a_checkpoint_that_is_not_finite_is_refused_by_name_and_passed_over(tools, tiny, tmp_path, key):
    folder = tmp_path / 'work'
    tools.train(*options(tiny, folder, '--max_steps', '7'))
    good = read_checkpoint(str(folder / 'epoch_1.pth'))
    bad = read_checkpoint(str(folder / 'epoch_1.pth'))
    name = 'backbone.features.0.weight'
    target = bad['state_dict'][name] if key == 'state_dict' else bad['optimizer']['state'][0]['momentum_buffer']
    target[(0,) * target.dim()] = math.inf
    bad['meta'].update(epoch=2, iter=14)
    path = folder / 'epoch_2.pth'
    save_checkpoint(bad, str(path))
    told = f'epoch_2.pth: {name if key == "state_dict" else "optimizer.state.0.momentum_buffer"} .1 of .* is not finite'
    with pytest.raises(CheckpointError, match=told):
        tools.train(*options(tiny, tmp_path / 'other', '--resume-from', path))
    with pytest.warns(UserWarning, match=f'passed over: .*{told}'):
        assert find_latest(str(folder)).content['meta']['iter'] == good['meta']['iter']
    if key == 'state_dict':
        with pytest.raises(CheckpointError, match=told):
            tools.test(tiny, path, '--eval', 'bbox')
        with pytest.raises(CheckpointError, match=told):
            tools.train(*options(tiny, tmp_path / 'new', '--cfg-options', f'load_from={path}'))
