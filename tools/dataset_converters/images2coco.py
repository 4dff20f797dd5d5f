"""A folder of pictures as a COCO file without boxes, to detect in.

    python tools/dataset_converters/images2coco.py pictures classes.txt pictures.json
"""
from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # works from a clone

from mmcv_need.errors import DataError
from mmdet.apis.coco_files import check_new, coco_content, read_all, write_coco
from mmdet.apis.endings import run
from mmdet.datasets.annotations import Picture
from mmdet.datasets.picture_files import read_size
from mmdet.datasets.pictures import class_names
from mmdet.datasets.yolo_reader import pictures_below


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='A folder of pictures as a COCO file without boxes')
    parser.add_argument('img_path', help='the folder, which img_prefix of the dataset names then; folders in it count too')
    parser.add_argument('classes', help='text file with the name of a class on each line')
    parser.add_argument('out', help='name of the .json, in the folder `annotations` beside img_path; or a path with a folder')
    parser.add_argument('-e', '--exclude-extensions', nargs='+', default=[], metavar='END',
                        help='leave these out, such as png bmp')
    parser.add_argument('--skip-bad', action='store_true', help='leave out pictures that cannot be used')
    args = parser.parse_args(arguments)
    if not args.out.endswith('.json'):
        parser.error(f'{args.out}: expected a name that ends in .json')
    return args


def main(arguments: Sequence[str]) -> None:
    args = parse(arguments)
    classes = class_names(args.classes)
    beside = os.path.join(os.path.dirname(os.path.abspath(args.img_path)), 'annotations')
    out = args.out if os.path.dirname(args.out) else os.path.join(beside, args.out)
    check_new([out])
    pictures, others = pictures_below(args.img_path)
    for path in others:
        print(f'left out: {path}: not a picture, by its name', file=sys.stderr)
    ends = tuple(end.lower() for end in args.exclude_extensions)
    chosen = [path for path in pictures if not path.lower().endswith(ends)] if ends else pictures
    if not chosen:
        raise DataError(f'{args.img_path}: ' + ('has no pictures' if os.path.isdir(args.img_path) else 'no such folder'))
    found = read_all((partial(read_picture, path, args.img_path, i) for i, path in enumerate(chosen)), args.skip_bad)
    write_coco(out, coco_content(found, classes))


def read_picture(path: str, folder: str, number: int) -> Picture:
    return Picture(os.path.relpath(path, folder).replace(os.sep, '/'), number, read_size(path), [], [], [])


if __name__ == '__main__':
    run(main)
