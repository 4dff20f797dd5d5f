"""Limits of time of the collectives, by device, version, and what the user has set."""
from __future__ import annotations

import os

import pytest

from mmcv_need import device as devices
from mmcv_need import torch_versions
from mmcv_need.errors import DeviceError

NAMES = ('HCCL_CONNECT_TIMEOUT', 'HCCL_EXEC_TIMEOUT', 'HCCL_EVENT_TIMEOUT', 'HCCL_ASYNC_ERROR_HANDLING',
         'NCCL_ASYNC_ERROR_HANDLING')


@pytest.fixture
def limits(monkeypatch):
    """What prepare_collectives leaves in the environment: limits(device, timeout, given) -> (the group's, by name)."""
    def prepare(device, timeout, **given):
        with monkeypatch.context() as patch:
            for name in NAMES:
                patch.setenv(name, '')  # so that it is put back
                del os.environ[name]
            os.environ.update(given)
            group = devices.prepare_collectives(device, timeout)
            return group, {name: os.environ[name] for name in NAMES if name in os.environ}
    return prepare


def test_a_cpu_needs_no_settings(limits, card):
    assert limits(card('cpu'), 300) == (300, {})


@pytest.mark.parametrize('version, settings', [((1, 8), {NAMES[-1]: '1'}), ((2, 1), {NAMES[-1]: '1'}), ((2, 2), {}),
                                               ((2, 13), {})])
def test_an_old_torch_is_told_to_end_when_a_peer_fails(limits, card, monkeypatch, version, settings):
    monkeypatch.setattr(torch_versions, 'TORCH_VERSION', version)
    assert limits(card('cuda'), 60) == (60, settings)


def test_the_users_choice_stays(limits, card, monkeypatch):
    monkeypatch.setattr(torch_versions, 'TORCH_VERSION', (2, 0))
    assert limits(card('cuda'), 60, NCCL_ASYNC_ERROR_HANDLING='0')[1] == {'NCCL_ASYNC_ERROR_HANDLING': '0'}
    group, set_ = limits(card('npu'), 60, HCCL_EXEC_TIMEOUT='1800', HCCL_ASYNC_ERROR_HANDLING='0')
    assert (set_['HCCL_EXEC_TIMEOUT'], set_['HCCL_ASYNC_ERROR_HANDLING']) == ('1800', '0')
    assert int(set_['HCCL_EVENT_TIMEOUT']) > 1800 and group > 1800


@pytest.mark.parametrize('timeout, limit', [(300, (300, 300, 332, 362)), (30, (120, 68, 100, 170)),
                                            (8000, (7200, 8000, 8032, 8062))])
def test_hccls_limits_in_numbers(limits, card, timeout, limit):
    group, set_ = limits(card('npu'), timeout)
    assert (*(int(set_[name]) for name in NAMES[:3]), group) == limit


@pytest.mark.parametrize('timeout', [1, 30, 100, 300, 300.4, 1800, 10000])
def test_hccl_gives_up_before_the_group_does_and_within_its_own_ranges(limits, card, timeout):
    group, set_ = limits(card('npu'), timeout)
    connect, execute, event = (int(set_[name]) for name in NAMES[:3])
    assert 120 <= connect <= 7200 and execute >= 68  # as CANN's documentation has them
    assert abs(execute - max(timeout, 68)) < 1 and set_['HCCL_ASYNC_ERROR_HANDLING'] == '1'
    assert event > execute // 68 * 68 and event > execute and group > event and group > connect + 20
    assert group <= max(timeout, 120) + 100


@pytest.mark.parametrize('value', ['', 'soon', '-1', '5m'])
def test_a_limit_that_is_no_number_is_refused(limits, card, value):
    with pytest.raises(DeviceError, match=rf"^HCCL_EXEC_TIMEOUT='{value}': expected a number of seconds"):
        limits(card('npu'), 300, HCCL_EXEC_TIMEOUT=value)
