"""Initial weights, in place, from the run's generator "init" (`fastdrop.manual_seed`)."""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor

_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}


class _Local(threading.local):
    skips = False


_local = _Local()


@contextmanager
def skipped():
    """Inside, random weights are not drawn: for layers whose weights come from a file at once. Half of the time of loading one."""
    before, _local.skips = _local.skips, True
    try:
        yield
    finally:
        _local.skips = before


def _fill(tensor: Tensor, values) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tensor must be a Tensor, got {check.describe(tensor)}")
    tensor.data[...] = values
    return tensor


def _shape(tensor):
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tensor must be a Tensor, got {check.describe(tensor)}")
    return tensor.shape


def _fans(tensor) -> tuple[int, int]:
    """(fan in, fan out) of a weight (out, in, ...)."""
    shape = _shape(tensor)
    if len(shape) < 2:
        raise ValueError(f"tensor must have at least 2 dimensions to have fans, got shape {shape}")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a layer before this activation scales its weights' standard deviation."""
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else check.real(param, "param")
        return math.sqrt(2.0 / (1.0 + slope * slope))
    return _GAINS[check.choice(nonlinearity, "nonlinearity", (*_GAINS, "leaky_relu"))]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Uniform in [a, b)."""
    a, b = check.real(a, "a"), check.real(b, "b")
    if b < a:
        raise ValueError(f"b must not be less than a, got a={a} and b={b}")
    return (
        tensor
        if _local.skips
        else _fill(tensor, random.generator("init").uniform(a, b, _shape(tensor)))
    )


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal with this mean and standard deviation."""
    mean, std = check.real(mean, "mean"), check.real(std, "std", low=0.0)
    return (
        tensor
        if _local.skips
        else _fill(tensor, random.generator("init").normal(mean, std, _shape(tensor)))
    )


def constant_(tensor: Tensor, val: float) -> Tensor:
    """All the same number."""
    return _fill(tensor, check.real(val, "val"))


def zeros_(tensor: Tensor) -> Tensor:
    """All 0."""
    return _fill(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """All 1."""
    return _fill(tensor, 1.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform in +-gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    bound = check.real(gain, "gain") * math.sqrt(6.0 / max(1, sum(_fans(tensor))))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    return normal_(
        tensor, 0.0, check.real(gain, "gain") * math.sqrt(2.0 / max(1, sum(_fans(tensor))))
    )


def _kaiming(tensor, a, mode, nonlinearity):
    fans = dict(zip(("fan_in", "fan_out"), _fans(tensor), strict=True))
    return calculate_gain(nonlinearity, a) / math.sqrt(
        max(1, fans[check.choice(mode, "mode", tuple(fans))])
    )


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Uniform in +-gain sqrt(3 / fan) (He et al., 2015); a is the slope of leaky_relu."""
    bound = math.sqrt(3.0) * _kaiming(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan) (He et al., 2015); a is the slope of leaky_relu."""
    return normal_(tensor, 0.0, _kaiming(tensor, a, mode, nonlinearity))


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """A random matrix with orthonormal rows or columns, times gain (Saxe et al., 2014); axes after the first as one."""
    shape = _shape(tensor)
    if len(shape) < 2:
        raise ValueError(f"tensor must have at least 2 dimensions, got shape {shape}")
    rows, columns = shape[0], math.prod(shape[1:])
    normal = random.generator("init").normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(normal)
    q *= np.sign(np.diag(r))
    return _fill(tensor, (q if rows >= columns else q.T).reshape(shape) * check.real(gain, "gain"))
