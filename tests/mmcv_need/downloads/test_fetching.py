"""A download is whole or not there: cut, changed, damaged, refused and hanging connections, mirrors, and several processes."""
from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mmcv_need.downloads import fetching, transfer
from mmcv_need.downloads.addresses import wanted
from mmcv_need.downloads.fetching import fetch
from mmcv_need.downloads.transfer import NoRoom, Unavailable

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def get(server, tmp_path, good_name):
    """Fetches a file of the server's (or of an address) and gives its path."""
    def run(name=None, end='', address=None):
        file = wanted((address or server.url(name or good_name)) + end)
        fetch(file, str(tmp_path / 'cache' / file.name))
        return tmp_path / 'cache' / file.name
    return run


def left(path):
    """What lies in the folder of a download."""
    return sorted(os.listdir(path.parent)) if path.parent.exists() else []


def test_a_file_is_fetched_whole_and_once(get, server, content):
    for _ in range(2):
        path = get()
        assert path.read_bytes() == content and left(path) == [path.name]
    assert len(server.requests) == 1


def test_a_cut_connection_is_gone_on_with_and_no_byte_comes_twice(get, server, content, capsys):
    server.plan = [('cut', 500_000), ('cut', 900_000)]
    assert get().read_bytes() == content
    assert server.sent == len(content)
    assert [headers.get('Range') for _, headers in server.requests] == [None, 'bytes=500000-', 'bytes=900000-']
    assert all(headers['If-Range'] == '"one"' for _, headers in server.requests[1:])
    assert 'the connection broke after 500,000 of 1,280,000 bytes; trying again in 0.01 s' in capsys.readouterr().err


def test_what_came_before_a_process_ended_is_gone_on_with(get, server, content, monkeypatch):
    server.plan = [('cut', 700_000)]
    monkeypatch.setattr(fetching, 'PAUSES', ())
    with pytest.raises(Unavailable, match='broke after 700,000'):
        get()
    assert get().read_bytes() == content and server.sent == len(content)


