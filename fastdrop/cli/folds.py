"""Cross-validation of ``fastdrop train --folds``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastdrop.cli.scores import mean_scores

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from fastdrop.cli.task import Task
    from fastdrop.cli.training_task import TrainingTask
    from fastdrop.nn.module import Module

__all__ = ["CrossValidation", "cross_validate", "mean_baseline"]


@dataclass
class CrossValidation:
    """The networks of all folds, and their scores.

    Attributes
    ----------
    parts : list of (TrainingTask, Module)
        Each fold with the network of the last variant.
    scores : dict of str to list of dict
        The scores of each variant, fold by fold.
    """

    scores: dict[str, list[dict[str, float]]]
    parts: list[tuple[TrainingTask, Module]] = field(default_factory=list)

    def baseline(self) -> tuple[str, dict[str, float]]:
        """The name of the baseline, and its mean scores over the folds."""
        return mean_baseline([task for task, _ in self.parts])


def mean_baseline(tasks: Sequence[Task]) -> tuple[str, dict[str, float]]:
    """The name of the baseline of several tasks, and its mean scores."""
    found = [task.baseline() for task in tasks]
    names = {name for name, _ in found}
    kind = "always the majority" if tasks[0].scale is None else "always the mean"
    return names.pop() if len(names) == 1 else kind, mean_scores([scores for _, scores in found])


def cross_validate(
    tasks: Iterable[TrainingTask],
    variants: list[tuple[str, Any]],
    options: argparse.Namespace,
) -> CrossValidation:
    """Train each variant, a name and its rates, on each fold; all from the same seed."""
    found = CrossValidation({name: [] for name, _ in variants})
    for number, task in enumerate(tasks, 1):
        for name, dropout in variants:
            if not options.quiet:
                print(f"{name}, fold {number} of {options.folds}", file=sys.stderr, flush=True)
            model, _ = task.learn(dropout, options.seed, options)
            found.scores[name].append(task.scores(model))
        found.parts.append((task, model))
    return found
