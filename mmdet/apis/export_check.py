"""An ONNX model beside the network that it was made of: the same numbers from the same pictures."""
from __future__ import annotations

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from mmcv_need.errors import UserError
from mmdet.apis.export import INPUT, RAW, DecodingNetwork, Form
from mmdet.core.post_processing.detections import PICKS, Detections, SSDTestCfg, suppress

TOLERANCE = 1e-4  # of probabilities, and of boxes as a share of the input's longer side
NEAR = 1e-5  # an IoU this near to the threshold may be on either side of it in another program


class Difference(NamedTuple):
    """Fields:
        scores: largest of any probability.
        boxes: largest of any coordinate, as a share of the input's longer side.
    """
    scores: float
    boxes: float


class OnnxModel:
    """A model that runs.

    Args:
        model: ONNX.
        outputs: names of what it gives; results of nodes that are no outputs are made such.

    Raises:
        UserError: onnx or onnxruntime is not installed.
    """

    def __init__(self, model: bytes, outputs: Sequence[str]):
        try:
            import onnx
            import onnxruntime
        except ImportError as error:
            raise UserError('export needs onnx and onnxruntime, which checks what was exported: pip install onnx onnxruntime '
                            'onnxscript') from error
        proto = onnx.load_model_from_string(model)
        onnx.checker.check_model(proto)
        given = [output.name for output in proto.graph.output]
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs if name not in given)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.outputs = list(outputs)
        self.session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=['CPUExecutionProvider'])

    def __call__(self, img: Tensor) -> List[np.ndarray]:
        return self.session.run(self.outputs, {INPUT: img.numpy()})


def check(model: bytes, network: DecodingNetwork, form: Form, pictures: Dict[str, Tensor]) -> Difference:
    """Compare a model with its network; and its detections, if it has any, with what is left of its own boxes by `suppress`.

    Args:
        model: of the network.
        network: in evaluation mode.
        form: of the model.
        pictures: network input (3, H, W) by name.

    Returns:
        The largest differences in all pictures.

    Raises:
        UserError: one is more than TOLERANCE, or a value is no number.
    """
    runnable = OnnxModel(model, [*RAW, *(form.names if form.nms else ())])
    largest = Difference(0., 0.)
    for chosen in batches(list(pictures), form):
        img = torch.stack([pictures[name] for name in chosen])
        with torch.no_grad():
            expected = [output.numpy() for output in network(img)[:2]]
        found = runnable(img)
        difference = compare(found[:2], expected, max(network.size), ', '.join(dict.fromkeys(chosen)))
        largest = Difference(*map(max, largest, difference))
        if form.nms:
            for i, name in enumerate(chosen):
                check_detections(*(output[i] for output in found), network, name)
    return largest


def batches(names: Sequence[str], form: Form) -> Iterator[List[str]]:
    """Names in batches as the model takes them, the last filled up with its last; one and then three where it takes any."""
    start = 0
    while start < len(names):
        size = (3 if start else 1) if form.dynamic_batch else form.batch
        chosen = list(names[start:start + size])
        yield chosen if form.dynamic_batch else chosen + chosen[-1:] * (size - len(chosen))
        start += size


def compare(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], side: int, name: str) -> Difference:
    """Differences of scores and boxes; `side`: the input's longer one.

    Raises:
        UserError: see `check`.
    """
    for who, outputs in (('PyTorch', expected), ('ONNX', found)):
        if not all(np.isfinite(output).all() for output in outputs):
            raise UserError(f'{name}: outputs of the {who} model are not all numbers (NaN or infinite)'
                            + (': the checkpoint is of a run that diverged' if who == 'PyTorch' else '; nothing was written'))
    scores, boxes = (float(np.abs(a - b).max()) for a, b in zip(found, expected))
    difference = Difference(scores, boxes / side)
    if max(difference) > TOLERANCE:
        raise UserError(f'{name}: ONNX and PyTorch differ by {difference.scores:.1e} in scores and {difference.boxes:.1e} of '
                        f'the side in boxes; expected at most {TOLERANCE:g}. Nothing was written; try another --opset-version')
    return difference


