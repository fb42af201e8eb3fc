"""Layers joined with the batch norm behind them, and layers without initial weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.nn import init
from fastdrop.nn.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d
from fastdrop.nn.linear import Linear
from fastdrop.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d

__all__ = [
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
    "skip_init",
]

Made = TypeVar("Made")
_TRANSPOSED = (ConvTranspose1d, ConvTranspose2d)


def _check_norm(layer: Any, bn: Any, name: str) -> None:
    if not isinstance(bn, (BatchNorm1d, BatchNorm2d, BatchNorm3d)) or bn.running_mean is None:
        raise TypeError(
            f"bn must be a batch norm with running statistics, got {check.describe(bn)}"
        )
    if layer.training or bn.training:
        raise ValueError(f"{name} and bn must be in evaluation mode, call eval() first")


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """One convolution that computes what a convolution and the batch norm after it compute.

    Both must be in evaluation mode: the batch norm uses its running statistics. A `Sequential` does
    the same by itself where nothing is recorded.

    Parameters
    ----------
    conv : Conv1d, Conv2d, Conv3d, ConvTranspose1d or ConvTranspose2d
    bn : BatchNorm1d, BatchNorm2d or BatchNorm3d
        With running statistics.
    transpose : bool, default False
        Whether `conv` is a transposed convolution.

    Returns
    -------
    layer of the class of `conv`
        A new one.

    Raises
    ------
    TypeError, ValueError
        The layers are of other classes, or one is in training mode.

    Examples
    --------
    >>> from fastdrop import nn
    >>> conv, bn = nn.Conv2d(3, 8, 3).eval(), nn.BatchNorm2d(8).eval()
    >>> nn.utils.fuse_conv_bn_eval(conv, bn).bias.shape
    (8,)
    """
    kinds = _TRANSPOSED if check.flag(transpose, "transpose") else (Conv1d, Conv2d, Conv3d)
    if not isinstance(conv, kinds):
        names = ", ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"conv must be one of {names}, got {check.describe(conv)}")
    _check_norm(conv, bn, "conv")
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = _fused_weights(
        conv.weight, conv.bias, bn, transpose, conv.groups if transpose else 1
    )
    return fused


def _fused_weights(
    weight: Any, bias: Any, bn: Any, transpose: bool = False, groups: int = 1
) -> tuple[Parameter, Parameter]:
    return fuse_conv_bn_weights(
        weight, bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose, groups
    )


def fuse_conv_bn_weights(
    conv_w: Any,
    conv_b: Any,
    bn_rm: Any,
    bn_rv: Any,
    bn_eps: float,
    bn_w: Any,
    bn_b: Any,
    transpose: bool = False,
    groups: int = 1,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of one convolution, from those of a convolution and a batch norm.

    Parameters
    ----------
    conv_w : Tensor
    conv_b : Tensor or None
    bn_rm, bn_rv : Tensor
        The running mean and variance.
    bn_eps : float
    bn_w, bn_b : Tensor or None
    transpose : bool, default False
        Whether it is a transposed convolution.
    groups : int, default 1
        The groups of a transposed convolution.

    Returns
    -------
    pair of Parameter
        Weight and bias.

    Examples
    --------
    >>> import fastdrop as fd
    >>> weight, bias = fd.nn.utils.fuse_conv_bn_weights(
    ...     fd.ones(1, 1, 1), None, fd.ones(1), fd.ones(1), 0.0, None, None
    ... )
    >>> weight.tolist(), bias.tolist()
    ([[[1.0]]], [-1.0])
    """
    mean, variance = (t._array.astype(np.float64) for t in (bn_rm, bn_rv))
    scale = 1 / np.sqrt(variance + bn_eps)
    if bn_w is not None:
        scale = scale * bn_w._array
    shift = 0.0 if bn_b is None else bn_b._array.astype(np.float64)
    bias = 0.0 if conv_b is None else conv_b._array
    axes = [1] * (conv_w.ndim - 2)
    w: Any = conv_w._array
    if transpose:  # (in, out / groups, *kernel): the outputs of a group stand side by side
        wide = w.reshape(groups, -1, *w.shape[1:])
        w = (wide * scale.reshape(groups, 1, -1, *axes)).reshape(conv_w.shape)
    else:
        w = w * scale.reshape(-1, 1, *axes)
    return (
        Parameter(w.astype(np.float32), conv_w.requires_grad),
        Parameter(((bias - mean) * scale + shift).astype(np.float32)),
    )


def fuse_linear_bn_weights(
    linear_w: Any,
    linear_b: Any,
    bn_rm: Any,
    bn_rv: Any,
    bn_eps: float,
    bn_w: Any,
    bn_b: Any,
) -> tuple[Parameter, Parameter]:
    """The weight and bias of one linear layer, from those of a linear layer and a batch norm.

    Parameters
    ----------
    linear_w : Tensor
    linear_b : Tensor or None
    bn_rm, bn_rv : Tensor
        The running mean and variance.
    bn_eps : float
    bn_w, bn_b : Tensor or None

    Returns
    -------
    pair of Parameter
        Weight and bias.

    Examples
    --------
    >>> import fastdrop as fd
    >>> weight, bias = fd.nn.utils.fuse_linear_bn_weights(
    ...     fd.ones(1, 2), None, fd.ones(1), fd.ones(1), 0.0, None, None
    ... )
    >>> weight.tolist(), bias.tolist()
    ([[1.0, 1.0]], [-1.0])
    """
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """One linear layer that computes what a linear layer and the batch norm after it compute.

    Parameters
    ----------
    linear : Linear
    bn : BatchNorm1d
        With running statistics. Both must be in evaluation mode.

    Returns
    -------
    layer of the class of `linear`
        A new one.

    Raises
    ------
    TypeError, ValueError
        The layers are of other classes, or one is in training mode.

    Examples
    --------
    >>> from fastdrop import nn
    >>> linear, bn = nn.Linear(3, 8).eval(), nn.BatchNorm1d(8).eval()
    >>> nn.utils.fuse_linear_bn_eval(linear, bn).bias.shape
    (8,)
    """
    if not isinstance(linear, Linear):
        raise TypeError(f"linear must be a Linear, got {check.describe(linear)}")
    _check_norm(linear, bn, "linear")
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = _fused_weights(linear.weight, linear.bias, bn)
    return fused


def skip_init(module_cls: Callable[..., Made], *args: Any, **kwargs: Any) -> Made:
    """A layer without initial weights, whose state is loaded next.

    Parameters
    ----------
    module_cls : class
        A layer.
    *args, **kwargs
        The arguments of its constructor.

    Returns
    -------
    Module
        Its weights are whatever was in memory.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.utils.skip_init(nn.Linear, 3, 2)
    Linear(in_features=3, out_features=2, bias=True)
    """
    with init.skipped():
        return module_cls(*args, **kwargs)
