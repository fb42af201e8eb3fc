"""Initial values of weights, written in place.

Random values come from the generator "init" of the run, which `fastdrop.manual_seed` seeds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor
from fastdrop.nn.init_patterns import dirac_, eye_, fill, shape_of, sparse_

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}


def skipped() -> AbstractContextManager[None]:
    """Inside the block, new layers draw no random weights.

    For layers whose weights are read from a file right afterwards: half of the time of loading.

    Returns
    -------
    context manager

    Examples
    --------
    >>> from fastdrop import nn
    >>> with nn.init.skipped():
    ...     layer = nn.Linear(4, 3)  # its weights are to be read from a file
    >>> nn.init.zeros_(layer.weight).shape
    (3, 4)
    """
    return random.without_init()


def _fans(tensor: Tensor) -> tuple[int, int]:
    """(fan in, fan out) of a weight (out, in, ...)."""
    shape = shape_of(tensor)
    if len(shape) < 2:
        raise ValueError(f"tensor must have at least 2 dimensions to have fans, got shape {shape}")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Factor for the standard deviation of the weights before an activation.

    Parameters
    ----------
    nonlinearity : {"linear", "sigmoid", "tanh", "relu", "selu", "leaky_relu"}
        The activation.
    param : float, optional
        Slope of leaky_relu; default 0.01.

    Returns
    -------
    float

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.init.calculate_gain("relu") == 2**0.5
    True
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else check.real(param, "param")
        return math.sqrt(2.0 / (1.0 + slope * slope))
    return _GAINS[check.choice(nonlinearity, "nonlinearity", (*_GAINS, "leaky_relu"))]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Fill with numbers that are uniform in [a, b).

    Parameters
    ----------
    tensor : Tensor
        Written in place.
    a, b : float
        Limits, a <= b.

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.Linear(4, 3)
    >>> nn.init.uniform_(layer.weight, -0.1, 0.1) is layer.weight
    True
    """
    a, b = check.real(a, "a"), check.real(b, "b")
    if b < a:
        raise ValueError(f"b must not be less than a, got a={a} and b={b}")
    return (
        tensor
        if random.modes.skips_init
        else fill(tensor, random.generator("init").uniform(a, b, shape_of(tensor)))
    )


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Fill with normal numbers.

    Parameters
    ----------
    tensor : Tensor
        Written in place.
    mean : float
        Mean.
    std : float, at least 0
        Standard deviation.

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.Linear(4, 3)
    >>> nn.init.normal_(layer.weight, std=0.02) is layer.weight
    True
    """
    mean, std = check.real(mean, "mean"), check.real(std, "std", low=0.0)
    return (
        tensor
        if random.modes.skips_init
        else fill(tensor, random.generator("init").normal(mean, std, shape_of(tensor)))
    )


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one number.

    Parameters
    ----------
    tensor : Tensor
        Written in place.
    val : float
        The number.

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.Linear(4, 3)
    >>> nn.init.constant_(layer.weight, 0.1) is layer.weight
    True
    """
    return fill(tensor, check.real(val, "val"))


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros.

    Parameters
    ----------
    tensor : Tensor
        Written in place.

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.Linear(4, 3)
    >>> nn.init.zeros_(layer.weight) is layer.weight
    True
    """
    return fill(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones.

    Parameters
    ----------
    tensor : Tensor
        Written in place.

    Returns
    -------
    Tensor
        The same one.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.Linear(4, 3)
    >>> nn.init.ones_(layer.weight) is layer.weight
    True
    """
    return fill(tensor, 1.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill with numbers uniform in ±gain sqrt(6 / (fan_in + fan_out)), for sigmoid and tanh.

    Parameters
    ----------
    tensor : Tensor (out, in, ...)
        Written in place. fan_in is in, fan_out is out, each times the product of the other axes.
    gain : float
        See `calculate_gain`.

    Returns
    -------
    Tensor
        The same one.

    References
    ----------
    Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.Linear(4, 3)
    >>> nn.init.xavier_uniform_(layer.weight, gain=5 / 3) is layer.weight
    True
    """
    bound = check.real(gain, "gain") * math.sqrt(6.0 / max(1, sum(_fans(tensor))))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill with normal numbers of standard deviation gain sqrt(2 / (fan_in + fan_out)).

    Parameters
    ----------
    tensor : Tensor (out, in, ...)
        Written in place. fan_in is in, fan_out is out, each times the product of the other axes.
    gain : float
        See `calculate_gain`.

    Returns
    -------
    Tensor
        The same one.

    References
    ----------
    Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.Linear(4, 3)
    >>> nn.init.xavier_normal_(layer.weight) is layer.weight
    True
    """
    return normal_(
        tensor, 0.0, check.real(gain, "gain") * math.sqrt(2.0 / max(1, sum(_fans(tensor))))
    )


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    """gain / sqrt(fan)."""
    fans = dict(zip(("fan_in", "fan_out"), _fans(tensor), strict=True))
    return calculate_gain(nonlinearity, a) / math.sqrt(
        max(1, fans[check.choice(mode, "mode", tuple(fans))])
    )


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Fill with numbers uniform in ±gain sqrt(3 / fan), for ReLU and its variants.

    Parameters
    ----------
    tensor : Tensor (out, in, ...)
        Written in place. fan_in is in, fan_out is out, each times the product of the other axes.
    a : float
        Slope of leaky_relu.
    mode : {"fan_in", "fan_out"}
        Which fan: keep the variance in forward or in backward.
    nonlinearity : str
        See `calculate_gain`.

    Returns
    -------
    Tensor
        The same one.

    References
    ----------
    He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.Linear(4, 3)
    >>> nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu") is layer.weight
    True
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Fill with normal numbers of standard deviation gain / sqrt(fan), for ReLU and its variants.

    Parameters
    ----------
    tensor : Tensor (out, in, ...)
        Written in place. fan_in is in, fan_out is out, each times the product of the other axes.
    a : float
        Slope of leaky_relu.
    mode : {"fan_in", "fan_out"}
        Which fan: keep the variance in forward or in backward.
    nonlinearity : str
        See `calculate_gain`.

    Returns
    -------
    Tensor
        The same one.

    References
    ----------
    He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852.

    Examples
    --------
    >>> from fastdrop import nn
    >>> layer = nn.Linear(4, 3)
    >>> nn.init.kaiming_normal_(layer.weight, nonlinearity="relu") is layer.weight
    True
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Tensor:
    """Fill with normal numbers, of which those outside of an interval are drawn again.

    Parameters
    ----------
    tensor : Tensor
        Written in place.
    mean, std : float
        Mean and standard deviation of the normal distribution; std at least 0.
    a, b : float
        The ends of the interval. It must reach to within 2 standard deviations of the mean.

    Returns
    -------
    Tensor
        The same one.

    Raises
    ------
    TypeError, ValueError
        When an argument is no number, or the interval is empty or too far from the mean.

    Examples
    --------
    >>> from fastdrop import nn
    >>> w = nn.init.trunc_normal_(nn.Linear(4, 3).weight, std=0.02).data
    >>> bool(abs(w).max() <= 2.0)
    True
    """
    mean, std = check.real(mean, "mean"), check.real(std, "std", low=0.0)
    a, b = check.real(a, "a"), check.real(b, "b")
    if not (a < b and a <= mean + 2 * std and b >= mean - 2 * std):
        raise ValueError(
            f"a and b must be ends of an interval within 2 std of mean {mean}, got {a} and {b}"
        )
    if random.modes.skips_init:
        return tensor
    generator = random.generator("init")
    values = generator.normal(mean, std, size=shape_of(tensor))
    while (beyond := (values < a) | (values > b)).any():
        values[beyond] = generator.normal(mean, std, size=np.count_nonzero(beyond))
    return fill(tensor, values)


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill with a random matrix of orthonormal rows or columns, times a factor.

    Parameters
    ----------
    tensor : Tensor (out, in, ...)
        Written in place; axes after the first are treated as one.
    gain : float
        The factor, see `calculate_gain`.

    Returns
    -------
    Tensor
        The same one.

    References
    ----------
    Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks", ICLR 2014, arXiv:1312.6120.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> w = nn.init.orthogonal_(nn.Linear(4, 3).weight).data
    >>> bool(np.allclose(w @ w.T, np.eye(3), atol=1e-6))
    True
    """
    shape = shape_of(tensor)
    if len(shape) < 2:
        raise ValueError(f"tensor must have at least 2 dimensions, got shape {shape}")
    rows, columns = shape[0], math.prod(shape[1:])
    normal = random.generator("init").normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(normal)
    q *= np.sign(np.diag(r))
    return fill(tensor, (q if rows >= columns else q.T).reshape(shape) * check.real(gain, "gain"))
