"""Transforms one after another; those of somebody's own among them."""
from __future__ import annotations

import random
from contextlib import contextmanager
from typing import Any, Iterator, Sequence

import numpy as np
import torch

from mmdet.datasets.pipelines.sample import Sample

OURS = __name__.rpartition('.')[0]


class Compose:
    """Applies transforms in order.

    Returns None as soon as a transform does, which means: this sample is of no use, take another.
    """

    def __init__(self, transforms: Sequence[Any]):
        self.transforms = list(transforms)

    def __call__(self, sample: Any) -> Any:
        for transform in self.transforms:
            sample = apply(transform, sample)
            if sample is None:
                return None
        return sample


def apply(transform: Any, sample: Any) -> Any:
    """What a transform makes of a sample.

    One that is not of this package may draw from `random`, `numpy.random` and `torch`: those begin anew with what follows from
    the sample's own generator, so that workers and resuming do not change a sample. It may also return another dict than it
    was given.
    """
    if type(transform).__module__.startswith(f'{OURS}.') or not isinstance(sample, Sample):
        return transform(sample)
    before = sample.copy()
    with global_draws(sample.rng):
        made = transform(sample)
    if not isinstance(made, dict) or isinstance(made, Sample) or 'img_metas' in made:  # the latter has been collected
        return made
    whole = Sample(made, rng=before.rng)
    if 'img' not in made:
        whole.plan = before.plan
    return whole


@contextmanager
def global_draws(rng: np.random.Generator) -> Iterator[None]:
    """Within this, what the process draws follows from a generator, of which nothing is drawn; after it all is as before."""
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    bits = rng.bit_generator
    sequence = bits.seed_seq if hasattr(bits, 'seed_seq') else bits._seed_seq  # before numpy 1.25
    seed = int(sequence.spawn(1)[0].generate_state(1)[0])  # another one each time
    random.seed(seed)
    np.random.seed(seed)
    torch.random.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.random.set_rng_state(states[2])
