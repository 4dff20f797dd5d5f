"""A detector as an ONNX model: network input in, scores and boxes out, or detections.

Sizes:  N images,  A default boxes,  C classes,  K detections kept of an image.
"""
from __future__ import annotations

import importlib.util
import io
import logging
import warnings
from typing import Any, Dict, List, NamedTuple, Tuple

import torch
from torch import Tensor, nn

from mmcv_need.errors import ConfigError, UserError
from mmcv_need.torch_versions import require
from mmdet.apis.onnx_nms import with_suppression
from mmdet.core.post_processing.detections import SSDTestCfg
from mmdet.core.post_processing.nms import GreedyNMS
from mmdet.models.detectors.single_stage import SingleStageDetector

INPUT = 'input'
RAW, FOUND = ('scores', 'boxes'), ('dets', 'labels')  # outputs, without and with suppression


class Exporter(NamedTuple):
    """One of torch's two ways to write ONNX.

    Fields:
        opsets: that it is used for.
        feature: of torch, in torch_versions.
        needs: packages.
        options: of `torch.onnx.export`.
    """
    opsets: range
    feature: str
    needs: Tuple[str, ...]
    options: Dict[str, Any]


# The older one, which torch calls deprecated, alone writes opsets below 18, and every ATC reads 11. The newer one's `optimize`
# takes the 1e-10 of L2Norm for 0 and drops it, whereupon a black picture gives 0 / 0.
EXPORTERS = (Exporter(range(11, 18), 'export to ONNX up to opset 17', ('onnx',),
                      {'dynamo': False, 'do_constant_folding': True}),
             Exporter(range(18, 21), 'export to ONNX from opset 18 on', ('onnx', 'onnxscript'),
                      {'dynamo': True, 'optimize': False, 'external_data': False}))
OPSETS = [opset for exporter in EXPORTERS for opset in exporter.opsets]


class Form(NamedTuple):
    """What to export.

    Fields:
        height, width: of the input in pixels.
        batch: N; with `dynamic_batch` the file takes any.
        opset: of ONNX's operators.
        nms: whether the model ends with the config's suppression.
    """
    height: int
    width: int
    batch: int = 1
    dynamic_batch: bool = False
    opset: int = 11
    nms: bool = False

    @property
    def names(self) -> Tuple[str, str]:
        """Of the outputs."""
        return FOUND if self.nms else RAW


class DecodingNetwork(nn.Module):
    """A detector up to its boxes, for one size of input, whose default boxes are constants.

    Args:
        detector: in evaluation mode, on the CPU.
        form: its size.

    Raises:
        ConfigError: it takes no input of this size, or finds boxes in a way of its own.
    """

    def __init__(self, detector: nn.Module, form: Form):
        super().__init__()
        if not isinstance(detector, SingleStageDetector) or detector.head_takes_lists or detector.overrides('simple_test'):
            raise ConfigError(f'model: a {type(detector).__name__} that finds its boxes by code of its own cannot be exported; '
                              f'only heads that give scores and offsets of default boxes can')
        self.detector, self.size, self.limited = detector, (form.height, form.width), form.nms
        try:
            with torch.no_grad():
                sizes = detector.predict(torch.zeros(1, 3, *self.size))[2]
        except RuntimeError as error:  # as a convolution raises that is wider than its map
            raise ConfigError(f'--shape: {form.height} x {form.width} pixels: the network has no output for an input of this '
                              f'size ({error}). Give a larger one') from error
        anchors = detector.bbox_head.anchors(sizes, torch.device('cpu'))
        self.num_level = list(anchors.num_level)
        self.register_buffer('anchors', anchors.boxes)

    def forward(self, img: Tensor) -> Tuple[Tensor, ...]:
        """(N, 3, H, W) -> probabilities (N, A, C) without background, boxes (N, A, 4) x1, y1, x2, y2 in pixels of the input.

        And, for suppression, (N, C, A) the probabilities that take part, 0 for the others.
        """
        logits, deltas, _ = self.detector.predict(img)
        scores = logits.softmax(dim=-1)[..., :-1]
        boxes = self.detector.bbox_head.bbox_coder.decode(self.anchors, deltas, max_shape=self.size)
        if not self.limited:
            return scores, boxes
        return scores, boxes, limit_candidates(scores, self.num_level, self.detector.test_cfg).transpose(1, 2)


