"""Policies of schedules by name, and where the best checkpoint is chosen."""
from __future__ import annotations

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.hooks import HOOKS, Hook
from mmdet.apis.dialects import POLICIES, canonical, with_policy_hook


@pytest.fixture(autouse=True)
def schedules(monkeypatch):
    """The hooks are those of each section, whatever else the toolkit has today."""
    names = [f'{name}{suffix}' for suffix in POLICIES.values() for name in ('Step', 'Cyclic', 'CosineAnnealing', 'OneCycle')]
    monkeypatch.setattr(type(HOOKS), 'module_dict', dict.fromkeys(names, Hook))


@pytest.mark.parametrize('section', POLICIES)
@pytest.mark.parametrize('policy, name', [
    ('step', 'Step'), ('Step', 'Step'), ('cyclic', 'Cyclic'), ('CosineAnnealing', 'CosineAnnealing'), ('OneCycle', 'OneCycle'),
    ('oneCycle', 'OneCycle')])
def test_a_policy_stands_for_its_hook(section, policy, name):
    given = {section: dict(policy=policy, by_epoch=False)}
    cfg = Config(given)
    assert with_policy_hook(cfg, section, POLICIES[section])[section] == dict(type=f'{name}{POLICIES[section]}', by_epoch=False)
    assert cfg.to_dict() == given  # what was given stays


@pytest.mark.parametrize('section', POLICIES)
def test_the_hook_itself_may_be_named(section):
    given = {section: dict(type=f'CosineAnnealing{POLICIES[section]}', min_lr=0)}
    assert with_policy_hook(Config(given), section, POLICIES[section]).to_dict() == given
    assert with_policy_hook(Config({section: None}), section, POLICIES[section]).to_dict() == {section: None}


@pytest.mark.parametrize('settings, words', [
    ("dict(\n    policy='stp')", "c.py:2: lr_config.policy: no policy is called 'stp'. Did you mean 'step'?"),
    ("dict(\n    policy='onecycle')", "c.py:2: lr_config.policy: no policy is called 'onecycle'. Did you mean 'OneCycle'?"),
    ('dict(\n    gamma=0.1)', 'c.py:1: lr_config: needs a policy, one of: CosineAnnealing, OneCycle, cyclic, step'),
    ("dict(policy='step',\n    type='StepLrUpdaterHook')", 'lr_config.policy and lr_config.type ('),
    ("dict(\n    type='EMAHook')", 'c.py:2: lr_config.type: a EMAHook is none of its policies; it belongs into custom_hooks'),
    ("'step'", "c.py:1: lr_config: expected a dict, not 'step'")])
def test_what_names_no_policy_is_refused(settings, words, tmp_path):
    (tmp_path / 'c.py').write_text(f'lr_config = {settings}')
    with pytest.raises(ConfigError) as caught:
        with_policy_hook(Config.fromfile(tmp_path / 'c.py'), 'lr_config', 'LrUpdaterHook')
    assert words in str(caught.value)


def test_the_best_checkpoint_is_chosen_where_it_is_evaluated():
    best = dict(save_best='auto', rule='less', greater_keys=['x'], less_keys=['y'])
    cfg = canonical(Config(dict(evaluation=dict(interval=1), checkpoint_config=dict(interval=1, **best))))
    assert cfg.to_dict() == dict(evaluation=dict(interval=1, **best), checkpoint_config=dict(interval=1))


def test_a_best_checkpoint_takes_an_evaluation_and_is_said_once():
    with pytest.raises(ConfigError, match=r'checkpoint_config\.save_best: to tell which .* takes an `evaluation`'):
        canonical(Config(dict(checkpoint_config=dict(save_best='auto'))))
    cfg = canonical(Config(dict(checkpoint_config=dict(interval=1, save_best=None), evaluation=None)))
    assert cfg.to_dict() == dict(checkpoint_config=dict(interval=1), evaluation=None)
    with pytest.raises(ConfigError, match=r'checkpoint_config\.save_best and evaluation\.save_best .*twice'):
        canonical(Config(dict(checkpoint_config=dict(save_best='auto'), evaluation=dict(save_best='bbox_mAP'))))
