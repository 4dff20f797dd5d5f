"""tools/train.py in a work directory that is used: go on, set aside, remove, or refuse; nothing is lost or mixed."""
from __future__ import annotations

import re

import pytest
import torch

from mmcv_need.errors import ConfigError


def test_auto_resume_starts_anew_where_there_is_nothing(trained, training, same):
    other = training('--auto-resume', '--max_steps', 8, '--no-validate')
    assert same(other.checkpoint('epoch_1.pth')['state_dict'], trained.checkpoint('epoch_1.pth')['state_dict'])


def test_auto_resume_of_a_finished_run_is_refused(training):
    finished = training('--cfg-options', 'runner.max_epochs=1', '--no-validate')
    before = {path: path.read_bytes() for path in finished.folder.iterdir()}
    with pytest.raises(ConfigError, match=r'this run is finished \(1 epochs, 7 iterations\)\. Evaluate it .* --overwrite'):
        training('--auto-resume', '--cfg-options', 'runner.max_epochs=1', '--no-validate', folder=finished.folder)
    assert {path: path.read_bytes() for path in finished.folder.iterdir()} == before


def test_a_finished_run_can_be_trained_longer(trained, training, same):
    run = training('--cfg-options', 'runner.max_epochs=1')
    training('--resume', 'auto', folder=run.folder)
    assert same(run.training_state(), trained.training_state()) and len(run.of('val')) == 4


def test_overwrite_starts_anew_and_removes_only_what_a_run_made(trained, training, same):
    run = training('--no-validate', '--cfg-options', 'runner.max_epochs=2')
    (run.folder / 'notes.txt').write_text('mine')
    training('--overwrite', '--max_steps', '7', '--no-validate', folder=run.folder)
    assert len(run.of('train')) == 3
    assert [name for name in run.names if name.endswith('.pth')] == ['epoch_1.pth', 'latest.pth']
    assert (run.folder / 'notes.txt').read_text() == 'mine'
    assert same(run.checkpoint()['state_dict'], trained.checkpoint('epoch_1.pth')['state_dict'])


def test_a_new_run_sets_an_earlier_one_aside(training):
    run = training('--max_steps', 8, '--no-validate')
    left, config = set(run.names), run.checkpoint()['meta']['config']
    with pytest.warns(UserWarning, match=r'had 2 checkpoints of another run, .* --auto-resume .* --overwrite'):
        training('--max_steps', 3, '--no-validate', folder=run.folder)
    aside, = run.folder.glob('earlier_*')
    # Its config and its logs too, though both runs may have begun within a second.
    assert {path.name for path in aside.iterdir()} == left
    assert aside.name == f'earlier_{run.logs[-1].stem}'
    assert torch.load(aside / 'latest.pth', weights_only=True)['meta']['config'] == config
    assert [name for name in run.names if name.endswith('.pth')] == ['iter_3.pth', 'latest.pth']
    training('--auto-resume', '--max_steps', 5, '--no-validate', folder=run.folder)
    assert run.checkpoint()['meta']['iter'] == 5  # it goes on with the later run


@pytest.mark.parametrize('options', [[], ['--overwrite']])
def test_a_new_run_does_not_take_its_own_weights_away(training, options):
    run = training('--max_steps', 2, '--no-validate')
    before = run.names
    with pytest.raises(ConfigError, match=r"is of an earlier run in this run's work dir; choose another --work-dir"):
        training('--max_steps', 2, *options, '--cfg-options', f'load_from={run.folder}/latest.pth', folder=run.folder)
    assert run.names == before


def test_a_run_that_stopped_because_it_got_no_better_is_finished(training, tiny, tmp_path):
    config = tmp_path / 'stopping.py'
    config.write_text(f"_base_ = {str(tiny)!r}\n"
                      "custom_hooks = [dict(type='EarlyStoppingHook', monitor='bbox_mAP', min_delta=9., patience=1)]\n")
    run = training(config=config)
    assert len(run.of('val')) == 2 and 'epoch_2.pth' in run.names and 'epoch_3.pth' not in run.names
    with pytest.raises(ConfigError, match=r'this run is finished \(2 epochs, 14 iterations, bbox_mAP did not get better'):
        training('--auto-resume', config=config, folder=run.folder)


