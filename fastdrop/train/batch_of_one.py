"""Batch norm and a batch of one sample: found out before the first step of `fit`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastdrop import nn
from fastdrop._utils.inputs import call_model
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.nn.evaluating import evaluating
from fastdrop.nn.normalization import BatchNorm

DEFAULT_BATCH_SIZE = 128


def batch_size_for(
    model: nn.Module,
    rows: int,
    sample: Any,
    batch_size: int | None,
    drop_last: bool,
) -> int:
    """The batch size of a run: `batch_size`, or the default one for None.

    The default is lowered where it would leave one sample over that a batch norm cannot take.

    Parameters
    ----------
    model : Module
    rows : int
        Number of the training samples.
    sample : float32 array (1, ...), tuple or dict of arrays
        One of them.
    batch_size : int or None
    drop_last : bool

    Raises
    ------
    ValueError
        A batch would have one sample, and a batch norm of the model would have one value for each
        channel then, which has no variance.
    """
    size = DEFAULT_BATCH_SIZE if batch_size is None else batch_size
    if not _has_batch_of_one(rows, size, drop_last) or not _needs_two_samples(model, sample):
        return size
    if batch_size is None:
        for smaller in range(size - 1, 1, -1):
            if not _has_batch_of_one(rows, smaller, drop_last):
                return smaller
    raise ValueError(
        f"batch_size must not leave a batch of one sample for a model with batch norm, got "
        f"batch_size={size} for {rows} samples: choose another batch_size, or drop_last=True"
    )


def _has_batch_of_one(samples: int, size: int, drop_last: bool) -> bool:
    return bool(samples) and (size == 1 or (samples % size == 1 and not drop_last))


def _needs_two_samples(model: nn.Module, sample: Any) -> bool:
    """Whether a batch norm of the model gets one value a channel from a batch of one sample.

    One sample is computed in evaluation mode, and the shapes that reach the layers are noted. A
    model that fails with it will say why in training.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.train()  # a model may keep batch norms in evaluation mode
    layers = [m for m in model.modules() if isinstance(m, BatchNorm) and m.training]
    for module, mode in modes:
        module.training = mode
    found: list[bool] = []

    def watch(layer: BatchNorm) -> None:
        forward = layer.forward

        def noting(input: Any) -> Any:
            found.append(_values(np.shape(input)) < 2)
            return forward(input)

        object.__setattr__(layer, "forward", noting)

    if not layers:
        return False
    try:
        for layer in layers:
            watch(layer)
        with evaluating(model), no_grad():
            call_model(model, sample)
    except Exception:
        pass
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)
    return any(found)


def _values(shape: tuple[int, ...]) -> int:
    """The number of values of each channel of an input (N, C) or (N, C, L)."""
    return shape[0] * math.prod(shape[2:])
