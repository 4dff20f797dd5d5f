"""calc_fps.py: the figures of the original wherever it had any, and one clear line where it had none."""
from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

SCRIPT = Path(__file__).parents[1] / 'calc_fps.py'
spec = importlib.util.spec_from_file_location('calc_fps', SCRIPT)
calc_fps = importlib.util.module_from_spec(spec)
spec.loader.exec_module(calc_fps)

# The records of a log that MMCV 1.2.7 wrote (2 epochs of 5 iterations, logged every 2), without losses and metrics.
MMCV_LOG = """
{"env_info": "ENV", "config": "input_size = 300", "seed": 0, "exp_name": "ssd300_coco_npu.py"}
{"mode": "train", "epoch": 1, "iter": 2, "lr": 5e-05, "data_time": 0.06113, "time": 8.65888}
{"mode": "train", "epoch": 1, "iter": 4, "lr": 0.00015, "data_time": 0.04183, "time": 9.97396}
{"mode": "val", "epoch": 1, "iter": 5, "lr": 0.0002, "bbox_mAP": 0.0}
{"mode": "train", "epoch": 2, "iter": 2, "lr": 3e-05, "data_time": 0.04694, "time": 11.03016}
{"mode": "train", "epoch": 2, "iter": 4, "lr": 3e-05, "data_time": 0.05406, "time": 14.08559}
{"mode": "val", "epoch": 2, "iter": 5, "lr": 3e-05, "bbox_mAP": 0.0}
"""


def train(epoch: int, iteration: int, time: float) -> dict:
    return {'mode': 'train', 'epoch': epoch, 'iter': iteration, 'lr': 0.001, 'time': time}


def val(epoch: int) -> dict:
    return {'mode': 'val', 'epoch': epoch, 'iter': 9, 'bbox_mAP': 0.1}


def original(records: list[dict], cards: int, batch: int) -> list[str]:
    """What the script of the old toolkit printed, as it is specified."""
    lines, epoch, count, fps, total = [], 0, 0, 0, 0
    for record in records:
        if 'mode' not in record:
            continue
        if record['mode'] == 'train' and record['iter'] > 50:
            count += 1
            fps += cards * batch / record['time']
        if record['mode'] == 'val':
            epoch += 1
            lines.append(str({'epoch': epoch, 'fps': fps / count}))
            total += fps / count
            count = fps = 0
    return [*lines, str({'fps': total / epoch})]


