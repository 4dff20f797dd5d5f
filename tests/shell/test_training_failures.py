"""A script in which anything goes wrong says what, ends with another status than 0 and no result, and has destroyed nothing."""
from __future__ import annotations

import os
import shutil

import pytest

TRAININGS = ('train_full_1p', 'train_full_8p', 'train_performance_1p', 'train_performance_8p', 'train_performance_multinodes')
SCRIPTS = (*TRAININGS, 'train_eval_8p')


@pytest.fixture
def refused(cards, run, contents):
    """Runs a script that must fail; returns all it said."""
    def call(script, complaint, *flags, status=2, data='--data_path=shapes', **environment):
        before = contents(cards, 'data', 'work_dirs', 'shapes')
        result = run('bash', f'test/{script}.sh', data, *flags, cwd=cards, **environment)
        assert result.returncode == status, result.stdout + result.stderr
        assert complaint in result.stdout + result.stderr
        assert 'Final' not in result.stdout and 'E2E' not in result.stdout and 'Traceback' not in result.stderr
        after = contents(cards, 'data', 'work_dirs', 'shapes')
        assert {path: after[path] for path in before} == before
        results = [path.read_text() for path in (cards / 'test').glob('output/*/*.log') if path.is_file()]  # not a device
        assert not [text for text in results if 'ActualFPS' in text or 'TrainAccuracy' in text]
        return result
    return call


@pytest.mark.parametrize('script', SCRIPTS)
def test_a_training_that_fails_gives_its_status_and_says_where_the_cause_stands(refused, script):
    for status in (1, 2, 75):
        result = refused(script, 'the stand-in for', status=status, STAND_IN=f'exit:{status}')
        assert f'{script}.sh: ' in result.stderr and f'ended with exit status {status}: ' in result.stderr
        if status == 75:
            assert 'can go on' in result.stderr
        else:
            assert 'the reason is above and in test/output/0/train_0.log' in result.stderr
    refused(script, 'error: no memory left', status=1, STAND_IN='exit:no memory left')
    for number in (9, 11):
        refused(script, f'ended with exit status {128 + number}: signal {number}', status=128 + number,
                STAND_IN=f'signal:{number}')


@pytest.mark.parametrize('script', SCRIPTS)
def test_what_is_missing_is_named(refused, cards, script):
    refused(script, "--data_path: no folder 'nowhere'", data='--data_path=nowhere')
    refused(script, '--data_path is needed', data='--device=cpu')
    refused(script, "--config: no file 'nothing.py'", '--config=nothing.py')
    refused(script, 'the active environment', VIRTUAL_ENV=str(cards))
    for config in (cards / 'configs').glob('*npu*.py'):
        config.unlink()
    refused(script, "--config: no file 'configs/ssd300_coco_npu")


@pytest.mark.parametrize('script', TRAININGS)
@pytest.mark.parametrize('stand_in, complaint', [
    ('no log', 'training wrote no .log.json into '),
    ('damaged', '20261122_120000.log.json:3: not JSON'),
    ('no step', 'no train record'),
    ('no loss', 'a train record has no number loss, but None'),
])
def test_a_log_that_does_not_tell_is_no_success(refused, script, stand_in, complaint):
    refused(script, complaint, STAND_IN=stand_in)


@pytest.mark.parametrize('script', ('train_full_1p', 'train_full_8p'))
def test_a_full_training_without_an_accuracy_is_no_success(refused, script):
    refused(script, 'no evaluation with a bbox_mAP or mAP', STAND_IN='no metric')


@pytest.mark.parametrize('stand_in, complaint', [
    ('no log', 'the evaluation wrote no eval_<time>.json into test/output/0/SSD_bs8_8p_eval'),
    ('damaged', 'eval_20261122_120000.json: is no result of an evaluation'),
    ('no metric', 'has no bbox_mAP or mAP, only AR@100'),
])
def test_an_evaluation_that_does_not_tell_is_no_success(refused, stand_in, complaint):
    refused('train_eval_8p', complaint, STAND_IN=stand_in)


def test_an_evaluation_without_a_checkpoint_says_so(refused, cards):
    refused('train_eval_8p', "no checkpoint 'work_dirs/ssd_demo/latest.pth'; train first", '--config=configs/ssd_demo.py')
    refused('train_eval_8p', "--checkpoint: no file 'none.pth'", '--checkpoint=none.pth')


@pytest.mark.parametrize('script, case', [('train_full_1p', 'SSD_bs8_1p_acc'), ('train_eval_8p', 'SSD_bs8_8p_eval')])
def test_a_disk_without_room_for_the_result_is_no_success(refused, cards, script, case):
    refused(script, 'cannot write the results to', STAND_IN=f'place:{cards}/test/output/0/{case}.log')


def test_a_disk_without_room_for_losses_or_log_is_no_success(refused, cards):
    losses = cards / 'test/output/0/train_SSD_bs8_1p_acc_loss.txt'
    refused('train_full_1p', 'No space left on device', STAND_IN=f'place:{losses}')
    losses.unlink()
    log = cards / 'test/output/0/train_0.log'
    log.unlink()
    log.symlink_to('/dev/full')
    refused('train_full_1p', 'train_0.log is not complete', status=1)


