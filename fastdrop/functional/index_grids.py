"""Places of triangles, and Vandermonde's matrix: tensors from lengths or from a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor, as_any_tensor
from fastdrop.functional.factories import made
from fastdrop.functional.pointwise import mul
from fastdrop.functional.shape import stack

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """The places of the lower triangle of a matrix: their rows, and their columns.

    Parameters
    ----------
    row, col : int
        The shape of the matrix.
    offset : int, default 0
        The last diagonal that belongs to it: 1 is the one above the main diagonal.
    dtype : dtype, optional
        By default int64.
    device : device or "cpu", optional

    Returns
    -------
    Tensor of shape (2, K)

    Raises
    ------
    TypeError, ValueError
        For lengths that are no sizes, another dtype or device.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tril_indices(2, 2).tolist()
    [[0, 1, 1], [0, 0, 1]]
    """
    return _places(np.tril_indices, row, col, offset, dtype, device)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """The places of the upper triangle of a matrix: their rows, and their columns.

    Parameters
    ----------
    row, col : int
        The shape of the matrix.
    offset : int, default 0
        The first diagonal that belongs to it: 1 is the one above the main diagonal.
    dtype : dtype, optional
        By default int64.
    device : device or "cpu", optional

    Returns
    -------
    Tensor of shape (2, K)

    Raises
    ------
    TypeError, ValueError
        For lengths that are no sizes, another dtype or device.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.triu_indices(2, 2).tolist()
    [[0, 0, 1], [0, 1, 1]]
    """
    return _places(np.triu_indices, row, col, offset, dtype, device)


def _places(function: Any, row: int, col: int, offset: int, dtype: Any, device: Any) -> Tensor:
    k = check.integer(offset, "offset", -(2**31), 2**31)
    places = function(check.integer(row, "row"), k, check.integer(col, "col"))
    return made(np.stack(places), np.int64 if dtype is None else dtype, device, False)


def vander(x: Tensor | ArrayLike, N: int | None = None, increasing: bool = False) -> Tensor:
    """The powers of the elements of a vector, a column each.

    Parameters
    ----------
    x : Tensor or array of shape (K,)
    N : int, optional
        The number of columns. None: K.
    increasing : bool, default False
        From the power 0 on, not from N - 1 down.

    Returns
    -------
    Tensor of shape (K, N)

    Raises
    ------
    TypeError, ValueError
        When x is no vector, or N no integer >= 0.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.vander([2.0, 3.0], 3).tolist()
    [[4.0, 2.0, 1.0], [9.0, 3.0, 1.0]]
    """
    a = as_any_tensor(x, "x")
    if a.ndim != 1:
        raise ValueError(f"x must be a vector, got shape {a.shape}")
    count = a.shape[0] if N is None else check.integer(N, "N", 0)
    powers = [a * 0 + 1] if count else [a[:0]]
    for _ in range(count - 1):
        powers.append(mul(powers[-1], a))
    if not check.flag(increasing, "increasing"):
        powers.reverse()
    return stack(powers, 1) if count else a.new_zeros((a.shape[0], 0))
