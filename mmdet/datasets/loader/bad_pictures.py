"""Pictures that cannot be used, where they are to be skipped: others take their places, and they are counted."""
from __future__ import annotations

import math
import warnings
from typing import Any, Dict, Mapping, Optional, Set

import numpy as np

from mmcv_need.errors import DataError
from mmdet.datasets.wrappers import own_datasets

REPLACED = 'replaces'  # key of a picture's meta: what is wrong with the one whose place it takes
TRIES = 10
STREAM = 0xBAD  # tells the draw of another picture from all that is drawn for samples


def another(dataset: Any, seed: int, index: int, rng: np.random.Generator, error: DataError) -> Any:
    """A sample of another picture of the same kind, wide or tall, in the place of one that cannot be used.

    Which one follows from (seed, index) alone, so all other samples of a run stay what they are.

    Args:
        dataset: has `sample` and `flag`.
        seed: of the run.
        index: of the picture that cannot be used.
        rng: of the sample's place in the run.
        error: what is wrong with the picture.

    Raises:
        DataError: `TRIES` others cannot be used either.
    """
    choice = np.random.default_rng([seed, index, STREAM])
    same_group = np.flatnonzero(dataset.flag == dataset.flag[index])
    for _ in range(TRIES):
        try:
            item = dataset.sample(int(choice.choice(same_group)), rng)
        except DataError:
            continue
        if item is not None:
            for view in item if isinstance(item, list) else [item]:
                view['img_metas'] = {**view['img_metas'], REPLACED: str(error)}
            return item
    raise DataError(f'{error}. {TRIES} pictures that might take its place cannot be used either')


class BadPictures:
    """Counts the pictures that were met and could not be used, lists them, and says when there are too many.

    Args:
        dataset: of the loader.
        share: of its pictures that may be bad; one may in any case.
        path: of a text file to which what is wrong is added, a line each; None for none.
    """

    def __init__(self, dataset: Any, share: float, path: Optional[str] = None):
        pictures = sum(len(own) for own in own_datasets(dataset))
        self.limit = max(1, math.ceil(share * pictures))
        self.allowed = f'{self.limit} of {pictures:,} pictures (data.max_bad_data={share:g})'
        self.path = path
        self.known: Set[str] = set()

    def look_at(self, metas: Any) -> None:
        """Take note of a batch. `metas`: of its pictures.

        Raises:
            DataError: there are too many.
        """
        for meta in metas:
            text = meta.get(REPLACED) if isinstance(meta, Mapping) else None
            if text is None or text in self.known:
                continue
            self.known.add(text)
            if self.path is not None:
                with open(self.path, 'a', encoding='utf-8', errors='surrogateescape') as file:
                    file.write(f'{text}\n')
            if len(self.known) > self.limit:
                listed = f' They are listed in {self.path}.' if self.path else ''
                raise DataError(f'{text}. More pictures than may be skipped cannot be used: {self.allowed}.{listed} '
                                f'tools/check_dataset.py finds all')
            warnings.warn(f"skipped ({len(self.known)} of up to {self.limit}): {text}", UserWarning, stacklevel=3)


def of_batch(batch: Any) -> Any:
    """The metas of a batch; of the first view if it has several."""
    first: Dict[str, Any] = batch[0] if isinstance(batch, list) else batch
    return first['img_metas']
