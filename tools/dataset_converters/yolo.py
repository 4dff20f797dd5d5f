"""YOLO's annotations as COCO files: python tools/dataset_converters/yolo.py data.yaml -o annotations

SOURCE is Ultralytics' data.yaml, Darknet's .data file, or a folder of pictures with classes.txt. Each split becomes a .json,
whose names of pictures are relative to the folder that is printed.
"""
from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from typing import Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # works from a clone

from mmdet.apis.coco_files import check_box, check_new, coco_content, read_all, write_coco
from mmdet.apis.endings import run
from mmdet.datasets.annotations import Picture
from mmdet.datasets.yolo_reader import check_labelled, label_path, labels_without_pictures, read_data, read_picture


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="YOLO's annotations as COCO files")
    parser.add_argument('source', help="data.yaml, Darknet's .data file, or a folder of pictures with classes.txt or obj.names")
    parser.add_argument('-o', '--out-dir', metavar='DIR',
                        help="for the .json files; `annotations` in the pictures' folder by default")
    parser.add_argument('--skip-bad', action='store_true', help='leave out pictures and labels that cannot be used')
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> None:
    args = parse(arguments)
    data = read_data(args.source)
    folder = args.out_dir or os.path.join(data.root, 'annotations')
    files = {split: os.path.join(folder, f'{split}.json') for split in data.splits}
    check_new(list(files.values()))
    for path in labels_without_pictures(data):
        print(f'left out: {path}: labels of a picture that is not there', file=sys.stderr)
    made = {}
    for split, paths in data.splits.items():
        records = (partial(read_sound, path, data.root, i, len(data.classes)) for i, path in enumerate(paths))
        made[split] = coco_content(read_all(records, args.skip_bad), data.classes)
    check_labelled(args.source, data)
    for split, content in made.items():
        write_coco(files[split], content)
    print(f'img_prefix: {data.root}')


def read_sound(path: str, root: str, number: int, num_classes: int) -> Picture:
    picture = read_picture(path, root, number, num_classes)
    for box in picture.bboxes:
        check_box(label_path(path) or path, box, picture.size)
    return picture


if __name__ == '__main__':
    run(main)