def run(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def log(tmp_path):
    def write(records: list[dict]) -> Path:
        path = tmp_path / '20261122_120000.log.json'
        path.write_text(''.join(json.dumps(record) + '\n' for record in records))
        return path
    return write


def without_comments(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith('#')]


times = st.floats(0.00001, 1000).map(lambda time: round(time, 5))
epochs_of_times = st.lists(st.tuples(st.lists(times, max_size=2), st.lists(times, min_size=1, max_size=5)),
                           min_size=1, max_size=4)


@given(epochs=epochs_of_times, trailing=st.lists(times, max_size=2),
       cards=st.integers(1, 64), batch=st.integers(1, 512))
def test_prints_to_the_last_digit_what_the_original_printed(epochs, trailing, cards, batch):
    records: list[dict] = []
    for number, (warm_up, counted) in enumerate(epochs, 1):
        records += [train(number, 10 * (k + 1), time) for k, time in enumerate(warm_up)]
        records += [train(number, 51 + 50 * k, time) for k, time in enumerate(counted)]
        records.append(val(number))
    records += [train(len(epochs) + 1, 100 + k, time) for k, time in enumerate(trailing)]
    assert without_comments(calc_fps.report(records, cards, batch)) == original(records, cards, batch)


def test_the_last_word_of_the_output_is_the_answer_as_old_callers_expect(log):
    path = log([{'env_info': 'x'}, train(1, 50, 9.0), train(1, 100, 0.5), val(1), train(2, 100, 0.25), val(2)])
    result = run(path, 8, 32)
    assert result.returncode == 0
    assert result.stdout.split(' ')[-1].strip().rstrip('}') == '768.0'  # bash: ${fps_list##* } and ${fps%\}}


def test_a_log_of_short_epochs_gets_a_figure_and_a_line_that_says_how(tmp_path):
    path = tmp_path / 'mmcv.log.json'
    path.write_text(MMCV_LOG.strip())
    with pytest.raises(ZeroDivisionError):
        original([json.loads(line) for line in MMCV_LOG.split('\n') if line], 1, 2)
    lines = run(path, 1, 2).stdout.splitlines()
    rates = [(2 / 8.65888 + 2 / 9.97396) / 2, (2 / 11.03016 + 2 / 14.08559) / 2]
    assert lines[:2] == [str({'epoch': k, 'fps': rate}) for k, rate in enumerate(rates, 1)]
    assert lines[2].startswith('# epoch 1: no record after iteration 50')
    assert lines[-1] == str({'fps': (rates[0] + rates[1]) / 2})


def test_a_log_of_mmengine_is_read_from_any_folder(tmp_path):
    lines = [{'lr': 0.1, 'loss': 1.0, 'data_time': 0.1, 'time': 0.5 * epoch, 'epoch': epoch, 'iter': 200 * (epoch - 1) + k,
              'step': 200 * (epoch - 1) + k} for epoch in (1, 2) for k in (50, 100, 150)]
    lines.insert(3, {'coco/bbox_mAP': 0.1, 'data_time': 0.1, 'time': 0.1, 'step': 1})
    lines.append({'coco/bbox_mAP': 0.2, 'data_time': 0.1, 'time': 0.1, 'step': 2})
    lines[0]['time'] = 9.0  # of iteration 50, which does not count; neither does the 250th of the run, the 50th of its epoch
    lines[4]['time'] = 9.0
    (tmp_path / 'scalars.json').write_text('\n'.join(map(json.dumps, lines)))
    command = [sys.executable, str(SCRIPT), 'scalars.json', '2', '4']
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    rates = [str({'epoch': 1, 'fps': 16.0}), str({'epoch': 2, 'fps': 8.0}), str({'fps': 12.0})]
    assert without_comments(done.stdout.splitlines()) == rates


def test_without_validation_the_epochs_of_the_train_records_count():
    records = [train(1, 50, 4.0), train(1, 100, 2.0), train(2, 50, 4.0), train(2, 100, 1.0)]
    lines = calc_fps.report(records, 1, 8)
    assert without_comments(lines) == ["{'epoch': 1, 'fps': 4.0}", "{'epoch': 2, 'fps': 8.0}", "{'fps': 6.0}"]
    assert any(line.startswith('# no val record') for line in lines)


def test_an_evaluation_before_any_training_is_left_out_of_the_mean():
    lines = calc_fps.report([val(1), train(2, 100, 2.0), val(2)], 1, 8)
    assert without_comments(lines) == ["{'epoch': 2, 'fps': 4.0}", "{'fps': 4.0}"]
    assert '# epoch 1: no train record to take a rate from; left out of the mean' in lines


def test_a_record_with_time_zero_is_left_out_and_said_so():
    lines = calc_fps.report([train(1, 60, 0.0), train(1, 100, 2.0), val(1)], 1, 8)
    assert lines[-1] == "{'fps': 4.0}"
    assert '# epoch 1: 1 record(s) with time 0 left out' in lines


def test_training_after_the_only_evaluation_gives_total_images_over_total_time():
    lines = calc_fps.report([val(1), train(2, 10, 2.0)], 1, 8)
    assert lines[-1] == "{'fps': 4.0}"
    assert '# no evaluated epoch has a rate: total images / total time is the answer' in lines


@pytest.mark.parametrize('records, seconds, iterations', [
    ([train(1, 50, 2.0), train(1, 100, 1.0)], 150.0, 100),
    ([train(1, 50, 2.0), train(1, 100, 1.0), val(1), train(2, 50, 1.0)], 200.0, 150),
    ([train(1, 50, 2.0), train(1, 60, 1.0)], 110.0, 60),  # a last, shorter interval
    ([train(1, 50, 2.0), train(1, 50, 1.0), train(1, 100, 1.0)], 200.0, 150),  # epoch 1 started again
    ([train(1, 50, 2.0), train(1, 100, 1.0), train(2, 150, 2.0), train(2, 200, 1.0)], 300.0, 200),  # iterations of the run
    ([train(2, 50, 2.0), train(4, 100, 1.0)], 150.0, 100),  # with more of them to a record than to an epoch
    ([train(1, 20, 2.0), train(1, 40, 2.0), train(2, 50, 1.0)], 130.0, 90),  # gone on with another interval
])
def test_total_rate_weighs_each_record_by_the_iterations_it_stands_for(records, seconds, iterations):
    assert calc_fps.total_rate(records, 8) == (8 * iterations / seconds, iterations)


@pytest.mark.parametrize('content, arguments, complaint', [
    (None, ('1', '8'), 'cannot be read'),
    ('', ('1', '8'), 'has no train record'),
    ('{"mode": "val", "epoch": 1}', ('1', '8'), 'has no train record'),
    ('2026-11-22 12:00:00,123 - mmdet - INFO - text', ('1', '8'), ':1: not JSON'),
    ('[' * 100000, ('1', '8'), 'not JSON'),
    ('{"mode": "train", "epoch": 1, "iter": 60, "time": 1.0}\n{"mode": "tr', ('1', '8'), ':2: not JSON'),
    ('3', ('1', '8'), 'expected a JSON object, got int'),
    ('{"mode": "train", "epoch": 1, "iter": 60}', ('1', '8'), 'needs its "time" in seconds, got None'),
    ('{"mode": "train", "epoch": 1, "iter": 60, "time": NaN}', ('1', '8'), 'needs its "time"'),
    ('{"mode": "train", "epoch": 1, "iter": 60, "time": -1}', ('1', '8'), 'needs its "time"'),
    ('{"mode": "train", "epoch": [], "iter": 60, "time": 1}', ('1', '8'), 'the "epoch" of a train record'),
    ('{"mode": "train", "epoch": 1, "iter": "60", "time": 1}', ('1', '8'), 'a whole "iter"'),
    ('{"mode": "train", "epoch": 1, "iter": 60, "time": 0}', ('1', '8'), 'every train record has time 0'),
    (MMCV_LOG, ('eight', '8'), "number of cards must be a whole number, got 'eight'"),
    (MMCV_LOG, ('1', '8.5'), "batch per card must be a whole number, got '8.5'"),
    (MMCV_LOG, ('0', '8'), 'number of cards must be 1 or more, got 0'),
    (MMCV_LOG, ('1', '-8'), 'batch per card must be 1 or more, got -8'),
    (MMCV_LOG, ('other.log.json', '1', '8'), 'did a pattern match several logs?'),
    (MMCV_LOG, (), 'usage: python calc_fps.py'),
], ids=lambda value: str(value)[:24])
def test_bad_input_is_one_line_and_status_2(tmp_path, capsys, content, arguments, complaint):
    path = tmp_path / 'run.log.json'
    if content is not None:
        path.write_text(content)
    assert calc_fps.main([str(path), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ''
    assert captured.err.startswith('calc_fps.py: ') and captured.err.count('\n') == 1
    assert complaint in captured.err
