"""Checkpoints of runs that kept an average of the weights (hooks/weight_averaging.py): one form, MMCV's and MMEngine's too.

    state_dict            the average, which is evaluated and deployed
    training_state_dict   of the weights that are averaged, those that learn, under the same names
"""
from __future__ import annotations

from typing import Any, Dict, Mapping

from torch import Tensor

from mmcv_need.weights import state_dict_of


def separated(checkpoint: Mapping[str, Any]) -> Dict[str, Any]:
    """A checkpoint in this form, of one of MMCV's or MMEngine's that has an average; any other as it is.

    MMEngine has the weights that learn in `ema_state_dict`, as `module.a.b`. In MMCV's state dict there are buffers `ema_*`: it
    exchanges weights and average before it writes the checkpoint of an epoch, so that the buffer `ema_a_b` has the weight
    `a.b` that learns, and `a.b` the average. Its own resuming takes every file for one of these.
    """
    state, exchanged = state_dict_of(checkpoint), checkpoint.get('ema_state_dict')
    if isinstance(exchanged, dict):
        learning = {name[len('module.'):]: value for name, value in exchanged.items() if str(name).startswith('module.')}
        return {**checkpoint, 'training_state_dict': {name: value for name, value in learning.items() if name in state}}
    buffers = {f"ema_{name.replace('.', '_')}": name for name in state}
    learning = {buffers[key]: value for key, value in state.items() if key in buffers}
    if not learning:
        return dict(checkpoint)
    average = {key: value for key, value in state.items() if key not in buffers}
    return {**checkpoint, 'state_dict': average, 'training_state_dict': learning}


def learning_weights(checkpoint: Mapping[str, Any]) -> Dict[str, Tensor]:
    """What training goes on from: the weights that learn where there is an average, else those that there are."""
    return {**state_dict_of(checkpoint), **checkpoint.get('training_state_dict', {})}


def evaluated_weights(checkpoint: Mapping[str, Any]) -> Dict[str, Tensor]:
    """What is evaluated and deployed: the average where there is one, else the weights that there are."""
    return state_dict_of(separated(checkpoint))
