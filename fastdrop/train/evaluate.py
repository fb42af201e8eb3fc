"""Using a model on data: losses by name, metrics, predictions, evaluation."""

from __future__ import annotations

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.data.dataset import Dataset, as_dataset
from fastdrop.nn.evaluating import evaluating
from fastdrop.nn.module import checked_module
from fastdrop.train.objective import Objective

__all__ = ["evaluate"]


def evaluate(
    model, data, *, loss=None, metrics=None, batch_size: int = 1024, sample_weight=None
) -> dict[str, float]:
    """Loss and accuracy (or root mean squared error) on a data set, in evaluation mode.

    Parameters
    ----------
    model : Module
        Afterwards in the mode it was in.
    data : (x, y) or Dataset
    loss : str or function (output, target) -> Tensor, optional
        As for `fit`; the mean over the samples of each batch is averaged over all.
    metrics : dict of str to function (output, target) -> number, optional
        Called once, with all outputs and targets as arrays; they see no weights.
    batch_size : int
    sample_weight : array (N,), optional
        How much each sample counts, as for `fit`.

    Returns
    -------
    dict : "loss", "accuracy" or "rmse", and the metrics by their names
    """
    data = as_dataset(data, sample_weight=sample_weight)
    return assess(
        checked_module(model, "model"),
        as_arrays(data),
        Objective(loss, data, metrics),
        check.integer(batch_size, "batch_size", 1),
    )


def as_arrays(data: Dataset) -> tuple:
    """Samples and targets as they go into a model, and the weights, scaled to a mean of 1, or None."""
    return (
        check.floats(data.x, "x"),
        data.y if data.is_classification else check.floats(data.y, "y"),
        None if data.sample_weight is None else mean_one(data.sample_weight),
    )


def mean_one(sample_weight: np.ndarray) -> np.ndarray:
    """Weights times what makes their mean 1, float32: losses keep their size, whatever the unit of the weights."""
    mean = sample_weight.mean(dtype=np.float64)
    if not 0.0 < mean < np.inf:
        raise ValueError(
            f"sample_weight must not be zero for all samples of a part of the data (or beyond float64), got a mean of {mean}"
        )
    return check.floats(sample_weight / mean, "sample_weight")


def assess(model, arrays, objective: Objective, batch_size: int) -> dict[str, float]:
    """`evaluate` on checked arguments."""
    x, y, weights = arrays
    total = score = 0.0
    count, outputs = 0, []
    with evaluating(model), no_grad():
        for i in range(0, len(x), batch_size):
            target = y[i : i + batch_size]
            output = model(x[i : i + batch_size])
            weight = None if weights is None else weights[i : i + batch_size]
            total += objective(output, target, weight).item() * len(target)
            part, number = objective.score(output, target, weight)
            score, count = score + part, count + number
            if objective.metrics:
                outputs.append(output.data)
    figures = objective.figures(
        total, len(x) if weights is None else weights.sum(dtype=np.float64), score, count
    )
    if objective.metrics:
        output = np.concatenate(outputs)
        figures |= {name: float(metric(output, y)) for name, metric in objective.metrics.items()}
    return figures
