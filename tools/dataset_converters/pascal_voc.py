"""PASCAL VOC's annotations as COCO files: python tools/dataset_converters/pascal_voc.py data/VOCdevkit -o data/VOCdevkit

Of VOC2007 and VOC2012, and of both together, each list of ImageSets/Main that is there becomes a file, such as
voc0712_trainval.json. A folder that has Annotations/, ImageSets/ and JPEGImages/ itself is converted too, with --classes.
"""
from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import Dict, List, Sequence, Tuple

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # works from a clone

from mmcv_need.errors import DataError, did_you_mean
from mmdet.apis.coco_files import check_box, check_new, coco_content, read_all, write_coco
from mmdet.apis.endings import run
from mmdet.datasets.annotations import Picture
from mmdet.datasets.picture_files import check_size, read_image
from mmdet.datasets.pictures import class_names
from mmdet.datasets.voc_classes import VOC_CLASSES
from mmdet.datasets.voc_reader import object_names, read_ids, read_picture
from mmdet.datasets.yolo_reader import PICTURES

YEARS = {'VOC2007': 'voc07', 'VOC2012': 'voc12'}
SPLITS = ('train', 'val', 'trainval', 'test')

Part = Tuple[str, str]  # folder of a year, relative to the devkit; its list


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="PASCAL VOC's annotations as COCO files")
    parser.add_argument('devkit_path', help='holds VOC2007 or VOC2012, or is such a folder')
    parser.add_argument('-o', '--out-dir', metavar='DIR', help='for the .json files; devkit_path by default')
    parser.add_argument('--out-format', choices=('coco',), default='coco',
                        help="MMDetection's; its other, pkl, is not written: VOCDataset reads the XML itself")
    parser.add_argument('--classes', metavar='FILE',
                        help="text file with the name of a class on each line; VOC's 20 by default")
    parser.add_argument('--skip-bad', action='store_true', help='leave out pictures that cannot be used')
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    args = parse(arguments)
    classes = class_names(args.classes) if args.classes else list(VOC_CLASSES)
    folder = args.out_dir or args.devkit_path
    sets = {os.path.join(folder, f'{name}.json'): parts for name, parts in sets_of(args.devkit_path).items()}
    check_new(list(sets))
    read: Dict[Tuple[str, str], Picture] = {}
    label_of = {name: label for label, name in enumerate(classes)}
    made = {}
    for path, parts in sets.items():
        records = [(year, name) for year, listed in parts for name in read_ids(os.path.join(args.devkit_path, listed))]
        read_once = (partial(recall, read, args.devkit_path, record, label_of) for record in records)
        made[path] = coco_content(read_all(read_once, args.skip_bad), classes)
    for path, content in made.items():
        write_coco(path, content)


def sets_of(devkit: str) -> Dict[str, List[Part]]:
    """The lists that are there, by the name of what they become.

    Raises:
        DataError: there are none.
    """
    found: Dict[str, List[Part]] = {}
    years = [year for year in YEARS if os.path.isdir(os.path.join(devkit, year))]
    own = os.path.isdir(os.path.join(devkit, 'Annotations'))
    for year in years or ([''] if own else []):
        for split in SPLITS:
            listed = os.path.join(year, 'ImageSets', 'Main', f'{split}.txt')
            if os.path.isfile(os.path.join(devkit, listed)):
                found[f'{YEARS[year]}_{split}' if year else split] = [(year, listed)]
    for split in SPLITS[:3]:  # VOC 2012's test set has no annotations to put beside those of 2007
        both = [part for prefix in YEARS.values() for part in found.get(f'{prefix}_{split}', [])]
        if len(both) == 2:
            found[f'voc0712_{split}'] = both
    if not found:
        raise DataError(f"{devkit}: holds neither {' nor '.join(YEARS)} nor Annotations/, with a list such as "
                        f'ImageSets/Main/train.txt in it')
    return found


def recall(read: Dict[Tuple[str, str], Picture], devkit: str, record: Tuple[str, str], label_of: Dict[str, int]) -> Picture:
    """A picture, which several lists may name."""
    if record not in read:
        read[record] = read_sound(devkit, record, label_of)
    return read[record]


def read_sound(devkit: str, record: Tuple[str, str], label_of: Dict[str, int]) -> Picture:
    """A picture of which all is as it should be, its file included.

    Raises:
        DataError: something is not.
    """
    year, name = record
    path = os.path.join(devkit, year, 'Annotations', f'{name}.xml')
    for given in object_names(path):
        if given not in label_of:
            raise DataError(f"{path}: has an object of class '{given}'.{did_you_mean(given, label_of)} Name the classes of "
                            f'these data with --classes FILE')
    file_name = picture_of(devkit, year, name)
    picture = read_picture(path, name, devkit, label_of, lambda root: file_name)
    for i, box in enumerate(picture.bboxes):
        check_box(f'{path}: object[{i}]', box, picture.size)
    image = os.path.join(devkit, file_name)
    check_size(read_image(image), {'width': picture.size[0], 'height': picture.size[1]}, image)
    return picture


def picture_of(devkit: str, year: str, name: str) -> str:
    """The file of a picture, below the folder of all.

    Raises:
        DataError: there is none.
    """
    stem = '/'.join(part for part in (year, 'JPEGImages', name) if part)
    for ending in PICTURES:
        if os.path.isfile(os.path.join(devkit, stem + ending)):
            return stem + ending
    raise DataError(f"{os.path.join(devkit, stem)}: no such picture, with any of the endings {', '.join(PICTURES)}")


if __name__ == '__main__':
    run(main)
