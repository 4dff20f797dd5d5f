"""Going on with a run: the seed, the place, and what may not have changed."""
from __future__ import annotations

import json

import pytest
import torch

from mmcv_need.checkpoint import read_checkpoint
from mmcv_need.config import Config
from mmcv_need.errors import CheckpointError, ConfigError


def options(tiny, folder, *more):
    return [str(tiny), '--work-dir', str(folder), '--device', 'cpu', '--no-validate', *more]


def weights(path):
    return read_checkpoint(str(path))['state_dict']


def test_a_run_whose_seed_was_drawn_goes_on_with_it(tools, tiny, tmp_path):
    tools.train(*options(tiny, tmp_path / 'broken', '--cfg-options', 'runner.max_epochs=1'))
    tools.train(*options(tiny, tmp_path / 'broken', '--auto-resume'))
    seeds = [json.loads(path.read_text().splitlines()[0])['seed'] for path in sorted((tmp_path / 'broken').glob('*.log.json'))]
    assert len(set(seeds)) == 1
    tools.train(*options(tiny, tmp_path / 'whole', '--seed', str(seeds[0])))
    broken, whole = (weights(tmp_path / name / 'epoch_3.pth') for name in ('broken', 'whole'))
    assert all(torch.equal(broken[key], whole[key]) for key in whole)


def test_going_on_with_another_seed_is_refused(tools, tiny, tmp_path):
    tools.train(*options(tiny, tmp_path, '--seed', '5', '--cfg-options', 'runner.max_epochs=1'))
    with pytest.raises(ConfigError, match='was trained with seed 5; to go on with seed 6'):
        tools.train(*options(tiny, tmp_path, '--auto-resume', '--seed', '6'))


def test_a_step_of_another_number_of_pictures_is_refused_unless_it_is_allowed(tools, tiny, tmp_path, capsys):
    by_iter = ['checkpoint_config.interval=3', 'checkpoint_config.by_epoch=False']
    tools.train(*options(tiny, tmp_path, '--seed', '5', '--max_steps', '4', '--cfg-options', *by_iter))
    again = [*options(tiny, tmp_path, '--auto-resume', '--max_steps', '9'), '--cfg-options', 'data.samples_per_gpu=2', *by_iter]
    words = (r'was trained with 4 pictures a step \(1 process\(es\)\); now a step has 2 \(1 process\(es\)\)\. Go on as before '
             r'with --cfg-options data\.samples_per_gpu=4, or say --allow-batch-change')
    with pytest.raises(ConfigError, match=words):
        tools.train(*again)
    tools.train('--allow-batch-change', *again)  # 4 of 7 iterations are 6 of 12
    assert '4 of 7 iterations of epoch 1 were done; the run goes on after 6 of 12' in capsys.readouterr().out
    meta = read_checkpoint(str(tmp_path / 'latest.pth'))['meta']
    assert (meta['iter'], meta['inner_iter'], meta['global_batch'], meta['world_size']) == (9, 9, 2, 1)


def test_a_place_within_an_epoch_of_other_data_is_refused(tools, tiny, tmp_path):
    by_iter = ['checkpoint_config.interval=3', 'checkpoint_config.by_epoch=False']
    tools.train(*options(tiny, tmp_path, '--seed', '5', '--max_steps', '4', '--cfg-options', *by_iter))
    other = {key: Config.fromfile(tiny).data.val[key] for key in ('ann_file', 'img_prefix')}
    with pytest.raises(CheckpointError, match='written after 4 of 7 iterations of an epoch, which now has 2'):
        tools.train(*options(tiny, tmp_path, '--auto-resume', '--cfg-options', *by_iter,
                             *(f'data.train.{key}={value}' for key, value in other.items())))


def test_the_dumped_config_starts_a_new_run_and_keeps_the_users_spelling(tools, tiny, tmp_path):
    tools.train(*options(tiny, tmp_path, '--seed', '5', '--cfg-options', 'runner.max_epochs=1'))
    tools.train(*options(tiny, tmp_path, '--auto-resume', '--cfg-options', 'runner.max_epochs=2'))
    dumped = (tmp_path / tiny.name).read_text()
    assert 'epoch_1.pth' not in dumped and "policy='step'" in dumped and 'LrUpdaterHook' not in dumped


def test_between_epochs_a_run_may_go_on_with_other_batches_and_counts_its_iterations_anew(tools, tiny, tmp_path, capsys):
    tools.train(*options(tiny, tmp_path, '--seed', '5', '--cfg-options', 'runner.max_epochs=1'))
    tools.train(*options(tiny, tmp_path, '--auto-resume', '--allow-batch-change', '--cfg-options', 'data.samples_per_gpu=2'))
    assert 'an epoch has 12 iterations now and had 7' in capsys.readouterr().out
    meta = read_checkpoint(str(tmp_path / 'epoch_3.pth'))['meta']
    assert (meta['epoch'], meta['iter']) == (3, 36)
