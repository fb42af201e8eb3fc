"""Gated activations: the product of an activation and a second array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.epilogue import as_rows
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, align_passes, carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.axes import axis_of
from fastdrop.functional.element_loss import sigmoid_of
from fastdrop.random.forward_pass import CannotCarry

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array


@carries
def swiglu(input: Tensor | ArrayLike) -> Tensor:
    """Swish-gated linear unit: y = silu(a) b, where a and b are the halves of the last axis of x.

    silu(a) = a / (1 + exp(-a)).

    Parameters
    ----------
    input : Tensor or array (..., 2 H)
        x.

    Returns
    -------
    Tensor (..., H)

    Raises
    ------
    ValueError
        When the last axis has an odd length, or there is no axis.

    References
    ----------
    Shazeer, "GLU variants improve transformer", 2020, arXiv:2002.05202.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.swiglu([[0.0, 100.0, 5.0, 2.0]]).tolist()
    [[0.0, 200.0]]
    """
    x = as_tensor(input, "input")
    if x.ndim == 0 or x.shape[-1] % 2:
        raise ValueError(f"input must have an even number on its last axis, got shape {x.shape}")
    rows = as_rows(x._array)
    half = rows.shape[1] // 2
    y = empty((*x.shape[:-1], half))
    _core.silu_gate(as_rows(y), rows[:, :half], rows[:, half:])

    def backward(g: Float32Array, array: Float32Array) -> Any:
        dx = empty(array.shape)
        of_x, rows = as_rows(dx), as_rows(array)
        _core.silu_gate_backward(
            of_x[:, :half], of_x[:, half:], as_rows(g), rows[:, :half], rows[:, half:]
        )
        return (dx,)

    return record(y, (x,), backward, (x._array,))


@carries
def silu_gate(gate: Tensor, value: Tensor) -> Tensor:
    """silu(gate) * value, of two tensors of one shape.

    Parameters
    ----------
    gate, value : Tensor (..., H)
    """
    gate, value = align_passes(gate, value)
    y = empty(gate.shape)
    _core.silu_gate(as_rows(y), as_rows(gate._array), as_rows(value._array))

    def backward(g: Float32Array, a: Float32Array, b: Float32Array) -> Any:
        da, db = empty(a.shape), empty(a.shape)
        _core.silu_gate_backward(as_rows(da), as_rows(db), as_rows(g), as_rows(a), as_rows(b))
        return da, db

    return record(y, (gate, value), backward, (gate._array, value._array))


@carries
@quiet
def glu(input: Tensor | ArrayLike, dim: int = -1) -> Tensor:
    """Gated linear unit: y = a sigmoid(b), where a and b are the halves of x along an axis.

    Parameters
    ----------
    input : Tensor or array
        x.
    dim : int, default -1
        The axis, of even length; the result has half of it.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        When dim is no axis of the input, or its length is odd.

    References
    ----------
    Dauphin, Fan, Auli, Grangier, "Language modeling with gated convolutional networks", ICML 2017,
    arXiv:1612.08083.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.glu([[2.0, 4.0, 0.0, 100.0]]).tolist()
    [[1.0, 4.0]]
    """
    t = as_tensor(input, "input")
    axis = axis_of(dim, t.ndim)
    if type(t) is PassTensor and axis == 0:
        raise CannotCarry("glu over the samples met batched Monte Carlo passes")
    if t.shape[axis] % 2:
        raise ValueError(f"input must have an even length along dim {dim}, got shape {t.shape}")
    x = t._array
    return record(
        computed(_glu, x, axis), (t,), lambda g, x: (computed(_of_glu, g, x, axis),), (x,)
    )


def _halves(x: Float32Array, axis: int) -> tuple[Any, Any]:
    a, b = np.split(x, 2, axis)
    return a, b


def _glu(x: Float32Array, axis: int) -> Any:
    a, b = _halves(x, axis)
    return a * sigmoid_of(b)


def _of_glu(g: Float32Array, x: Float32Array, axis: int) -> Any:
    a, b = _halves(x, axis)
    s, rest = sigmoid_of(b), sigmoid_of(-b)
    return np.concatenate([g * s, g * a * s * rest], axis)
