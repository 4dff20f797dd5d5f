"""TextLoggerHook: MMCV's lines and records to the letter, since scripts of years cut them up by position."""
from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
import torch

from mmcv_need.errors import ConfigError
from mmcv_need.hooks import TextLoggerHook
from mmcv_need.log_buffer import LogBuffer
from mmcv_need.logger import get_logger

LOSSES = {'loss_cls': 5.1, 'loss_bbox': 2.9, 'loss': 8.0}
MB = 2**20


class Run:
    """As much of a runner as the hook looks at."""

    def __init__(self, folder, device='cpu', iterations=100, **hook):
        self.work_dir, self.timestamp = str(folder), '20261122_120000'
        self.log_file, self.json_file = folder / f'{self.timestamp}.log', folder / f'{self.timestamp}.log.json'
        self.logger = get_logger('mmdet', str(self.log_file))
        self.device = SimpleNamespace(type=device)
        self.meta = {'config': 'x = 1\n', 'seed': 3, 'env_info': 'PyTorch: 2', 'exp_name': 'ssd.py', 'CLASSES': ['a']}
        self.mode, self.rank, self.epoch, self.iter, self.inner_iter = 'train', 0, 0, 0, 0
        self.max_epochs, self.max_steps, self.lr = 24, None, 1.97804e-4
        self.data_loader = range(iterations)
        self.log_buffer = LogBuffer()
        self.hook = TextLoggerHook(**hook)
        self.hooks = [self.hook]
        self.hook.before_run(self)
        self.hook.before_train_epoch(self)

    @property
    def max_iters(self):
        return self.max_epochs * len(self.data_loader)

    def current_lr(self):
        return [self.lr]

    def step(self, values=LOSSES, time=0.4214, data_time=0.0512, count=1):
        self.log_buffer.update({'data_time': data_time})  # before the iteration
        self.log_buffer.update(values, count)
        self.log_buffer.update({'time': time})  # after it
        self.hook.after_train_iter(self)
        self.iter += 1
        self.inner_iter += 1

    def epoch_ends(self, **values):
        if values:
            self.log_buffer.clear_output()
            self.log_buffer.output.update(values)
            self.log_buffer.ready = True
        self.hook.after_train_epoch(self)
        self.epoch, self.inner_iter = self.epoch + 1, 0

    @property
    def lines(self):
        return [line for line in self.log_file.read_text().splitlines() if 'Epoch' in line]

    @property
    def records(self):
        return [json.loads(line) for line in self.json_file.read_text().splitlines()]


@pytest.fixture
def start(tmp_path):
    yield lambda **settings: Run(tmp_path, **settings)
    get_logger('mmdet')  # closes the log file


def test_a_train_line_is_mmcvs(start):
    run = start(interval=2, iterations=5)
    run.step()
    run.step()
    assert re.fullmatch(
        r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - mmdet - INFO - Epoch \[1\]\[2/5\]\tlr: 1.978e-04, eta: 0:00:49, time: 0.421, '
        r'data_time: 0.051, loss_cls: 5.1000, loss_bbox: 2.9000, loss: 8.0000', run.lines[0])


@pytest.mark.parametrize('iterations', [100, 9162])  # an eta of less and of more than a day
def test_old_scripts_find_time_and_loss_at_their_positions(start, iterations):
    run = start(interval=50, iterations=iterations)
    for _ in range(50):
        run.step()
    fields = run.lines[0].split(':')  # awk -F ':'; its $8 and $12
    assert fields[7].split(',')[0] == ' 0.421'
    assert fields[11] == ' 8.0000'
    assert ('day' in run.lines[0]) == (iterations == 9162)


def test_with_gradients_norms_or_cuda_the_twelfth_field_is_another_as_in_mmcv(start, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'max_memory_allocated', lambda device: 4242 * MB)
    for device, more, twelfth in (('cpu', {'grad_norm': 1.0}, ' 8.0000, grad_norm'), ('cuda', {}, ' 2.9000, loss')):
        run = start(interval=1, device=device)
        run.step({**LOSSES, **more})
        assert run.lines[-1].split(':')[11] == twelfth


def test_old_scripts_find_the_mean_average_precision(start):
    run = start(interval=50)
    run.epoch_ends(bbox_mAP=0.2551, bbox_mAP_50=0.43, bbox_mAP_copypaste='0.255 0.430')
    line = run.lines[0]
    assert line.endswith('Epoch(val) [1][100]\tbbox_mAP: 0.2551, bbox_mAP_50: 0.4300, bbox_mAP_copypaste: 0.255 0.430')
    assert line.split('bbox_mAP: ')[1].split(',')[0] == '0.2551'
    assert line.split(',')[1].split()[9] == '0.2551'  # awk -F ',' '{print $2}' | awk '{print $10}'


