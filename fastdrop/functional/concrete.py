"""Concrete dropout: a continuous relaxation of dropout whose rate can be learned."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.kernels.mask_key import UNIFORM

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

_HIGHEST_RATE = 1.0 - 2.0**-24  # the factor 1 / (1 - p) stays finite


@quiet
def concrete_dropout(
    input: Tensor | ArrayLike,
    logit: Tensor | ArrayLike,
    temperature: float = 0.1,
    training: bool = True,
    *,
    channelwise: bool = False,
    layer: Any = None,
) -> Tensor:
    """Concrete dropout: y = x (1 - z) / (1 - p), a smooth form of dropout with a learned rate p.

    z = sigmoid((logit + log u - log(1 - u)) / t) with u uniform in (0, 1), and p = sigmoid(logit).
    There are gradients with respect to the input and to logit. In evaluation y is the input itself.

    Parameters
    ----------
    input : Tensor or array (samples, ...)
        x. A 1-d input is one sample.
    logit : Tensor or array with one element
        log(p / (1 - p)).
    temperature : float, default 0.1
        t, above 0. For small t, z is close to 0 or 1.
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws u in either case.
    channelwise : bool, default False
        One u for each sample and channel of (N, C, ...).
    layer : Module, optional
        The layer whose site draws u.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When logit is not one number, the temperature is not above 0, or a channelwise input has
        fewer than 2 axes.

    See Also
    --------
    fastdrop.nn.concrete_regularizer : the term of the loss that p needs in order to be learned.

    References
    ----------
    Gal, Hron, Kendall, "Concrete dropout", NeurIPS 2017, arXiv:1705.07832.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> import fastdrop.nn.functional as F
    >>> logit = fd.tensor([0.0], requires_grad=True)
    >>> F.concrete_dropout(np.ones((4, 8)), logit).mean().backward()
    >>> logit.grad.shape
    (1,)
    """
    x, theta = as_tensor(input, "input"), as_tensor(logit, "logit")
    if theta.numel() != 1:
        raise ValueError(f"logit must be one number, got shape {theta.shape}")
    temperature = check.real(temperature, "temperature", low=0.0, open_low=True)
    if channelwise and x.ndim < 2:
        raise ValueError(f"input must have shape (N, C, ...), got {x.shape}")
    if not random.draws(training):
        return x
    if channelwise and x.ndim > 2:
        ones = np.ones(x.shape[:2], np.float32)
        factor = concrete_dropout(ones, theta, temperature, layer=layer)
        return x * factor.reshape(*x.shape[:2], *[1] * (x.ndim - 2))
    value = float(theta.item())
    p = min(1.0 / (1.0 + math.exp(-value)) if value > -700 else 0.0, _HIGHEST_RATE)
    samples = x.shape[0] if x.ndim > 1 else 1
    stream = random.stream_for(layer, samples, domain=UNIFORM)
    rows = x._array.reshape(samples, -1) if x._array.size else x._array.reshape(samples, 0)
    y, shape = empty(rows.shape), x.shape
    _core.concrete(y, rows, stream, value, temperature, p)

    def backward(g: Float32Array, rows: Float32Array) -> Any:
        dx, sums = empty(rows.shape), np.empty(samples, np.float64)
        _core.concrete_backward(
            dx, sums, g.reshape(rows.shape), rows, stream, value, temperature, p
        )
        return dx.reshape(shape), np.full(theta.shape, sums.sum(), np.float32)

    return record(y.reshape(shape), (x, theta), backward, (rows,))
