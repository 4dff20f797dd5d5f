"""`init_cfg`: where a module's first weights come from."""
from __future__ import annotations

import warnings

from torch import nn

from mmcv_need.averages import evaluated_weights
from mmcv_need.checkpoint import read_checkpoint
from mmcv_need.pretrained import address_of, local_file
from mmcv_need.weights import load_weights
from mmdet.models.builder import INITIALIZERS
from mmdet.models.key_layouts import current_key


@INITIALIZERS.register_module('Pretrained')
class Pretrained:
    """Loads weights that fit by name and shape, such as ImageNet weights into a backbone.

    What the file lacks of the module is said in a warning; what it has beyond, such as a classifier, is not.

    Args:
        checkpoint: a file, an address, or a name such as 'open-mmlab://vgg16_caffe'.
        prefix: take only keys of this part, and cut it off: 'backbone.' of a whole detector, with the point or without, in any
            layout that a detector loads.

    Raises:
        CheckpointError: at construction, before anything slow: it is not here and cannot be fetched.
    """

    def __init__(self, checkpoint: str, prefix: str = ''):
        self.path = local_file(checkpoint)
        self.prefix = f'{prefix.rstrip(".")}.' if prefix else ''

    @staticmethod
    def check_arguments(checkpoint: str) -> None:
        address_of(checkpoint)

    def __call__(self, module: nn.Module) -> None:
        state = evaluated_weights(read_checkpoint(self.path))
        if self.prefix:
            state = {current_key(key): value for key, value in state.items()}
        cut = {key[len(self.prefix):]: value for key, value in state.items() if key.startswith(self.prefix)}
        lacking = load_weights(module, cut, self.path)._replace(unexpected={})
        if any(lacking):
            warnings.warn(f'{self.path}: does not hold all weights of {type(module).__name__}, which keeps its random first '
                          f'weights for the others; {lacking}', UserWarning, stacklevel=2)