def test_a_train_record_has_mmcvs_keys_in_mmcvs_order_and_five_decimals(start):
    run = start(interval=1)
    run.lr = 2e-6
    run.step({**LOSSES, 'loss': 8.123456789, 'grad_norm': 1 / 3}, time=8.6588812, data_time=0.0611287)
    assert list(run.records[1].items()) == [
        ('mode', 'train'), ('epoch', 1), ('iter', 1), ('lr', 0.0), ('data_time', 0.06113), ('loss_cls', 5.1),
        ('loss_bbox', 2.9), ('loss', 8.12346), ('grad_norm', 0.33333), ('time', 8.65888)]


def test_times_keep_their_places_around_values_that_come_earlier_or_later(start):
    run = start(interval=2)
    for more in ({}, {'grad_norm': 1.0}):  # as when gradients are accumulated
        run.log_buffer.update({'early': 0.5})
        run.step({**LOSSES, **more})
    assert list(run.records[1]) == ['mode', 'epoch', 'iter', 'lr', 'data_time', 'early', *LOSSES, 'grad_norm', 'time']


def test_the_rate_is_rounded_like_everything_else(start):
    run = start(interval=1)
    run.lr = 5.0e-5
    run.step()
    assert '"lr": 5e-05,' in run.json_file.read_text()


def test_a_validation_record_has_mmcvs_keys_in_mmcvs_order(start):
    run = start(interval=1)
    run.epoch_ends(bbox_mAP=0.255123456, bbox_mAP_copypaste='0.255')
    assert list(run.records[-1].items()) == [('mode', 'val'), ('epoch', 1), ('iter', 100), ('lr', 0.0002),
                                             ('bbox_mAP', 0.25512), ('bbox_mAP_copypaste', '0.255')]


def test_an_epoch_without_evaluation_has_no_validation_record(start):
    run = start(interval=1)
    run.step()
    run.epoch_ends()
    assert [record.get('mode') for record in run.records] == [None, 'train']


def test_the_first_record_is_of_the_run_itself(start):
    assert start().records == [{'env_info': 'PyTorch: 2', 'config': 'x = 1\n', 'seed': 3, 'exp_name': 'ssd.py'}]


def test_both_files_carry_the_time_of_the_start(start, tmp_path):
    run = start(interval=1)
    run.step()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['20261122_120000.log', '20261122_120000.log.json']


def test_iterations_after_the_last_full_interval_appear_nowhere(start):
    run = start(interval=2, iterations=5)
    for _ in range(5):
        run.step()
    run.epoch_ends()
    run.hook.before_train_epoch(run)
    for _ in range(5):
        run.step(time=1.0)
    assert [(record['epoch'], record['iter']) for record in run.records[1:]] == [(1, 2), (1, 4), (2, 2), (2, 4)]
    assert run.records[3]['time'] == 1.0  # the fifth iteration of the first epoch is not averaged in


def test_a_record_averages_its_interval_weighted_by_samples(start):
    run = start(interval=2)
    for _ in range(2):
        run.step({'loss': 100.0})
    run.step({'loss': 1.0}, count=3, time=0.1)
    run.step({'loss': 5.0}, count=1, time=0.3)
    assert run.records[2]['loss'] == 2.0 and run.records[2]['time'] == 0.2


def test_values_may_be_tensors_still_on_their_device(start):
    run = start(interval=2)
    for value in (1.0, 2.0):
        run.step({'loss': torch.tensor(value)})
    assert run.records[1]['loss'] == 1.5


def test_eta_is_the_time_left_at_the_rate_so_far(start):
    run = start(interval=10, iterations=100)
    run.max_epochs = 1
    for _ in range(10):
        run.step(time=2.0)
    assert 'eta: 0:03:00,' in run.lines[0]  # 90 iterations of 2 seconds


def test_eta_after_an_interruption_counts_this_process_only(start):
    run = start(interval=10, iterations=100)
    run.max_epochs, run.iter, run.inner_iter = 1, 25, 25
    for _ in range(5):
        run.log_buffer.update({'data_time': 0.0, 'time': 2.0})  # of the process before
    run.hook.before_run(run)
    for _ in range(5):
        run.step(time=2.0)
    assert 'eta: 0:02:20,' in run.lines[0]  # 70 iterations of 2 seconds


def test_eta_knows_of_a_limit_of_steps(start):
    run = start(interval=10, iterations=100)
    run.max_steps = 40
    for _ in range(10):
        run.step(time=2.0)
    assert 'eta: 0:01:00,' in run.lines[0]


def test_an_npus_memory_stands_in_the_json_only(start, monkeypatch):
    monkeypatch.setattr(torch, 'npu', SimpleNamespace(max_memory_allocated=lambda device: 4242 * MB), raising=False)
    run = start(interval=1, device='npu')
    run.step()
    assert list(run.records[1])[3:6] == ['lr', 'memory', 'data_time'] and run.records[1]['memory'] == 4242
    assert 'memory' not in run.lines[0] and run.lines[0].split(':')[11] == ' 8.0000'


