"""A sample on its way through a pipeline."""
from __future__ import annotations

import dataclasses
from typing import Any, Iterator, KeysView, Optional, Tuple

import numpy as np

from mmcv_need.errors import ConfigError
from mmdet.datasets.pipelines.plan import Plan


class Sample(dict):
    """MMDetection's `results` dict, with the picture as a plan and the sample's own random numbers.

    A transform written for MMDetection reads and writes `results['img']`: reading renders the plan so far, and what was
    written becomes the source of the plan from there on. Our transforms edit `sample.plan` and never touch pixels. Whoever goes
    through all entries, as `dict(results)` does, sees the rendered picture among them; `copy` renders nothing.

    Attributes:
        rng: a function of (seed, epoch, index) only, so workers and resuming do not change a sample.
    """

    def __init__(self, *args: Any, rng: Optional[np.random.Generator] = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.rng = rng if rng is not None else np.random.default_rng()
        self._plan: Optional[Plan] = None

    def __missing__(self, key: str) -> Any:
        if key != 'img' or self._plan is None:
            raise KeyError(key)
        self['img'] = self._plan.settled().source
        return self['img']

    @property
    def plan(self) -> Plan:
        if super().__contains__('img'):
            self._plan = Plan(self.pop('img'))
        if self._plan is None:
            raise ConfigError('there is no picture here yet: LoadImageFromFile comes first')
        return self._plan

    @plan.setter
    def plan(self, plan: Plan) -> None:
        self.pop('img', None)
        self._plan = plan

    def plan_to_edit(self, settle: bool = False) -> Plan:
        """The plan; settled first if what it holds so far cannot be said together with the edit to come.

        That is always so of padding: what comes after Pad takes it for a part of the picture.
        """
        if settle or self.plan.pad_shape is not None:
            self.plan = self.plan.settled()
        return self.plan

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (key == 'img' and self._plan is not None)

    def __iter__(self) -> Iterator[str]:
        self.get('img')
        return super().__iter__()

    def keys(self) -> KeysView[str]:
        self.get('img')
        return super().keys()

    def items(self) -> Any:
        self.get('img')
        return super().items()

    def values(self) -> Any:
        self.get('img')
        return super().values()

    def copy(self) -> Sample:
        """The same entries, plan and random numbers; edits of one are not seen in the other."""
        copied = Sample(super().copy(), rng=self.rng)
        copied._plan = self._plan and dataclasses.replace(self._plan)
        return copied

    __copy__ = copy

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 (this is it)

    def set_shape(self, shape: Tuple[int, int]) -> None:
        self['img_shape'] = (*shape, 3)
        self['pad_shape'] = (*shape, 3)
