"""Several processes compute what one would: the same losses and weights, the same detections."""
from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
import torch

from mmcv_need.builder import build_optimizer
from mmcv_need.config import Config
from mmcv_need.data_parallel import MMDataParallel
from mmcv_need.optimizer import OptimizerStep
from mmcv_need.random_state import seed_everything
from mmcv_need.registry import build
from mmdet.apis.datasets import build_dataset
from mmdet.apis.dialects import canonical
from mmdet.apis.test import finish_batch
from mmdet.datasets import train_loader
from mmdet.models import DETECTORS

ROOT = Path(__file__).resolve().parents[2]
STEPS = 20
# Without norms, whose statistics are of a chunk; with a schedule and a clip that would hide a wrong scale of the gradients out.
PLAIN = {'model.backbone.norm_cfg': None, 'model.neck.norm_cfg': None, 'lr_config': None, 'optimizer_config': None,
         'data.samples_per_gpu': 2, 'optimizer.lr': 0.0002, 'runner.max_epochs': 9}


# Of weights after some steps of Adam, a fortieth of one step's length: it divides gradients by their size, roundings of small
# ones too. A gradient that is averaged otherwise shows at a thousandth and more.
ROUNDING = 5e-6
# Sums in another order are rounded otherwise, and which of two nearly equal negatives is mined may hang on that.
UNMINED = ['model.train_cfg.neg_pos_ratio=0', 'model.bbox_head.loss_normalizer=global']


def tool(name, *words, **environment):
    script = name if isinstance(name, Path) else f'tools/{name}.py'
    done = subprocess.run([sys.executable, script, *map(str, words), '--device', 'cpu'], cwd=ROOT, text=True,
                          capture_output=True, timeout=300, env={**os.environ, 'OMP_NUM_THREADS': '1', **environment})
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def train(tiny, folder, processes, *options):
    words = [f'{key}={value}' for key, value in PLAIN.items()]
    tool('train', tiny, '--work-dir', folder, '--seed', 7, '--gpus', processes, '--max_steps', STEPS, '--no-validate',
         '--cfg-options', *words, *options)
    return torch.load(folder / 'latest.pth', weights_only=True)


def learned_by_one(tiny, processes, negatives):
    """Weights after one process computed the loss of each process's batch, and learned from their mean."""
    cfg = Config.fromfile(tiny)
    cfg.merge_from_dict({**PLAIN, 'model.train_cfg.neg_pos_ratio': negatives})
    cfg = canonical(cfg)
    seed_everything(7)
    model = build(cfg, DETECTORS, key='model')
    dataset = build_dataset(cfg, 'train')
    wrapper = MMDataParallel(model, torch.device('cpu'), finish_batch)
    step = OptimizerStep(build_optimizer(model, cfg))
    loaders = [train_loader(dataset, 2, 0, 7, rank, processes, finish=True) for rank in range(processes)]
    done = epoch = 0
    while done < STEPS:
        for loader in loaders:
            loader.set_epoch(epoch)
        for batches in zip(*loaders):
            if done < STEPS:
                step.zero_grad()
                step.backward(sum(wrapper.train_step(batch)['loss'] for batch in batches) / processes)
                step.clip()
                step.step()
                done += 1
        epoch += 1
    return model.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize('processes, negatives', [(2, 3), (4, 0)])
def test_several_processes_learn_what_one_learns_from_the_mean_of_their_losses(tiny, tmp_path, processes, negatives):
    found = train(tiny, tmp_path, processes, f'model.train_cfg.neg_pos_ratio={negatives}')
    assert (found['meta']['world_size'], found['meta']['global_batch']) == (processes, 2 * processes)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(1)
    expected = learned_by_one(tiny, processes, negatives)
    torch.set_rng_state(state)
    torch.set_num_threads(threads)
    assert list(found['state_dict']) == list(expected)
    worst = max(float((found['state_dict'][key] - value).abs().max()) for key, value in expected.items())
    assert worst <= ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize('processes, runs', [(1, 5), (2, 5), (3, 2)])
def test_as_many_processes_learn_the_same_to_the_last_bit_again(tiny, tmp_path, processes, runs, same):
    found = [train(tiny, tmp_path / str(run), processes) for run in range(runs)]
    for again in found[1:]:
        assert all(same(found[0][key], again[key]) for key in ('state_dict', 'optimizer'))
        assert all(same(a['random'], b['random']) for a, b in zip(found[0]['ranks'], again['ranks']))


