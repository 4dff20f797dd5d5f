"""The arithmetic of many cards, by hand."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.scaling import Constants, Network, predict, reduce_seconds, ring_seconds

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize('members, seconds', [
    (1, 0.0),                       # nobody to talk to
    (2, 1.0),                       # half of 100 bytes, twice, at 100 bytes/s
    (4, 1.5),                       # a quarter, six times
    (100, 1.98)])                   # 2 (n - 1) / n
def test_a_ring_sends_almost_twice_the_bytes(members, seconds):
    assert ring_seconds(100.0, members, 100.0, 0.0) == pytest.approx(seconds)


def test_each_message_has_its_latency():
    assert ring_seconds(0.0, 5, 1.0, 0.25) == pytest.approx(2 * 4 * 0.25)


@pytest.mark.parametrize('count, seconds', [(8, 1.75), (16, 1.75 + 10.0), (9, 1.75 + 10.0), (32, 1.75 + 15.0)])
def test_machines_talk_after_their_cards_have(count, seconds):
    """Of 100 bytes: 2 * 7/8 at 100 bytes/s within; 2 * (m - 1)/m at 10 bytes/s between m machines."""
    assert reduce_seconds(100.0, count, Network(100.0, 10.0)) == pytest.approx(seconds, abs=1e-2)


# 25 M parameters are 100 MB, of which 25 MB come last. At 1 GB/s within a machine two cards take 100 ms and 25 ms for them; a
# step of 32 at 320 images/s takes 100 ms, two thirds of which are the backward pass: 33.3 ms do not hide.
@pytest.mark.parametrize('count, expected', [
    (1, dict(reduce_ms=0, exposed_ms=0, images_per_second=320, efficiency=1, cores=3.2, evaluation_s=5000 / 1000 + 4)),
    (2, dict(reduce_ms=100.01, exposed_ms=33.34, images_per_second=480, efficiency=0.75, cores=2.4,
             evaluation_s=2500 / 1000 + 4))])
def test_a_prediction_by_hand(count, expected):
    found = predict(count, Constants(320.0, 32, 100.0, 1000.0, 4.0), Network(1e9, 1e8), parameters=25e6)
    hours = (118287 * 120 / expected['images_per_second'] + 24 * expected['evaluation_s']) / 3600
    assert found == pytest.approx({**expected, 'hours': hours}, rel=1e-3)


def test_what_the_backward_pass_hides_but_for_the_last_bucket():
    found = predict(2, Constants(32.0, 32), Network(1e9, 1e8), parameters=25e6)  # a second a step hides 100 ms
    assert found['exposed_ms'] == pytest.approx(25.0, abs=0.1)


def test_the_tables_say_that_they_are_computed():
    command = [sys.executable, 'benchmarks/scaling.py', '--images-per-second', '1200', '--within', 'NVLink']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.count('Computed, not measured: 1200 images/s') == 3
    assert done.stdout.count('| 1,024 |') == 3


def test_numbers_that_cannot_be_are_refused():
    command = [sys.executable, 'benchmarks/scaling.py', '--images-per-second', '0']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == 'error: expected numbers of more than 0\n'
