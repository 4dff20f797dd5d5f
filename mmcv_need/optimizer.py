"""One optimization step: zero the gradients, go backward, clip, step. None of it waits for the device.

A step whose loss, gradients or running statistics are not finite, on any rank, is applied on none. On an accelerator the
weights are masked by a flag that stays there (masked_step.py), and the host reads the flag one step later, when it is surely
known.
"""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from mmcv_need import device as devices
from mmcv_need.dist_utils import any_over_ranks
from mmcv_need.optim import flags
from mmcv_need.optim.loss_scale import LossScale
from mmcv_need.optim.masked_step import masked_step
from mmcv_need.torch_versions import has


class OptimizerStep:
    """The parts of it, in the order in which the runner calls them.

    Args:
        optimizer: what changes the parameters.
        grad_clip: maximum and kind of the gradients' norm, such as dict(max_norm=35, norm_type=2); None does not clip.
        loss_scale: of a float16 run.
        cumulative_iters: iterations whose gradients are averaged into one step.
        buffers: of the network (running statistics of norms): a step that is not applied leaves no trace in them either.
            One that a step would make infinite has it left out.
        may_wait: whether the host may read the flag before the step; by default on the CPU, where reading costs nothing, and
            for optimizers other than torch's.

    Attributes:
        sound_losses: () bool on the device: whether the losses of the step that is being made are finite; None before any.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, grad_clip: Optional[Mapping[str, float]] = None,
                 loss_scale: Optional[LossScale] = None, cumulative_iters: int = 1,
                 buffers: Iterable[Tensor] = (), may_wait: Optional[bool] = None):
        self.optimizer = optimizer
        self.grad_clip = grad_clip
        self.loss_scale = loss_scale
        self.cumulative_iters = cumulative_iters
        self.parameters = [p for group in optimizer.param_groups for p in group['params']]
        if may_wait is None:  # what optimizers other than torch's count, and where, is not known
            may_wait = self.parameters[0].device.type == 'cpu' or not type(optimizer).__module__.startswith('torch.optim')
        self.may_wait = may_wait
        self.begun = 0  # the iteration before which there is nothing of the step that is being accumulated
        self.buffers = list(buffers)
        self.buffers_before: List[Tensor] = []  # as they were when the step began
        self.sound_losses: Optional[Tensor] = None
        self._saturates = devices.saturates(self.parameters[0].device)
        self._finite: Optional[Tensor] = None
        self._stepped = False
        self._unread: Optional[Tuple[Callable[[], bool], Optional[Callable[[], None]]]] = None

    @property
    def param_groups(self) -> List[Dict[str, Any]]:
        """The optimizer's, as hooks in MMCV's manner look for them."""
        return self.optimizer.param_groups

    @property
    def state(self) -> Any:
        return self.optimizer.state

    def state_dict(self) -> Dict[str, Any]:
        return self.optimizer.state_dict()

    def window(self, iteration: int, max_iters: int) -> Tuple[bool, bool, float]:
        """Whether an iteration is the first and the last of its step, and the share of its loss in the step's.

        The last step of a run averages over what is left, and so does the first of one that goes on within a step.
        """
        start = self.start_of(iteration)
        end = min(iteration - iteration % self.cumulative_iters + self.cumulative_iters, max_iters)
        return iteration == start, iteration == end - 1, 1.0 / (end - start)

    def start_of(self, iteration: int) -> int:
        """The first iteration of the step that an iteration is part of."""
        return max(iteration - iteration % self.cumulative_iters, self.begun)

    def begin(self, iteration: int) -> None:
        """Go on at an iteration without what was accumulated before it."""
        self.begun = iteration
        self.zero_grad()

    def zero_grad(self) -> None:
        """Begin a step, before the network is called."""
        self.buffers_before = [buffer.clone() for buffer in self.buffers]
        self.sound_losses = None
        if self._saturates:
            devices.clear_overflow(self.parameters[0].device)
        if getattr(self.optimizer, 'is_fused_optimizer', False):  # keeps all gradients in one buffer of its own
            self.optimizer.zero_grad()
            return
        for parameter in self.parameters:
            parameter.grad = None

    def backward(self, loss: Tensor, share: float = 1.0) -> None:
        """Add the gradients of a loss (), which makes up `share` of the step.

        They may be finite where the loss is not: what is masked, or weighs nothing, has a gradient of zero.
        """
        sound = torch.isfinite(loss.detach()).reshape(())
        self.sound_losses = sound if self.sound_losses is None else self.sound_losses & sound
        if share != 1.0:
            loss = loss * share
        (loss if self.loss_scale is None else loss * self.loss_scale.scale).backward()

    def sound(self) -> Tensor:
        """() bool on the device: whether nothing on this rank speaks against the step so far, its gradients aside."""
        sound = torch.ones((), dtype=torch.bool, device=self.parameters[0].device)
        if self.sound_losses is not None:
            sound = sound & self.sound_losses
        changed = [pair for pair in zip(self.buffers, self.buffers_before) if pair[0].is_floating_point() and pair[0].numel()]
        if changed:  # what was not finite before is not the step's doing
            now, before = (largest(tensors) for tensors in zip(*changed))
            sound = sound & (torch.isfinite(now) | ~torch.isfinite(before)).all()
        if self._saturates:
            sound = sound & ~devices.overflowed(sound.device)
        return sound

    def clip(self) -> Dict[str, Tensor]:
        """Undo the loss scale and scale the gradients to the norm allowed, in one pass.

        Returns:
            grad_norm: before clipping, left on the device; {} if nothing is clipped.
        """
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = total_norm(gradients, (self.grad_clip or {}).get('norm_type', 2.0))
        factor: Optional[Tensor] = None
        if self.loss_scale is not None:
            factor = self.loss_scale.scale.reciprocal()
            norm = norm * factor
        self._finite = ~any_over_ranks(~(torch.isfinite(norm) & self.sound()))
        if self.grad_clip is not None:
            clipped = (self.grad_clip['max_norm'] / (norm + 1e-6)).clamp(max=1.0)  # 1e-6: torch's and MMCV's
            factor = clipped if factor is None else factor * clipped
        if factor is not None:
            scale_all(gradients, factor)
        return {} if self.grad_clip is None else {'grad_norm': norm}

    def step(self) -> None:
        """Step if all is finite, and adapt the loss scale."""
        assert self._finite is not None, 'clip() comes first'
        self.was_applied()  # the step before must be settled, whether anyone asked or not
        put_back: Optional[Callable[[], None]] = None
        # Before the first update there is no state that could be given back, so the host asks, as it does on the CPU.
        if not self.may_wait and (self._stepped or self.optimizer.state):
            put_back = masked_step(self.optimizer, self._finite)
        elif self._finite:
            self.optimizer.step()
            self._stepped = True
        for buffer, before in zip(self.buffers, self.buffers_before):
            buffer.copy_(torch.where(self._finite, buffer, before))
        if self.loss_scale is not None:
            self.loss_scale.update(self._finite)
        self._unread = flags.read_later(self._finite), put_back

    def was_applied(self) -> Optional[bool]:
        """Whether the last step took effect; None if that has been said. Asked one step later, the host does not wait."""
        if self._unread is None:
            return None
        (read, put_back), self._unread = self._unread, None
        applied = read()
        if put_back is not None and not applied:
            put_back()
        return applied


def total_norm(tensors: Sequence[Tensor], norm_type: float) -> Tensor:
    """() norm of all elements of all tensors; not finite if one of them is not."""
    if has('operations on lists of tensors'):
        norms = torch._foreach_norm(tensors, norm_type)
    else:
        norms = [torch.norm(tensor, norm_type) for tensor in tensors]
    return torch.norm(torch.stack(norms), norm_type)


def largest(tensors: Sequence[Tensor]) -> Tensor:
    """(K,) largest absolute value of each of K tensors; not finite where one of its elements is not."""
    if has('operations on lists of tensors'):
        return torch.stack(torch._foreach_norm(tensors, float('inf')))
    return torch.stack([torch.norm(tensor, float('inf')) for tensor in tensors])


def scale_all(tensors: Sequence[Tensor], factor: Tensor) -> None:
    """Multiply tensors by a factor () in place."""
    if has('operations on lists of tensors'):
        torch._foreach_mul_(tensors, factor)
    else:
        for tensor in tensors:
            tensor.mul_(factor)