def check_detections(scores: np.ndarray, boxes: np.ndarray, dets: np.ndarray, labels: np.ndarray, network: DecodingNetwork,
                     name: str) -> None:
    """A model's detections in one picture are those that `suppress` makes of its scores and boxes.

    Among equal scores it is anyone's choice which box is first, and all that follows hangs on it: where the detections differ
    and there are such, it is only looked at whether each row is a box with its score.

    Args:
        scores: (A, C).
        boxes: (A, 4).
        dets: (K, 5).
        labels: (K,) -1 where there is none.

    Raises:
        UserError: they are not.
    """
    rows = np.column_stack([labels, dets])[labels >= 0]
    cfg = network.detector.test_cfg
    candidates = candidates_of(scores, boxes, network.num_level, cfg)
    best_first = (np.diff(rows[:, 5]) <= 0).all()
    if best_first and any(_same(rows, left) for left in _left_over(candidates, cfg)):
        return
    if best_first and len(np.unique(candidates.scores)) < len(candidates.scores):
        whole = np.column_stack([np.repeat(np.arange(scores.shape[1]), len(boxes)), np.tile(boxes, (scores.shape[1], 1)),
                                 scores.T.reshape(-1)]).astype(np.float32)
        known = {row.tobytes() for row in whole[whole[:, 5] > np.float32(cfg.score_thr)]}
        if all(row.tobytes() in known for row in rows.astype(np.float32)):
            return
    raise UserError(f'{name}: detections of the ONNX model are not what is left of its boxes; nothing was written. Export '
                    f'without --with-nms')


def candidates_of(scores: np.ndarray, boxes: np.ndarray, num_level: Sequence[int], cfg: SSDTestCfg) -> Detections:
    """What takes part in suppression, from probabilities (A, C) and boxes (A, 4)."""
    pick = PICKS[cfg.nms_pre_counts]
    picked, flat = (part[0].numpy() for part in pick(torch.from_numpy(scores)[None], num_level, cfg.nms_pre))
    above = picked > np.float32(cfg.score_thr)
    picked, flat = picked[above], flat[above]
    return Detections(boxes[flat // scores.shape[1]], picked, flat % scores.shape[1])


def _left_over(candidates: Detections, cfg: SSDTestCfg) -> List[np.ndarray]:
    """Rows of label, box, score that suppression leaves; and those with a threshold that is a little less or more."""
    found = []
    given = cfg.nms.iou_threshold
    for threshold in (given, given - NEAR, given + NEAR):
        cfg.nms.iou_threshold = threshold
        try:
            left = suppress([candidates], cfg)
        finally:
            cfg.nms.iou_threshold = given
        found.append(np.column_stack([left.labels, left.bboxes, left.scores]))
    return found


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two tables have the same rows."""
    return one.shape == other.shape and all((np.sort(_as_keys(one)) == np.sort(_as_keys(other))).tolist())


def _as_keys(rows: np.ndarray) -> np.ndarray:
    """(n,) a row of float32 each as one value."""
    rows = np.ascontiguousarray(rows, np.float32) + np.float32(0)  # -0.0 is 0.0
    return rows.view([(f'{i}', np.float32) for i in range(rows.shape[1])])[:, 0]


def shapes_in_words(network: DecodingNetwork, form: Form) -> Tuple[str, str]:
    """The input, and the outputs."""
    size: Optional[Any] = 'batch' if form.dynamic_batch else form.batch
    head, cfg = network.detector.bbox_head, network.detector.test_cfg
    boxes = network.anchors.size(0)
    if form.nms:
        kept = min(cfg.max_per_img, cfg.nms.max_num or cfg.max_per_img, boxes * head.num_classes)
        outputs = f'dets ({size}, {kept}, 5), labels ({size}, {kept})'
    else:
        outputs = f'scores ({size}, {boxes}, {head.num_classes}), boxes ({size}, {boxes}, 4)'
    return f'{INPUT} ({size}, 3, {form.height}, {form.width})', outputs
