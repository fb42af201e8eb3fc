"""Layers that only look at shapes."""

from __future__ import annotations

from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import as_tensor
from fastdrop.functional.shape import flatten
from fastdrop.nn.module import Module


class Flatten(Module):
    """Axes start_dim to end_dim as one; by default everything but the sample axis."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim = check.integer(start_dim, "start_dim", -64, 63)
        self.end_dim = check.integer(end_dim, "end_dim", -64, 63)

    def forward(self, input):
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """The input itself, whatever the arguments."""

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, input):
        return as_tensor(input, "input")
