"""Suppression as nodes of an ONNX model, behind those that a network was exported to.

Sizes:  N images,  A default boxes,  C classes,  K detections kept of an image,  S boxes that are left in the whole batch.
"""
from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import numpy as np

from mmcv_need.errors import UserError
from mmdet.core.post_processing.detections import SSDTestCfg

PREFIX = 'suppress_'  # of names, so that none is the network's


def with_suppression(model: bytes, cfg: SSDTestCfg, num_boxes: int, names: Tuple[str, str]) -> bytes:
    """A model that ends with detections.

    NonMaxSuppression gives as many boxes as are left. They are put back in their places among all pairs of box and class, the
    K best of which make outputs of constant shape.

    Args:
        model: with outputs `scores` (N, A, C), `boxes` (N, A, 4) and `candidates` (N, C, A), which is 0 for pairs that take no
            part.
        cfg: thresholds; greedy, class by class.
        num_boxes: A.
        names: of the new outputs: (N, K, 5) float32 x1, y1, x2, y2, score, best first, zeros where fewer are left; and (N, K)
            int64 labels, -1 there.
    """
    try:
        import onnx
    except ImportError as error:
        raise UserError('--with-nms needs onnx: pip install onnx onnxruntime onnxscript') from error
    proto = onnx.load_model_from_string(model)
    graph = proto.graph
    batch, num_classes = graph.output[0].type.tensor_type.shape.dim[0], graph.output[0].type.tensor_type.shape.dim[2].dim_value
    size = batch.dim_param or batch.dim_value
    kept = min(cfg.max_per_img, num_boxes * num_classes)
    limit = kept if cfg.nms.max_num is None else min(kept, cfg.nms.max_num)
    floats, whole = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    constants = {'limit': np.array([limit]), 'iou': np.array([cfg.nms.iou_threshold], np.float32),
                 'score': np.array([max(cfg.score_thr, cfg.nms.score_threshold, 0)], np.float32),
                 'rows': np.array([0, -1]), 'column': np.array([0, -1, 1]), 'kept': np.array([limit]),
                 'num_boxes': np.array(num_boxes), 'none': np.array(-0.5, np.float32), 'zero': np.array(0, np.float32),
                 'minus': np.array(-1)}
    graph.initializer.extend(onnx.numpy_helper.from_array(value, PREFIX + name) for name, value in constants.items())
    graph.node.extend(_nodes(onnx.helper, names, onnx.numpy_helper.from_array(np.array([-1], np.float32))))
    del graph.output[:]
    graph.output.extend([onnx.helper.make_tensor_value_info(names[0], floats, [size, limit, 5]),
                         onnx.helper.make_tensor_value_info(names[1], whole, [size, limit])])
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def _nodes(helper: Any, names: Sequence[str], minus_one: Any) -> List[Any]:
    nodes: List[Any] = []

    def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> None:
        """Names of the network's outputs and of the model's stay as they are; others get the prefix."""
        own = ('boxes', 'candidates', *names)
        one, other = ([name if name in own else PREFIX + name for name in text.split()] for text in (inputs, outputs))
        nodes.append(helper.make_node(kind, one, other, name=f'{PREFIX}{outputs.split()[0]}', **attributes))

    node('NonMaxSuppression', 'boxes candidates limit iou score', 'selected')  # (S, 3) image, class, box
    node('GatherND', 'candidates selected', 'selected_scores')
    node('Shape', 'candidates', 'shape')
    node('ConstantOfShape', 'shape', 'nothing', value=minus_one)
    node('ScatterND', 'nothing selected selected_scores', 'remaining')  # (N, C, A)
    node('Reshape', 'remaining rows', 'pairs')
    node('TopK', 'pairs kept', 'best where', axis=1)  # (N, K)
    node('Div', 'where num_boxes', 'best_labels')
    node('Mod', 'where num_boxes', 'best_boxes')
    node('Greater', 'best none', 'found')
    node('Where', 'found best_labels minus', names[1])
    node('Reshape', 'best_boxes column', 'index')
    node('Concat', 'index index index index', 'indices', axis=2)
    node('GatherElements', 'boxes indices', 'corners', axis=1)
    node('Reshape', 'best column', 'column_of_scores')
    node('Concat', 'corners column_of_scores', 'found_rows', axis=2)
    node('Reshape', 'best column', 'marks')
    node('Greater', 'marks none', 'found_in_rows')
    node('Where', 'found_in_rows found_rows zero', names[0])
    return nodes
