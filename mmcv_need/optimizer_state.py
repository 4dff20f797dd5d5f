"""An optimizer's state in a checkpoint: it stands by position, not by name."""
from __future__ import annotations

from typing import Any, Dict, Iterable, Mapping, Sequence


def in_order(state: Mapping[str, Any], stored: Iterable[str], names: Sequence[str]) -> Dict[str, Any]:
    """The state of an optimizer for a model that lists its parameters in another order than the one that was saved.

    Args:
        state: the `state_dict()` of an optimizer with one parameter group.
        stored: names of the weights in the file's order, which is the order of the saved model's parameters.
        names: of the parameters that the optimizer has today, in order.

    Returns:
        The state, with positions in the order of `names`.

    Raises:
        ValueError: the order changed, and the state does not say of every parameter where it belongs.
    """
    wanted = set(names)
    before = [name for name in stored if name in wanted]
    if before == list(names):
        return dict(state)
    groups = state['param_groups']
    if len(groups) != 1 or sorted(before) != sorted(names) or len(groups[0]['params']) != len(names):
        raise ValueError(f'{len(before)} of its weights are parameters of this model, in another order, in {len(groups)} '
                         f'groups; expected all {len(names)} in one group')
    ids = dict(zip(before, groups[0]['params']))
    moved = {position: state['state'][ids[name]] for position, name in enumerate(names) if ids[name] in state['state']}
    return {'state': moved, 'param_groups': [{**groups[0], 'params': list(range(len(names)))}]}