def test_a_run_that_goes_on_from_an_older_checkpoint_sets_the_later_ones_aside(training):
    run = training('--no-validate')
    with pytest.warns(UserWarning, match='had 2 checkpoints from later in the run'):
        training('--no-validate', '--resume-from', run.folder / 'epoch_1.pth', '--max_steps', 9, folder=run.folder)
    assert [name for name in run.names if name.endswith('.pth')] == ['epoch_1.pth', 'iter_9.pth', 'latest.pth']
    training('--no-validate', '--auto-resume', '--max_steps', 10, folder=run.folder)
    assert run.checkpoint()['meta']['iter'] == 10  # on the newer branch


def test_a_new_run_begins_where_there_is_nothing_to_go_on_from_and_the_log_says_so(training):
    run = training('--auto-resume', '--max_steps', 1, '--no-validate')
    assert 'has no checkpoint to go on from: a new run begins' in run.logs[0].read_text()


def test_the_config_may_ask_to_go_on_as_mmdetection_dumps_it(training):
    run = training('--max_steps', 2, '--no-validate')
    training('--max_steps', 3, '--no-validate', '--cfg-options', 'auto_resume=True', folder=run.folder)
    assert 'resumed epoch 0, iter 2' in run.logs[-1].read_text()


def test_starting_anew_and_going_on_contradict(training, trained):
    with pytest.raises(ConfigError, match='--cfg-options: resume_from goes on with a run, --overwrite starts anew; choose one'):
        training('--overwrite', '--cfg-options', f'resume_from={trained.folder}/latest.pth')
    with pytest.raises(SystemExit):
        training('--resume-from', '')


def test_a_config_used_in_its_work_dir_stays_as_it_is_written(training, tiny, tmp_path):
    config = tmp_path / 'mine.py'
    config.write_text(f'# mine\n_base_ = {str(tiny)!r}\n')
    training('--max_steps', 1, '--no-validate', config=config, folder=tmp_path)
    assert config.read_text().startswith('# mine') and (tmp_path / 'iter_1.pth').exists()


@pytest.mark.parametrize('wrong, complaint', [
    (['--cfg-options', 'load_from=/nowhere.pth'], 'no such checkpoint'), (['--gpus', 0], '--gpus 0: expected a number'),
    (['--cfg-options', 'evaluation.metric=mAP'], 'mAP'),
    (['--max_steps', '-1'], 'expected a number of iterations'),
    (['--cfg-options', 'optimizer_config.grad_clip.max_norm=-1'], 'more than 0'),
    (['--cfg-options', 'optimizer.lr=-1'], r'--cfg-options: optimizer: SGD refused .*-1'),
    (['--cfg-options', 'precision.opt_level=O3'], 'opt_level'),
    ("lr_config = dict(_delete_=True, policy='cyclic', cyclic_times=100)",
     r'wrong\.py:2: lr_config: cyclic_times 100: the run has only 21 iterations'),
    ("momentum_config = dict(policy='fixed', warmup='constant', warmup_iters=5)\noptimizer = dict(_delete_=True, type='AdamW')",
     r'wrong\.py:2: momentum_config: it makes the first of betas 1, which'),
    ("custom_hooks = [dict(type='EMAHook'), dict(type='ExpMomentumEMAHook')]",
     r'wrong\.py:2: custom_hooks\.0: EMAHook: ExpMomentumEMAHook averages'),
    ("custom_hooks = [dict(type='ProfilerHook'),\n                dict(type='ProfilerHook', profile_iters=2)]",
     r'wrong\.py:2: custom_hooks\.0: ProfilerHook: a process can have one profiler'),
    ("evaluation = None\ncustom_hooks = [dict(type='EarlyStoppingHook', monitor='bbox_mAP')]",
     r'wrong\.py:3: custom_hooks\.0: EarlyStoppingHook: nothing is evaluated in this run')])
@pytest.mark.parametrize('anew', [[], ['--overwrite']])
def test_a_run_that_cannot_start_costs_an_earlier_one_nothing(training, tiny, tmp_path, wrong, complaint, anew):
    """`wrong` is on the command line, or lines of a config."""
    run, config = training('--max_steps', 2, '--no-validate'), None
    if isinstance(wrong, str):
        config, text, wrong = tmp_path / 'wrong.py', wrong, []
        config.write_text(f'_base_ = {str(tiny)!r}\n{text}\n')

    def files():
        return {path.name: path.read_bytes() for path in run.folder.iterdir() if not re.fullmatch(r'\d+_\d+\.log.*', path.name)}
    before = files()
    with pytest.raises(ValueError, match=complaint):
        training(*anew, *wrong, config=config, folder=run.folder)
    assert files() == before  # the config that was dumped, too
