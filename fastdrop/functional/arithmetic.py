"""Arithmetic on tensors: operators, pointwise functions, reductions, shapes, products. NumPy computes; each function
stands beside its backward, and the common ones become methods of `Tensor` at the end."""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.tensor import (
    PassTensor,
    Tensor,
    as_tensor,
    carries,
    record,
    row_by_row,
)
from fastdrop.functional import fused
from fastdrop.random import CannotCarry


def _fold(grad: np.ndarray, shape: tuple) -> np.ndarray:
    """Sum a gradient over the axes along which an input of `shape` was broadcast."""
    if grad.shape == shape:
        return grad
    extra = grad.ndim - len(shape)
    grad = grad.sum(
        axis=(
            *range(extra),
            *(i + extra for i, n in enumerate(shape) if n == 1 and grad.shape[i + extra] != 1),
        )
    )
    return grad.reshape(shape)


def _pair(a, b):
    return row_by_row(as_tensor(_number(a), "input"), as_tensor(_number(b), "other"))


def _number(x):
    """x, with the truth values of a comparison as 0 and 1: masks are multiplied."""
    return x.astype(np.float32) if type(x) is np.ndarray and x.dtype == np.bool_ else x


# ---- operators ----


@carries
def add(input, other) -> Tensor:
    """input + other, broadcast."""
    a, b = _pair(input, other)
    sa, sb = a.shape, b.shape
    return record(a.data + b.data, (a, b), lambda g: (_fold(g, sa), _fold(g, sb)))


@carries
def sub(input, other) -> Tensor:
    """input - other, broadcast."""
    a, b = _pair(input, other)
    sa, sb = a.shape, b.shape
    return record(a.data - b.data, (a, b), lambda g: (_fold(g, sa), _fold(-g, sb)))


@carries
def mul(input, other) -> Tensor:
    """input * other, broadcast."""
    a, b = _pair(input, other)
    x, y = a.data, b.data
    return record(x * y, (a, b), lambda g: (_fold(g * y, x.shape), _fold(g * x, y.shape)))


@carries
def div(input, other) -> Tensor:
    """input / other, broadcast."""
    a, b = _pair(input, other)
    x, y = a.data, b.data
    with np.errstate(all="ignore"):
        quotient = x / y

    def backward(g):
        dx = g / y
        return _fold(dx, x.shape) if a.requires_grad else None, _fold(
            -dx * quotient, y.shape
        ) if b.requires_grad else None

    return record(quotient, (a, b), backward)


@carries
def neg(input) -> Tensor:
    """-input."""
    a = as_tensor(input, "input")
    return record(-a.data, (a,), lambda g: (-g,))


def pow(input, exponent) -> Tensor:
    """input ** exponent, broadcast; NaN below 0 where the exponent is no integer, and in its gradient."""
    a, b = as_tensor(input, "input"), as_tensor(exponent, "exponent")
    x, n = a.data, b.data
    with np.errstate(all="ignore"):
        y = x * x if n.ndim == 0 and n == 2 else x**n  # np.power takes ten times as long

    def backward(g):
        dx = dn = None
        if a.requires_grad:  # a power of 0 is constant, at 0 too
            dx = _fold(g * np.where(n == 0, np.float32(0), n * x ** (n - 1)), x.shape)
        if b.requires_grad:
            dn = _fold(g * np.where((x == 0) & (n >= 0), np.float32(0), y * np.log(x)), n.shape)
        return dx, dn

    return record(y, (a, b), backward)


