"""custom_imports: modules that a config names are imported where that is allowed, and in no other case."""
from __future__ import annotations

import multiprocessing
import os
import sys

import pytest
from torch.utils.data import DataLoader

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmdet.apis.custom_imports import import_custom_modules

MODULE = '''import os
os.environ['PLUGIN_RAN'] = __name__


class Squares:
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index ** 2
'''


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """What a test imports is gone after it."""
    known = set(sys.modules)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    monkeypatch.delenv('PLUGIN_RAN', raising=False)
    yield
    for name in set(sys.modules) - known:
        del sys.modules[name]
    os.environ.pop('PLUGIN_RAN', None)


@pytest.fixture
def config(tmp_path):
    """config(custom_imports as written, {file: text}, options) -> the Config in tmp_path/configs."""
    def make(text, files=(), options=None):
        (tmp_path / 'configs').mkdir(exist_ok=True)
        for name, content in dict(files).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        path = tmp_path / 'configs/my.py'
        path.write_text(f'\ncustom_imports = {text}\n')
        cfg = Config.fromfile(path)
        cfg.merge_from_dict(options or {})
        return cfg
    return make


def test_without_leave_nothing_is_imported_and_one_line_says_what_would_be(config, tmp_path):
    cfg = config("dict(imports=['plugin_a', 'plugin_b'])", {'configs/plugin_a.py': MODULE})
    with pytest.raises(ConfigError) as error:
        import_custom_modules(cfg, allowed=False)
    assert 'PLUGIN_RAN' not in os.environ and 'plugin_a' not in sys.modules
    assert str(error.value) == (
        f"{tmp_path}/configs/my.py:2: custom_imports.imports: runs Python code that comes with the config: plugin_a, plugin_b. "
        f'Look at it first: it can do all that you can. If it may run, say --allow-custom-imports (in Python: '
        f'allow_custom_imports=True)')


@pytest.mark.parametrize('text', ['None', "dict(imports=[])"])
def test_a_config_that_names_none_needs_no_leave(config, text):
    assert import_custom_modules(config(text), allowed=False) == []


@pytest.mark.parametrize('text, file, name', [
    ("dict(imports='plugin_a')", 'configs/plugin_a.py', 'plugin_a'),
    ("dict(imports=['plugin_a'])", 'configs/plugin_a.py', 'plugin_a'),
    ("dict(imports=['pkg.sub'], allow_failed_imports=False)", 'configs/pkg/sub.py', 'pkg.sub'),
    ("dict(imports=['pkg.sub'])", 'configs/pkg/sub/__init__.py', 'pkg.sub'),
    ("dict(imports=['plugin_a'])", 'plugin_a.py', 'plugin_a'),
    ("dict(imports=['plugins/plugin_a.py'])", 'configs/plugins/plugin_a.py', 'plugin_a'),
    ("dict(imports=['plugins/plugin_a.py'])", 'plugins/plugin_a.py', 'plugin_a'),
    ("dict(imports=['../plugin_a.py'])", 'plugin_a.py', 'plugin_a'),
])
def test_a_module_is_found_next_to_the_config_and_in_the_working_directory(config, monkeypatch, tmp_path, text, file, name):
    cfg = config(text, {file: MODULE})
    monkeypatch.chdir(tmp_path)
    assert import_custom_modules(cfg) == [name]
    assert os.environ['PLUGIN_RAN'] == name and sys.modules[name].__file__ == str(tmp_path / file)


def test_a_module_next_to_the_base_that_names_it_is_found(config, tmp_path):
    config("dict(imports=['plugin_a'])", {'configs/plugin_a.py': MODULE})
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/child.py').write_text("_base_ = ['../configs/my.py']")
    assert import_custom_modules(Config.fromfile(tmp_path / 'other/child.py')) == ['plugin_a']


def test_what_lies_next_to_the_config_comes_before_the_working_directory_and_both_before_what_is_installed(
        config, monkeypatch, tmp_path):
    (tmp_path / 'installed').mkdir()
    sys.path.insert(0, str(tmp_path / 'installed'))
    files = {'installed/plugin_a.py': MODULE, 'plugin_a.py': MODULE, 'configs/plugin_a.py': MODULE,
             'installed/plugin_b.py': MODULE, 'plugin_b.py': MODULE, 'installed/plugin_c.py': MODULE}
    cfg = config("dict(imports=['plugin_a', 'plugin_b', 'plugin_c'])", files)
    monkeypatch.chdir(tmp_path)
    import_custom_modules(cfg)
    assert [sys.modules[f'plugin_{letter}'].__file__ for letter in 'abc'] == [
        str(tmp_path / folder) for folder in ('configs/plugin_a.py', 'plugin_b.py', 'installed/plugin_c.py')]


