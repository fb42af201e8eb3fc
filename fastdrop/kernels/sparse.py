"""A dense layer with sparse weights in compressed sparse row (CSR) format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.arguments import floats

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array, IntArray

__all__ = ["sparse_linear"]

_Integer = TypeVar("_Integer", bound="np.integer[Any]")


def check_csr(values: Float32Array, columns: IntArray, starts: IntArray, ins: int) -> int:
    """Number of rows of this CSR matrix with `ins` columns. ValueError where it is not valid."""
    outs = len(starts) - 1
    if (
        outs < 0
        or starts[0] != 0
        or starts[-1] != len(columns)
        or len(columns) != len(values)
        or (np.diff(starts) < 0).any()
    ):
        raise ValueError(
            f"starts must rise from 0 to the {len(values)} values and columns, "
            f"got {check.describe(starts)}"
        )
    # Read as unsigned numbers, negative columns are too large as well.
    if len(columns) and columns.view(np.uint32).max() >= ins:
        raise ValueError(
            f"columns must be below {ins}, the features of the input, "
            f"got {columns.view(np.uint32).max()}"
        )
    return outs


def as_csr(
    values: ArrayLike, columns: ArrayLike, starts: ArrayLike, ins: int
) -> tuple[Float32Array, npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The arrays of a CSR matrix with `ins` columns as the core takes them.

    Arrays of another dtype are converted. TypeError or ValueError where they hold no such matrix.
    """
    numbers = floats(values, "values", ndim=1)
    whole = _integers(columns, "columns", np.int32), _integers(starts, "starts", np.int64)
    check_csr(numbers, *whole, ins)
    return numbers, *whole


def sparse_linear(
    x: ArrayLike,
    values: ArrayLike,
    columns: ArrayLike,
    starts: ArrayLike,
    b: ArrayLike | None = None,
    *,
    out: Float32Array | None = None,
) -> Float32Array:
    r"""A dense layer with sparse weights.

    .. math::
        y_{no} = \sum_{j = \mathrm{starts}_o}^{\mathrm{starts}_{o + 1} - 1}
        \mathrm{values}_j\, x_{n, \mathrm{columns}_j} + b_o

    The result has the same bits for every number of threads. Each row of y depends only on its
    own row of x, bit for bit.

    Parameters
    ----------
    x : array_like (N, in_features)
        Input.
    values : array_like (nonzeros,)
        Weights that are not zero, row by row.
    columns : array_like of int (nonzeros,)
        The column (input feature) of each value.
    starts : array_like of int (out_features + 1,)
        Where the values of each row begin; the last entry is the number of values.
    b : array_like (out_features,), optional
        Bias.
    out : float32 array (N, out_features), optional
        Array for the result. It must not overlap an input.

    Returns
    -------
    float32 array (N, out_features)

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or shape, or values, columns and starts are not a valid
        matrix with in_features columns.

    Examples
    --------
    >>> from fastdrop import kernels
    >>> kernels.sparse_linear([[1, 2, 3]], values=[10, 1], columns=[0, 2], starts=[0, 1, 2])
    array([[10.,  3.]], dtype=float32)
    """
    given = (x, values, b)
    x = floats(x, "x", ndim=2)
    values, columns, starts = as_csr(values, columns, starts, x.shape[1])
    outs = len(starts) - 1
    if b is not None:
        b = floats(b, "b", ndim=1)
        check.linear_shapes(x.shape, (outs, x.shape[1]), b.shape, ("x", "starts", "b"))
    target = check.output(out, (len(x), outs), *given, x, values, b, may_alias=False)
    y = check.core_buffer(target)
    _core.sparse_linear(y, x, values, columns, starts, b)
    if y is not target:
        target[...] = y
    return target


def _integers(value: Any, name: str, dtype: type[_Integer]) -> npt.NDArray[_Integer]:
    """A 1-d array of integers as C-contiguous `dtype`, which must hold them."""
    array = check.as_array(value, name)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise TypeError(f"{name} must be a 1-d integer array, got {check.describe(value)}")
    cast = np.require(array, dtype, ["C", "A"])
    if cast is not array and not np.array_equal(cast, array):
        raise ValueError(f"{name} must fit {np.dtype(dtype)}, got {check.describe(value)}")
    return cast
