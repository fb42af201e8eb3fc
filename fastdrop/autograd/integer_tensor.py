"""IntegerTensor: labels, token numbers, places and masks as tensors, without gradients."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.dtypes import check_device, check_dtype, convert
from fastdrop.autograd.recording import computed, note_conversion, note_read
from fastdrop.autograd.tensor import IntegerBase, Tensor, wrap


class IntegerTensor(IntegerBase):
    """A tensor of integers or bools: labels, token numbers, places, masks.

    It has no gradient. In arithmetic with float32 tensors and in functions that need real numbers
    it is converted to float32; with integers it stays an integer tensor (int64, unless both
    operands have another dtype), as in PyTorch. `fd.tensor`, comparisons, `argmax` and functions
    such as `fd.arange` make it.

    Parameters
    ----------
    data : array of integers or bools
    requires_grad : bool
        Only False.

    Raises
    ------
    TypeError
        When `data` holds something else.

    Examples
    --------
    >>> import fastdrop as fd
    >>> labels = fd.tensor([2, 0, 1])
    >>> labels.dtype == fd.int64, (labels > 0).tolist()
    (True, [True, False, True])
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        array = np.asarray(data)
        if array.dtype.kind not in "iub":
            raise TypeError(f"data must hold integers or bools, got dtype {array.dtype}")
        self._data = array
        self._pending = self._node = self._grad = self._memory = None
        self.requires_grad = False
        self.requires_grad_(requires_grad)

    @property
    def data(self) -> Any:
        """The array itself (not a copy)."""
        note_read("Tensor.data")
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._data = IntegerTensor(value)._data

    @property
    def _array(self) -> Any:
        return self._data

    @property
    def _strided(self) -> Any:
        return self._data

    @property
    def dtype(self) -> Any:
        """The dtype of the array."""
        return self._data.dtype

    def numpy(self) -> Any:
        """The array (shared, not copied).

        Returns
        -------
        array
        """
        note_read("numpy()")
        return self._data

    def item(self) -> Any:
        """The only element, as a Python int or bool.

        Returns
        -------
        int or bool
        """
        note_read("item()")
        if self._data.size != 1:
            raise ValueError(f"item() needs exactly one element, got shape {self.shape}")
        return self._data.item()

    def detach(self) -> Tensor:
        """A tensor with the same array.

        Returns
        -------
        Tensor
        """
        return wrap_array(self._data)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Refused, unless `requires_grad` is False.

        Parameters
        ----------
        requires_grad : bool, default True

        Returns
        -------
        Tensor
            The tensor itself.
        """
        if check.flag(requires_grad, "requires_grad"):
            raise RuntimeError(
                f"only float32 tensors can require gradients, got dtype {self.dtype}"
            )
        return self

    def __index__(self) -> int:
        note_read("as an index")
        if self._data.size != 1:
            raise TypeError(f"only one integer can be an index, got shape {self.shape}")
        return operator.index(self.item())

    def __int__(self) -> int:
        note_read("int()")
        return int(self.item())

    def __float__(self) -> float:
        note_read("float()")
        return float(self.item())

    def __repr__(self) -> str:
        note_read("as text")
        values = np.array2string(self._data, separator=", ", prefix="tensor(")
        usual = self._data.dtype in (np.int64, np.bool_)
        return f"tensor({values}{'' if usual else f', dtype={self._data.dtype}'})"

    def __reduce__(self) -> Any:
        return IntegerTensor, (self._data,)

    def __copy__(self) -> Tensor:
        return wrap_array(self._data)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copy = wrap_array(self._data.copy())
        memo[id(self)] = copy
        return copy


def wrap_array(array: Any) -> Tensor:
    """A tensor without a graph around an array: of integers or bools, or of float32 numbers."""
    array = np.asarray(array)
    if array.dtype.kind not in "iub":
        return wrap(np.asarray(array, np.float32, order="C"))
    t = IntegerTensor.__new__(IntegerTensor)
    t._data = array
    t._pending = t._node = t._grad = t._memory = None
    t.requires_grad = False
    return t


def are_integers(*values: Any) -> bool:
    """Whether at least one of the operands is an IntegerTensor and all hold integers or bools."""
    for x in values:
        if isinstance(x, IntegerBase):
            break
    else:
        return False
    return all(
        isinstance(x, IntegerBase)
        or (not isinstance(x, Tensor) and np.asarray(x).dtype.kind in "iub")
        for x in values
    )


def of_integers(function: Callable[..., Any], *values: Any, **options: Any) -> Tensor:
    """function(*arrays, **options) as a tensor. Python ints do not widen the dtype of a tensor."""
    arrays = [x._data if isinstance(x, IntegerBase) else x for x in values]
    return wrap_array(computed(function, *arrays, **options))


def tensor(
    data: Any, requires_grad: bool = False, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """A new tensor with a copy of the data.

    Parameters
    ----------
    data : array or Tensor
        Real numbers, integers or bools.
    requires_grad : bool, default False
        Whether `backward` computes the gradient with respect to this tensor.
    dtype : dtype, optional
        float32, an integer or bool. By default integers (as int64 where they are Python ints) and
        bools stay what they are, and floats become float32.
    device : device or "cpu", optional

    Returns
    -------
    Tensor
        Of float32 numbers, or an `IntegerTensor`.

    Raises
    ------
    TypeError
        When `data` does not hold real numbers.
    RuntimeError
        When a tensor of integers shall require a gradient.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(0).tolist()
    [4.0, 6.0]
    >>> fd.tensor([1, 2]).dtype == fd.int64
    True
    """
    check_device(device)
    wanted = check_dtype(dtype)
    if isinstance(data, Tensor):
        given = data._strided
    elif type(data) is np.ndarray:
        given = data
    else:
        given = check.as_array(data, "data")
    if given.dtype.kind in "iub" and (wanted is None or wanted.kind in "iub"):
        t = wrap_array(given.astype(given.dtype if wanted is None else wanted, copy=True))
        note_conversion(t._data, data)
        return t.requires_grad_(requires_grad)
    if given.dtype.kind == "b":
        given = given.astype(np.float32)
    numbers = check.floats(given, "data", any_format=True)
    if wanted is not None and wanted.kind in "iub":
        return wrap_array(convert(numbers, wanted)).requires_grad_(requires_grad)
    t = wrap(numbers.copy("K"))
    note_conversion(t._data, data)
    return t.requires_grad_(requires_grad)