def test_a_module_is_run_once(config):
    cfg = config("dict(imports=['plugin_a'])", {'configs/plugin_a.py': MODULE})
    import_custom_modules(cfg)
    del os.environ['PLUGIN_RAN']
    assert import_custom_modules(cfg) == ['plugin_a'] and 'PLUGIN_RAN' not in os.environ


@pytest.mark.parametrize('text, files, words', [
    ("dict(imports=['nowhere'])", {}, ('custom_imports.imports.0: nowhere: no such module; looked in', 'PYTHONPATH')),
    ("dict(imports='pkg.nowhere')", {'configs/pkg/__init__.py': ''}, ('custom_imports.imports: pkg.nowhere: no such module',)),
    ("dict(imports=['a.py'])", {}, ('a.py: no such file; looked in',)),
    ("dict(imports=['a', 'b c'])", {}, ("'b c' is no module's name",)),
    ("dict(imports=['my-plugin.py'])", {'configs/my-plugin.py': ''}, ("'my-plugin' can be no module's name",)),
    ("dict(imports=['bad'])", {'configs/bad.py': '\n\nimport not_here_at_all'},
     ("bad: cannot be imported: ModuleNotFoundError: No module named 'not_here_at_all'", 'configs/bad.py:3)')),
    ("dict(imports=['bad'])", {'configs/bad.py': 'x = 1\ny = x.real.size\n'}, ('AttributeError', 'configs/bad.py:2)')),
    ("dict(imports=['bad'])", {'configs/bad.py': 'x = 1\ndef f(:\n'}, ('SyntaxError', 'configs/bad.py:2)')),
    ("dict(imports=['bad'])", {'configs/bad.py': 'import sys\nsys.exit(3)'}, ('SystemExit: 3', 'configs/bad.py:2)')),
    ("dict(imports=['bad'])", {'configs/bad.py': 'from mmdet.models import BACKBONES\n\n@BACKBONES.register_module()\n'
                                                 'class SSDVGG:\n    pass\n'}, ("'SSDVGG' is already registered", 'bad.py:3)')),
    ("dict(import_=['bad'])", {}, ("has no such argument. Did you mean 'imports'?",)),
    ("dict(imports=3)", {}, ('expected a string or a list of strings, not 3',)),
])
def test_what_cannot_be_imported_is_one_line_with_the_places_of_config_and_module(config, text, files, words):
    with pytest.raises(ConfigError) as error:
        import_custom_modules(config(text, files))
    message = str(error.value)
    assert message.count('\n') == 0 and 'configs/my.py:2: custom_imports' in message
    assert not [word for word in words if word not in message], message


def test_a_module_of_the_same_name_that_is_imported_already_is_an_error(config, tmp_path):
    (tmp_path / 'elsewhere').mkdir()
    import_custom_modules(config("dict(imports=['elsewhere/plugin_a.py'])", {'configs/elsewhere/plugin_a.py': MODULE}))
    with pytest.raises(ConfigError, match=r"another module is called 'plugin_a' and is imported already: .*elsewhere"):
        import_custom_modules(config("dict(imports=['plugin_a'])", {'configs/plugin_a.py': MODULE}))


def test_a_failed_import_that_may_fail_is_a_warning_and_the_others_are_imported(config):
    cfg = config("dict(imports=['nowhere', 'plugin_a'], allow_failed_imports=True)", {'configs/plugin_a.py': MODULE})
    with pytest.warns(UserWarning, match='nowhere: no such module.*goes on without it'):
        assert import_custom_modules(cfg) == ['plugin_a']


def test_the_command_line_can_name_modules_and_its_error_says_so(config):
    cfg = config("dict(imports=[])", options={'custom_imports.imports': ['nowhere']})
    with pytest.raises(ConfigError, match=r'^--cfg-options: custom_imports.imports.*nowhere'):
        import_custom_modules(cfg)


def test_processes_that_are_started_later_find_the_modules(config):
    import_custom_modules(config("dict(imports=['plugin_squares'])", {'configs/plugin_squares.py': MODULE}))
    squares = sys.modules['plugin_squares'].Squares()
    loader = DataLoader(squares, num_workers=1, multiprocessing_context=multiprocessing.get_context('spawn'))
    assert [int(value) for value in loader] == [0, 1, 4, 9]
