"""Using a model on data: losses by name, metrics, predictions, evaluation."""

from __future__ import annotations

import math
import threading

import numpy as np

from fastdrop import _arrays, functional, nn
from fastdrop.dataset import Dataset, as_dataset
from fastdrop.tensor import Tensor, no_grad

__all__ = ["LOSSES", "evaluate", "evaluating", "predict"]

LOSSES = {
    "cross_entropy": functional.cross_entropy, "nll": functional.nll_loss, "mse": functional.mse_loss,
    "l1": functional.l1_loss, "huber": functional.huber_loss, "bce_with_logits": functional.binary_cross_entropy_with_logits,
}


def checked_model(model) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a Module, got {_arrays.describe(model)}")
    return model


_lock = threading.Lock()
_held: dict[nn.Module, int] = {}  # modules to put back into training mode, and how many predictions still use them


class evaluating:  # noqa: N801 (a context manager)
    """The model in evaluation mode; afterwards, when the last thread that predicts with it is done, every module is in the mode it was in."""

    __slots__ = ("model", "modules")

    def __init__(self, model: nn.Module):
        self.model = model

    def __enter__(self):
        with _lock:
            held = _held
            self.modules = [module for module in self.model.modules() if module.training or (held and module in held)]
            for module in self.modules:
                _held[module] = _held.get(module, 0) + 1
                object.__setattr__(module, "training", False)

    def __exit__(self, *exc):
        if not self.modules:
            return
        with _lock:
            for module in self.modules:
                _held[module] -= 1
                if not _held[module]:
                    del _held[module]
                    object.__setattr__(module, "training", True)


