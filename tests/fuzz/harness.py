"""What the fuzzers of this folder share: atheris throws mutated bytes at a function until some break its promise.

    pip install atheris
    python tests/fuzz/config_reader.py -atheris_runs=20000 [other options of libFuzzer, folders with more seeds]

A promise is: the function returns, or raises an error of ours with a message of one line. Anything else is a finding, which
atheris prints and keeps in a file `crash-...`; so is an input that takes more than 60 seconds or 2 GB.
"""
from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import Callable, ContextManager, Iterable

try:
    import atheris
except ImportError:
    atheris = None

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
LIMITS = ('-timeout=60', '-rss_limit_mb=2048', '-max_len=8192')


def instrumented() -> ContextManager:
    """Within this, modules that are imported tell atheris which of their branches are taken; without it nothing happens."""
    return atheris.instrument_imports(include=['mmcv_need', 'mmdet']) if atheris else contextlib.nullcontext()


def fuzz(one_input: Callable[[bytes], None], seeds: Iterable[bytes]) -> None:
    """Run atheris on a function, with the options of the command line."""
    if not atheris:
        sys.exit('error: atheris is not here. Run: pip install atheris (it has wheels for Linux)')
    with tempfile.TemporaryDirectory() as folder:
        for i, seed in enumerate(seeds):
            Path(folder, f'seed_{i}').write_bytes(seed)
        atheris.Setup([sys.argv[0], *LIMITS, *sys.argv[1:], folder], one_input)
        atheris.Fuzz()


def check_message(error: Exception) -> None:
    """An error of ours says what is wrong in one line of bounded length."""
    message = str(error)
    assert message and len(message.splitlines()) == 1, repr(message)
    assert len(message) <= 4000, len(message)
