"""Alpha dropout, for networks with the SELU activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop.autograd.passes import carries, with_passes
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.dropout import masked
from fastdrop.kernels.alpha import alpha_constants

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


def alpha_dropout(
    input: Tensor | ArrayLike,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    layer: Any = None,
) -> Tensor:
    """Alpha dropout: y = a x + b where kept, a alpha' + b where dropped.

    alpha' = -1.7580993408473766, k = q / 2^32 with q = round((1 - p) 2^32),
    a = (k (1 + (1 - k) alpha'^2))^(-1/2) and b = -a alpha' (1 - k). Inputs with mean 0 and variance
    1 keep both. y is 0 for p = 1. In evaluation y is the input itself.

    Parameters
    ----------
    input : Tensor or array (samples, ...)
        x. A 1-d input is one sample.
    p : float, default 0.5
        The probability to drop, in [0, 1].
    training : bool, default False
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.
    layer : Module, optional
        The layer whose site draws the mask.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1].

    References
    ----------
    Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks", NeurIPS 2017,
    arXiv:1706.02515.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.alpha_dropout([[1.0, 2.0]], 1.0, training=True).tolist()
    [[0.0, 0.0]]
    >>> F.alpha_dropout([[1.0, 2.0]], 0.5).tolist()
    [[1.0, 2.0]]
    """
    return _alpha_dropout(input, p, training, False, layer)


def feature_alpha_dropout(
    input: Tensor | ArrayLike,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    layer: Any = None,
) -> Tensor:
    """Alpha dropout of whole channels: a x + b where kept, a alpha' + b where dropped.

    The constants are those of `alpha_dropout`. In evaluation y is the input itself.

    Parameters
    ----------
    input : Tensor or array (N, C, ...)
        x.
    p : float, default 0.5
        The probability to drop a channel of a sample, in [0, 1].
    training : bool, default False
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.
    layer : Module, optional
        The layer whose site draws the mask.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1], or the input has fewer than 2 axes.

    References
    ----------
    Klambauer, Unterthiner, Mayr, Hochreiter, "Self-normalizing neural networks", NeurIPS 2017,
    arXiv:1706.02515.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.feature_alpha_dropout([[[1.0, 2.0]]], 1.0, training=True).tolist()
    [[[0.0, 0.0]]]
    """
    return _alpha_dropout(input, p, training, True, layer)


@carries
def _alpha_dropout(
    input: Tensor | ArrayLike, p: float, training: bool, channels: bool, layer: Any
) -> Tensor:
    """Alpha dropout of single elements, or of whole channels of (N, C, ...)."""
    p, x = check.rate(p), as_tensor(input, "input")
    if channels and x.ndim < 2:
        raise ValueError(f"input must have shape (N, C, ...), got {x.shape}")
    if not random.draws(training) or p == 0.0:
        return x
    q, x = _core.keep_threshold(p), with_passes(x)
    stream = random.stream_for(layer, x.shape[0] if x.ndim > 1 else 1, carries=True)
    share = (False,) + (True,) * (x.ndim - 2) if channels and x.ndim > 2 else None
    return masked(x, stream, q, *alpha_constants(q), share)
