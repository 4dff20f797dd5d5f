"""Items as attributes."""
from __future__ import annotations

import pytest


def test_items_and_attributes_are_the_same(ssd):
    ssd.runner = {'hooks': [{'a': 1}]}
    assert ssd['runner'].hooks[0].a == 1
    ssd.model['x'] = ({'b': 2},)
    assert ssd.model.x[0].b == 2
    assert 'runner' in ssd and len(ssd) == 6 and ssd.get('zz', 3) == 3
    assert ssd.pop('runner').hooks == [{'a': 1}] and ssd.pop('runner', None) is None
    assert ssd.setdefault('step', 1) == [8] and ssd.setdefault('zz', {'a': 1}).a == 1
    assert dict(ssd.items()).keys() == set(ssd.keys()) == set(ssd)
    assert repr(ssd).startswith("Config (path: ssd/ssd300.py): {'size': 300")


def test_a_missing_attribute_names_the_nearest_key(ssd):
    with pytest.raises(AttributeError, match=r"no 'num_class' here\. Did you mean 'num_classes'"):
        _ = ssd.model.bbox_head.num_class
    with pytest.raises(AttributeError, match="Did you mean 'model'"):
        _ = ssd.modle
    assert getattr(ssd, 'zz', None) is None and not hasattr(ssd.model, 'zz')


def test_a_key_named_like_a_method_is_set_as_an_item_only(ssd):
    for owner, name in ((ssd, 'where'), (ssd, 'text'), (ssd.model, 'items')):
        with pytest.raises(AttributeError):
            setattr(owner, name, 1)
    ssd.model['items'] = 1
    assert ssd.model['items'] == 1
