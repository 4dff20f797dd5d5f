"""What a process that fails leaves behind."""
from __future__ import annotations

import json

import pytest

from mmcv_need import failures
from mmcv_need.errors import ConfigError


def raised(error):
    try:
        raise error
    except Exception as caught:
        return caught


@pytest.mark.parametrize('words', [
    '[/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:34823',
    '[gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 8000ms for recv operation to complete',
    'Read error [127.0.0.1]:5: Connection reset by peer', 'writev [10.0.0.1]:29: Broken pipe',
    'NCCL error: remote process exited or there was a network error', 'HCCL notify wait timeout'])
def test_a_collective_that_misses_another_process_is_told_from_other_failures(words):
    assert failures.lost_peer(RuntimeError(words))
    assert failures.failure_of(raised(RuntimeError(words)), 1).consequence


@pytest.mark.parametrize('error', [
    ValueError('Connection closed by peer'), RuntimeError('CUDA out of memory'),
    RuntimeError('DataLoader timed out after 300 seconds'), ConfigError('timeout: expected seconds')])
def test_other_failures_are_their_own_cause(error):
    assert not failures.lost_peer(error) and not failures.failure_of(raised(error), 1).consequence


def test_an_exception_is_told_with_its_place_and_an_error_of_the_user_is_not():
    failure = failures.failure_of(raised(ValueError('boom\nmore')), 1)
    assert failure.message == 'ValueError: boom' and 'in raised' in failure.trace and not failure.mendable
    assert failure.report(3).endswith('more\nerror: rank 3: ValueError: boom')
    failure = failures.failure_of(raised(ConfigError('x.py:3: no')), 2)
    assert (failure.message, failure.trace) == ('x.py:3: no', '')
    assert (failure.report(0), failure.report(2)) == ('error: x.py:3: no', 'error: rank 2: x.py:3: no')


def test_who_shows_no_sign_of_life_is_named_where_that_is_the_cause():
    lost = failures.failure_of(raised(RuntimeError('Timed out waiting')), 1)
    assert lost.report(0, {2, 1}).endswith('no sign of life from rank 1, 2: stopped, or stuck')
    own = failures.failure_of(raised(ValueError('boom')), 1)
    assert own.report(0, {1}).endswith('ValueError: boom')
    assert lost.explained('note').report(0).endswith('Timed out waiting (note)') and lost.explained('') == lost


def test_a_failure_is_left_where_the_environment_asks_for_it_and_found_there(tmp_path, monkeypatch):
    failure = failures.failure_of(raised(ValueError('boom')), 1)
    monkeypatch.delenv(failures.FILE, raising=False)
    failures.leave(failure)
    path = tmp_path / 'failure.json'
    monkeypatch.setenv(failures.FILE, str(path))
    failures.leave(failure)
    assert failures.find(str(path)) == failure
    torchruns = json.loads(path.read_text())['message']
    assert torchruns['message'] == 'ValueError: boom' and int(torchruns['extraInfo']['timestamp']) <= failure.time
    failures.leave(failure._replace(message='later'))
    assert failures.find(str(path)) == failure


@pytest.mark.parametrize('content', ['', '{', '[]', '{"failure": {}}', '{"failure": null}'])
def test_a_file_that_was_not_written_to_its_end_tells_nothing(tmp_path, content):
    assert failures.find(str(tmp_path / 'missing')) is None
    (tmp_path / 'cut.json').write_text(content)
    assert failures.find(str(tmp_path / 'cut.json')) is None
