"""Clipping of gradients, limits on norms of weights, packed sequences (`rnn`), parametrizations."""

from fastdrop.nn.utils import parametrizations, parametrize, rnn
from fastdrop.nn.utils.fusion import fuse_conv_bn_eval, skip_init
from fastdrop.nn.utils.gradients import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    max_norm_,
)
from fastdrop.nn.utils.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "fuse_conv_bn_eval",
    "get_total_norm",
    "max_norm_",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "rnn",
    "skip_init",
    "vector_to_parameters",
]
