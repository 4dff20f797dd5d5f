"""Which COCO evaluator is taken."""
from __future__ import annotations

import contextlib
import re

import pytest

from mmcv_need.errors import UserError
from mmdet.core.evaluation import coco_api
from mmdet.core.evaluation.coco_api import find_evaluator


def installed():
    for name in coco_api.MODULES:
        with contextlib.suppress(UserError):
            yield find_evaluator(name).name.split()[0]


INSTALLED = list(installed())


def test_the_fastest_installed_evaluator_is_taken(monkeypatch):
    import_module = coco_api.importlib.import_module
    missing = []

    def some(name):
        if name.split('.')[0] in missing:
            raise ImportError(name)
        return import_module(name)

    monkeypatch.setattr(coco_api.importlib, 'import_module', some)
    for name in INSTALLED:
        assert find_evaluator().name.split()[0] == name
        missing.append(name)
    with pytest.raises(UserError, match='pip install'):
        find_evaluator()


def test_an_evaluator_that_is_not_installed_is_an_error_in_one_line(monkeypatch):
    with pytest.raises(UserError) as error:
        find_evaluator('no_such_package')
    assert 'no_such_package' in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize('name', INSTALLED)
def test_the_name_has_the_version(name, monkeypatch):
    assert re.fullmatch(rf'{name} \d+\.\d+.*', find_evaluator(name).name)

    def version(_):
        raise coco_api.metadata.PackageNotFoundError

    monkeypatch.setattr(coco_api.metadata, 'version', version)
    assert find_evaluator(name).name == name
