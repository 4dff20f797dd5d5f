"""SSDLite with MobileNetV2, compared with what MMDetection computed from the same weights (tests/parity/data/README.md)."""
from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

CONFIG = 'ssdlite_mobilenetv2_scratch_600e_coco.py'
MAPS = [20, 10, 5, 3, 2, 1]  # sides, of six boxes a cell


@pytest.fixture
def detector(build_detector, recipe):
    """SSDLite with the recipe's weights."""
    detector = build_detector(CONFIG)
    with torch.no_grad():
        for name, value in detector.state_dict().items():
            value.copy_(torch.from_numpy(recipe.fill_normed(name, value.shape)))
    return detector


def to_maps(flat, size):
    """(N, A, size) -> MMDetection's map (N, 6*size, h, w) of each level."""
    levels = flat.split([side * side * 6 for side in MAPS], dim=1)
    return [level.reshape(len(flat), side, side, 6 * size).permute(0, 3, 1, 2) for level, side in zip(levels, MAPS)]


def test_keys_shapes_and_the_order_of_parameters_are_equal(build_detector, stored):
    detector, expected = build_detector(CONFIG), stored('ssdlite_state_shapes.json')
    assert [(key, list(value.shape)) for key, value in detector.state_dict().items()] == list(expected['ssdlite'].items())
    assert [name for name, _ in detector.named_parameters()] == expected['ssdlite_params']


@pytest.mark.newer_torch
def test_levels_scores_and_offsets_are_equal(detector, recipe, stored):
    data, images = stored('ssdlite_forward.npz'), recipe.images(1240, 2, 320, 320, scale=1.0)
    assert hashlib.sha1(images.tobytes()).hexdigest() == str(data['input_sha1'])
    with torch.no_grad():
        levels = detector.eval().extract_feat(torch.from_numpy(images))
        scores, deltas = detector.bbox_head(levels)
    for i, level in enumerate(levels):
        sums = [float(value) for value in (level.double().sum(), level.double().abs().sum(), level.max())]
        np.testing.assert_allclose(sums, data[f'level_{i}_sum_abssum_max'], rtol=1e-5)
        np.testing.assert_allclose(level[:1, :4].numpy(), data[f'level_{i}_b0c0_4'], rtol=0, atol=1e-4)
    for name, flat, size, step in (('cls', scores, 81, 97), ('box', deltas, 4, 7)):
        for i, level in enumerate(to_maps(flat, size)):
            flat = level.reshape(-1)
            np.testing.assert_allclose(flat[::step].numpy(), data[f'{name}_{i}_every{step}'], rtol=0, atol=1e-4)
            sums = [float(flat.double().sum()), float(flat.double().abs().sum())]
            np.testing.assert_allclose(sums, data[f'{name}_{i}_sum_abssum'], rtol=0, atol=2e-5 * len(flat))


@pytest.mark.newer_torch
def test_losses_gradients_and_running_statistics_are_equal(detector, recipe, stored, pad):
    """Pictures with 0, 1, 50 and 7 ground truths, by norms of the batch.

    A norm divides by the deviation of as few as four numbers, so roundings grow: between float32 and float64 the median norm of
    a gradient moves by 3e-4. Before a norm the gradient of a bias is rounding alone.
    """
    expected = stored('ssdlite_netloss.json')
    gt_bboxes, gt_labels = pad([recipe.boxes(100 + i, n, size=320) for i, n in enumerate([0, 1, 50, 7])])
    images = torch.from_numpy(recipe.images(1241, 4, 320, 320, scale=1.0))
    losses = detector.train()(images, gt_bboxes=gt_bboxes, gt_labels=gt_labels)
    for name in ('loss_cls', 'loss_bbox'):
        np.testing.assert_allclose(losses[name].detach().numpy(), expected[name], rtol=1e-4, atol=0)
    total = sum(loss.sum() for loss in losses.values())
    assert total.item() == pytest.approx(expected['total'], rel=1e-5)
    total.backward()
    assert {name for name, _ in detector.named_parameters()} == set(expected['grad_norms'])
    off = []
    for name, parameter in detector.named_parameters():
        gradient, norm = parameter.grad.double(), expected['grad_norms'][name]
        assert gradient.norm().item() == pytest.approx(norm, rel=0.01, abs=1e-4), name
        assert gradient.abs().sum().item() == pytest.approx(expected['grad_sums'][name], rel=0.01, abs=1e-3), name
        off.append(abs(gradient.norm().item() / norm - 1))
    assert np.median(off) < 5e-4
    statistics = {name: value.double().sum().item() for name, value in detector.state_dict().items() if 'running' in name}
    assert statistics == pytest.approx(expected['running'], rel=1e-5, abs=1e-5)
