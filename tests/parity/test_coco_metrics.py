"""COCO's metrics against published numbers, MMDetection's numbers, and pycocotools run here (tests/parity/data/README.md).

Every number is asked of every evaluator.
"""
from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmdet.apis.results import coco_results, read_results
from mmdet.core.evaluation import coco_api
from mmdet.core.evaluation.coco_api import match, result_rows
from mmdet.core.evaluation.coco_metric import CocoMetric
from mmdet.core.evaluation.coco_summary import official_numbers
from mmdet.core.post_processing.detections import Detections

DATA = Path(__file__).parent / 'data'
COCOEVAL = DATA / 'cocoeval'
EXPECTED = json.loads((COCOEVAL / 'expected.json').read_text())
# of MMDetection's .bbox.json for tiny_dets.json: 245 records, written again without spaces
TINY_JSON = 'a8375b119ce3f9cc2cda942df31dc58f3ef51c30'


class Dataset:
    """What reading and measuring need of a dataset."""

    def __init__(self, path, content=None):
        self.ann_file = str(path)
        self.content = content or json.loads(path.read_text())
        self.cat_ids = [category['id'] for category in self.content['categories']]
        self.CLASSES = tuple(category['name'] for category in self.content['categories'])
        self.annotations = SimpleNamespace(ids=np.array([image['id'] for image in self.content['images']]))

    def __len__(self):
        return len(self.annotations.ids)

    def metric(self, evaluator):
        metric = CocoMetric(self.content, self.annotations.ids, self.cat_ids, self.CLASSES)
        metric.evaluator = evaluator
        return metric


def found_by(metric, results, **options):
    rows = result_rows(results, metric.image_ids, metric.cat_ids)
    return match(metric.evaluator, metric.ground_truth, rows, metric.cat_ids.tolist(), **options)


@pytest.mark.parametrize('name', ['fakebbox100', 'stress_val2014_100', 'stress_coco80_cc_val'])
def test_twelve_numbers_and_every_class_of_real_annotations(evaluator, name):
    """fakebbox100 is COCO's own example; its twelve numbers are published, with three digits."""
    expected = EXPECTED[name]
    dataset = Dataset(COCOEVAL / expected['gt'])
    results = read_results(str(COCOEVAL / f'{name}.json'), dataset)
    metric = dataset.metric(evaluator)
    numbers = official_numbers(found_by(metric, results, max_dets=[1, 10, 100]))
    np.testing.assert_allclose(numbers, expected['stats'], rtol=0, atol=1e-6)
    if 'published' in expected:
        assert [round(number, 3) for number in numbers] == expected['published']
    values = metric(results, proposal_nums=(1, 10, 100))  # the stored numbers of classes are of 100
    assert values['bbox_mAP'] == round(expected['stats'][0], 4)
    classes = {str(number): ap for number, ap in zip(dataset.cat_ids, metric.class_ap.values())}
    assert {number for number, ap in classes.items() if ap == -1} == {
        number for number in classes if expected['per_category_AP'][number] is None}
    for number, ap in classes.items():
        assert ap == -1 or ap == pytest.approx(expected['per_category_AP'][number], abs=1e-6)


@pytest.fixture(scope='module')
def tiny():
    """MMDetection's example: the dataset, the detections, and what MMDetection makes of them."""
    results = []
    for classes in json.loads((DATA / 'tiny_dets.json').read_text()):
        rows = np.concatenate([np.reshape(rows, (-1, 5)) for rows in classes]).astype(np.float32)
        labels = np.repeat(np.arange(len(classes)), [len(rows) for rows in classes])
        order = np.argsort(-labels, kind='stable')  # not by class, as the files have them
        results.append(Detections(rows[order, :4], rows[order, 4], labels[order]))
    return Dataset(DATA / 'tiny_coco.json'), results, json.loads((DATA / 'coco_dataset.json').read_text())


