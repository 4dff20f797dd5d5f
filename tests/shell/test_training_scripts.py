"""The scripts of one and eight cards and of several machines: what they run, write and print."""
from __future__ import annotations

import json
import platform

import pytest

KEYS = ['Network', 'RankSize', 'BatchSize', 'DeviceType', 'CaseName', 'ActualFPS', 'TrainingTime', 'TrainAccuracy',
        'ActualLoss', 'E2ETrainingTime']
HEADER = '------------------ Final result ------------------'
# script -> (network, cards, case, accuracy, arguments of tools/train.py)
TRAININGS = {
    'train_full_1p': ('SSD', 1, 'SSD_bs8_1p_acc', '0.2500', 'configs/ssd300_coco_npu.py --auto-resume --work-dir '
                      'work_dirs/ssd300_coco_npu --device auto --data-root {data} --cfg-options data.samples_per_gpu=8'),
    'train_full_8p': ('SSD', 8, 'SSD_bs8_8p_acc', '0.2500', 'configs/ssd300_coco_npu_8p.py --gpus 8 --auto-resume --work-dir '
                      'work_dirs/ssd300_coco_npu_8p --device auto --data-root {data} --cfg-options data.samples_per_gpu=8'),
    'train_performance_1p': (
        'SSD_for_PyTorch', 1, 'SSD_for_PyTorch_bs8_1p_perf', '0.2400', 'configs/ssd300_coco_npu.py --no-validate --work-dir '
        'test/output/0/SSD_for_PyTorch_bs8_1p_perf --device auto --data-root {data} --max_steps 1000 --overwrite '
        '--cfg-options data.samples_per_gpu=8 runner.max_epochs=1000'),
    'train_performance_8p': (
        'SSD', 8, 'SSD_bs8_8p_perf', '0.2400', 'configs/ssd300_coco_npu_8p.py --gpus 8 --work-dir '
        'test/output/0/SSD_bs8_8p_perf --device auto --data-root {data} --max_steps 1000 --overwrite '
        '--cfg-options data.samples_per_gpu=8 runner.max_epochs=1000'),
    'train_performance_multinodes': (
        'SSD', 8, 'SSD_bs8_8p_perf', '0.2400', '--gpus 8 configs/ssd300_coco_npu_8p.py --work-dir '
        'test/output/0/SSD_bs8_8p_perf --device auto --data-root {data} --max_steps 1000 --overwrite '
        '--cfg-options data.samples_per_gpu=8 runner.max_epochs=1000'),
}


def called(clone):
    return json.loads((clone / 'called.json').read_text())


def options(clone):
    """The options of the last call, as `--name value ...`."""
    return ' '.join(called(clone)['arguments'])


@pytest.mark.parametrize('script', TRAININGS)
def test_a_training_runs_as_documented_and_reports_what_its_log_says_by_name(cards, run, contents, script):
    network, count, case, accuracy, arguments = TRAININGS[script]
    before = contents(cards, 'data', 'work_dirs', 'shapes')
    result = run('bash', f'test/{script}.sh', '--data_path=shapes', cwd=cards)
    assert result.returncode == 0, result.stderr
    assert called(cards)['arguments'] == [word.format(data=cards / 'shapes') for word in arguments.split()]

    fps, seconds = f'{count * 16}.00', result.stdout.splitlines()[-1].rpartition(' ')[2]
    assert seconds.isdigit()
    assert result.stdout.splitlines()[-4:] == [HEADER, f'Final Performance images/sec : {fps}',
                                               f'Final Train Accuracy : {accuracy}', f'E2E Training Duration sec : {seconds}']
    output = cards / 'test/output/0'
    values = [network, str(count), '8', platform.machine(), case, fps, '500.00', accuracy, '2.5000', seconds]
    assert (output / f'{case}.log').read_text().splitlines() == [f'{key} = {value}' for key, value in zip(KEYS, values)]
    assert (output / f'train_{case}_loss.txt').read_text() == '8.0000\n4.0000\n2.6667\n2.5000\n'
    assert (output / 'train_0.log').read_text() == 'the stand-in for train\n'
    assert 'the stand-in for train\n' in result.stdout
    after = contents(cards, 'data', 'work_dirs', 'shapes')
    assert {path: after[path] for path in before} == before


