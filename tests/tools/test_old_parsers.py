"""Scripts that read the original's logs by the position of fields read ours: the ModelZoo's own lines of grep and awk."""
from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[1] / 'mmcv_need/data'
pytestmark = pytest.mark.skipif(not (shutil.which('awk') and shutil.which('grep')), reason='needs awk and grep')

TIME = """grep "Epoch \\[" "$1" | awk -F ":" '{print $8}' | awk -F "," '{print $1}'"""
LOSS = """grep "Epoch " "$1" | awk -F ':' '{print $12}'"""
STEP_TIME = """grep "time" "$1" | awk -F ":" '{print $8}' | awk -F "," '{print $1}' |
    awk '{if (NR > 3) {sum += $1; n += 1}} END {printf "%.4f", sum / n}'"""
BEST = """grep 'Epoch(val)' "$1" | sed 's/.*bbox_mAP: //; s/,.*//' | sort -n | tail -n 1"""
LAST = """grep 'Epoch(val)' "$1" | tail -n 1 | awk -F ',' '{print $2}' | awk '{print $10}'"""


def words(script, path):
    """What a script prints of a log, but for what follows a comma: `grad_norm` follows the loss where gradients are clipped."""
    done = subprocess.run(['bash', '-c', script, 'bash', str(path)], capture_output=True, text=True, check=True)
    return [line.split(',')[0].strip() for line in done.stdout.splitlines()]


def test_time_and_loss_are_the_eighth_and_twelfth_field(trained):
    log, records = trained.logs[0], trained.of('train')
    assert len(records) == 9
    for script, name, digits in ((TIME, 'time', 3), (LOSS, 'loss', 4)):  # the records have five digits, so rounding may differ
        found = [float(word) for word in words(script, log)]
        assert found == pytest.approx([record[name] for record in records], abs=0.51 * 10**-digits)


def test_the_mean_time_of_a_step_comes_out_as_the_script_computes_it(trained):
    times = [round(record['time'], 3) for record in trained.of('train')]
    lines = [line for line in trained.logs[0].read_text().splitlines() if 'time' in line]
    skipped = 3 - (len(lines) - len(times))  # lines of the config that have the word come first, and count as lines
    assert float(words(STEP_TIME, trained.logs[0])[0]) == pytest.approx(sum(times[skipped:]) / len(times[skipped:]), abs=1e-4)


def test_the_accuracy_is_found_by_name_and_by_position(trained):
    metrics = [f"{record['bbox_mAP']:.4f}" for record in trained.of('val')]
    assert words(BEST, trained.logs[0]) == [max(metrics)]
    assert words(LAST, trained.logs[0]) == [metrics[-1]]


def test_the_lines_read_a_log_that_mmcv_wrote_just_so():
    log = DATA / 'ssd300_mmcv_1.2.7.log'
    assert words(TIME, log) == ['8.659', '9.974', '11.030', '14.086']
    assert words(LOSS, log) == ['177.7480', '53.3382', '26.3707', '42.1960']
    assert words(LAST, log) == ['0.0000']
