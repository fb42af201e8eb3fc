"""Stochastic depth (DropPath): whole samples of a residual branch are dropped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.elementwise import elementwise, shape_of
from fastdrop.kernels.mask_key import MaskKey

if TYPE_CHECKING:
    from fastdrop._core import Stream
    from fastdrop._utils.typing import ArrayLike, Float32Array

__all__ = ["drop_path"]


def drop_path(
    x: ArrayLike,
    p: float,
    *,
    mode: Literal["row", "batch"] = "row",
    scale_by_keep: bool = True,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
    rows: ArrayLike | None = None,
    out: Float32Array | None = None,
) -> Float32Array:
    r"""Stochastic depth: zero whole samples, or the whole batch, and scale what is kept.

    .. math:: y_n = x_n \cdot 2^{32} / q \text{ where kept, } +0 \text{ where dropped}

    The backward pass is the same function of dy.

    Parameters
    ----------
    x : array_like (N, ...)
        The output of a residual branch, with at least 2 axes.
    p : float in [0, 1]
        Probability to drop a sample, or the batch.
    mode : {"row", "batch"}, default "row"
        "row": one decision for each sample. "batch": one decision for all samples.
    scale_by_keep : bool, default True
        False: kept samples are not scaled.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`).
    rows : array_like of int (N,), optional
        The row number of each sample, instead of row0, row0 + 1, ...
    out : float32 array of x's shape, optional
        Array for the result; it may be x itself.

    Returns
    -------
    float32 array of x's shape

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, shape or range, or `out` overlaps x without being x.

    References
    ----------
    G. Huang, Y. Sun, Z. Liu, D. Sedra, K. Weinberger, "Deep networks with stochastic depth",
    ECCV 2016, arXiv:1603.09382.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.drop_path(np.ones((3, 2)), 0.5, seed=1)
    array([[2., 2.],
           [0., 0.],
           [0., 0.]], dtype=float32)
    """
    check.choice(mode, "mode", ("row", "batch"))
    q = _core.keep_threshold(check.rate(p))
    scale = _core.keep_scale(q) if check.flag(scale_by_keep, "scale_by_keep") else 1.0

    def run(y: Float32Array, samples: Float32Array, stream: Stream) -> None:
        _core.dropout(_flat(y), _flat(samples), stream, q, scale, share=(True,))

    shape_of(x, "x", 2, "(samples, ...) with at least 2 dimensions")
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    return elementwise(x, "x", run, key, rows, out, whole_batch=mode == "batch")


def _flat(array: Float32Array) -> Float32Array:
    """A view (N, units of a sample). Reshaping to (N, -1) fails where the array is empty."""
    return array.reshape(len(array), math.prod(array.shape[1:]))
