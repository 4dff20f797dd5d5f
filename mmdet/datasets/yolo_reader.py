"""Read the annotations of YOLO: a text file for each picture, a line for each object, in shares of the picture's sides.

Known layouts: Ultralytics' data.yaml, Darknet's .data file, and a folder of pictures with classes.txt or obj.names.
"""
from __future__ import annotations

import math
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from mmcv_need.config.json_yaml import parse_yaml
from mmcv_need.config.places import LineError
from mmcv_need.errors import DataError
from mmdet.datasets.annotations import WANTED, Picture
from mmdet.datasets.picture_check import SUFFIXES
from mmdet.datasets.picture_files import read_size

NAME_FILES = ('classes.txt', 'obj.names')  # of labelImg, and of Darknet
LISTS = ('classes.txt', 'train.txt', 'val.txt', 'valid.txt', 'test.txt')  # that may lie among label files
SPLITS = ('train', 'val', 'test')
PICTURES = tuple(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)


class YoloData(NamedTuple):
    """Fields:
        root: folder that names of pictures are relative to.
        classes: names, in the order of their numbers.
        splits: paths of the pictures of each split, sorted.
    """
    root: str
    classes: List[str]
    splits: Dict[str, List[str]]


def read_data(source: str) -> YoloData:
    """What a data.yaml, a .data file or a folder names.

    Raises:
        DataError: it names no classes or pictures, or cannot be read.
    """
    if os.path.isdir(source):
        found = _of_folder(source)
    elif source.endswith(('.yaml', '.yml')):
        found = _of_yaml(source)
    elif source.endswith('.data'):
        found = _of_darknet(source)
    else:
        raise DataError(f"{source}: {'not known' if os.path.exists(source) else 'no such file or folder'}; expected "
                        f"Ultralytics' data.yaml, Darknet's .data file, or a folder of pictures with {' or '.join(NAME_FILES)}")
    for split, paths in found.splits.items():
        if not paths:
            raise DataError(f'{source}: {split}: names no picture (.jpg, .png, ...)')
    return found


def check_labelled(source: str, data: YoloData) -> None:
    """Some picture has a label file; that none has any is hardly meant so.

    Raises:
        DataError: none has.
    """
    pictures = [path for paths in data.splits.values() for path in paths]
    if not any(map(label_path, pictures)):
        raise DataError(f'{source}: no picture has a label file; that of {pictures[0]} would be '
                        f"{' or '.join(_label_places(pictures[0]))}")


def read_picture(path: str, root: str, number: int, num_classes: int) -> Picture:
    """A picture and its boxes; without a label file it has none.

    Args:
        path: of the picture.
        root: folder that its name shall be relative to.
        number: its id.
        num_classes: C.

    Raises:
        DataError: the picture or a line of its labels cannot be used.
    """
    name = os.path.relpath(path, root)
    if name.split(os.sep)[0] == os.pardir:
        raise DataError(f'{path}: is not below {root}, so that no name in the annotations could lead there')
    size = read_size(path)
    labels, boxes = [], []
    label_file = label_path(path)
    if label_file is not None:
        for line, text in enumerate(_lines(label_file), 1):
            if text.strip():
                label, box = _object(f'{label_file}:{line}', text.split(), num_classes, size)
                labels.append(label)
                boxes.append(box)
    return Picture(name.replace(os.sep, '/'), number, size, boxes, labels, [WANTED] * len(boxes))


def label_path(path: str) -> Optional[str]:
    """The label file of a picture, None if it has none.

    It is in the folder `labels` beside the last `images` of its path, else beside it, else in a folder `labels` there.
    """
    return next(filter(os.path.isfile, _label_places(path)), None)


def _label_places(path: str) -> List[str]:
    stem = os.path.splitext(os.path.join('.', path))[0]
    before, images, after = stem.rpartition(f'{os.sep}images{os.sep}')
    candidates = [f'{before}{os.sep}labels{os.sep}{after}.txt'] if images else []
    folder, name = os.path.split(stem)
    candidates += [f'{stem}.txt', os.path.join(folder, 'labels', f'{name}.txt')]
    return [os.path.normpath(candidate) for candidate in candidates]


def labels_without_pictures(data: YoloData) -> List[str]:
    """Label files, in folders where some are used, that belong to no picture."""
    used = {path for paths in data.splits.values() for path in map(label_path, paths) if path is not None}
    there = [os.path.join(folder, name) for folder in sorted({os.path.dirname(path) for path in used})
             for name in sorted(os.listdir(folder or '.')) if name.endswith('.txt') and name not in LISTS]
    return [path for path in there if path not in used]


def pictures_below(folder: str) -> Tuple[List[str], List[str]]:
    """Paths of the pictures in a folder and those in it, by their names, sorted; and of all other files but hidden ones."""
    pictures, others = [], []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in names:
            if not name.startswith('.'):
                (pictures if name.lower().endswith(PICTURES) else others).append(os.path.join(place, name))
    return sorted(pictures), sorted(others)


