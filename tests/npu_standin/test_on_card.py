"""Everything in on_card/, in one process whose accelerator is the stand-in."""
from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def test_the_card_and_the_device_table_do_what_on_card_says(standin):
    done = subprocess.run([sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', str(FOLDER / 'on_card')],
                          cwd=FOLDER.parents[1], capture_output=True, text=True, timeout=300,
                          env={**standin, 'NPU_STANDIN_INSIDE': '1', 'NPU_STANDIN_REPORT': ''})
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    summary = done.stdout.strip().splitlines()[-1]
    passed = re.match(r'(\d+) passed in', summary)
    assert passed and int(passed.group(1)) > 50, summary  # and none skipped
