"""`custom_imports`: modules of the user's own that a config names, which register backbones, transforms, hooks, ...

This is the one place that imports by name what a file says, and only where the caller has said that it may.
"""
from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
import warnings
from typing import List, Optional, Sequence, Tuple, Union

from mmcv_need.config import Config
from mmcv_need.errors import ConfigError
from mmcv_need.registry import build
from mmdet.apis.dialects.spellings import lookup

FLAG = '--allow-custom-imports'


class CustomImports:
    """`custom_imports`.

    Args:
        imports: modules, by dotted name such as 'plugins.my_backbone' or by file such as 'plugins/my_backbone.py'.
        allow_failed_imports: whether one that cannot be imported is a warning, rather than an error.
    """

    def __init__(self, imports: Union[str, Sequence[str]], allow_failed_imports: bool = False):
        names = [imports] if isinstance(imports, str) else list(imports)
        for name in names:
            if not is_file(name) and not all(part.isidentifier() for part in name.split('.')):
                raise ConfigError(f"imports: '{name}' is no module's name; expected one such as 'plugins.my_backbone', or a "
                                  f"file such as 'plugins/my_backbone.py'")
        self.names = names
        self.allow_failed_imports = allow_failed_imports


def add_import_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(FLAG, action='store_true', help='import the modules that custom_imports names: their code may do all '
                                                        'that you can')


def import_custom_modules(cfg: Config, allowed: bool = True) -> List[str]:
    """Import the modules that a config's `custom_imports` names: their code runs with all rights of this process.

    Each is looked for next to the config file that names it, next to the config itself, in the working directory, and then
    where Python looks. Folders in which one was found go to the front of `sys.path`, where processes that are started later
    find it too. What is imported already stays as it is.

    Args:
        cfg: the config.
        allowed: whether they may be.

    Returns:
        The names of the modules, in order.

    Raises:
        ConfigError: there are some and they may not be; the section is malformed; a module is not found, fails, or has the
            name of another one that is imported already.
    """
    if cfg.get('custom_imports') is None:
        return []
    wanted = build(cfg, CustomImports, key='custom_imports')
    if wanted.names and not allowed:
        raise ConfigError(f"{_place(cfg)}: runs Python code that comes with the config: {', '.join(wanted.names)}. Look at it "
                          f'first: it can do all that you can. If it may run, say {FLAG} '
                          f'(in Python: allow_custom_imports=True)')
    folders = _folders(cfg)
    done = []
    for i, name in enumerate(wanted.names):
        try:
            done.append(_import(name, folders))
        except ConfigError as error:
            message = f'{_place(cfg, i)}: {error}'
            if not wanted.allow_failed_imports:
                raise ConfigError(message) from error
            warnings.warn(f'{message}. The run goes on without it, as allow_failed_imports says', UserWarning, stacklevel=2)
    return done


def is_file(name: str) -> bool:
    """Whether a module is named by its file."""
    return name.endswith('.py')


def _place(cfg: Config, index: Optional[int] = None) -> str:
    """'file:line: key' of the list, or of one of its names."""
    key = 'custom_imports.imports'
    if index is not None and not isinstance(lookup(cfg, key), str):
        key = f'{key}.{index}'
    return f'{cfg.where(key)}: {key}'.lstrip(': ')


def _folders(cfg: Config) -> List[str]:
    """Where to look before Python does, the nearest first."""
    named_in = cfg.where('custom_imports.imports').rpartition(':')[0]  # '' if the command line says it
    files = [path for path in (named_in, cfg.filename) if path]
    return list(dict.fromkeys([*(os.path.dirname(os.path.abspath(path)) for path in files), os.getcwd()]))


def _import(name: str, folders: Sequence[str]) -> str:
    """Import one module; its dotted name.

    Raises:
        ConfigError: why it cannot be, without the place of the config.
    """
    module, folder, file = _found(name, folders)
    if folder and folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        importlib.invalidate_caches()  # the file may be younger than what Python knows of its folder
        made = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f'{module}.'.startswith(f'{error.name}.'):
            raise ConfigError(f"{name}: no such module; looked in {', '.join(folders)}, and where Python looks (sys.path). "
                              f'Name its file, or add its folder to PYTHONPATH') from error
        raise ConfigError(f'{name}: cannot be imported: {type(error).__name__}: {error} ({_line_of(error, file)})') from error
    if file and not os.path.samefile(made.__file__ or os.devnull, file):
        raise ConfigError(f"{name}: another module is called '{module}' and is imported already: {made.__file__}. Give {file} "
                          f'another name')
    return module


def _found(name: str, folders: Sequence[str]) -> Tuple[str, str, str]:
    """Dotted name, folder and file of a module, the latter two '' if Python has to look for it itself."""
    if is_file(name):
        paths = [os.path.normpath(os.path.join(folder, name)) for folder in folders]  # one that is absolute stays so
        file = next(filter(os.path.isfile, paths), '')
        module = os.path.splitext(os.path.basename(name))[0]
        if not file:
            raise ConfigError(f"{name}: no such file; looked in {', '.join(folders)}")
        if not module.isidentifier():
            raise ConfigError(f"{name}: '{module}' can be no module's name; expected letters, digits and _")
        return module, os.path.dirname(file), file
    for folder in folders:
        path = os.path.join(folder, *name.split('.'))
        for file in (os.path.join(path, '__init__.py'), f'{path}.py'):  # in Python's order
            if os.path.isfile(file):
                return name, folder, file
    return name, '', ''


def _line_of(error: BaseException, file: str) -> str:
    """'file:line' where a module failed: the innermost line of its own file, else of any."""
    if isinstance(error, SyntaxError) and error.filename:
        return f'{error.filename}:{error.lineno}'
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if file and os.path.realpath(frame.filename) == os.path.realpath(file)]
    frame = (own or frames)[-1]
    return f'{frame.filename}:{frame.lineno}'