def limit_candidates(scores: Tensor, num_level: List[int], cfg: SSDTestCfg) -> Tensor:
    """(N, A, C) probabilities, 0 where they are not among the `nms_pre` best of their level, or class.

    What `find_candidates` picks, in constant shapes.
    """
    if cfg.nms_pre <= 0:
        return scores
    if cfg.nms_pre_counts == 'class':
        values, where = scores.topk(min(cfg.nms_pre, scores.size(1)), dim=1)
        return torch.zeros_like(scores).scatter(1, where, values)
    levels = []
    for level in scores.split(num_level, dim=1):
        counted = level.flatten(1) if cfg.nms_pre_counts == 'pairs' else level.amax(dim=2)
        values, where = counted.topk(min(cfg.nms_pre, counted.size(1)), dim=1)
        if cfg.nms_pre_counts == 'pairs':
            level = torch.zeros_like(counted).scatter(1, where, values).reshape(level.shape)
        else:
            level = level * torch.zeros_like(counted).scatter(1, where, torch.ones_like(values))[..., None]
        levels.append(level)
    return torch.cat(levels, dim=1)


def export(network: DecodingNetwork, form: Form) -> bytes:
    """The ONNX model of a network.

    Raises:
        UserError: this torch, or a package that is missing, cannot; or torch fails.
        ConfigError: the config's suppression is none that ONNX has.
    """
    if form.nms:
        check_suppression(network.detector.test_cfg)
    exporter = usable_exporter(form.opset)
    names = [*RAW, 'candidates'] if form.nms else list(RAW)
    options = dict(exporter.options, input_names=[INPUT], output_names=names, opset_version=form.opset, verbose=False)
    img = torch.zeros(max(form.batch, 2) if form.dynamic_batch else form.batch, 3, form.height, form.width)
    if form.dynamic_batch and options['dynamo']:
        options['dynamic_shapes'] = ({0: torch.export.Dim('batch')},)
    elif form.dynamic_batch:
        options['dynamic_axes'] = {name: {0: 'batch'} for name in [INPUT, *names]}
    model = write_onnx(network, img, options)
    return with_suppression(model, network.detector.test_cfg, network.anchors.size(0), FOUND) if form.nms else model


def write_onnx(network: nn.Module, img: Tensor, options: Dict[str, Any]) -> bytes:
    """What torch writes, without what it says meanwhile: of its plans for the older exporter, of packages that it misses."""
    talkative = logging.getLogger('torch.onnx')
    level, file = talkative.level, io.BytesIO()
    talkative.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            if not options['dynamo']:
                torch.onnx.export(network, (img,), file, **options)
                return file.getvalue()
            return torch.onnx.export(network, (img,), **options).model_proto.SerializeToString()
    except Exception as error:  # of many kinds
        first = str(error).strip().split('\n')[0]
        raise UserError(f"--opset-version {options['opset_version']}: torch {torch.__version__} cannot export this network "
                        f'({type(error).__name__}: {first:.300}). Try another opset, {OPSETS[0]} to {OPSETS[-1]}') from error
    finally:
        talkative.setLevel(level)


def usable_exporter(opset: int) -> Exporter:
    """The exporter for an opset.

    Raises:
        UserError: there is none, or it lacks a package.
        ConfigError: it is not in this torch.
    """
    exporter = next((exporter for exporter in EXPORTERS if opset in exporter.opsets), None)
    if exporter is None:
        raise UserError(f'--opset-version {opset}: expected {OPSETS[0]} to {OPSETS[-1]}')
    require(exporter.feature, 'export elsewhere: checkpoints are the same there')
    require_packages(*exporter.needs)
    return exporter


def require_packages(*names: str) -> None:
    """Packages of the extra `export` are here.

    Raises:
        UserError: one is not.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"export needs {', '.join(missing)}: pip install onnx onnxruntime onnxscript")


def check_suppression(cfg: SSDTestCfg) -> None:
    """The config's suppression is what ONNX's NonMaxSuppression does.

    Raises:
        ConfigError: it is not.
    """
    nms, why = cfg.nms, ''
    if not isinstance(nms, GreedyNMS):
        why = f'nms is {type(nms).__name__}'
    elif nms.class_agnostic or nms.offset:
        why = 'nms has class_agnostic=True' if nms.class_agnostic else f'nms has offset={nms.offset}'
    elif cfg.max_per_img is None:
        why = 'max_per_img keeps all'
    if why:
        raise ConfigError(f"--with-nms: model.test_cfg: {why}; ONNX's NonMaxSuppression is dict(type='nms') class by class, of "
                          f'at most max_per_img boxes. Change test_cfg, or export without --with-nms and suppress afterwards')
