"""An optimizer's state in a checkpoint, and back: by the names of the weights, whatever order and groups the file has.

A state dict of torch counts parameters by position. Which weight stands at a position the groups say themselves (`param_names`,
which builder.py writes), or the order of the weights in the file: MMCV's optimizers have one group, or one a parameter.
"""
from __future__ import annotations

import math
import re
from typing import Any, Callable, Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import nn

from mmcv_need.arguments import is_number, listed
from mmcv_need.torch_versions import has

HOW = {'foreach', 'fused', 'capturable', 'differentiable'}  # how to compute, which is not the checkpoint's business
ADDED = {*HOW, 'maximize', 'decoupled_weight_decay'}  # options that torch's optimizers have had in some versions only
NUMBERS = ('lr', 'initial_lr', 'momentum', 'initial_momentum', 'weight_decay')  # of a group
SCHEDULED = {'lr': 'initial_lr', 'momentum': 'initial_momentum', 'betas': 'initial_momentum'}  # schedules move these from those
SHAPED = {'momentum_buffer', 'exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'exp_inf', 'square_avg', 'grad_avg', 'acc_delta', 'sum',
          'prev', 'step_size', 'ax'}  # what optimizers remember of each number of a weight
KEPT_BESIDE = re.compile('initial_.*|.*_mult|step')  # what schedules, MMEngine and apex keep in a group, beside its options
Slots = List[Tuple[str, Any]]  # of a group: name of the weight, position in the state


class OrderUnknown(ValueError):
    """The state is of a program that keeps no names, and does not tell which weight is which."""


def load_by_name(optimizer: torch.optim.Optimizer, state: Mapping[str, Any], stored: Iterable[str], model: nn.Module,
                 scheduled: Collection[str] = tuple(SCHEDULED)) -> Optional[str]:
    """Give an optimizer the state of a checkpoint: each parameter its own, by name.

    A run goes on with the file's settings (rates, momentum, decay) if the file's groups are today's; MMCV's, of one parameter
    each, count as joined where their settings are equal. Otherwise the settings are the config's.

    Args:
        optimizer: over parameters of `model`.
        state: the `state_dict()` of such an optimizer: of all parameters, as MMCV's, or of those that learn.
        stored: the names of the weights, as the model calls them today, in the file's order.
        model: has the names of the parameters.
        scheduled: settings that a schedule of this run moves, so that it is no matter where the file's stood.

    Returns:
        What to tell the user where settings of file and config differ; None if they do not.

    Raises:
        OrderUnknown: it has no names, and as many parameters or groups as give no order.
        ValueError: it is another optimizer's, or does not say of every parameter where its state is.
    """
    names = {parameter: name for name, parameter in model.named_parameters()}
    today = [[names[parameter] for parameter in group['params']] for group in optimizer.param_groups]
    learning = {name for group in today for name in group}
    slots = _slots(state['param_groups'], stored, set(names.values()), today, getattr(model, 'current_key', lambda key: key))
    kept = [([pair for pair in group if pair[0] in learning], saved) for group, saved in zip(slots, state['param_groups'])]
    found = dict(pair for group, _ in kept for pair in group)
    if set(found) != learning:
        missing = sorted(learning - set(found))
        raise ValueError(f"it has no place for {len(missing)} parameters that learn now, such as '{missing[0]}'")
    for _, saved in kept:
        _check_kind(optimizer, saved)
        _check_values(optimizer.param_groups[0], saved)
    of_file = _settings_of_groups(today, kept)
    groups, entries, position = [], {}, 0
    for i, (own, members) in enumerate(zip(optimizer.param_groups, today)):
        theirs = _options(kept[0][1], ('step',)) if of_file is None else {**of_file[i], **_options(own, HOW)}
        positions = range(position, position + len(members))
        groups.append({**_options(own), **theirs, 'param_names': members, 'params': list(positions)})
        entries.update({place: _entry(state['state'][found[name]], optimizer, name, parameter)
                        for place, name, parameter in zip(positions, members, own['params']) if found[name] in state['state']})
        position += len(members)
    note = _note(optimizer.param_groups, groups, scheduled) if of_file else \
        "parameter groups differ from the checkpoint's: what the optimizer remembers goes on, rates and decays are the config's"
    optimizer.load_state_dict({'state': entries, 'param_groups': groups})
    return note


def _slots(groups: Sequence[Mapping[str, Any]], stored: Iterable[str], parameters: Collection[str],
           today: Sequence[Sequence[str]], rename: Callable[[str], str]) -> List[Slots]:
    """Which weight each position of a state dict belongs to, by groups."""
    if all(len(group.get('param_names', ())) == len(group['params']) for group in groups):
        return [[(name if name in parameters else rename(name), slot)
                 for name, slot in zip(group['param_names'], group['params'])] for group in groups]
    learning = [name for members in today for name in members]
    slots = [slot for group in groups for slot in group['params']]
    if len(groups) == 1 or all(len(group['params']) == 1 for group in groups):
        order = [name for name in stored if name in parameters]
        if len(order) != len(slots):
            order = [name for name in order if name in learning]
    else:  # of whoever made such groups, we know only that they are made again
        order = learning if [len(group['params']) for group in groups] == [len(members) for members in today] else []
    if len(order) != len(slots):
        kind = ValueError if any('param_names' in group for group in groups) else OrderUnknown
        raise kind(f'it is of {len(slots)} parameters in {len(groups)} groups without names, this optimizer of '
                   f'{len(learning)}: there is no telling which is which')
    name_of = dict(zip(slots, order))
    return [[(name_of[slot], slot) for slot in group['params']] for group in groups]


