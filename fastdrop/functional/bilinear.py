"""Bilinear functions of two inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import align_passes, carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.pointwise import add

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array


@carries
@quiet
def bilinear(
    input1: Tensor | ArrayLike,
    input2: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
) -> Tensor:
    """y_o = x1^T W_o x2 + b_o.

    Parameters
    ----------
    input1 : Tensor or array (..., in1_features)
        x1.
    input2 : Tensor or array (..., in2_features)
        x2, with the same other axes.
    weight : Tensor or array (out_features, in1_features, in2_features)
        W.
    bias : Tensor or array (out_features,), optional
        b.

    Returns
    -------
    Tensor (..., out_features)

    Raises
    ------
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.bilinear([[1.0, 2.0]], [[3.0]], [[[1.0], [10.0]]]).tolist()
    [[63.0]]
    """
    a, b = align_passes(as_tensor(input1, "input1"), as_tensor(input2, "input2"))
    w = as_tensor(weight, "weight")
    if w.ndim != 3:
        raise ValueError(
            f"weight must have shape (out_features, in1_features, in2_features), got {w.shape}"
        )
    outputs, n, m = w.shape
    lead = a.shape[:-1]
    if (
        not a.ndim
        or not b.ndim
        or a.shape[:-1] != b.shape[:-1]
        or (a.shape[-1], b.shape[-1]) != (n, m)
    ):
        raise ValueError(
            f"input1 and input2 must have shapes (..., {n}) and (..., {m}) to match weight, got "
            f"{a.shape} and {b.shape}"
        )

    def right(y: Float32Array, w: Float32Array) -> Any:
        """W x2, (rows, out, in1)."""
        return (y @ w.reshape(-1, m).T).reshape(-1, outputs, n)

    def values(x: Float32Array, y: Float32Array, w: Float32Array) -> Any:
        rows = np.matmul(right(y.reshape(-1, m), w), x.reshape(-1, n, 1))
        return rows.reshape(*lead, outputs)

    def of_first(g: Float32Array, y: Float32Array, w: Float32Array) -> Any:
        rows = np.matmul(g.reshape(-1, 1, outputs), right(y.reshape(-1, m), w))
        return rows.reshape(*lead, n)

    def of_second(g: Float32Array, x: Float32Array, w: Float32Array) -> Any:
        outer = g.reshape(-1, outputs, 1) * x.reshape(-1, 1, n)
        return (outer.reshape(-1, outputs * n) @ w.reshape(-1, m)).reshape(*lead, m)

    def of_weight(g: Float32Array, x: Float32Array, y: Float32Array) -> Any:
        outer = g.reshape(-1, outputs, 1) * x.reshape(-1, 1, n)
        return (outer.reshape(-1, outputs * n).T @ y.reshape(-1, m)).reshape(outputs, n, m)

    of_a, of_b = a.requires_grad, b.requires_grad

    def backward(g: Float32Array, x: Float32Array, y: Float32Array, w: Float32Array) -> Any:
        return (
            computed(of_first, g, y, w) if of_a else None,
            computed(of_second, g, x, w) if of_b else None,
            computed(of_weight, g, x, y),
        )

    arrays = (a._array, b._array, w._array)
    y = record(computed(values, *arrays), (a, b, w), backward, arrays)
    if bias is None:
        return y
    offset = as_tensor(bias, "bias")
    if offset.shape != (outputs,):
        raise ValueError(f"bias must have shape {(outputs,)}, got {offset.shape}")
    return add(y, offset)
