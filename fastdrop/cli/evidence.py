"""What a report on a network shows: its answers on test rows, and the importance of the columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.cli.scores import HIGHER_IS_BETTER
from fastdrop.cli.training_task import TrainingTask
from fastdrop.data.readers.decode import column_places
from fastdrop.nn.module import passes_differ
from fastdrop.predictor.predictor import Predictor
from fastdrop.uncertainty.prediction import entropy_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop.cli.task import Task
    from fastdrop.nn.module import Module

    Float64Array = npt.NDArray[np.float64]

__all__ = ["PASSES", "Answers", "Importance", "answers_of", "permutation_importances"]

PASSES = 30  # Monte Carlo passes
_NOISE_ROWS = 2000  # training rows from which the noise of a regression is estimated
REPEATS = 5  # permutations of each column
_MOST_ROWS, MOST_COLUMNS = 2000, 200  # for which importances are computed


@dataclass
class Answers:
    """Answers on test rows.

    Attributes
    ----------
    y : array (N,)
        Class numbers, or numbers in the target's units.
    prediction : float64 array (N, classes), or (N,)
        Without dropout.
    mean : float64 array of the same shape
        Of the passes with dropout; `prediction` where there is no dropout.
    uncertainty : float64 array (N,) or None
        The entropy of `mean`, or the standard deviation of the passes; None for a regression
        without dropout.
    disagreement : float64 array (N,) or None
        The mutual information, for classes and with dropout.
    total_std : float64 array (N,) or None
        The standard deviation of a target of numbers, the noise included.
    rows : int array (N,)
        The number of each row in its file, from 0.
    places : list of (Task, int)
        The task of each row, and the row's place among the task's test samples.
    """

    y: npt.NDArray[Any]
    prediction: Float64Array
    mean: Float64Array
    uncertainty: Float64Array | None
    disagreement: Float64Array | None
    total_std: Float64Array | None
    rows: npt.NDArray[np.int64]
    places: list[tuple[Task, int]]

    @property
    def is_classification(self) -> bool:
        """Whether the answers are probabilities."""
        return self.prediction.ndim == 2

    @property
    def columns(self) -> list[str]:
        """The names of what `cells` tells of a row."""
        return self.places[0][0].columns

    def cells(self, chosen: npt.NDArray[np.int64]) -> list[list[str]]:
        """The cells of chosen rows, in their order."""
        found = (self.places[n] for n in chosen)
        return [cells for task, place in found for cells in task.cells([place])]

    def pictures(self, chosen: npt.NDArray[np.int64]) -> list[bytes]:
        """PNG files of chosen rows, where they are images."""
        found = (self.places[n] for n in chosen)
        return [picture for task, place in found for picture in task.pictures([place])]

    @property
    def wrong(self) -> Float64Array:
        """1 for each wrong class, or the absolute error of each number, of `prediction`."""
        if self.is_classification:
            return (self.prediction.argmax(1) != self.y).astype(np.float64)
        return np.abs(self.prediction - self.y)


def answers_of(parts: Sequence[tuple[Task, Module]], seed: int) -> Answers:
    """The answers of each network on the test rows of its task, together.

    Of many images or texts they are on rows from the whole of the test data, evenly spaced.
    """
    found = [_answers(task, model, seed) for task, model in parts]
    first = found[0]

    def joined(name: str) -> Any:
        if getattr(first, name) is None:
            return None
        return np.concatenate([getattr(each, name) for each in found])

    names = ("y", "prediction", "mean", "uncertainty", "disagreement", "total_std", "rows")
    places = [place for each in found for place in each.places]
    return Answers(**{name: joined(name) for name in names}, places=places)


def _answers(task: Task, model: Module, seed: int) -> Answers:
    chosen = np.arange(len(task.test_targets))
    if task.most_reported is not None and len(chosen) > task.most_reported:
        # From the whole of it: images may be in the order of their classes.
        chosen = np.linspace(0, len(chosen) - 1, task.most_reported).astype(np.int64)
    x = task.test_inputs[chosen]
    prediction = task.predictions(model, x)
    mean, uncertainty, disagreement, total = prediction, None, None, None
    classes = task.scale is None
    if passes_differ(model):
        mc = _passes(task, model, x, seed)
        if classes:
            mean, uncertainty = mc["probability"], mc["entropy"]
            disagreement = mc["mutual_information"]
        else:
            mean, uncertainty = mc["prediction"], mc["std"]
            assert isinstance(task, TrainingTask)
            total = np.sqrt(np.square(uncertainty) + _noise(task, model, seed))
    elif classes:
        uncertainty = entropy_of(prediction)
    return Answers(
        task.test_targets[chosen],
        prediction,
        mean,
        uncertainty,
        disagreement,
        total,
        task.test_rows[chosen],
        [(task, n) for n in chosen.tolist()],
    )


def _passes(task: Task, model: Module, x: Any, seed: int) -> dict[str, npt.NDArray[Any]]:
    """What Monte Carlo passes tell, in the units of the target."""
    return Predictor(model, task.preparation).answers(x, passes=PASSES, seed=seed)


def _noise(task: TrainingTask, model: Module, seed: int) -> float:
    """The variance of the target's noise: what the passes leave unexplained of training rows."""
    target, part = task.preparation.target, task.train.take(slice(0, _NOISE_ROWS))
    assert target is not None and part.y is not None
    mc = _passes(task, model, part.x, seed)
    y = part.y * float(target.scale) + float(target.mean)
    squares = float(np.square(mc["prediction"] - y).mean())
    return max(squares - float(np.square(mc["std"]).mean()), 1e-4 * squares, 1e-300)


@dataclass
class Importance:
    """How much worse a score becomes when one column is permuted among the test rows.

    Attributes
    ----------
    name : str
    mean, std : float
        The increase of the error or loss, or the decrease of a score where more is better: the
        mean over permutations, and their standard deviation.
    """

    name: str
    mean: float
    std: float


def permutation_importances(
    parts: list[tuple[TrainingTask, Module]], metric: str, seed: int
) -> list[Importance]:
    """The importance of each column, the largest first; means over the networks.

    Breiman, "Random forests", Machine Learning 45, 2001, section 10. All numbers of a column
    (categories, an indicator of missing values) are permuted together, 5 times, over at most 2000
    rows. Empty where there are more than 200 columns.
    """
    found = [_importances(task, model, metric, seed) for task, model in parts]
    columns = [
        Importance(same[0].name, *np.mean([(each.mean, each.std) for each in same], 0).tolist())
        for same in zip(*found, strict=True)
    ]
    return sorted(columns, key=lambda column: -column.mean)


def _importances(task: TrainingTask, model: Module, metric: str, seed: int) -> list[Importance]:
    assert task.test is not None
    rows = slice(0, _MOST_ROWS)
    x, y = task.test.x[rows], task.test_targets[rows]
    places = column_places(task.preparation.origin, x.shape[1])
    if len(places) > MOST_COLUMNS:
        return []
    generator = np.random.default_rng(seed)
    sign = -1 if metric in HIGHER_IS_BETTER else 1
    before = task.scores_of(task.predictions(model, x), y)[metric]
    columns = []
    for name, part in places:
        changes = []
        for _ in range(REPEATS):
            changed = x.copy()
            changed[:, part] = x[generator.permutation(len(x)), part]
            after = task.scores_of(task.predictions(model, changed), y)[metric]
            changes.append(sign * (after - before))
        columns.append(Importance(name, float(np.mean(changes)), float(np.std(changes))))
    return columns
