"""Losses by name, and the metric that goes with each."""

from __future__ import annotations

import math

import numpy as np

from fastdrop import functional, nn
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import Tensor
from fastdrop.data.dataset import Dataset

LOSSES = {
    "cross_entropy": functional.cross_entropy,
    "nll": functional.nll_loss,
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "huber": functional.huber_loss,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
}


class Objective:
    """A loss, and the metric that goes with it."""

    def __init__(self, loss, data: Dataset, metrics=None):
        if loss is None:
            loss = "cross_entropy" if data.is_classification else "mse"
        if not callable(loss):
            loss = LOSSES[check.choice(loss, "loss", LOSSES)]
        self.loss = loss
        self.labels = data.is_classification
        self.binary = not self.labels and (
            loss is LOSSES["bce_with_logits"] or isinstance(loss, nn.BCEWithLogitsLoss)
        )
        self.shares = not self.labels and (
            loss is LOSSES["cross_entropy"] or isinstance(loss, nn.CrossEntropyLoss)
        )
        self.name = "accuracy" if self.labels or self.binary or self.shares else "rmse"
        if metrics is None:
            metrics = {}
        if not isinstance(metrics, dict) or not all(
            isinstance(n, str) and callable(m) for n, m in metrics.items()
        ):
            raise TypeError(
                f"metrics must be a dict of names and functions (output, target) -> number, "
                f"got {check.describe(metrics)}"
            )
        self.metrics = metrics

    def __call__(self, output, target: np.ndarray, weight=None) -> Tensor:
        """The loss of one batch; with weights (N,) the mean of weight times loss."""
        target = self.fit_shape(output, target)
        if weight is None:
            value = self.loss(output, target)
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise TypeError(
                    f"loss must return a Tensor with one element, got {check.describe(value)}"
                )
            return value
        value = (
            self.loss(output, target, reduction="none")
            if self.loss in LOSSES.values()
            else self.loss(output, target)
        )
        if not isinstance(value, Tensor) or value.shape[:1] != weight.shape:
            raise TypeError(
                "loss must return a Tensor with one row for each sample beside sample_weight (reduction='none'), "
                f"got {check.describe(value)}"
            )
        return (value * weight.reshape(-1, *[1] * (value.ndim - 1))).mean()

    @staticmethod
    def fit_shape(output, target):
        """Real targets (N,) as (N, 1) beside such an output: anything else would be broadcast to (N, N)."""
        column = (
            target.dtype.kind == "f"
            and target.ndim == 1
            and getattr(output, "shape", None) == (len(target), 1)
        )
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
            values = (
                (out > 0) == (target > 0.5)
                if self.binary
                else np.square(out - target, dtype=np.float64)
            )
        if weight is None:
            return float(values.sum()), values.size
        weight = weight.reshape(-1, *[1] * (values.ndim - 1)).astype(np.float64)
        return float((values * weight).sum()), float(weight.sum()) * (
            values.size // max(len(values), 1)
        )

    def figures(self, loss: float, rows: float, score: float, count: float) -> dict:
        """The epoch's figures from their sums."""
        figures = {"loss": loss / rows}
        if count:
            figures[self.name] = (
                score / count if self.name == "accuracy" else math.sqrt(score / count)
            )
        return figures
