"""Clipping of gradients, limits on norms of weights, packed sequences (`rnn`), parametrizations."""

from fastdrop.nn.utils import parametrizations, parametrize, rnn
from fastdrop.nn.utils.gradients import clip_grad_norm_, clip_grad_value_, max_norm_
from fastdrop.nn.utils.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "max_norm_",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "rnn",
    "vector_to_parameters",
]
