"""Tensor: a float32 array that can record the operations on it.

A `Tensor` is a float32 NumPy array and, where a gradient is wanted, the `Node` that made it. A node
holds its inputs and its backward function, nothing else. Inside a forward pass of a module a
tensor's array may still be *pending*: a lazy product that the next function may extend
(`pending.py`). Whoever reads `data` runs it.

Operators and most methods are functions of `fastdrop.functional`. `functional/tensor_methods.py`
attaches them to the class.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, overload

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.graph import Node, run_backward

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.autograd.pending import Pending

    Operand: TypeAlias = "Tensor | ArrayLike"


class Tensor:
    """A float32 array that can record the operations on it.

    Parameters
    ----------
    data : array or Tensor
        C-contiguous float32 arrays are used as they are, not copied. Other floats and
        integers are converted to float32. bool, complex and string arrays are refused.
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

    __slots__ = ("__weakref__", "_data", "_grad", "_node", "_pending", "requires_grad")
    __array_priority__ = 1000  # NumPy arrays on the left leave operators to the tensor

    _data: Float32Array  # None while the tensor is pending
    _grad: Tensor | None
    _node: Node | None
    _pending: Pending | None
    requires_grad: bool

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = False) -> None:
        self._data = check.floats(data, "data")
        self._pending = self._node = self._grad = None
        self.requires_grad = check.flag(requires_grad, "requires_grad")

    # ---- the array ----

    @property
    def data(self) -> Float32Array:
        """The float32 array itself (not a copy)."""
        if self._pending is not None:
            self._data = self._pending.run()
            self._pending = None
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._data = check.owned(check.floats(value, "data"))
        self._pending = None

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
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
        """The array (shared, not copied)."""
        return self.data

    def item(self) -> float:
        """The only element, as a Python float.

        Raises
        ------
        ValueError
            When the tensor does not have exactly one element.
        """
        if self.data.size != 1:
            raise ValueError(f"item() needs exactly one element, got shape {self.shape}")
        return float(self.data.reshape(())[()])

    def tolist(self) -> Any:
        """The elements as nested lists of Python floats."""
        return self.data.tolist()

    def detach(self) -> Tensor:
        """A tensor with the same array and no graph."""
        return wrap(self.data)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad`; returns the tensor itself."""
        self.requires_grad = check.flag(requires_grad, "requires_grad")
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if copy is None:
            return np.asarray(self.data, dtype=dtype)
        return np.array(self.data, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        return self.item()

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
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
        values = np.array2string(self.data, separator=", ", prefix="tensor(")
        return f"tensor({values}{', requires_grad=True' if self.requires_grad else ''})"

    def __format__(self, spec: str) -> str:
        """The number of a tensor with one element by a format such as ``.3f``, or its repr."""
        return format(self.item(), spec) if spec else repr(self)

    def __reduce__(self) -> Any:
        return _restore, (type(self), self.data, self.requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError("only leaf tensors can be deep-copied; detach() first")
        copy = _restore(type(self), self.data.copy(), self.requires_grad)
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
            weights = check.floats(gradient, "gradient")
            if weights.shape != self.shape:
                raise ValueError(f"gradient must have shape {self.shape}, got {weights.shape}")
        if self._node is None:
            self._accumulate(weights)
            return
        with np.errstate(all="ignore"):  # infinite and undefined gradients are values, not warnings
            run_backward(self._node, weights, retain_graph)

    def _accumulate(self, part: Float32Array) -> None:
        """Add a gradient to `grad`."""
        if self._grad is None:
            self._grad = wrap(np.array(part, np.float32, order="C"))
        else:
            self._grad = wrap(np.asarray(self._grad.data + part, np.float32, order="C"))

    if TYPE_CHECKING:  # attached by functional/tensor_methods.py
        T: Tensor

        def __add__(self, other: Operand) -> Tensor: ...
        def __radd__(self, other: Operand) -> Tensor: ...
        def __sub__(self, other: Operand) -> Tensor: ...
        def __rsub__(self, other: Operand) -> Tensor: ...
        def __mul__(self, other: Operand) -> Tensor: ...
        def __rmul__(self, other: Operand) -> Tensor: ...
        def __truediv__(self, other: Operand) -> Tensor: ...
        def __rtruediv__(self, other: Operand) -> Tensor: ...
        def __pow__(self, other: Operand) -> Tensor: ...
        def __rpow__(self, other: Operand) -> Tensor: ...
        def __matmul__(self, other: Operand) -> Tensor: ...
        def __rmatmul__(self, other: Operand) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __lt__(self, other: Operand) -> npt.NDArray[np.bool_]: ...
        def __le__(self, other: Operand) -> npt.NDArray[np.bool_]: ...
        def __gt__(self, other: Operand) -> npt.NDArray[np.bool_]: ...
        def __ge__(self, other: Operand) -> npt.NDArray[np.bool_]: ...
        def __eq__(self, other: Any) -> npt.NDArray[np.bool_]: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> npt.NDArray[np.bool_]: ...  # type: ignore[override]
        def add(self, other: Operand) -> Tensor: ...
        def sub(self, other: Operand) -> Tensor: ...
        def mul(self, other: Operand) -> Tensor: ...
        def div(self, other: Operand) -> Tensor: ...
        def pow(self, exponent: Operand) -> Tensor: ...
        def matmul(self, other: Operand) -> Tensor: ...
        def clone(self) -> Tensor: ...
        def exp(self) -> Tensor: ...
        def log(self) -> Tensor: ...
        def sqrt(self) -> Tensor: ...
        def abs(self) -> Tensor: ...
        def clamp(self, min: float | None = None, max: float | None = None) -> Tensor: ...
        def relu(self, inplace: bool = False) -> Tensor: ...
        def sigmoid(self) -> Tensor: ...
        def tanh(self) -> Tensor: ...
        def softmax(self, dim: int = -1) -> Tensor: ...
        def log_softmax(self, dim: int = -1) -> Tensor: ...
        def sum(
            self,
            dim: Any = None,
            keepdim: bool = False,
            *,
            axis: Any = None,
            keepdims: bool = False,
        ) -> Tensor: ...
        def mean(
            self,
            dim: Any = None,
            keepdim: bool = False,
            *,
            axis: Any = None,
            keepdims: bool = False,
        ) -> Tensor: ...
        def var(
            self,
            dim: Any = None,
            correction: float | None = 1,
            keepdim: bool = False,
            *,
            axis: Any = None,
            keepdims: bool = False,
        ) -> Tensor: ...
        def std(
            self,
            dim: Any = None,
            correction: float | None = 1,
            keepdim: bool = False,
            *,
            axis: Any = None,
            keepdims: bool = False,
        ) -> Tensor: ...
        @overload
        def max(self, dim: None = None, keepdim: bool = False) -> Tensor: ...
        @overload
        def max(self, dim: int, keepdim: bool = False) -> Extreme: ...
        def max(self, dim: int | None = None, keepdim: bool = False) -> Any: ...
        @overload
        def min(self, dim: None = None, keepdim: bool = False) -> Tensor: ...
        @overload
        def min(self, dim: int, keepdim: bool = False) -> Extreme: ...
        def min(self, dim: int | None = None, keepdim: bool = False) -> Any: ...
        def argmax(self, dim: int | None = None, keepdim: bool = False) -> npt.NDArray[np.intp]: ...
        def reshape(self, *shape: Any) -> Tensor: ...
        def view(self, *shape: Any) -> Tensor: ...
        def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor: ...
        def permute(self, *dims: Any) -> Tensor: ...
        def transpose(self, dim0: int, dim1: int) -> Tensor: ...
        def squeeze(self, dim: int | tuple[int, ...] | None = None) -> Tensor: ...
        def unsqueeze(self, dim: int) -> Tensor: ...


class Extreme(NamedTuple):
    """What the methods `max` and `min` give along one axis.

    Attributes
    ----------
    values : Tensor
    indices : int array
        Positions along the axis.
    """

    values: Tensor
    indices: npt.NDArray[np.intp]


def wrap(array: Any, kind: type[Tensor] = Tensor) -> Tensor:
    """A tensor without a graph around a float32 array, which is not checked."""
    t = Tensor.__new__(kind)
    t._data = array
    t._pending = t._node = t._grad = None
    t.requires_grad = False
    return t


def _restore(kind: type[Tensor], data: Float32Array, requires_grad: bool) -> Tensor:
    """A tensor that was pickled or copied. joblib maps large arrays read-only: those are copied."""
    return kind(check.owned(data), requires_grad)


def as_tensor(x: Any, name: str) -> Tensor:
    """x itself if it is a tensor, otherwise a new tensor around the array.

    Raises
    ------
    TypeError
        Names the argument, when x does not hold real numbers.
    """
    return x if isinstance(x, Tensor) else wrap(check.floats(x, name))


def tensor(data: ArrayLike | Tensor, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of the data.

    Parameters
    ----------
    data : array or Tensor
        Real numbers: floats or integers.
    requires_grad : bool, default False
        Whether `backward` computes the gradient with respect to this tensor.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        When `data` does not hold real numbers.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.tensor([[1, 2], [3, 4]]).sum(0).tolist()
    [4.0, 6.0]
    """
    return Tensor(np.array(check.floats(data, "data")), requires_grad)
