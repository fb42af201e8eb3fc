"""Normalisation by the statistics of channels: batch, instance and group norm, and local response.

What differs between them is which numbers share their statistics.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries
from fastdrop.autograd.pending import pending_tensor
from fastdrop.autograd.pending_convolution import PendingConvolution
from fastdrop.autograd.pending_norm import Normalization, PendingNorm, batch_moments, rows_of
from fastdrop.autograd.recording import computed, note_constants, noted
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.random import CannotCarry

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array


@carries
@quiet
def batch_norm(
    input: Tensor | ArrayLike,
    running_mean: Tensor | ArrayLike | None,
    running_var: Tensor | ArrayLike | None,
    weight: Tensor | ArrayLike | None = None,
    bias: Tensor | ArrayLike | None = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Batch normalisation: y = (x - mean) / sqrt(var + eps) * weight + bias for each channel.

    In training, and without running statistics, mean and biased variance are those of the batch.
    In evaluation they are the running statistics.

    Parameters
    ----------
    input : Tensor or array (N, C) or (N, C, ...)
        x. Axis 1 is the channel.
    running_mean : Tensor or float32 array (C,), optional
        In training it is changed in place:
        running_mean += momentum (mean - running_mean).
    running_var : Tensor or float32 array (C,), optional
        In training it is changed in place, with the unbiased variance of the batch.
    weight : Tensor or array (C,), optional
        Default: 1.
    bias : Tensor or array (C,), optional
        Default: 0.
    training : bool, default False
        Whether to normalise by the statistics of the batch and to update the running ones. A Monte
        Carlo prediction does not change it.
    momentum : float or None, default 0.1
        None: 0.1.
    eps : float, default 1e-5
        At least 0.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError
        When an argument has the wrong type. In training also when a running statistic is not a
        float32 array or a Tensor: the update of a converted copy would be lost.
    ValueError
        When the shapes do not match, a running statistic that is updated is read-only, eps is
        negative, or a channel has fewer than 2 values to compute the statistics from.

    References
    ----------
    Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing internal
    covariate shift", ICML 2015, arXiv:1502.03167.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.batch_norm([[1.0, 2.0], [3.0, 6.0]], None, None, training=True, eps=0.0).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """
    x = as_tensor(input, "input")
    if x.ndim < 2:
        raise ValueError(f"input must have shape (N, C) or (N, C, ...), got {x.shape}")
    channels = x.shape[1]
    w, b, mean_, var_ = _of_channels(
        channels, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var
    )
    if training:
        _check_updatable(running_mean, mean_, "running_mean")
        _check_updatable(running_var, var_, "running_var")
    eps = check.real(eps, "eps", low=0.0)
    if not training and mean_ is not None and var_ is not None:
        folded = _folded(x, mean_._array, var_._array, eps, w, b)
        if folded is not None:
            return folded
        inverse = computed(_inverse, var_._array, np.float32(eps))
        mean = computed(np.positive, mean_._array.reshape(1, -1))
        fixed = Normalization(1, mean, inverse.reshape(1, -1), channels, True)
        return _pending(x, w, b, fixed)
    if type(x) is PassTensor:
        raise CannotCarry("normalisation by the batch's statistics")
    count = x.numel() // channels if channels else 0
    if count < 2:
        raise ValueError(
            f"input must have more than one value a channel in training, got shape {x.shape}"
        )
    norm, variance, rows = _by_moments(x, 1, channels, eps)
    if training and mean_ is not None and var_ is not None:
        rate = np.float32(0.1 if momentum is None else momentum)
        factor = np.float32(count / (count - 1))
        unbiased = computed(np.multiply, variance.reshape(-1), factor)
        for t, new in ((mean_, norm.mean.reshape(-1)), (var_, unbiased)):
            noted(_move, t, new, rate)
    return _pending(x, w, b, norm, rows)


