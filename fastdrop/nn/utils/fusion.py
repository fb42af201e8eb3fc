"""A convolution joined with its batch norm, and layers without initial weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.nn import init
from fastdrop.nn.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d
from fastdrop.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d

__all__ = ["fuse_conv_bn_eval", "skip_init"]

Made = TypeVar("Made")
_TRANSPOSED = (ConvTranspose1d, ConvTranspose2d)


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
    if not isinstance(bn, (BatchNorm1d, BatchNorm2d, BatchNorm3d)) or bn.running_mean is None:
        raise TypeError(
            f"bn must be a batch norm with running statistics, got {check.describe(bn)}"
        )
    if conv.training or bn.training:
        raise ValueError("conv and bn must be in evaluation mode, call eval() first")
    assert bn.running_var is not None
    fused = copy.deepcopy(conv)
    mean, variance = (t._array.astype(np.float64) for t in (bn.running_mean, bn.running_var))
    scale = 1 / np.sqrt(variance + bn.eps)
    shift = np.zeros(len(scale)) if bn.bias is None else bn.bias._array.astype(np.float64)
    if bn.weight is not None:
        scale = scale * bn.weight._array
    bias = 0.0 if conv.bias is None else conv.bias._array
    axes = [1] * (conv.weight.ndim - 2)
    w: Any = conv.weight._array
    if transpose:  # (in, out / groups, *kernel): the outputs of a group stand side by side
        groups = w.reshape(conv.groups, -1, *w.shape[1:])
        w = groups * scale.reshape(conv.groups, 1, -1, *axes)
        w = w.reshape(conv.weight.shape)
    else:
        w = w * scale.reshape(-1, 1, *axes)
    fused.weight = Parameter(w.astype(np.float32), conv.weight.requires_grad)
    fused.bias = Parameter(((bias - mean) * scale + shift).astype(np.float32))
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
