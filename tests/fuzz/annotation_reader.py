"""Fuzz the readers of annotations: python tests/fuzz/annotation_reader.py -atheris_runs=20000

The first byte chooses the file: COCO's JSON, read piece by piece, as a whole and in small pieces; VOC's XML; MMDetection's own
list. What comes out is a dataset whose every record can be asked for, or a DataError.
"""
from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from harness import check_message, fuzz, instrumented

with instrumented():
    import orjson

    from mmcv_need.errors import UserError
    from mmdet.datasets.coco import CocoDataset
    from mmdet.datasets.custom import CustomDataset
    from mmdet.datasets.json_tables import Unreadable, pieces
    from mmdet.datasets.voc import VOCDataset

FOLDER = Path(tempfile.mkdtemp())
XML = b'''<annotation><filename>a.jpg</filename><size><width>64</width><height>48</height></size>
<object><name>dog</name><difficult>0</difficult><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>
</annotation>'''
COCO = {'images': [{'id': 1, 'file_name': 'a.jpg', 'width': 64, 'height': 48}, {'id': 2, 'file_name': 'b.jpg', 'width': 50,
                                                                                'height': 60}],
        'annotations': [{'id': 1, 'image_id': 1, 'category_id': 3, 'bbox': [1, 2, 30, 20.5], 'area': 600, 'iscrowd': 0,
                         'segmentation': [[1, 2, 3, 4, 5, 6]]},
                        {'id': 2, 'image_id': 2, 'category_id': 5, 'bbox': [0, 0, 50, 60], 'iscrowd': 1}],
        'categories': [{'id': 3, 'name': 'cat'}, {'id': 5, 'name': 'dog'}]}
RECORDS = [{'filename': 'a.jpg', 'width': 64, 'height': 48, 'ann': {'bboxes': [[1, 2, 30, 40]], 'labels': [1],
                                                                    'bboxes_ignore': [[0, 0, 5, 5]], 'labels_ignore': [0]}}]


def one_input(data: bytes) -> None:
    kind, content = data[:1], data[1:]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            use({b'x': voc, b'l': custom}.get(kind, coco)(content))
    except UserError as error:
        check_message(error)


def coco(content: bytes) -> CocoDataset:
    path = FOLDER / 'coco.json'
    path.write_bytes(content)
    try:
        for piece in pieces(str(path), size=20):
            assert isinstance(piece.key, str)
    except Unreadable as error:
        check_message(error)
    return CocoDataset(str(path), [], test_mode=False)


def voc(content: bytes) -> VOCDataset:
    folder = FOLDER / 'VOC2007'
    (folder / 'Annotations').mkdir(parents=True, exist_ok=True)
    (folder / 'Annotations/a.xml').write_bytes(content)
    (folder / 'list.txt').write_text('a\n')
    return VOCDataset(str(folder / 'list.txt'), [], img_prefix=str(folder))


def custom(content: bytes) -> CustomDataset:
    path = FOLDER / 'list.json'
    path.write_bytes(content)
    return CustomDataset(str(path), [], classes=('cat', 'dog'))


def use(dataset: object) -> None:
    for index in range(len(dataset)):
        found = dataset.get_ann_info(index)
        assert len(found['bboxes']) == len(found['labels']) and found['bboxes'].shape[1] == 4
        assert ((found['labels'] >= 0) & (found['labels'] < len(dataset.CLASSES))).all()
        dataset.annotations.info(index)
        dataset.get_cat_ids(index)


def seeds() -> list:
    return [b'c' + orjson.dumps(COCO), b'x' + XML, b'l' + orjson.dumps(RECORDS)]


if __name__ == '__main__':
    fuzz(one_input, seeds())