def _options(group: Mapping[str, Any], only: Optional[Collection[str]] = None) -> Dict[str, Any]:
    return {name: value for name, value in group.items()
            if name not in ('params', 'param_names') and (only is None or name in only)}


def _check_kind(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """A saved group has the options of this optimizer's groups, so that its state is of the same kind."""
    own = optimizer.param_groups[0]
    ours, theirs = ({name for name in _options(group) if name not in ADDED and not KEPT_BESIDE.fullmatch(name)}
                    for group in (own, saved))
    other = 'decoupled_weight_decay'  # all that tells AdamW from Adam
    if ours != theirs or (other in saved and other in own and saved[other] != own[other]):
        differ = sorted(ours ^ theirs) or [other]
        raise ValueError(f"it is another optimizer's than {type(optimizer).__name__}: they differ in {', '.join(differ)}")


def _check_values(own: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    """A saved group's options have values that the optimizer can compute with: of the kind that they have today."""
    wrong = {name: value for name, value in saved.items() if name in NUMBERS and not _is_like(0.0, value)}
    if wrong:
        raise ValueError(f"{', '.join(f'{name} is {value!r:.80}' for name, value in wrong.items())}; expected numbers")
    for name, value in _options(saved).items():
        if name in own and not _is_like(own[name], value):
            raise ValueError(f'{name} is {value!r:.80}; expected something like {own[name]!r}')


def _is_like(own: Any, value: Any) -> bool:
    if isinstance(own, (list, tuple)):
        return isinstance(value, (list, tuple)) and len(value) == len(own) and all(map(_is_like, own, value))
    if own is None or isinstance(own, bool):
        return value is None or isinstance(value, (bool, int, float))
    return not isinstance(own, (int, float)) or (is_number(value) and abs(value) < math.inf)


def _settings_of_groups(today: Sequence[Sequence[str]], kept: Sequence[Tuple[Slots, Mapping[str, Any]]]
                        ) -> Optional[List[Dict[str, Any]]]:
    """The file's settings for each of today's groups, if the file has the same groups.

    Options stand in the file's order, where `param_names` has its place, so that checkpoints of the resumed run keep it.
    """
    saved: List[Tuple[List[str], Dict[str, Any]]] = []
    for slots, group in kept:
        settings = {name: None if name == 'param_names' else value for name, value in group.items() if name != 'params'}
        settings.setdefault('initial_lr', group['lr'])
        saved.append(([name for name, _ in slots], settings))
    joined: List[Tuple[List[str], Dict[str, Any]]] = []
    for names, settings in saved:
        alike = next((group for group in joined if group[1] == settings), None)
        if alike:
            alike[0].extend(names)
        else:
            joined.append((list(names), settings))
    for groups in (saved, joined):
        settings_of = {frozenset(names): settings for names, settings in groups}
        found = [settings_of[frozenset(names)] for names in today if frozenset(names) in settings_of]
        if len(found) == len(today):
            return found
    return None


def _entry(remembered: Mapping[str, Any], optimizer: torch.optim.Optimizer, name: str, parameter: torch.Tensor
           ) -> Dict[str, Any]:
    """What an optimizer remembers of a parameter. A newer torch reads the count of steps in any form, others as a number."""
    entry = dict(remembered)
    for key, value in entry.items():
        if isinstance(value, torch.Tensor):
            if key in SHAPED and value.shape != parameter.shape:
                raise ValueError(f"'{key}' of {name} has shape {tuple(value.shape)}, not {tuple(parameter.shape)}")
        elif value is not None and not isinstance(value, (int, float)):
            raise ValueError(f"'{key}' of {name} is {value!r}")
    tensors = type(optimizer).__module__.startswith('torch.optim') and has('steps counted in tensors')
    if isinstance(entry.get('step'), torch.Tensor) and not tensors:
        entry['step'] = int(entry['step'])
    return entry


def _note(config: Sequence[Mapping[str, Any]], loaded: Sequence[Mapping[str, Any]], scheduled: Collection[str]
          ) -> Optional[str]:
    """Settings of the file that the config says otherwise, and that no schedule moves."""
    differing = {f'{name} {new[name]} (config: {own[name]})' for own, new in zip(config, loaded) for name in _options(own)
                 if listed(new[name]) != listed(own[name]) and not (name in scheduled and SCHEDULED.get(name) in new)}
    return f"the optimizer goes on with the checkpoint's settings: {', '.join(sorted(differing))}" if differing else None
