"""The loss of a training run, and the accuracy or error that is reported with it."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import functional, nn
from fastdrop._utils import validation as check
from fastdrop._utils.inputs import number_of_rows
from fastdrop.autograd.tensor import Tensor
from fastdrop.data.dataset import Dataset
from fastdrop.data.loader import DataLoader
from fastdrop.functional.classification_loss import count_right

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import SupportsFloat, TypeAlias

    import numpy.typing as npt

    # From the outputs and the targets of all samples.
    Metric: TypeAlias = Callable[[npt.NDArray[np.float32], npt.NDArray[Any]], SupportsFloat]

LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": functional.cross_entropy,
    "nll": functional.nll_loss,
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "huber": functional.huber_loss,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
}


class Objective:
    """A loss, and the figure that goes with it: the accuracy, or the root mean squared error.

    Parameters
    ----------
    loss : str, function or None
        See `fastdrop.fit`.
    data : Dataset or DataLoader
        Its targets decide the default loss and the figure.
    metrics : dict of str to function, or None
        Additional figures of an evaluation.

    Attributes
    ----------
    class_numbers : bool
        The targets are class numbers (N,).
    binary : bool
        The targets are real numbers in [0, 1] for the logits of a binary cross-entropy.
    distributions : bool
        The targets are rows of class probabilities (N, C).
    takes_batch : bool
        The loss is a function of the user's that gets the whole batch.
    name : {"accuracy", "rmse"}
        The name of the figure.
    """

    def __init__(
        self,
        loss: str | Callable[..., Tensor] | None,
        data: Dataset | DataLoader,
        metrics: Mapping[str, Metric] | None = None,
    ) -> None:
        classes = has_class_numbers(data)
        if loss is None:
            loss = "cross_entropy" if classes else "mse"
        if not callable(loss):
            loss = LOSSES[check.choice(loss, "loss", LOSSES)]
        self.loss: Callable[..., Tensor] = loss
        self.takes_batch = takes_batch(loss)
        self.class_numbers = classes
        self.binary = not self.class_numbers and (
            loss is LOSSES["bce_with_logits"] or isinstance(loss, nn.BCEWithLogitsLoss)
        )
        self.distributions = not self.class_numbers and (
            loss is LOSSES["cross_entropy"] or isinstance(loss, nn.CrossEntropyLoss)
        )
        has_accuracy = self.class_numbers or self.binary or self.distributions
        self.name = "accuracy" if has_accuracy else "rmse"
        if metrics is None:
            metrics = {}
        if not isinstance(metrics, dict) or not all(
            isinstance(name, str) and callable(metric) for name, metric in metrics.items()
        ):
            raise TypeError(
                "metrics must be a dict of names and functions (output, target) -> number, "
                f"got {check.describe(metrics)}"
            )
        self.metrics = metrics

    def __call__(
        self,
        output: Tensor,
        target: Any,
        weight: npt.NDArray[np.float32] | None = None,
        x: Any = None,
    ) -> Tensor:
        """The loss of one batch, a Tensor with one element.

        With weights (N,) it is the mean of weight * loss. A loss that takes the batch (x, target)
        or (x, target, weight) has the weights itself.
        """
        value: Any  # what a function of the user returns
        if not self.takes_batch:
            target = self.match_shape(output, target)
        if weight is None or self.takes_batch:
            batch = (x, target) if weight is None else (x, target, weight)
            value = self.loss(output, batch if self.takes_batch else target)
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise TypeError(
                    f"loss must return a Tensor with one element, got {check.describe(value)}"
                )
            return value
        if self.loss in LOSSES.values():
            value = self.loss(output, target, reduction="none")
        else:
            value = self.loss(output, target)
        if not isinstance(value, Tensor) or value.shape[:1] != weight.shape:
            raise TypeError(
                "loss must return a Tensor with one row for each sample when sample_weight is "
                f"used (reduction='none'), got {check.describe(value)}"
            )
        return (value * weight.reshape(-1, *[1] * (value.ndim - 1))).mean()

    @staticmethod
    def match_shape(output: Any, target: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Real targets (N,) as (N, 1) for outputs (N, 1), which would broadcast to (N, N)."""
        is_column = (
            target.dtype.kind == "f"
            and target.ndim == 1
            and getattr(output, "shape", None) == (len(target), 1)
        )
        return target[:, None] if is_column else target

    def score(
        self,
        output: Any,
        target: npt.NDArray[Any],
        weight: npt.NDArray[np.float32] | None = None,
    ) -> tuple[float, float]:
        """(sum, count): sum / count is the accuracy or the mean squared error of a batch.

        The count is 0 where neither is defined for these outputs.
        """
        if not isinstance(output, Tensor) or not isinstance(target, np.ndarray):
            return 0.0, 0
        out, target = output._array, self.match_shape(output, target)
        if self.class_numbers or self.distributions:
            if out.ndim != 2:
                return 0.0, 0
            # A transform such as MixUp makes distributions of class numbers.
            labels = target if target.ndim == 1 else target.argmax(1)
            if weight is None and labels.dtype == np.int64 and labels.flags.c_contiguous:
                return float(count_right(out, labels)), len(labels)
            values: npt.NDArray[Any] = out.argmax(1) == labels
        elif out.shape != target.shape:
            return 0.0, 0
        elif self.binary:
            values = (out > 0) == (target > 0.5)
        else:
            values = np.square(out - target, dtype=np.float64)
        if weight is None:
            count = np.count_nonzero(values) if values.dtype == bool else values.sum()
            return float(count), values.size
        weights = weight.reshape(-1, *[1] * (values.ndim - 1)).astype(np.float64)
        values_per_row = values.size // max(len(values), 1)
        return float((values * weights).sum()), float(weights.sum()) * values_per_row

    def figures(self, loss: float, weight: float, score: float, count: float) -> dict[str, float]:
        """The figures of many batches from sums over them.

        `loss` is the sum of the losses of all samples, `weight` the sum of their weights (their
        number where there are none); `score` and `count` are the sums of what `score` returned.
        """
        figures = {"loss": loss / weight}
        if count:
            mean = score / count
            figures[self.name] = mean if self.name == "accuracy" else math.sqrt(mean)
        return figures


def takes_batch(loss: Callable[..., Any]) -> bool:
    """Whether a loss is a function (outputs, batch): its second argument has the name "batch"."""
    if isinstance(loss, nn.Module):
        loss = loss.forward
    try:
        names = list(inspect.signature(loss).parameters)
    except (TypeError, ValueError):  # without a signature
        return False
    return names[1:2] == ["batch"]


def rows_of_targets(y: Any) -> int:
    """The number of samples of an array of targets, or of a tuple or dict of them."""
    return number_of_rows(y) if isinstance(y, (tuple, dict)) else len(y)


def has_class_numbers(data: Dataset | DataLoader) -> bool:
    """Whether the targets are class numbers; those of a loader before its transform."""
    if isinstance(data, Dataset):
        return data.is_classification
    sample = data.first_sample(transformed=False)
    if isinstance(sample[1], (tuple, dict)):  # for a loss of the user's that takes the batch
        return False
    return np.asarray(sample[1]).dtype.kind in "iu"
