"""Decisions by the clock are rank 0's, at iterations at which all processes ask."""
from __future__ import annotations

import time
from types import SimpleNamespace

from mmcv_need.hooks import CheckpointHook
from mmcv_need.hooks import clock as clocks


def test_several_processes_follow_rank_0s_clock_and_look_at_it_now_and_then(monkeypatch):
    asked = []

    def broadcast(value, device):
        asked.append(value)
        return 1  # rank 0's
    monkeypatch.setattr(clocks, 'broadcast_int', broadcast)
    hook = CheckpointHook(minutes=10)
    hook.saved_at = time.monotonic()  # its own clock says no
    decided = [hook._is_time(SimpleNamespace(iter=i, world_size=2, device=None)) for i in range(120)]
    assert [i + 1 for i, yes in enumerate(decided) if yes] == [50, 100] and asked == [0, 0]
