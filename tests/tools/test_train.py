"""tools/train.py and tools/test.py from the command line to the files that they leave."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError, DataError

ROOT = Path(__file__).resolve().parents[2]
EPOCHS, ITERS = 3, 7
METRICS = ['bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_75', 'bbox_mAP_s', 'bbox_mAP_m', 'bbox_mAP_l', 'bbox_mAP_copypaste']


def test_a_run_leaves_logs_checkpoints_and_its_config(trained):
    log, record = (path.name for path in sorted(trained.folder.glob('*.log*')))
    assert re.fullmatch(r'\d{8}_\d{6}\.log', log) and record == f'{log}.json'
    assert trained.names == sorted([log, record, 'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'finished.json',
                                    'last_checkpoint', 'latest.pth', 'tiny.py'])
    assert os.readlink(trained.folder / 'latest.pth') == 'epoch_3.pth'


def test_the_config_in_the_work_dir_is_the_whole_config(trained, tiny):
    dumped = Config.fromfile(trained.folder / 'tiny.py')
    assert dumped.model.backbone.width_factor == 0.0625 and dumped.lr_config.policy == 'step'
    assert (dumped.seed, dumped.work_dir) == (3, str(trained.folder))


def test_a_run_of_the_dumped_config_is_the_same_run(trained, training, same):
    again = training('--max_steps', 8, '--no-validate', config=trained.folder / 'tiny.py')
    assert same(again.checkpoint('epoch_1.pth')['state_dict'], trained.checkpoint('epoch_1.pth')['state_dict'])


def test_the_json_log_has_the_records_of_a_run_in_order(trained):
    meta, *records = trained.records
    assert list(meta) == ['env_info', 'config', 'seed', 'exp_name']
    assert (meta['seed'], meta['exp_name']) == (3, 'tiny.py')
    places = [(record['mode'], record['epoch'], record['iter']) for record in records]
    assert places == [place for epoch in (1, 2, 3) for place in
                      [('train', epoch, 2), ('train', epoch, 4), ('train', epoch, 6), ('val', epoch, ITERS)]]
    for record in trained.of('train'):
        assert list(record) == ['mode', 'epoch', 'iter', 'lr', 'data_time', 'loss_cls', 'loss_bbox', 'loss', 'grad_norm',
                                'time']
        assert record['loss'] == pytest.approx(record['loss_cls'] + record['loss_bbox'], abs=2e-5)
        assert 0 <= record['data_time'] < record['time']
    for record in trained.of('val'):
        assert list(record) == ['mode', 'epoch', 'iter', 'lr', *METRICS]


def test_the_loss_goes_down(trained):
    losses = [record['loss'] for record in trained.of('train')]
    assert losses[-1] < 0.7 * losses[0]


def test_the_rate_warms_up_and_steps(trained):
    rates = [record['lr'] for record in trained.of('train')]
    assert rates[:2] == [round(0.01 * (1 - (1 - 1 / 5) * 0.99), 5), round(0.01 * (1 - (1 - 3 / 5) * 0.99), 5)]
    assert rates[2:6] == [0.01] * 4 and rates[6:] == [0.001] * 3


def test_the_text_log_is_mmdetections(trained):
    text = trained.logs[0].read_text()
    for words in ('Environment info:\n' + '-' * 60, 'Distributed training: False', 'Config:\n',
                  'Set random seed to 3, deterministic: False', 'Start running, host: ',
                  "workflow: [('train', 1)], max: 3 epochs", 'Saving checkpoint at 3 epochs', 'Exp name: tiny.py',
                  'INFO - Evaluating bbox...\n', 'Epoch(val) [3][7]\tbbox_mAP: '):
        assert words in text
    of_time = [line for line in text.partition('Start running')[2].splitlines() if 'time' in line]  # as old parsers look
    assert len(of_time) == 9 and all('Epoch [' in line for line in of_time)
    lines = [line for line in text.splitlines() if re.search(r'Epoch \[', line)]
    for line, record in zip(lines, trained.of('train')):
        time, loss = line.split(':')[7].split(',')[0], line.split(': ')[-2].split(',')[0]
        assert float(time) == pytest.approx(record['time'], abs=6e-4) and float(loss) == pytest.approx(record['loss'], abs=6e-5)


def test_a_checkpoint_says_what_it_is_of(trained):
    meta = trained.checkpoint()['meta']
    assert (meta['epoch'], meta['iter'], meta['seed'], meta['exp_name']) == (3, EPOCHS * ITERS, 3, 'tiny.py')
    assert meta['CLASSES'] == ['circle', 'square', 'triangle', 'ring', 'cross', 'diamond']
    assert 'width_factor=0.0625' in meta['config'] and meta['mmdet_version']


def test_testing_a_checkpoint_gives_the_metrics_of_its_evaluation(trained, tools, tiny, tmp_path, capsys):
    found = tmp_path / 'found.json'
    tools.test(tiny, trained.folder / 'latest.pth', '--eval', 'bbox', '--out', found, '--work-dir', tmp_path / 'e')
    printed = capsys.readouterr().out.splitlines()[-1]
    logged = {name: trained.of('val')[-1][name] for name in METRICS}
    assert printed.startswith("{'bbox_mAP': ") and eval(printed) == logged  # a dict, as MMDetection prints it
    kept = json.loads(next((tmp_path / 'e').glob('eval_*.json')).read_text())
    assert kept['metric'] == logged and kept['config'] == str(tiny)
    detections = json.loads(found.read_text())
    assert detections and set(detections[0]) == {'image_id', 'category_id', 'score', 'bbox'}
    assert {row['category_id'] for row in detections} <= set(range(1, 7))
    assert {row['image_id'] for row in detections} <= set(range(1, 9))
    assert all(0.02 < row['score'] <= 1 and min(row['bbox'][2:]) >= 0 for row in detections)


def test_calc_fps_reads_the_log(trained):
    log = next(trained.folder.glob('*.log.json'))
    command = [sys.executable, str(ROOT / 'calc_fps.py'), str(log), '1', '4']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rates = [4 / record['time'] for record in trained.of('train')]
    assert min(rates) <= eval(done.stdout.splitlines()[-1])['fps'] <= max(rates)


def test_the_same_seed_gives_the_same_run_to_the_last_bit(trained, training, same):
    again = training()
    assert same(again.training_state(), trained.training_state())
    for mode, ignored in (('train', ('time', 'data_time')), ('val', ())):
        for a, b in zip(again.of(mode), trained.of(mode)):
            assert {k: v for k, v in a.items() if k not in ignored} == {k: v for k, v in b.items() if k not in ignored}


def test_another_seed_gives_another_run(trained, tools, tiny, tmp_path):
    tools.train(tiny, '--work-dir', tmp_path, '--seed', 4, '--max_steps', 8, '--no-validate')
    other = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)['state_dict']
    assert not any(torch.equal(value, other[key]) for key, value in trained.checkpoint('epoch_1.pth')['state_dict'].items()
                   if value.dim() == 4)


def test_the_number_of_workers_changes_nothing(trained, training, same):
    other = training('--cfg-options', 'data.workers_per_gpu=2')
    assert same(other.training_state(), trained.training_state())
    assert other.of('val') == trained.of('val')


def test_evaluation_changes_nothing_about_training(trained, training, same):
    other = training('--no-validate')
    assert other.of('val') == [] and len(other.of('train')) == EPOCHS * 3
    assert same(other.training_state(), trained.training_state())


def test_a_run_goes_on_from_a_checkpoint(trained, training, same):
    other = training('--resume-from', trained.folder / 'epoch_1.pth')
    assert [name for name in other.names if name.startswith('epoch')] == ['epoch_2.pth', 'epoch_3.pth']
    assert other.of('val') == trained.of('val')  # that of the first epoch too, which follows its checkpoint
    assert same(other.training_state(), trained.training_state())


def test_a_run_goes_on_from_the_middle_of_an_epoch(trained, training, same):
    by_iteration = ['--cfg-options', 'checkpoint_config.by_epoch=False', 'checkpoint_config.interval=3',
                    'checkpoint_config.max_keep_ckpts=2']
    stopped = training('--max_steps', 10, *by_iteration)
    assert [name for name in stopped.names if name.startswith('iter')] == ['iter_10.pth', 'iter_9.pth']
    other = training('--auto-resume', *by_iteration, folder=stopped.folder)
    assert [name for name in other.names if name.startswith('iter')] == ['iter_18.pth', 'iter_21.pth']
    assert same(other.training_state('iter_21.pth'), trained.training_state())


def test_a_run_at_its_time_limit_says_that_it_can_go_on(tools, training, tiny, tmp_path, same, trained):
    config = tmp_path / 'limited.py'
    config.write_text(f"_base_ = {str(tiny)!r}\ncustom_hooks = [dict(type='TimeLimitHook', limit=1e-3, margin=0.)]\n")
    words = [str(word) for word in (config, '--work-dir', tmp_path / 'run', '--seed', 3, '--device', 'cpu')]
    assert tools.modules['train'].main(words) == 75
    assert {'iter_1.pth'} <= set(os.listdir(tmp_path / 'run')) and not (tmp_path / 'run/finished.json').exists()
    run = training('--auto-resume', '--cfg-options', 'custom_hooks=None', config=config, folder=tmp_path / 'run')
    assert same(run.training_state(), trained.training_state()) and 'iter_1.pth' not in run.names


@pytest.mark.parametrize('steps', [1, 7, 9])
def test_max_steps_is_exact(training, steps):
    run = training('--max_steps', steps, '--no-validate', '--cfg-options', 'log_config.interval=1')
    assert len(run.of('train')) == steps


def test_load_from_starts_a_new_run_from_the_weights(trained, training):
    run = training('--max_steps', 1, '--no-validate', '--cfg-options', f'load_from={trained.folder}/latest.pth',
                   'log_config.interval=1')
    record = run.of('train')[0]
    assert (record['epoch'], record['iter']) == (1, 1) and record['loss'] < 2 * trained.of('train')[-1]['loss']
    assert 'load_from ' in run.logs[0].read_text() and 'resumed' not in run.logs[0].read_text()


@pytest.mark.slow
def test_half_precision_learns_like_float32_and_resumes_to_the_same_weights(trained, training, same):
    half = ('--cfg-options', 'fp16.loss_scale=512.', 'runner.max_epochs=2', 'log_config.interval=2')
    whole = training('--no-validate', *half)
    assert 'Precision: O1, float32 weights, float16' in whole.logs[0].read_text()
    assert 'Precision: O0, float32' in trained.logs[0].read_text()
    losses, exact = ([record['loss'] for record in run.of('train')[:6]] for run in (whole, trained))
    assert losses == pytest.approx(exact, rel=0.1) and losses != exact
    assert {value.dtype for value in whole.checkpoint()['state_dict'].values()} <= {torch.float32, torch.int64}
    begun = training('--no-validate', '--max_steps', 7, *half)
    resumed = training('--no-validate', '--resume-from', begun.folder / 'epoch_1.pth', *half)
    assert same(resumed.training_state(), whole.training_state())
    assert resumed.checkpoint()['loss_scaler']['scale'] == 512.0


def test_labels_that_mean_other_classes_in_the_evaluation_stop_the_run(tools, tiny, demo, tmp_path):
    content = json.loads((demo / 'annotations/instances_val2017.json').read_text())
    content['categories'].reverse()
    reversed_file = tmp_path / 'reversed.json'
    reversed_file.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"data\.val: not the classes of data\.train: label 0 is 'diamond' here and 'circle'"):
        tools.train(tiny, '--work-dir', tmp_path / 'work', '--cfg-options', f'data.val.ann_file={reversed_file}')


def test_data_without_annotations_cannot_be_evaluated_on_which_is_said_before_training(tools, tiny, demo, tmp_path):
    content = json.loads((demo / 'annotations/instances_val2017.json').read_text())
    del content['annotations']
    (tmp_path / 'test-dev.json').write_text(json.dumps(content))
    with pytest.raises(DataError, match='has no annotations to evaluate with'):
        tools.train(tiny, '--work-dir', tmp_path / 'work', '--cfg-options', f'data.val.ann_file={tmp_path}/test-dev.json',
                    'evaluation.metric=None')
    assert not list((tmp_path / 'work').glob('*.pth'))


def test_a_checkpoint_of_classes_in_another_order_is_announced(trained, tools, tiny, demo, tmp_path, capsys):
    content = json.loads((demo / 'annotations/instances_val2017.json').read_text())
    content['categories'].reverse()
    (tmp_path / 'reversed.json').write_text(json.dumps(content))
    with pytest.warns(UserWarning, match=r"data\.test: not the classes that .* names: label 0 is 'diamond' here and 'circle'"):
        tools.test(tiny, trained.folder / 'latest.pth', '--eval', 'bbox', '--cfg-options',
                   f'data.test.ann_file={tmp_path}/reversed.json')


def test_a_drawn_seed_is_logged(tools, tiny, tmp_path):
    tools.train(tiny, '--work-dir', tmp_path, '--max_steps', 1, '--no-validate')
    seed = json.loads(next(tmp_path.glob('*.log.json')).read_text().splitlines()[0])['seed']
    assert f'Set random seed to {seed}, ' in next(tmp_path.glob('*.log')).read_text()


def test_the_work_dir_is_named_after_the_config(tools, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tools.train(tiny, '--max_steps', 1, '--no-validate')
    assert (tmp_path / 'work_dirs/tiny/tiny.py').is_file()


def test_the_data_may_be_elsewhere(tools, tiny, tmp_path, demo):
    moved = tmp_path / 'moved'
    moved.symlink_to(demo)
    tools.train(tiny, '--work-dir', tmp_path / 'work', '--max_steps', 1, '--data-root', moved)
    assert f"img_prefix='{moved}/train2017/'" in (tmp_path / 'work/tiny.py').read_text()


def test_print_config_prints_the_config_and_its_places(tools, tiny, capsys):
    tools.print_config(tiny, '--options', 'runner.max_epochs=9')
    printed = capsys.readouterr().out
    assert printed.startswith('Config:\n') and "runner = dict(type='EpochBasedRunner', max_epochs=9)" in printed
    tools.print_config(tiny, '--key', 'model.bbox_head.num_classes', '--where')
    assert re.fullmatch(r'6  # .*configs/_base_/models/ssd_demo.py:\d+\n', capsys.readouterr().out)


def test_a_run_goes_on_between_epochs_with_larger_batches(training):
    """It evaluates the epoch that was saved and not evaluated, and knows the file that it goes on from."""
    run = training('--max_steps', 14, '--cfg-options', 'evaluation.start=9')
    (run.folder / 'finished.json').unlink()  # as if it had been interrupted
    options = ['--cfg-options', 'data.samples_per_gpu=8', 'evaluation.save_best=bbox_mAP', 'checkpoint_config.max_keep_ckpts=1']
    # 4 iterations an epoch
    larger = training('--auto-resume', '--allow-batch-change', '--max_steps', 9, *options, folder=run.folder)
    assert [record['epoch'] for record in larger.of('val')] == [2]
    assert [name for name in run.names if name.endswith('.pth')] == [
        'best_bbox_mAP_epoch_2.pth', 'iter_9.pth', 'latest.pth']
    text = larger.logs[-1].read_text()
    assert 'had 7: data, batch or number of processes changed' in text and 'nothing older is removed' not in text
    training('--auto-resume', '--max_steps', 10, *options, folder=run.folder)
    assert 'resumed epoch 2, iter 9' in run.logs[-1].read_text() and run.checkpoint()['meta']['iter'] == 10


def test_options_that_change_nothing_are_said_to(training):
    run = training('--max_steps', 1, '--no-validate', '--gpu-id', 3, '--diff-seed')
    text = run.logs[0].read_text()
    assert '--gpu-id 3 has no effect: the run is on the CPU' in text
    assert '--diff-seed has no effect: there is one process' in text


def test_a_resumed_run_keeps_the_configs_own_weights_in_what_it_dumps(training, tiny, tmp_path, trained):
    weights = tmp_path / 'vgg.pth'
    torch.save({key[len('backbone.'):]: value for key, value in trained.checkpoint()['state_dict'].items()
                if key.startswith('backbone.')}, weights)
    options = ('--no-validate', '--cfg-options', f"model.backbone.init_cfg.checkpoint={weights}",
               'model.backbone.init_cfg.type=Pretrained')
    run = training('--max_steps', 2, *options)
    training('--auto-resume', '--max_steps', 3, *options, folder=run.folder)
    assert Config.fromfile(run.folder / 'tiny.py').model.backbone.init_cfg.checkpoint == str(weights)


def test_test_time_views_by_an_option_are_those_of_a_config_that_asks_for_them(trained, tools, tiny, tmp_path):
    found = []
    mirrored = tmp_path / 'mirrored.py'
    mirrored.write_text(Config.fromfile(tiny).pretty_text.replace('flip=False', 'flip=True').replace(
        "dict(type='Resize', keep_ratio=False),", "dict(type='Resize', keep_ratio=False), dict(type='RandomFlip'),"))
    for config, options in ((tiny, ['--tta']), (mirrored, []), (tiny, [])):
        tools.test(config, trained.folder / 'latest.pth', '--out', tmp_path / 'found.pkl', *options)
        found.append((tmp_path / 'found.pkl').read_bytes())
    assert found[0] == found[1] != found[2]


def test_evaluation_computes_at_the_level_that_the_command_line_says(trained, tools, tiny, capsys):
    tools.test(tiny, trained.folder / 'latest.pth', '--eval', 'bbox', '--opt-level', 'O2', '--cfg-options',
               'precision.dtype=bfloat16')
    assert 'O2, bfloat16 weights and activations' in capsys.readouterr().out
