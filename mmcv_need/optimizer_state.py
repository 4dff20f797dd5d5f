"""An optimizer's state in a checkpoint: it stands by position, not by name."""
from __future__ import annotations

from typing import Any, Collection, Dict, Iterable, Mapping, Sequence


def in_order(state: Mapping[str, Any], stored: Iterable[str], parameters: Collection[str],
             learning: Sequence[str]) -> Dict[str, Any]:
    """The state of an optimizer for a model that lists its parameters in another order than the one that was saved.

    Args:
        state: the `state_dict()` of an optimizer with one parameter group: of all parameters, as MMCV's, or of those that
            learn.
        stored: names of the weights in the file's order, which is the order of the saved model's parameters.
        parameters: names of all parameters of the model today.
        learning: of those that the optimizer has today, in order.

    Returns:
        The state, with positions in the order of `learning`.

    Raises:
        ValueError: the state does not say of every parameter where it belongs.
    """
    known, wanted = set(parameters), set(learning)
    groups = state['param_groups']
    held = sum(len(group['params']) for group in groups)
    before = [name for name in stored if name in known]
    if held != len(before):
        before = [name for name in before if name in wanted]
    if before == list(learning):
        return dict(state)
    if len(groups) != 1 or held != len(before) or not wanted <= set(before):
        raise ValueError(f'it is of {held} parameters in {len(groups)} groups, and this optimizer is of {len(learning)}, which '
                         f'stand in another order or differ')
    ids = dict(zip(before, groups[0]['params']))
    moved = {position: state['state'][ids[name]] for position, name in enumerate(learning) if ids[name] in state['state']}
    return {'state': moved, 'param_groups': [{**groups[0], 'params': list(range(len(learning)))}]}
