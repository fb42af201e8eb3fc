"""What ``fastdrop train`` prints and draws at the end of a run."""

from __future__ import annotations

from statistics import stdev
from typing import TYPE_CHECKING

from fastdrop.cli.scores import CLASS_SCORES, NUMBER_SCORES, format_score, mean_scores, score_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastdrop.cli.task import Task
    from fastdrop.train import History

    Scores = dict[str, float]

__all__ = [
    "print_next_steps",
    "print_scores",
    "show_curves",
]


def print_scores(
    found: Mapping[str, Sequence[Scores]],
    task: Task,
    baseline: tuple[str, Scores],
    metric: str | None,
    folds: int | None = None,
) -> None:
    """Print the scores of each variant, the mean of its runs or folds, below the baseline."""
    runs = len(next(iter(found.values())))
    name = metric or ("error" if "error" in baseline[1] else "rmse")
    what = f"{folds} folds, mean (standard deviation of {name})"
    if folds is None:
        assert task.test is not None
        what = f"test data, {len(task.test)} samples"
        what += f", mean of {runs} runs ({name} of each)" if runs > 1 else ""
    rows: list[tuple[str, Mapping[str, float], str]] = [(*baseline, "")]
    for label, scores in found.items():
        values, remark = [each[name] for each in scores], ""
        if folds is not None:
            remark = f"({format_score(name, stdev(values))})"
        elif runs > 1:
            remark = f"({', '.join(format_score(name, value) for value in values)})"
        rows.append((label, mean_scores(scores), remark))
    print(f"\n{what}{_units(task)}")
    print(score_table(rows, metric))
    if metric is not None:
        print(f"  * chosen by --metric; {_direction(metric)}")


def _units(task: Task) -> str:
    """The name of a target of numbers, as far as it has one."""
    if task.preparation.classes is not None:
        return ""
    columns = task.preparation.origin or {}
    names = columns.get("names")
    return f", in the units of {names[columns['target']]!r}" if names else ", in the target's units"


def _direction(metric: str) -> str:
    higher = metric in ("balanced_accuracy", "auc", "r2")
    title = (CLASS_SCORES | NUMBER_SCORES)[metric]
    return f"the {'higher' if higher else 'lower'} the {title}, the better"


def show_curves(histories: dict[str, History], path: str, held_out: str) -> None:
    """Draw the training curves. Without matplotlib print a few epochs of them."""
    from fastdrop.train.history import format_figures, plot_curves

    if not any(history.epochs for history in histories.values()):
        return
    try:
        plot_curves(histories, path, held_out)
        print(f"training curves: {path}")
    except ImportError as error:
        print(f"no picture ({error}); the curves as text:")
        for name, history in histories.items():
            print(f"  {name}")
            for i in sorted({round(k * (history.epochs - 1) / 5) for k in range(6)}):
                figures = {
                    key: values[i] for key, values in history.items() if key not in ("lr", "time")
                }
                print(f"    epoch {i + 1}  {format_figures(figures)}")


def print_next_steps(out: str, demo: bool, with_dropout: bool, images: bool) -> None:
    """Print what can be done with the model."""
    if images:
        print("\nNext steps")
        print(f"  fastdrop predict {out} IMAGE.png      # several, a folder, or a .npy array")
        if with_dropout:
            print(f"  fastdrop predict {out} IMAGE.png --mc 50      # with its uncertainty")
        return
    rows = "rows of 64 gray values from 0 to 16" if demo else "rows like those of the training data"
    print("\nNext steps")
    print(f"  fastdrop predict {out} FILE.csv      # {rows}; also .jsonl, .npy, .npz or -")
    if with_dropout:
        print(f"  fastdrop predict {out} FILE.csv --mc 50      # with its uncertainty")
    if demo:
        print(
            "  fastdrop train --data FILE.npz --hidden 1024,1024 --dropout 0.2,0.5,0.5 --max-norm 2"
        )
    print("  fastdrop train --help")