@carries
@quiet
def group_norm(
    input: Tensor | ArrayLike,
    num_groups: int,
    weight: Tensor | ArrayLike | None = None,
    bias: Tensor | ArrayLike | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Group normalisation: y = (x - mean) / sqrt(var + eps) * weight + bias.

    Mean and biased variance are those of a group of channels of a sample.

    Parameters
    ----------
    input : Tensor or array (N, C) or (N, C, ...)
        x. Axis 1 is the channel.
    num_groups : int, at least 1
        Divides C. Groups are neighbouring channels.
    weight : Tensor or array (C,), optional
        Default: 1.
    bias : Tensor or array (C,), optional
        Default: 0.
    eps : float, default 1e-5
        At least 0.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When num_groups does not divide C, the shapes do not match, or eps is negative.

    References
    ----------
    Wu, He, "Group normalization", ECCV 2018, arXiv:1803.08494.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.group_norm([[1.0, 3.0, 2.0, 6.0]], 2, eps=0.0).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """
    x = as_tensor(input, "input")
    if x.ndim < 2:
        raise ValueError(f"input must have shape (N, C) or (N, C, ...), got {x.shape}")
    channels, groups = x.shape[1], check.integer(num_groups, "num_groups", 1)
    if channels % groups:
        raise ValueError(f"num_groups must divide the {channels} channels of input, got {groups}")
    w, b = _of_channels(channels, weight=weight, bias=bias)
    norm, _, rows = _by_moments(x, x.shape[0], groups, check.real(eps, "eps", low=0.0))
    return _pending(x, w, b, norm, rows)


@carries
@quiet
def instance_norm(
    input: Tensor | ArrayLike,
    running_mean: Tensor | ArrayLike | None = None,
    running_var: Tensor | ArrayLike | None = None,
    weight: Tensor | ArrayLike | None = None,
    bias: Tensor | ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Instance normalisation: y = (x - mean) / sqrt(var + eps) * weight + bias.

    Mean and biased variance are those of a channel of a sample, over its positions.

    Parameters
    ----------
    input : Tensor or array (N, C, ...)
        x. Axis 1 is the channel.
    running_mean, running_var : Tensor or float32 array (C,), optional
        With use_input_stats they are moved, in place, towards the mean over the samples of the
        means and the unbiased variances; without it they are the statistics.
    weight : Tensor or array (C,), optional
        Default: 1.
    bias : Tensor or array (C,), optional
        Default: 0.
    use_input_stats : bool, default True
        Whether the statistics are those of the input.
    momentum : float, default 0.1
        running += momentum (new - running).
    eps : float, default 1e-5
        At least 0.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError
        When an argument has the wrong type, or a running statistic cannot be updated in place.
    ValueError
        When the shapes do not match, eps is negative, the statistics of the input are wanted and it
        has one position, or they are not wanted and running ones are missing.

    References
    ----------
    Ulyanov, Vedaldi, Lempitsky, "Instance normalization: the missing ingredient for fast
    stylization", 2016, arXiv:1607.08022.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.instance_norm([[[1.0, 3.0], [2.0, 6.0]]], eps=0.0).tolist()
    [[[-1.0, 1.0], [-1.0, 1.0]]]
    """
    x = as_tensor(input, "input")
    if x.ndim < 3:
        raise ValueError(f"input must have shape (N, C, ...), got {x.shape}")
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ValueError("running_mean and running_var must be given without use_input_stats")
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    samples, channels = x.shape[:2]
    positions = math.prod(x.shape[2:])
    w, b, mean_, var_ = _of_channels(
        channels, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var
    )
    _check_updatable(running_mean, mean_, "running_mean")
    _check_updatable(running_var, var_, "running_var")
    if positions < 2:
        raise ValueError(f"input must have more than one position, got shape {x.shape}")
    norm, variance, rows = _by_moments(x, samples, channels, check.real(eps, "eps", low=0.0))
    if mean_ is not None and var_ is not None and samples:
        if type(x) is PassTensor:
            raise CannotCarry("running statistics of the samples")
        rate = np.float32(momentum)
        factor = np.float32(positions / (positions - 1))
        unbiased = computed(lambda variance: variance.mean(0) * factor, variance)
        for t, new in ((mean_, computed(np.mean, norm.mean, axis=0)), (var_, unbiased)):
            noted(_move, t, new, rate)
    return _pending(x, w, b, norm, rows)


@carries
@quiet
def local_response_norm(
    input: Tensor | ArrayLike, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Local response normalisation: y_c = x_c (k + alpha / size * sum_j x_j^2)^(-beta).

    The sum goes over `size` neighbouring channels around c, those that exist.

    Parameters
    ----------
    input : Tensor or array (N, C, ...)
        x. Axis 1 is the channel.
    size : int, at least 1
    alpha, beta, k : float

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, or the input has fewer than 3 axes.

    References
    ----------
    Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural
    networks", NeurIPS 2012.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.local_response_norm([[[1.0], [2.0]]], 1, alpha=1.0, beta=1.0).tolist()
    [[[0.5], [0.4000000059604645]]]
    """
    x = as_tensor(input, "input")
    if x.ndim < 3:
        raise ValueError(f"input must have shape (N, C, ...), got {x.shape}")
    size = check.integer(size, "size", 1)
    factor = np.float32(check.real(alpha, "alpha") / size)
    power, constant = np.float32(-check.real(beta, "beta")), np.float32(check.real(k, "k"))
    before, behind, channels = size // 2, (size - 1) // 2, x.shape[1]

    def windows(a: Float32Array, before: int, behind: int) -> Float32Array:
        """The sums over channels [c - before, c + behind]."""
        total = a.copy("K")
        for j in range(1, min(before, channels - 1) + 1):
            total[:, j:] += a[:, :-j]
        for j in range(1, min(behind, channels - 1) + 1):
            total[:, :-j] += a[:, j:]
        return total

    def base_of(a: Float32Array) -> Float32Array:
        return constant + factor * windows(np.square(a), before, behind)

    def gradient(g: Float32Array, a: Float32Array) -> Float32Array:
        inner = windows(g * a * scale / base, behind, before)
        return g * scale + (2 * power * factor) * a * inner

    base = computed(base_of, x._strided)
    scale = computed(np.power, base, power)
    y = computed(np.multiply, x._strided, scale)
    return record(y, (x,), lambda *arrays: (computed(gradient, *arrays),), (x._strided,))


def _of_channels(channels: int, **arguments: Any) -> list[Tensor | None]:
    """The arguments as tensors of shape (channels,); None stays."""
    tensors = []
    for name, given in arguments.items():
        t = None if given is None else as_tensor(given, name)
        if t is not None and t.shape != (channels,):
            raise ValueError(
                f"{name} must have shape {(channels,)} to match input's channels, got {t.shape}"
            )
        tensors.append(t)
    return tensors


def _inverse(variance: Float32Array, eps: np.float32) -> Float32Array:
    result: Float32Array = 1.0 / np.sqrt(variance + eps)
    return result


def _move(running: Tensor, new: Float32Array, rate: np.float32) -> None:
    """Move a running statistic towards a new one."""
    array = running._to_write("normalisation in training")
    array += rate * (new - array)


def _by_moments(
    x: Tensor, sets: int, groups: int, eps: float
) -> tuple[Normalization, Float32Array, Float32Array]:
    """The normalisation by the statistics of x, its biased variance, and the rows of x."""
    rows = rows_of(x._strided, sets)
    mean, variance = batch_moments(rows, groups)
    inverse = computed(_inverse, variance, np.float32(eps))
    return Normalization(sets, mean, inverse, groups, False), variance, rows


def _folded(
    x: Tensor,
    mean: Float32Array,
    variance: Float32Array,
    eps: float,
    weight: Tensor | None,
    bias: Tensor | None,
) -> Tensor | None:
    """Batch norm in evaluation as a part of the convolution that makes x; None where it cannot be.

    Only where nothing is recorded.
    """
    recipe = x._pending
    if not isinstance(recipe, PendingConvolution) or wants_grad(
        *(t for t in (x, weight, bias) if t is not None)
    ):
        return None
    bias_before = recipe.epilogue.bias
    others = [t._array for t in (weight, bias, bias_before) if t is not None]
    if not note_constants(mean, variance, *others):
        return None
    inverse = _inverse(variance, np.float32(eps))
    scale = inverse if weight is None else inverse * weight._array
    shift = -mean * scale if bias is None else bias._array - mean * scale
    extended = recipe.scaled(scale, shift)
    return None if extended is None else pending_tensor(extended, type(x) is PassTensor)


def _pending(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    norm: Normalization,
    rows: Float32Array | None = None,
) -> Tensor:
    return pending_tensor(PendingNorm(x, weight, bias, norm, rows), type(x) is PassTensor)


def _check_updatable(given: Any, t: Tensor | None, name: str) -> None:
    """Raise where t cannot be updated in place, or is a converted copy of `given`."""
    if t is None:
        return
    if t is not given and t._array is not given:
        raise TypeError(
            f"{name} must be a float32 array or a Tensor to be updated in training, "
            f"got {check.describe(given)}"
        )
    check.writable(t._array, name)
