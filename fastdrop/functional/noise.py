"""Gaussian noise: multiplied (Gaussian dropout) or added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries, with_passes
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.kernels.mask_key import NORMAL
from fastdrop.kernels.noise import FLOAT_MAX, gaussian_sigma

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array


def gaussian_dropout(
    input: Tensor | ArrayLike, p: float = 0.5, training: bool = True, *, layer: Any = None
) -> Tensor:
    """Gaussian dropout: y = x (1 + sqrt(p / (1 - p)) z), z standard normal.

    In evaluation y is the input itself.

    Parameters
    ----------
    input : Tensor or array (samples, ...)
        x. A 1-d input is one sample.
    p : float, default 0.5
        Sets the variance of the factor to p / (1 - p), that of dropout with rate p. In [0, 1).
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws noise in either case.
    layer : Module, optional
        The layer whose site draws the noise.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1). The variance of p = 1 is infinite.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: a simple way to prevent
    neural networks from overfitting", JMLR 15, 2014, section 10.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> import fastdrop.nn.functional as F
    >>> fd.manual_seed(0)
    >>> y = F.gaussian_dropout(np.ones((100, 100)), p=0.2)
    >>> round(y.mean().item(), 1), round(y.std().item(), 1)
    (1.0, 0.5)
    """
    return _noise(input, gaussian_sigma(check.rate(p)), training, True, layer)


def gaussian_noise(
    input: Tensor | ArrayLike, sigma: float = 0.1, training: bool = True, *, layer: Any = None
) -> Tensor:
    """Additive Gaussian noise: y = x + sigma z, z standard normal.

    In evaluation y is the input itself.

    Parameters
    ----------
    input : Tensor or array (samples, ...)
        x. A 1-d input is one sample.
    sigma : float, default 0.1
        The standard deviation of the noise, in the units of x; at least 0.
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws noise in either case.
    layer : Module, optional
        The layer whose site draws the noise.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When sigma is not a number from 0 to the largest float32.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> import fastdrop.nn.functional as F
    >>> fd.manual_seed(0)
    >>> round(F.gaussian_noise(np.zeros((100, 100)), 0.1).std().item(), 2)
    0.1
    """
    sigma = check.real(sigma, "sigma", low=0.0, high=FLOAT_MAX)
    return _noise(input, sigma, training, False, layer)


@carries
def _noise(
    input: Tensor | ArrayLike, sigma: float, training: bool, relative: bool, layer: Any
) -> Tensor:
    """x (1 + sigma z) if relative, else x + sigma z."""
    x = as_tensor(input, "input")
    if not random.draws(training) or sigma == 0.0:
        return x
    x = with_passes(x)
    samples = x.shape[0] if x.ndim > 1 else 1
    stream = random.stream_for(layer, samples, domain=NORMAL, carries=True)

    def noisy(array: Float32Array) -> Float32Array:
        out = empty(array.shape)
        rows = array.reshape(samples, -1) if array.size else array.reshape(samples, 0)
        _core.noise(out.reshape(rows.shape), rows, stream, sigma, relative)
        return out

    return record(noisy(x._array), (x,), lambda g: (noisy(g) if relative else g,))
