"""Tensor: a float32 array that can record the operations on it.

A `Tensor` is a float32 NumPy array and, where a gradient is wanted, the `Node` that made it. A node
holds its inputs, its backward function and the arrays that backward reads (`memory.py`). Between
two layers of a Sequential a tensor's array may still be *pending*: a lazy product that the next
function may extend (`pending.py`). Whoever reads `data` runs it.

Operators and most methods are functions of `fastdrop.functional`. `functional/tensor_methods.py`
attaches them to the class; `attached_methods.py` has their types.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.memory_format import empty_like
from fastdrop.autograd.attached_methods import AttachedMethods
from fastdrop.autograd.graph import LEAF_HOOKS, Node, run_backward
from fastdrop.autograd.hooks import GradientHooks
from fastdrop.autograd.memory import CallersMemory, Memory, hold, mark_changed, memory_of, protect
from fastdrop.autograd.recording import (
    computed,
    is_argument,
    note_conversion,
    note_gradient,
    note_read,
    noted,
)
from fastdrop.autograd.reorder import ordered
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.autograd.pending import Pending


class Tensor(GradientHooks, AttachedMethods):
    """A float32 array that can record the operations on it.

    Parameters
    ----------
    data : array or Tensor
        float32 arrays in C order or in channels-last format are used as they are, not copied. Other
        floats and integers are converted to float32. bool, complex and string arrays are refused.
    requires_grad : bool, default False
        Whether `backward` computes the gradient of a result with respect to this tensor.

    Attributes
    ----------
    data : float32 array
        The array itself.
    grad : Tensor or None
        The gradient that `backward` has accumulated.
    requires_grad : bool

    Raises
    ------
    TypeError
        When `data` does not hold real numbers.

    Examples
    --------
    >>> import fastdrop as fd
    >>> x = fd.Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad.tolist()
    [2.0, 4.0]
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_memory", "_node", "_pending", "requires_grad")
    __array_priority__ = 1000  # NumPy arrays on the left leave operators to the tensor

    _data: Float32Array  # None while the tensor is pending
    _grad: Tensor | None
    _memory: Memory | None  # which nodes saved the array
    _node: Node | None
    _pending: Pending | None
    requires_grad: bool
    # Whether nodes save copies of an array that came from the caller.
    _copies_arrays_of_callers = True

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = False) -> None:
        if isinstance(data, Tensor):
            self._data, self._memory = data._strided, memory_of(data)
            if self._memory.of_caller and not self._copies_arrays_of_callers:
                self._memory = Memory()
        else:
            self._data = check.floats(data, "data", any_format=True)
            self._memory = self._memory_of_callers(data)
            note_conversion(self._data, data)
        self._pending = self._node = self._grad = None
        self.requires_grad = check.flag(requires_grad, "requires_grad")

    # ---- the array ----

    @property
    def data(self) -> Float32Array:
        """The float32 array itself (not a copy).

        Writing to it does not change the gradient of what was computed before: a graph that needs
        the array takes a copy when it is asked for. An assignment to `data` makes backward through
        such a graph a RuntimeError.

        The memory of an array (N, C, ...) may be in channels-last format: a view of an array
        (N, ..., C), as convolutions compute it. Its shape and its elements are the same.
        """
        note_read("Tensor.data")
        array = self._strided
        if self._memory:
            protect(self._memory, array)
        return array

    @data.setter
    def data(self, value: Any) -> None:
        note_read("an assignment to data")
        array = check.owned(check.floats(value, "data", any_format=True))
        shape = self.shape
        if array.shape != shape and thread_state.forward_pass is not None:
            raise RuntimeError(
                f"data must keep its shape {shape} during a forward pass, got {array.shape}"
            )
        if self._memory:
            mark_changed(self._memory, self._strided, "an assignment to data")
        self._data, self._pending = array, None
        self._memory = self._memory_of_callers(value)

    @property
    def _array(self) -> Float32Array:
        """The array in C order, for code of the library that only reads it, and reads it at once.

        A copy where the array is in channels-last format.
        """
        array = self._strided
        return array if array.flags.c_contiguous else ordered(array, False)

    @property
    def _strided(self) -> Float32Array:
        """`_array` in the format that it has: C order or channels-last."""
        if self._pending is not None:
            pending = self._pending
            self._data, self._pending = pending.run(), None
            if pending.recorded:
                hold(pending, self)
        return self._data

    def _to_write(self, operation: str) -> Float32Array:
        """The array, for code of the library that writes to it; names the operation for errors."""
        array = self._strided
        if self._memory:
            mark_changed(self._memory, array, operation)
        return array

    def _memory_of_callers(self, given: Any) -> Memory | None:
        """The memory for `_data`, which was made of what the caller gave."""
        if not self._copies_arrays_of_callers:
            return Memory()
        if is_argument(self._data):
            return None
        return CallersMemory() if self._data is given or self._data.base is not None else None

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        note_gradient(self)
        if value is not None:
            value = value if isinstance(value, Tensor) else Tensor(value)
            if value.shape != self.shape:
                raise ValueError(f"grad must have shape {self.shape}, got {value.shape}")
            if not value.data.flags.writeable:  # gradients are added up in place
                value = wrap(check.owned(value.data))
        self._grad = value

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self._data.shape if self._pending is None else self._pending.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """float32, always."""
        return np.dtype(np.float32)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self._node is None

    def numpy(self) -> Float32Array:
        """The array (shared, not copied).

        Returns
        -------
        float32 array
            The tensor's own memory: writing to it changes the tensor.
        """
        note_read("numpy()")
        return self.data

    def item(self) -> float:
        """The only element, as a Python float.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            When the tensor does not have exactly one element.
        """
        note_read("item()")
        if self._array.size != 1:
            raise ValueError(f"item() needs exactly one element, got shape {self.shape}")
        return float(self._array.reshape(())[()])

    def tolist(self) -> Any:
        """The elements as nested lists of Python floats.

        Returns
        -------
        list, or float
            Nested as deeply as the tensor has axes; a float if it has none.
        """
        note_read("tolist()")
        return self._array.tolist()

    def detach(self) -> Tensor:
        """A tensor with the same array and no graph.

        Returns
        -------
        Tensor
            It shares the array and requires no gradient.
        """
        t = wrap(self._strided)
        t._memory = memory_of(self)
        return t

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis.

        Parameters
        ----------
        dim : int, optional
            The axis. Without it, the whole shape is returned.

        Returns
        -------
        tuple of int, or int
        """
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """The number of elements.

        Returns
        -------
        int
            The product of the lengths of the axes.
        """
        return int(np.prod(self.shape))

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad`; returns the tensor itself.

        Parameters
        ----------
        requires_grad : bool, default True
            Whether `backward` computes the gradient with respect to this tensor.

        Returns
        -------
        Tensor
            The tensor itself.
        """
        self.requires_grad = check.flag(requires_grad, "requires_grad")
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        note_read("as a NumPy array")
        if copy is None:
            return np.asarray(self.data, dtype=dtype)
        return np.array(self.data, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        note_read("float()")
        return self.item()

    def __int__(self) -> int:
        note_read("int()")
        return int(self.item())

    def __bool__(self) -> bool:
        note_read("as a truth value")
        return bool(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        note_read("as text")
        values = np.array2string(self._array, separator=", ", prefix="tensor(")
        return f"tensor({values}{', requires_grad=True' if self.requires_grad else ''})"

    def __format__(self, spec: str) -> str:
        """The number of a tensor with one element by a format such as ``.3f``, or its repr."""
        note_read("as text")
        return format(self.item(), spec) if spec else repr(self)

    def __reduce__(self) -> Any:
        return _restore, (type(self), self._strided, self.requires_grad)

    def __copy__(self) -> Tensor:
        copy = _restore(type(self), self._strided, self.requires_grad)
        copy._memory = memory_of(self)  # the array is shared
        return copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError("only leaf tensors can be deep-copied; detach() first")
        copy = _restore(type(self), self._strided.copy("K"), self.requires_grad)
        memo[id(self)] = copy
        return copy

    # ---- backward ----

    def backward(
        self, gradient: ArrayLike | Tensor | None = None, retain_graph: bool = False
    ) -> None:
        """Add d self / d leaf to the `grad` of every leaf that requires it.

        Parameters
        ----------
        gradient : array of self's shape, optional
            The weight of each element of self: what is differentiated is sum(gradient * self).
            Needed unless self has a single element, whose weight is 1.
        retain_graph : bool, default False
            Keep the graph, for another backward through it.

        Raises
        ------
        RuntimeError
            When self does not require a gradient, when `gradient` is missing, or when an earlier
            backward freed a part of the graph.
        ValueError
            When `gradient` has another shape.

        Examples
        --------
        >>> import fastdrop as fd
        >>> x = fd.tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).backward([1.0, 10.0])
        >>> x.grad.tolist()
        [2.0, 40.0]
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward() needs a tensor that requires a gradient; no input of this one does"
            )
        if gradient is None:
            if self.numel() != 1:
                raise RuntimeError(
                    f"backward() without gradient= needs a single element, got shape {self.shape}"
                )
            weights = np.ones(self.shape, np.float32)
        else:
            weights = check.floats(gradient, "gradient", any_format=True)
            if weights.shape != self.shape:
                raise ValueError(f"gradient must have shape {self.shape}, got {weights.shape}")
        if self._node is None:
            hook = LEAF_HOOKS.get(id(self))
            self._accumulate(weights if hook is None else hook(weights))
            return
        with np.errstate(all="ignore"):  # infinite and undefined gradients are values, not warnings
            run_backward(self._node, weights, retain_graph)

    def _accumulate(self, part: Float32Array) -> None:
        """Add a gradient to `grad`."""
        self._check_gradient(part.shape)
        # A gradient has the memory format of its tensor.
        note_gradient(self)
        grad = empty_like(self._data)
        if self._grad is None:
            noted(np.copyto, grad, part)
        else:
            noted(np.add, self._grad.data, part, grad)
        self._grad = wrap(grad)

    def _check_gradient(self, shape: tuple[int, ...]) -> None:
        """RuntimeError unless a gradient of backward has the tensor's shape."""
        if shape != self._data.shape:
            raise RuntimeError(
                f"data must keep its shape {shape} from forward to backward, got {self._data.shape}"
            )


class IntegerBase(Tensor):
    """The base of `IntegerTensor` (integer_tensor.py), by which it is known here."""

    __slots__ = ()


class Extreme(NamedTuple):
    """What the methods `max` and `min` give along one axis.

    Attributes
    ----------
    values : Tensor
    indices : Tensor of int64
        Positions along the axis.
    """

    values: Tensor
    indices: Tensor


def wrap(array: Any, kind: type[Tensor] = Tensor) -> Tensor:
    """A tensor without a graph around a float32 array, which is not checked."""
    t = Tensor.__new__(kind)
    t._data = array
    t._pending = t._node = t._grad = t._memory = None
    t.requires_grad = False
    return t


def _restore(kind: type[Tensor], data: Float32Array, requires_grad: bool) -> Tensor:
    """A tensor that was pickled or copied. joblib maps large arrays read-only: those are copied."""
    t = kind(check.owned(data), requires_grad)
    if t._memory is not None and t._memory.of_caller:  # nobody else has the array of the copy
        t._memory = None
    return t


def as_tensor(x: Any, name: str, from_table: bool = False) -> Tensor:
    """x itself if it is a tensor, otherwise a new tensor around the array.

    `from_table` is that of `check.floats`.

    Raises
    ------
    TypeError
        Names the argument, when x does not hold real numbers.
    """
    if isinstance(x, Tensor):
        if isinstance(x, IntegerBase):
            return wrap(computed(np.array, x._data, np.float32))
        return x
    array = check.floats(x, name, from_table=from_table, any_format=True)
    note_conversion(array, x)
    t = wrap(array)
    if (array is x or array.base is not None) and not is_argument(array):
        t._memory = CallersMemory()
    return t


def as_any_tensor(x: Any, name: str) -> Tensor:
    """`as_tensor`, but that an integer tensor stays one."""
    return x if isinstance(x, Tensor) else as_tensor(x, name)
