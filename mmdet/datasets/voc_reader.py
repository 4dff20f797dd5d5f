"""Read PASCAL VOC's lists of pictures and its XML files."""
from __future__ import annotations

import math
import os
from typing import Callable, List, Mapping, Tuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from mmcv_need.errors import DataError
from mmdet.datasets.annotations import IGNORED, WANTED, Picture
from mmdet.datasets.defects import leads_out
from mmdet.datasets.picture_files import read_image

WHERE_VOC_GOES = ('Download PASCAL VOC from http://host.robots.ox.ac.uk/pascal/VOC/ and unpack it so that data/VOCdevkit/ '
                  'holds VOC2007/ and VOC2012/ with Annotations/, ImageSets/ and JPEGImages/ in each (data/README.md), or say '
                  'where VOCdevkit is: --data-root DIR')
MAX_BYTES = 1 << 21  # of an XML file: a million elements in one, and memory grows with them
LARGEST = 1e9  # of its numbers
CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def read_ids(path: str, where_it_goes: str = WHERE_VOC_GOES) -> List[str]:
    """Names of pictures, one a line, from a file of ImageSets/Main.

    Args:
        path: the file.
        where_it_goes: what to do if it is missing.

    Raises:
        DataError: there is none.
    """
    try:
        with open(path, encoding='utf-8-sig') as file:  # some editors of Windows mark it so
            ids = [line.strip() for line in file if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: no such list of pictures, or no text ({getattr(error, 'strerror', None) or error}). "
                        f'{where_it_goes}') from error
    if not ids:
        raise DataError(f'{path}: is empty; expected the name of a picture on each line, such as 000005')
    for line, name in enumerate(ids, 1):
        if leads_out(name):
            raise DataError(f'{path}: name {line}, {name!r:.60}, leads out of the folder of pictures; expected one like 000005')
    return ids


def read_picture(path: str, number: str, img_prefix: str, label_of: Mapping[str, int], name_of: Callable[[Element], str],
                 min_size: float = 0, where_it_goes: str = WHERE_VOC_GOES) -> Picture:
    """The wanted boxes of a picture. As in MMDetection, 1 is taken from VOC's coordinates, which start at 1.

    Args:
        path: the XML.
        number: the picture's name in the list.
        img_prefix: folder of the pictures.
        label_of: labels of the wanted classes; others are left out.
        name_of: of the XML's root, the picture's file in `img_prefix`.
        min_size: boxes with a side below this are ignored, as difficult ones are.
        where_it_goes: what to do if it is missing.

    Raises:
        DataError: the XML is damaged, or something is missing in it.
    """
    root = _read_xml(path, where_it_goes)
    file_name = name_of(root)
    bboxes, labels, kinds = [], [], []
    for i, item in enumerate(root.findall('object')):
        name = (item.findtext('name') or '').strip()
        if not name:
            raise DataError(f'{path}: object[{i}] has no name')
        if name not in label_of:
            continue
        x1, y1, x2, y2 = (_whole(path, f'object[{i}]', item, f'bndbox/{corner}') for corner in CORNERS)
        difficult = item.find('difficult') is not None and _whole(path, f'object[{i}]', item, 'difficult')
        bboxes.append((x1 - 1, y1 - 1, x2 - 1, y2 - 1))
        labels.append(label_of[name])
        small = min_size > 0 and min(x2 - x1, y2 - y1) < min_size
        kinds.append(IGNORED if difficult or small else WANTED)
    return Picture(file_name, number, _size(path, root, os.path.join(img_prefix, file_name)), bboxes, labels, kinds)


def object_names(path: str) -> List[str]:
    """The class of each object of an XML file that names one."""
    return [name for name in ((item.findtext('name') or '').strip() for item in _read_xml(path).findall('object')) if name]


def _read_xml(path: str, where_it_goes: str = WHERE_VOC_GOES) -> Element:
    try:
        with open(path, 'rb') as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f'{path}: cannot be read ({error.strerror}); the list of pictures names it. '
                        f'{where_it_goes}') from error
    if len(raw) > MAX_BYTES:
        raise DataError(f'{path}: larger than {MAX_BYTES} bytes, which no annotation of one picture is')
    if b'<!ENTITY' in raw.replace(b'\0', b''):  # in UTF-16, too
        raise DataError(f'{path}: defines entities, which an annotation does not need and which may grow without end')
    try:
        return ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter two: odd encodings
        raise DataError(f'{path}: not valid XML ({error})') from error


def _whole(path: str, owner: str, node: Element, tag: str) -> int:
    """The number of a tag, without its fraction."""
    text = node.findtext(tag)
    if text is None:
        raise DataError(f"{path}: {owner} has no '{tag}'")
    try:
        value = float(text)
        if abs(value) <= LARGEST:
            return int(value)
    except ValueError:
        value = math.nan
    raise DataError(f'{path}: {tag} of {owner} is {text.strip()!r:.60}; expected a number'
                    + (f' of at most {LARGEST:g}' if math.isfinite(value) else ''))


def _size(path: str, root: Element, picture: str) -> Tuple[int, int]:
    """(width, height) as the XML says, or as the picture is where the XML does not say, or says 0."""
    sides = [0 if root.find(tag) is None else _whole(path, 'annotation', root, tag) for tag in ('size/width', 'size/height')]
    if min(sides) <= 0:
        height, width = read_image(picture).shape[:2]
        return width, height
    return sides[0], sides[1]
