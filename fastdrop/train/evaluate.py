"""Evaluating a model on data: loss, accuracy or error, and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop import random
from fastdrop._utils import inputs
from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import fits_float32
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.tensor import Tensor
from fastdrop.data.dataset import Dataset
from fastdrop.nn.evaluating import evaluating
from fastdrop.nn.module import checked_module
from fastdrop.train.objective import Objective, rows_of_targets
from fastdrop.train.options import as_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    from fastdrop import nn
    from fastdrop._utils.typing import ArrayLike, Inputs
    from fastdrop.data.dataset import Dataset
    from fastdrop.data.loader import DataLoader
    from fastdrop.train.objective import Metric

__all__ = ["evaluate"]


def evaluate(
    model: nn.Module,
    data: Dataset | DataLoader | tuple[ArrayLike, ArrayLike],
    *,
    loss: str | Callable[..., Tensor] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    batch_size: int = 1024,
    sample_weight: ArrayLike | None = None,
) -> dict[str, float]:
    """Evaluate a model on a data set, in evaluation mode (without dropout).

    Parameters
    ----------
    model : Module
        Its mode is the same afterwards as before.
    data : Dataset, pair (x, y) of arrays, or DataLoader
        x has shape (N, ...), or is a tuple or dict of arrays as for `fit`; y holds class numbers
        (N,) or real targets (N,) or (N, k).
    loss : str or function (output, target) -> Tensor, optional
        As for `fit`, also (outputs, batch). Its mean over each batch is averaged over all samples.
    metrics : dict of str to function (output, target) -> number, optional
        Additional figures. Each function is called once, with all outputs and targets as arrays.
        Sample weights do not affect metrics.
    batch_size : int, default 1024
        Samples computed at a time, at least 1.
    sample_weight : array (N,), optional
        The weight of each sample in loss, accuracy and error, at least 0; as for `fit`.

    Returns
    -------
    dict of str to float
        "loss", then "accuracy" (a share in [0, 1]) or "rmse" (in the units of y) where one of them
        is defined, then the metrics by their names.

    Raises
    ------
    TypeError, ValueError
        An argument is wrong, or the loss or the targets do not fit the model's outputs.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x, y = np.zeros((6, 4)), np.zeros(6, int)
    >>> figures = fd.evaluate(fd.models.mlp(4, [8], 3), (x, y))
    >>> list(figures)
    ['loss', 'accuracy']
    """
    found = as_data(data, "data", sample_weight)
    return evaluate_batches(
        checked_module(model, "model"),
        validation_batches(found, check.integer(batch_size, "batch_size", 1))(),
        Objective(loss, found, metrics),
    )


class ModelArrays(NamedTuple):
    """A data set as arrays that a model and a loss take.

    x : float32 array (N, ...), tuple or dict of arrays (N, ...)
    y : int64 array (N,), or float32 array (N,) or (N, k)
    weights : float32 array (N,) with a mean of 1, or None
    """

    x: Inputs
    y: npt.NDArray[Any]
    weights: npt.NDArray[np.float32] | None


def model_arrays(data: Dataset) -> ModelArrays:
    """Convert a data set with targets into arrays for a model and a loss."""
    assert data.y is not None
    return ModelArrays(
        inputs.converted(data.x, "x", _as_float32),
        data.y if data.is_classification else _as_float32(data.y, "y"),
        None if data.sample_weight is None else normalized_weights(data.sample_weight),
    )


def _as_float32(array: npt.NDArray[Any], name: str) -> npt.NDArray[np.float32]:
    """The array as float32. ValueError where its magnitude is beyond that type."""
    if not fits_float32(array):
        raise ValueError(
            f"{name} must have a magnitude that float32 can hold, 1e-38 to 3e38, got values from "
            f"{array.min():g} to {array.max():g}: standardise it (fastdrop.data.Standardizer)"
        )
    return check.floats(array, name)


def normalized_weights(sample_weight: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Weights (N,) divided by their mean, so that the size of a loss does not depend on their unit.

    Raises
    ------
    ValueError
        All weights are zero, or their mean is infinite.
    """
    mean = sample_weight.mean(dtype=np.float64)
    if not 0.0 < mean < np.inf:
        raise ValueError(
            "sample_weight must not be zero for all samples of a part of the data, and its mean "
            f"must be finite, got a mean of {mean}"
        )
    return check.floats(sample_weight / mean, "sample_weight")


def validation_batches(
    data: Dataset | DataLoader, batch_size: int
) -> Callable[[], Iterator[tuple[Any, ...]]]:
    """A function that begins a loop over the batches (x, y) or (x, y, weights) of the data.

    A loader gives its epoch 0 each time, so that a transform with random parts is the same.
    """
    if not isinstance(data, Dataset):
        return lambda: data.batches_of(0)
    arrays = [part for part in model_arrays(data) if part is not None]

    def batches() -> Iterator[tuple[Any, ...]]:
        for i in range(0, len(data), batch_size):
            yield tuple(inputs.take(part, slice(i, i + batch_size)) for part in arrays)

    return batches


def evaluate_batches(
    model: nn.Module, batches: Iterator[tuple[Any, ...]], objective: Objective
) -> dict[str, float]:
    """`evaluate` of batches (x, y) or (x, y, weights)."""
    total = score = weights = 0.0
    count: float = 0
    row = 0
    outputs, targets = [], []
    with evaluating(model), no_grad():
        for x, target, *rest in batches:
            weight = rest[0] if rest else None
            rows = rows_of_targets(target)
            with random.batch_of_rows(model, row, rows):
                output: Any = inputs.call_model(model, x)
            row += rows
            total += objective(output, target, weight, x).item() * rows
            weights += rows if weight is None else float(weight.sum(dtype=np.float64))
            batch_score, batch_count = objective.score(output, target, weight)
            score, count = score + batch_score, count + batch_count
            if objective.metrics:
                if not isinstance(output, Tensor):
                    raise TypeError(
                        "metrics must be left out for a model that returns several outputs, "
                        f"got {check.describe(output)}"
                    )
                outputs.append(output._array)
                targets.append(target)
    figures = objective.figures(total, weights, score, count)
    if objective.metrics:
        all_outputs, y = np.concatenate(outputs), np.concatenate(targets)
        figures |= {
            name: float(metric(all_outputs, y)) for name, metric in objective.metrics.items()
        }
    return figures
