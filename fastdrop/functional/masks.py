"""Functions of masks: where, masked_fill, masked_select, and the places of nonzero elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.integer_tensor import wrap_array
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries, with_rows
from fastdrop.autograd.recording import computed, note_choice, note_read, refuse
from fastdrop.autograd.tensor import IntegerBase, Tensor, as_any_tensor
from fastdrop.functional.broadcasting import operands, unbroadcast
from fastdrop.functional.selection import taken

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array


def numbers_of(x: Any, name: str) -> npt.NDArray[Any]:
    """The array of x: integers and bools as they are, floats as float32."""
    if isinstance(x, Tensor):
        return x._array
    array = check.as_array(x, name)
    return array if array.dtype.kind in "iub" else check.floats(array, name)


def _mask(mask: Any, name: str) -> npt.NDArray[np.bool_]:
    """A copy of a mask, which backward reads."""
    note_choice(mask, "a mask")
    array = numbers_of(mask, name)
    if array.dtype != np.bool_:
        raise TypeError(f"{name} must hold bools, got dtype {array.dtype}")
    copied: npt.NDArray[np.bool_] = computed(np.copy, array)
    return copied


def _integers(x: Any) -> Any:
    """x as integers or bools that NumPy combines by the rules of tensors, or None."""
    if isinstance(x, IntegerBase):
        return x._data
    if isinstance(x, Tensor):
        return None
    if isinstance(x, (bool, int)):
        return x
    array = np.asarray(x)
    return array if array.dtype.kind in "iub" else None


@carries
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """input where the condition is true, other elsewhere. Without these: where it is true.

    Parameters
    ----------
    condition : Tensor or array of bools
    input, other : Tensor, array or number, optional
        Shapes that broadcast with the condition's.

    Returns
    -------
    Tensor
        Or, of the condition alone, `nonzero(condition, as_tuple=True)`.

    Raises
    ------
    TypeError
        When only one of input and other is given, or the condition holds no bools.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.where([True, False], [1.0, 2.0], 0.0).tolist()
    [1.0, 0.0]
    """
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    if input is None or other is None:
        raise TypeError("where needs both input and other, or none of them, got one")
    mask = _mask(condition, "condition")
    x, y = _integers(input), _integers(other)
    if x is not None and y is not None:
        return wrap_array(computed(np.where, mask, x, y))
    a, b = operands(input, other)
    for t in (a, b):
        if type(t) is PassTensor:
            mask = with_rows(mask, t)
            break
    shapes = a.shape, b.shape

    def of_first(g: Float32Array) -> Float32Array:
        return np.where(mask, g, np.float32(0))

    def of_second(g: Float32Array) -> Float32Array:
        return np.where(mask, np.float32(0), g)

    def backward(g: Float32Array) -> Any:
        return (
            unbroadcast(computed(of_first, g), shapes[0]),
            unbroadcast(computed(of_second, g), shapes[1]),
        )

    return record(computed(np.where, mask, a._array, b._array), (a, b), backward)


def masked_fill(input: Tensor | ArrayLike, mask: Any, value: Any) -> Tensor:
    """A value where the mask is true, the input elsewhere.

    Parameters
    ----------
    input : Tensor or array
    mask : Tensor or array of bools
        A shape that broadcasts with the input's.
    value : number or Tensor without axes

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ValueError
        When the mask holds no bools, or the value has axes.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.masked_fill([1.0, 2.0], [True, False], -1).tolist()
    [-1.0, 2.0]
    """
    if np.ndim(value._array if isinstance(value, Tensor) else value) != 0:
        raise ValueError(f"value must be a single number, got {value!r}")
    a, chosen = as_any_tensor(input, "input"), _mask(mask, "mask")
    if isinstance(a, IntegerBase):
        fill = np.asarray(value._array if isinstance(value, Tensor) else value)
        return wrap_array(computed(_filled, chosen, fill, a._data))
    if isinstance(value, Tensor):
        value = value.to(np.float32)
    filled: Tensor = where(chosen, value if isinstance(value, Tensor) else float(value), a)
    return filled


def _filled(mask: npt.NDArray[Any], fill: npt.NDArray[Any], x: npt.NDArray[Any]) -> Any:
    return np.where(mask, fill.astype(x.dtype), x)


def masked_select(input: Tensor | ArrayLike, mask: Any) -> Tensor:
    """The elements where the mask is true, as a tensor with one axis.

    Parameters
    ----------
    input : Tensor or array
    mask : Tensor or array of bools
        Input and mask are broadcast to one shape.

    Returns
    -------
    Tensor of shape (K,)

    Raises
    ------
    TypeError
        When the mask holds no bools.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.masked_select([1.0, 2.0, 3.0], [True, False, True]).tolist()
    [1.0, 3.0]
    """
    refuse("masked_select gives as many elements as the mask chooses: use where, or a product")
    a, chosen = as_any_tensor(input, "input"), _mask(mask, "mask")
    shape = np.broadcast_shapes(a.shape, chosen.shape)
    numbers = np.broadcast_to(np.arange(a.numel()).reshape(a.shape), shape)
    places = numbers[np.broadcast_to(chosen, shape)]
    return taken(a.reshape(-1), places)


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The places of the elements that are not zero.

    Parameters
    ----------
    input : Tensor or array
    as_tuple : bool, default False

    Returns
    -------
    Tensor of int64, of shape (K, axes)
        Or with `as_tuple` a tuple of tensors of shape (K,), one for each axis.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.nonzero([[0.0, 2.0], [3.0, 0.0]]).tolist()
    [[0, 1], [1, 0]]
    """
    note_read("the places of nonzero elements", 0)
    x = numbers_of(input, "input")
    if check.flag(as_tuple, "as_tuple"):
        return tuple(wrap_array(places) for places in np.nonzero(np.atleast_1d(x)))
    return wrap_array(np.argwhere(x))


def argwhere(input: Any) -> Tensor:
    """The places of the elements that are not zero, one in each row.

    Parameters
    ----------
    input : Tensor or array

    Returns
    -------
    Tensor of int64, of shape (K, axes)

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.argwhere([0.0, 2.0]).tolist()
    [[1]]
    """
    places: Tensor = nonzero(input)
    return places


def _where_method(self: Tensor, condition: Any, other: Any) -> Tensor:
    """self where the condition is true, other elsewhere.

    Parameters
    ----------
    condition : Tensor or array of bools
    other : Tensor, array or number

    Returns
    -------
    Tensor
    """
    result: Tensor = where(condition, self, other)
    return result


METHODS: dict[str, Any] = {
    "argwhere": argwhere,
    "masked_fill": masked_fill,
    "masked_select": masked_select,
    "nonzero": nonzero,
    "where": _where_method,
}
