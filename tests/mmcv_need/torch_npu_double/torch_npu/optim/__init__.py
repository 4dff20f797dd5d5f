"""Fused optimizers: from the first step on, all parameters lie in one buffer, and so do all gradients."""
import torch

from torch_npu import VERSION

if VERSION < (1, 11):
    raise ImportError('they came with apex')


class NpuFusedSGD(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.0, weight_decay=0.0):
        super().__init__(params, {'lr': lr, 'momentum': momentum, 'weight_decay': weight_decay})
        self.weights = self.gradients = self.buffer = None
        self.all = [parameter for group in self.param_groups for parameter in group['params']]

    def _combine(self):
        with torch.no_grad():
            self.weights = torch.cat([parameter.reshape(-1) for parameter in self.all])
            self.gradients = torch.cat([parameter.grad.reshape(-1) for parameter in self.all])
            start = 0
            for parameter in self.all:
                end = start + parameter.numel()
                parameter.data = self.weights[start:end].view(parameter.shape)
                parameter.grad = self.gradients[start:end].view(parameter.shape)
                start = end

    def _check(self):
        start = 0
        for parameter in self.all:
            here = self.weights[start:].data_ptr(), self.gradients[start:].data_ptr()
            if parameter.grad is None or (parameter.data_ptr(), parameter.grad.data_ptr()) != here:
                raise RuntimeError('a parameter or its gradient is not in the combined buffer any more')
            start += parameter.numel()

    def zero_grad(self, set_to_none=False):
        if set_to_none:
            raise ValueError('set_to_none is not supported in fused optimizers')
        if self.weights is None:
            super().zero_grad(False)
        else:
            self._check()
            self.gradients.zero_()

    @torch.no_grad()
    def step(self, closure=None):
        if self.weights is None:
            self._combine()
        self._check()
        group = self.param_groups[0]
        change = self.gradients + group['weight_decay'] * self.weights
        self.buffer = change if self.buffer is None else group['momentum'] * self.buffer + change
        self.weights -= group['lr'] * self.buffer
