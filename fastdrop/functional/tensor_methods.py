"""The functions that are operators and methods of `Tensor`.

Importing `fastdrop.functional` attaches them. The class lists them for type checkers
(`autograd/tensor.py`), so a new method belongs into both places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastdrop.autograd.dtypes import device
from fastdrop.autograd.tensor import IntegerBase, Tensor
from fastdrop.functional import (
    attributes,
    bits,
    comparison,
    conversions,
    in_place,
    methods_selection,
)
from fastdrop.functional.activation import relu, sigmoid, tanh
from fastdrop.functional.axes import by_keyword
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

COMPARISONS = {name: getattr(comparison, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")}

LOGIC = {"and": bits.bitwise_and, "or": bits.bitwise_or, "xor": bits.bitwise_xor}

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
    "view": by_keyword("size")(reshape),
    "__abs__": abs,
    "__array_function__": array_function,
    "__array_ufunc__": array_ufunc,
    "__getitem__": getitem,
    "__neg__": neg,
}


def _reversed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The operator of a tensor on the right: __radd__ and the like."""
    return lambda self, other: function(other, self)


def _compared(function: Callable[..., Any]) -> Callable[..., Any]:
    """A comparison operator. x == None is False."""
    return lambda self, other: NotImplemented if other is None else function(self, other)


def _attach() -> None:
    for name, function in ARITHMETIC.items():
        setattr(Tensor, f"__{name}__", function)
        setattr(Tensor, f"__r{name}__", _reversed(function))
    for name, function in COMPARISONS.items():
        setattr(Tensor, f"__{name}__", _compared(function))
    for name, function in LOGIC.items():
        setattr(IntegerBase, f"__{name}__", function)
        setattr(IntegerBase, f"__r{name}__", _reversed(function))
    setattr(IntegerBase, "__invert__", bits.bitwise_not)  # noqa: B010
    methods = {**METHODS, **conversions.METHODS, **methods_selection.METHODS, **MATHEMATICS}
    for name, function in (methods | in_place.methods(methods)).items():
        setattr(Tensor, name, function)
    Tensor.device = property(lambda self: device("cpu"))
    for name, attribute in attributes.PROPERTIES.items():
        setattr(Tensor, name, attribute)
    reverse = property(lambda self: permute(self, tuple(range(self.ndim))[::-1]))
    Tensor.T = reverse  # type: ignore[assignment] # the class declares what T gives


_attach()
