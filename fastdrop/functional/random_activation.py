"""Activations with random numbers: randomized leaky ReLU and the Gumbel softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries, with_passes
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.activation import leaky_relu
from fastdrop.functional.axes import axis_of
from fastdrop.functional.pointwise import add, div
from fastdrop.functional.softmax import softmax
from fastdrop.kernels.mask_key import UNIFORM

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array


def _uniform(x: Tensor, layer: Any) -> Float32Array:
    """Uniform numbers in (0, 1), one for each element of x; axis 0 is the sample."""
    samples = x.shape[0] if x.ndim > 1 else 1
    stream = random.stream_for(layer, samples, domain=UNIFORM, carries=True)
    u = empty((samples, x.numel() // samples if samples else 0))
    _core.uniform(u, stream)
    return u.reshape(x.shape)


@carries
@quiet
def rrelu(
    input: Tensor | ArrayLike,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
    *,
    layer: Any = None,
) -> Tensor:
    """Randomized leaky ReLU: y = x where x > 0, a x elsewhere, a uniform in [lower, upper].

    In evaluation a = (lower + upper) / 2. Each element has its own a: a function of the seed, the
    layer, the pass and the sample, as masks are.

    Parameters
    ----------
    input : Tensor or array (samples, ...)
        x. A 1-d input is one sample.
    lower, upper : float
        The limits of the slope, 1/8 and 1/3 by default.
    training : bool, default False
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws slopes in either case.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.
    layer : Module, optional
        The layer whose site draws the slopes.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    ValueError
        When lower is above upper.

    References
    ----------
    Xu, Wang, Chen, Li, "Empirical evaluation of rectified activations in convolutional network",
    2015, arXiv:1505.00853.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.rrelu([-4.0, 2.0], 0.25, 0.75).tolist()
    [-2.0, 2.0]
    """
    low, high = slopes_of(lower, upper)
    x = as_tensor(input, "input")
    if not random.draws(training):
        return leaky_relu(x, (low + high) / 2)
    x = with_passes(x)
    array = x._array
    slope = np.float32(low) + np.float32(high - low) * _uniform(x, layer)
    factor = np.where(array > 0, np.float32(1.0), slope)
    return record(array * factor, (x,), lambda g: (g * factor,))


def slopes_of(lower: Any, upper: Any) -> tuple[float, float]:
    """The limits of the slopes of `rrelu`."""
    low, high = check.real(lower, "lower"), check.real(upper, "upper")
    if low > high:
        raise ValueError(f"lower must not be above upper, got {lower} and {upper}")
    return low, high


@carries
@quiet
def gumbel_softmax(
    logits: Tensor | ArrayLike,
    tau: float = 1,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
) -> Tensor:
    """A random class, relaxed: y = softmax((x + g) / tau), g = -log(-log u), u uniform.

    The position of the largest element is distributed as softmax(x). Draws at every call, also in
    evaluation; u is a function of the seed, the call and the sample, as masks are.

    Parameters
    ----------
    logits : Tensor or array (samples, ...)
        x. A 1-d input is one sample.
    tau : float, default 1
        The temperature, above 0. For small numbers y is close to one-hot.
    hard : bool, default False
        Whether y is one-hot. The gradient is that of the relaxed y.
    eps : float
        Accepted for compatibility with PyTorch; has no effect.
    dim : int, default -1
        The axis of the classes.

    Returns
    -------
    Tensor of logits' shape

    Raises
    ------
    TypeError, ValueError
        When dim is no axis of the logits, or tau is not above 0.

    References
    ----------
    Jang, Gu, Poole, "Categorical reparameterization with Gumbel-softmax", ICLR 2017,
    arXiv:1611.01144.

    Maddison, Mnih, Teh, "The concrete distribution", ICLR 2017, arXiv:1611.00712.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.gumbel_softmax([[0.0, 100.0, 0.0]], hard=True).tolist()
    [[0.0, 1.0, 0.0]]
    """
    tau = check.real(tau, "tau", low=0.0, open_low=True)
    check.flag(hard, "hard")
    x = as_tensor(logits, "logits")
    axis = axis_of(dim, x.ndim)
    x = with_passes(x)
    noise = -np.log(-np.log(_uniform(x, None)))
    y = softmax(div(add(x, noise), tau), axis)
    if not hard:
        return y
    soft = y._array
    one_hot = np.zeros_like(soft)
    if soft.size:
        np.put_along_axis(one_hot, np.expand_dims(soft.argmax(axis), axis), 1.0, axis)
    return record(one_hot, (y,), lambda g: (g,))
