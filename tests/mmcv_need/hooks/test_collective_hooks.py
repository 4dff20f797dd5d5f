"""Hooks that end a run, in two gloo processes: all decide the same at the same moment, and none waits for another."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

WORKER = '''
import json, sys, time
from types import SimpleNamespace
import torch
import torch.distributed as dist

sys.path.insert(0, sys.argv[1])
from mmcv_need import device as devices
from mmcv_need import dist_utils
from mmcv_need.errors import DivergedError, UserError
from mmcv_need.hooks import time_limit
from mmcv_need.hooks.early_stopping import EarlyStoppingHook
from mmcv_need.hooks.invalid_loss import CheckInvalidLossHook
from mmcv_need.hooks.text_logger import TextLoggerHook
from mmcv_need.log_buffer import LogBuffer
from mmcv_need.update_watch import UpdateWatch

dist_utils.init_dist('pytorch', 'gloo')
rank, size = dist_utils.get_dist_info()
answers = {}


def make_run():
    run = SimpleNamespace(rank=rank, world_size=size, device=torch.device('cpu'), epoch=0, iter=0, inner_iter=0, stops=[],
                          log_buffer=LogBuffer(), mode='train', data_loader=range(100), max_iters=200, max_steps=None,
                          work_dir=sys.argv[2], timestamp='run', meta={}, lines=[], current_lr=lambda: [0.5])
    run.logger = SimpleNamespace(warning=lambda *given: None, info=lambda message, *given: run.lines.append(message % given))
    run.stop = lambda reason, resumable: run.stops.append([run.iter, resumable])
    return run


run, hook = make_run(), EarlyStoppingHook('bbox_mAP', min_delta=0.0, patience=1, strict=True)
for value in (0.5, 0.6, 0.4, 0.7):
    run.iter += 1
    hook.evaluated(run, {'bbox_mAP': value} if rank == 0 else {})
answers['early stopping'] = run.stops

run, hook = make_run(), EarlyStoppingHook('bbox_mAP_5O', rule='greater', strict=True)
try:
    hook.evaluated(run, {'bbox_mAP_50': 0.5} if rank == 0 else {})
except UserError as error:
    answers['a missing metric'] = str(error)

run, hook = make_run(), time_limit.TimeLimitHook(1000, 0.0)
time_limit.STARTED = time.monotonic() - (2000 if rank == 0 else 0)  # the clock of rank 0 counts
for run.iter in range(60):
    hook.after_train_iter(run)
answers['time limit'] = run.stops

run, hook = make_run(), CheckInvalidLossHook(interval=2)
run.watch = UpdateWatch(SimpleNamespace(loss_scale=None), run.logger, sys.argv[2], run.device)
for run.iter in range(4):
    loss = torch.tensor(float('nan') if run.iter == 3 and rank == 1 else 1.0)
    run.outputs, run.batch = {'loss': loss, 'log_vars': {'loss': loss}}, {'img_metas': [{'filename': f'of_rank_{rank}.jpg'}]}
    run.watch.see(run.batch, run.outputs, first=True)
    try:
        hook.after_train_iter(run)
    except DivergedError as error:
        answers['invalid loss'] = [run.iter, str(error)]

run, hook = make_run(), TextLoggerHook(interval=2)
hook.before_run(run)
hook.before_train_epoch(run)
for run.iter in range(2):
    run.inner_iter = run.iter
    run.log_buffer.update({'data_time': 0.1})
    run.log_buffer.update({'loss': float('nan') if (rank, run.iter) == (0, 1) else 1.0 + 4 * rank}, 1)
    run.log_buffer.update({'time': 0.2})
    hook.after_train_iter(run)
answers['log'] = run.lines[0].split(', ')[-1]

run, hook, devices.max_memory_mb = make_run(), TextLoggerHook(interval=1), lambda device: 500 + 100 * rank
run.timestamp, run.hooks = 'memory', [hook]
hook.before_run(run)
hook.before_train_epoch(run)
for moment, mode in (('after_train_iter', 'train'), ('after_val_epoch', 'val')):
    run.log_buffer.begin(mode)
    run.log_buffer.update({'data_time': 0.1, 'loss': 1.0, 'time': 0.2})
    getattr(hook, moment)(run)
run.log_buffer.output.update({'mAP': 0.5} if rank == 0 else {})
run.log_buffer.ready = True
hook.after_train_epoch(run)
dist_utils.barrier()
open(f'{sys.argv[2]}/{rank}.json', 'w').write(json.dumps(answers))
dist.destroy_process_group()
'''


@pytest.fixture(scope='module')
def answers(tmp_path_factory, in_two_processes):
    """What each of two processes did, and the records of the logs that they wrote."""
    folder = tmp_path_factory.mktemp('hooks')
    in_two_processes(WORKER, folder)
    return [json.loads((folder / f'{rank}.json').read_text()) for rank in range(2)], {
        path.name: [json.loads(line) for line in path.read_text().splitlines()] for path in folder.glob('*.log.json')}


def test_both_stop_where_rank_0_sees_no_progress(answers):
    assert [answer['early stopping'] for answer in answers[0]] == [[[3, False]]] * 2


def test_an_error_that_only_rank_0_can_see_ends_both(answers):
    first, second = (answer['a missing metric'] for answer in answers[0])
    assert "'bbox_mAP_5O' is not among the values" in first and second == 'rank 0 cannot go on; see what it says'


def test_both_stop_when_rank_0s_time_is_up(answers):
    assert [answer['time limit'] for answer in answers[0]] == [[[49, True]]] * 2


def test_both_end_with_an_error_and_the_one_with_the_bad_loss_names_its_pictures(answers):
    (first, of_other), (second, own) = (answer['invalid loss'] for answer in answers[0])
    assert (first, second) == (3, 3)
    assert of_other.startswith('epoch 1, iteration 1 (4 of the run): the loss of another process is not finite; see what that '
                               'says. No checkpoint ')
    assert own.startswith('process 1, epoch 1, iteration 1 (4 of the run): the loss is not finite: loss nan. Pictures: ')
    assert 'of_rank_1.jpg' in own and 'of_rank_0' not in own


def test_a_line_averages_over_the_processes_and_rank_0_writes_it(answers):
    assert [answer['log'] for answer in answers[0]] == ['loss: 3.0000'] * 2
    assert [record.get('loss') for record in answers[1]['run.log.json']] == [None, 3.0]


def test_memory_is_that_of_the_process_with_the_most(answers):
    records = answers[1]['memory.log.json'][1:]
    assert [(record['mode'], record.get('memory')) for record in records] == [('train', 600), ('val', 600), ('val', None)]
