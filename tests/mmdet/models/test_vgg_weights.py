"""First weights of the backbone: VGG-16 as Caffe's reduced model and as torchvision's classifier, in every kind of file."""
from __future__ import annotations

import pytest
import torch

from mmcv_need.weights import load_weights
from mmdet.models.backbones.ssd_vgg import SSDVGG
from mmdet.models.backbones.vgg_weights import with_convolutions
from mmdet.models.initializers import Pretrained

CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


@pytest.fixture(scope='module')
def backbone():
    return SSDVGG()


@pytest.fixture(scope='module')
def reduced(backbone):
    """The keys of vgg16_caffe: features.0 to 28, and 31 and 33."""
    return {key: torch.full_like(value, 0.5) for key, value in backbone.state_dict().items()}


@pytest.fixture(scope='module')
def classifier(reduced):
    """The keys of torchvision's vgg16. Numbers of fc6 and fc7 tell their place."""
    state = {key: value for key, value in reduced.items() if int(key.split('.')[1]) in CONVOLUTIONS}
    state['classifier.0.weight'] = torch.arange(4096.)[:, None] + torch.arange(25088.) / 25088
    state['classifier.0.bias'] = torch.arange(4096.)
    state['classifier.3.weight'] = torch.arange(4096.)[:, None] + torch.arange(4096.) / 4096
    state['classifier.3.bias'] = -torch.arange(4096.)
    state.update({'classifier.6.weight': torch.zeros(1000, 8), 'classifier.6.bias': torch.zeros(1000)})
    return state


def test_caffes_reduced_vgg_has_all_of_the_backbone(reduced, tmp_path):
    torch.save(reduced, tmp_path / 'vgg.pth')
    backbone = SSDVGG()
    Pretrained(str(tmp_path / 'vgg.pth'))(backbone)  # a warning would be an error
    loaded = backbone.state_dict()
    assert len(loaded) == 30 and all((value == 0.5).all() for value in loaded.values())


def test_fc6_and_fc7_of_the_classifier_are_subsampled_as_in_the_paper(classifier):
    """Neuron n of ours is number 4n; row and column r of fc6's kernel are number 3r of 7."""
    backbone = SSDVGG()
    assert not any(load_weights(backbone, classifier, 'vgg.pth')._replace(unexpected={}))
    loaded = backbone.state_dict()
    fc6, fc7 = loaded['features.31.weight'], loaded['features.33.weight']
    assert fc6.shape == (1024, 512, 3, 3) and fc7.shape == (1024, 1024, 1, 1)
    for n, c, y, x in ((0, 0, 0, 0), (1023, 511, 2, 2), (5, 7, 1, 2), (100, 300, 2, 0)):
        assert fc6[n, c, y, x] == classifier['classifier.0.weight'][4 * n, (c * 7 + 3 * y) * 7 + 3 * x]
    for n, c in ((0, 0), (1023, 1023), (5, 7)):
        assert fc7[n, c, 0, 0] == classifier['classifier.3.weight'][4 * n, 4 * c]
    assert loaded['features.31.bias'].tolist() == list(range(0, 4096, 4))
    assert loaded['features.33.bias'].tolist() == [-n for n in range(0, 4096, 4)]
    assert all((loaded[f'features.{i}.{kind}'] == 0.5).all() for i in CONVOLUTIONS for kind in ('weight', 'bias'))


def test_what_has_convolutions_already_keeps_them(reduced, classifier):
    assert with_convolutions({**classifier, **reduced})['features.31.weight'] is reduced['features.31.weight']


@pytest.mark.parametrize('change', [
    {'classifier.0.weight': torch.tensor(float('nan')).expand(4096, 25088)},  # torchvision's weights of features only
    {'classifier.0.weight': torch.zeros(()).expand(10, 25088)}, {'classifier.3.bias': None}])
def test_a_classifier_that_cannot_be_used_is_left_alone(change, classifier):
    state = {key: value for key, value in {**classifier, **change}.items() if value is not None}
    assert not [key for key in with_convolutions(state) if key.startswith(('features.31', 'features.33'))]


def test_where_there_is_no_classifier_a_warning_names_the_two_convolutions(classifier, tmp_path):
    torch.save({key: value for key, value in classifier.items() if 'classifier' not in key}, tmp_path / 'vgg.pth')
    with pytest.warns(UserWarning, match=r'not in the checkpoint: features\.31\.weight, features\.31\.bias, features\.33'):
        Pretrained(str(tmp_path / 'vgg.pth'))(SSDVGG())


def test_a_file_of_safetensors_does_as_well(reduced, tmp_path):
    safetensors = pytest.importorskip('safetensors.torch', reason='safetensors is optional')
    safetensors.save_file(reduced, str(tmp_path / 'vgg.safetensors'))
    backbone = SSDVGG()
    Pretrained(str(tmp_path / 'vgg.safetensors'))(backbone)
    assert all((value == 0.5).all() for value in backbone.state_dict().values())
