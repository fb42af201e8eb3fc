"""Stochastic depth (DropPath): whole samples of a residual branch are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.memory_format import as_map, empty_like, empty_map, flat, is_channels_last
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries, with_passes
from fastdrop.autograd.reorder import ordered
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.dropout import masked
from fastdrop.kernels.masks import draw_mask

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, BoolArray, Float32Array, IntArray

_LONG = 4096  # numbers of a sample from which on samples are added one by one


@carries
def drop_path(
    input: Tensor | ArrayLike,
    p: float = 0.0,
    training: bool = True,
    mode: str = "row",
    scale_by_keep: bool = True,
    *,
    layer: Any = None,
) -> Tensor:
    """Stochastic depth: y[n] = x[n] * 2^32 / q where sample n is kept, +0 where it is dropped.

    q = round((1 - p) 2^32). In evaluation y is the input itself. `fastdrop.nn.Residual` does not
    compute the branch of a dropped sample at all.

    Parameters
    ----------
    input : Tensor or array (samples, ...)
        x, the output of a residual branch, with at least 2 axes.
    p : float, default 0.0
        The probability to drop, in [0, 1].
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.
    mode : {"row", "batch"}, default "row"
        "row": one decision for each sample. "batch": one decision for all samples.
    scale_by_keep : bool, default True
        False: kept samples are not scaled.
    layer : Module, optional
        The layer whose site draws the mask.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1], the mode is another, or the input has fewer than 2 axes.

    References
    ----------
    Huang, Sun, Liu, Sedra, Weinberger, "Deep networks with stochastic depth", ECCV 2016,
    arXiv:1603.09382.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.drop_path([[1.0, 2.0]], 1.0).tolist()
    [[0.0, 0.0]]
    >>> F.drop_path([[1.0, 2.0]], 0.5, training=False).tolist()
    [[1.0, 2.0]]
    """
    p, x = check.rate(p), as_tensor(input, "input")
    check.choice(mode, "mode", ("row", "batch"))
    if x.ndim < 2:
        raise ValueError(
            f"input must have shape (samples, ...) with at least 2 dimensions, got {x.shape}"
        )
    if not random.draws(training) or p == 0.0:
        return x
    q, x = _core.keep_threshold(p), with_passes(x)
    stream = random.stream_for(layer, x.shape[0], shared=mode == "batch", carries=True)
    scale = _core.keep_scale(q) if scale_by_keep else 1.0
    return masked(x, stream, q, scale, share=(True,) * (x.ndim - 1))


def path_mask(samples: int, p: float, mode: str, layer: Any) -> tuple[BoolArray, float]:
    """(which samples DropPath keeps (samples,), the factor of the kept ones)."""
    q = _core.keep_threshold(p)
    stream = random.stream_for(layer, samples, shared=mode == "batch")
    return draw_mask(samples, 1, stream, q)[:, 0], _core.keep_scale(q)


def gather_rows(x: Tensor, rows: IntArray) -> Tensor:
    """x[rows]. Each row number occurs at most once."""

    shape = x.shape

    array, channels_last = x._strided, is_channels_last(x._strided)

    def backward(g: Float32Array) -> Any:
        dx = empty_map(shape, channels_last)
        memory = flat(dx)
        memory[...] = 0.0
        memory[rows] = flat(g)
        return (dx,)

    some = _taken(flat(array), rows)
    return record(as_map(some) if channels_last else some, (x,), backward)


def _taken(array: Float32Array, rows: IntArray) -> Float32Array:
    """array[rows]"""
    return np.take(array, rows, 0, empty((len(rows), *array.shape[1:])), "clip")


def add_to_rows(x: Tensor, y: Tensor, rows: IntArray, scale: float) -> Tensor:
    """x with scale * y added to these rows. Each row number occurs at most once.

    x: (N, ...), y: (len(rows), ...).
    """
    if y.shape != (len(rows), *x.shape[1:]):
        raise ValueError(
            f"the branch must keep its input's shape: {x.shape} + {y.shape} for {len(rows)} rows"
        )
    factor = np.float32(scale)
    array, channels_last = x._strided, is_channels_last(x._strided)
    out = empty_like(array)
    _add_rows(flat(out), flat(array), flat(ordered(y._strided, channels_last)), rows, factor)

    def backward(g: Float32Array) -> Any:
        some = _taken(flat(g), rows)
        np.multiply(some, factor, out=some)
        return g, as_map(some) if channels_last else some

    return record(out, (x, y), backward)


def _add_rows(
    out: Float32Array, x: Float32Array, y: Float32Array, rows: IntArray, factor: np.float32
) -> None:
    """out = x, with factor * y added to some rows."""
    if x[:1].size < _LONG:
        np.copyto(out, x)
        out[rows] += y * factor
        return
    place = np.full(len(x), -1)
    place[rows] = np.arange(len(rows))
    for i, j in enumerate(place.tolist()):  # row after row, in a cache
        if j < 0:
            np.copyto(out[i], x[i])
        else:
            np.multiply(y[j], factor, out=out[i])
            np.add(out[i], x[i], out=out[i])
