"""PASCAL VOC's metrics: the definition of its development kit, written as loops, is the oracle."""
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError
from mmdet.core.bbox.iou import array_overlaps
from mmdet.core.evaluation.mean_ap import area_under_curve, average_precisions, eleven_point_mean, mean_average_precision
from mmdet.core.evaluation.recall import assigned_overlaps, recalls
from mmdet.core.evaluation.voc_metric import VocMetric, check_metrics, metric_names, table_lines
from mmdet.core.post_processing.detections import Detections

CLASSES = 3


def random_set(seed, pictures=5):
    """(detections, truths) with near misses, doubles, ties of scores, difficult boxes of a class and of none."""
    rng = np.random.RandomState(seed)
    results, truths = [], []
    for _ in range(pictures):
        gts = random_boxes(rng, rng.poisson(4))
        labels, ignored = rng.randint(0, CLASSES, len(gts)), rng.rand(len(gts)) < 0.25
        near = gts[rng.randint(0, len(gts), 8)] + rng.normal(0, 6, (8, 4)) if len(gts) else np.zeros((0, 4))
        found = np.concatenate([near.round(), random_boxes(rng, rng.poisson(3))]).astype(np.float32)
        found_labels = rng.randint(0, CLASSES, len(found))
        found_labels[:len(near)] = labels[rng.randint(0, len(gts), len(near))] if len(gts) else 0
        results.append(Detections(found, (rng.randint(1, 15, len(found)) / 15).astype(np.float32), found_labels))
        of_no_class = np.where(rng.rand(len(gts)) < 0.2, -1, labels)
        truths.append({'bboxes': gts[~ignored], 'labels': labels[~ignored], 'bboxes_ignore': gts[ignored],
                       'labels_ignore': of_no_class[ignored]})
    return results, truths


def random_boxes(rng, count):
    corner = rng.randint(0, 200, (count, 2))
    return np.concatenate([corner, corner + rng.randint(10, 80, (count, 2))], axis=1).astype(np.float32)


def overlap(a, b, extent):
    width = min(a[2], b[2]) - max(a[0], b[0]) + extent
    height = min(a[3], b[3]) - max(a[1], b[1]) + extent
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0] + extent) * (box[3] - box[1] + extent) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def devkit(results, truths, label, thr, eleven_points, extent):
    """(npos, AP): every detection by falling score takes the object that it overlaps most, if that is enough."""
    objects = [[(box, False) for box, k in zip(t['bboxes'], t['labels']) if k == label]
               + [(box, True) for box, k in zip(t['bboxes_ignore'], t['labels_ignore']) if k == label] for t in truths]
    taken = [[False] * len(mine) for mine in objects]
    npos = sum(not difficult for mine in objects for _, difficult in mine)
    queue = [(score, i, box) for i, found in enumerate(results) for box, score, k in zip(*found) if k == label]
    tp = fp = 0
    curve = []
    for _, i, box in sorted(queue, key=lambda entry: -entry[0]):
        most, j = -math.inf, None
        for number, (other, _) in enumerate(objects[i]):
            if overlap(box.tolist(), other.tolist(), extent) > most:
                most, j = overlap(box.tolist(), other.tolist(), extent), number
        if most < thr:
            fp += 1
        elif not objects[i][j][1]:
            tp, fp = (tp, fp + 1) if taken[i][j] else (tp + 1, fp)
            taken[i][j] = True
        curve.append((tp / npos if npos else 0, tp / (tp + fp) if tp + fp else 0))
    if eleven_points:
        return npos, sum(max([p for r, p in curve if r >= level * 0.1], default=0) for level in range(11)) / 11
    area, last = 0, 0
    for number, (recall, _) in enumerate(curve):
        area += (recall - last) * max(p for _, p in curve[number:])
        last = recall
    return npos, area


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2 ** 31), thr=st.sampled_from([0.3, 0.45, 0.7]), extent=st.sampled_from([0, 1]),
       eleven_points=st.booleans())
def test_every_ap_is_that_of_the_development_kit(seed, thr, extent, eleven_points):
    results, truths = random_set(seed)
    average = eleven_point_mean if eleven_points else area_under_curve
    found, = average_precisions(results, truths, CLASSES, [thr], average, extent)
    for label, result in enumerate(found):
        npos, ap = devkit(results, truths, label, thr, eleven_points, extent)
        assert result.num_gts == npos
        assert result.num_dets == sum((r.labels == label).sum() for r in results)
        assert result.ap == pytest.approx(ap, abs=1e-12)


def test_the_random_sets_have_all_kinds_of_detections():
    """Else the test above proves little."""
    results, truths = random_set(1, pictures=40)
    ap = [result.ap for result in average_precisions(results, truths, CLASSES, [0.45], area_under_curve)[0]]
    assert all(0.05 < value < 0.9 for value in ap)
    without = [{**truth, 'bboxes_ignore': truth['bboxes_ignore'][:0], 'labels_ignore': truth['labels_ignore'][:0]}
               for truth in truths]
    assert all(a > b.ap for a, b in zip(ap, average_precisions(results, without, CLASSES, [0.45], area_under_curve)[0]))


