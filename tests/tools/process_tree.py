"""Processes that others started, as /proc tells of them. For tests, and for the programs that they run."""
from __future__ import annotations

import os


def stat(pid):
    """(state, parent) of a process; None if it is gone."""
    try:
        with open(f'/proc/{pid}/stat') as file:
            state, parent = file.read().rpartition(')')[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == 'Z' else (state, int(parent))


def descendants(pid):
    """Process numbers of all that a process started, and that those did, by generation."""
    everyone = {int(name): stat(name) for name in os.listdir('/proc') if name.isdigit()}
    found, last = [], [pid]
    while last:
        last = sorted(child for child, known in everyone.items() if known and known[1] in last)
        found += last
    return found
