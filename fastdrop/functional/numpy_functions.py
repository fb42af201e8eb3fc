"""What NumPy's own functions do with tensors: `np.exp(tensor)`, `array + tensor`.

An operator with an array on the left is the tensor's operator. Any other function of NumPy computes
with the tensor's array; where that would lose a gradient it is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdrop.autograd.grad_mode import is_grad_enabled
from fastdrop.autograd.recording import note_read
from fastdrop.autograd.tensor import Tensor
from fastdrop.functional.matmul import matmul
from fastdrop.functional.pointwise import add, div, mul, pow, sub

OPERATORS: dict[Any, Any] = {
    np.add: add,
    np.subtract: sub,
    np.multiply: mul,
    np.true_divide: div,
    np.power: pow,
    np.matmul: matmul,
}

# Functions whose results have no gradient.
WITHOUT_GRADIENT = {
    *("allclose", "argmax", "argmin", "argsort", "array2string", "array_equal", "array_repr"),
    *(
        "array_str",
        "count_nonzero",
        "empty_like",
        "flatnonzero",
        "full_like",
        "isclose",
        "iscomplex",
    ),
    *("iscomplexobj", "isfinite", "isinf", "isnan", "isreal", "isrealobj", "may_share_memory"),
    *("ndim", "nonzero", "ones_like", "result_type", "save", "savetxt", "savez"),
    *(
        "savez_compressed",
        "searchsorted",
        "shape",
        "shares_memory",
        "signbit",
        "size",
        "zeros_like",
    ),
    *("equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_not"),
    *("logical_or", "logical_xor", "not_equal", "sign"),
}

# The names of fastdrop's functions where they differ from NumPy's.
NAMES = {
    "absolute": "abs",
    "clip": "clamp",
    "concatenate": "cat",
    "negative": "neg",
    "power": "pow",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
}


def array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """Tensor.__array_ufunc__: an operator of fastdrop, or the ufunc of the arrays."""
    if method == "__call__" and not kwargs and ufunc in OPERATORS:
        return OPERATORS[ufunc](*inputs)
    _check_gradient(ufunc.__name__, (inputs, kwargs))
    return getattr(ufunc, method)(*_arrays(inputs), **_arrays(kwargs))


def array_function(self: Tensor, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """Tensor.__array_function__: the function of the arrays."""
    _check_gradient(function.__name__, (args, kwargs))
    return function(*_arrays(args), **_arrays(kwargs))


def _check_gradient(name: str, arguments: Any) -> None:
    """TypeError where a gradient would be lost."""
    if name in WITHOUT_GRADIENT or not is_grad_enabled():
        return
    found = _needs_gradient(arguments)
    if found is not None:
        from fastdrop import functional

        own = NAMES.get(name, name)
        remedy = f"fastdrop.{own} keeps it; " if own in functional.__all__ else ""
        raise TypeError(
            f"numpy.{name} would lose the gradient of a Tensor of shape {found.shape}: {remedy}"
            "tensor.detach().numpy() is the array without it"
        )


def _needs_gradient(value: Any) -> Tensor | None:
    """The first Tensor in nested arguments that requires a gradient."""
    if isinstance(value, Tensor):
        return value if value.requires_grad else None
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return None
    return next((found for each in value if (found := _needs_gradient(each)) is not None), None)


def _arrays(value: Any) -> Any:
    """The arguments with arrays in place of tensors."""
    if isinstance(value, Tensor):
        note_read("a function of NumPy", 0)
        return value.data
    if type(value) in (list, tuple):
        return type(value)(map(_arrays, value))
    if type(value) is dict:
        return {key: _arrays(each) for key, each in value.items()}
    return value
