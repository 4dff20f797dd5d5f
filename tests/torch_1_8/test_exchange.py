"""A checkpoint of torch 1.8 goes on under a newer torch, and the other way round."""
from __future__ import annotations

import numpy as np
import pytest
import torch

from mmcv_need.checkpoint import read_checkpoint

BOTH = [('old', 'new'), ('new', 'old')]

# What a detector computes, and what it finds in a picture: python -c ... CONFIG CHECKPOINT PICTURES.npy OUT.npz
OUTPUTS = '''
import sys
import numpy as np
import torch
from mmdet.apis.inference import inference_detector, init_detector
config, checkpoint, pictures, out = sys.argv[1:]
detector = init_detector(config, checkpoint, device='cpu')
network = detector.model.module
pictures = np.load(pictures)
with torch.no_grad():
    img = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 64 - 2
    scores, deltas = network.bbox_head(network.neck(network.backbone(img)))
found = inference_detector(detector, pictures[0])
np.savez(out, scores=scores, deltas=deltas, **{f'class_{i}': rows for i, rows in enumerate(found)})
'''


@pytest.fixture(scope='module')
def outputs(call, tiny, trained, tmp_path_factory):
    """By (whose checkpoint, who computes): arrays by name."""
    folder = tmp_path_factory.mktemp('outputs')
    np.save(folder / 'pictures.npy', np.random.RandomState(5).randint(0, 256, (2, 160, 160, 3), dtype=np.uint8))
    arrays = {}
    for whose in trained:
        for who in trained:
            out = folder / f'{whose}_{who}.npz'
            call(who, '-c', OUTPUTS, tiny, trained[whose] / 'epoch_2.pth', folder / 'pictures.npy', out)
            arrays[whose, who] = dict(np.load(out))
    return arrays


@pytest.mark.parametrize('whose', ['old', 'new'])
def test_the_same_weights_give_the_same_outputs(outputs, whose):
    old, new = outputs[whose, 'old'], outputs[whose, 'new']
    assert list(old) == list(new)
    for name in ('scores', 'deltas'):
        largest = np.abs(old[name]).max()
        assert largest > 0.1
        np.testing.assert_allclose(old[name], new[name], rtol=0, atol=1e-5 * largest)
    assert sum(len(old[name]) for name in old if name.startswith('class')) > 0
    for name in old:
        np.testing.assert_allclose(old[name], new[name], rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize('optimizer', ['SGD', 'AdamW'])
def test_the_checkpoints_have_the_same_names_shapes_and_places(trained_by, optimizer):
    old, new = (read_checkpoint(str(trained_by[optimizer][which] / 'epoch_2.pth')) for which in ('old', 'new'))
    assert list(old) == list(new)
    assert [(key, value.shape, value.dtype) for key, value in old['state_dict'].items()] == [
        (key, value.shape, value.dtype) for key, value in new['state_dict'].items()]
    assert list(old['optimizer']['state']) == list(new['optimizer']['state'])
    assert [group['params'] for group in old['optimizer']['param_groups']] == [
        group['params'] for group in new['optimizer']['param_groups']]
    assert {key: old['meta'][key] for key in ('epoch', 'iter', 'CLASSES')} == {
        key: new['meta'][key] for key in ('epoch', 'iter', 'CLASSES')}
    assert old['meta'].keys() == new['meta'].keys()


@pytest.mark.parametrize('first, second', [*BOTH, ('old', 'old')])
@pytest.mark.parametrize('optimizer', ['SGD', 'AdamW'])
def test_a_run_goes_on_where_the_other_left_it(train, trained_by, records, optimizer, first, second):
    """The second epoch: the same iterations, rates, pictures and so losses; in one environment, the same bits."""
    trained = trained_by[optimizer]
    folder = train(second, optimizer, '--no-validate', '--resume-from', trained[first] / 'epoch_1.pth')
    expected = [record for record in records(trained[first]) if record['epoch'] == 2]
    found = records(folder)
    assert len(found) == 7
    for key in ('epoch', 'iter', 'lr'):
        assert [record[key] for record in found] == [record[key] for record in expected]
    end, straight = (read_checkpoint(str(path / 'epoch_2.pth')) for path in (folder, trained[first]))
    assert (end['meta']['epoch'], end['meta']['iter']) == (2, 14)
    if first == second:
        assert all(torch.equal(value, straight['state_dict'][key]) for key, value in end['state_dict'].items())
        assert [record['loss'] for record in found] == [record['loss'] for record in expected]
    else:
        losses, straight_on = ([record['loss'] for record in run] for run in (found, expected))
        assert losses[:2] == pytest.approx(straight_on[:2], rel=2e-4)  # the same pictures; later steps enlarge roundings
        assert losses == pytest.approx(straight_on, rel=0.05)


@pytest.mark.parametrize('who, whose', BOTH)
def test_the_others_checkpoint_is_evaluated_to_the_same_figures(call, tiny, trained, records, who, whose, tmp_path):
    call(who, 'tools/test.py', tiny, trained[whose] / 'epoch_2.pth', '--eval', 'bbox', '--work-dir', tmp_path,
         '--device', 'cpu')
    found = next(tmp_path.glob('eval_*.json')).read_text()
    expected = records(trained[whose], 'val')[-1]
    assert expected['bbox_mAP_50'] >= 0
    for key in ('bbox_mAP', 'bbox_mAP_50'):
        value = float(found.split(f'"{key}":')[1].split(',')[0].strip(' }\n'))
        assert value == pytest.approx(expected[key], abs=2e-3)
