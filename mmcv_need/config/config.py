"""Config: one experiment as data, with inheritance (`_base_`), overrides, and the place where each value was written.

    cfg = Config.fromfile('configs/ssd300_coco.py')
    cfg.model.bbox_head.num_classes            # 80
    cfg.where('model.bbox_head.num_classes')   # 'configs/_base_/models/ssd300.py:14'
    cfg.merge_from_dict({'data.train.pipeline.0.to_float32': False})
"""
from __future__ import annotations

import os
from typing import Any, Dict, FrozenSet, Iterator, List

from mmcv_need.config.config_dict import ConfigDict, plain, settable, wrapped
from mmcv_need.config.files import Family
from mmcv_need.config.json_yaml import dump_json, dump_yaml
from mmcv_need.config.merge import move, rearrange, set_option, without_marks
from mmcv_need.config.places import Place, Trace, completed, traced
from mmcv_need.config.text import pretty_text
from mmcv_need.errors import ConfigError

RESERVED = ('filename', 'text', 'pretty_text', '_base_')


class Config:
    """A config, by attribute or item: `cfg.model.type`, `cfg['model']['type']`.

    Args:
        cfg_dict: the data.
        filename: the file that it belongs to.

    Attributes:
        filename: the file as it was given.
        text: the text of all files read, bases first.
        used_names: top-level names that other values of the files refer to.
        outdated_names: those of them that were given another value later, of which nothing was made.
        sources: the files read, bases first.
    """

    _OWN = ('filename', 'text', 'used_names', 'outdated_names', 'sources', '_data', '_trace')

    def __init__(self, cfg_dict: Dict[str, Any], filename: str = '') -> None:
        if not isinstance(cfg_dict, dict):
            raise ConfigError(f'a config is made of a dict, not of a {type(cfg_dict).__name__}.')
        try:
            trace = traced(cfg_dict, Place(''))
            data = without_marks(cfg_dict, trace)
        except RecursionError:
            raise ConfigError('the config is nested too deeply, or within itself.') from None
        self._fill(data, trace, str(filename), '', frozenset(), [])

    def _fill(self, data: Dict[str, Any], trace: Trace, filename: str, text: str, used: FrozenSet[str],
              sources: List[str]) -> None:
        for key in data:
            if key in RESERVED:
                place = f'{trace.children[key].place}: '.lstrip(': ')
                raise ConfigError(f"{place}the top-level key '{key}' is reserved. Choose another name.")
        own = {'filename': filename, 'text': text, 'used_names': used, 'outdated_names': frozenset(), 'sources': sources,
               '_data': ConfigDict(data), '_trace': trace}
        self.__dict__.update(own)

    @classmethod
    def fromfile(cls, path: Any) -> Config:
        """Read a .py, .json, .yaml or .yml file and the `_base_` files below it. No file is run.

        Raises:
            ConfigError: for whatever is wrong with the files, in one line with file and line number.
        """
        family = Family()
        data, trace = family.load(os.fspath(path), (), '')
        cfg = cls.__new__(cls)
        cfg._fill(data, trace, os.fspath(path), '\n'.join(family.texts), frozenset(family.used - family.outdated),
                  family.sources)
        cfg.__dict__['outdated_names'] = frozenset(family.outdated)
        return cfg

    def merge_from_dict(self, options: Dict[str, Any], source: str = '--cfg-options') -> None:
        """Set values by dotted names, `{'data.train.pipeline.0.type': 'X'}`; a dict merges, anything else replaces.

        What is None counts as absent: `optimizer_config.grad_clip.max_norm` can be set where `grad_clip=None`. A name at the
        top level says something itself from then on: what the files made of its value before stays as it is.

        Args:
            options: names, with list indices, to values.
            source: what `where` answers for these values.

        Raises:
            ConfigError: naming the option that does not fit.
        """
        for name, value in options.items():
            if name.split('.')[0] in RESERVED:
                raise ConfigError(f"{source}: {name}: the top-level key '{name.split('.')[0]}' is reserved.")
            data, trace = self._data, completed(self._trace, self._data)
            set_option(data, trace, name, wrapped(value), Place(source))
            self.__dict__.update(_trace=trace, used_names=self.used_names - {name},
                                 outdated_names=self.outdated_names | (self.used_names & {name}))

    def move(self, old: str, new: str) -> None:
        """Move the value of the dotted key `old`, which must exist, to `new`; `where(new)` is where it was written.

        Dicts that are missing on the way to `new` are made; a value already under `new` is replaced.

        Raises:
            ConfigError: when `new` would be within something that is no dict.
        """
        trace = completed(self._trace, self._data)
        move(self._data, trace, old, new)
        self.__dict__['_trace'] = trace

    def rearrange(self, key: str, value: Any) -> None:
        """Put a value under a dotted key that was made of dicts which stand below it; each of them keeps its place.

        Raises:
            ConfigError: when the key is within something that is no dict or list.
        """
        trace = completed(self._trace, self._data)
        rearrange(self._data, trace, key, value)
        self.__dict__['_trace'] = trace

    def where(self, key: str) -> str:
        """The place of a dotted key such as 'data.train.pipeline.0.type', as 'configs/x.py:12'.

        For a key that is not there, the place of what it would be in; '' when nothing is known.
        """
        trace, place = self._trace, ''
        for part in str(key).split('.'):
            children = trace.children
            slot = int(part) if part not in children and part.isdecimal() else part
            if slot not in children:
                break
            trace = children[slot]
            place = str(trace.place) or place
        return place

    def get(self, key: str, default: Any = None) -> Any:
        return self._data.get(key, default)

    def keys(self) -> Any:
        return self._data.keys()

    def items(self) -> Any:
        return self._data.items()

    def values(self) -> Any:
        return self._data.values()

    def pop(self, key: str, *default: Any) -> Any:
        self._trace.children.pop(key, None)
        return self._data.pop(key, *default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self._data:
            self[key] = default
        return self._data[key]

    def to_dict(self) -> Dict[str, Any]:
        """A deep copy in plain dicts, lists and tuples."""
        return plain(self._data)

    @property
    def pretty_text(self) -> str:
        """The config as Python text, laid out as MMDetection 2.x dumps are; reading it gives an equal config."""
        return pretty_text(self.to_dict())

    def dump(self, path: Any = None) -> str:
        """The config as text; with a path, also written there, in the language of its suffix.

        Raises:
            ConfigError: for a value that the language cannot hold, or a file that cannot be written.
        """
        suffix = os.path.splitext(os.fspath(path))[1].lower() if path is not None else '.py'
        writers = {'.py': pretty_text, '.json': dump_json, '.yaml': dump_yaml, '.yml': dump_yaml}
        if suffix not in writers:
            raise ConfigError(f"{path}: a config ends in .py, .json, .yaml or .yml, not in '{suffix}'.")
        text = writers[suffix](self.to_dict())
        if path is not None:
            try:
                with open(path, 'w', encoding='utf-8') as file:
                    file.write(text)
            except OSError as error:
                raise ConfigError(f'{path}: cannot be written: {error.strerror or error}.') from None
        return text

    def __getattr__(self, name: str) -> Any:
        if name in Config._OWN or name.startswith('__'):  # asked by copy and pickle before the object is filled
            raise AttributeError(name)
        return getattr(self._data, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in Config._OWN:
            settable(self, name)
            self[name] = value
        else:
            raise AttributeError(f"'{name}' of a Config is set when it is read.")

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key in RESERVED:
            raise ConfigError(f"the top-level key '{key}' is reserved. Choose another name.")
        self._trace.children.pop(key, None)
        self._data[key] = value

    def __contains__(self, key: object) -> bool:
        return key in self._data

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __repr__(self) -> str:
        return f'Config (path: {self.filename}): {self.to_dict()!r}'
