"""Tensors and the tape.

A `Tensor` is a float32 NumPy array and, where a gradient is wanted, the `Node` that made it. A node holds its inputs
and its backward function, nothing else. Inside a forward pass of a module a tensor's array may still be *pending*: a
recipe (a dense layer, an activation, a dropout) that the next function may extend, so that Linear, activation and
dropout become one product. Whoever reads `data` runs it.
"""

from __future__ import annotations

import functools
import math
import threading
from contextlib import ContextDecorator, contextmanager
from sys import getrefcount

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import idle, on_large_pages
from fastdrop.random import CannotCarry

FEW_ROWS = 128  # of a product; with more, packing costs little beside it


class _Mode(threading.local):
    grad = True
    passes = 0  # Monte Carlo passes side by side, 0 outside
    carrying = 0  # depth of functions that may read tensors of them


_mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations of this thread are recorded."""
    return _mode.grad


class _GradMode(ContextDecorator):
    value = True

    def __new__(cls, function=None):
        mode = super().__new__(cls)
        mode._before = []
        return mode if function is None else mode(function)

    def __enter__(self):
        self._before.append(_mode.grad)
        _mode.grad = self.value

    def __exit__(self, *exc):
        _mode.grad = self._before.pop()

    def _recreate_cm(self):
        return type(self)()


class no_grad(_GradMode):  # noqa: N801 (PyTorch's name)
    """Context manager and decorator: operations inside are not recorded."""

    value = False


class enable_grad(_GradMode):  # noqa: N801
    """Context manager and decorator: operations inside are recorded, even within `no_grad`."""

    value = True


class Node:
    """What made a tensor: its inputs, and backward(grad) -> the gradient of each input (or None)."""

    __slots__ = ("backward", "inputs")

    def __init__(self, inputs, backward):
        self.inputs = inputs
        self.backward = backward


def _freed(grad):
    raise RuntimeError(
        "the graph was freed by an earlier backward(); call backward(retain_graph=True) there to use it twice"
    )


class Tensor:
    """A float32 array that may record what is done with it.

    Parameters
    ----------
    data : array
        float64, float16 and integers are converted to float32; bool, complex and object arrays are refused.
    requires_grad : bool
        Whether `backward` should leave the gradient of the result in `grad`.
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_node", "_pending", "requires_grad")
    __array_priority__ = 1000  # NumPy arrays on the left leave operators to the tensor

    def __init__(self, data, requires_grad: bool = False):
        self._data = check.floats(data, "data")
        self._pending = self._node = self._grad = None
        self.requires_grad = check.flag(requires_grad, "requires_grad")

    # ---- the array ----

    @property
    def data(self) -> np.ndarray:
        """The float32 array itself (not a copy)."""
        if self._pending is not None:
            self._data = self._pending.run()
            self._pending = None
        return self._data

    @data.setter
    def data(self, value):
        self._data = _own(check.floats(value, "data"))
        self._pending = None

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient, or None."""
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is not None:
            value = value if isinstance(value, Tensor) else Tensor(value)
            if value.shape != self.shape:
                raise ValueError(f"grad must have shape {self.shape}, got {value.shape}")
            if not value.data.flags.writeable:  # gradients are added up in place
                value = wrap(_own(value.data))
        self._grad = value

    @property
    def shape(self) -> tuple:
        return self._data.shape if self._pending is None else self._pending.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self):
        return np.dtype(np.float32)

    @property
    def is_leaf(self) -> bool:
        return self._node is None

    def numpy(self) -> np.ndarray:
        """The array (shared, not copied)."""
        return self.data

    def item(self) -> float:
        """The only element, as a Python float."""
        if self.data.size != 1:
            raise ValueError(f"item() needs exactly one element, got shape {self.shape}")
        return float(self.data.reshape(())[()])

    def tolist(self):
        return self.data.tolist()

    def detach(self) -> Tensor:
        """The same array without a history."""
        return wrap(self.data)

    def clone(self) -> Tensor:
        """A copy that passes the gradient on."""
        return record(self.data.copy(), (self,), lambda g: (g,))

    def size(self, dim: int | None = None):
        return self.shape if dim is None else self.shape[dim]

    def numel(self) -> int:
        return int(np.prod(self.shape))

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        self.requires_grad = check.flag(requires_grad, "requires_grad")
        return self

    def __array__(self, dtype=None, copy=None):
        return (
            np.array(self.data, dtype=dtype, copy=copy)
            if copy is not None
            else np.asarray(self.data, dtype=dtype)
        )

    def __float__(self):
        return self.item()

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        return bool(self.item())

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __hash__(self):
        return id(self)

    def __repr__(self):
        values = np.array2string(self.data, separator=", ", prefix="tensor(")
        return f"tensor({values}{', requires_grad=True' if self.requires_grad else ''})"

    def __reduce__(self):
        return _restore, (type(self), self.data, self.requires_grad)

    def __deepcopy__(self, memo):
        if self._node is not None:
            raise RuntimeError("only leaf tensors can be deep-copied; detach() first")
        copy = _restore(type(self), self.data.copy(), self.requires_grad)
        memo[id(self)] = copy
        return copy

    # ---- the tape ----

    def backward(self, gradient=None, retain_graph: bool = False) -> None:
        """Add d self / d leaf to the `grad` of every leaf that requires it.

        Parameters
        ----------
        gradient : array of self's shape, optional
            Weights of self's elements; 1 for a single element.
        retain_graph : bool
            Keep the graph for another backward.
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
            gradient = np.ones(self.shape, np.float32)
        else:
            gradient = check.floats(gradient, "gradient")
            if gradient.shape != self.shape:
                raise ValueError(f"gradient must have shape {self.shape}, got {gradient.shape}")
        if self._node is None:
            self._accumulate(gradient)
            return
        with np.errstate(all="ignore"):  # infinite and undefined gradients are values, not warnings
            self._walk(gradient, retain_graph)

    def _walk(self, gradient, retain_graph):
        order = _inputs_first(self._node)
        waiting = {self._node: gradient}
        while order:
            node = order.pop()
            grad = waiting.pop(node, None)
            if grad is None:
                continue
            if not grad.flags.c_contiguous or grad.dtype != np.float32:  # broadcast views, for one
                grad = np.asarray(grad, np.float32, order="C")
            for tensor, part in zip(node.inputs, node.backward(grad), strict=True):
                if part is None or not tensor.requires_grad:
                    continue
                source = tensor._node
                if source is None:
                    tensor._accumulate(part)
                else:
                    before = waiting.get(source)
                    waiting[source] = part if before is None else before + part
            if not retain_graph:
                node.inputs, node.backward = (), _freed

    def _accumulate(self, part: np.ndarray) -> None:
        if self._grad is None:
            self._grad = wrap(np.array(part, np.float32, order="C"))
        else:
            self._grad = wrap(np.asarray(self._grad.data + part, np.float32, order="C"))