def detections(*rows):
    """(x1, y1, x2, y2, score, label) each."""
    table = np.array(rows, dtype=np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def truth(boxes=(), labels=(), ignored=(), ignored_labels=()):
    return {'bboxes': np.array(boxes, np.float32).reshape(-1, 4), 'labels': np.array(labels, np.int64),
            'bboxes_ignore': np.array(ignored, np.float32).reshape(-1, 4), 'labels_ignore': np.array(ignored_labels, np.int64)}


BOX, ASIDE = (10, 10, 50, 50), (100, 100, 150, 160)


def ap_of(found, wanted, average=area_under_curve):
    return average_precisions([found], [wanted], 1, [0.5], average)[0][0].ap


@pytest.mark.parametrize('found, wanted, ap', [
    ([(*BOX, 0.9, 0)], truth([BOX], [0]), 1),
    ([(*BOX, 0.9, 0), (*BOX, 0.8, 0)], truth([BOX], [0]), 1),  # the second is wrong, but too late to cost anything
    ([(*ASIDE, 0.9, 0), (*BOX, 0.8, 0)], truth([BOX], [0]), 0.5),
    ([(*BOX, 0.9, 0), (*BOX, 0.8, 0), (*ASIDE, 0.7, 0)], truth([BOX, ASIDE], [0, 0]), 0.5 + 0.5 * 2 / 3),
    ([(*ASIDE, 0.9, 0), (*BOX, 0.8, 0)], truth([BOX], [0], [ASIDE], [0]), 1),  # on a difficult one: neither right nor wrong
    ([(*ASIDE, 0.9, 0), (*BOX, 0.8, 0)], truth([BOX], [0], [ASIDE], [-1]), 0.5),  # of no class: nobody's excuse
    ([(*BOX, 0.9, 0)], truth([BOX], [0], [BOX], [0]), 1),  # the wanted one goes before the ignored one
    ([], truth([BOX], [0]), 0)])
def test_what_counts(found, wanted, ap):
    assert ap_of(detections(*found), wanted) == pytest.approx(ap)


def test_precision_is_averaged_over_recall_as_defined():
    recall, precision = np.array([0.25, 0.25, 0.5, 0.75]), np.array([1, 0.5, 2 / 3, 0.75])
    assert area_under_curve(recall, precision) == pytest.approx(0.25 * 1 + 0.25 * 0.75 + 0.25 * 0.75)
    assert eleven_point_mean(recall, precision) == pytest.approx((3 * 1 + 5 * 0.75) / 11)  # 0 to .2; .3 to .7; none
    assert area_under_curve(np.zeros(0), np.zeros(0)) == eleven_point_mean(np.zeros(0), np.zeros(0)) == 0


def test_vocs_pixels_have_an_extent():
    boxes = np.float32([[3, 3, 3, 3], [3, 3, 4, 3]])
    assert array_overlaps(boxes, boxes, extent=1).tolist() == [[1, 0.5], [0.5, 1]]
    assert not array_overlaps(boxes, boxes).any()  # no area at all


def test_the_mean_leaves_out_classes_that_are_nowhere():
    rows = average_precisions([detections((*BOX, 0.9, 0), (*BOX, 0.9, 1))], [truth([BOX], [0])], 3, [0.5], area_under_curve)[0]
    assert [row.num_gts for row in rows] == [1, 0, 0] and mean_average_precision(rows) == 1
    assert mean_average_precision(rows[1:]) == 0


def paired_by_loops(overlaps, number):
    """The pair with the largest overlap, and so on without its two."""
    pairs = sorted(((overlaps[g][b], -g, -b) for g in range(len(overlaps)) for b in range(min(number, len(overlaps[g])))),
                   reverse=True)
    found, gts, boxes = [], set(), set()
    for value, g, b in pairs:
        if g not in gts and b not in boxes:
            found.append(value)
            gts.add(g)
            boxes.add(b)
    return found


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2 ** 31), extent=st.sampled_from([0, 1]))
def test_recall_counts_pairs_of_a_box_and_a_ground_truth(seed, extent):
    results, truths = random_set(seed)
    numbers, thrs = (1, 3, 100), (0.3, 0.6)
    found = recalls(results, truths, numbers, thrs, extent)
    for i, number in enumerate(numbers):
        pairs, total = [], 0
        for result, wanted in zip(results, truths):
            order = sorted(range(len(result.scores)), key=lambda k: -result.scores[k])
            table = [[np.float32(overlap(gt.tolist(), result.bboxes[k].tolist(), extent)) for k in order]
                     for gt in wanted['bboxes']]
            pairs += paired_by_loops(table, number)
            total += len(wanted['bboxes'])
        expected = [sum(value >= thr for value in pairs) / total if total else 0 for thr in thrs]
        assert found[i] == pytest.approx(expected)