def matmul(input, other) -> Tensor:
    """Matrix product; 2-d by fastdrop's own kernel, stacks of matrices and vectors by NumPy."""
    a, b = _pair(input, other)
    x, y = a.data, b.data
    if x.ndim == 2 and y.ndim == 2:
        if x.shape[1] != y.shape[0]:
            raise ValueError(
                f"other must have {x.shape[1]} rows to match input's columns, got shape {y.shape}"
            )

        def product(left, tl, right, tr, shape):
            out = empty(shape)
            _core.gemm(out, left, tl, right, tr)
            return out

        return record(
            product(x, False, y, False, (x.shape[0], y.shape[1])),
            (a, b),
            lambda g: (
                product(_dense(g), False, y, True, x.shape) if a.requires_grad else None,
                product(x, True, _dense(g), False, y.shape) if b.requires_grad else None,
            ),
        )
    try:
        result = np.matmul(x, y)
    except ValueError as error:
        raise ValueError(
            f"other must match input's last axis, got shapes {x.shape} and {y.shape}"
        ) from error

    def backward(g):
        wide_x, wide_y = (x[None, :] if x.ndim == 1 else x), (y[:, None] if y.ndim == 1 else y)
        g = g.reshape(
            np.broadcast_shapes(wide_x.shape[:-2], wide_y.shape[:-2])
            + (wide_x.shape[-2], wide_y.shape[-1])
        )
        dx = _fold(np.matmul(g, np.swapaxes(wide_y, -1, -2)), wide_x.shape).reshape(x.shape)
        dy = _fold(np.matmul(np.swapaxes(wide_x, -1, -2), g), wide_y.shape).reshape(y.shape)
        return dx, dy

    return record(result, (a, b), backward)


def _dense(g):
    return g if g.flags.c_contiguous else np.ascontiguousarray(g)


# ---- pointwise ----


@carries
def exp(input) -> Tensor:
    """e ** x."""
    a = as_tensor(input, "input")
    with np.errstate(over="ignore"):
        y = np.exp(a.data)
    return record(y, (a,), lambda g: (g * y,))


@carries
def log(input) -> Tensor:
    """Natural logarithm; -inf at 0, NaN below."""
    a = as_tensor(input, "input")
    x = a.data
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.log(x)

    return record(y, (a,), lambda g: (g / x,))


@carries
def sqrt(input) -> Tensor:
    """Square root; NaN below 0."""
    a = as_tensor(input, "input")
    with np.errstate(invalid="ignore"):
        y = np.sqrt(a.data)

    return record(y, (a,), lambda g: (g / (y + y),))


@carries
def abs(input) -> Tensor:
    """|x|, with gradient 0 at 0."""
    a = as_tensor(input, "input")
    x = a.data
    return record(np.abs(x), (a,), lambda g: (g * np.sign(x),))


def clamp(input, min=None, max=None) -> Tensor:
    """x limited to [min, max]; the gradient passes where x lies inside, ends included."""
    a = as_tensor(input, "input")
    if min is None and max is None:
        raise ValueError("clamp needs min or max, got neither")
    low = -np.inf if min is None else float(min)
    high = np.inf if max is None else float(max)
    x = a.data
    return record(
        np.minimum(np.maximum(x, np.float32(low)), np.float32(high)),
        (a,),
        lambda g: (g * ((x >= low) & (x <= high)),),
    )


def maximum(input, other) -> Tensor:
    """The larger of two, elementwise; ties share the gradient."""
    a, b = _pair(input, other)
    x, y = a.data, b.data

    def backward(g):
        first = (x > y) + np.float32(0.5) * (x == y)
        return _fold(g * first, x.shape), _fold(g * (1 - first), y.shape)

    return record(np.maximum(x, y), (a, b), backward)


@carries
def softmax(input, dim: int = -1) -> Tensor:
    """exp(x_i) / sum_j exp(x_j) along dim."""
    a = as_tensor(input, "input")
    _axes(dim, a.ndim)
    _not_rows(a, dim)
    y = softmax_of(a.data, dim)

    def backward(g):
        gy = g * y
        return (gy - y * gy.sum(dim, keepdims=True),)

    return record(y, (a,), backward)


@carries
def log_softmax(input, dim: int = -1) -> Tensor:
    """x_i - log sum_j exp(x_j) along dim."""
    a = as_tensor(input, "input")
    _axes(dim, a.ndim)
    _not_rows(a, dim)
    y = log_softmax_of(a.data, dim)
    return record(y, (a,), lambda g: (g - np.exp(y) * g.sum(dim, keepdims=True),))