def test_mmdetections_numbers_for_its_own_example(tiny, evaluator):
    dataset, results, expected = tiny
    assert dataset.annotations.ids.tolist() == expected['test_ids']
    metric = dataset.metric(evaluator)
    in_one = expected['evaluate_bbox']['bbox_mAP_copypaste'].split()  # 2.28's four digits; ours are 2.6's three
    of_boxes = {**expected['evaluate_bbox'], 'bbox_mAP_copypaste': ' '.join(f'{float(value):.3f}' for value in in_one)}
    assert metric(results, metric='bbox') == of_boxes
    assert metric(results, metric='proposal') == expected['evaluate_proposal']
    assert metric(results, metric=['proposal', 'bbox']) == {**of_boxes, **expected['evaluate_proposal']}


def test_the_result_file_is_mmdetections(tiny):
    dataset, results, expected = tiny
    records = coco_results(results, dataset)
    assert records[:3] == expected['format_first3']
    assert len(records) == 245
    assert hashlib.sha1(orjson.dumps(records)).hexdigest() == TINY_JSON


corner = st.integers(0, 6).map(lambda n: 12. * n)
side = st.integers(0, 12).map(lambda n: 12. * n)  # in 0, 12, ... 144: all three sizes, zero areas, and overlaps of exactly 0.5
box = st.tuples(corner, corner, side, side)


@st.composite
def coco_sets(draw):
    """(content of an annotation file, result rows): up to 6 pictures, 3 classes, 12 boxes and 12 detections a picture."""
    pictures = draw(st.lists(st.integers(0, 40), min_size=1, max_size=6, unique=True))
    categories = draw(st.lists(st.integers(0, 20), min_size=1, max_size=3, unique=True))
    label = st.sampled_from(categories)
    annotations, rows = [], []
    for picture in pictures:
        for bbox, category, crowd, share in draw(st.lists(st.tuples(
                box, label, st.sampled_from([0, 0, 0, 0, 1]), st.sampled_from([1, 0.5])), max_size=12)):
            annotations.append({'id': len(annotations), 'image_id': picture, 'category_id': category, 'bbox': list(bbox),
                                'area': bbox[2] * bbox[3] * share, 'iscrowd': crowd})
        boxes = st.one_of(box, st.sampled_from([tuple(a['bbox']) for a in annotations])) if annotations else box
        for bbox, category, score in draw(st.lists(st.tuples(boxes, label, st.integers(1, 5)), max_size=12)):
            rows.append([picture, *bbox, score / 5, category])
    content = {'images': [{'id': number, 'width': 250, 'height': 250} for number in pictures], 'annotations': annotations,
               'categories': [{'id': number, 'name': str(number)} for number in categories]}
    return content, np.array(rows or [[pictures[0], 0, 0, 12, 12, 0.5, categories[0]]], dtype=np.float64)


def reference(content, rows, max_dets, iou_thrs, use_cats):
    """pycocotools' own run, its way; only that annotations are numbered from 1."""
    content = copy.deepcopy(content)
    for annotation in content['annotations']:
        annotation['id'] += 1
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = content
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(rows), 'bbox')
        run.params.maxDets, run.params.useCats = list(max_dets), int(use_cats)
        run.params.iouThrs = np.array(iou_thrs)
        run.evaluate()
        run.accumulate()
    return run


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(coco_set=coco_sets(), iou_thrs=st.sampled_from([coco_api.IOU_THRS, [0.5, 0.75], [0.3]]),
       max_dets=st.sampled_from([(1, 10, 100), (1, 2, 4), (100, 300, 1000)]), use_cats=st.booleans())
def test_all_of_precision_and_recall_is_pycocotools_own(evaluator, coco_set, iou_thrs, max_dets, use_cats):
    content, rows = coco_set
    run = reference(content, rows, max_dets, iou_thrs, use_cats)
    metric = Dataset('', content).metric(evaluator)
    found = match(evaluator, metric.ground_truth, rows, metric.cat_ids.tolist(), max_dets, iou_thrs, use_cats)
    order = [run.params.catIds.index(number) for number in metric.cat_ids] if use_cats else [0]
    np.testing.assert_allclose(found.precision, run.eval['precision'][:, :, order], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.recall, run.eval['recall'][:, order], rtol=0, atol=1e-9)