def test_the_evaluation_prints_two_lines_and_tests_with_the_batch_that_it_is_given(cards, run, contents):
    before = contents(cards, 'data', 'work_dirs')
    for _ in range(2):  # the results of the first do not count for the second
        result = run('bash', 'test/train_eval_8p.sh', '--data_path=shapes', '--batch_size=4', cwd=cards)
        assert result.returncode == 0, result.stderr
    assert called(cards)['arguments'] == [
        'configs/ssd300_coco_npu_8p.py', 'work_dirs/ssd300_coco_npu_8p/latest.pth', '--gpus', '8', '--work-dir',
        'test/output/0/SSD_bs4_8p_eval', '--device', 'auto', '--data-root', f'{cards}/shapes', '--cfg-options',
        'data.test_dataloader.samples_per_gpu=4', '--eval', 'bbox']
    said, accuracy, duration = result.stdout.splitlines()
    assert (said, accuracy) == ('the stand-in for test', 'Final Train Accuracy : 0.2553')
    seconds = duration.replace('E2E Training Duration sec : ', '')
    values = ['SSD', '8', '4', platform.machine(), 'SSD_bs4_8p_eval', '0.2553', seconds]
    keys = [key for key in KEYS if key not in ('ActualFPS', 'TrainingTime', 'ActualLoss')]
    assert (cards / 'test/output/0/SSD_bs4_8p_eval.log').read_text().splitlines() == [
        f'{key} = {value}' for key, value in zip(keys, values)]
    assert contents(cards, 'data', 'work_dirs') == before


def test_the_evaluation_takes_the_checkpoint_that_is_named(cards, run):
    (cards / 'mine.pth').write_text('')
    for flag, expected in (('--checkpoint=mine.pth', cards / 'mine.pth'),
                           ('--work_dir=work_dirs/ssd300_coco_npu', cards / 'work_dirs/ssd300_coco_npu/latest.pth')):
        assert run('bash', 'test/train_eval_8p.sh', '--data_path=shapes', flag, cwd=cards).returncode == 0
        assert called(cards)['arguments'][1] == str(expected)


def test_flags_reach_the_training(cards, run):
    flags = ('--data_path=shapes', '--batch_size=2', '--train_epochs=3', '--max_steps=70', '--device=cpu', '--overwrite',
             '--work_dir=here', '--config=configs/ssd300_coco_npu.py')
    result = run('bash', 'test/train_full_8p.sh', *flags, cwd=cards)
    assert result.returncode == 0, result.stderr
    assert options(cards) == (f'{cards}/configs/ssd300_coco_npu.py --gpus 8 --work-dir {cards}/here --device cpu --data-root '
                              f'{cards}/shapes --max_steps 70 --overwrite --cfg-options data.samples_per_gpu=2 '
                              'runner.max_epochs=3')
    assert (cards / 'test/output/0/SSD_bs2_8p_acc.log').is_file()


def test_a_measurement_in_a_folder_of_the_users_overwrites_only_if_told_to(cards, run):
    for flags, given in (((), False), (('--overwrite',), True)):
        result = run('bash', 'test/train_performance_1p.sh', '--data_path=shapes', '--work_dir=mine', *flags, cwd=cards)
        assert result.returncode == 0, result.stderr
        assert ('--overwrite' in called(cards)['arguments']) is given
        (cards / 'mine/20261122_120000.log.json').unlink()  # the stand-in's next log has the same name


def test_card_and_folder_are_the_same(cards, run):
    for flags, environment, card in (((), {}, None), (('--device_id=3',), {}, '3'), ((), {'ASCEND_DEVICE_ID': '5'}, '5'),
                                     (('--device_id=6',), {'ASCEND_DEVICE_ID': '6'}, '6')):
        result = run('bash', 'test/train_full_1p.sh', '--data_path=shapes', *flags, cwd=cards, **environment)
        assert result.returncode == 0, result.stderr
        words = called(cards)['arguments']
        assert words[1:3] == (['--gpu-id', card] if card else ['--auto-resume', '--work-dir'])
        assert f'device id is {card or 0}\n' in result.stdout
        assert (cards / f'test/output/{card or 0}/train_{card or 0}.log').is_file()
        assert called(cards)['environment']['ASCEND_DEVICE_ID'] == (card or '0')
    refused = run('bash', 'test/train_full_1p.sh', '--data_path=shapes', '--device_id=1', cwd=cards, ASCEND_DEVICE_ID='2')
    assert refused.returncode == 2 and '--device_id=1, but ASCEND_DEVICE_ID=2 is set' in refused.stderr


