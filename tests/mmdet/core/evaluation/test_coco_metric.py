"""COCO's metrics: pycocotools, run here, is the reference for every evaluator and every number."""
from __future__ import annotations

import contextlib
import io
import json
import logging

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmdet.core.evaluation.coco_api import find_evaluator, match, result_rows
from mmdet.core.evaluation.coco_metric import CocoMetric
from mmdet.core.evaluation.coco_options import metric_names
from mmdet.core.evaluation.coco_summary import mmdet_numbers, official_lines, official_numbers
from mmdet.core.post_processing.detections import Detections

NAMES = ('bbox_mAP', 'bbox_mAP_50', 'bbox_mAP_75', 'bbox_mAP_s', 'bbox_mAP_m', 'bbox_mAP_l')
RECALLS = ('AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000')
LIMITS = (100, 300, 1000)  # MMDetection's
NOTHING = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))



def random_set(seed, pictures=6, classes=3, density=1.):
    """(content of an annotation file, detections of each picture): near misses, crowds, ties, all three sizes."""
    rng = np.random.RandomState(seed)
    content = {'images': [{'id': 3 * i + 1, 'file_name': f'{i}', 'width': 640, 'height': 480} for i in range(pictures)],
               'annotations': [], 'categories': [{'id': 7 * k + 2, 'name': f'class {k}'} for k in range(classes)]}
    results = []
    for image in content['images']:
        rows = []
        for _ in range(rng.poisson(4 * density)):
            size = np.exp(rng.uniform(np.log(6), np.log(300), 2))
            corner = rng.uniform(0, 1, 2) * (np.array([640, 480]) - size)
            label, crowd = rng.randint(classes), rng.rand() < 0.1
            content['annotations'].append({
                'id': len(content['annotations']) + 1, 'image_id': image['id'], 'category_id': 7 * int(label) + 2,
                'bbox': [*corner.round(2).tolist(), *size.round(2).tolist()], 'iscrowd': int(crowd),
                'area': float(size.prod() * rng.uniform(0.5, 1))})
            for _ in range(rng.randint(0, 4)):
                wobble = rng.normal(0, 0.08, 4) * np.tile(size, 2)
                rows.append([*(np.concatenate([corner, corner + size]) + wobble), rng.randint(1, 20) / 20, label])
        for _ in range(rng.poisson(6 * density)):
            corner = rng.uniform(0, 400, 2)
            rows.append([*corner, *(corner + rng.uniform(5, 200, 2)), rng.randint(1, 20) / 20, rng.randint(classes)])
        rows = np.array(rows, dtype=np.float32).reshape(-1, 6)
        rows = rows[np.argsort(-rows[:, 4], kind='stable')]
        results.append(Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64)))
    return content, results


def reference(content, results, max_dets, image_ids=None, use_cats=True, iou_thrs=None):
    """pycocotools' own run, its way: the file's annotations, detections as records."""
    images = [image['id'] for image in content['images']] if image_ids is None else image_ids
    cat_ids = [category['id'] for category in content['categories']]
    records = [{'image_id': image, 'category_id': cat_ids[label], 'score': float(score),
                'bbox': [float(x1), float(y1), float(x2) - float(x1), float(y2) - float(y1)]}
               for image, found in zip(images, results) for (x1, y1, x2, y2), score, label in zip(*found)]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        truth = COCO()
        truth.dataset = json.loads(json.dumps(content))
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(records), 'bbox')
        run.params.imgIds, run.params.maxDets, run.params.useCats = images, list(max_dets), use_cats
        if iou_thrs is not None:
            run.params.iouThrs = np.array(iou_thrs)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run, [line for line in printed.getvalue().splitlines() if line.startswith(' Average')]


def metric_of(content, evaluator=None):
    names = [category['name'] for category in content['categories']]
    metric = CocoMetric(content, np.array([image['id'] for image in content['images']]),
                        [category['id'] for category in content['categories']], names)
    return metric if evaluator is None else _with(metric, evaluator)


def _with(metric, evaluator):
    metric.evaluator = evaluator
    return metric


