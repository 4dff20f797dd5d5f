"""torchvision's ssd300_vgg16 and its weights, by configs/ssd300_torchvision_coco.py: the numbers of torchvision itself."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmcv_need.config import Config
from mmcv_need.errors import CheckpointError
from mmdet.apis.dialects import canonical
from mmdet.apis.inference import inference_detector, init_detector, load_detector
from mmdet.datasets.coco_classes import COCO_CLASSES
from mmdet.datasets.loader.collate import collate
from mmdet.datasets.pipelines import Sample
from mmdet.models.key_layouts import NO_CLASS, class_order, current_form, current_key

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/ssd300_torchvision_coco.py'
COCO_IDS = [number for number in range(1, 91) if number not in NO_CLASS]  # of the 80 classes, in the order of our labels


@pytest.fixture(scope='module')
def golden(stored):
    return stored('torchvision_ssd300.npz')


@pytest.fixture(scope='module')
def shapes():
    return json.loads((ROOT / 'tests/parity/data/torchvision_ssd300_shapes.json').read_text())


@pytest.fixture(scope='module')
def weights(tmp_path_factory, recipe, shapes):
    """A file as torchvision publishes them: a bare state dict, here of the recipe's weights."""
    path = tmp_path_factory.mktemp('torchvision') / 'ssd300.pth'
    torch.save({key: torch.from_numpy(recipe.fill_torchvision(key, shape)) for key, shape in shapes.items()}, path)
    return path


@pytest.fixture(scope='module')
def detector(weights):
    return init_detector(CONFIG, weights, device='cpu')


def test_every_name_and_shape_of_torchvisions_has_its_place(detector, shapes):
    own = {key: list(value.shape) for key, value in detector.model.module.state_dict().items()}
    assert {current_key(key): shape for key, shape in shapes.items()} == own


def test_default_boxes_are_torchvisions(detector, recipe, golden):
    anchors = detector.model.module.bbox_head.anchors(recipe.SSD300_FEAT, torch.device('cpu')).boxes
    np.testing.assert_allclose(anchors[::97].numpy(), golden['anchors'], rtol=0, atol=2e-4)
    np.testing.assert_allclose(anchors[-4:].numpy(), golden['anchors_last'], rtol=0, atol=2e-4)
    np.testing.assert_allclose(anchors.double().sum(dim=0), golden['anchors_sum'], rtol=1e-7)
    assert (anchors[:, 2:] - anchors[:, :2]).max() <= 300.0001  # the widest of ssd300_coco.py are 369


def test_detections_are_torchvisions(detector, recipe, golden):
    """Through the test pipeline, from a picture in B, G, R to boxes in its pixels; labels by COCO's ids."""
    for i, seed in enumerate((31, 32)):
        found = inference_detector(detector, recipe.picture(seed, 300, 300))
        rows = [(COCO_IDS[label], *row) for label, boxes in enumerate(found) for row in boxes]
        labels, numbers = np.array([row[0] for row in rows]), np.array([row[1:] for row in rows])
        assert len(rows) == 200 and set(labels) == set(golden[f'labels_{i}'].tolist())
        for label in set(labels):
            theirs, ours = golden[f'labels_{i}'] == label, labels == label
            np.testing.assert_allclose(numbers[ours, 4], golden[f'scores_{i}'][theirs], rtol=0, atol=2e-5)
            np.testing.assert_allclose(numbers[ours, :4], golden[f'boxes_{i}'][theirs], rtol=0, atol=2e-3)


@pytest.mark.slow
def test_converted_and_as_safetensors_it_detects_the_same_to_the_bit(detector, weights, recipe, load_file, tmp_path):
    pytest.importorskip('safetensors', reason='safetensors is optional')
    for name, source, target in (('torchvision2mmdet', weights, tmp_path / 'ours.pth'),
                                 ('to_safetensors', tmp_path / 'ours.pth', tmp_path / 'ours.safetensors')):
        load_file(f'tools/model_converters/{name}.py').main([str(source), str(target)])
    other = init_detector(CONFIG, tmp_path / 'ours.safetensors', device='cpu')
    assert other.CLASSES == COCO_CLASSES
    picture = recipe.picture(31, 300, 300)
    for one, two in zip(inference_detector(detector, picture), inference_detector(other, picture)):
        np.testing.assert_array_equal(one, two)


def test_probabilities_and_offsets_are_torchvisions(detector, recipe, golden):
    """Of every 997th pair of a box and a class; those of no class add up to background's."""
    network = detector.model.module
    mean = np.array([122.99925, 116.9991, 103.9992], np.float32)
    pictures = np.stack([recipe.picture(seed, 300, 300)[..., ::-1] for seed in (31, 32)]).astype(np.float32) - mean
    with torch.no_grad():
        scores, deltas, _ = network.predict(torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous())
    place = {number: label for label, number in enumerate(COCO_IDS)}
    probabilities, compared = scores.softmax(dim=-1), 0
    for k, number in enumerate(range(0, 8732 * 91, 997)):
        box, column = divmod(number, 91)
        if column in place:
            np.testing.assert_allclose(probabilities[:, box, place[column]].numpy(), golden['probabilities_every997'][:, k],
                                       rtol=0, atol=2e-5)
            compared += 1
    assert compared > 600
    np.testing.assert_allclose(deltas.flatten(1)[:, ::97].numpy(), golden['deltas_every97'], rtol=0, atol=1e-4)


def test_the_network_sees_what_torchvisions_sees(detector, recipe, golden):
    """To float32's rounding where nothing is resized; else to one of 256 levels, since we resize bytes."""
    sizes = (300, 300), (300, 300), (220, 400)
    samples = [Sample(img_info={'filename': 'array', 'array': recipe.picture(31 + i, *size)}) for i, size in enumerate(sizes)]
    img = collate([detector.pipeline(sample) for sample in samples], True)['img']
    assert img.shape == (3, 3, 300, 300)
    for i, tolerance in enumerate((1e-4, 1e-4, 1.01)):
        np.testing.assert_allclose(img[i].flatten()[::997], golden['input_every997'][i], rtol=0, atol=tolerance)


def test_the_columns_of_91_are_cocos_classes_then_those_of_none_then_background():
    order = class_order(91)
    assert sorted(order) == list(range(91)) and order[:80] == COCO_IDS and order[80:90] == list(NO_CLASS) and order[90] == 0
    assert len(COCO_IDS) == len(COCO_CLASSES) and (order[0], order[79]) == (1, 90)
    assert class_order(21) == [*range(1, 21), 0]


def test_columns_move_with_their_box():
    """Two boxes a cell, three columns: rows of a convolution are box by box."""
    prefix = 'head.{}_head.module_list.0.weight'
    rows = torch.tensor([10., 11, 12, 20, 21, 22])
    state = {prefix.format('classification'): rows.reshape(6, 1, 1, 1), prefix.format('regression'): torch.zeros(8, 1, 1, 1)}
    formed = current_form(state)
    assert formed[prefix.format('classification')].flatten().tolist() == [11, 12, 10, 21, 22, 20]
    assert state[prefix.format('classification')].flatten().tolist() == rows.tolist()  # which stays the caller's


def test_weights_of_torchvisions_in_another_config_are_one_line(weights):
    words = r"is of torchvision's ssd300_vgg16, with 91 columns .* has 81\. For .*configs/ssd300_torchvision_coco\.py"
    with pytest.raises(CheckpointError, match=words):
        load_detector(canonical(Config.fromfile(ROOT / 'configs/ssd300_coco.py')), str(weights))
