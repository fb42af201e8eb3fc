"""Functions that write their result into the tensor itself: `add_` and its kin, assignments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.memory_format import is_channels_last
from fastdrop.autograd.dtypes import convert
from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.graph import FunctionNode
from fastdrop.autograd.in_place import change
from fastdrop.autograd.passes import PassTensor
from fastdrop.autograd.recording import computed, note_array, refuse
from fastdrop.autograd.tensor import IntegerBase, Tensor, wrap
from fastdrop.functional.broadcasting import unbroadcast
from fastdrop.functional.shape import index_arrays
from fastdrop.random import CannotCarry

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array

# The methods whose result has the shape of their tensor: each is there in place as well, as `abs_`.
NAMES = (
    *("abs", "absolute", "acos", "acosh", "add", "addbmm", "addcdiv", "addcmul", "addmm"),
    *("addmv", "addr", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2"),
    *("arctanh", "asin", "asinh", "atan", "atan2", "atanh", "baddbmm", "bitwise_and"),
    *("bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor"),
    *("ceil", "clamp", "clamp_max", "clamp_min", "clip", "copysign", "cos", "cosh", "cumprod"),
    *("cumsum", "deg2rad", "digamma", "div", "divide", "eq", "erf", "erfc", "erfinv", "exp"),
    *("exp2", "expm1", "fix", "floor", "floor_divide", "fmod", "frac", "gcd", "ge", "greater"),
    *("greater_equal", "gt", "hypot", "i0", "index_add", "index_copy", "index_fill"),
    *("index_put", "lcm", "ldexp", "le", "lerp", "less", "less_equal", "lgamma", "log"),
    *("log10", "log1p", "log2", "logical_and", "logical_not", "logical_or", "logical_xor"),
    *("logit", "lt", "masked_fill", "masked_scatter", "mul", "multiply", "mvlgamma"),
    *("nan_to_num", "ne", "neg", "negative", "not_equal", "polygamma", "pow", "rad2deg"),
    *("reciprocal", "relu", "remainder", "renorm", "round", "rsqrt", "scatter", "scatter_add"),
    *("sgn", "sigmoid", "sign", "sin", "sinc", "sinh", "sqrt", "square", "sub", "subtract"),
    *("tan", "tanh", "tril", "triu", "true_divide", "trunc", "xlogy"),
)

OPERATORS = {
    "__iadd__": ("+=", "add"),
    "__ifloordiv__": ("//=", "floor_divide"),
    "__imod__": ("%=", "remainder"),
    "__imul__": ("*=", "mul"),
    "__ipow__": ("**=", "pow"),
    "__isub__": ("-=", "sub"),
    "__itruediv__": ("/=", "div"),
}

DOCSTRING = """`{0}` in place: the result becomes the value of the tensor.

        Parameters
        ----------
        *arguments, **options
            Those of `fastdrop.{0}` after its first one.

        Returns
        -------
        Tensor
            The tensor itself.

        Raises
        ------
        RuntimeError
            When the tensor is a leaf that requires a gradient while a graph is recorded, or the
            result does not fit.
        """


def _in_place(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method `name` of tensors, which writes the result of a function."""

    def method(self: Tensor, *arguments: Any, **options: Any) -> Tensor:
        _check_passes(name, self, arguments)
        if not isinstance(self, IntegerBase):
            return change(self, name, lambda: function(self, *arguments, **options))
        result = function(self, *arguments, **options)
        if result.shape != self.shape:
            raise RuntimeError(
                f"{name} needs a result of the tensor's shape {self.shape}, got {result.shape}"
            )
        if not np.can_cast(result.dtype, self.dtype, "same_kind"):
            raise RuntimeError(f"{name} gives {result.dtype}, which does not fit {self.dtype}")
        return _store_integers(self, name, result._strided, ...)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = DOCSTRING.format(function.__name__)
    return method


def _check_passes(name: str, t: Tensor, others: tuple[Any, ...]) -> None:
    """Refuse to change a tensor that is the same in all batched passes by one that is not."""
    if type(t) is not PassTensor and any(type(x) is PassTensor for x in others):
        raise CannotCarry(f"{name} changes a tensor")


