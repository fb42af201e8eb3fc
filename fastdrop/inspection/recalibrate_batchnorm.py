"""Estimating the running statistics of batch norm again, with dropout off."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

from fastdrop import nn
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.nn.evaluating import evaluating, training
from fastdrop.nn.module import checked_module
from fastdrop.nn.normalization import BatchNorm

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike

__all__ = ["recalibrate_batchnorm"]

Model = TypeVar("Model", bound=nn.Module)


def recalibrate_batchnorm(
    model: Model, batches: Iterable[ArrayLike | tuple[ArrayLike, Any]]
) -> Model:
    """Estimate the running statistics of all batch norm layers again, with dropout off.

    The new running mean and variance of each layer are the averages over these batches. Use it
    after training, over a few hundred training samples or more, when dropout stands before batch
    norm and cannot be moved: the statistics from training are then those of dropped activations.

    Parameters
    ----------
    model : Module
        The model, changed in place. The mode of each of its modules stays as it was.
    batches : iterable of array (N, ...), or of pairs (array, target)
        Batches of input samples; targets are ignored.

    Returns
    -------
    Module
        The model.

    Raises
    ------
    TypeError
        `model` is not a Module.
    ValueError
        The model has no batch norm with running statistics, or there is no batch. On an error the
        statistics stay as they were.

    References
    ----------
    Li, Chen, Hu, Yang, "Understanding the disharmony between dropout and batch normalization by
    variance shift", CVPR 2019, arXiv:1801.05134.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> from fastdrop import nn
    >>> model = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3), nn.BatchNorm1d(3))
    >>> x = np.random.default_rng(0).standard_normal((200, 4))
    >>> model is fd.recalibrate_batchnorm(model, [x[:100], x[100:]])
    True
    """
    checked_module(model, "model")
    layers = [m for m in model.modules() if isinstance(m, BatchNorm) and m.running_mean is not None]
    if not layers:
        raise ValueError("model must have a batch norm with running statistics")
    before = [
        (layer, layer.momentum, [array.copy() for array in _statistics(layer)]) for layer in layers
    ]
    done = False
    try:
        with ExitStack() as modes, no_grad():
            modes.enter_context(evaluating(model))
            for layer in layers:
                layer.momentum = None  # makes the running statistics plain averages
                _statistics(layer)[2][...] = 0
                modes.enter_context(training(layer))
            count = 0
            for batch in batches:
                model(batch[0] if isinstance(batch, (tuple, list)) else batch)
                count += 1
            if not count:
                raise ValueError("batches must have at least one batch")
        done = True
    finally:
        for layer, momentum, saved in before:
            layer.momentum = momentum
            if not done:
                for array, value in zip(_statistics(layer), saved, strict=True):
                    array[...] = value
    return model


def _statistics(layer: BatchNorm) -> list[npt.NDArray[Any]]:
    """The running mean, the running variance and the number of batches of a layer."""
    mean, variance, batches = layer.running_mean, layer.running_var, layer.num_batches_tracked
    assert mean is not None and variance is not None and batches is not None
    return [mean.data, variance.data, batches]
