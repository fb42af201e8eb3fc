"""Batched passes: several Monte Carlo passes computed as the rows of one batch.

A Monte Carlo prediction runs T passes over N samples with different masks. Batched, these passes
are one computation: row n * T + t of a tensor is pass t of sample n. `fastdrop.random.monte_carlo`
sets the number of passes for the thread (`thread_state.batched_passes`), and that is the only
state. What a model computes before its first stochastic layer is the same in all passes, so it has
N rows. At the first stochastic layer each row is repeated T times (`with_passes`).

A tensor with N * T rows is a `PassTensor`. An operation *carries* passes when it works on each row
alone: then row n * T + t of its result is pass t of sample n again. Such operations are decorated
with `carries`, and only they may read the array of a `PassTensor`. Anything else that a model does
with one (a mean over the rows, an index, NumPy) raises `CannotCarry`. `fastdrop.mc_predict` then
computes the passes one at a time, and warns. So a user's own operation can be slow, but never
wrong.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fastdrop._core import Scope
from fastdrop.autograd.tensor import Tensor, wrap
from fastdrop.random.forward_pass import CannotCarry
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    from fastdrop._utils.typing import Float32Array

Function = TypeVar("Function", bound=Callable[..., Any])


# Entered by every function that carries passes.
_reading = Scope({"reads_passes": True})


class PassTensor(Tensor):
    """Rows of batched passes: row n * T + t is pass t of sample n (see the top of this file)."""

    __slots__ = ()

    @property
    def data(self) -> Float32Array:
        """The float32 array, for operations that carry passes.

        Raises
        ------
        CannotCarry
            When anything else reads it.
        """
        return _data_of(self)  # reads _strided

    @data.setter
    def data(self, value: Any) -> None:
        raise CannotCarry("an assignment to data met batched Monte Carlo passes")

    @property
    def _strided(self) -> Float32Array:
        if not thread_state.reads_passes:
            raise CannotCarry(
                f"{_called()}, which may mix rows or read numbers, met batched Monte Carlo passes"
            )
        return _strided_of(self)

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Not possible for batched passes: raises `CannotCarry`."""
        raise CannotCarry("backward() met batched Monte Carlo passes")


_data_of: Any = Tensor.data.fget  # type: ignore[attr-defined]
_strided_of: Any = Tensor._strided.fget  # type: ignore[attr-defined]


def _called() -> str:
    """The name of the function of the library that the model has called."""
    name, frame = "an operation", sys._getframe(1).f_back
    while frame is not None:
        module, function = str(frame.f_globals.get("__name__")), frame.f_code.co_name
        if module.startswith("fastdrop."):
            if function in ("__call__", "forward"):  # of a module
                break
            if not function.startswith(("_", "<", "call")):  # helpers, and decorators
                name = function
        elif not module.startswith(("contextlib", "numpy.")) and name != "an operation":
            break
        frame = frame.f_back
    return name


def carries(function: Function) -> Function:
    """Decorator: the function works row by row, so it may read tensors of batched passes."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not thread_state.batched_passes:
            return function(*args, **kwargs)
        with _reading:
            return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def reading_passes() -> Scope:
    """Context manager: inside, the arrays of tensors of batched passes may be read."""
    return _reading


def result_kind(inputs: tuple[Tensor, ...]) -> type[Tensor]:
    """The class of an operation's result: PassTensor where an input is one."""
    if thread_state.batched_passes:
        for t in inputs:
            if type(t) is PassTensor:
                return PassTensor
    return Tensor


def with_passes(x: Tensor) -> Tensor:
    """x for a stochastic operation: outside batched passes x itself, inside a PassTensor.

    The first stochastic operation of a model gets (N, ...) and repeats each row for every pass.

    Raises
    ------
    CannotCarry
        When the rows of x are not the samples.
    """
    passes = thread_state.batched_passes
    if not passes or type(x) is PassTensor:
        return x
    check_samples(x)
    return wrap(np.repeat(x.data, passes, axis=0), PassTensor)


def check_samples(x: Tensor) -> None:
    """Raise CannotCarry unless the rows of x are the samples of the batched passes."""
    if x.ndim < 2 or x.shape[0] != thread_state.batched_samples:
        raise CannotCarry("a stochastic operation met rows that are not the samples")


def align_passes(*inputs: Tensor, broadcast: bool = True) -> tuple[Tensor, ...]:
    """The tensors for an elementwise operation; without `broadcast` for one that joins rows.

    Where one of them is a PassTensor, each other one that has a row for each sample gets its rows
    repeated for every pass. What is broadcast over the rows stays as it is.

    Raises
    ------
    CannotCarry
        When a tensor has other rows, or more dimensions.
    """
    wide = None
    for t in inputs:
        if type(t) is PassTensor:
            wide = t
            break
    if wide is None:
        return inputs
    ndim = wide.ndim

    def aligned(t: Tensor) -> Tensor:
        if type(t) is PassTensor:
            if t.ndim != ndim:
                raise CannotCarry("tensors of batched passes with different dimensions met")
            return t
        if not _has_rows(t.shape, wide, broadcast):
            return t
        return wrap(np.repeat(t.data, thread_state.batched_passes, axis=0), PassTensor)

    return tuple(aligned(t) for t in inputs)


def _has_rows(shape: tuple[int, ...], wide: Tensor, broadcast: bool = True) -> bool:
    """Whether an operand of a PassTensor has a row for each sample, not one for all."""
    if len(shape) < wide.ndim or (broadcast and shape[0] == 1):
        return False
    if len(shape) > wide.ndim or shape[0] != wide.shape[0] // thread_state.batched_passes:
        raise CannotCarry("an operand with other rows met batched Monte Carlo passes")
    return True


def with_rows(array: Any, wide: Tensor) -> Any:
    """An array of the samples, such as a mask, for an operation with a PassTensor.

    Its rows are repeated for every pass, unless it is broadcast over the rows.

    Raises
    ------
    CannotCarry
        When the array has other rows, or more dimensions.
    """
    if not _has_rows(array.shape, wide):
        return array
    return np.repeat(array, thread_state.batched_passes, axis=0)
