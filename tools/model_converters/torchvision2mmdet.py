"""Convert weights of torchvision's ssd300_vgg16: python tools/model_converters/torchvision2mmdet.py IN OUT

Such files load as they are with configs/ssd300_torchvision_coco.py. Converted, they have MMDetection's names and, of the
91 columns that were trained on COCO, the order of its classes.
"""
from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # works from a clone

from mmcv_need.config import Config
from mmcv_need.errors import CheckpointError, UserError
from mmcv_need.weights import state_dict_of
from mmdet.apis.converted_files import bytes_of, converter, read_source, write_target
from mmdet.apis.endings import run
from mmdet.datasets.coco_classes import COCO_CLASSES
from mmdet.models.key_layouts import COCO_IDS, current_form, current_key, torchvision_columns

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONFIG = 'configs/ssd300_torchvision_coco.py'


def converted(checkpoint: Mapping[str, Any], path: str, classes: Optional[List[str]]) -> Dict[str, Any]:
    """dict(meta, state_dict) of the weights of a file of torchvision's.

    Args:
        checkpoint: a bare state dict, or one at `model`, as torchvision's reference scripts write it.
        path: for errors.
        classes: names of the classes, for other data than COCO.

    Raises:
        CheckpointError: it is of another network.
        UserError: it has another number of classes.
    """
    state = state_dict_of(checkpoint)
    columns = torchvision_columns(state)
    if columns is None:
        raise CheckpointError(f"{path}: no file of torchvision's ssd300_vgg16: it has no weights named "
                              f"'head.classification_head.module_list.0.weight' and so on, or of sizes that do not fit")
    meta: Dict[str, Any] = {}
    if classes is not None:
        if len(classes) != columns - 1:
            raise UserError(f'--classes: {len(classes)} names; {path} has {columns - 1} classes beside background')
        meta['CLASSES'] = tuple(classes)
    elif columns == COCO_IDS:
        meta.update(CLASSES=COCO_CLASSES, config=Config.fromfile(os.path.join(ROOT, CONFIG)).pretty_text)
    return {'meta': meta, 'state_dict': {current_key(key): value for key, value in current_form(state).items()}}


def main(arguments: Sequence[str]) -> None:
    parser = converter("Convert weights of torchvision's ssd300_vgg16", "a file of torchvision's", 'the file to write')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='names of the classes, for other data than COCO, without '
                                                                     'background')
    args = parser.parse_args(arguments)
    made = converted(read_source(args), args.in_file, args.classes)
    names = made['meta'].get('CLASSES')
    write_target(args.out_file, bytes_of(made), f"{len(made['state_dict'])} weights, "
                                                f"{f'{len(names)} classes' if names else 'no names of classes'}")


if __name__ == '__main__':
    run(main)
