"""A server of the loopback that does what a test asks for, and remembers what it was asked."""
from __future__ import annotations

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mmcv_need.downloads import fetching, transfer

CONTENT = hashlib.sha256(b'seed').digest() * 40_000  # 1.28 MB
DIGITS = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Attributes: what a test sets (`content`, `tag`, `ranges`, `plan`), and what came (`requests`: path, headers; `sent`).

    `plan` has for each request to come what is done instead of answering well: a status; 'cut', after so many bytes; 'hang';
    or a function of the handler.
    """
    daemon_threads, request_queue_size = True, 32

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.content, self.tag, self.ranges, self.plan = CONTENT, '"one"', True, []
        self.requests, self.sent, self.pause = [], 0, 0.0

    def url(self, name):
        return f'http://127.0.0.1:{self.server_port}/models/{name}'


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_): ...

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, dict(self.headers)))
        step = server.plan.pop(0) if server.plan else None
        time.sleep(server.pause)
        if callable(step):
            return step(self)
        if isinstance(step, int):
            self.send_response(step)
            return self.end_headers()
        if step == 'hang':
            return time.sleep(3)
        self.answer(step[1] if step else None)

    def answer(self, cut=None):
        server, start = self.server, 0
        asked = self.headers.get('Range')
        if asked and server.ranges and self.headers.get('If-Range', server.tag) == server.tag:
            start = int(asked[len('bytes='):-1])
            if start >= len(server.content):
                self.send_response(416)
                return self.end_headers()
            self.send_response(206)
            self.send_header('Content-Range', f'bytes {start}-{len(server.content) - 1}/{len(server.content)}')
        else:
            self.send_response(200)
        if server.tag:
            self.send_header('ETag', server.tag)
        self.send_header('Content-Length', str(len(server.content) - start))
        self.end_headers()
        body = server.content[start:] if cut is None else server.content[start:cut]
        self.wfile.write(body)
        server.sent += len(body)
        self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY', 'SSD_WEIGHTS_MIRROR'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fetching, 'PAUSES', (0.01, 0.01, 0.01))
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def impatient(monkeypatch):
    """Waits half a second for an answer."""
    monkeypatch.setattr(transfer, 'TIMEOUT', 0.5)


@pytest.fixture
def content():
    return CONTENT


@pytest.fixture
def good_name():
    """A name that says how the content's sha256 begins."""
    return f'net-{DIGITS[:8]}.pth'