def _not_rows(a, dim):
    if type(a) is PassTensor and dim % a.ndim == 0:
        raise CannotCarry("softmax over the samples")


def softmax_of(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Softmax of an array."""
    if x.size == 0:
        return x.copy()
    with np.errstate(invalid="ignore"):  # NaN where no finite number is in the sum
        e = np.subtract(x, x.max(axis, keepdims=True), out=_like(x))
    np.exp(e, out=e)
    e /= e.sum(axis, keepdims=True)
    return e


def log_softmax_of(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Logarithm of the softmax of an array."""
    if x.size == 0:
        return x.copy()
    with np.errstate(invalid="ignore"):
        y = np.subtract(x, x.max(axis, keepdims=True), out=_like(x))
    y -= np.log(np.exp(y, out=_like(x)).sum(axis, keepdims=True))
    return y


def _like(x):
    """Memory for a result of x's shape and type, kept memory for float32."""
    return empty(x.shape) if x.dtype == np.float32 else np.empty_like(x)


# ---- reductions; `axis` and `keepdims` are accepted for dim and keepdim ----


def _axes(dim, ndim) -> tuple[int, ...]:
    """dim as a tuple of axes, all of them for None."""
    if dim is None:
        return tuple(range(ndim))
    axes = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    for axis in axes:
        check.integer(axis, "dim", -max_of(ndim, 1), max_of(ndim, 1) - 1)
    if ndim == 0:
        return ()
    axes = tuple(axis % ndim for axis in axes)
    if len(set(axes)) != len(axes):
        raise ValueError(f"dim must name each axis once, got {dim}")
    return axes


def _axis(dim, ndim) -> int:
    """dim as one axis of a tensor that has any."""
    if ndim == 0:
        raise ValueError(f"dim must name an axis, got {dim} for a 0-d tensor")
    return _axes(dim, ndim)[0]


def _restore(g, axes, keepdim):
    """A reduction's gradient with the reduced axes back as length 1."""
    return g if keepdim else np.expand_dims(g, axes)


def sum(input, dim=None, keepdim: bool = False, *, axis=None, keepdims: bool = False) -> Tensor:
    """Sum over dim (all axes when None)."""
    a = as_tensor(input, "input")
    keepdim, axes = keepdim or keepdims, _axes(axis if dim is None else dim, a.ndim)
    shape = a.shape
    return record(
        a.data.sum(axis=axes, keepdims=keepdim),
        (a,),
        lambda g: (np.broadcast_to(_restore(g, axes, keepdim), shape),),
    )


def mean(input, dim=None, keepdim: bool = False, *, axis=None, keepdims: bool = False) -> Tensor:
    """Mean over dim (all axes when None); NaN of no elements."""
    a = as_tensor(input, "input")
    keepdim, axes = keepdim or keepdims, _axes(axis if dim is None else dim, a.ndim)
    shape = a.shape
    count = np.float32(np.prod([shape[i] for i in axes], dtype=np.int64))
    with np.errstate(invalid="ignore", divide="ignore"):
        y = a.data.sum(axis=axes, keepdims=keepdim) / count
    return record(y, (a,), lambda g: (np.broadcast_to(_restore(g / count, axes, keepdim), shape),))


def var(
    input,
    dim=None,
    correction: int = 1,
    keepdim: bool = False,
    *,
    axis=None,
    keepdims: bool = False,
) -> Tensor:
    """Sum of squared deviations over (count - correction)."""
    a = as_tensor(input, "input")
    axes = _axes(axis if dim is None else dim, a.ndim)
    deviation = sub(a, mean(a, axes, True))
    count = np.prod([a.shape[i] for i in axes], dtype=np.int64)
    return div(
        sum(mul(deviation, deviation), axes, keepdim or keepdims),
        np.float32(max_of(count - correction, 0)),
    )


def max_of(a, b):
    """The larger of two Python numbers."""
    return a if a > b else b


def std(
    input,
    dim=None,
    correction: int = 1,
    keepdim: bool = False,
    *,
    axis=None,
    keepdims: bool = False,
) -> Tensor:
    """Square root of `var`."""
    return sqrt(var(input, dim, correction, keepdim, axis=axis, keepdims=keepdims))


Extreme = namedtuple(
    "Extreme", ["values", "indices"]
)  # what max and min return along one axis, as PyTorch's do


def _extreme(input, dim, keepdim, reduce, name) -> Tensor:
    a = as_tensor(input, "input")
    axes, x = _axes(dim, a.ndim), a.data
    if x.size == 0:
        raise ValueError(f"{name} needs elements, got shape {x.shape}")
    y = reduce(x, axis=axes, keepdims=True)

    def backward(g):
        hit = (x == y).astype(np.float32)
        return (hit / hit.sum(axis=axes, keepdims=True) * _restore(g, axes, keepdim),)

    return record(
        y if keepdim else y.reshape([n for i, n in enumerate(x.shape) if i not in axes]),
        (a,),
        backward,
    )


def amax(input, dim=None, keepdim: bool = False) -> Tensor:
    """The maximum over dim (all axes when None); ties share the gradient."""
    return _extreme(input, dim, keepdim, np.max, "amax")


def amin(input, dim=None, keepdim: bool = False) -> Tensor:
    """The minimum over dim (all axes when None); ties share the gradient."""
    return _extreme(input, dim, keepdim, np.min, "amin")


def max(input, dim: int | None = None, keepdim: bool = False):
    """The maximum of all elements; with dim the pair (values, indices) along it, indices an integer array."""
    values = _extreme(input, dim, keepdim, np.max, "max")
    return values if dim is None else Extreme(values, argmax(input, dim, keepdim))


def min(input, dim: int | None = None, keepdim: bool = False):
    """The minimum of all elements; with dim the pair (values, indices) along it, indices an integer array."""
    values = _extreme(input, dim, keepdim, np.min, "min")
    return values if dim is None else Extreme(values, _place(input, dim, keepdim, np.argmin))


def argmax(input, dim: int | None = None, keepdim: bool = False) -> np.ndarray:
    """Where the maximum is, as an integer array."""
    return _place(input, dim, keepdim, np.argmax)


def _place(input, dim, keepdim, find) -> np.ndarray:
    x = as_tensor(input, "input").data
    if dim is not None:
        check.integer(dim, "dim", -max_of(x.ndim, 1), max_of(x.ndim, 1) - 1)
    return find(x, axis=dim, keepdims=keepdim)


# ---- shapes ----


def _view(array, a, shape) -> Tensor:
    return record(array, (a,), lambda g: (g.reshape(shape),))


def reshape(input, *shape) -> Tensor:
    """The same elements in another shape; one length may be -1."""
    a = as_tensor(input, "input")
    target = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    try:
        array = a.data.reshape(target)
    except (ValueError, TypeError) as error:
        raise type(error)(
            f"shape must hold the {a.numel()} elements of shape {a.shape}, got {target}"
        ) from None
    return _view(array, a, a.shape)


def flatten(input, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes start_dim to end_dim as one."""
    a = as_tensor(input, "input")
    shape = a.shape or (1,)
    start, end = _axes(start_dim, len(shape))[0], _axes(end_dim, len(shape))[0]
    if end < start:
        raise ValueError(f"end_dim must not come before start_dim, got {start_dim} and {end_dim}")
    merged = int(np.prod(shape[start : end + 1], dtype=np.int64))
    return (
        a if start == end and a.shape else reshape(a, (*shape[:start], merged, *shape[end + 1 :]))
    )


def permute(input, *dims) -> Tensor:
    """Axes in another order."""
    a = as_tensor(input, "input")
    order = _axes(
        dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims, a.ndim
    )
    if len(order) != a.ndim:
        raise ValueError(f"dims must name all {a.ndim} axes, got {dims}")
    return record(
        np.ascontiguousarray(a.data.transpose(order)),
        (a,),
        lambda g: (g.transpose(np.argsort(order)),),
    )


def transpose(input, dim0: int, dim1: int) -> Tensor:
    """Two axes swapped."""
    a = as_tensor(input, "input")
    i, j = _axis(dim0, a.ndim), _axis(dim1, a.ndim)
    return record(
        np.ascontiguousarray(np.swapaxes(a.data, i, j)), (a,), lambda g: (np.swapaxes(g, i, j),)
    )


def squeeze(input, dim=None) -> Tensor:
    """Without the axes of length 1 (or without `dim` where its length is 1)."""
    a = as_tensor(input, "input")
    axes = tuple(i for i in _axes(dim, a.ndim) if a.shape[i] == 1)
    return _view(a.data.reshape([n for i, n in enumerate(a.shape) if i not in axes]), a, a.shape)


def unsqueeze(input, dim: int) -> Tensor:
    """With a new axis of length 1 at dim."""
    a = as_tensor(input, "input")
    return _view(np.expand_dims(a.data, _axes(dim, a.ndim + 1)[0]), a, a.shape)


def getitem(input, index) -> Tensor:
    """input[index]: slices, integers, integer arrays, masks, as NumPy."""
    a = as_tensor(input, "input")
    parts = index if isinstance(index, tuple) else (index,)
    index = tuple(i.data.astype(np.int64) if isinstance(i, Tensor) else i for i in parts)
    shape = a.shape
    plain = all(
        i is None or i is Ellipsis or isinstance(i, (int, slice, np.integer)) for i in index
    )

    def backward(g):
        dx = np.zeros(shape, np.float32)
        if plain:
            dx[index] = g
        else:
            np.add.at(dx, index, g)
        return (dx,)

    return record(np.array(a.data[index], order="C"), (a,), backward)


def cat(tensors, dim: int = 0) -> Tensor:
    """Tensors one after the other along dim."""
    parts = tuple(as_tensor(t, "tensors") for t in tensors)
    if not parts:
        raise ValueError("tensors must hold at least one tensor, got none")
    shape = parts[0].shape
    axis = _axis(dim, len(shape))
    for t in parts:
        if (
            t.ndim != len(shape)
            or t.shape[:axis] != shape[:axis]
            or t.shape[axis + 1 :] != shape[axis + 1 :]
        ):
            raise ValueError(
                f"tensors must have one shape but for axis {axis}, got {shape} and {t.shape}"
            )
    cuts = np.cumsum([t.shape[axis] for t in parts])[:-1]
    return record(
        np.concatenate([t.data for t in parts], axis),
        parts,
        lambda g: tuple(np.split(g, cuts, axis)),
    )


def stack(tensors, dim: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis."""
    return cat([unsqueeze(t, dim) for t in tensors], dim)


# ---- as methods ----


def _reversed(function):
    return lambda self, other: function(other, self)


def _compared(ufunc):
    return lambda self, other: ufunc(self.data, other.data if isinstance(other, Tensor) else other)


def _install() -> None:
    operators = {"add": add, "sub": sub, "mul": mul, "truediv": div, "pow": pow, "matmul": matmul}
    for name, function in operators.items():
        setattr(Tensor, f"__{name}__", function)
        setattr(Tensor, f"__r{name}__", _reversed(function))
    for name, ufunc in {
        "lt": np.less,
        "le": np.less_equal,
        "gt": np.greater,
        "ge": np.greater_equal,
        "eq": np.equal,
        "ne": np.not_equal,
    }.items():
        setattr(Tensor, f"__{name}__", _compared(ufunc))
    Tensor.__neg__, Tensor.__getitem__ = neg, getitem
    for function in (
        add,
        sub,
        mul,
        div,
        pow,
        matmul,
        exp,
        log,
        sqrt,
        abs,
        clamp,
        softmax,
        log_softmax,
        sum,
        mean,
        var,
        std,
        argmax,
        reshape,
        flatten,
        permute,
        transpose,
        squeeze,
        unsqueeze,
        fused.relu,
        fused.sigmoid,
        fused.tanh,
    ):
        setattr(Tensor, function.__name__, function)
    Tensor.max, Tensor.min, Tensor.view = max, min, reshape
    Tensor.T = property(lambda self: permute(self, tuple(range(self.ndim))[::-1]))


_install()
