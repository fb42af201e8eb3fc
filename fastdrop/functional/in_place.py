"""Functions that write their result into the tensor itself: `add_` and its kin, assignments.

They do not record a graph: a tensor that other operations of a graph may have read cannot change.
``x += y`` of such a tensor gives a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.dtypes import convert
from fastdrop.autograd.grad_mode import is_grad_enabled
from fastdrop.autograd.passes import PassTensor
from fastdrop.autograd.recording import refuse
from fastdrop.autograd.tensor import IntegerBase, Tensor
from fastdrop.functional.activation import relu, sigmoid, tanh
from fastdrop.functional.pointwise import abs, add, clamp, div, exp, log, mul, neg, pow, sqrt, sub
from fastdrop.functional.shape import index_arrays
from fastdrop.random import CannotCarry

OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "abs_": abs,
    "add_": add,
    "clamp_": clamp,
    "div_": div,
    "exp_": exp,
    "log_": log,
    "mul_": mul,
    "neg_": neg,
    "pow_": pow,
    "relu_": relu,
    "sigmoid_": sigmoid,
    "sqrt_": sqrt,
    "sub_": sub,
    "tanh_": tanh,
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
            When the tensor is part of a graph that is being recorded, or the result does not fit.
        """


def _has_graph(*tensors: Any) -> bool:
    return is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in tensors)


def _check(operation: str, t: Tensor, *others: Any) -> None:
    """Refuse what cannot be done in place."""
    if type(t) is PassTensor or any(type(x) is PassTensor for x in others):
        raise CannotCarry(f"{operation} changes a tensor")
    refuse(f"{operation} changes a tensor")
    if _has_graph(t, *others):
        raise RuntimeError(
            f"{operation} cannot change a tensor while a graph is recorded: use a function that "
            "gives a new tensor (x = x + y, fastdrop.where), or fastdrop.no_grad()"
        )


def _store(t: Tensor, operation: str, array: Any, where: Any = Ellipsis) -> Tensor:
    """Write an array into that of t, or into the elements at an index."""
    if isinstance(t, IntegerBase):
        target = t._data
        if not target.flags.writeable:
            raise ValueError("the tensor must be writable, got a read-only array")
    else:
        target = check.writable(t._to_write(operation), "the tensor")
    target[where] = array
    return t


def _in_place(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The method `name` of tensors, which writes the result of a function."""
    is_operator = name.endswith("=")

    def method(self: Tensor, *arguments: Any, **options: Any) -> Tensor:
        passes = PassTensor in map(type, (self, *arguments))
        if is_operator and (passes or _has_graph(self, *arguments)):
            return function(self, *arguments)
        _check(name, self, *arguments)
        result = function(self, *arguments, **options)
        if result.shape != self.shape:
            raise RuntimeError(
                f"{name} needs a result of the tensor's shape {self.shape}, got {result.shape}"
            )
        if isinstance(self, IntegerBase) and not np.can_cast(result.dtype, self.dtype, "same_kind"):
            raise RuntimeError(f"{name} gives {result.dtype}, which does not fit {self.dtype}")
        return _store(self, name, result._strided)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = DOCSTRING.format(function.__name__)
    return method


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
    return copy_(self, value.detach() if isinstance(value, Tensor) else value)


def zero_(self: Tensor) -> Tensor:
    """Set every element to 0.

    Returns
    -------
    Tensor
        The tensor itself.
    """
    return fill_(self, 0)


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
        When one of the tensors is part of a graph that is being recorded.
    ValueError
        When `src` does not fit the shape.
    """
    setitem(self, Ellipsis, src)
    return self


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
        When the tensor or the value is part of a graph that is being recorded.
    """
    _check("an assignment to elements", self, value)
    where = index_arrays(index if isinstance(index, tuple) else (index,))
    given = value._strided if isinstance(value, Tensor) else np.asarray(value)
    _store(self, "an assignment to elements", convert(given, self.dtype), where)


METHODS: dict[str, Callable[..., Any]] = {
    **{name: _in_place(name, function) for name, function in OPERATIONS.items()},
    "__iadd__": _in_place("+=", add),
    "__imul__": _in_place("*=", mul),
    "__ipow__": _in_place("**=", pow),
    "__isub__": _in_place("-=", sub),
    "__itruediv__": _in_place("/=", div),
    "__setitem__": setitem,
    "copy_": copy_,
    "detach_": detach_,
    "fill_": fill_,
    "zero_": zero_,
}
