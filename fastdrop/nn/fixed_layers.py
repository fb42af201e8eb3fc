"""Layers whose calls are a fixed list, which recordings may replay, and their options."""

from __future__ import annotations

from copy import copy
from numbers import Number
from types import FunctionType
from typing import Any

import numpy as np

from fastdrop.autograd.recording import of_library
from fastdrop.nn import (
    activation,
    channel_norm,
    conv,
    dropblock,
    dropconnect,
    dropout,
    hard_activation,
    noise,
    normalization,
    pool,
    resize,
    shape,
    smooth_activation,
)
from fastdrop.nn.attention import MultiheadAttention
from fastdrop.nn.container import Sequential
from fastdrop.nn.dense_chain import ACTIVATIONS
from fastdrop.nn.dropout import HeadDropout
from fastdrop.nn.droppath import DropPath, Residual
from fastdrop.nn.embedding import Embedding
from fastdrop.nn.gated import GLU, SwiGLU
from fastdrop.nn.hooks import has_hooks
from fastdrop.nn.layer_scale import LayerScale
from fastdrop.nn.linear import Linear
from fastdrop.nn.locked_dropout import LockedDropout
from fastdrop.nn.module_list import ModuleList
from fastdrop.nn.parametric_activation import ParametricActivation
from fastdrop.nn.periodic_embeddings import PeriodicEmbeddings
from fastdrop.nn.positional import (
    LearnedPositionalEncoding,
    RotaryEmbedding,
    SinusoidalPositionalEncoding,
)
from fastdrop.nn.rnn import GRU, LSTM, RNN
from fastdrop.nn.tokens import PatchDropout, TokenDropout
from fastdrop.nn.transformer import TransformerDecoderLayer, TransformerEncoderLayer
from fastdrop.nn.transformer_stack import LayerDrop, TransformerDecoder, TransformerEncoder
from fastdrop.nn.variational import VariationalLinear

__all__ = ["FIXED_IN_STEPS", "FIXED_LAYERS", "has_no_functions", "is_fixed", "options_of"]

# Types of the attributes of layers that are options, and attributes that a forward pass changes.
_PLAIN = (Number, str, np.generic, tuple, list, type(None))
_COUNTED = ("_draw", "_sites", "_descendants", "_chain", "_plan", "_recorded")

# Layers that compute with the core, or with functions that are noted, and leave no choice to
# Python. tests/train/test_recorded_layers.py compares each with the steps of Python.
FIXED_LAYERS: frozenset[type] = frozenset(
    (
        *(Sequential, Linear, SwiGLU, *ACTIVATIONS),
        *(shape.Identity, shape.Flatten, shape.Unflatten),
        *(activation.Softmax, activation.LogSoftmax, activation.ReLU6),
        *(activation.Hardswish, activation.Hardsigmoid, activation.Softmin, GLU),
        *(smooth_activation.ELU, smooth_activation.CELU, smooth_activation.Softplus),
        *(smooth_activation.LogSigmoid, smooth_activation.Mish, smooth_activation.Softsign),
        *(smooth_activation.SmoothClip, LayerScale, ParametricActivation, PeriodicEmbeddings),
        *(smooth_activation.Tanhshrink, hard_activation.Hardtanh, hard_activation.Threshold),
        *(hard_activation.Softshrink, hard_activation.Hardshrink),
        *(dropout.Dropout, dropout.AlphaDropout, dropout.FeatureAlphaDropout),
        *(dropout.SpatialDropout1d, dropout.SpatialDropout2d, dropout.SpatialDropout3d),
        *(dropblock.DropBlock1d, dropblock.DropBlock2d, dropblock.DropBlock3d),
        *(dropconnect.DropConnectLinear, dropconnect.DropConnectConv2d, VariationalLinear),
        *(noise.GaussianDropout, noise.GaussianNoise, LockedDropout, DropPath),
        *(normalization.LayerNorm, normalization.RMSNorm, channel_norm.GroupNorm),
        *(normalization.BatchNorm1d, normalization.BatchNorm2d, normalization.BatchNorm3d),
        *(channel_norm.InstanceNorm1d, channel_norm.InstanceNorm2d, channel_norm.InstanceNorm3d),
        *(conv.Conv1d, conv.Conv2d, conv.Conv3d, resize.Upsample),
        *(pool.MaxPool1d, pool.MaxPool2d, pool.MaxPool3d),
        *(pool.AvgPool1d, pool.AvgPool2d, pool.AvgPool3d),
        *(pool.AdaptiveAvgPool1d, pool.AdaptiveAvgPool2d, pool.AdaptiveAvgPool3d),
        *(pool.AdaptiveMaxPool1d, pool.AdaptiveMaxPool2d, pool.AdaptiveMaxPool3d),
    )
)


# Layers whose steps are a fixed list of calls, too. They refuse a recording where a rate (of
# stochastic depth, for one) leaves a choice to Python.
FIXED_IN_STEPS: frozenset[type] = FIXED_LAYERS | frozenset(
    (
        *(Embedding, LSTM, GRU, RNN, MultiheadAttention, HeadDropout, ModuleList),
        *(TransformerEncoderLayer, TransformerDecoderLayer),
        *(TransformerEncoder, TransformerDecoder, LayerDrop, Residual, TokenDropout, PatchDropout),
        *(SinusoidalPositionalEncoding, LearnedPositionalEncoding, RotaryEmbedding),
    )
)


def is_fixed(value: Any) -> bool:
    """Whether an attribute of a layer is no code of the user and no schedule."""
    return not callable(value) or (of_library(value) and isinstance(value, (FunctionType, type)))


def has_no_functions(thing: Any) -> bool:
    """Whether an object has no hooks, and no attribute is callable.

    That is, no schedule of a rate, and no method that was replaced.
    """
    return not has_hooks(thing) and not any(map(callable, vars(thing).values()))


def options_of(layer: Any) -> list[tuple[str, Any]]:
    """The names and copies of the values of a layer's options."""
    return [
        (name, copy(value))
        for name, value in vars(layer).items()
        if name not in _COUNTED and isinstance(value, _PLAIN)
    ]