def test_a_file_of_which_all_had_come_is_not_asked_for_again(get, server, content, tmp_path, good_name, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr(fetching, '_check', die)
    with pytest.raises(KeyboardInterrupt):
        get()
    monkeypatch.undo()
    assert not (tmp_path / 'cache' / good_name).exists()
    assert get().read_bytes() == content and len(server.requests) == 1


def test_a_server_without_ranges_sends_all_again(get, server, content):
    server.plan, server.ranges = [('cut', 500_000)], False
    assert get().read_bytes() == content and server.sent == 500_000 + len(content)


def test_a_server_without_ranges_that_always_cuts_is_given_up(get, server):
    server.plan, server.ranges = [('cut', size) for size in (100_000, 400_000) * 20], False
    with pytest.raises(Unavailable, match='the connection broke'):
        get()
    assert len(server.requests) < 10


def of_no_length(handler, chunked=False):
    handler.protocol_version = 'HTTP/1.1'
    handler.send_response(200)
    if chunked:
        handler.send_header('Transfer-Encoding', 'chunked')
    handler.end_headers()
    handler.wfile.write(b'3\r\nabc\r\n0\r\n\r\n' if chunked else b'abc')
    handler.close_connection = True


def test_a_file_of_which_nobody_says_the_length_is_taken_only_by_its_checksum(get, server):
    server.plan = [of_no_length] * 2
    with pytest.raises(Unavailable, match='does not say how long the file is'):
        get('net.pth')
    digits = hashlib.sha256(b'abc').hexdigest()
    assert get('net.pth', end=f'#sha256={digits}').read_bytes() == b'abc'
    server.plan = [lambda handler: of_no_length(handler, chunked=True)]
    assert get('other.pth').read_bytes() == b'abc'


@pytest.mark.parametrize('tag', ['"one"', None])
def test_a_file_that_changed_meanwhile_begins_anew(get, server, content, tag):
    """Told by its mark; without one, by its length."""
    server.tag = tag

    def change(handler):
        handler.answer(500_000)
        server.content, server.tag = content[::-1] + b'more', tag and '"two"'
    server.plan = [change]
    assert get('net.pth').read_bytes() == content[::-1] + b'more'


def test_parts_of_two_versions_of_one_length_are_noticed_by_the_checksum(get, server, content):
    """Of a server without marks: the file is fetched once more in one piece."""
    server.tag, server.content = None, content[::-1]

    def change(handler):
        handler.answer(500_000)
        server.content = content
    server.plan = [change]
    assert get().read_bytes() == content and server.sent == 500_000 + (len(content) - 500_000) + len(content)


def test_a_wrong_checksum_leaves_nothing(get, server, tmp_path, good_name):
    server.content = server.content[:-1] + b'x'
    with pytest.raises(Unavailable, match=f'its sha256 begins with .*, not {good_name[4:12]}: damaged, or another file'):
        get()
    assert left(tmp_path / 'cache' / 'x') in ([], [f'{good_name}.lock'])


def test_a_checksum_may_be_asked_for(get, server, content):
    right = f'#sha256={hashlib.sha256(content).hexdigest().upper()}'
    path = get('net.pth', right)
    assert path.read_bytes() == content
    path.write_bytes(b'another file of this name')
    assert get('net.pth', right).read_bytes() == content
    with pytest.raises(Unavailable, match='its sha256 begins with'):
        get('other.pth', f'#sha256={"0" * 64}')


@pytest.mark.parametrize('status', [404, 403, 401, 410])
def test_what_a_server_does_not_have_is_asked_for_once(get, server, status):
    server.plan = [status] * 9
    with pytest.raises(Unavailable, match=f'the server answers {status}'):
        get()
    assert len(server.requests) == 1


@pytest.mark.parametrize('status', [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(get, server, content, status):
    server.plan = [status] * 2
    assert get().read_bytes() == content and len(server.requests) == 3


def test_a_server_that_stays_in_trouble_is_given_up(get, server):
    server.plan = [502] * 9
    with pytest.raises(Unavailable, match='the server answers 502'):
        get()
    assert len(server.requests) == 4


def test_a_server_that_hangs_is_left_and_asked_again(get, server, content, impatient):
    server.plan = ['hang']
    assert get().read_bytes() == content and len(server.requests) == 2


def test_nobody_listens(get, server, tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        with pytest.raises(Unavailable, match='no connection'):
            get(address=f'http://127.0.0.1:{free.getsockname()[1]}/net.pth')


@pytest.mark.parametrize('target', ['file:///etc/passwd', 'ftp://127.0.0.1/x'])
def test_a_server_cannot_send_us_elsewhere_than_to_the_web(get, server, tmp_path, target):
    def redirect(handler):
        handler.send_response(302)
        handler.send_header('Location', target)
        handler.end_headers()
    server.plan = [redirect] * 9
    with pytest.raises(Unavailable, match='the server answers 302'):
        get()
    assert len(server.requests) == 1


def test_a_server_may_send_us_on(get, server, content):
    def redirect(handler):
        handler.send_response(302)
        handler.send_header('Location', server.url('elsewhere.bin'))
        handler.end_headers()
    server.plan = [redirect]
    assert get().read_bytes() == content and [path for path, _ in server.requests][1] == '/models/elsewhere.bin'


def test_mirrors_are_asked_in_order_in_the_place_of_the_host(get, server, content, good_name, monkeypatch):
    base = f'http://127.0.0.1:{server.server_port}'
    monkeypatch.setenv('SSD_WEIGHTS_MIRROR', f'{base}/first {base}/second/')
    server.plan = [404]
    assert get(address=f'https://host.invalid/a/{good_name}').read_bytes() == content
    assert [path for path, _ in server.requests] == [f'/first/a/{good_name}', f'/second/a/{good_name}']


def test_where_no_mirror_has_it_all_are_named(get, server, monkeypatch):
    base = f'http://127.0.0.1:{server.server_port}'
    monkeypatch.setenv('SSD_WEIGHTS_MIRROR', f'{base}/first {base}/second/')
    server.plan = [404, 403]
    with pytest.raises(Unavailable, match=r'/first/a/x\.pth: the server answers 404 .*; .*/second/a/x\.pth: .* 403'):
        get(address='https://host.invalid/a/x.pth')


def test_proxies_of_the_environment_are_asked(get, server, content, good_name, monkeypatch):
    monkeypatch.delenv('no_proxy', raising=False)
    monkeypatch.delenv('NO_PROXY', raising=False)
    monkeypatch.setenv('http_proxy', f'http://127.0.0.1:{server.server_port}')
    assert get(address=f'http://host.invalid/a/{good_name}').read_bytes() == content
    assert [path for path, _ in server.requests] == [f'http://host.invalid/a/{good_name}']


def test_a_disk_without_room_is_said_before_a_byte_comes(get, server, monkeypatch):
    usage = type('Usage', (), {'free': 1000})
    monkeypatch.setattr(transfer.shutil, 'disk_usage', lambda _: usage)
    with pytest.raises(NoRoom, match='1 MB are needed and 0 MB are free there'):
        get()


def test_a_disk_that_fills_meanwhile_keeps_what_has_come(get, server, content, monkeypatch):
    write = os.write

    def full(descriptor, block):
        if len(block) > 1000 and os.lseek(descriptor, 0, os.SEEK_CUR) > 400_000:
            raise OSError(28, 'No space left on device')
        return write(descriptor, block)
    monkeypatch.setattr(transfer.os, 'write', full)
    with pytest.raises(NoRoom, match='No space left on device'):
        get()
    monkeypatch.undo()
    before = server.sent
    assert get().read_bytes() == content
    assert server.requests[-1][1]['Range'].startswith('bytes=4') and before > 400_000


def test_a_file_in_a_folder_that_cannot_be_written_needs_no_lock(get, server):
    path = get()
    path.parent.chmod(0o500)
    try:
        assert get() == path
    finally:
        path.parent.chmod(0o700)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from mmcv_need.downloads.addresses import wanted
from mmcv_need.downloads.fetching import fetch
fetch(wanted(sys.argv[2]), sys.argv[3])
"""


def test_of_several_processes_one_fetches(server, content, tmp_path, good_name):
    server.pause = 0.5
    path = tmp_path / good_name
    command = [sys.executable, '-c', PROGRAM, str(ROOT), server.url(good_name), str(path)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=60)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert len(server.requests) == 1 and path.read_bytes() == content and os.listdir(tmp_path) == [good_name]


def test_of_a_process_that_is_killed_another_takes_over(server, content, tmp_path, good_name):
    stop = threading.Event()

    def stall(handler):
        handler.answer(500_000)
        stop.wait(20)
    server.plan = [stall]
    path = tmp_path / good_name
    first = subprocess.Popen([sys.executable, '-c', PROGRAM, str(ROOT), server.url(good_name), str(path)])
    end = time.monotonic() + 30
    while not (os.path.exists(f'{path}.part') and os.path.getsize(f'{path}.part') == 500_000) and time.monotonic() < end:
        time.sleep(0.02)
    first.kill()
    first.wait()
    stop.set()
    fetch(wanted(server.url(good_name)), str(path))
    assert path.read_bytes() == content and server.sent == len(content) and os.listdir(tmp_path) == [good_name]
