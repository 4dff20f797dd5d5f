"""First weights from a file: what fits is loaded, what the file lacks is said."""
from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from mmdet.models.initializers import Pretrained


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 1))


@pytest.fixture
def weights(tmp_path):
    """Writes a file of the Backbone's weights, all ones, with changes: {key: tensor or None}."""
    def write(**changes):
        state = {key: torch.ones_like(value) for key, value in Backbone().state_dict().items()}
        state.update({key.replace('__', '.'): value for key, value in changes.items()})
        path = tmp_path / 'vgg.pth'
        torch.save({key: value for key, value in state.items() if value is not None}, path)
        return str(path)
    return write


def test_weights_that_fit_are_loaded_in_silence_whatever_else_the_file_has(weights):
    backbone = Backbone()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        Pretrained(weights(classifier__0__weight=torch.ones(2)))(backbone)
    assert all(value.min() == 1 for value in backbone.state_dict().values())


@pytest.mark.parametrize('prefix', ['backbone.', 'backbone'])
def test_a_prefix_is_cut_off(weights, tmp_path, prefix):
    torch.save({f'backbone.{key}': value for key, value in torch.load(weights()).items()}, tmp_path / 'detector.pth')
    backbone = Backbone()
    Pretrained(str(tmp_path / 'detector.pth'), prefix=prefix)(backbone)
    assert backbone.features[0].weight.min() == 1


def test_a_part_of_a_detector_of_another_layout_is_found(tmp_path):
    """conv5_1 and fc6 of torchvision's ssd300_vgg16 stand in its first extra block."""
    part = nn.ModuleDict({'features': nn.ModuleDict({'24': nn.Conv2d(1, 1, 1), '31': nn.Conv2d(1, 1, 1)})})
    torch.save({f'backbone.extra.0.{place}.{kind}': torch.full_like(part.state_dict()[f'features.24.{kind}'], 7)
                for place in ('1', '7.1') for kind in ('weight', 'bias')}, tmp_path / 'detector.pth')
    Pretrained(str(tmp_path / 'detector.pth'), prefix='backbone')(part)
    assert all((value == 7).all() for value in part.state_dict().values())


@pytest.mark.parametrize('value, words', [(None, 'not in the checkpoint: features.2.weight'),
                                          (torch.ones(8, 4, 3, 3), 'features.2.weight (8, 4, 3, 3) in the file')])
def test_weights_that_the_file_lacks_are_said_in_one_line(weights, value, words):
    path = weights(features__2__weight=value, classifier__0__weight=torch.ones(2))
    with pytest.warns(UserWarning, match='keeps its random first weights') as said:
        Pretrained(path)(Backbone())
    (message,) = [str(one.message) for one in said]
    assert message.startswith(f'{path}: ') and words in message and 'classifier' not in message and '\n' not in message
