"""Alpha dropout, for networks with the SELU activation."""

from __future__ import annotations

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop.autograd.passes import carries, with_passes
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.dropout import masked
from fastdrop.kernels.alpha import alpha_constants


def alpha_dropout(
    input, p: float = 0.5, training: bool = False, inplace: bool = False, *, layer=None
) -> Tensor:
    """y = a x + b where kept, a alpha' + b where dropped: keeps mean 0 and variance 1 (`fastdrop.kernels.alpha_dropout`).

    Parameters
    ----------
    input : (samples, ...)
    p : float in [0, 1]
    training : bool
    inplace : bool
        Accepted for PyTorch's sake; changes nothing.
    layer : Module, optional
        Whose site draws the mask.

    References
    ----------
    Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.
    """
    return _alpha(input, p, training, False, layer)


def feature_alpha_dropout(
    input, p: float = 0.5, training: bool = False, inplace: bool = False, *, layer=None
) -> Tensor:
    """`alpha_dropout` of whole channels of (N, C, ...)."""
    return _alpha(input, p, training, True, layer)


@carries
def _alpha(input, p, training, channels, layer):
    p, x = check.rate(p), as_tensor(input, "input")
    if channels and x.ndim < 2:
        raise ValueError(f"input must have shape (N, C, ...), got {x.shape}")
    if not random.draws(training) or p == 0.0:
        return x
    q, x = _core.keep_threshold(p), with_passes(x)
    stream = random.stream_for(layer, x.shape[0] if x.ndim > 1 else 1, carries=True)
    return masked(
        x,
        stream,
        q,
        *alpha_constants(q),
        (False,) + (True,) * (x.ndim - 2) if channels and x.ndim > 2 else None,
    )
