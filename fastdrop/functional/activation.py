"""Activation functions, computed together with a dense layer before them where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.autograd.epilogue import Epilogue
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries
from fastdrop.autograd.pending import may_extend, of_result, pending_tensor
from fastdrop.autograd.pending_pointwise import PendingPointwise
from fastdrop.autograd.tensor import Tensor, as_tensor

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike

# The activations by their numbers in the core.
NONE = _core.ACT_NONE
RELU = _core.ACT_RELU
LEAKY_RELU = _core.ACT_LEAKY_RELU
SIGMOID = _core.ACT_SIGMOID
TANH = _core.ACT_TANH
SELU = _core.ACT_SELU
SILU = _core.ACT_SILU
GELU = _core.ACT_GELU
GELU_TANH = _core.ACT_GELU_TANH
MISH = _core.ACT_MISH


@carries
def activation(input: Tensor | ArrayLike, kind: int, alpha: float = 0.0) -> Tensor:
    """act(z), as a part of the product that makes z where z is pending.

    Parameters
    ----------
    input : Tensor or array
        z, of any shape.
    kind : int
        RELU, LEAKY_RELU, ...
    alpha : float, default 0.0
        The slope of leaky ReLU below 0; at least 0.
    """
    z = as_tensor(input, "input")
    p = z._pending
    if p is None:
        y = of_result(z, lambda recipe: recipe.with_activation(kind, alpha))
        if y is not None:
            return y
    elif may_extend(z, p):
        extended = p.with_activation(kind, alpha)
        if extended is not None:
            return pending_tensor(extended, type(z) is PassTensor)
    z._strided  # noqa: B018 (runs it: recipes never pile up)
    return pending_tensor(PendingPointwise(z, Epilogue(None, kind, alpha)), type(z) is PassTensor)


def relu(input: Tensor | ArrayLike, inplace: bool = False) -> Tensor:
    """y = max(0, x), elementwise; NaN stays NaN.

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
    Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.relu([-1.0, 2.0]).tolist()
    [0.0, 2.0]
    """
    return activation(input, RELU)


def leaky_relu(
    input: Tensor | ArrayLike, negative_slope: float = 0.01, inplace: bool = False
) -> Tensor:
    """y = x where x > 0, negative_slope * x elsewhere.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    negative_slope : float, default 0.01
        Any finite number.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When negative_slope is not a finite number.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.leaky_relu([-1.0, 2.0], 0.5).tolist()
    [-0.5, 2.0]
    """
    slope = check.real(negative_slope, "negative_slope")
    if slope >= 0.0:
        return activation(input, LEAKY_RELU, slope)
    # The core's backward takes the side from the sign of the output, which needs a slope >= 0.
    z = as_tensor(input, "input")
    factor = np.where(z._strided > 0, np.float32(1.0), np.float32(slope))
    return record(z._strided * factor, (z,), lambda g: (g * factor,))


def sigmoid(input: Tensor | ArrayLike) -> Tensor:
    """y = 1 / (1 + exp(-x)).

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.sigmoid([0.0]).tolist()
    [0.5]
    """
    return activation(input, SIGMOID)


def tanh(input: Tensor | ArrayLike) -> Tensor:
    """y = tanh x.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.

    Returns
    -------
    Tensor of input's shape

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tanh([0.0]).tolist()
    [0.0]
    """
    return activation(input, TANH)


def selu(input: Tensor | ArrayLike, inplace: bool = False) -> Tensor:
    """y = scale * (max(0, x) + min(0, alpha (exp(x) - 1))), alpha = 1.67326, scale = 1.0507.

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
    Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks", NeurIPS 2017,
    arXiv:1706.02515.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.selu([0.0]).tolist()
    [0.0]
    """
    return activation(input, SELU)


def silu(input: Tensor | ArrayLike, inplace: bool = False) -> Tensor:
    """y = x / (1 + exp(-x)).

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
    Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016, arXiv:1606.08415.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.silu([0.0]).tolist()
    [0.0]
    """
    return activation(input, SILU)


def gelu(input: Tensor | ArrayLike, approximate: str = "none") -> Tensor:
    """y = x Phi(x), Phi the distribution function of the standard normal distribution.

    With approximate="tanh", y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    Parameters
    ----------
    input : Tensor or array
        x, of any shape.
    approximate : {"none", "tanh"}
        The exact form, or the approximation of GPT-2.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When `approximate` is anything else.

    References
    ----------
    Hendrycks and Gimpel, "Gaussian error linear units (GELUs)", 2016, arXiv:1606.08415.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.gelu([0.0]).tolist()
    [0.0]
    """
    check.choice(approximate, "approximate", ("none", "tanh"))
    return activation(input, GELU if approximate == "none" else GELU_TANH)
