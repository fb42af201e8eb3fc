"""The HTML report of ``fastdrop train --report``: one file, which loads nothing from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import __version__
from fastdrop._utils.atomic_write import atomic_write
from fastdrop._utils.html import details, escape, page, table
from fastdrop._utils.svg import COLOURS, Chart
from fastdrop.cli.evidence import (
    MOST_COLUMNS,
    PASSES,
    REPEATS,
    Answers,
    Importance,
    answers_of,
    permutation_importances,
)
from fastdrop.cli.folds import mean_baseline
from fastdrop.cli.scores import (
    CLASS_SCORES,
    HIGHER_IS_BETTER,
    NUMBER_SCORES,
    format_score,
    number_scores,
    plain,
)
from fastdrop.cli.training_task import TrainingTask
from fastdrop.nn.module import passes_differ
from fastdrop.train.curves import curve_charts
from fastdrop.uncertainty.calibration import Calibration, calibration
from fastdrop.uncertainty.charts import interval_chart, reliability_chart
from fastdrop.uncertainty.intervals import IntervalCalibration

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from fastdrop.cli.task import Task
    from fastdrop.nn.module import Module
    from fastdrop.train import History

__all__ = ["write_report"]

_MOST_CLASSES = 40  # of a confusion matrix
_MOST_POINTS = 1500  # of a scatter plot
_GROUPS = 10  # of rows, by their uncertainty
_UNCERTAIN, _MOST_CELLS = 20, 12  # rows, and columns of each
_BARS = 20  # columns in the chart of importances


def write_report(
    path: str,
    task: Task,
    parts: Sequence[tuple[Task, Module]],
    histories: dict[str, History],
    options: argparse.Namespace,
) -> None:
    """Write the report.

    Parameters
    ----------
    path : str
    task : Task
        That of the saved network.
    parts : list of (Task, Module)
        Networks with the rows that test them: one, or one for each fold.
    histories : dict of str to History
    options : argparse.Namespace
    """
    answers = answers_of(parts, options.seed)
    classes = task.preparation.classes
    labels = None if classes is None else [str(label) for label in classes]
    metric = options.metric or ("rmse" if labels is None else "log_loss")
    held_out = "test" if options.validation is None else "validation"
    sections = [
        _summary(task, parts, options, len(answers.y)),
        _scores(task, parts, answers),
        "<h2>Training curves</h2>" + "".join(curve_charts(histories, held_out)),
        _scatter(answers) if labels is None else _confusion(answers, labels),
        _calibration(answers),
        _uncertainty(answers),
        _uncertain_rows(answers, labels),
    ]
    rows = [(part, model) for part, model in parts if isinstance(part, TrainingTask)]
    if rows:
        sections.append(_importances(permutation_importances(rows, metric, options.seed), metric))
    text = page(f"{task.name}: a network with dropout", *sections)
    with atomic_write(path) as file:
        file.write(text.encode())


def _summary(
    task: Task, parts: Sequence[tuple[Task, Module]], options: argparse.Namespace, shown: int
) -> str:
    rates = ", ".join(f"{p:g}" for p in options.dropout or []) or "none"
    if options.dropout is None and passes_differ(parts[0][1]):
        rates = "as in the network"
    tested = f"{len(task.test or [])} samples"
    if len(parts) == 1 and shown < len(task.test):
        tested = f"{shown} of {tested}, evenly spaced"
    if len(parts) > 1:
        tested = (
            f"{len(parts)} folds: each row is answered by a network that was trained without it"
        )
    rows = [
        ("data", options.data or "scikit-learn's handwritten digits"),
        ("training samples", len(task.train)),
        ("test", tested),
        ("network", task.describe(options).removeprefix("network ")),
        ("dropout", rates),
        ("optimiser", options.optimizer),
        ("seed", options.seed),
        ("fastdrop", __version__),
    ]
    return table(("", ""), rows, name="summary")


def _scores(task: Task, parts: Sequence[tuple[Task, Module]], answers: Answers) -> str:
    """The scores of the pass without dropout, of the mean of the passes, and of a baseline."""
    titles = CLASS_SCORES if answers.is_classification else NUMBER_SCORES
    rows: list[tuple[str, dict[str, float]]] = []
    rows.append(mean_baseline([part for part, _ in parts]))
    rows.append(("without dropout", task.scores_of(answers.prediction, answers.y)))
    if answers.mean is not answers.prediction and _has_passes(answers):
        rows.append((f"mean of {PASSES} passes", task.scores_of(answers.mean, answers.y)))
    cells = [
        [label, *(format_score(name, scores[name]) for name in titles)] for label, scores in rows
    ]
    return "<h2>Scores on test rows</h2>" + table(
        ("", *titles.values()), cells, numeric=range(1, len(titles) + 1), name="scores"
    )


def _has_passes(answers: Answers) -> bool:
    """Whether the network has dropout, so that its passes differ."""
    return answers.disagreement is not None or answers.total_std is not None


def _confusion(answers: Answers, labels: list[str]) -> str:
    """Rows: the true class; columns: the answer; shaded by the share of the row."""
    head = "<h2>Confusion matrix</h2>"
    count = len(labels)
    if count > _MOST_CLASSES:
        return f"{head}<p>Not shown for {count} classes, more than {_MOST_CLASSES}.</p>"
    found = answers.prediction.argmax(1)
    matrix = np.bincount(answers.y * count + found, minlength=count**2).reshape(count, count)
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    looks: list[list[str | None]] = []
    for true in range(count):
        looks.append([None])
        for told in range(count):
            colour = "31,119,180" if true == told else "232,113,10"
            looks[-1].append(f"background:rgba({colour},{0.75 * shares[true, told]:.3f})")
        looks[-1].append(None)
    rows = [
        [labels[true], *matrix[true].tolist(), f"{100 * shares[true, true]:.1f} %"]
        for true in range(count)
    ]
    note = "<p class='fd-dim'>Rows: the true class. Columns: the answer without dropout.</p>"
    return (
        head
        + note
        + table(
            ("true class", *labels, "right"),
            rows,
            numeric=range(1, count + 2),
            name="confusion",
            styles=looks,
        )
    )


def _scatter(answers: Answers) -> str:
    """Predicted against true numbers."""
    y, told = answers.y[:_MOST_POINTS], answers.prediction[:_MOST_POINTS]
    low, high = float(min(y.min(), told.min())), float(max(y.max(), told.max()))
    chart = Chart(
        "Predicted and true values",
        "true value",
        "prediction",
        (low, high),
        (low, high),
        (460, 360),
    )
    chart.line([low, high], [low, high], colour="currentColor", dashes="4 3")
    titles = [
        f"row {row}: predicted {plain(float(b))}, true {plain(float(a))}"
        for row, a, b in zip(answers.rows.tolist(), y, told)
    ]
    chart.points(y.tolist(), told.tolist(), titles=titles)
    few = f" The first {_MOST_POINTS} rows." if len(answers.y) > _MOST_POINTS else ""
    return f"<h2>Predictions</h2><p class='fd-dim'>Without dropout.{few}</p>{chart}"


def _calibration(answers: Answers) -> str:
    head = "<h2>Calibration</h2>"
    if not answers.is_classification:
        if answers.total_std is None:
            return f"{head}<p>The network has no dropout, so it gives no intervals.</p>"
        found = calibration((answers.mean, answers.total_std), answers.y)
        assert isinstance(found, IntervalCalibration)
        rows = [[plain(found.error), plain(found.nll), plain(found.rmse), plain(found.std)]]
        note = (
            "<p class='fd-dim'>Intervals of the normal distribution with the mean of the passes. "
            "Their variance is that of the passes and of the noise, which is estimated on training "
            "rows: a network that overfits has intervals that are too narrow.</p>"
        )
        return (
            head
            + note
            + str(interval_chart(found))
            + table(
                ("error", "NLL", "RMSE", "predicted std"),
                rows,
                numeric=range(4),
                name="calibration",
            )
        )
    kinds = [("without dropout", answers.prediction)]
    if _has_passes(answers):
        kinds.append((f"mean of {PASSES} passes", answers.mean))
    rows, charts = [], ""
    for label, p in kinds:
        made = calibration(p, answers.y)
        assert isinstance(made, Calibration)
        figures = (made.confidence, made.accuracy, made.ece, made.mce, made.nll, made.brier)
        rows.append([label, *(f"{value:.4f}" for value in figures)])
        charts += str(reliability_chart(made, label))
    return (
        head
        + charts
        + table(
            ("", "confidence", "accuracy", "ECE", "MCE", "NLL", "Brier"),
            rows,
            numeric=range(1, 7),
            name="calibration",
        )
    )


def _uncertainty(answers: Answers) -> str:
    """The error of groups of rows, from the most certain to the least."""
    head = "<h2>Uncertainty and error</h2>"
    if answers.uncertainty is None:
        return f"{head}<p>The network has no dropout, so it tells no uncertainty.</p>"
    order = np.argsort(answers.uncertainty, kind="stable")
    groups = np.array_split(order, min(_GROUPS, len(order)))
    kind, error = "entropy (nats)", "error (% of rows)"
    if not answers.is_classification:
        kind, error = "standard deviation of the passes", "RMSE"
    rows, heights = [], []
    for number, group in enumerate(groups, 1):
        wrong = answers.wrong[group]
        if answers.is_classification:
            heights.append(100 * float(wrong.mean()))
        else:
            heights.append(number_scores(answers.prediction[group], answers.y[group])["rmse"])
        mean = float(answers.uncertainty[group].mean())
        rows.append([number, len(group), plain(mean), plain(heights[-1])])
    chart = Chart(
        "Error of rows, the most certain first",
        "group of rows, by uncertainty",
        error,
        (0, len(groups)),
        (0, max(heights) * 1.05),
    )
    chart.x_names = [str(number) for number in range(1, len(groups) + 1)]
    titles = [f"group {row[0]}: {kind} {row[2]}, {error} {row[3]}" for row in rows]
    chart.bars(list(range(len(groups) + 1)), heights, titles=titles)
    shown = table(
        ("group", "rows", f"mean {kind}", error), rows, numeric=range(4), name="uncertainty"
    )
    return head + str(chart) + details("The numbers", shown)


def _uncertain_rows(answers: Answers, labels: list[str] | None) -> str:
    head = "<h2>Most uncertain rows</h2>"
    if answers.uncertainty is None:
        return ""
    chosen = np.argsort(-answers.uncertainty, kind="stable")[:_UNCERTAIN]
    names = answers.columns[:_MOST_CELLS]
    cells = answers.cells(chosen)
    rows: list[list[Any]] = []
    looks: list[list[str | None]] = []
    for place, n in enumerate(chosen.tolist()):
        if labels is None:
            told = [plain(float(answers.prediction[n])), f"{answers.y[n]:.6g}"]
            spread = [plain(float(answers.uncertainty[n]))]
            is_wrong = False
        else:
            best = int(answers.prediction[n].argmax())
            told = [f"{labels[best]} ({100 * answers.prediction[n, best]:.0f} %)"]
            told.append(labels[int(answers.y[n])])
            spread = [f"{answers.uncertainty[n]:.4f}"]
            if answers.disagreement is not None:
                spread.append(f"{answers.disagreement[n]:.4f}")
            is_wrong = best != answers.y[n]
        row = [int(answers.rows[n]), *told, *spread, *cells[place][:_MOST_CELLS]]
        rows.append(row)
        colour = "color:var(--fd-orange)" if is_wrong else None
        looks.append([None, colour, *[None] * (len(row) - 2)])
    kinds = ["std"]
    if labels is not None:
        kinds = ["entropy", "mutual information"][: 1 + (answers.disagreement is not None)]
    note = "Numbers of rows count from 0, without a header."
    if len(answers.columns) > _MOST_CELLS:
        note += f" The first {_MOST_CELLS} of {len(answers.columns)} columns."
    pictures = "".join(
        f"<figure><img height='96' style='image-rendering:pixelated' alt='row {row[0]}' "
        f"src='data:image/png;base64,{b64encode(picture).decode()}'>"
        f"<figcaption>{escape(row[1])}</figcaption></figure>"
        for row, picture in zip(rows, answers.pictures(chosen))
    )
    return f"{head}<p class='fd-dim'>{escape(note)}</p>{pictures}" + table(
        ("row", "prediction", "true", *kinds, *names),
        rows,
        numeric=[0, *range(3, 3 + len(kinds))],
        name="uncertain-rows",
        styles=looks,
    )


def _importances(columns: list[Importance], metric: str) -> str:
    head = "<h2>Importance of the columns</h2>"
    if not columns:
        return f"{head}<p>Not computed for more than {MOST_COLUMNS} columns.</p>"
    title = (CLASS_SCORES | NUMBER_SCORES)[metric]
    change = "decrease" if metric in HIGHER_IS_BETTER else "increase"
    shown = columns[:_BARS]
    largest = max(max(column.mean for column in shown), 0.0) or 1.0
    bars = "".join(
        f"<tr><td>{escape(column.name)}</td><td><svg width='300' height='14'>"
        f"<rect y='1' height='12' width='{300 * max(column.mean, 0) / largest:.1f}' "
        f"fill='{COLOURS[0]}' fill-opacity='.6'/></svg></td></tr>"
        for column in shown
    )
    rows = [[column.name, plain(column.mean), plain(column.std)] for column in columns]
    note = (
        f"The {change} of the {title} when the column is permuted among the test rows: the mean of "
        f"{REPEATS} permutations. Columns that tell the same share their importance."
    )
    numbers = table(
        ("column", f"{change} of the {title}", "standard deviation"),
        rows,
        numeric=(1, 2),
        name="importances",
    )
    return (
        f"{head}<p class='fd-dim'>{escape(note)}</p><table><tbody>{bars}</tbody></table>"
        + details("The numbers", numbers)
    )
