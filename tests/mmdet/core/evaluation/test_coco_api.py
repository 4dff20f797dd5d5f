"""Which COCO evaluator is taken."""
from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mmcv_need.errors import UserError
from mmdet.core.evaluation import coco_api
from mmdet.core.evaluation.coco_api import find_evaluator

ROOT = Path(__file__).resolve().parents[4]


def required(file):
    """Names of the packages that a requirements file asks for on this Python."""
    lines = [line.partition('#')[0].strip() for line in (ROOT / file).read_text(encoding='utf-8').splitlines()]
    wanted = [Requirement(line) for line in lines if line and not line.startswith('-')]
    return {each.name.replace('-', '_') for each in wanted if each.marker is None or each.marker.evaluate()}


def test_every_evaluator_that_the_requirements_name_is_here_and_works(evaluators):
    """Or tests with each evaluator would be tests with some."""
    files = ['requirements.txt', 'requirements-test.txt'] if sys.version_info >= (3, 9) else ['1.8_requirements.txt']
    names = set().union(*map(required, files)) & set(coco_api.MODULES)
    assert names == {'pycocotools'} | ({'faster_coco_eval'} if len(files) > 1 else set()) | (
        {'hotcoco'} if sys.version_info >= (3, 10) else set())
    assert names <= set(evaluators)
    assert {find_evaluator(name).name.split()[0] for name in names} == names


def test_the_fastest_installed_evaluator_is_taken(monkeypatch, evaluators):
    import_module = coco_api.importlib.import_module
    missing = []

    def some(name):
        if name.split('.')[0] in missing:
            raise ImportError(name)
        return import_module(name)

    monkeypatch.setattr(coco_api.importlib, 'import_module', some)
    for name in evaluators:
        assert find_evaluator().name.split()[0] == name
        missing.append(name)
    with pytest.raises(UserError, match='pip install'):
        find_evaluator()


def test_an_evaluator_that_is_not_installed_is_an_error_in_one_line(monkeypatch):
    with pytest.raises(UserError) as error:
        find_evaluator('no_such_package')
    assert 'no_such_package' in str(error.value) and len(str(error.value).splitlines()) == 1


def test_the_name_has_the_version(evaluator, monkeypatch):
    name = evaluator.name.split()[0]
    assert re.fullmatch(rf'{name} \d+\.\d+.*', find_evaluator(name).name)

    def version(_):
        raise coco_api.metadata.PackageNotFoundError

    monkeypatch.setattr(coco_api.metadata, 'version', version)
    assert find_evaluator(name).name == name
