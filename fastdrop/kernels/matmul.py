"""The matrix product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.arguments import floats

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

__all__ = ["matmul"]


def operand(x: Any, name: str) -> tuple[Float32Array, bool]:
    """(C-contiguous matrix, is it transposed). A transposed view is not copied."""
    if (
        type(x) is np.ndarray
        and x.ndim == 2
        and x.dtype == np.float32
        and not x.flags.c_contiguous
        and x.flags.f_contiguous
        and x.flags.aligned
        and x.dtype.isnative
    ):
        return x.T, True
    return floats(x, name, ndim=2), False


def matmul(a: ArrayLike, b: ArrayLike, *, out: Float32Array | None = None) -> Float32Array:
    r"""Matrix product in float32.

    .. math:: c_{ij} = \sum_k a_{ik} b_{kj}

    The result has the same bits for every number of threads. Each row of c depends only on its
    own row of a, bit for bit. With `fastdrop.set_float32_matmul_precision` "medium" the operands
    are rounded to bf16 first.

    Parameters
    ----------
    a : array_like (M, K)
        Left operand.
    b : array_like (K, N)
        Right operand. Transposed views of either are read in place; arrays with other strides
        are copied.
    out : float32 array (M, N), optional
        Array for the result. It must not overlap a or b.

    Returns
    -------
    float32 array (M, N)

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or shape, or `out` overlaps an operand.

    Examples
    --------
    >>> from fastdrop import kernels
    >>> kernels.matmul([[1, 2], [3, 4]], [[1, 0], [1, 1]])
    array([[3., 2.],
           [7., 4.]], dtype=float32)
    """
    left, left_transposed = operand(a, "a")
    right, right_transposed = operand(b, "b")
    m, k = left.shape[::-1] if left_transposed else left.shape
    k_b, n = right.shape[::-1] if right_transposed else right.shape
    if k != k_b:
        raise ValueError(f"b must have {k} rows to match a's columns, got shape {(k_b, n)}")
    target = check.output(out, (m, n), a, b, left, right, may_alias=False)
    c = check.core_buffer(target)
    bf16 = _core.modes.bf16_products
    _core.gemm(c, left, left_transposed, right, right_transposed, bf16=bf16)
    if c is not target:
        target[...] = c
    return target
