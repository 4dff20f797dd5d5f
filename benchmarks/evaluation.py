"""COCO evaluation of 5,000 pictures x 200 detections, beside pycocotools: how long, and whether the numbers are equal."""
from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np
import orjson
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmarks.interleaved import Measure, interleave
from benchmarks.pictures import NUM_CLASSES, annotation, random_boxes, write_content
from benchmarks.settings import Settings
from mmdet.core.evaluation.coco_api import PrecisionRecall, find_evaluator, match, result_rows
from mmdet.core.evaluation.coco_summary import OFFICIAL_MAX_DETS, SIZES, average_precision, average_recall
from mmdet.core.post_processing.detections import Detections
from mmdet.datasets.coco import CocoDataset

SIZE = 640, 480
PICTURES, DETECTIONS, TRUTHS = 5000, 200, 7.3  # of val2017, of SSD, and COCO's mean a picture


def measure(settings: Settings) -> Iterator[Measure]:
    """Seconds, reading the annotation file included. pycocotools runs whole, once."""
    pictures = 100 if settings.small else PICTURES
    path, results = generate(settings.scratch / 'evaluation', pictures)
    seconds = interleave({'ours': lambda: evaluate(path, results)}, settings.rounds)['ours']
    numbers: Dict[str, Any] = {}

    def reference() -> None:
        numbers['theirs'] = by_pycocotools(path, results)

    theirs = interleave({'pycocotools': reference}, 1, warm_up=0)['pycocotools']
    what = f'{pictures:,} pictures x {DETECTIONS} detections, with loading'
    targets = ('', '') if settings.small else ('>= 30', '<= 4')
    yield Measure('evaluation', what, 's', seconds, 'pycocotools, once', theirs * len(seconds), target=targets[0])
    yield Measure('evaluation', what, 's', seconds, target=targets[1])
    ours = official_numbers(path, results)
    differences = np.abs(np.subtract(ours, numbers['theirs']))
    yield Measure('evaluation', f'{find_evaluator().name}: largest difference of the 12 numbers from pycocotools', '',
                  [float(differences.max())], target='<= 1e-12')
    yield Measure('evaluation', 'mAP of the generated detections, so that equality means something', '', ours[:1])


def generate(folder: Path, pictures: int, seed: int = 0) -> Tuple[Path, List[Detections]]:
    """An annotation file, and detections: most near a ground truth and often of its class, the better the higher they score."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    annotations: List[Dict[str, Any]] = []
    results = []
    for number in range(1, pictures + 1):
        truths = random_boxes(rng, SIZE, 1 + rng.poisson(TRUTHS - 1)).round(2)
        labels = rng.integers(NUM_CLASSES, size=len(truths))
        for box, label in zip(truths.tolist(), labels.tolist()):
            annotations.append(annotation(len(annotations) + 1, number, label, box, crowd=rng.random() < 0.01))
        results.append(detections(rng, truths, labels))
    images = [{'id': number, 'file_name': f'{number}.jpg', 'width': SIZE[0], 'height': SIZE[1]}
              for number in range(1, pictures + 1)]
    path = folder / 'instances.json'
    write_content(path, images, annotations)
    return path, results


def detections(rng: np.random.Generator, truths: np.ndarray, labels: np.ndarray) -> Detections:
    """DETECTIONS boxes around ground truths, best first."""
    of = rng.integers(len(truths), size=DETECTIONS)
    scores = np.sort(rng.beta(0.5, 3, DETECTIONS))[::-1].astype(np.float32)
    sides = np.tile(truths[of, 2:] - truths[of, :2], 2)
    boxes = truths[of] + rng.normal(0, 1, (DETECTIONS, 4)) * sides * (0.35 - 0.3 * scores[:, None])
    boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:]) + 1], axis=1)
    right = rng.random(DETECTIONS) < 0.3 + 0.7 * scores
    return Detections(boxes.clip(0, np.tile(SIZE, 2)).astype(np.float32), scores,
                      np.where(right, labels[of], rng.integers(NUM_CLASSES, size=DETECTIONS)).astype(np.int64))


def evaluate(path: Path, results: List[Detections]) -> Dict[str, Any]:
    """As after an epoch of training: nothing is read yet."""
    return CocoDataset(str(path), [], test_mode=True).evaluate(results)


def official_numbers(path: Path, results: List[Detections]) -> List[float]:
    """COCO's twelve, from the evaluator that training uses."""
    content = orjson.loads(path.read_bytes())
    found = match(find_evaluator(), content, _rows(content, results), [item['id'] for item in content['categories']],
                  OFFICIAL_MAX_DETS)
    return twelve(found)


def twelve(found: PrecisionRecall) -> List[float]:
    """In COCO's order."""
    return [average_precision(found), average_precision(found, iou=0.5), average_precision(found, iou=0.75),
            *(average_precision(found, size) for size in SIZES),
            *(average_recall(found, max_dets=limit) for limit in OFFICIAL_MAX_DETS),
            *(average_recall(found, size) for size in SIZES)]


def by_pycocotools(path: Path, results: List[Detections]) -> List[float]:
    """The reference itself, from the file to the twelve numbers."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        run = COCOeval(truth, truth.loadRes(_rows(truth.dataset, results)), 'bbox')
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats.tolist()


def _rows(content: Any, results: List[Detections]) -> np.ndarray:
    ids = (np.array([item['id'] for item in content[table]]) for table in ('images', 'categories'))
    return result_rows(results, *ids)
