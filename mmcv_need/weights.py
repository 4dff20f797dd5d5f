"""Weights: from a checkpoint into a model, and what did not fit."""
from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from torch import Tensor, nn

from mmcv_need.errors import CheckpointError
from mmcv_need.finiteness import first_not_finite

Shape = Tuple[int, ...]
ROWS = 12  # that a table spends on one kind of mismatch
NESTED = ('state_dict', 'model', 'model_state_dict', 'model_state')  # where checkpoints have their weights
DEPTH = 3  # of such in such
WRAPPED = re.compile(r'^(module\.)+')  # of (several) wrappers for several devices
COMPILED = '_orig_mod.'  # of torch.compile, around the model or a part of it
WHOLE = ('model.', 'detector.')  # of programs whose model is a part of something


def state_dict_of(checkpoint: Mapping[str, Any]) -> Dict[str, Tensor]:
    """The weights of a checkpoint, or of a bare state dict, without what wrappers add to their names.

    Weights stand at `state_dict`, as MMCV's and MMEngine's do, or at one of `NESTED`. A prefix of `WHOLE` is cut off if all
    weights have it, since a model may have a part of such a name.

    Raises:
        CheckpointError: they are nothing of the kind.
    """
    state: Any = checkpoint
    for _ in range(DEPTH):
        state = next((state[key] for key in NESTED if isinstance(state.get(key), dict)), state)
    if 'state_dict' in state and not isinstance(state['state_dict'], Tensor):
        raise CheckpointError(f"'state_dict' of the checkpoint is a {type(state['state_dict']).__name__}; expected a dict of "
                              f'tensors')
    weights = {WRAPPED.sub('', str(key).replace(COMPILED, '')): value for key, value in state.items()
               if isinstance(value, Tensor)}
    for prefix in WHOLE:
        if weights and all(key.startswith(prefix) for key in weights):
            weights = {WRAPPED.sub('', key[len(prefix):]): value for key, value in weights.items()}
    return weights


class Mismatch(NamedTuple):
    """Keys of a state dict, or of a model, that did not fit, with their shapes; `misshaped` has the file's and the model's."""
    missing: Dict[str, Shape]
    unexpected: Dict[str, Shape]
    misshaped: Dict[str, Tuple[Shape, Shape]]

    def __str__(self) -> str:
        """One line, for errors."""
        misshaped = [f'{key} {found} in the file, {own} in the model' for key, (found, own) in self.misshaped.items()]
        rows = [f'{title}: {", ".join(keys[:8])}{f", ... ({len(keys)} in all)" if len(keys) > 8 else ""}'
                for title, keys in (('not in the checkpoint', list(self.missing)), ('not in the model', list(self.unexpected)),
                                    ('of another shape', misshaped)) if keys]
        return '; '.join(rows)

    def table(self) -> str:
        """Lines of key, shape in the file and shape in the model, for the log; '' if all fits."""
        kinds = (('not in the file, kept as the model had them', {key: (None, own) for key, own in self.missing.items()}),
                 ('not in the model, passed over', {key: (found, None) for key, found in self.unexpected.items()}),
                 ('of another shape, kept as the model had them', self.misshaped))
        rows: List[Tuple[str, ...]] = []
        for title, shapes in kinds:
            if shapes:
                rows.append((f'{title} ({len(shapes)})', 'in the file', 'in the model'))
                rows += [(f'  {key}', *cells) for key, cells in _summary(shapes).items()]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _summary(shapes: Mapping[str, Tuple[Optional[Shape], Optional[Shape]]]) -> Dict[str, Tuple[str, ...]]:
    """At most `ROWS` rows; where there are more keys, one row for all that begin alike."""
    depth, groups = max(key.count('.') for key in shapes) + 1, {key: [key] for key in shapes}
    while len(groups) > ROWS and depth > 1:
        depth -= 1
        groups = {}
        for key in shapes:
            groups.setdefault('.'.join(key.split('.')[:depth]), []).append(key)
    rows = {}
    for prefix, keys in groups.items():
        one = len(keys) == 1
        rows[keys[0] if one else f'{prefix}.*'] = tuple(
            '-' if shape is None else _text(shape) if one else f'{len(keys)} tensors' for shape in shapes[keys[0]])
    kept = dict(list(rows.items())[:ROWS - 1]) if len(rows) > ROWS else rows
    return kept if kept is rows else {**kept, f'and {len(rows) - len(kept)} more': ('', '')}


def _text(shape: Shape) -> str:
    return 'x'.join(map(str, shape)) or 'one number'


def current_weights(model: nn.Module, state: Mapping[str, Tensor]) -> Dict[str, Tensor]:
    """A state dict under the names and in the forms that a model has today, in the file's order.

    A model that knows other forms of its weights has a function `current_form(state) -> state`; one that knows older names, a
    function `current_key(key) -> key`.
    """
    own, rename = model.state_dict(), getattr(model, 'current_key', lambda key: key)
    state = getattr(model, 'current_form', dict)(state)
    return {key if key in own else rename(key): value for key, value in state.items()}


def load_weights(model: nn.Module, state: Mapping[str, Tensor], source: str, strict: bool = False) -> Mismatch:
    """Copy the weights that fit into a model.

    Args:
        model: receives the weights.
        state: keys and tensors, on any device.
        source: the file, for errors.
        strict: whether every key must fit both ways.

    Raises:
        CheckpointError: nothing fits; a tensor that fits has numbers that are NaN or infinite; or, if strict, anything does not
            fit.
    """
    own, state = model.state_dict(), current_weights(model, state)
    fitting = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    mismatch = Mismatch(
        missing={key: tuple(value.shape) for key, value in own.items()
                 if key not in state and not key.endswith('num_batches_tracked')},
        unexpected={key: tuple(value.shape) for key, value in state.items() if key not in own},
        misshaped={key: (tuple(value.shape), tuple(own[key].shape)) for key, value in state.items()
                   if key in own and key not in fitting})
    if not fitting:
        raise CheckpointError(f'{source}: none of its {len(state)} tensors fits this model; {mismatch}')
    if strict and any(mismatch):
        raise CheckpointError(f'{source}: made for another model; {mismatch}')
    bad = first_not_finite(fitting)
    if bad:
        raise CheckpointError(f'{source}: {bad} is not finite: the run that wrote it had diverged. Use an older checkpoint')
    model.load_state_dict(fitting, strict=False)
    return mismatch
