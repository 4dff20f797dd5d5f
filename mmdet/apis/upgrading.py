"""A checkpoint from before MMDetection 2.14 in today's layout: names, order, and the optimizer's state."""
from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from mmcv_need.averages import separated
from mmcv_need.errors import CheckpointError
from mmcv_need.weights import state_dict_of
from mmdet.models.key_layouts import current_key

# Parts of the network in the order in which it has them; what is none of them stays in front.
ORDER = ('neck.l2_norm.', 'neck.extra_layers.', 'bbox_head.cls_convs.', 'bbox_head.reg_convs.')
BUFFERS = ('running_mean', 'running_var', 'num_batches_tracked')  # of norms, which an optimizer does not count


def upgraded(checkpoint: Mapping[str, Any], path: str) -> Dict[str, Any]:
    """The checkpoint in today's layout. Where the optimizer's state cannot be brought along, it has none.

    Args:
        checkpoint: of SSD, in the older layout; with an average of the weights or without.
        path: for errors.

    Raises:
        CheckpointError: nothing of it is of the older layout.
    """
    found = separated(checkpoint)
    state = state_dict_of(found)
    if all(current_key(key) == key for key in state):
        kind = 'has today\'s layout already' if any(key.startswith(ORDER) for key in state) else "is no checkpoint of SSD's"
        raise CheckpointError(f'{path}: {kind}: none of its {len(state)} weights has a name from before MMDetection 2.14')
    made = {'meta': found.get('meta') or {}, **{key: value for key, value in found.items() if 'state_dict' in key},
            **{key: value for key, value in found.items() if key in ('optimizer', 'loss_scaler')}}
    made['state_dict'] = _in_order(state)
    if 'training_state_dict' in found:
        made['training_state_dict'] = _in_order(found['training_state_dict'])
    if isinstance(found.get('optimizer'), dict):
        moved = _moved(found['optimizer'], [key for key in state if not key.endswith(BUFFERS)])
        made.pop('optimizer')
        if moved is not None:
            made['optimizer'] = moved
    return made


def _in_order(state: Mapping[str, Any]) -> Dict[str, Any]:
    renamed = {current_key(key): value for key, value in state.items()}
    return {key: renamed[key] for key in sorted(renamed, key=_rank)}


def _rank(key: str) -> int:
    return next((place for place, part in enumerate(ORDER, 1) if key.startswith(part)), 0)


def _moved(optimizer: Mapping[str, Any], names: List[str]) -> Optional[Dict[str, Any]]:
    """An optimizer's state whose positions are those of today's order; None if it does not say what stands where.

    Args:
        optimizer: its `state_dict()`: one group, as MMCV's without `paramwise_cfg`, or one for each parameter.
        names: of the parameters, in the file's order.
    """
    groups = optimizer.get('param_groups') or [{'params': []}]
    slots = [slot for group in groups for slot in group['params']]
    if len(slots) != len(names) or not (len(groups) == 1 or all(len(group['params']) == 1 for group in groups)):
        return None
    today = sorted((current_key(name) for name in names), key=_rank)
    place = {slot: today.index(current_key(name)) for slot, name in zip(slots, names)}
    state = {place[slot]: value for slot, value in optimizer.get('state', {}).items()}
    if len(groups) == 1:
        groups = [{**groups[0], 'params': list(range(len(names)))}]
    else:
        in_order = sorted(groups, key=lambda group: place[group['params'][0]])
        groups = [{**group, 'params': [number]} for number, group in enumerate(in_order)]
    for group in groups:
        if 'param_names' in group:
            group['param_names'] = [today[number] for number in group['params']]
    return {**optimizer, 'state': dict(sorted(state.items())), 'param_groups': groups}
