"""A detector of one stage: backbone, neck, head."""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from torch import Tensor, nn

from mmcv_need.errors import ConfigError
from mmdet.core.post_processing.detections import Detections, SSDTestCfg, suppress
from mmdet.models.base_module import give_first_weights
from mmdet.models.builder import BACKBONES, DETECTORS, HEADS, INITIALIZERS, NECKS
from mmdet.models.dense_heads.ssd_head import SSDTrainCfg
from mmdet.models.detectors.answers import summarize_losses
from mmdet.models.first_weights import Initializer, initialize
from mmdet.models.key_layouts import current_form, current_key
from mmdet.models.list_heads import (
    as_detections,
    as_lists,
    as_numbers,
    found_by_head,
    losses_of_head,
    padded,
    takes_lists,
    with_input_shape,
)

Losses = Dict[str, Tensor]
NEEDED = 'losses need train_cfg, gt_bboxes and gt_labels: name the latter two in the `Collect` of the training pipeline'


@DETECTORS.register_module()
class SingleStageDetector(nn.Module):
    """Image in, losses or detections out. A head may be written in MMDetection's manner (list_heads.py).

    A detector that derives from this in that manner may override `forward_train` and `simple_test`.

    Args:
        backbone: image -> features.
        neck: features -> levels; None passes them on.
        bbox_head: levels -> scores, offsets, losses, detections.
        train_cfg: needed for losses.
        test_cfg: needed for detections.
        pretrained: None: weights of the backbone are its `init_cfg`.
        init_cfg: weights for the whole detector.
    """
    config_parts: Mapping[str, Any] = dict(backbone=BACKBONES, neck=NECKS, bbox_head=HEADS, train_cfg=SSDTrainCfg,
                                           test_cfg=SSDTestCfg, init_cfg=INITIALIZERS)
    current_key, current_form = staticmethod(current_key), staticmethod(current_form)  # checkpoints of other layouts load too
    summarize_losses = staticmethod(summarize_losses)

    def __init__(self, backbone: nn.Module, neck: Optional[nn.Module] = None, bbox_head: Optional[nn.Module] = None,
                 train_cfg: Optional[SSDTrainCfg] = None, test_cfg: Optional[SSDTestCfg] = None, pretrained: None = None,
                 init_cfg: Optional[Initializer] = None):
        super().__init__()
        if bbox_head is None or pretrained is not None:
            raise ConfigError('bbox_head: a detector needs one' if bbox_head is None else
                              "pretrained: weights of the backbone are its init_cfg=dict(type='Pretrained', checkpoint=...)")
        self.backbone = backbone
        if neck is not None:
            self.neck = neck
        self.bbox_head = bbox_head
        self.train_cfg = train_cfg
        self.test_cfg = test_cfg or SSDTestCfg()
        self.head_takes_lists = takes_lists(bbox_head)
        for part in (backbone, neck, bbox_head):
            if part is not None:
                give_first_weights(part)
        self.learning: Optional[Tuple[Callable[..., Any], Callable[..., Any]]] = None  # `predict` and `loss`, compiled
        initialize(self, init_cfg)

    def extract_feat(self, img: Tensor) -> Tuple[Tensor, ...]:
        """(N, 3, H, W) -> the levels that the head predicts on."""
        features = self.backbone(img)
        return self.neck(features) if hasattr(self, 'neck') else features

    def predict(self, img: Tensor) -> Tuple[Tensor, Tensor, List[Tuple[int, int]]]:
        """(N, 3, H, W) -> scores (N, A, C+1), offsets (N, A, 4), and the (h, w) of each level's map."""
        levels = self.extract_feat(img)
        return (*self.bbox_head(levels), [(level.size(2), level.size(3)) for level in levels])

    def compile_learning(self, compiling: Callable[..., Callable[..., Any]]) -> None:
        """Have losses computed by compiled functions. What they are given are tensors alone; detections stay as they are.

        Args:
            compiling: (function, begins_step) -> the compiled function, see mmcv_need/compiling.py.

        Raises:
            ConfigError: the head is written in MMDetection's manner, whose lists change their lengths from step to step.
        """
        if self.head_takes_lists or self.overrides('forward_train'):
            part = type(self.bbox_head if self.head_takes_lists else self).__name__
            raise ConfigError(f'compile: {part} computes its losses of lists, which cannot be compiled; leave it out')
        self.learning = compiling(self.predict, begins_step=True), compiling(self.bbox_head.loss)

    def forward(self, img: Union[Tensor, Sequence[Tensor]], img_metas: Optional[Sequence[Any]] = None, return_loss: bool = True,
                gt_bboxes: Optional[Tensor] = None, gt_labels: Optional[Tensor] = None,
                gt_bboxes_ignore: Optional[Tensor] = None, rescale: bool = False) -> Union[Losses, List[Detections]]:
        """Losses of a batch (`return_loss`), or its detections.

        Args:
            img: (N, 3, H, W) network input. For detections also a list of such, one for each view of the pictures (see
                MultiScaleFlipAug), with as many lists in `img_metas`.
            img_metas: one mapping a picture; detections need `img_shape` and `scale_factor`. In training, default boxes
                beyond a picture's `pad_shape` take no part.
            return_loss: which of the two.
            gt_bboxes: (N, G, 4) in pixels of the input, for losses.
            gt_labels: (N, G) int64, -1 at padding, for losses.
            gt_bboxes_ignore: (N, K, 4) ignored regions, empty boxes at padding, for an assigner that asks for them.
            rescale: whether detections are in pixels of the original picture.
        """
        if not isinstance(img, Tensor):
            return self.detect_in_views(img, img_metas or (), rescale)
        if return_loss and (self.head_takes_lists or self.overrides('forward_train')):
            self._check_truths(gt_bboxes, gt_labels)
            truths = as_lists(gt_bboxes, gt_labels, gt_bboxes_ignore)
            return as_numbers(self.forward_train(img, with_input_shape(img, img_metas), *truths))
        if not return_loss and (self.head_takes_lists or self.overrides('simple_test')):
            return as_detections(self.simple_test(img, with_input_shape(img, img_metas), rescale=rescale))
        return self._compute(img, img_metas, return_loss, gt_bboxes, gt_labels, gt_bboxes_ignore, rescale)

    def _compute(self, img: Tensor, img_metas: Optional[Sequence[Any]], return_loss: bool, gt_bboxes: Optional[Tensor],
                 gt_labels: Optional[Tensor], gt_bboxes_ignore: Optional[Tensor], rescale: bool
                 ) -> Union[Losses, List[Detections]]:
        predict, loss = self.learning if return_loss and self.learning else (self.predict, self.bbox_head.loss)
        scores, deltas, sizes = predict(img)
        anchors = self.bbox_head.anchors(sizes, img.device)
        if return_loss:
            self._check_truths(gt_bboxes, gt_labels)
            if self.train_cfg is None:
                raise ConfigError(NEEDED)
            valid = anchors.valid_in([meta.get('pad_shape', img.shape[-2:]) for meta in img_metas or ()])
            return loss(scores, deltas, anchors, gt_bboxes, gt_labels, self.train_cfg, gt_bboxes_ignore, valid)
        return self.bbox_head.get_bboxes(scores, deltas, anchors, img_metas, self.test_cfg, rescale)

    @staticmethod
    def _check_truths(gt_bboxes: Optional[Tensor], gt_labels: Optional[Tensor]) -> None:
        if gt_bboxes is None or gt_labels is None:
            raise ConfigError(NEEDED)

    def overrides(self, name: str) -> bool:
        """Whether a class that derives from this one has a method of its own in place of this one's."""
        return getattr(type(self), name) is not getattr(SingleStageDetector, name)

    def forward_train(self, img: Tensor, img_metas: Sequence[Mapping[str, Any]], gt_bboxes: List[Tensor],
                      gt_labels: List[Tensor], gt_bboxes_ignore: Optional[List[Tensor]] = None) -> Dict[str, Any]:
        """Losses () of lists of ground truths, one a picture."""
        if self.head_takes_lists:
            return losses_of_head(self.bbox_head, self.extract_feat(img), img_metas, (gt_bboxes, gt_labels, gt_bboxes_ignore))
        ignored = None if gt_bboxes_ignore is None else padded(gt_bboxes_ignore, [boxes[:, 0] for boxes in gt_bboxes_ignore])[0]
        losses = self._compute(img, img_metas, True, *padded(gt_bboxes, gt_labels), ignored, False)
        return {name: loss.sum() for name, loss in losses.items()}  # as `summarize_losses` would

    def simple_test(self, img: Tensor, img_metas: Sequence[Mapping[str, Any]], rescale: bool = False) -> List[Detections]:
        """Detections in each picture."""
        if self.head_takes_lists:
            return found_by_head(self.bbox_head, self.extract_feat(img), img_metas, rescale)
        return self._compute(img, img_metas, False, None, None, None, rescale)

    def detect_in_views(self, imgs: Sequence[Tensor], img_metas: Sequence[Sequence[Mapping[str, Any]]],
                        rescale: bool = True) -> List[Detections]:
        """Detections of pictures that are looked at in several ways: the candidates of all views, suppressed together.

        Args:
            imgs: (N, 3, H, W) network input of each view; sizes may differ from view to view.
            img_metas: for each view, a mapping a picture.
            rescale: True: only the original picture's pixels are the same in all views.
        """
        if self.head_takes_lists or self.overrides('simple_test'):
            raise ConfigError('several views of a picture: what writes its detections in MMDetection\'s manner cannot put them '
                              'together; let the pipeline of the test show one view')
        if not rescale:
            raise ConfigError('several views of a picture share the pixels of the original only; detect with rescale=True')
        cfg, found = self.test_cfg.without_suppression(), []
        for img, metas in zip(imgs, img_metas):
            scores, deltas, sizes = self.predict(img)
            anchors = self.bbox_head.anchors(sizes, img.device)
            found.append(self.bbox_head.get_bboxes(scores, deltas, anchors, metas, cfg, rescale))
        return [suppress(views, self.test_cfg) for views in zip(*found)]