def found_by(metric, results):
    return match(metric.evaluator, metric.ground_truth, result_rows(results, metric.image_ids, metric.cat_ids),
                 metric.cat_ids.tolist(), [1, 10, *LIMITS])


class Lines:
    """A logger that keeps what it is told."""

    def __init__(self):
        self.info_lines, self.error_lines = [], []

    def info(self, text, *arguments):
        self.info_lines.append(text % arguments if arguments else text)

    def error(self, text, *arguments):
        self.error_lines.append(text % arguments)


def assert_mmdet_numbers(run, found):
    """`run`: of the reference, with MMDetection's limits of detections."""
    np.testing.assert_allclose(list(mmdet_numbers(found, LIMITS).values()), run.stats, atol=1e-9, rtol=0)


def assert_numbers_are_the_references(metric, content, results):
    found = found_by(metric, results)
    run, lines = reference(content, results, (1, 10, 100))
    np.testing.assert_allclose(official_numbers(found), run.stats, atol=1e-9, rtol=0)
    assert official_lines(found) == lines  # COCO's twelve, to the letter
    run, _ = reference(content, results, LIMITS)
    # summarize looks for a limit of 100 in stats[0] only; numpy gives the mean of its limits[2] = 1000 elsewhere
    assert_mmdet_numbers(run, found)


def varied_set(seed):
    """A random set of one of many kinds: 1 to 6 pictures, 1 to 4 classes, few boxes or many, and what is rare in others.

    Of four sets, one in which nothing is found in half of the pictures, one in which all that is to find is a crowd in
    half of them, and one in which all scores are the same.
    """
    rng = np.random.RandomState(seed)
    content, results = random_set(seed, pictures=1 + seed % 6, classes=1 + seed % 4, density=(0.3, 1., 2.)[seed % 3])
    some = {image['id'] for image in content['images'] if rng.rand() < 0.5}
    kind = seed // 4 % 4
    if kind == 1:
        results = [NOTHING if image['id'] in some else found for image, found in zip(content['images'], results)]
    if kind == 2:
        for annotation in content['annotations']:
            annotation['iscrowd'] = int(annotation['image_id'] in some or annotation['iscrowd'])
    if kind == 3:
        results = [found._replace(scores=np.full_like(found.scores, 0.5)) for found in results]
    return content, results


@pytest.mark.parametrize('sets', [20, pytest.param(200, marks=pytest.mark.slow)])
def test_every_number_is_pycocotools_own(evaluator, sets):
    compared = 0
    for seed in range(2 * sets):
        content, results = varied_set(seed)
        if compared < sets and any(len(found.scores) for found in results):  # pycocotools takes no empty ones
            assert_numbers_are_the_references(metric_of(content, evaluator), content, results)
            compared += 1
    assert compared == sets


def test_the_limits_of_detections_are_mmdetections(evaluator):
    """bbox_mAP counts the best 100 of a picture and class, the others 1000; here that matters."""
    content, _ = random_set(1, pictures=1, classes=1)
    boxes = np.float32([a['bbox'] for a in content['annotations']])
    boxes[:, 2:] += boxes[:, :2]
    rng = np.random.RandomState(0)
    corner = rng.uniform(0, 300, (150, 2))
    wrong = np.concatenate([corner, corner + 40], axis=1).astype(np.float32)
    scores = np.concatenate([np.linspace(0.99, 0.5, 150), np.full(len(boxes), 0.1)]).astype(np.float32)
    results = [Detections(np.concatenate([wrong, boxes]), scores, np.zeros(len(scores), np.int64))]
    metric = metric_of(content, evaluator)
    assert_numbers_are_the_references(metric, content, results)
    values = metric(results)
    assert values['bbox_mAP'] < values['bbox_mAP_50']  # one half of the file is found beyond the hundredth only
    run, _ = reference(content, results, LIMITS)
    mean = {limit: run.eval['precision'][..., 0, i].mean() for i, limit in enumerate(LIMITS)}
    assert metric.class_ap == {'class 0': pytest.approx(mean[1000], abs=1e-9)} and mean[1000] > mean[100] + 0.01
    metric(results, proposal_nums=(1, 100))
    assert metric.class_ap == {'class 0': pytest.approx(mean[100], abs=1e-9)}


