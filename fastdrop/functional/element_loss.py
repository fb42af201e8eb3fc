"""Losses as sums of elements that are functions of broadcast inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.broadcasting import unbroadcast
from fastdrop.functional.loss import reduced
from fastdrop.functional.reduction import mean, sum

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array, FloatArray

    Elements = Callable[..., Any]


def checked_shapes(*named: tuple[str, Tensor | ArrayLike]) -> tuple[Tensor, ...]:
    """The arguments as tensors whose shapes broadcast; False and True are 0 and 1.

    ValueError, which names the arguments, where they do not.
    """
    tensors = tuple(as_tensor(value, name, from_table=True) for name, value in named)
    try:
        np.broadcast_shapes(*(t.shape for t in tensors))
    except ValueError:
        names = " and ".join(name for name, _ in named)
        shapes = " and ".join(str(t.shape) for t in tensors)
        raise ValueError(f"{names} must have shapes that broadcast, got {shapes}") from None
    return tensors


@quiet
def loss_of_elements(
    inputs: tuple[Tensor, ...],
    values: Elements,
    slopes: tuple[Elements | None, ...],
    reduction: str,
    total: Any = None,
) -> Tensor:
    """The mean or the sum of elements, or the elements themselves.

    Parameters
    ----------
    inputs : tuple of Tensor
        Their shapes broadcast.
    values : callable
        values(*arrays) -> the loss of each element, from the arrays of the inputs.
    slopes : tuple of callable or None
        slope(*arrays) -> the derivative of the elements with respect to an input; None where it has
        no gradient.
    reduction : {"mean", "sum", "none"}
    total : number, optional
        What the sum is divided by for the mean. Default: the number of elements.
    """
    arrays = tuple(t._array for t in inputs)
    shapes = tuple(t.shape for t in inputs)
    slopes = tuple(s if t.requires_grad else None for s, t in zip(slopes, inputs, strict=True))

    def gradients(f: Float32Array, *arrays: Float32Array) -> Any:
        return tuple(
            unbroadcast(computed(_times, f, slope, *arrays), shape) if slope is not None else None
            for slope, shape in zip(slopes, shapes)
        )

    found = computed(_as_float32, values, *arrays)
    return reduced(found, inputs, gradients, reduction, total, arrays)


def _as_float32(values: Elements, *arrays: npt.NDArray[Any]) -> FloatArray:
    return np.asarray(values(*arrays), np.float32)


def _times(f: Float32Array, slope: Elements, *arrays: npt.NDArray[Any]) -> Float32Array:
    """The slope times f, in the broadcast shape of the inputs."""
    out = np.empty(np.broadcast_shapes(*(array.shape for array in arrays)), np.float32)
    out[...] = slope(*arrays) * f
    return out


def reduced_loss(losses: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of a tensor of losses, or the tensor itself."""
    if reduction == "none":
        return losses
    return mean(losses) if reduction == "mean" else sum(losses)


def sigmoid_of(x: Float32Array) -> Any:
    """1 / (1 + exp(-x)) of an array, without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, np.float32(1.0)) / (1 + e)


def softplus_of(x: Float32Array) -> Any:
    """log(1 + exp(x)) of an array, without overflow."""
    return np.logaddexp(np.float32(0.0), x)
