"""tools/train.py and tools/test.py on a card compute what they compute on the CPU, to the last bit."""
from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).resolve().parent
STATE = ('state_dict', 'optimizer')


@pytest.fixture(scope='module')
def on_the_cpu(train):
    run = train(device='cpu', way='contiguous')
    assert run.status == 0, run.errors[-6000:]
    return run


def test_weights_and_optimizer_state_are_those_of_the_cpu(trained, on_the_cpu, differences):
    card, cpu = ({key: run.checkpoint()[key] for key in STATE} for run in (trained, on_the_cpu))
    assert differences(card, cpu) == []
    assert trained.losses == on_the_cpu.losses and len(trained.losses) > 20


def test_the_run_was_on_the_card(trained, on_the_cpu):
    (cards,) = trained.on_cards()
    convolutions = cards['calls']['aten::convolution_backward']
    assert convolutions > len(trained.losses) and cards['calls']['aten::native_batch_norm'] > len(trained.losses)
    assert cards['memory'][0] > 2 ** 20 and set(cards['memory'][1:]) == {0}
    assert on_the_cpu.on_cards() == []


@pytest.mark.slow
def test_the_demos_own_optimizer_ends_at_the_weights_of_the_cpu(train, short, tmp_path, differences):
    config = tmp_path / 'adamw.py'
    config.write_text(f"_base_ = {str(short)!r}\noptimizer = dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=1e-2)\n")
    short = ('--max_steps', 6, '--no-validate')
    card, cpu = train(*short, config=config), train(*short, config=config, device='cpu', way='contiguous')
    assert (card.status, cpu.status) == (0, 0), card.errors[-3000:] + cpu.errors[-3000:]
    assert differences(*({key: run.checkpoint()[key] for key in STATE} for run in (card, cpu))) == []


def test_the_evaluation_of_a_checkpoint_finds_on_any_card_what_it_finds_on_the_cpu(standin, trained, short, tmp_path):
    metrics, found = [], []
    for device, way in (('npu:2', 'plain'), ('cpu', 'contiguous')):
        out = tmp_path / f'{way}.json'
        done = subprocess.run([sys.executable, str(FOLDER / 'drive.py'), way, 'tools/test.py', str(short),
                               str(trained.folder / 'latest.pth'), '--eval', 'bbox', '--out', str(out), '--device', device],
                              cwd=FOLDER.parents[1], env=standin, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr[-6000:]
        metrics.append(ast.literal_eval(re.findall(r"\{'bbox_mAP'.*\}", done.stdout)[0]))
        found.append(out.read_bytes())
    assert metrics[0] == metrics[1] and found[0] == found[1] and len(found[0]) > 10000


def test_a_checkpoint_of_a_card_can_be_read_where_there_is_none(trained):
    torch.load(trained.folder / 'latest.pth', weights_only=True)
