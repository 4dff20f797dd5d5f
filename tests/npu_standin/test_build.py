"""The device is built once, and what hinders it is said."""
from __future__ import annotations

import os
import stat

import pytest


def test_the_library_is_built_once_outside_the_repository_for_this_user_only(standin, builder):
    library = builder.library()
    before = library.stat().st_mtime_ns
    assert builder.library() == library and library.stat().st_mtime_ns == before
    assert builder.SOURCE.parents[2] not in library.parents
    assert stat.S_IMODE(builder.cache().stat().st_mode) & 0o022 == 0


def test_another_torch_gets_a_library_of_its_own(standin, builder, monkeypatch):
    built = []
    monkeypatch.setattr(builder, 'build', lambda sources, target: built.append(target))
    monkeypatch.setattr(builder.torch, '__version__', '2.99.0')
    assert builder.library() != builder.cache() and len(built) == 1 and not built[0].exists()


def test_what_the_compiler_says_is_passed_on(standin, builder, tmp_path):
    (tmp_path / 'broken.cpp').write_text('int nonsense = ;')
    with pytest.raises(RuntimeError, match=r'does not build with torch(.|\n)*broken\.cpp:1'):
        builder.build([tmp_path / 'broken.cpp'], tmp_path / 'broken.so')
    assert os.listdir(tmp_path) == ['broken.cpp']


def test_a_machine_without_a_compiler_is_told_what_to_install(builder, monkeypatch, tmp_path):
    monkeypatch.setattr(builder, 'TORCH_VERSION', (2, 6))
    monkeypatch.setattr(builder, 'compiler', lambda: None)
    assert builder.hindrance() == 'no C++ compiler found: install g++ or clang++, or name one by CXX'
    with pytest.raises(RuntimeError, match='no C\\+\\+ compiler'):
        builder.build([], tmp_path / 'x.so')


def test_an_old_torch_is_named_as_what_hinders(builder, monkeypatch):
    monkeypatch.setattr(builder, 'TORCH_VERSION', (2, 5))
    assert 'needs the headers of torch 2.6 or newer' in builder.hindrance()
