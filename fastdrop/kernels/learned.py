"""Concrete dropout and sparse layers on arrays."""

from __future__ import annotations

import math

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.elementwise import elementwise
from fastdrop.kernels.masks import memory

__all__ = ["concrete_dropout", "sparse_linear"]


def concrete_dropout(
    x, p, temperature=0.1, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0, rows=None, out=None
):
    """Concrete dropout: y = x (1 - z) / (1 - p), z = sigmoid((logit p + log u - log(1 - u)) / t), u uniform (domain 1).

    Parameters
    ----------
    x : array (samples, ...)
    p : float in (0, 1)
    temperature : float, above 0
        t; as it falls, z becomes Bernoulli(p).
    seed, site, draw, row0, sub, call, rows, out
        As for `dropout`.

    Returns
    -------
    float32 array of x's shape

    References
    ----------
    Gal, Hron, Kendall, "Concrete dropout", NeurIPS 2017.
    """
    p = check.real(p, "p", low=0.0, high=1.0, open_low=True, open_high=True)
    temperature = check.real(temperature, "temperature", low=0.0, open_low=True)
    logit = math.log(p) - math.log1p(-p)
    return elementwise(
        x,
        "x",
        lambda y, samples, stream: _core.concrete(y, samples, stream, logit, temperature, p),
        1,
        (seed, site, draw, row0, sub, call),
        rows,
        out,
    )


def check_csr(values, columns, starts, ins: int) -> int:
    """How many outputs these nonzeros have; ValueError where they are no sparse matrix with `ins` columns."""
    outs = len(starts) - 1
    if (
        outs < 0
        or starts[0] != 0
        or starts[-1] != len(columns)
        or len(columns) != len(values)
        or (np.diff(starts) < 0).any()
    ):
        raise ValueError(
            f"starts must rise from 0 to the {len(values)} values and columns, got {check.describe(starts)}"
        )
    if len(columns) and columns.view(np.uint32).max() >= ins:
        raise ValueError(
            f"columns must be below {ins}, the features of the input, got {columns.view(np.uint32).max()}"
        )
    return outs


def sparse_linear(x, values, columns, starts, b=None, *, out=None):
    """A dense layer with sparse weights: y[n, o] = sum_j values[j] x[n, columns[j]] + b[o], starts[o] <= j < starts[o + 1].

    Parameters
    ----------
    x : array (samples, in_features)
    values : array (nonzeros,)
    columns : integer array (nonzeros,)
    starts : integer array (out_features + 1,)
    b : array (out_features,), optional
    out : float32 array (samples, out_features), optional
        Must not overlap an input.

    Returns
    -------
    float32 array (samples, out_features); the same bits for every number of threads, and each row the same whatever rows are beside it

    Raises
    ------
    TypeError, ValueError
        Also when the nonzeros do not fit together, or name columns that x does not have.
    """
    given = (x, values, b)
    x, values = check.floats(x, "x", ndim=2), check.floats(values, "values", ndim=1)
    columns, starts = _integers(columns, "columns", np.int32), _integers(starts, "starts", np.int64)
    outs = check_csr(values, columns, starts, x.shape[1])
    if b is not None:
        b = check.floats(b, "b", ndim=1)
        if b.shape != (outs,):
            raise ValueError(f"b must have shape {(outs,)} to match starts, got {b.shape}")
    target = check.output(out, (len(x), outs), *memory(*given, x, values, b), may_alias=False)
    y = (
        target
        if target.flags.c_contiguous and target.flags.aligned
        else np.empty(target.shape, np.float32)
    )
    _core.sparse_linear(y, x, values, columns, starts, b)
    if y is not target:
        target[...] = y
    return target


def _integers(value, name, dtype):
    array = check.as_array(value, name)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise TypeError(f"{name} must be a 1-d integer array, got {check.describe(value)}")
    cast = np.ascontiguousarray(array, dtype)
    if cast is not array and not np.array_equal(cast, array):
        raise ValueError(f"{name} must fit {np.dtype(dtype)}, got {check.describe(value)}")
    return cast
