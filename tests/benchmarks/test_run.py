"""`python benchmarks/run.py`: every section runs, and its figures arrive in all three forms."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.interleaved import Measure
from benchmarks.run import SECTIONS, main
from benchmarks.waits import Mode, count_waits

ROOT = Path(__file__).resolve().parent.parent.parent
BESIDE = {'startup': 'import torch', 'pipeline': 'decode only', 'annotations': 'pycocotools', 'inference': 'class by class',
          'evaluation': 'pycocotools', 'end_to_end': 'step alone', 'processes': '1 process', 'step': 'bare stack, fp32'}


def run(*arguments):
    return subprocess.run([sys.executable, 'benchmarks/run.py', *arguments], cwd=ROOT, capture_output=True, text=True)


SLOW = ('step', 'end_to_end', 'processes', 'inference', 'startup', 'annotations', 'evaluation')


@pytest.mark.parametrize('section', [
    pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])
    for name in SECTIONS])
def test_a_section_runs(section, tmp_path):
    done = run('--device', 'cpu', '--small', '--rounds', '1', '--only', section, '--json', str(tmp_path / 'x.json'),
               '--markdown')
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / 'x.json').read_text())
    assert {'date', 'processor', 'versions', 'load_before', 'load_after', 'cores'} <= set(content['about'])
    measures = content['measures']
    assert {measure['section'] for measure in measures} == {section}
    assert any(measure['beside'].startswith(BESIDE[section]) for measure in measures)
    assert all(value >= 0 for measure in measures for value in measure['values'] if measure['unit'] in ('MB', 'images/s'))
    assert all(len(measure['ratios']) == len(measure['values']) for measure in measures if measure['beside'])
    assert f'**{section}**' in done.stdout and measures[0]['what'] in done.stdout


@pytest.mark.parametrize('arguments, message', [
    (['--pictures', 'nowhere'], 'error: --pictures nowhere: expected a folder with annotations/instances_train2017.json'),
    (['--rounds', '0'], 'error: --rounds 0 and --batch None: expected numbers of 1 or more'),
    (['--batch', '0'], 'expected numbers of 1 or more'),
    (['--device', 'abacus'], "error: unknown device 'abacus'"),
    (['--only', 'nothing'], 'invalid choice')])
def test_what_cannot_be_used_is_one_line(arguments, message):
    done = run('--device', 'cpu', *arguments)
    assert done.returncode == 2 and message in done.stderr and 'Traceback' not in done.stderr


def test_a_section_that_fails_costs_the_others_nothing(monkeypatch, tmp_path, capsys):
    def fail(settings):
        raise RuntimeError('out of memory')

    monkeypatch.setattr('benchmarks.pipeline.measure', fail)
    monkeypatch.setattr('benchmarks.evaluation.measure', lambda settings: [Measure('evaluation', 'x', 's', [1.0])])
    path = tmp_path / 'x.json'
    assert main(['--device', 'cpu', '--small', '--only', 'pipeline', 'evaluation', '--json', str(path)]) == 1
    assert [measure['what'] for measure in json.loads(path.read_text())['measures']] == ['x']
    printed = capsys.readouterr().err
    assert 'RuntimeError: out of memory' in printed and 'error: no figures of pipeline: see above' in printed


@pytest.mark.skipif(Mode is None, reason='this torch does not show its operations')
def test_a_question_to_the_device_is_counted(device):
    flag, on_host = torch.ones((), device=device), torch.ones(())
    assert count_waits(lambda: flag.add(1), device) == 0
    assert count_waits(lambda: (flag.item(), flag.nonzero()), device) >= 2
    assert count_waits(on_host.item, torch.device('cpu'), [on_host]) == 0


@pytest.mark.slow
def test_precisions_and_pipelines_train_through_the_tool(tmp_path):
    command = [sys.executable, 'benchmarks/learning.py', '--device', 'cpu', '--seeds', '0', '--epochs', '1', '--pictures', '16',
               '--json', str(tmp_path / 'x.json')]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / 'x.json').read_text())['mAP_50']
    assert set(found) == {'fp32, planned', 'bf16, planned', 'fp32, eager'}
    assert all(len(values) == 1 for values in found.values())