def test_the_rate_and_the_losses_are_those_of_one_run_over_its_logs(cards, run):
    """A log of before an interruption counts up to where the next begins; one from which no other goes on, not at all."""
    folder = cards / 'work_dirs/ssd300_coco_npu'

    def log(name, *places, tail=''):
        lines = [json.dumps({'mode': 'train', 'epoch': epoch, 'iter': i, 'loss': loss, 'time': 1.0})
                 for epoch, i, loss in places]
        (folder / f'{name}.log.json').write_text('\n'.join(lines) + '\n' + tail)

    log('20261120_120000', (1, 50, 99.0), (1, 100, 98.0))  # the next begins where this one does
    log('20261121_120000', (1, 50, 9.0), tail='{"mode": "tra')  # killed while it wrote
    source = (cards / 'tools/train.py').read_text()
    (cards / 'tools/train.py').write_text(source.replace("(50, 9.0), (100, 0.5)", "(100, 0.5)"))
    result = run('bash', 'test/train_full_1p.sh', '--data_path=shapes', cwd=cards)
    assert result.returncode == 0, result.stderr
    losses = (cards / 'test/output/0/train_SSD_bs8_1p_acc_loss.txt').read_text().split()
    assert losses == ['9.0000', '4.0000', '2.6667', '2.5000']
    (folder / '20261122_120000.log.json').unlink()
    assert run('bash', 'test/train_full_1p.sh', '--data_path=shapes', '--overwrite', cwd=cards).returncode == 0
    assert (cards / 'test/output/0/train_SSD_bs8_1p_acc_loss.txt').read_text().split() == ['4.0000', '2.6667', '2.5000']


def test_a_measurement_without_evaluation_has_no_accuracy(cards, run):
    result = run('bash', 'test/train_performance_1p.sh', '--data_path=shapes', cwd=cards, STAND_IN='no metric')
    assert result.returncode == 0, result.stderr
    assert 'Final Train Accuracy : none\n' in result.stdout


def test_the_machines_of_a_run_are_told_where_they_meet_and_only_the_first_reports(cards, run):
    python = cards.parent / 'active/bin/python'
    real = python.rename(python.with_name('real_python'))
    python.write_text('#!/bin/sh\nif [ "$2" = torch.distributed.run ]; then\n    echo "$@" >torchrun.txt\n'
                      f'    while [ "$1" != tools/train.py ]; do shift; done\nfi\nexec "{real}" "$@"\n')
    python.chmod(0o755)
    flags = ('--data_path=shapes', '--nnodes=2', '--cards=4', '--master_port=24000')
    for rank in (0, 1):
        result = run('bash', 'test/train_performance_multinodes.sh', *flags, f'--node_rank={rank}', cwd=cards)
        assert result.returncode == 0, result.stderr
        assert (cards / 'torchrun.txt').read_text().startswith(
            f'-m torch.distributed.run --nnodes 2 --node_rank {rank} --master_addr 127.0.0.1 --master_port 24000 '
            f'--nproc_per_node 4 tools/train.py --launcher pytorch configs/ssd300_coco_npu_8p.py --work-dir ')
        assert called(cards)['environment'].items() >= {'HCCL_IF_IP': '127.0.0.1', 'GLOO_SOCKET_IFNAME': 'lo'}.items()
        rate = 'Final Performance images/sec : 128.00'  # of 2 machines with 4 cards, 8 pictures each, in 0.5 s
        assert (rate in result.stdout) is (rank == 0)
    assert result.stdout.endswith('node 1 has done its part; node 0 has the results\n')
    assert (cards / 'test/output/0/train_0_node1.log').is_file() and (cards / 'test/output/0/SSD_bs8_4p_perf.log').is_file()
    failed = run('bash', 'test/train_performance_multinodes.sh', *flags, '--node_rank=1', cwd=cards, STAND_IN='exit:9')
    assert failed.returncode == 9 and 'done its part' not in failed.stdout
