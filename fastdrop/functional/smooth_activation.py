"""Smooth activations that NumPy computes: ELU, CELU, softplus, Mish and others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.activation import MISH, activation
from fastdrop.functional.element_loss import sigmoid_of, softplus_of

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

    Elements = Callable[..., Any]


@carries
@quiet
def elementwise(
    input: Tensor | ArrayLike, function: Elements, slope: Elements, *constants: Any
) -> Tensor:
    """y = function(x, *constants) of each element.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    function, slope : callable
        The value and the derivative, of float32 arrays.
    *constants
        Further arguments of both.
    """
    t = as_tensor(input, "input")
    x = t._strided
    y = computed(function, x, *constants)
    return record(y, (t,), lambda g, x: (computed(_times, g, slope, x, *constants),), (x,))


def _times(g: Float32Array, slope: Elements, x: Float32Array, *constants: Any) -> Any:
    return g * slope(x, *constants)


def elu(input: Tensor | ArrayLike, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Exponential linear unit: y = x where x > 0, alpha (exp(x) - 1) elsewhere.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    alpha : float, default 1.0
        Minus the limit at -infinity.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.

    Returns
    -------
    Tensor of input's shape

    References
    ----------
    Clevert, Unterthiner, Hochreiter, "Fast and accurate deep network learning by exponential linear
    units (ELUs)", ICLR 2016, arXiv:1511.07289.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.elu([-100.0, 0.0, 2.0]).tolist()
    [-1.0, 0.0, 2.0]
    """
    return elementwise(input, _elu, _of_elu, np.float32(check.real(alpha, "alpha")))


def _elu(x: Float32Array, alpha: np.float32) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _of_elu(x: Float32Array, alpha: np.float32) -> Any:
    return np.where(x > 0, np.float32(1.0), alpha * np.exp(np.minimum(x, 0)))


def celu(input: Tensor | ArrayLike, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """ELU with a continuous slope: y = x where x > 0, alpha (exp(x / alpha) - 1) elsewhere.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    alpha : float, default 1.0
        Not 0.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    ValueError
        When alpha is 0.

    References
    ----------
    Barron, "Continuously differentiable exponential linear units", 2017, arXiv:1704.07483.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.celu([-100.0, 0.0, 2.0], 0.5).tolist()
    [-0.5, 0.0, 2.0]
    """
    return elementwise(input, _celu, _of_celu, np.float32(celu_alpha(alpha)))


def celu_alpha(alpha: Any) -> float:
    """The alpha of CELU, which is not 0."""
    if check.real(alpha, "alpha") == 0:
        raise ValueError("alpha must not be 0, because x is divided by it")
    return float(alpha)


def _celu(x: Float32Array, alpha: np.float32) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.where(x > 0, 0, x) / alpha))


def _of_celu(x: Float32Array, alpha: np.float32) -> Any:
    return np.where(x > 0, np.float32(1.0), np.exp(np.where(x > 0, 0, x) / alpha))


def softplus(input: Tensor | ArrayLike, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """y = log(1 + exp(beta x)) / beta, without overflow; x itself where beta x > threshold.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    beta : float, default 1.0
        Not 0.
    threshold : float, default 20.0
        From where on the function is linear.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    ValueError
        When beta is 0.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.softplus([-1000.0, 1000.0]).tolist()
    [0.0, 1000.0]
    """
    limit = np.float32(check.real(threshold, "threshold"))
    return elementwise(input, _softplus, _of_softplus, np.float32(softplus_beta(beta)), limit)


def softplus_beta(beta: Any) -> float:
    """The beta of softplus, which is not 0."""
    if check.real(beta, "beta") == 0:
        raise ValueError("beta must not be 0, because the logarithm is divided by it")
    return float(beta)


def _softplus(x: Float32Array, beta: np.float32, limit: np.float32) -> Any:
    z = beta * x
    return np.where(z > limit, x, softplus_of(z) / beta)


def _of_softplus(x: Float32Array, beta: np.float32, limit: np.float32) -> Any:
    z = beta * x
    return np.where(z > limit, np.float32(1.0), sigmoid_of(z))


def logsigmoid(input: Tensor | ArrayLike) -> Tensor:
    """y = log(1 / (1 + exp(-x))), without overflow.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.logsigmoid([-1000.0, 1000.0]).tolist()
    [-1000.0, 0.0]
    """
    return elementwise(input, _logsigmoid, _of_logsigmoid)


def _logsigmoid(x: Float32Array) -> Any:
    return -softplus_of(-x) + np.float32(0.0)  # 0, not -0


def _of_logsigmoid(x: Float32Array) -> Any:
    return sigmoid_of(-x)


def mish(input: Tensor | ArrayLike, inplace: bool = False) -> Tensor:
    """y = x tanh(log(1 + exp(x))); 0 at -infinity.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.

    Returns
    -------
    Tensor of input's shape

    References
    ----------
    Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020,
    arXiv:1908.08681.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.mish([-1000.0, 0.0, 1000.0]).tolist()
    [0.0, 0.0, 1000.0]
    """
    return activation(input, MISH)


def smooth_clip(input: Tensor | ArrayLike, limit: float = 3.0) -> Tensor:
    """y = x / sqrt(1 + (x / limit)^2): about x near 0, inside (-limit, limit) everywhere.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    limit : float above 0

    Returns
    -------
    Tensor of input's shape

    References
    ----------
    Holzmüller, Grinsztajn, Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees
    on tabular data", NeurIPS 2024, arXiv:2407.04491.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.smooth_clip([0.0, 4.0, -1000.0]).round(decimals=2).tolist()
    [0.0, 2.4000000953674316, -3.0]
    """
    limit = check.real(limit, "limit", low=0, open_low=True)
    return elementwise(input, _smooth_clip, _of_smooth_clip, np.float32(limit))


def _smooth_clip(x: Float32Array, limit: Any) -> Any:
    return x / np.hypot(np.float32(1.0), x / limit)


def _of_smooth_clip(x: Float32Array, limit: Any) -> Any:
    return np.hypot(np.float32(1.0), x / limit) ** -3


def softsign(input: Tensor | ArrayLike) -> Tensor:
    """y = x / (1 + |x|), in [-1, 1].

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.softsign([-1.0, 0.0, 3.0]).tolist()
    [-0.5, 0.0, 0.75]
    """
    return elementwise(input, _softsign, _of_softsign)


def _softsign(x: Float32Array) -> Any:
    return x / (1 + np.abs(x))


def _of_softsign(x: Float32Array) -> Any:
    return 1 / np.square(1 + np.abs(x))


def tanhshrink(input: Tensor | ArrayLike) -> Tensor:
    """y = x - tanh(x).

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.tanhshrink([-50.0, 0.0, 50.0]).tolist()
    [-49.0, 0.0, 49.0]
    """
    return elementwise(input, _tanhshrink, _of_tanhshrink)


def _tanhshrink(x: Float32Array) -> Any:
    return x - np.tanh(x)


def _of_tanhshrink(x: Float32Array) -> Any:
    return np.square(np.tanh(x))