def _inputs_first(root: Node) -> list[Node]:
    """The nodes below root, each after all its inputs; without recursion."""
    order, seen, stack = [], {root}, [(root, iter(root.inputs))]
    if root.backward is _freed:
        _freed(None)
    while stack:
        node, inputs = stack[-1]
        for tensor in inputs:
            below = tensor._node
            if below is not None and below not in seen:
                if below.backward is _freed:
                    _freed(None)
                seen.add(below)
                stack.append((below, iter(below.inputs)))
                break
        else:
            order.append(node)
            stack.pop()
    return order


class Parameter(Tensor):
    """A tensor that a module trains. Its gradient's memory is kept from step to step, and, while nobody can write to its array, the
    panels that products with few rows read."""

    __slots__ = ("_panels", "_spare")

    def __init__(self, data, requires_grad: bool = True):
        super().__init__(data, requires_grad)
        self._data = _own(self._data)
        self._spare = []
        self._panels = None

    @property
    def data(self) -> np.ndarray:
        """The float32 array itself (not a copy)."""
        array = self._data  # held before the panels go, see `panels`
        self._panels = None  # whoever asks may write
        return array

    @data.setter
    def data(self, value):
        Tensor.data.fset(self, value)
        self._panels = None

    def panels(self, rows: int) -> np.ndarray | None:
        """The array (out, in) as products x w^T of so many rows read it, packed once; None where packing again is as well, or numbers
        are not finite.

        They are kept until somebody asks for `data`, and made only while nobody else holds the array, so no write can be missed
        (but one through a bare address that was taken before). A product of one row of 1024 by 1024: 170 us, with them 50.

        Other threads may ask for `data`, or replace it, at any moment. So the place for the panels is put down before the array is read and
        anybody else looked for: who holds it by then is seen, and who comes later takes the place away, also while panels are being packed.
        """
        isa = _core.isa()
        place = self._panels
        if place is not None and place[0] == isa:
            return place[1]
        if rows > FEW_ROWS:
            return None
        self._panels = place = [isa, None]
        array = self._data
        if (
            array.ndim != 2
            or array.base is not None
            or getrefcount(array) > _alone
            or not math.isfinite(_core.sumsq(array))
        ):
            self._panels = None
            return None
        panels = on_large_pages(_core.panels_length(*array.shape))
        _core.pack(panels, array)
        place[1] = panels
        return panels

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient, or None."""
        return self._grad

    @grad.setter
    def grad(self, value):
        old = self._grad
        Tensor.grad.fset(self, value)
        if (
            value is None
            and old is not None
            and old.data.flags.owndata
            and old.data.flags.writeable
        ):
            self._spare = [old.data]

    def gradient_into(self, write) -> None:
        """Call write(out, accumulate) with the gradient's own memory: no fresh pages, no second copy."""
        if self._grad is not None:
            if self._grad.shape != self._data.shape:
                raise ValueError(
                    f"grad must have its parameter's shape {self._data.shape}, got {self._grad.shape}"
                )
            write(self._grad.data, True)
            return
        out = idle(self._spare)
        if out is None or out.shape != self._data.shape:
            out = np.empty(self._data.shape, np.float32)
        self._spare = []
        write(out, False)
        self._grad = wrap(out)

    def _accumulate(self, part: np.ndarray) -> None:
        def write(out, accumulate):
            if accumulate:
                np.add(out, part, out=out)
            else:
                np.copyto(out, part)

        self.gradient_into(write)

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"

    def _holders(self) -> int:
        array = self._data
        return getrefcount(array)


