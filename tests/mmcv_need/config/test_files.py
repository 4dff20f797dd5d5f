"""The files of a config: found, read, laid over their bases."""
from __future__ import annotations

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError


def refused(action, *args):
    with pytest.raises(ConfigError) as error:
        action(*args)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_a_child_is_laid_over_its_bases(ssd):
    assert ssd.to_dict() == {
        'size': 300,
        'model': {'type': 'SingleStageDetector', 'neck': {'type': 'SSDNeck'},
                  'bbox_head': {'type': 'SSDHead', 'num_classes': 20, 'size': 300}},
        'optimizer_config': {}, 'step': [8], 'new': {'x': [{'y': 1}]}}
    assert list(ssd) == ['size', 'model', 'optimizer_config', 'step', 'new']


def test_a_config_knows_its_files_and_the_names_they_use(ssd):
    assert ssd.filename == 'ssd/ssd300.py'
    assert ssd.sources == ['base/model.py', 'base/schedule.py', 'ssd/ssd300.py']
    assert ssd.used_names == {'size'}
    assert all(part in ssd.text for part in ('num_classes=20', 'num_classes=80', 'grad_clip'))


def test_a_file_outside_the_current_directory_is_named_in_full(folder, tmp_path, monkeypatch):
    folder(a='x = 1')
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    assert Config.fromfile('../a.py').where('x') == f'{tmp_path}/a.py:1'


def test_bases_that_share_a_key_are_refused_with_both_files(folder):
    message = refused(Config.fromfile, folder(c="_base_ = ['a.py', 'b.py']", a='x = 1', b='\nx = 2'))
    assert message == "c.py:1: _base_: 'x' is set by two bases, a.py:1 and b.py:2. Keep one."


def test_a_cycle_is_refused(folder):
    assert refused(Config.fromfile, folder(a="_base_ = 'b.py'", b="\n_base_ = './a.py'")) \
        == 'b.py:2: _base_: a.py is its own _base_, directly or through others.'


def test_too_many_levels_and_too_many_files_are_refused(folder):
    folder(**{f'a{i}': f"_base_ = 'a{i + 1}.py'" for i in range(20)})
    assert 'more than 10 levels' in refused(Config.fromfile, 'a0.py')
    folder(**{f'a{i}': f"_base_ = ['a{i + 1}.py'] * 3" for i in range(9)}, a9='')
    assert '100 files' in refused(Config.fromfile, 'a0.py')


def test_a_missing_file_is_named_with_its_likely_new_place(folder):
    folder(configs__ssd300_coco='x = 1', configs__other="_base_ = './_base_/ssd300_coc.py'")
    assert refused(Config.fromfile, 'configs/ssd/ssd300_coco.py') \
        == "configs/ssd/ssd300_coco.py does not exist. Did you mean 'configs/ssd300_coco.py'?"
    assert refused(Config.fromfile, 'ssd300_coco.py').endswith("Did you mean 'configs/ssd300_coco.py'?")
    assert refused(Config.fromfile, 'configs/other.py').startswith(
        "configs/other.py:1: _base_: configs/_base_/ssd300_coc.py does not exist. Did you mean 'configs/ssd300_coco")
    assert refused(Config.fromfile, 'zzz.py') == 'zzz.py does not exist.'


def test_files_that_are_no_text_are_refused(folder, tmp_path):
    folder(a='')
    (tmp_path / 'b.py').write_bytes(b'x = "\xff"')
    (tmp_path / 'c.py').write_bytes(b'#' * (1 << 21))
    assert 'UTF-8' in refused(Config.fromfile, 'b.py')
    assert 'larger than' in refused(Config.fromfile, 'c.py')
    assert 'is not a file' in refused(Config.fromfile, tmp_path)
    assert 'does not exist' in refused(Config.fromfile, 'a\0b.py')
    assert 'does not exist' in refused(Config.fromfile, 'a\nb.py')


BASE = "root = 'a/'\nnorm = dict(mean=[1], std=[2])\nother = 1\ndata = dict(train=root + 'x', norm=norm)"


@pytest.mark.parametrize('child, outdated', [
    ("root = 'b/'", {'root'}), ('norm = dict(mean=[5])', {'norm'}), ("root = 'b/'\ndata = dict(val=root + 'x')", set()),
    ("root = 'a/'", set()), ('other = 2', set()), ("root = 'b/'\nx = root", set())])
def test_a_name_that_a_base_has_used_and_its_child_only_sets_is_outdated(folder, child, outdated):
    folder(base=BASE, child=f"_base_ = 'base.py'\n{child}")
    cfg = Config.fromfile('child.py')
    assert cfg.outdated_names == outdated and not cfg.used_names & outdated


def test_an_outdated_name_that_a_grandchild_uses_is_none(folder):
    folder(base=BASE, child="_base_ = 'base.py'\nroot = 'b/'", grandchild="_base_ = 'child.py'\nx = {{_base_.root}} + 'y'")
    assert Config.fromfile('child.py').outdated_names == {'root'}
    cfg = Config.fromfile('grandchild.py')
    assert cfg.outdated_names == set() and cfg.x == 'b/y' and 'root' in cfg.used_names


@pytest.mark.parametrize('name', ['notes.txt', 'config', '.bashrc', '/proc/self/environ', '/dev/zero', 'x.py.bak'])
def test_a_base_that_is_no_config_is_not_opened(folder, tmp_path, monkeypatch, name):
    for each in ('notes.txt', 'config', '.bashrc', 'x.py.bak'):
        (tmp_path / each).write_text('canary = 1')
    monkeypatch.setattr('builtins.open', lambda path, *_: pytest.fail(f'{path} is opened') if str(path) != 'a.py' else
                        (tmp_path / path).open('rb'))
    path = folder(a=f'_base_ = {name!r}')
    message = refused(Config.fromfile, path)
    assert message.startswith(f'a.py:1: _base_: {name}: a config ends in .py') and 'canary' not in message


def test_a_link_counts_as_what_it_leads_to(folder, tmp_path):
    (tmp_path / 'secret').write_text('canary = 1')
    folder(a="_base_ = 'b.py'", real='x = 1')
    (tmp_path / 'b.py').symlink_to('secret')
    assert refused(Config.fromfile, 'a.py') == ("a.py:1: _base_: b.py, a link to secret: a config ends in .py, .json, .yaml or "
                                                ".yml, not in ''.")
    (tmp_path / 'b.py').unlink()
    (tmp_path / 'b.py').symlink_to('real.py')
    assert Config.fromfile('a.py').x == 1


def test_a_base_in_a_hidden_place_is_refused_unless_the_config_is_there_too(folder, tmp_path):
    folder(a="_base_ = '.docker/config.py'", c="_base_ = 'b.py'", b="_base_ = '.hidden.py'", **{'.docker__config': 'auths = 1'},
           **{'.hidden': 'x = 1'}, **{'.cache__x__a': "_base_ = '../y/b.py'"}, **{'.cache__y__b': 'x = 1'})
    assert "a.py:1: _base_: .docker/config.py: '.docker' is hidden" in refused(Config.fromfile, 'a.py')
    assert "b.py:1: _base_: .hidden.py: '.hidden.py' is hidden" in refused(Config.fromfile, 'c.py')
    assert Config.fromfile('.hidden.py').x == Config.fromfile('.cache/x/a.py').x == 1
