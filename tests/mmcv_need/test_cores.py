"""Each process of a machine keeps to its share of the cores."""
from __future__ import annotations

import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcv_need import cores

ROOT = Path(__file__).resolve().parents[2]


@given(st.lists(st.integers(0, 300), unique=True, max_size=40).map(sorted), st.integers(1, 9))
def test_shares_are_all_the_cores_each_once_and_as_equal_as_can_be(all_cores, size):
    shares = [cores.share_of(all_cores, rank, size) for rank in range(size)]
    assert list(chain(*shares)) == all_cores
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.skipif(not hasattr(os, 'sched_setaffinity'), reason='this system binds no process to cores')
@pytest.mark.parametrize('size', [1, 2, 3, 200])
def test_a_process_is_bound_where_there_is_a_core_for_each_and_shares_them_otherwise(size):
    program = ('import os, sys; sys.path.insert(0, sys.argv[1]); from mmcv_need import cores; '
               'before = cores.all_cores(); cores.bind(0, int(sys.argv[2])); '
               'print(len(before), len(cores.all_cores()), cores.available_cores())')
    done = subprocess.run([sys.executable, '-c', program, str(ROOT), str(size)], capture_output=True, text=True, check=True)
    before, after, available = map(int, done.stdout.split())
    if before >= size:
        assert after == available == before // size + (before % size > 0)
    else:
        assert after == before and available == 0