def _own(array: np.ndarray) -> np.ndarray:
    """The array, or a copy of one that must not be written: a file's, a bytes object's. The core does not look."""
    return array if array.flags.writeable else array.copy()


_alone = Parameter(
    np.empty(1)
)._holders()  # measured where only the parameter and a local variable hold the array


class PassTensor(Tensor):
    """Rows of several Monte Carlo passes side by side: row n * T + t is pass t of sample n. Only functions marked with
    `carries` may read it; whatever else a model does with it ends in `CannotCarry`."""

    __slots__ = ()

    @property
    def data(self) -> np.ndarray:
        if not _mode.carrying:
            raise CannotCarry("an operation that may mix rows met Monte Carlo passes side by side")
        return Tensor.data.fget(self)

    def backward(self, gradient=None, retain_graph: bool = False) -> None:
        raise CannotCarry("backward() met Monte Carlo passes side by side")


def carries(function):
    """Marks a function that works row by row, and so on passes side by side."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        mode = _mode
        if not mode.passes:
            return function(*args, **kwargs)
        mode.carrying += 1  # reading_passes, without its cost of 2 us
        try:
            return function(*args, **kwargs)
        finally:
            mode.carrying -= 1

    return call


@contextmanager
def reading_passes():
    """Inside, tensors of passes side by side may be read."""
    _mode.carrying += 1
    try:
        yield
    finally:
        _mode.carrying -= 1


@contextmanager
def side_by_side(passes: int):
    """Inside, so many Monte Carlo passes are computed at once (0: as usual)."""
    before, _mode.passes = _mode.passes, passes
    try:
        yield
    finally:
        _mode.passes = before


def row_by_row(*inputs) -> tuple:
    """The tensors, those of single samples repeated for each pass where another one is of passes."""
    if not any(type(t) is PassTensor for t in inputs):
        return inputs
    wide = next(t for t in inputs if type(t) is PassTensor)
    samples = wide.shape[0] // _mode.passes

    def fit(t):
        if type(t) is PassTensor or t.ndim < wide.ndim or t.shape[0] == 1:
            if type(t) is PassTensor and t.ndim != wide.ndim:
                raise CannotCarry("tensors of different dimensions met")
            return t
        if t.ndim > wide.ndim or t.shape[0] != samples:
            raise CannotCarry("tensors with other rows met")
        return wrap(np.repeat(t.data, _mode.passes, axis=0), PassTensor)

    return tuple(fit(t) for t in inputs)


def wrap(array: np.ndarray, kind: type = Tensor) -> Tensor:
    """A tensor without history around a float32 array, unchecked."""
    t = Tensor.__new__(kind)
    t._data = array
    t._pending = t._node = t._grad = None
    t.requires_grad = False
    return t


def _restore(kind, data, requires_grad):
    return kind(data, requires_grad)


def as_tensor(x, name: str) -> Tensor:
    """x itself, or a new tensor around what the user passed."""
    return x if isinstance(x, Tensor) else wrap(check.floats(x, name))


def wants_grad(*inputs: Tensor) -> bool:
    """Whether an operation on these is to be recorded."""
    return _mode.grad and any(t.requires_grad for t in inputs)


def record(array: np.ndarray, inputs: tuple, backward) -> Tensor:
    """The result of an operation: array, and its node when an input requires a gradient."""
    if type(array) is not np.ndarray or array.dtype != np.float32 or not array.flags.c_contiguous:
        array = np.asarray(array, np.float32, order="C")
    t = wrap(array, _kind(inputs))
    if wants_grad(*inputs):
        t.requires_grad = True
        t._node = Node(inputs, backward)
    return t


def _kind(inputs) -> type:
    """Of a result: rows of passes where an input has them."""
    return PassTensor if _mode.passes and any(type(t) is PassTensor for t in inputs) else Tensor


def record_pending(pending, inputs: tuple, backward, expands: bool = False) -> Tensor:
    """The same for a recipe that runs when its data is read; expands: it makes rows of passes of its inputs'."""
    t = wrap(None, PassTensor if expands else _kind(inputs))
    t._pending = pending
    if wants_grad(*inputs):
        t.requires_grad = True
        t._node = Node(inputs, backward)
    return t


def tensor(data, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of data (see `Tensor`)."""
    return Tensor(np.array(check.floats(data, "data")), requires_grad)