def _object(where: str, words: Sequence[str], num_classes: int, size: Tuple[int, int]) -> Tuple[int, List[float]]:
    """Label, and x1, y1, x2, y2 in pixels, of a line: class, centre and sides; or class and three corners or more."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise DataError(f"{where}: {' '.join(words)!r:.60} is not all numbers")
    if len(numbers) != 5 and (len(numbers) < 7 or len(numbers) % 2 == 0):
        raise DataError(f'{where}: has {len(numbers)} numbers; expected 5 (class, centre x, y, width, height), or a class and '
                        f'three corners x, y or more. A sixth number is the score of a detection, which is no annotation')
    label, values = numbers[0], numbers[1:]
    if label % 1 or not 0 <= label < num_classes:
        raise DataError(f'{where}: class {words[0]}: expected a whole number from 0 to {num_classes - 1}')
    if not all(0 <= value <= 1 for value in values):
        raise DataError(f"{where}: {' '.join(words[1:])!r:.60}: expected shares of the picture's sides, from 0 to 1 each")
    if len(values) == 4:
        x, y, width, height = values
        shares = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    else:
        shares = [min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])]
    if shares[2] <= shares[0] or shares[3] <= shares[1]:
        raise DataError(f"{where}: {' '.join(words)!r:.60}: the box has no area")
    return int(label), [share * size[i % 2] for i, share in enumerate(shares)]


def _of_yaml(path: str) -> YoloData:
    try:
        content = parse_yaml('\n'.join(_lines(path)), lambda *_: None)
    except LineError as error:
        raise DataError(f'{path}:{error.line}: {error}') from None
    if not isinstance(content, dict):
        raise DataError(f'{path}: expected keys train, val and names')
    folder = os.path.dirname(path) or '.'
    root = os.path.normpath(os.path.join(folder, _text(path, content, 'path', '')))
    root = root if os.path.isdir(root) else folder  # Ultralytics' own files name a folder of the machine that they are from
    splits = {}
    for split in SPLITS:
        places = content.get(split)
        if places is not None:
            paths: List[str] = []
            for place in places if isinstance(places, list) else [places]:
                paths += _pictures(path, root, _text(path, {split: place}, split))
            splits[split] = sorted(dict.fromkeys(paths))
    if not splits:
        raise DataError(f"{path}: has none of {', '.join(SPLITS)}, which say where the pictures are")
    names = _names(path, content.get('names'))
    if content.get('nc', len(names)) != len(names):
        raise DataError(f"{path}: nc: says {content['nc']!r:.60} classes, and names has {len(names)}")
    return YoloData(root, names, splits)


def _names(path: str, names: Any) -> List[str]:
    """Of classes: a list, or a name for each number from 0 on."""
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise DataError(f'{path}: names: expected a name for each class from 0 to {len(names) - 1}')
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(f'{path}: names: expected the names of the classes, a list or one a number')
    return _unique(path, [str(name) for name in names])


def _of_darknet(path: str) -> YoloData:
    entries = dict((word.strip() for word in line.split('=', 1)) for line in _lines(path) if '=' in line)
    root = os.path.dirname(path) or '.'
    if 'names' not in entries:
        raise DataError(f"{path}: has no 'names = FILE', the file with the names of the classes")
    splits = {split: sorted(_pictures(path, root, entries[key])) for split, key in
              (('train', 'train'), ('val', 'valid'), ('test', 'test')) if key in entries}
    if not splits:
        raise DataError(f"{path}: has neither 'train = FILE' nor 'valid = FILE', the lists of pictures")
    names = _found(path, root, entries['names'])
    return YoloData(root, _unique(names, [line.strip() for line in _lines(names) if line.strip()]), splits)


def _of_folder(folder: str) -> YoloData:
    places = [os.path.join(folder, *inside, name) for inside in ((), ('labels',)) for name in NAME_FILES]
    names = next((place for place in places if os.path.isfile(place)), None)
    if names is None:
        raise DataError(f"{folder}: has no {' or '.join(NAME_FILES)} with the names of the classes, one a line")
    pictures = pictures_below(folder)[0]
    split = os.path.basename(os.path.abspath(folder))
    return YoloData(folder, _unique(names, [line.strip() for line in _lines(names) if line.strip()]), {split: pictures})


def _pictures(source: str, root: str, place: str) -> List[str]:
    """Paths of the pictures of a split: a folder, or a text file with one a line, relative to the file or to the root."""
    path = _found(source, root, place)
    if os.path.isdir(path):
        return pictures_below(path)[0]
    return [_found(f'{path}:{line}', root, text.strip(), os.path.dirname(path)) for line, text in enumerate(_lines(path), 1)
            if text.strip()]


def _found(source: str, root: str, place: str, folder: str = '') -> str:
    """An existing path.

    Raises:
        DataError: there is none.
    """
    bases, places = dict.fromkeys([root, folder or root]), [place]
    if place.startswith('../'):
        places.append(place[3:])  # Roboflow's files begin one folder too high
    candidates = [os.path.normpath(os.path.join(base, name)) for name in places for base in bases]
    for candidate in candidates:
        if os.path.exists(candidate):
            return candidate
    raise DataError(f"{source}: names {place!r:.200}, and there is no {' or '.join(candidates)}")


def _text(path: str, content: Dict[Any, Any], key: str, default: Optional[str] = None) -> str:
    value = content.get(key, default)
    if not isinstance(value, str):
        raise DataError(f'{path}: {key}: expected text, not {value!r:.60}')
    return value


def _unique(path: str, names: List[str]) -> List[str]:
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None or not names:
        raise DataError(f"{path}: {'no class is named' if twice is None else f'class {twice!r} is named twice'}")
    return names


def _lines(path: str) -> List[str]:
    try:
        with open(path, encoding='utf-8-sig') as file:  # some editors of Windows mark it so
            return file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or 'not a text file'})") from error
