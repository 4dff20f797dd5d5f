"""A page about a dataset, in one file that needs nothing else."""
from __future__ import annotations

import base64
import os
from typing import Any, Dict, List, Sequence

import cv2
import numpy as np

from mmcv_need.errors import ConfigError, DataError
from mmdet.apis.dataset_check import counted
from mmdet.apis.dataset_report import Report, size_range
from mmdet.core.post_processing.detections import Detections
from mmdet.core.visualization import draw_detections, label_colour
from mmdet.datasets.defects import SERIOUS
from mmdet.datasets.picture_files import read_image

TEMPLATE = os.path.join(os.path.dirname(__file__), 'dataset_page.html')
PICTURES, SIDE = 12, 320  # shown, and their longer side in pixels
LISTED = 200  # defects of each kind; --list has all


def write_page(path: str, config: str, reports: Sequence[Report]) -> None:
    """Write the page.

    Args:
        path: of the file.
        config: whose data they are.
        reports: one for each dataset.

    Raises:
        ConfigError: jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise ConfigError('--html needs jinja2, which is not installed: pip install jinja2') from error
    with open(TEMPLATE, encoding='utf-8') as file:
        template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(file.read())
    page = template.render(config=config, reports=[facts_of(report) for report in reports])
    with open(path, 'w', encoding='utf-8', errors='replace') as file:
        file.write(page)


def facts_of(report: Report) -> Dict[str, Any]:
    """What the template shows of a report."""
    pictures, boxes = report.dataset.size_of_file()
    most = max([count.boxes for count in report.classes] + [1])
    colours = ['#{2:02x}{1:02x}{0:02x}'.format(*label_colour(label)) for label in range(len(report.classes))]
    kinds = [{'kind': kind, 'count': count, 'serious': kind in SERIOUS,
              'messages': [defect.message for defect in report.defects if defect.kind == kind][:LISTED]}
             for kind, count in sorted(counted(report.defects), key=lambda entry: entry[0] not in SERIOUS)]
    return {'section': report.section, 'file': report.dataset.ann_file, 'pictures': pictures, 'used': len(report.dataset),
            'boxes': boxes, 'kinds': kinds, 'shape': report.shape, 'threshold': report.threshold,
            'classes': [{**count._asdict(), 'share': count.boxes / most, 'colour': colour}
                        for count, colour in zip(report.classes, colours)],
            'sizes': [{**row._asdict(), 'range': size_range(row)} for row in report.sizes], 'shown': shown(report.dataset)}


def shown(dataset: Any) -> List[Dict[str, str]]:
    """Some pictures with their boxes, evenly spread; those that cannot be read are left to the list of what is wrong."""
    found = []
    for index in np.unique(np.linspace(0, len(dataset) - 1, min(PICTURES, len(dataset))).round().astype(int)).tolist():
        name = dataset.annotations.file_name(index)
        try:
            img = read_image(os.path.join(dataset.img_prefix, name))
        except DataError:
            continue
        scale = min(1.0, SIDE / max(img.shape[:2]))
        size = tuple(max(1, round(side * scale)) for side in img.shape[1::-1])
        boxes = dataset.get_ann_info(index)
        truth = Detections(boxes['bboxes'] * scale, np.ones(len(boxes['labels']), np.float32), boxes['labels'])
        painted = draw_detections(cv2.resize(img, size, interpolation=cv2.INTER_AREA), truth, dataset.CLASSES)
        data = cv2.imencode('.jpg', painted)[1].tobytes()
        found.append({'name': name, 'data': base64.b64encode(data).decode(), 'width': str(size[0]), 'height': str(size[1])})
    return found
