"""Clipping of gradients, limits on the norms of weights, and packed sequences (`rnn`)."""

from fastdrop.nn.utils import rnn
from fastdrop.nn.utils.gradients import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    max_norm_,
)

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "max_norm_",
    "rnn",
]
