"""Gaussian noise: multiplied (Gaussian dropout) or added."""

from __future__ import annotations

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries, with_passes
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.kernels.noise import FLOAT_MAX, gaussian_sigma


def gaussian_dropout(input, p: float = 0.5, training: bool = True, *, layer=None) -> Tensor:
    """y = x (1 + sqrt(p / (1 - p)) z), z standard normal; in evaluation the input itself.

    Parameters
    ----------
    input : (samples, ...)
    p : float in [0, 1)
    training : bool
    layer : Module, optional
        Whose site draws the noise.

    References
    ----------
    Srivastava et al., JMLR 15, 2014, section 10.
    """
    return _noise(input, gaussian_sigma(check.rate(p)), training, True, layer)


def gaussian_noise(input, sigma: float = 0.1, training: bool = True, *, layer=None) -> Tensor:
    """y = x + sigma z, z standard normal; in evaluation the input itself. sigma >= 0, in x's units."""
    return _noise(
        input, check.real(sigma, "sigma", low=0.0, high=FLOAT_MAX), training, False, layer
    )


@carries
def _noise(input, sigma, training, relative, layer):
    x = as_tensor(input, "input")
    if not random.draws(training) or sigma == 0.0:
        return x
    x = with_passes(x)
    samples = x.shape[0] if x.ndim > 1 else 1
    stream = random.stream_for(layer, samples, domain=2, carries=True)

    def noisy(array):
        out = empty(array.shape)
        rows = array.reshape(samples, -1) if array.size else array.reshape(samples, 0)
        _core.noise(out.reshape(rows.shape), rows, stream, sigma, relative)
        return out

    return record(noisy(x.data), (x,), lambda g: (noisy(g) if relative else g,))
