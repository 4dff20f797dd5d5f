"""`workflow`: pairs of mode and epochs, of which one trains."""
from __future__ import annotations

import pytest

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis.workflow import has_val, workflow_of


@pytest.mark.parametrize('given, expected, validates', [
    (None, [('train', 1)], False), ([], [('train', 1)], False), ([('train', 1)], [('train', 1)], False),
    ([['train', 2], ['val', 1]], [('train', 2), ('val', 1)], True),
    ([('val', 1), ('train', 3), ('val', 2)], [('val', 1), ('train', 3), ('val', 2)], True)])
def test_pairs_of_mode_and_epochs_follow_each_other(given, expected, validates):
    cfg = Config(dict(workflow=given))
    assert workflow_of(cfg) == expected and has_val(cfg) == validates


def test_without_a_workflow_a_run_trains():
    assert workflow_of(Config({})) == [('train', 1)] and not has_val(Config({}))


@pytest.mark.parametrize('given', [
    [('val', 1)], [('train', 0)], [('train', -1)], [('train', 1.0)], [('train', True)], [('train', '1')], [('train',)],
    [('train', 1, 1)], [('test', 1), ('train', 1)], ['train'], [('train', 1), None], [5]])
def test_anything_else_is_refused(given):
    with pytest.raises(ConfigError) as error:
        workflow_of(Config(dict(workflow=given)))
    assert str(error.value) == ("workflow: expected pairs of mode and epochs, such as [('train', 1)] or [('train', 2), "
                                f"('val', 1)], not {given!r}")
