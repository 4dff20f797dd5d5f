"""How figures are taken: in turn, by round, and with their spread."""
from __future__ import annotations

import pytest

from benchmarks.interleaved import Measure, interleave, rates, scaled, spread, summed


class Clock:
    """Stands still but when it is told how long something took."""

    def __init__(self):
        self.now, self.order = 0.0, []

    def __call__(self):
        return self.now

    def takes(self, name, seconds):
        durations = iter(seconds)

        def call():
            self.order.append(name)
            self.now += next(durations)
        return call


def test_alternatives_run_in_turn_and_the_warm_up_does_not_count():
    clock = Clock()
    found = interleave({'a': clock.takes('a', [9, 1, 2, 3]), 'b': clock.takes('b', [9, 2, 2, 6])}, 3, clock=clock)
    assert clock.order == list('abababab')
    assert found == {'a': [1, 2, 3], 'b': [2, 2, 6]}


def test_a_ratio_is_taken_within_each_round():
    """A machine that is twice as slow for a while slows both neighbours, and no ratio."""
    measure = Measure('step', 'x', 'ms', [1, 10, 2], 'peer', [2, 20, 4])
    assert measure.ratios == [2, 2, 2]
    assert measure.figure == 2 and not measure.is_noisy


@pytest.mark.parametrize('unit, relation, ratio', [('ms', 'speed', 2.0), ('s', 'speed', 2.0), ('images/s', 'speed', 0.5),
                                                   ('ms', 'share', 0.5), ('%', 'share', 0.5)])
def test_more_is_faster_unless_it_is_a_share(unit, relation, ratio):
    assert Measure('step', 'x', unit, [4.0], 'peer', [8.0], relation).ratios == [ratio]


@pytest.mark.parametrize('target, met', [('>= 2', True), ('>= 2.1', False), ('<= 2', True), ('<= 1.9', False), ('== 2', True),
                                         ('', None)])
def test_a_target_is_about_the_median_ratio(target, met):
    assert Measure('step', 'x', 'ms', [1, 1, 1], 'peer', [1, 2, 9], target=target).is_met is met


def test_without_a_peer_a_target_is_about_the_value():
    assert Measure('step', 'x', 's', [1, 3, 50], target='<= 3').is_met


@pytest.mark.parametrize('numbers, expected', [([5], 0), ([1, 2, 3, 4, 5], 2), ([1, 1, 1, 9], 2), ([], 0)])
def test_spread_is_the_distance_of_the_quartiles(numbers, expected):
    assert spread(numbers) == expected


@pytest.mark.parametrize('peer, noisy', [([10, 10, 10, 10, 10], False), ([10, 10.4, 10, 10.4, 10], False),
                                         ([9, 11, 9, 11, 10], True)])
def test_a_ratio_that_spreads_by_more_than_a_tenth_is_noisy(peer, noisy):
    assert Measure('step', 'x', 'ms', [5] * 5, 'peer', peer).is_noisy is noisy


def test_a_json_has_every_round():
    found = Measure('step', 'x', 'ms', [1, 2], 'peer', [2, 8]).as_dict()
    assert found['values'] == [1, 2] and found['peer'] == [2, 8] and found['ratios'] == [2, 4] and found['figure'] == 3


def test_turns_are_summed_to_rounds_and_seconds_become_rates():
    assert summed([1, 2, 3, 4, 5, 6], 3) == [6, 15]
    assert scaled([1, 2], 1000) == [1000, 2000]
    assert rates([0.5, 2], 8) == [16, 4]
