"""What labels mean has to be the same in training, evaluation and checkpoint."""
from __future__ import annotations

import warnings
from types import SimpleNamespace

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis.classes import check_same_classes, difference, warn_of_other_classes

CFG = Config(dict(data=dict(val=dict(type='VOCDataset'), test=dict(type='VOCDataset'))))
PETS = SimpleNamespace(CLASSES=('cat', 'dog', 'bird'))


@pytest.mark.parametrize('theirs, said', [
    (('cat', 'dog', 'bird'), ''), (('cat', 'bird', 'dog'), "label 1 is 'dog' here and 'bird' there"),
    (('cat', 'dog'), '3 classes here and 2 there'), (('dog',), "label 0 is 'cat' here and 'dog' there")])
def test_the_first_label_that_means_two_things_is_named(theirs, said):
    assert difference(PETS.CLASSES, theirs) == said


def test_an_evaluation_of_other_labels_is_refused_with_what_decides_them():
    check_same_classes(CFG, PETS, ['cat', 'dog', 'bird'])
    with pytest.raises(ConfigError, match=r"data\.val: not the classes of data\.train: label 0 .*, and `classes` for others"):
        check_same_classes(CFG, PETS, ['dog', 'cat', 'bird'])


@pytest.mark.parametrize('trained', [None, (), ['cat', 'dog', 'bird']])
def test_a_checkpoint_of_the_same_classes_or_of_none_is_taken_without_a_word(trained):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        warn_of_other_classes(CFG, PETS, 'x.pth', trained)


@pytest.mark.parametrize('trained', ['cat', ['cat', 'bird', 'dog']])
def test_a_checkpoint_of_other_classes_is_announced(trained):
    with pytest.warns(UserWarning, match=r'data\.test: not the classes that x\.pth names: .*; do its labels mean'):
        warn_of_other_classes(CFG, PETS, 'x.pth', trained)