@pytest.mark.parametrize('script', SCRIPTS)
def test_an_output_folder_that_cannot_be_used_is_named(refused, cards, script):
    (cards / 'test/output').write_text('a file')
    refused(script, 'cannot write to test/output/0/train_0.log')
    (cards / 'test/output').unlink()
    (cards / 'test/output/0/train_0.log').mkdir(parents=True)
    refused(script, 'cannot write to test/output/0/train_0.log')


def test_results_of_an_earlier_run_do_not_outlive_a_failure(refused, cards, run):
    assert run('bash', 'test/train_full_1p.sh', '--data_path=shapes', cwd=cards).returncode == 0
    (cards / 'test/output/0/mine.txt').write_text('stays')
    refused('train_full_1p', 'ended with exit status 1', status=1, STAND_IN='exit:1')
    assert sorted(path.name for path in (cards / 'test/output/0').iterdir()) == ['mine.txt', 'train_0.log']


def test_a_config_without_a_batch_is_named(refused, cards):
    (cards / 'tools/print_config.py').write_text("print('many')\n")
    refused('train_full_8p', "data.samples_per_gpu must be a whole number, got 'many'; or give --batch_size=N")


def test_without_torchrun_several_machines_do_not_start(refused, cards):
    shutil.rmtree(next((cards.parent / 'active').glob('lib/python*/site-packages')))
    (cards / 'requirements.txt').write_text('')
    refused('train_performance_multinodes', 'No module named', '--nnodes=2', '--batch_size=8', '--cards=1', status=1)


@pytest.mark.parametrize('flag, complaint', [
    ('--data_pathX=shapes', "unknown flag '--data_pathX=shapes'"),
    ('--batch=8', 'unknown flag'),
    ('--batch_size', 'needs a value'),
    ("--batch_size=1;system(\"touch owned\");x=1", '--batch_size must be a whole number'),
    ('--batch_size=a[$(touch owned)]', '--batch_size must be a whole number'),
    ('--batch_size=08', '--batch_size must be a whole number'),
    ('--train_epochs=$(touch owned)', '--train_epochs must be'),
    ('--max_steps=1\n2', '--max_steps must be'),
    ('--device=cpu --launcher=x', '--device must be auto, npu, cuda or cpu'),
    ('--config=x.py;touch owned', '--config: no file'),
    ('--data_path=$(touch owned)', '--data_path: no folder'),
])
@pytest.mark.parametrize('script', TRAININGS)
def test_a_flag_that_is_unknown_or_hostile_is_refused_without_effect(refused, cards, script, flag, complaint):
    before = sorted(cards.rglob('*'))
    refused(script, complaint, flag)
    assert sorted(cards.rglob('*')) == before


@pytest.mark.parametrize('flag, complaint', [
    ('--nnodes=0', '--nnodes must be a whole number of 1 or more'),
    ('--nnodes=a[$(touch owned)]', '--nnodes must be'),
    ('--node_rank=1', '--node_rank must be a whole number from 0 to 0 (--nnodes less 1)'),
    ('--node_rank=a[$(touch owned)]', '--node_rank must be'),
    ('--cards=0', '--cards must be'),
    ('--master_port=65536', '--master_port must be below 65536'),
    ('--master_addr=--help', '--master_addr must be an address'),
    ('--master_addr=$(touch owned)', '--master_addr must be an address'),
    ('--local_addr=eth0; touch owned', '--local_addr must be an address of this machine'),
    ('--device_id=0', 'unknown flag'),
])
def test_the_flags_of_several_machines_are_checked(refused, cards, flag, complaint):
    before = sorted(cards.rglob('*'))
    refused('train_performance_multinodes', complaint, flag)
    assert sorted(cards.rglob('*')) == before


def test_an_address_that_is_not_of_this_machine_is_refused(refused):
    nodes = ('--nnodes=2', '--master_addr=192.0.2.1')
    refused('train_performance_multinodes', '--local_addr=127.0.0.1 is not reached from other machines', *nodes)
    if shutil.which('ip', path=os.environ['PATH']):
        refused('train_performance_multinodes', 'no interface of this machine has this address', *nodes,
                '--local_addr=198.51.100.7')


@pytest.mark.parametrize('card', ['-1', '01', 'a[$(touch owned)]', '../../data', '0 --gpus 8'])
def test_the_number_of_a_card_is_only_a_number(refused, cards, card):
    before = sorted(cards.rglob('*'))
    refused('train_full_1p', '--device_id must be the number of a card', f'--device_id={card}')
    refused('train_performance_1p', 'ASCEND_DEVICE_ID must be the number of a card', ASCEND_DEVICE_ID=card)
    assert sorted(cards.rglob('*')) == before


def test_a_hostile_folder_name_is_only_a_name(cards, run):
    hostile = cards / '$(touch owned); touch owned "x" %s\\n'
    hostile.mkdir()
    for script in TRAININGS:
        flags = (f'--data_path={hostile}', f'--work_dir={hostile}/`touch owned`{script}')
        result = run('bash', f'test/{script}.sh', *flags, cwd=cards)
        assert result.returncode == 0, result.stderr
    assert not list(cards.rglob('owned'))
