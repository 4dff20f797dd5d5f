"""One dict over another, options by dotted names, values that move."""
from __future__ import annotations

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError


def refused(action, *args):
    with pytest.raises(ConfigError) as error:
        action(*args)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize('below, kind', [('1', 'an int'), ('[1]', 'a list'), ('(1, 2)', 'a tuple')])
def test_a_dict_over_something_else_needs_delete(folder, below, kind):
    folder(b="_base_ = 'a.py'\nm = dict(x=dict(y=1))", a=f'm = dict(\n    x={below})', c="_base_ = 'b.py'")
    message = refused(Config.fromfile, 'c.py')
    assert message == f'b.py:2: m.x: a dict cannot be laid over {kind}, written at a.py:2. ' \
                      'Add _delete_=True to the dict to replace it.'
    folder(b="_base_ = 'a.py'\nm = dict(x=dict(_delete_=True, y=1))")
    assert Config.fromfile('c.py').m == {'x': {'y': 1}}


def test_a_dict_over_none_merges_as_over_nothing(folder):
    cfg = Config.fromfile(folder(
        b="_base_ = 'a.py'\noptimizer_config = dict(grad_clip=dict(_delete_=True, max_norm=35))\nm = dict(x=1)",
        a='optimizer_config = dict(n=1, grad_clip=None)\nm = None'))
    assert cfg.to_dict() == {'optimizer_config': {'n': 1, 'grad_clip': {'max_norm': 35}}, 'm': {'x': 1}}
    assert cfg.where('optimizer_config.grad_clip.max_norm') == 'b.py:2' and cfg.where('m.x') == 'b.py:3'


OPTIONS = {
    'model.neck.type': 'New', 'data.workers': 4, 'step.0': 9, 'new.x.0.y': 2, 'new.x.0.z': {'a': 1}, 'work_dir': 'w',
}


def test_options_set_values_by_dotted_names_and_indices(ssd):
    ssd.merge_from_dict(OPTIONS)
    assert ssd.model.neck == {'type': 'New'}
    assert ssd.data.workers == 4
    assert ssd.step == [9]
    assert ssd.new.x[0].z.a == 1
    assert ssd.where('model.neck.type') == ssd.where('new.x.0.z.a') == ssd.where('work_dir') == '--cfg-options'
    assert ssd.where('new.x') == 'ssd/ssd300.py:5'


def test_an_option_replaces_a_whole_list_element_and_merges_dicts():
    cfg = Config({'hooks': [{'type': 'A'}, {'type': 'B'}], 'model': {'a': {'b': 1, 'c': 2}}})
    cfg.merge_from_dict({'hooks.0': 5, 'hooks.1': {'n': 1}, 'model': {'a': {'b': 3}}}, source='the program')
    assert cfg.to_dict() == {'hooks': [5, {'type': 'B', 'n': 1}], 'model': {'a': {'b': 3, 'c': 2}}}
    cfg.merge_from_dict({'model.a': {'_delete_': True, 'd': 4}, 'hooks': {'0': 6}})
    assert cfg.to_dict() == {'hooks': [6, {'type': 'B', 'n': 1}], 'model': {'a': {'d': 4}}}
    cfg.hooks[1].n = 7
    assert cfg.hooks[1] == {'type': 'B', 'n': 7}


@pytest.mark.parametrize('name, found', [
    ('step.5', "step.5: the list has 1 elements, numbered from 0; '5' is not one"), ('step.x', "step.x: the list has"),
    ('step.-1', 'step.-1: the list has'),
    ('size.a', "size.a: 'size' is an int, written at base/model.py:2, and has no 'a'"),
    ('step.0.a', "step.0.a: 'step.0' is an int"),
])
def test_an_option_that_does_not_fit_is_named(ssd, name, found):
    before = ssd.to_dict()
    assert refused(ssd.merge_from_dict, {name: 1}).startswith(f'--cfg-options: {found}')
    assert ssd.to_dict() == before


def test_an_option_follows_what_the_program_changed(ssd):
    ssd.model.neck = {'type': 'Mine', 'layers': [{'n': 1}]}
    ssd.merge_from_dict({'model.neck.layers.0.n': 2})
    assert ssd.model.neck.layers[0].n == 2


def test_an_option_is_set_below_none_as_below_nothing(ssd):
    ssd.merge_from_dict({'grad_clip': None, 'hooks': [None, None]})
    ssd.merge_from_dict({'grad_clip.max_norm': 35, 'hooks.0.layer.n': 1, 'hooks.1': {'n': 2}})
    assert ssd.grad_clip == {'max_norm': 35} and ssd.where('grad_clip.max_norm') == '--cfg-options'
    assert ssd.hooks[0].layer.n == 1 and ssd.hooks[1].n == 2


@pytest.mark.parametrize('index', ['1', '0000000001', '9' * 20, '-0', '\u00b2'])
def test_an_index_that_the_list_does_not_have_is_refused(index):
    assert 'the list has 1 elements' in refused(Config({'step': [8]}).merge_from_dict, {f'step.{index}': 1})


def test_a_moved_value_keeps_the_place_where_it_was_written(ssd):
    ssd.move('step', 'runner.max_epochs')
    ssd.move('model.bbox_head', 'model.heads.first.head')
    ssd.move('size', 'new.x.0.y')
    assert ssd.to_dict() == {
        'model': {'type': 'SingleStageDetector', 'neck': {'type': 'SSDNeck'},
                  'heads': {'first': {'head': {'type': 'SSDHead', 'num_classes': 20, 'size': 300}}}},
        'optimizer_config': {}, 'new': {'x': [{'y': 300}]}, 'runner': {'max_epochs': [8]}}
    assert ssd.runner.max_epochs == [8]
    assert ssd.where('runner') == ssd.where('runner.max_epochs.0') == 'ssd/ssd300.py:6'
    assert ssd.where('model.heads.first.head.size') == 'base/model.py:8'
    assert ssd.where('new.x.0.y') == 'base/model.py:2'
    assert ssd.where('size') == '' and ssd.where('model.bbox_head') == ssd.where('model')


def test_a_moved_value_replaces_what_was_there_and_none_on_the_way():
    cfg = Config({'a': {'x': 1}, 'b': {'c': {'y': 2}}, 'pretrained': 'vgg', 'backbone': None})
    cfg.move('a', 'b.c')
    cfg.move('pretrained', 'backbone.init_cfg')
    cfg.move('b', 'b.again')
    assert cfg.to_dict() == {'b': {'again': {'c': {'x': 1}}}, 'backbone': {'init_cfg': 'vgg'}}


def test_what_the_program_set_moves_without_a_place(ssd):
    ssd.total_epochs = 24
    ssd.move('total_epochs', 'runner.max_epochs')
    assert ssd.runner.max_epochs == 24 and ssd.where('runner.max_epochs') == ''


def test_a_value_cannot_move_into_what_is_no_dict(ssd):
    assert refused(ssd.move, 'step', 'size.x') == ("ssd/ssd300.py:6: size.x: 'size' is an int, written at "
                                                   "base/model.py:2, and has no 'x' to set. Set it as a whole.")
