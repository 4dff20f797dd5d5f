"""What is printed of a measure."""
from __future__ import annotations

import mmap
import os

import pytest

from benchmarks.end_to_end import growth
from benchmarks.interleaved import Measure
from benchmarks.machine import on_one_core, private_bytes
from benchmarks.report import markdown, number, print_table, row
from mmcv_need.cores import all_cores

FAST = Measure('step', 'ours', 'ms', [10.0, 12.0, 11.0], 'theirs', [20.0, 24.0, 22.0], target='>= 1.5')
SLOW = Measure('pipeline', 'ours', 'ms', [10.0, 12.0, 11.0], 'theirs', [5.0, 12.0, 20.0], target='>= 1.5')
ALONE = Measure('pipeline', 'memory', 'MB', [1234.5])
ABOUT = {'date': '2026-11-27', 'processor': 'abacus', 'cores': 2, 'memory_gb': 4, 'device': 'cpu', 'versions': {'torch': '2'},
         'load_before': 0.5, 'load_after': 1.25}


@pytest.mark.parametrize('value, text', [(0, '0'), (3, '3'), (0.12345, '0.123'), (12.345, '12.3'), (123.4, '123'),
                                         (0.0001, '0.0001'), (1234567.8, '1,234,568'), (float('nan'), '-')])
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_a_row_says_what_beside_what_and_whether_it_is_enough():
    assert row(FAST) == ['step', 'ours', '11 ms', 'theirs', '22 ms', '2', '0', '>= 1.5', 'met']
    assert row(SLOW)[5:] == ['1', '0.659', '>= 1.5', 'MISSED noisy']
    assert row(ALONE) == ['pipeline', 'memory', '1,234 MB', '', '', '', '', '', '']


def test_markdown_has_a_table_a_section_and_says_when_and_where():
    text = markdown([FAST, SLOW, ALONE], ABOUT)
    assert 'Measured 2026-11-27 on abacus, 2 cores' in text and 'load 0.5 before and 1.2 after' in text
    tables = text.split('**')[2::2]
    assert [table.count('\n| ') for table in tables] == [2, 3]
    widths = {line.count('|') for line in text.splitlines() if line.startswith('|')}
    assert len(widths) == 1


def test_noise_is_warned_of(capsys):
    print_table([FAST, SLOW, ALONE])
    assert 'warning: 1 of 3 figures spread by more than 10%' in capsys.readouterr().out
    print_table([FAST])
    assert 'warning' not in capsys.readouterr().out


@pytest.mark.parametrize('sizes, percent', [([10, 10, 10], 0), ([9, 10, 11], 10), ([11, 10, 9], -10),
                                            ([10, 12, 10, 12, 10], 0)])
def test_growth_is_the_slope_in_percent(sizes, percent):
    assert growth(sizes) == pytest.approx(percent)


@pytest.mark.skipif(not os.path.exists('/proc/self/smaps_rollup'), reason='this system does not say')
def test_what_a_process_holds_alone_grows_with_it():
    before = private_bytes(os.getpid())
    with mmap.mmap(-1, 30_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:  # malloc might have some to reuse
        block.write(b'x' * len(block))
        assert private_bytes(os.getpid()) - before > 25_000_000


def test_one_core_is_for_a_while():
    cores = all_cores()
    with on_one_core():
        assert len(all_cores()) == 1
    assert all_cores() == cores
