"""What the user types on eight cards, with eight real processes on the CPU."""
from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

pytestmark = pytest.mark.slow


def run(clone, script, *flags):
    return subprocess.run(['bash', f'test/{script}.sh', *flags], cwd=clone, capture_output=True, text=True, check=False)


def test_eight_processes_train_and_evaluate_and_report(clone, demo, tiny):
    config = clone / 'tiny.py'
    config.write_text(tiny.read_text() + 'runner = dict(max_epochs=2)\nlog_config = dict(interval=1)\n')
    flags = (f'--data_path={demo}', f'--config={config}', '--device=cpu')
    result = run(clone, 'train_full_8p', *flags, '--batch_size=2')
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr
    closing = re.search(r'-{18} Final result -{18}\nFinal Performance images/sec : (\d+\.\d\d)\nFinal Train Accuracy : (\S+)\n'
                        r'E2E Training Duration sec : \d+\n\Z', result.stdout)
    log = next((clone / 'work_dirs/tiny').glob('*.log.json'))
    records = [json.loads(line) for line in log.read_text().splitlines()]
    accuracies = [record['bbox_mAP'] for record in records if record.get('mode') == 'val']
    assert len(accuracies) == 2 and closing.group(2) == f'{max(accuracies):.4f}'
    assert float(closing.group(1)) > 0
    losses = (clone / 'test/output/0/train_SSD_bs2_8p_acc_loss.txt').read_text().split()
    assert losses == [f"{record['loss']:.4f}" for record in records if record.get('mode') == 'train']
    assert (clone / 'data/coco/mine.txt').read_text() == "the user's" and len(os.listdir(clone / 'data/coco')) == 1

    again = run(clone, 'train_full_8p', *flags, '--batch_size=2')
    assert again.returncode == 2 and 'this run is finished' in again.stdout and 'Final' not in again.stdout
    evaluated = run(clone, 'train_eval_8p', *flags, '--batch_size=1')
    assert evaluated.returncode == 0, evaluated.stdout[-3000:] + evaluated.stderr
    assert f'\nFinal Train Accuracy : {accuracies[-1]:.4f}\nE2E Training Duration sec : ' in evaluated.stdout
    assert 'Final Performance' not in evaluated.stdout


def test_eight_processes_run_on_the_cpu_only_if_that_is_said(clone, demo, tiny):
    result = run(clone, 'train_full_8p', f'--data_path={demo}', f'--config={tiny}')
    if result.returncode == 0:
        pytest.skip('eight cards are here')
    assert result.returncode == 2 and '--device cpu' in result.stdout and 'Final' not in result.stdout