def _store_integers(t: IntegerBase, operation: str, array: Any, where: Any) -> Tensor:
    refuse(f"{operation} changes a tensor")
    if not t._data.flags.writeable:
        raise ValueError("the tensor must be writable, got a read-only array")
    t._data[where] = array
    return t


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to a number.

    Parameters
    ----------
    value : number, or Tensor with one element

    Returns
    -------
    Tensor
        The tensor itself.
    """
    return _assign(self, Ellipsis, value, "fill_")


def zero_(self: Tensor) -> Tensor:
    """Set every element to 0.

    Returns
    -------
    Tensor
        The tensor itself.
    """
    return _assign(self, Ellipsis, 0, "zero_")


def copy_(self: Tensor, src: Any) -> Tensor:
    """Take over the elements of another tensor.

    Parameters
    ----------
    src : Tensor or array
        It is broadcast to the tensor's shape and converted to its dtype.

    Returns
    -------
    Tensor
        The tensor itself.

    Raises
    ------
    RuntimeError
        When the tensor is a leaf that requires a gradient while a graph is recorded.
    ValueError
        When `src` does not fit the shape.
    """
    return _assign(self, Ellipsis, src, "copy_")


def detach_(self: Tensor) -> Tensor:
    """Leave the graph.

    Returns
    -------
    Tensor
        The tensor itself, which no longer requires a gradient.
    """
    self._strided  # noqa: B018 (runs what is pending)
    self._node, self.requires_grad = None, False
    return self


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """``tensor[index] = value``.

    Parameters
    ----------
    index
        As in `Tensor.__getitem__`.
    value : Tensor, array or number
        It is broadcast to the shape of ``tensor[index]`` and converted to the tensor's dtype.

    Raises
    ------
    RuntimeError
        When the tensor is a leaf that requires a gradient while a graph is recorded.
    """
    _assign(self, index, value, "an assignment to elements")


def _assign(self: Tensor, index: Any, value: Any, name: str) -> Tensor:
    """``self[index] = value`` by an operation of that name; returns self."""
    if PassTensor in (type(self), type(value)):
        raise CannotCarry(f"{name} changes a tensor")
    where = index_arrays(index if isinstance(index, tuple) else (index,))
    given = value._strided if isinstance(value, Tensor) else np.asarray(value)
    array = convert(given, self.dtype)
    if isinstance(self, IntegerBase):
        return _store_integers(self, name, array, where)
    if not isinstance(value, (int, float, np.generic)):
        note_array(array, (), setitem)
    source = value if isinstance(value, Tensor) else wrap(array)
    return change(self, name, lambda: _elements(self, where, source, array), where)


def _elements(t: Tensor, where: tuple[Any, ...], source: Tensor, array: Any) -> Tensor:
    """The values of an assignment to t[where], and its node."""
    shape, result = source.shape, wrap(array)

    def rest(g: Float32Array) -> Float32Array:
        dx = np.array(g, order="K")
        dx[where] = 0
        return dx

    def backward(g: Float32Array) -> Any:
        of_source = computed(lambda g: np.array(g[where], order="C"), g)
        return computed(rest, g), _summed(of_source, shape)

    if wants_grad(t, source):
        result.requires_grad = True
        result._node = FunctionNode((t, source), backward, [], is_channels_last(t._strided))
    return result


def _summed(g: Float32Array, shape: tuple[int, ...]) -> Float32Array:
    """The gradient of a source of that shape, which was broadcast, or has more axes of length 1."""
    extra = len(shape) - g.ndim
    return unbroadcast(g, shape[max(extra, 0) :]).reshape(shape)


def methods(functions: dict[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """All methods in place.

    Parameters
    ----------
    functions : dict
        The methods of `NAMES`.
    """
    return {
        **{f"{name}_": _in_place(f"{name}_", functions[name]) for name in NAMES},
        **{method: _in_place(sign, functions[name]) for method, (sign, name) in OPERATORS.items()},
        "__setitem__": setitem,
        "copy_": copy_,
        "detach_": detach_,
        "fill_": fill_,
        "zero_": zero_,
    }