def test_an_annotation_with_id_zero_is_a_hit_like_any_other(evaluator):
    """COCO's code takes a match with id 0 for a miss."""
    content, results = random_set(3)
    expected = metric_of(content, evaluator)(results)
    for annotation in content['annotations']:
        annotation['id'] -= 1
    assert metric_of(content, evaluator)(results) == expected
    for annotation in content['annotations']:
        annotation['id'] = 5  # nor need they differ
    assert metric_of(content, evaluator)(results) == expected


def test_perfect_detections_score_one_and_absent_sizes_minus_one(evaluator):
    content, _ = random_set(5, pictures=3)
    for annotation in content['annotations']:
        annotation.update(bbox=[*annotation['bbox'][:2], 50, 60], area=3000., iscrowd=0)  # medium, all of them
    results = []
    for image in content['images']:
        mine = [a for a in content['annotations'] if a['image_id'] == image['id']]
        boxes = np.float32([a['bbox'] for a in mine]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = np.array([(a['category_id'] - 2) // 7 for a in mine], dtype=np.int64)
        results.append(Detections(boxes, np.ones(len(mine), np.float32), labels))
    values = metric_of(content, evaluator)(results)
    assert [values[name] for name in NAMES] == [1, 1, 1, -1, 1, -1]
    assert values['bbox_mAP_copypaste'] == '1.000 1.000 1.000 -1.000 1.000 -1.000'


def test_only_the_pictures_of_the_dataset_count(evaluator):
    """A training set leaves out pictures of its file."""
    content, results = random_set(7)
    kept = [4, 1]
    results, ids = [results[i] for i in kept], [content['images'][i]['id'] for i in kept]
    metric = _with(CocoMetric(content, np.array(ids), [2, 9, 16], ['a', 'b', 'c']), evaluator)
    run, _ = reference(content, results, LIMITS, ids)
    assert_mmdet_numbers(run, found_by(metric, results))


def test_only_the_wanted_categories_count(evaluator):
    content, results = random_set(8)
    mine = [Detections(*(column[found.labels == 1] for column in found)) for found in results]
    metric = _with(CocoMetric(content, np.array([image['id'] for image in content['images']]), [9], ['class 1']), evaluator)
    relabelled = [Detections(found.bboxes, found.scores, found.labels * 0) for found in mine]
    reduced = {**content, 'annotations': [a for a in content['annotations'] if a['category_id'] == 9],
               'categories': content['categories'][1:2]}
    run, _ = reference(reduced, relabelled, LIMITS)
    assert_mmdet_numbers(run, found_by(metric, relabelled))


def test_records_of_other_categories_need_no_box():
    content, results = random_set(8)
    expected = metric_of(content)(results)
    content['annotations'].append({'id': 999, 'image_id': 1, 'category_id': 500})
    assert metric_of({**content, 'categories': content['categories']})(results) == expected


def test_areas_that_are_missing_are_those_of_the_boxes(evaluator):
    content, results = random_set(9)
    for annotation in content['annotations']:
        annotation['area'] = annotation['bbox'][2] * annotation['bbox'][3]
    expected = metric_of(content, evaluator)(results)
    for i, annotation in enumerate(content['annotations']):
        annotation['area'] = None
        if i % 2:
            del annotation['area']
        if not annotation['iscrowd']:
            del annotation['iscrowd']
    assert metric_of(content, evaluator)(results) == expected


def test_the_table_of_classes_has_the_references_numbers(evaluator):
    """The categories of this file are not in the order of their ids, in which COCO's code computes."""
    content, results = random_set(10, classes=5)
    content['annotations'] = [a for a in content['annotations'] if a['category_id'] != 23]  # none of class 3
    content['categories'] = [content['categories'][k] for k in (2, 0, 4, 3, 1)]
    metric, log = metric_of(content, evaluator), Lines()
    results = [Detections(boxes, scores, np.array([1, 4, 0, 3, 2])[labels]) for boxes, scores, labels in results]
    metric(results, logger=log, classwise=True, proposal_nums=(1, 10, 100))
    run, _ = reference(content, results, (1, 10, 100))
    expected, boxes = {}, {}
    for k, number in enumerate(sorted(category['id'] for category in content['categories'])):
        values = run.eval['precision'][:, :, k, 0, 2]
        expected[f'class {k}'] = values[values > -1].mean() if (values > -1).any() else -1.
        boxes[f'class {k}'] = sum(a['category_id'] == number and not a['iscrowd'] for a in content['annotations'])
    assert len({round(value, 9) for value in expected.values()}) == 5 and expected['class 3'] == -1
    assert list(metric.class_ap) == ['class 2', 'class 0', 'class 4', 'class 3', 'class 1']
    assert metric.class_ap == pytest.approx(expected, abs=1e-9)
    table = log.info_lines[-4:]
    assert len({len(line) for line in table[:3]}) == 1 and table[0].count('category') == 3
    cells = [cell.split() for line in table[2:] for cell in line.split(' | ')]
    assert {f'class {k}': (ap, int(count)) for _, k, ap, count in cells} == {
        name: ('-' if value == -1 else f'{value:.3f}', boxes[name]) for name, value in expected.items()}


def test_all_evaluators_agree_to_the_last_digit_shown(evaluators):
    content, results = random_set(11, pictures=12, classes=5, density=2)
    values = [metric_of(content, find_evaluator(name))(results) for name in evaluators]
    assert all(value == values[0] for value in values)


def test_values_are_rounded_to_four_digits_and_named_as_in_mmdetection():
    content, results = random_set(12)
    values = metric_of(content)(results)
    assert list(values) == [*NAMES, 'bbox_mAP_copypaste']
    assert all(values[name] == round(values[name], 4) for name in NAMES)
    json.dumps(values)  # the log writes them


def test_a_dataset_without_any_detection_is_an_error_in_the_log_and_zeros():
    content, results = random_set(13)
    log = Lines()
    values = metric_of(content)([NOTHING] * len(results), ['bbox', 'proposal'], log)
    assert list(values) == [*NAMES, 'bbox_mAP_copypaste', *RECALLS]
    assert [values[name] for name in NAMES + RECALLS] == [0] * 12
    assert values['bbox_mAP_copypaste'] == '0.000 0.000 0.000 0.000 0.000 0.000'
    assert len(log.error_lines) == 1 and f'{len(results)} pictures' in log.error_lines[0]
    assert log.info_lines == ['Evaluating bbox...', 'Evaluating proposal...']


def test_pictures_without_detections_are_misses():
    content, results = random_set(14)
    results = [NOTHING, *results[1:]]
    run, _ = reference(content, results, LIMITS)
    assert_mmdet_numbers(run, found_by(metric_of(content), results))


def test_the_log_names_the_evaluator_and_has_the_twelve_lines_and_the_classes():
    content, results = random_set(15)
    log = Lines()
    metric = metric_of(content)
    metric(results, logger=log)
    found = f'{sum(len(result.scores) for result in results)} detections in {len(results)} pictures'
    assert log.info_lines[:2] == ['Evaluating bbox...', f'{metric.evaluator.name}: {found}']
    assert len(log.info_lines) == 2 + 12
    metric(results, logger=log, classwise=True)
    assert len(log.info_lines) == 2 * 14 + 3 and 'class 2' in log.info_lines[-1]
    metric(results, metric='proposal', logger=log)
    assert len(log.info_lines) == 2 * 14 + 3 + 8 and log.info_lines[-8] == 'Evaluating proposal...'
    metric(results, logger=logging.getLogger('quiet'))  # a real one does


def test_the_metric_may_be_named_in_a_list():
    content, results = random_set(16)
    assert metric_of(content)(results, metric=['bbox']) == metric_of(content)(results)


def test_proposals_are_matched_whatever_their_class(evaluator):
    content, results = random_set(20, pictures=8)
    values = metric_of(content, evaluator)(results, metric='proposal')
    run, _ = reference(content, results, LIMITS, use_cats=False)
    assert list(values) == list(RECALLS)
    np.testing.assert_allclose(list(values.values()), run.stats[6:], atol=0.5e-4)
    relabelled = [Detections(found.bboxes, found.scores, (found.labels + 1) % 3) for found in results]
    assert metric_of(content, evaluator)(relabelled, metric='proposal') == values
    assert metric_of(content, evaluator)(relabelled) != metric_of(content, evaluator)(results)


def test_both_metrics_together_are_each_alone():
    content, results = random_set(21)
    metric = metric_of(content)
    assert metric(results, metric=['bbox', 'proposal']) == {**metric(results), **metric(results, metric='proposal')}


def test_thresholds_may_be_chosen(evaluator):
    content, results = random_set(22, pictures=8)
    metric = metric_of(content, evaluator)
    run, lines = reference(content, results, (1, 10, 100), iou_thrs=[0.3, 0.75])
    log = Lines()
    values = metric(results, logger=log, iou_thrs=[0.3, 0.75])
    assert log.info_lines[2:] == lines
    assert values['bbox_mAP'] == round(run.stats[0], 4) != metric(results)['bbox_mAP']
    assert values['bbox_mAP_50'] == -1 and values['bbox_mAP_75'] == metric(results)['bbox_mAP_75'] > 0
    assert metric(results, iou_thrs=0.5)['bbox_mAP_50'] == metric(results, iou_thrs=(0.5,))['bbox_mAP'] > 0


def test_limits_of_detections_may_be_chosen_and_name_the_recalls(evaluator):
    content, results = random_set(23, pictures=4, density=3)
    metric = metric_of(content, evaluator)
    values = metric(results, metric=['bbox', 'proposal'], proposal_nums=[2, 5, 7])
    assert list(values)[7:] == ['AR@2', 'AR@5', 'AR@7', 'AR_s@7', 'AR_m@7', 'AR_l@7']
    run, _ = reference(content, results, (2, 5, 7), use_cats=False)
    np.testing.assert_allclose(list(values.values())[7:], run.stats[6:], atol=0.5e-4)
    run, _ = reference(content, results, (2, 5, 7))
    np.testing.assert_allclose([values[name] for name in NAMES[1:]], run.stats[1:6], atol=0.5e-4)
    assert values['bbox_mAP'] == metric(results)['bbox_mAP']  # always of 100


def test_numbers_may_be_chosen():
    content, results = random_set(24)
    metric = metric_of(content)
    every = metric(results, metric=['bbox', 'proposal'])
    values = metric(results, metric=['bbox', 'proposal'], metric_items=['mAP_50', 'AR@300'])
    assert list(values) == ['bbox_mAP_50', 'bbox_AR@300', 'bbox_mAP_copypaste', 'mAP_50', 'AR@300']
    assert all(values[name] == every[name] for name in ('bbox_mAP_50', 'bbox_mAP_copypaste', 'AR@300'))
    run, _ = reference(content, results, LIMITS)
    assert values['bbox_AR@300'] == round(run.stats[7], 4) != values['AR@300']
    assert list(metric(results, metric_items='mAP')) == ['bbox_mAP', 'bbox_mAP_copypaste']


@pytest.mark.parametrize('options', [
    dict(metric='bbox'), dict(metric='proposal'), dict(metric=['proposal', 'bbox']), dict(metric='bbox', metric_items='mAP_50'),
    dict(metric=['bbox', 'proposal'], proposal_nums=[2, 5, 7], metric_items=['mAP', 'AR@5']),
    dict(metric='proposal', proposal_nums=[2, 5, 7])])
def test_the_names_of_numbers_are_known_before(options):
    content, results = random_set(26)
    values = metric_of(content)(results, **options)
    assert metric_names(**options) == [name for name in values if name != 'bbox_mAP_copypaste']


def test_a_dataset_with_nothing_to_find_is_minus_one_throughout(evaluator):
    content, results = random_set(25)
    content['annotations'] = []
    values = metric_of(content, evaluator)(results, metric=['bbox', 'proposal'])
    assert [values[name] for name in NAMES + RECALLS] == [-1] * 12


def test_the_annotations_are_not_changed():
    content, results = random_set(17)
    before = json.dumps(content)
    metric_of(content)(results)
    assert json.dumps(content) == before


def test_a_metric_may_be_used_again_and_again():
    content, results = random_set(18)
    metric = metric_of(content)
    assert metric(results) == metric(results)
