"""The matrix product of two tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.recording import computed
from fastdrop.functional.broadcasting import operands, unbroadcast

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array, Shape
    from fastdrop.autograd.tensor import Tensor


@quiet
def matmul(input: Tensor | ArrayLike, other: Tensor | ArrayLike) -> Tensor:
    """The matrix product, with the shapes of `numpy.matmul`.

    Two matrices are multiplied by fastdrop's own kernel; vectors and stacks of matrices by NumPy.

    Parameters
    ----------
    input : Tensor or array
        (K,), (M, K) or (..., M, K).
    other : Tensor or array
        (K,), (K, N) or (..., K, N).

    Returns
    -------
    Tensor
        (..., M, N), without the axis of a vector.

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.matmul([[1.0, 2.0]], [[3.0], [4.0]]).tolist()
    [[11.0]]
    """
    a, b = operands(input, other)
    if a.ndim == 2 and b.ndim == 2:
        return _product_of_matrices(a, b)
    x, y = a._array, b._array
    try:
        result = computed(np.matmul, x, y)
    except ValueError as error:
        raise ValueError(
            f"other must match input's last axis, got shapes {x.shape} and {y.shape}"
        ) from error

    def backward(g: Float32Array, x: Float32Array, y: Float32Array) -> Any:
        wide_x, wide_y = (x[None, :] if x.ndim == 1 else x), (y[:, None] if y.ndim == 1 else y)
        g = g.reshape(
            np.broadcast_shapes(wide_x.shape[:-2], wide_y.shape[:-2])
            + (wide_x.shape[-2], wide_y.shape[-1])
        )
        dx = computed(np.matmul, g, np.swapaxes(wide_y, -1, -2))
        dy = computed(np.matmul, np.swapaxes(wide_x, -1, -2), g)
        dx = unbroadcast(dx, wide_x.shape).reshape(x.shape)
        dy = unbroadcast(dy, wide_y.shape).reshape(y.shape)
        return dx, dy

    return record(result, (a, b), backward, (x, y))


def _product_of_matrices(a: Tensor, b: Tensor) -> Tensor:
    """(M, K) times (K, N) by the core."""
    x, y = a._array, b._array
    if x.shape[1] != y.shape[0]:
        raise ValueError(
            f"other must have {x.shape[1]} rows to match input's columns, got shape {y.shape}"
        )

    x_shape, y_shape, bf16 = x.shape, y.shape, _core.modes.bf16_products

    def product(
        left: Float32Array, left_t: bool, right: Float32Array, right_t: bool, shape: Shape
    ) -> Float32Array:
        out = empty(shape)
        _core.gemm(out, left, left_t, right, right_t, bf16=bf16)
        return out

    return record(
        product(x, False, y, False, (x.shape[0], y.shape[1])),
        (a, b),
        lambda g, x, y: (
            None if y is None else product(_contiguous(g), False, y, True, x_shape),
            None if x is None else product(x, True, _contiguous(g), False, y_shape),
        ),
        (x if b.requires_grad else None, y if a.requires_grad else None),
    )


def _contiguous(g: Float32Array) -> Float32Array:
    if g.flags.c_contiguous:
        return g
    copied: Float32Array = computed(np.ascontiguousarray, g)
    return copied