class Objective:
    """A loss, and the metric that goes with it."""

    def __init__(self, loss, data: Dataset, metrics=None):
        if loss is None:
            loss = "cross_entropy" if data.is_classification else "mse"
        if not callable(loss):
            loss = LOSSES[_arrays.choice(loss, "loss", LOSSES)]
        self.loss = loss
        self.labels = data.is_classification
        self.binary = not self.labels and (loss is LOSSES["bce_with_logits"] or isinstance(loss, nn.BCEWithLogitsLoss))
        self.shares = not self.labels and (loss is LOSSES["cross_entropy"] or isinstance(loss, nn.CrossEntropyLoss))
        self.name = "accuracy" if self.labels or self.binary or self.shares else "rmse"
        if metrics is None:
            metrics = {}
        if not isinstance(metrics, dict) or not all(isinstance(n, str) and callable(m) for n, m in metrics.items()):
            raise TypeError(f"metrics must be a dict of names and functions (output, target) -> number, "
                            f"got {_arrays.describe(metrics)}")
        self.metrics = metrics

    def __call__(self, output, target: np.ndarray, weight=None) -> Tensor:
        """The loss of one batch; with weights (N,) the mean of weight times loss."""
        target = self.fit_shape(output, target)
        if weight is None:
            value = self.loss(output, target)
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise TypeError(f"loss must return a Tensor with one element, got {_arrays.describe(value)}")
            return value
        value = self.loss(output, target, reduction="none") if self.loss in LOSSES.values() else self.loss(output, target)
        if not isinstance(value, Tensor) or value.shape[:1] != weight.shape:
            raise TypeError("loss must return a Tensor with one row for each sample beside sample_weight (reduction='none'), "
                            f"got {_arrays.describe(value)}")
        return (value * weight.reshape(-1, *[1] * (value.ndim - 1))).mean()

    @staticmethod
    def fit_shape(output, target):
        """Real targets (N,) as (N, 1) beside such an output: anything else would be broadcast to (N, N)."""
        column = target.dtype.kind == "f" and target.ndim == 1 and getattr(output, "shape", None) == (len(target), 1)
        return target[:, None] if column else target

    def score(self, output, target: np.ndarray, weight=None) -> tuple[float, float]:
        """(sum, number) whose quotient is the accuracy or the mean squared error; number 0 where neither makes sense."""
        if not isinstance(output, Tensor):
            return 0.0, 0
        out, target = output.data, self.fit_shape(output, target)
        if self.labels or self.shares:
            if out.ndim != 2:
                return 0.0, 0
            values = out.argmax(1) == (target if self.labels else target.argmax(1))
        elif out.shape != target.shape:
            return 0.0, 0
        else:
            values = (out > 0) == (target > 0.5) if self.binary else np.square(out - target, dtype=np.float64)
        if weight is None:
            return float(values.sum()), values.size
        weight = weight.reshape(-1, *[1] * (values.ndim - 1)).astype(np.float64)
        return float((values * weight).sum()), float(weight.sum()) * (values.size // max(len(values), 1))

    def figures(self, loss: float, rows: float, score: float, count: float) -> dict:
        """The epoch's figures from their sums."""
        figures = {"loss": loss / rows}
        if count:
            figures[self.name] = score / count if self.name == "accuracy" else math.sqrt(score / count)
        return figures


def predict(model, x, batch_size: int = 1024) -> np.ndarray:
    """The model's outputs for all samples: in evaluation mode (no dropout), without gradients, a batch at a time.

    Parameters
    ----------
    model : Module
        Afterwards in the mode it was in.
    x : array (N, ...) or Dataset
    batch_size : int
        Does not change the result of models whose samples do not look at each other.

    Returns
    -------
    float32 array (N, ...) : what the model's forward returns. For class probabilities, ``fd.softmax`` of it.
    """
    checked_model(model)
    x = _arrays.floats(x.x if isinstance(x, Dataset) else x, "x", minimum_ndim=1)
    size = _arrays.integer(batch_size, "batch_size", 1)
    if isinstance(model, nn.Sequential) and len(x) <= size and (result := model.evaluated(x)) is not None:
        return result
    result = None
    with evaluating(model), no_grad():
        for i in range(0, max(len(x), 1), size):
            piece = x if len(x) <= size else x[i:i + size]
            output = model(piece)
            if not isinstance(output, Tensor) or output.ndim == 0 or output.shape[0] != len(piece):
                raise TypeError(f"model must return a Tensor with one row for each sample, got {_arrays.describe(output)}")
            if result is None:
                result = np.empty((len(x), *output.shape[1:]), np.float32)
            result[i:i + size] = output.data
    return result


def evaluate(model, data, *, loss=None, metrics=None, batch_size: int = 1024, sample_weight=None) -> dict[str, float]:
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
    return assess(checked_model(model), as_arrays(data), Objective(loss, data, metrics),
                  _arrays.integer(batch_size, "batch_size", 1))


def as_arrays(data: Dataset) -> tuple:
    """Samples and targets as they go into a model, and the weights, scaled to a mean of 1, or None."""
    return (_arrays.floats(data.x, "x"), data.y if data.is_classification else _arrays.floats(data.y, "y"),
            None if data.sample_weight is None else mean_one(data.sample_weight))


def mean_one(sample_weight: np.ndarray) -> np.ndarray:
    """Weights times what makes their mean 1, float32: losses keep their size, whatever the unit of the weights."""
    mean = sample_weight.mean(dtype=np.float64)
    if not 0.0 < mean < np.inf:
        raise ValueError(f"sample_weight must not be zero for all samples of a part of the data (or beyond float64), got a mean of {mean}")
    return _arrays.floats(sample_weight / mean, "sample_weight")


def assess(model, arrays, objective: Objective, batch_size: int) -> dict[str, float]:
    """`evaluate` on checked arguments."""
    x, y, weights = arrays
    total = score = 0.0
    count, outputs = 0, []
    with evaluating(model), no_grad():
        for i in range(0, len(x), batch_size):
            target = y[i:i + batch_size]
            output = model(x[i:i + batch_size])
            weight = None if weights is None else weights[i:i + batch_size]
            total += objective(output, target, weight).item() * len(target)
            part, number = objective.score(output, target, weight)
            score, count = score + part, count + number
            if objective.metrics:
                outputs.append(output.data)
    figures = objective.figures(total, len(x) if weights is None else weights.sum(dtype=np.float64), score, count)
    if objective.metrics:
        output = np.concatenate(outputs)
        figures |= {name: float(metric(output, y)) for name, metric in objective.metrics.items()}
    return figures
