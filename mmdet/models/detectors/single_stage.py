"""A detector of one stage: backbone, neck, head."""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from torch import Tensor, nn

from mmcv_need.errors import ConfigError
from mmdet.core.post_processing.detections import Detections, SSDTestCfg, suppress
from mmdet.models.builder import BACKBONES, DETECTORS, HEADS, INITIALIZERS, NECKS
from mmdet.models.dense_heads.ssd_head import SSDTrainCfg
from mmdet.models.key_layouts import current_form, current_key

Losses = Dict[str, Tensor]


@DETECTORS.register_module(parts=dict(backbone=BACKBONES, neck=NECKS, bbox_head=HEADS, train_cfg=SSDTrainCfg,
                                      test_cfg=SSDTestCfg, init_cfg=INITIALIZERS))
class SingleStageDetector(nn.Module):
    """Image in, losses or detections out.

    Args:
        backbone: image -> features.
        neck: features -> levels; None passes them on.
        bbox_head: levels -> scores, offsets, losses, detections.
        train_cfg: needed for losses.
        test_cfg: needed for detections.
        init_cfg: weights for the whole detector.
    """
    current_key, current_form = staticmethod(current_key), staticmethod(current_form)  # checkpoints of other layouts load too

    def __init__(self, backbone: nn.Module, bbox_head: nn.Module, neck: Optional[nn.Module] = None,
                 train_cfg: Optional[SSDTrainCfg] = None, test_cfg: Optional[SSDTestCfg] = None,
                 init_cfg: Optional[Callable[[nn.Module], None]] = None):
        super().__init__()
        self.backbone = backbone
        if neck is not None:
            self.neck = neck
        self.bbox_head = bbox_head
        self.train_cfg = train_cfg
        self.test_cfg = test_cfg or SSDTestCfg()
        self.learning: Optional[Tuple[Callable[..., Any], Callable[..., Any]]] = None  # `predict` and `loss`, compiled
        if init_cfg is not None:
            init_cfg(self)

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
        """
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
        predict, loss = self.learning if return_loss and self.learning else (self.predict, self.bbox_head.loss)
        scores, deltas, sizes = predict(img)
        anchors = self.bbox_head.anchors(sizes, img.device)
        if return_loss:
            if gt_bboxes is None or gt_labels is None or self.train_cfg is None:
                raise ConfigError('losses need train_cfg, gt_bboxes and gt_labels: name the latter two in the `Collect` of the '
                                  'training pipeline')
            valid = anchors.valid_in([meta.get('pad_shape', img.shape[-2:]) for meta in img_metas or ()])
            return loss(scores, deltas, anchors, gt_bboxes, gt_labels, self.train_cfg, gt_bboxes_ignore, valid)
        return self.bbox_head.get_bboxes(scores, deltas, anchors, img_metas, self.test_cfg, rescale)

    def detect_in_views(self, imgs: Sequence[Tensor], img_metas: Sequence[Sequence[Mapping[str, Any]]],
                        rescale: bool = True) -> List[Detections]:
        """Detections of pictures that are looked at in several ways: the candidates of all views, suppressed together.

        Args:
            imgs: (N, 3, H, W) network input of each view; sizes may differ from view to view.
            img_metas: for each view, a mapping a picture.
            rescale: True: only the original picture's pixels are the same in all views.
        """
        if not rescale:
            raise ConfigError('several views of a picture share the pixels of the original only; detect with rescale=True')
        cfg, found = self.test_cfg.without_suppression(), []
        for img, metas in zip(imgs, img_metas):
            scores, deltas, sizes = self.predict(img)
            anchors = self.bbox_head.anchors(sizes, img.device)
            found.append(self.bbox_head.get_bboxes(scores, deltas, anchors, metas, cfg, rescale))
        return [suppress(views, self.test_cfg) for views in zip(*found)]

    @staticmethod
    def summarize_losses(losses: Losses, num_samples: int) -> Dict[str, Any]:
        """The training step's answer: the sum to go backward from, what to log, and each image's losses, all on the device.

        Args:
            losses: (N,) losses of each image by name.
            num_samples: N.
        """
        log_vars = {name: loss.sum() for name, loss in losses.items()}
        total = sum(log_vars.values())
        log_vars['loss'] = total
        return {'loss': total, 'log_vars': {name: value.detach() for name, value in log_vars.items()},
                'losses': {name: loss.detach() for name, loss in losses.items()}, 'num_samples': num_samples}
