"""A network for the tests of hooks."""
from __future__ import annotations

import pytest
import torch


class TinyNetwork(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.module = torch.nn.Linear(1, 1)

    def train_step(self, batch):
        assert self.training
        loss = self.module(batch['x']).sum()
        return {'loss': loss, 'log_vars': {'loss': loss.detach()}, 'num_samples': 1}


@pytest.fixture
def tiny_network():
    """The class of a network of one weight and one bias, which is trained in training mode only."""
    return TinyNetwork