def test_a_box_can_find_one_ground_truth_only():
    overlaps = np.array([[0.9, 0.8], [0.85, 0.1], [0.7, 0.6]])
    assert assigned_overlaps(overlaps).tolist() == [0.9, 0.6, -1]  # the largest first, though 0.85 and 0.8 would be more
    assert overlaps.max() == 0.9  # what was given stays


class Log:
    """A logger that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def info(self, text, *arguments):
        self.lines.append(text % arguments if arguments else text)


def test_names_and_values_are_mmdetections():
    results, truths = random_set(4, pictures=12)
    metric = VocMetric(['cat', 'dog', 'horse'], eleven_point_mean, extent=1)
    values = metric(results, truths, metric=['mAP', 'recall'], proposal_nums=(2, 10), iou_thr=[0.5, 0.75])
    rows = average_precisions(results, truths, 3, [0.5, 0.75], eleven_point_mean, 1)
    means = [mean_average_precision(row) for row in rows]
    table = recalls(results, truths, (2, 10), (0.5, 0.75), 1)
    assert values == {'mAP': sum(means) / 2, 'AP50': round(means[0], 3), 'AP75': round(means[1], 3),
                      'recall@2@0.5': table[0, 0], 'recall@2@0.75': table[0, 1], 'recall@10@0.5': table[1, 0],
                      'recall@10@0.75': table[1, 1], 'AR@2': table[0].mean(), 'AR@10': table[1].mean()}
    assert len(set(values.values())) > 6 and all(type(value) is float for value in values.values())
    assert set(metric(results, truths)) == {'mAP', 'AP50'}
    assert set(metric(results, truths, metric='recall', proposal_nums=7)) == {'recall@7@0.5'}


def test_thresholds_are_named_in_percent():
    metric = VocMetric(['cat'], area_under_curve)
    thrs = [0.05, 0.29, *np.arange(0.5, 1, 0.05).tolist()]
    names = list(metric([detections()], [truth([BOX], [0])], iou_thr=thrs))
    assert names == ['mAP', 'AP05', 'AP29', *(f'AP{p}' for p in range(50, 100, 5))]


def test_a_table_is_logged():
    log = Log()
    metric = VocMetric(['cat', 'dining table'], area_under_curve)
    metric([detections((*BOX, 0.9, 0))], [truth([BOX], [0])], metric=('mAP', 'recall'), proposal_nums=[10], logger=log)
    assert log.lines == ['AP (area under curve) at IoU 0.5',
                         'class            gts    dets  recall      ap',
                         'cat                1       1   1.000   1.000',
                         'dining table       0       0   0.000   0.000',
                         'mAP                                    1.000',
                         'recall@10@0.5     1.000']
    assert len({len(line) for line in table_lines(['a' * 30], [], 0.5)}) == 1


@pytest.mark.parametrize('arguments, words', [
    (dict(metric='bbox'), "metric 'bbox' is not supported. Known: mAP, recall."), (dict(metric=['mAP', 'map']), "'map'"),
    (dict(iou_thr='0.5'), "iou_thr: expected a number above 0 and up to 1"), (dict(iou_thr=0), 'not 0'),
    (dict(iou_thr=[0.5, 50]), 'not .0.5, 50'), (dict(iou_thr=[]), 'iou_thr'), (dict(iou_thr=True), 'not True'),
    (dict(metric='recall', proposal_nums=0), 'proposal_nums: expected numbers of boxes'),
    (dict(metric='recall', proposal_nums=[10.5]), 'proposal_nums')])
def test_what_makes_no_sense_is_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        VocMetric(['cat'], area_under_curve)([detections()], [truth()], **arguments)


@pytest.mark.parametrize('options', [
    dict(metric='mAP'), dict(metric=['mAP', 'recall']), dict(metric='recall', iou_thr=[0.5, 0.75], proposal_nums=[1, 10]),
    dict(metric=['recall', 'mAP'], iou_thr=0.55, proposal_nums=7)])
def test_the_names_of_numbers_are_known_before(options):
    assert metric_names(**options) == list(VocMetric(['cat'], area_under_curve)([detections()], [truth()], **options))


def test_metrics_are_checked_before_anything_slow():
    check_metrics('mAP')
    check_metrics(['recall', 'mAP'])
    check_metrics([])
    with pytest.raises(ConfigError, match=r"^mine\.py:3: metric 'mAp'.*Did you mean 'mAP'"):
        check_metrics('mAp', where='mine.py:3')
    with pytest.raises(ConfigError, match=r"^--eval-options: iou_thr: .* not 'half'"):
        check_metrics([], where='--eval-options', iou_thr='half')


def test_results_and_pictures_must_be_as_many():
    with pytest.raises(ValueError, match='2 results for 1 pictures'):
        VocMetric(['cat'], area_under_curve)([detections()] * 2, [truth()])
