"""Named weights: from the cache, from a file, from an address; and what to do where none of them works."""
from __future__ import annotations

import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from mmcv_need import pretrained
from mmcv_need.errors import CheckpointError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'hub' / 'checkpoints'


def test_a_file_is_taken_as_it_is(tmp_path):
    (tmp_path / 'vgg.pth').write_bytes(b'x')
    assert pretrained.local_file(str(tmp_path / 'vgg.pth')) == str(tmp_path / 'vgg.pth')


@pytest.mark.parametrize('name', ['open-mmlab://vgg16_caffe', 'openmmlab://vgg16_caffe'])
def test_a_file_in_the_cache_needs_no_network(cache, name):
    cache.mkdir(parents=True)
    (cache / 'vgg16_caffe-292e1171.pth').write_bytes(b'x')
    assert pretrained.local_file(name) == str(cache / 'vgg16_caffe-292e1171.pth')


def test_an_address_is_fetched_once_and_its_checksum_compared(cache, tmp_path):
    content = tmp_path / 'plain.pth'
    torch.save({'a': torch.zeros(1)}, content)
    digits = hashlib.sha256(content.read_bytes()).hexdigest()[:8]
    named = content.rename(tmp_path / f'net-{digits}.pth')
    found = pretrained.local_file(f'file://{named}')
    named.unlink()
    assert pretrained.local_file(f'file://{named}') == found
    wrong = tmp_path / 'net-00000000.pth'
    wrong.write_bytes(b'x')
    with pytest.raises(CheckpointError, match='cannot be downloaded'):
        pretrained.local_file(f'file://{wrong}')


@pytest.mark.parametrize(('source', 'words'), [
    ('open-mmlab://vgg16_cafe', "Did you mean 'open-mmlab://vgg16_caffe'?"),
    ('https://h/net.pth#sha256=12', '64 hexadecimal digits'),
    ('nowhere.pth', 'no such checkpoint file'),
    ('file:///nowhere/net-11111111.pth', 'model.backbone.init_cfg.checkpoint=/path')])
def test_what_is_not_there_is_one_line(cache, source, words):
    with pytest.raises(CheckpointError, match=r'.') as caught:
        pretrained.local_file(source)
    assert words in str(caught.value) and '\n' not in str(caught.value)


def test_a_machine_that_does_not_see_the_file_of_rank_0_fetches_its_own(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, 'on_rank_0', lambda action: None)  # is done on another machine, with a disk of its own
    name = f"net-{hashlib.sha256(b'net').hexdigest()[:8]}.pth"
    (tmp_path / name).write_bytes(b'net')
    assert pretrained.local_file(f'file://{tmp_path}/{name}') == str(cache / name)
    assert (cache / name).read_bytes() == b'net'


def test_files_of_one_name_are_not_taken_for_each_other(cache, tmp_path, monkeypatch):
    for folder in 'ab':
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'best.pth').write_bytes(folder.encode())
        found = pretrained.local_file(f'file://{tmp_path}/{folder}/best.pth')
        assert Path(found).read_bytes() == folder.encode()
    (tmp_path / 'b/best.pth').write_bytes(b'newer')
    assert Path(pretrained.local_file(f'file://{tmp_path}/b/best.pth')).read_bytes() == b'newer'

    def fetch(wanted, path):
        if not os.path.exists(path):
            os.makedirs(os.path.dirname(path))
            with open(path, 'w') as file:
                file.write(wanted.address)
    monkeypatch.setattr(pretrained, 'fetch', fetch)
    for run in ('run1', 'run2', 'run1'):
        address = f'https://host/{run}/best.pth'
        assert Path(pretrained.local_file(address)).read_text() == address


TWO_RANKS = """
import sys
sys.path.insert(0, sys.argv[1])
from mmcv_need.dist_utils import get_dist_info, init_dist, leave_dist
from mmcv_need.errors import CheckpointError
from mmcv_need.failures import PeerError
from mmcv_need.pretrained import local_file

address, missing = open(sys.argv[2] + '/addresses').read().split()
init_dist('pytorch', 'gloo')
rank = get_dist_info()[0]
assert local_file(address).endswith('net.pth')
try:
    local_file(missing)
except (CheckpointError, PeerError) as error:
    assert ('rank 0 cannot go on' in str(error)) == (rank == 1), error
else:
    raise AssertionError('it is not there')
leave_dist()
"""


def test_rank_0_fetches_and_all_hear_of_it(in_two_processes, tmp_path, monkeypatch):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_): ...

        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path == '/net.pth' else 404)
            self.send_header('Content-Length', '3')
            self.end_headers()
            self.wfile.write(b'net')
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        base = f'http://127.0.0.1:{server.server_port}'
        (tmp_path / 'addresses').write_text(f'{base}/net.pth {base}/missing.pth')
        in_two_processes(TWO_RANKS, tmp_path)
        server.shutdown()
    assert asked == ['/net.pth', '/missing.pth']