def test_a_gpus_memory_stands_in_both_where_mmcv_had_it(start, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'max_memory_allocated', lambda device: 4242 * MB + 5)
    run = start(interval=1, device='cuda')
    run.step()
    assert run.records[1]['memory'] == 4242
    assert 'data_time: 0.051, memory: 4242, loss_cls: 5.1000' in run.lines[0]
    assert run.lines[0].split(':')[7].split(',')[0] == ' 0.421'


def test_the_experiments_name_precedes_the_lines_that_end_epochs_and_some_others(start):
    run = start(interval=2, iterations=5, interval_exp_name=4)
    for _ in range(5):
        run.step()
    run.epoch_ends(bbox_mAP=0.25)
    run.epoch_ends()  # without an evaluation there is no line
    said = [line.split(' - INFO - ')[1].split('\t')[0] for line in run.log_file.read_text().splitlines()]
    assert said == ['Epoch [1][2/5]', 'Exp name: ssd.py', 'Epoch [1][4/5]', 'Exp name: ssd.py', 'Epoch(val) [1][5]']


def test_a_run_without_a_name_has_none_in_its_log(start):
    run = start(interval=1, iterations=1)
    del run.meta['exp_name']
    run.step()
    assert 'Exp name' not in run.log_file.read_text()


def test_only_rank_0_writes_records(start):
    run = start(interval=1)
    run.rank = 1
    run.step()
    assert len(run.records) == 1


def test_not_a_number_stays_visible(start):
    run = start(interval=1)
    run.step({'loss': float('nan')})
    assert 'loss: nan' in run.lines[0] and '"loss": NaN' in run.json_file.read_text()
    run.epoch_ends(bbox_mAP=float('nan'))
    assert 'bbox_mAP: nan' in run.lines[1] and '"bbox_mAP": NaN' in run.json_file.read_text()


def test_the_rest_of_an_epoch_may_have_a_line_of_its_own(start):
    run = start(interval=2, iterations=5, ignore_last=False)
    for loss in (1.0, 2.0, 4.0, 8.0, 16.0):
        run.step({'loss': loss}, time=loss)
    assert [(record['iter'], record['loss'], record['time']) for record in run.records[1:]] == [
        (2, 1.5, 1.5), (4, 6.0, 6.0), (5, 16.0, 16.0)]


def test_eta_counts_the_rest_of_an_epoch_once(start):
    run = start(interval=2, iterations=5, ignore_last=False)
    run.max_epochs = 2
    for _ in range(5):
        run.step(time=2.0)
    assert ['eta: 0:00:16,' in run.lines[0], 'eta: 0:00:10,' in run.lines[2]] == [True, True]


def test_lines_may_count_iterations_of_the_run(start):
    run = start(interval=4, iterations=3, by_epoch=False)
    for _ in range(2):
        for _ in range(3):
            run.step()
        run.epoch_ends(bbox_mAP=0.5)
    assert [line.split(' - INFO - ')[1].split(',')[0] for line in run.log_file.read_text().splitlines()] == [
        'Iter(val) [3]\tbbox_mAP: 0.5000', 'Iter [4/72]\tlr: 1.978e-04', 'Iter(val) [6]\tbbox_mAP: 0.5000']
    assert [(record['epoch'], record['iter']) for record in run.records[1:]] == [(1, 3), (2, 4), (2, 6)]


def test_values_without_times_are_written_too(start):
    run = start(interval=1)
    run.log_buffer.update({'loss': 2.0})
    run.hook.after_train_iter(run)
    assert run.lines[0].endswith('Epoch [1][1/100]\tlr: 1.978e-04, loss: 2.0000')
    assert list(run.records[1]) == ['mode', 'epoch', 'iter', 'lr', 'loss']


def test_lists_are_rounded_like_numbers(start):
    run = start(interval=1)
    run.epoch_ends(ap=[1 / 3, [2 / 3, 'x']])
    assert run.records[1]['ap'] == [0.33333, [0.66667, 'x']]


def test_mmcvs_arguments_of_copies_may_be_its_defaults_and_nothing_else():
    TextLoggerHook(out_dir=None, out_suffix=['.log.json', '.log', '.py'], keep_local=True, file_client_args=None)
    for name, value in (('out_dir', 's3://logs'), ('out_suffix', '.log'), ('keep_local', False),
                        ('file_client_args', {'backend': 'petrel'})):
        with pytest.raises(ConfigError, match=f'^{name}: logs stay in the work directory .*; remove {name}, or set it to MMCV'):
            TextLoggerHook(**{name: value})


def test_a_record_that_cannot_be_written_does_not_end_the_run(start, monkeypatch):
    run = start(interval=1)

    def full(*given, **settings):
        raise OSError(28, 'No space left on device')
    with monkeypatch.context() as disk:
        disk.setattr('builtins.open', full)
        run.step()
        run.step()
    run.step()
    assert [record.get('iter') for record in run.records] == [None, 3]
    assert run.log_file.read_text().count(f'{run.json_file}: cannot be written (No space left on device)') == 1
