"""What is seen of a download: a bar where there is a terminal, a line every ten seconds elsewhere."""
from __future__ import annotations

import io
import sys

from mmcv_need.downloads.progress import lines, progress


def test_a_line_comes_every_ten_seconds(capsys):
    seconds = [0.0]
    tell = lines('net.pth', lambda: seconds[0])
    for step in range(1, 26):
        seconds[0] = float(step)
        tell(step * 1_000_000, 50_000_000)
    assert capsys.readouterr().err.splitlines() == ['downloading net.pth: 10.0 of 50.0 MB (20 %), 1.0 MB/s',
                                                    'downloading net.pth: 20.0 of 50.0 MB (40 %), 1.0 MB/s']


def test_a_length_that_nobody_knows_is_left_out(capsys):
    seconds = iter([0.0, 12.0, 12.0])
    lines('net.pth', lambda: next(seconds))(6_000_000, None)
    assert capsys.readouterr().err == 'downloading net.pth: 6.0 MB, 0.5 MB/s\n'


def test_a_terminal_has_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True
    monkeypatch.setattr(sys, 'stderr', Terminal())
    monkeypatch.setenv('TERM', 'xterm')
    with progress('net[1].pth') as tell:
        tell(500_000, 1_000_000)
        sys.stderr.flush()
    assert 'net[1].pth' in sys.stderr.getvalue() and '\x1b[' in sys.stderr.getvalue()


def test_no_terminal_has_no_bar(capsys):
    with progress('net.pth') as tell:
        tell(1, 2)
    assert capsys.readouterr() == ('', '')
