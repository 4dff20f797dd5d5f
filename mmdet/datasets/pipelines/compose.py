"""Transforms one after another."""
from __future__ import annotations

from typing import Any, Sequence


class Compose:
    """Applies transforms in order.

    Returns None as soon as a transform does, which means: this sample is of no use, take another.
    """

    def __init__(self, transforms: Sequence[Any]):
        self.transforms = list(transforms)

    def __call__(self, sample: Any) -> Any:
        for transform in self.transforms:
            sample = transform(sample)
            if sample is None:
                return None
        return sample
