"""The functions that are operators and methods of `Tensor`.

Importing `fastdrop.functional` attaches them. The class lists them for type checkers
(`autograd/tensor.py`), so a new method belongs into both places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastdrop.autograd.dtypes import device
from fastdrop.autograd.integer_tensor import of_integers, wrap_array
from fastdrop.autograd.recording import note_read
from fastdrop.autograd.tensor import IntegerBase, Tensor
from fastdrop.functional import conversions, in_place, methods_selection
from fastdrop.functional.activation import relu, sigmoid, tanh
from fastdrop.functional.matmul import matmul
from fastdrop.functional.methods_mathematics import METHODS as MATHEMATICS
from fastdrop.functional.numpy_functions import array_function, array_ufunc
from fastdrop.functional.pointwise import (
    abs,
    add,
    clamp,
    clone,
    div,
    exp,
    log,
    maximum,
    mul,
    neg,
    pow,
    sqrt,
    sub,
)
from fastdrop.functional.reduction import amax, amin, argmax, max, mean, min, std, sum, var
from fastdrop.functional.shape import (
    flatten,
    getitem,
    permute,
    reshape,
    squeeze,
    transpose,
    unflatten,
    unsqueeze,
)
from fastdrop.functional.softmax import log_softmax, softmax

ARITHMETIC = {"add": add, "sub": sub, "mul": mul, "truediv": div, "pow": pow, "matmul": matmul}

COMPARISONS = {
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
}

LOGIC = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}

METHODS: dict[str, Callable[..., Any]] = {
    "absolute": abs,
    "amax": amax,
    "amin": amin,
    "divide": div,
    "maximum": maximum,
    "multiply": mul,
    "neg": neg,
    "negative": neg,
    "subtract": sub,
    "abs": abs,
    "add": add,
    "argmax": argmax,
    "clamp": clamp,
    "clone": clone,
    "div": div,
    "exp": exp,
    "flatten": flatten,
    "unflatten": unflatten,
    "log": log,
    "log_softmax": log_softmax,
    "matmul": matmul,
    "max": max,
    "mean": mean,
    "min": min,
    "mul": mul,
    "permute": permute,
    "pow": pow,
    "relu": relu,
    "reshape": reshape,
    "sigmoid": sigmoid,
    "softmax": softmax,
    "sqrt": sqrt,
    "squeeze": squeeze,
    "std": std,
    "sub": sub,
    "sum": sum,
    "tanh": tanh,
    "transpose": transpose,
    "unsqueeze": unsqueeze,
    "var": var,
    "view": reshape,
    "__abs__": abs,
    "__array_function__": array_function,
    "__array_ufunc__": array_ufunc,
    "__getitem__": getitem,
    "__neg__": neg,
}


def _reversed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The operator of a tensor on the right: __radd__ and the like."""
    return lambda self, other: function(other, self)


def _compared(ufunc: Callable[..., Any]) -> Callable[..., Any]:
    """A comparison operator, which gives a tensor of bools."""

    def compare(self: Tensor, other: Any) -> Any:
        if other is None:
            return NotImplemented  # x == None is False
        note_read("a comparison", 0)
        if isinstance(other, Tensor):
            other = other._array
        elif not isinstance(other, (int, float)):  # a Python number widens no dtype
            other = np.asarray(other)
        return wrap_array(ufunc(self._array, other))

    return compare


def _attach() -> None:
    for name, function in ARITHMETIC.items():
        setattr(Tensor, f"__{name}__", function)
        setattr(Tensor, f"__r{name}__", _reversed(function))
    for name, ufunc in COMPARISONS.items():
        setattr(Tensor, f"__{name}__", _compared(ufunc))
    for name, logic in LOGIC.items():
        setattr(IntegerBase, f"__{name}__", _compared(logic))
        setattr(IntegerBase, f"__r{name}__", _reversed(_compared(logic)))
    setattr(IntegerBase, "__invert__", lambda self: of_integers(np.invert, self))  # noqa: B010
    for methods in (
        METHODS,
        conversions.METHODS,
        in_place.METHODS,
        methods_selection.METHODS,
        MATHEMATICS,
    ):
        for name, function in methods.items():
            setattr(Tensor, name, function)
    Tensor.device = property(lambda self: device("cpu"))
    reverse = property(lambda self: permute(self, tuple(range(self.ndim))[::-1]))
    Tensor.T = reverse  # type: ignore[assignment] # the class declares what T gives


_attach()