@pytest.mark.slow
def test_with_the_global_normalizer_two_processes_learn_what_one_learns_from_the_whole_batch(tiny, tmp_path):
    two = train(tiny, tmp_path / 'two', 2, *UNMINED)
    one = train(tiny, tmp_path / 'one', 1, *UNMINED, 'data.samples_per_gpu=4')
    own = train(tiny, tmp_path / 'own', 2, UNMINED[0])
    gaps = [max(float((run['state_dict'][key] - value).abs().max()) for key, value in one['state_dict'].items())
            for run in (two, own)]
    assert gaps[0] < 2e-5 < gaps[1] / 10  # a batch of four is summed in another order than two of two


# tools/train.py, which writes down each step of a process: iteration, loss, and pictures.
WATCHED = f"""
import json, os, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tools')!r}]
import train
from mmcv_need.epoch_based_runner import EpochBasedRunner
from mmdet.apis.endings import run

step = EpochBasedRunner.train_iter

def watched(self, batch):
    outputs = step(self, batch)
    with open(os.path.join(os.environ['STEPS'], str(self.rank)), 'a') as file:
        names = [meta['filename'] for meta in batch['img_metas']]
        print(json.dumps([self.iter, float(outputs['log_vars']['loss']), names]), file=file)
    return outputs

EpochBasedRunner.train_iter = watched
if __name__ == '__main__':
    run(train.main)
"""


@pytest.mark.slow
def test_a_run_goes_on_with_as_many_pictures_on_another_number_of_processes(tiny, tmp_path):
    """One process of eight pictures, two of four, four of two, and one again: a run that never stopped, but for roundings.

    The rate is low, since a step makes more of a rounding the longer it is.
    """
    script = tmp_path / 'watched.py'
    script.write_text(WATCHED)
    words = [f'{key}={value}' for key, value in PLAIN.items()]
    steps, weights = {}, {}
    for name, parts in (('through', [(1, STEPS)]), ('parts', [(1, 5), (2, 9), (4, 15), (1, STEPS)])):
        steps[name] = []
        for processes, until in parts:
            folder = tmp_path / f'{name}_{until}'
            folder.mkdir()
            tool(script, tiny, '--work-dir', tmp_path / name, '--auto-resume', '--seed', 7, '--gpus', processes,
                 '--no-validate', '--max_steps', until, '--cfg-options', *words, *UNMINED,
                 f'data.samples_per_gpu={8 // processes}', 'optimizer.lr=5e-5', STEPS=str(folder))
            ranks = [[json.loads(line) for line in (folder / str(rank)).read_text().splitlines()] for rank in range(processes)]
            steps[name] += [(step[0][0], sum(part[1] for part in step) / processes, sorted(chain(*(part[2] for part in step))))
                            for step in zip(*ranks)]
        weights[name] = torch.load(tmp_path / name / 'latest.pth', weights_only=True)['state_dict']
    assert [step[0] for step in steps['parts']] == list(range(STEPS))
    assert [step[2] for step in steps['parts']] == [step[2] for step in steps['through']]
    assert all(len(step[2]) == 8 for step in steps['parts'])
    losses = [[step[1] for step in steps[name]] for name in ('parts', 'through')]
    gap = max(abs(a - b) for a, b in zip(*losses))
    worst = max(float((weights['through'][key] - value).abs().max()) for key, value in weights['parts'].items())
    print(f'losses from {min(losses[1]):.2f} to {max(losses[1]):.2f} differ by {gap:.1e} at most, weights by {worst:.1e}')
    assert gap < 1e-5 and worst < 1e-6


@pytest.mark.parametrize('samples, numbers', [
    (3, (1, 2)), *(pytest.param(samples, (1, 2, 3, 4), marks=pytest.mark.slow) for samples in (1, 3))])
def test_any_number_of_processes_finds_the_same_to_the_last_bit(trained, tiny, tmp_path, samples, numbers):
    """Eight pictures in batches of three: one batch is smaller, and of four processes one has none."""
    said = []
    for processes in numbers:
        out = tool('test', tiny, trained.folder / 'latest.pth', '--eval', 'bbox', '--out', tmp_path / f'{processes}.json',
                   '--gpus', processes, '--cfg-options', f'data.test_dataloader.samples_per_gpu={samples}')
        said.append(ast.literal_eval(re.findall(r"\{'bbox_mAP'.*\}", out)[0]))
    found = [(tmp_path / f'{processes}.json').read_bytes() for processes in numbers]
    assert len(found[0]) > 1000 and len(set(found)) == 1
    assert all(metrics == said[0] for metrics in said)
