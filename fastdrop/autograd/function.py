"""Operations of the user's own: `Function`, with a forward and a backward of NumPy or tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.memory_format import is_dense
from fastdrop.autograd.grad_mode import no_grad, wants_grad
from fastdrop.autograd.joint import record_joint
from fastdrop.autograd.recording import refuse
from fastdrop.autograd.tensor import Tensor, wrap

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array

__all__ = ["Function", "FunctionCtx", "once_differentiable"]

Method = TypeVar("Method", bound=Callable[..., Any])


class FunctionCtx:
    """What forward keeps for backward: the argument `ctx` of a `Function`'s methods.

    Any attribute may be set for values that are no tensors.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        Whether each argument of forward needs a gradient.
    saved_tensors : tuple of Tensor or None
        What `save_for_backward` was given.

    Examples
    --------
    See `Function`.
    """

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._to_save: tuple[Any, ...] = ()
        self._saved: tuple[Any, ...] | None = None
        self._constants: tuple[Any, ...] = ()
        self._materializes = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs, results and other tensors for backward.

        Parameters
        ----------
        *tensors : Tensor, array or None
        """
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` was given, as tensors without a graph."""
        if self._saved is not None:
            return self._saved
        return self._to_save

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say that some results have no gradient.

        Parameters
        ----------
        *tensors : Tensor
            Results of forward. Backward gets zeros for them.
        """
        self._constants = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Set whether backward gets zeros, or None, for results without a gradient.

        Parameters
        ----------
        value : bool
            True, the default: zeros.
        """
        self._materializes = check.flag(value, "value")

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Not possible: forward must not write to its arguments. Raises NotImplementedError.

        Parameters
        ----------
        *tensors : Tensor
        """
        raise NotImplementedError(
            "mark_dirty() is not possible: forward must return fresh tensors instead of writing to "
            "its arguments"
        )


class Function:
    """Base class of operations of the user's own, which know their gradient.

    A subclass defines static methods ``forward(ctx, *args)`` and ``backward(ctx, *grads)``, or
    ``forward(*args)``, ``setup_context(ctx, inputs, output)`` and backward. Inside of them nothing
    is recorded, so they may compute with NumPy (``t.numpy()``) as well as with functions of this
    library. Call the class by `apply`.

    forward returns a Tensor or float array, or a tuple of them. backward gets a Tensor for each
    result and returns, for each argument of forward, a Tensor or array of the argument's shape, or
    None.

    A training step with such an operation is not replayed (`fastdrop.record`). There are no second
    derivatives.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> class Sine(fd.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return np.sin(x.numpy())
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * np.cos(x.numpy())
    >>> x = fd.tensor([0.0, 1.0], requires_grad=True)
    >>> Sine.apply(x).sum().backward()
    >>> [round(v, 3) for v in x.grad.tolist()]
    [1.0, 0.54]
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the results; the subclass defines it.

        Parameters
        ----------
        *args, **kwargs
            A `FunctionCtx`, unless `setup_context` is defined, and the arguments of `apply`.
        """
        raise NotImplementedError("a Function must define the static method forward()")

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep what backward needs, where forward has no argument `ctx`.

        Parameters
        ----------
        ctx : FunctionCtx
        inputs : tuple
            The arguments of `apply`.
        output
            What forward returned.
        """
        raise NotImplementedError("setup_context() is for subclasses")

    @staticmethod
    def backward(ctx: FunctionCtx, *grad_outputs: Any) -> Any:
        """Compute the gradients of the arguments; the subclass defines it.

        Parameters
        ----------
        ctx : FunctionCtx
        *grad_outputs : Tensor or None
            The gradient of each result.
        """
        raise NotImplementedError("a Function must define the static method backward()")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run forward, and record the operation where an argument requires a gradient.

        Parameters
        ----------
        *args
            Tensors and other values, for forward.

        Returns
        -------
        Tensor, or tuple of Tensor
            What forward returned.

        Raises
        ------
        TypeError
            forward returned something else.
        """
        refuse(f"{cls.__name__} is a function of the user's own, which is not recorded")
        ctx = FunctionCtx()
        tensors = tuple(arg for arg in args if isinstance(arg, Tensor))
        recorded = wants_grad(*tensors)
        ctx.needs_input_grad = tuple(isinstance(arg, Tensor) and arg.requires_grad for arg in args)
        with no_grad():
            if cls.setup_context is Function.setup_context:
                output = cls.forward(ctx, *args)
            else:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
        values = output if isinstance(output, (tuple, list)) else (output,)
        results = _results(cls, ctx, args, tensors, values, recorded)
        return tuple(results) if values is output else results[0]


def _results(
    cls: type[Function],
    ctx: FunctionCtx,
    args: tuple[Any, ...],
    tensors: tuple[Tensor, ...],
    values: Any,
    recorded: bool,
) -> list[Any]:
    """The results of forward, as tensors with a node where one is wanted; other values as is."""
    places = [i for i, value in enumerate(values) if _is_result(value)]
    if not places:
        raise TypeError(
            f"{cls.__name__}.forward must return a Tensor or an array of floats, or a tuple of "
            f"them, got {check.describe(values[0] if len(values) == 1 else tuple(values))}"
        )
    arrays = [_array_of(values[i]) for i in places]
    results = list(values)
    if not recorded:
        for i, array in zip(places, arrays):
            results[i] = values[i] if isinstance(values[i], Tensor) else wrap(array)
        return results
    constants = {id(t) for t in ctx._constants}
    differentiable = [id(values[i]) not in constants for i in places]
    saved = [None if t is None else _array_of(t) for t in ctx._to_save]
    kinds = [type(t) for t in ctx._to_save]
    shapes = [array.shape for array in arrays]
    ctx._to_save = ()
    numbers = {i: k for k, i in enumerate(places)}

    def backward(gradients: list[Any], *kept: Float32Array | None) -> list[Any]:
        def given(i: int) -> Any:
            k = numbers.get(i)
            if k is None:
                return None
            array = gradients[k]
            if array is None and ctx._materializes:
                array = np.zeros(shapes[k], np.float32)
            return None if array is None else wrap(array)

        ctx._saved = tuple(
            None if array is None else array if kind is np.ndarray else wrap(array)
            for array, kind in zip(kept, kinds)
        )
        try:
            with no_grad():
                found = cls.backward(ctx, *(given(i) for i in range(len(values))))
        finally:
            ctx._saved = None
        return _checked(cls, args, found)

    made = record_joint(arrays, tensors, backward, saved, differentiable)
    for i, t in zip(places, made):
        results[i] = t
    return results


def _is_result(value: Any) -> bool:
    return isinstance(value, Tensor) or (
        isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f"
    )


def _array_of(value: Any) -> Float32Array:
    array = value._strided if isinstance(value, Tensor) else check.floats(value, "a result")
    return array if is_dense(array) else np.ascontiguousarray(array)


def _checked(cls: type[Function], args: tuple[Any, ...], found: Any) -> list[Any]:
    """What backward returned, as an array or None for each argument that is a tensor."""
    name = f"{cls.__name__}.backward"
    grads = list(found) if isinstance(found, (tuple, list)) else [found]
    if len(grads) > len(args) and all(value is None for value in grads[len(args) :]):
        del grads[len(args) :]
    if len(grads) != len(args):
        raise RuntimeError(
            f"{name} must return {len(args)} gradient{'s' * (len(args) != 1)}, one for each "
            f"argument of forward, got {len(grads)}"
        )
    parts: list[Any] = []
    for i, (arg, value) in enumerate(zip(args, grads)):
        if not isinstance(arg, Tensor):
            if value is not None:
                raise RuntimeError(
                    f"{name} must return None for argument {i} of forward, which is no Tensor, "
                    f"got {check.describe(value)}"
                )
            continue
        if value is None:
            parts.append(None)
            continue
        array = check.floats(value, f"gradient {i} of {name}", any_format=True)
        if array.shape != arg.shape:
            array = _summed(array, arg.shape, f"gradient {i} of {name}")
        parts.append(array)
    return parts


def _summed(array: Float32Array, shape: tuple[int, ...], name: str) -> Float32Array:
    """The sum of a gradient over axes along which the argument was broadcast."""
    try:
        fits = np.broadcast_shapes(shape, array.shape) == array.shape
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(f"{name} must have the shape {shape} of the argument, got {array.shape}")
    array = array.sum(tuple(range(array.ndim - len(shape))))
    axes = tuple(i for i, length in enumerate(shape) if length == 1 != array.shape[i])
    return np.asarray(array.sum(axes, keepdims=True), np.float32)


def once_differentiable(backward: Method) -> Method:
    """Accept PyTorch's decorator of `Function.backward`: there are no second derivatives anyway.

    Parameters
    ----------
    backward : function

    Returns
    -------
    function

    Examples
    --------
    >>> from fastdrop.autograd.function import once_differentiable
    >>> once_differentiable(lambda ctx, grad: grad * 2)(None, 3)
    6
    """

    @functools.wraps(backward)
    def call(*args: Any) -> Any:
        return backward(*args)

    return call  # type: ignore[return-value]
