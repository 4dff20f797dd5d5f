"""What detectors in MMDetection's manner derive from."""
from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from torch import Tensor

from mmdet.core.post_processing.detections import Detections
from mmdet.models.base_module import BaseModule
from mmdet.models.detectors.answers import summarize_losses
from mmdet.models.list_heads import as_detections, as_lists, as_numbers, with_input_shape


class BaseDetector(BaseModule):
    """Has `forward_train(img, img_metas, gt_bboxes, gt_labels, gt_bboxes_ignore=None)`, which gives losses of lists of ground
    truths, and `simple_test(img, img_metas, rescale=False)`, which gives what is found in each picture.

    Its constructor is given settings as they are written, and builds its parts by `build_backbone` and its sisters. What it
    calls `bbox_head` has `num_classes`.
    """
    summarize_losses = staticmethod(summarize_losses)

    def extract_feat(self, img: Tensor) -> Any:
        raise NotImplementedError(f'{type(self).__name__} does not say what its features are')

    def forward_train(self, img: Tensor, img_metas: Sequence[Mapping[str, Any]], gt_bboxes: List[Tensor],
                      gt_labels: List[Tensor], gt_bboxes_ignore: Optional[List[Tensor]] = None) -> Dict[str, Any]:
        raise NotImplementedError(f'{type(self).__name__} does not say what its losses are')

    def simple_test(self, img: Tensor, img_metas: Sequence[Mapping[str, Any]], rescale: bool = False) -> List[Any]:
        raise NotImplementedError(f'{type(self).__name__} does not say what it finds')

    @property
    def with_neck(self) -> bool:
        return getattr(self, 'neck', None) is not None

    @property
    def with_bbox(self) -> bool:
        return getattr(self, 'bbox_head', None) is not None

    def init_weights(self, pretrained: Any = None) -> None:
        """As BaseModule's. `pretrained`: of MMDetection before 2.12; `init_cfg` says it now."""
        super().init_weights()

    def forward(self, img: Tensor, img_metas: Optional[Sequence[Any]] = None, return_loss: bool = True,
                gt_bboxes: Optional[Tensor] = None, gt_labels: Optional[Tensor] = None,
                gt_bboxes_ignore: Optional[Tensor] = None, rescale: bool = False) -> Any:
        """Losses () of a batch by name, or its detections; arguments as of SingleStageDetector."""
        metas = with_input_shape(img, img_metas)
        if return_loss:
            return as_numbers(self.forward_train(img, metas, *as_lists(gt_bboxes, gt_labels, gt_bboxes_ignore)))
        found: List[Detections] = as_detections(self.simple_test(img, metas, rescale=rescale))
        return found
