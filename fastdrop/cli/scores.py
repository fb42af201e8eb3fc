"""Scores of predictions on test data, and a table of them beside a baseline."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.strict_json import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    Float64Array = npt.NDArray[np.float64]
    Scores = dict[str, float]

__all__ = [
    "CLASS_SCORES",
    "HIGHER_IS_BETTER",
    "NUMBER_SCORES",
    "balanced_weights",
    "baseline_scores",
    "class_scores",
    "class_weights",
    "format_score",
    "mean_scores",
    "metric_function",
    "number_scores",
    "plain",
    "probabilities_of",
    "score_table",
]

# The scores of a classification and of a regression: their names, and how a table calls them.
CLASS_SCORES = {
    "error": "error",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "log_loss": "log loss",
}
NUMBER_SCORES = {"r2": "R2", "rmse": "RMSE", "mae": "MAE"}
HIGHER_IS_BETTER = frozenset({"balanced_accuracy", "auc", "r2"})
_PERCENT = frozenset({"error", "balanced_accuracy"})


def probabilities_of(outputs: npt.NDArray[Any]) -> Float64Array:
    """The softmax in float64 of the outputs (N, classes) of a network."""
    scores = outputs.astype(np.float64)
    exponentials = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(1, keepdims=True))


def class_scores(probabilities: npt.NDArray[Any], y: npt.NDArray[np.int64]) -> Scores:
    """Error, balanced accuracy, AUC and log loss of probabilities (N, classes).

    They are what scikit-learn's ``balanced_accuracy_score``, ``roc_auc_score`` and ``log_loss``
    compute. The balanced accuracy is the mean of the shares of right answers over the classes that
    occur in y. The AUC of more than two classes is the mean over those classes of the AUC of one
    class against the rest; NaN if y holds one class alone. The log loss is in nats.
    """
    p = probabilities.astype(np.float64)
    right = p.argmax(1) == y
    counts = np.bincount(y, minlength=p.shape[1])
    present = counts > 0
    recall = np.bincount(y, right, p.shape[1])[present] / counts[present]
    ranked = [1] if p.shape[1] == 2 else np.flatnonzero(present & (counts < len(y)))
    areas = [_area(p[:, c], y == c) for c in ranked]
    truth = np.clip(p[np.arange(len(y)), y], np.finfo(np.float64).eps, 1.0)
    return {
        "error": float(1 - right.mean()),
        "balanced_accuracy": float(recall.mean()),
        "auc": float(np.mean(areas)) if areas else math.nan,
        "log_loss": float(-np.log(truth).mean()) + 0.0,
    }


def _area(score: Float64Array, positive: npt.NDArray[np.bool_]) -> float:
    """The area under the ROC curve: the share of pairs that the score puts in their order."""
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return math.nan
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # equal scores share the mean of their ranks
    return float((ranks[place][positive].sum() - n * (n + 1) / 2) / (n * m))


def number_scores(prediction: npt.NDArray[Any], y: npt.NDArray[Any]) -> Scores:
    """R2, RMSE and MAE of predictions (N,), in the units of y; R2 is NaN for a constant y."""
    error = prediction.astype(np.float64) - y
    spread = float(np.square(y - y.mean(dtype=np.float64)).sum())
    squares = float(np.square(error).sum())
    return {
        "r2": 1 - squares / spread if spread else math.nan,
        "rmse": math.sqrt(squares / len(y)),
        "mae": float(np.abs(error).mean()),
    }


def baseline_scores(
    train: npt.NDArray[Any], y: npt.NDArray[Any], classes: int | None
) -> tuple[float, Scores]:
    """The answer of a baseline, and its scores on y.

    The baseline gives each class the probability of its share in the training targets, and so
    answers with the most frequent class; or it predicts their mean (`classes` None).
    """
    if classes is None:
        mean = float(train.mean(dtype=np.float64))
        return mean, number_scores(np.full(len(y), mean), y)
    shares = np.bincount(train, minlength=classes) / len(train)
    return float(shares.argmax()), class_scores(np.tile(shares, (len(y), 1)), y)


def balanced_weights(y: npt.NDArray[np.int64], classes: int) -> Float64Array:
    """N / (classes that occur * n_c) for each class with n_c samples; 1 for one without."""
    counts = np.bincount(y, minlength=classes)
    present = counts > 0
    return np.where(present, len(y) / (present.sum() * np.maximum(counts, 1)), 1.0)


def class_weights(text: str, y: npt.NDArray[np.int64], classes: Sequence[Any]) -> Float64Array:
    """The weight of each class that --class-weight gives; 1 for a class without one.

    "balanced", "name=weight,name=weight", or a JSON object from names to weights.
    """
    if text == "balanced":
        return balanced_weights(y, len(classes))
    form = f'"balanced", NAME=WEIGHT,... or a JSON object, got {text!r}'
    pairs: list[Any] = [part.rpartition("=")[::2] for part in text.split(",")]
    if text.lstrip().startswith("{"):
        try:
            pairs = list(strict_json(text).items())
        except ValueError:
            raise ValueError(f"--class-weight must be {form}") from None
    weights = np.ones(len(classes))
    places = {str(label): place for place, label in enumerate(classes)}
    for name, value in pairs:
        try:
            weight = float(value)
        except (TypeError, ValueError):
            raise ValueError(f"--class-weight must be {form}") from None
        if name not in places:
            raise ValueError(
                f"--class-weight must name classes of {', '.join(places)}, got {name!r}"
            )
        if not (math.isfinite(weight) and weight >= 0) or isinstance(value, bool):
            raise ValueError(f"--class-weight must hold weights of at least 0, got {name}={value}")
        weights[places[name]] = weight
    return weights


def metric_function(
    name: str, scale: float | None
) -> Callable[[npt.NDArray[Any], npt.NDArray[Any]], float]:
    """A metric for `fit`: from outputs and targets to the score `name`.

    `scale` is that of the standardised targets of a regression, None for classes.
    """
    if scale is None:
        return lambda outputs, y: class_scores(probabilities_of(outputs), y)[name]

    def metric(outputs: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        found = number_scores(outputs.reshape(y.shape).astype(np.float64), y.astype(np.float64))
        return found[name] * (1.0 if name == "r2" else scale)

    return metric


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """The mean of each score over several runs."""
    return {name: fmean(each[name] for each in scores) for name in scores[0]}


# ---- output ----


def plain(value: float, digits: int = 4) -> str:
    """A number with that many significant digits, and without an exponent where it can be.

    12345.6 is "12346": digits before the point are never replaced by zeros.
    """
    if not math.isfinite(value) or value == 0 or not 1e-9 < abs(value) < 1e15:
        return f"{value:.{digits}g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def format_score(name: str, value: float) -> str:
    """A score as a table shows it."""
    if math.isnan(value):
        return "-"
    if name in _PERCENT:
        return f"{100 * value:.2f} %"
    return plain(value) if name in ("rmse", "mae") else f"{value:.4f}"


def score_table(rows: Sequence[tuple[str, Mapping[str, float], str]], star: str | None) -> str:
    """A table of scores: a row for each (name, scores, remark).

    The score `star` comes first, with a star.
    """
    found = rows[0][1]
    titles = CLASS_SCORES if "error" in found else NUMBER_SCORES
    names = sorted(found, key=lambda name: name != star)
    head = ["", *(titles[name] + "*" * (name == star) for name in names)]
    cells = [head] + [
        [label, *(format_score(name, scores[name]) for name in names)] for label, scores, _ in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    remarks = ["", *(remark for _, _, remark in rows)]
    return "\n".join(
        "  ".join(
            ["  " + line[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
            + [remark] * bool(remark)
        ).rstrip()
        for line, remark in zip(cells, remarks, strict=True)
    )
