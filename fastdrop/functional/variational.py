"""Variational dropout: Gaussian noise of a learned amount on the weights of a dense layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core, random
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.conv import conv2d
from fastdrop.functional.linear import linear
from fastdrop.functional.pointwise import clamp, exp, log, sqrt
from fastdrop.kernels.mask_key import NORMAL

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.functional.conv import Axes

# Constants of the approximation by Molchanov et al.: k1, k2, k3.
_K1, _K2, _K3 = 0.63576, 1.87320, 1.48695
# Constants of the polynomial by Kingma et al.: c1, c2, c3.
_C1, _C2, _C3 = 1.16145124, -1.50204118, 0.58629921


@quiet
def variational_linear(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    log_alpha: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
    *,
    layer: Any = None,
) -> Tensor:
    """A dense layer with noise on its weights: y = x W^T + b + sqrt(x^2 (alpha W^2)^T + 1e-8) z.

    z is standard normal, one number for each output. y has the distribution that it would have with
    each weight multiplied by N(1, alpha) (local reparameterisation).

    Parameters
    ----------
    input : Tensor or array (samples, in_features)
        x.
    weight : Tensor or array (out_features, in_features)
        W, the means of the weights.
    log_alpha : Tensor or array
        log alpha, in a shape that broadcasts to weight's.
    bias : Tensor or array (out_features,), optional
        b.
    layer : Module, optional
        The layer whose site draws z.

    Returns
    -------
    Tensor (samples, out_features)

    Raises
    ------
    TypeError
        When an argument does not hold real numbers.
    ValueError
        When the shapes do not match.

    References
    ----------
    Kingma, Salimans, Welling, "Variational dropout and the local reparameterization trick",
    NeurIPS 2015, arXiv:1506.02557.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.variational_linear(np.ones((2, 8)), np.ones((3, 8)), np.zeros((1, 1))).shape
    (2, 3)
    """
    x, w = as_tensor(input, "input"), as_tensor(weight, "weight")
    if x.ndim != 2:
        raise ValueError(f"input must have shape (samples, in_features), got {x.shape}")
    return _noisy(linear(x, w, bias), linear(x * x, exp(log_alpha) * (w * w)), layer)


@quiet
def variational_conv2d(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    log_alpha: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
    stride: Axes = 1,
    padding: Axes | str = 0,
    dilation: Axes = 1,
    groups: int = 1,
    *,
    layer: Any = None,
) -> Tensor:
    """A convolution with noise on its weights.

    y = conv(x, W) + b + sqrt(conv(x^2, alpha W^2) + 1e-8) z.

    z is standard normal, one number for each element of the output (local reparameterisation).

    Parameters
    ----------
    input : Tensor or array (N, C, H, W)
        x.
    weight : Tensor or array (out_channels, C / groups, *kernel)
        W, the means of the weights.
    log_alpha : Tensor or array
        log alpha, in a shape that broadcasts to weight's.
    bias : Tensor or array (out_channels,), optional
        b.
    stride, padding, dilation, groups
        As for `conv2d`.
    layer : Module, optional
        The layer whose site draws z.

    Returns
    -------
    Tensor (N, out_channels, H', W')

    Raises
    ------
    TypeError, ValueError
        As for `conv2d`.

    References
    ----------
    Molchanov, Ashukha, Vetrov, "Variational dropout sparsifies deep neural networks", ICML 2017,
    arXiv:1701.05369.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> w = np.ones((4, 3, 3, 3))
    >>> F.variational_conv2d(np.ones((2, 3, 6, 6)), w, np.zeros((1, 1, 1, 1))).shape
    (2, 4, 4, 4)
    """
    x, w = as_tensor(input, "input"), as_tensor(weight, "weight")
    if x.ndim != 4:
        raise ValueError(f"input must have shape (N, C, H, W), got {x.shape}")
    mean = conv2d(x, w, bias, stride, padding, dilation, groups)
    square = exp(log_alpha) * (w * w)
    return _noisy(mean, conv2d(x * x, square, None, stride, padding, dilation, groups), layer)


def _noisy(mean: Tensor, variance: Tensor, layer: Any) -> Tensor:
    """mean + sqrt(variance + 1e-8) z; the units of z are the elements of a sample in C order."""
    z = empty(mean.shape)
    stream = random.stream_for(layer, mean.shape[0], domain=NORMAL)
    _core.normal(z, stream)
    return mean + sqrt(variance + 1e-8) * z


@quiet
def log_alpha_of(weight: Tensor, log_sigma2: Tensor) -> Tensor:
    """log sigma^2 - log(W^2 + 1e-8), clipped to [-8, 8]. Both tensors have the weight's shape."""
    return clamp(log_sigma2 - log(weight * weight + 1e-8), -8.0, 8.0)


@quiet
def kl_sparse(log_alpha: Tensor | ArrayLike) -> Tensor:
    """The divergence of the weights from a log-uniform prior, approximated for every alpha.

    The sum over all elements of
    k1 - k1 sigmoid(k2 + k3 log alpha) + log(1 + 1 / alpha) / 2.

    References
    ----------
    Molchanov, Ashukha, Vetrov, "Variational dropout sparsifies deep neural networks", ICML 2017,
    arXiv:1701.05369.
    """
    a = as_tensor(log_alpha, "log_alpha")
    s = _sigmoid(np.float32(_K2) + np.float32(_K3) * a._array)
    values = (
        np.float32(_K1)
        - np.float32(_K1) * s
        + np.float32(0.5) * np.logaddexp(np.float32(0), -a._array)
    )

    def backward(g: Float32Array, a: Float32Array) -> Any:
        return (-(np.float32(_K1 * _K3) * s * (1 - s) + np.float32(0.5) * _sigmoid(-a)) * g,)

    return record(np.asarray(values.sum(dtype=np.float64), np.float32), (a,), backward, (a._array,))


@quiet
def kl_polynomial(log_alpha: Tensor | ArrayLike) -> Tensor:
    """The divergence of the weights from a log-uniform prior, approximated for alpha <= 1.

    The sum over all elements of -(log alpha / 2 + c1 alpha + c2 alpha^2 + c3 alpha^3).

    References
    ----------
    Kingma, Salimans, Welling, "Variational dropout and the local reparameterization trick",
    NeurIPS 2015, arXiv:1506.02557.
    """
    a = as_tensor(log_alpha, "log_alpha")
    alpha = exp(a)
    return -(a * 0.5 + alpha * (_C1 + alpha * (_C2 + alpha * _C3))).sum()


def _sigmoid(x: Float32Array) -> Float32Array:
    x = np.asarray(x, order="C")
    out = np.empty_like(x)
    _core.act(out, x, _core.ACT_SIGMOID, 0.0)
    return out
