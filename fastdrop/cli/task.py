"""What the tasks of ``fastdrop train`` share: scores, a baseline, and the score of --metric."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.cli.scores import (
    CLASS_SCORES,
    HIGHER_IS_BETTER,
    NUMBER_SCORES,
    baseline_scores,
    class_scores,
    metric_function,
    number_scores,
    plain,
    probabilities_of,
)
from fastdrop.predictor.predict import predict
from fastdrop.train.callbacks import EarlyStopping

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop import nn
    from fastdrop.data.preprocessing import Preparation
    from fastdrop.data.readers.report import TableReport

__all__ = ["Task"]


class Task(ABC):
    """Prepared training and test data with a name. Subclasses train networks on them.

    Attributes
    ----------
    name : str
    train, test : sequence
        The samples. `test` is None where all of them are for the training.
    preparation : Preparation
    report : TableReport or None
        What the columns of a table hold.
    columns : list of str
        The names of what `cells` tells of a test sample.
    most_reported : int or None
        The most test samples that a report tells of; None for all.
    at_once : int
        The most samples whose outputs are computed at a time.
    """

    name: str
    train: Any
    test: Any
    preparation: Preparation
    report: TableReport | None = None
    most_reported: int | None = None
    at_once = 1024

    @property
    def outputs(self) -> int:
        """Number of the network's outputs."""
        return 1 if self.preparation.classes is None else len(self.preparation.classes)

    @property
    def scale(self) -> float | None:
        """The scale of the standardised targets of a regression; None for classes."""
        target = self.preparation.target
        return None if target is None else float(target.scale)

    @abstractmethod
    def describe(self, options: argparse.Namespace) -> str:
        """The network and its input in a few words."""

    @property
    @abstractmethod
    def train_targets(self) -> npt.NDArray[Any]:
        """Class numbers, or numbers in the target's units, of the training samples."""

    @property
    @abstractmethod
    def test_targets(self) -> npt.NDArray[Any]:
        """Class numbers, or numbers in the target's units, of the test samples."""

    @property
    @abstractmethod
    def test_inputs(self) -> npt.NDArray[Any]:
        """The test samples as the network takes them."""

    @property
    @abstractmethod
    def test_rows(self) -> npt.NDArray[np.int64]:
        """The number of each test sample in its file, from 0."""

    @property
    def columns(self) -> list[str]:
        """The names of what `cells` tells of a test sample."""
        return []

    def cells(self, chosen: Sequence[int]) -> list[list[str]]:
        """What people read of chosen test samples, a text for each of `columns`."""
        return [[] for _ in chosen]

    def pictures(self, chosen: Sequence[int]) -> list[bytes]:
        """PNG files of chosen test samples; none where they are no images."""
        return []

    def predictions(self, model: nn.Module, x: Any) -> npt.NDArray[np.float64]:
        """Probabilities (N, classes), or numbers (N,) in the target's units, without dropout."""
        outputs = predict(model, x, self.at_once)
        target = self.preparation.target
        if target is None:
            return probabilities_of(outputs)
        return np.asarray(outputs[:, 0] * target.scale + target.mean, np.float64)

    def scores_of(self, predictions: npt.NDArray[Any], y: npt.NDArray[Any]) -> dict[str, float]:
        """The scores of predictions, with y in the target's units or as class numbers."""
        score = class_scores if self.scale is None else number_scores
        return score(predictions, y)

    def scores(self, model: nn.Module) -> dict[str, float]:
        """The scores on the test data; in the target's units for a regression."""
        return self.scores_of(self.predictions(model, self.test_inputs), self.test_targets)

    def baseline(self) -> tuple[str, dict[str, float]]:
        """The most frequent class of the training data, or their mean, and its scores."""
        classes = self.preparation.classes
        count = None if classes is None else len(classes)
        answer, scores = baseline_scores(self.train_targets, self.test_targets, count)
        if classes is None:
            return f"always the mean, {plain(answer)}", scores
        return f"always {classes[int(answer)]}", scores

    def check_metric(self, name: str | None) -> None:
        """ValueError if --metric is not for this kind of target."""
        classes = self.preparation.classes is not None
        names = CLASS_SCORES if classes else NUMBER_SCORES
        if name is not None and name not in names:
            kind = "classes" if classes else "a target of numbers"
            raise ValueError(f"--metric must be {', '.join(names)} for {kind}, got {name}")

    def monitoring(self, options: argparse.Namespace) -> dict[str, Any]:
        """The arguments of `fit` for early stopping by --metric, which each epoch computes."""
        name = options.metric
        if name is None:
            return {}
        # `fit` computes accuracy and RMSE itself.
        figure = {"error": "accuracy", "rmse": "rmse"}.get(name, name)
        found: dict[str, Any] = {}
        if figure == name != "rmse":
            found["metrics"] = {name: metric_function(name, self.scale)}
        if options.early_stopping is not None:
            mode = "max" if name == "error" or name in HIGHER_IS_BETTER else "min"
            found["early_stopping"] = EarlyStopping(
                options.early_stopping, f"val_{figure}", mode=mode
            )
        return found
