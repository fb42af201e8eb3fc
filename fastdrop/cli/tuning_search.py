"""The search of ``fastdrop tune``: its trials, the rule of thumb, and Optuna."""

from __future__ import annotations

import copy
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils.optional import install_hint
from fastdrop.cli.scores import CLASS_SCORES, HIGHER_IS_BETTER, NUMBER_SCORES, format_score
from fastdrop.cli.training_task import TrainingTask, learning_rate, split_groups
from fastdrop.data import Dataset, split
from fastdrop.inspection.dropout_layers import HIGHEST_RATE
from fastdrop.inspection.gap import judge_gap
from fastdrop.train.evaluate import evaluate
from fastdrop.train.tune import next_rate

if TYPE_CHECKING:
    import argparse

    from fastdrop.nn.module import Module
    from fastdrop.train import History

__all__ = ["Found", "Search", "search_by_optuna", "search_by_rule"]

_START, _STEP, _HIGHEST = 0.2, 0.1, 0.5  # of the rates of hidden layers, as `tune_rates` has them
_OF_INPUT = HIGHEST_RATE["input"] / HIGHEST_RATE["dense"]
_FACTOR = 3.0  # of the learning rate in the first round ...
_SMALL_STEP, _SMALL_FACTOR = 0.05, 1.5  # ... and the steps of the second
_VALIDATION = 0.2


@dataclass
class Found:
    """One trial.

    Attributes
    ----------
    rates : tuple of float
        Of the input and of each hidden layer.
    lr, weight_decay : float
    score : float
        Of the validation rows; NaN where the loss did not stay finite.
    training, validation : float
        Accuracy, or RMSE in the target's units.
    verdict : str
        "underfits", "fits", "overfits", or "diverged".
    decision : str
        What came next, and why.
    model : Module or None
        None of trials that are not the best.
    history : History or None
        Of the training; None of a trial that diverged.
    """

    rates: tuple[float, ...]
    lr: float
    weight_decay: float
    score: float
    training: float
    validation: float
    verdict: str
    decision: str = ""
    model: Module | None = None
    history: History | None = None


class Exhausted(Exception):
    """All trials are used up."""


class Search:
    """Runs trials on a part of the training rows, and keeps the best.

    Parameters
    ----------
    task : TrainingTask
        Its test rows are not looked at.
    options : argparse.Namespace
    """

    def __init__(self, task: TrainingTask, options: argparse.Namespace) -> None:
        self.options = copy.copy(options)
        self.options.validation = None  # the validation part is that of the search, for all trials
        self.limit = options.trials
        share = _VALIDATION if options.validation is None else options.validation
        if task.groups is None:
            numbers = np.arange(len(task.train))
            first, second = split((numbers[:, None], np.zeros(len(numbers))), share)
            rows, held = first.x[:, 0], second.x[:, 0]
        else:
            rows, held = split_groups(task.groups, share)
        self.train, self.held_out = task.train.take(rows), task.train.take(held)
        raw = None
        target = task.preparation.target
        if target is not None:
            assert self.held_out.y is not None
            y = self.held_out.y.astype(np.float64) * float(target.scale) + float(target.mean)
            raw = Dataset(self.held_out.x, y)
        self.task = TrainingTask(
            task.name, self.train, self.held_out, task.preparation, raw_test=raw
        )
        self.classes = task.scale is None
        self.metric = options.metric or ("log_loss" if self.classes else "rmse")
        self.higher = self.metric in HIGHER_IS_BETTER
        self.lr = learning_rate(options)
        self.trials: list[Found] = []
        self.best: Found | None = None
        self._known: dict[tuple[Any, ...], Found] = {}

    def try_out(self, rates: tuple[float, ...], lr: float, decay: float | None = None) -> Found:
        """The trial with these rates; a new one unless it was made before.

        Raises
        ------
        Exhausted
            It would be one trial too many.
        """
        decay = self.options.weight_decay if decay is None else decay
        key = (rates, lr, decay)
        if key not in self._known:
            if len(self.trials) == self.limit:
                raise Exhausted
            found = self._run(rates, lr, decay)
            self._known[key] = found
            self.trials.append(found)
            if self.best is None or self.is_better(found, self.best):
                if self.best is not None:
                    self.best.model = None
                self.best = found
            else:
                found.model = None
            self._show(found)
        return self._known[key]

    def is_better(self, found: Found, other: Found) -> bool:
        """Whether a trial has the better score; one that diverged never has."""
        if math.isnan(found.score) or math.isnan(other.score):
            return math.isnan(other.score) and not math.isnan(found.score)
        return found.score > other.score if self.higher else found.score < other.score

    def _run(self, rates: tuple[float, ...], lr: float, decay: float) -> Found:
        options = copy.copy(self.options)
        options.lr, options.weight_decay, options.quiet = lr, decay, True
        measure = "accuracy" if self.classes else "rmse"
        try:
            model, history = self.task.learn(list(rates), options.seed, options)
            score = self.task.scores(model)[self.metric]
        except FloatingPointError:
            return Found(rates, lr, decay, math.nan, math.nan, math.nan, "diverged")
        training, validation = (
            evaluate(model, part)[measure] for part in (self.train, self.held_out)
        )
        verdict = judge_gap(measure, training, validation)[1]
        if self.task.scale is not None:
            training, validation = training * self.task.scale, validation * self.task.scale
        return Found(rates, lr, decay, score, training, validation, verdict, "", model, history)

    def _show(self, found: Found) -> None:
        if self.options.quiet:
            return
        title = (CLASS_SCORES | NUMBER_SCORES)[self.metric]
        print(
            f"trial {len(self.trials)} of at most {self.limit}: dropout {_rates(found)}, "
            f"lr {found.lr:.3g}: validation {title} {format_score(self.metric, found.score)}, "
            f"{found.verdict}",
            file=sys.stderr,
            flush=True,
        )

    def table(self) -> str:
        """All trials; a star marks the best."""
        title = (CLASS_SCORES | NUMBER_SCORES)[self.metric]
        measure = "error" if self.classes else "rmse"
        name = "error" if self.classes else "RMSE"
        rows = [
            [
                *("trial", "dropout", "lr", f"training {name}", f"validation {name}"),
                *(f"validation {title}", "the network", "then"),
            ]
        ]
        for number, found in enumerate(self.trials, 1):
            shown = (found.training, found.validation)
            figures = [1 - figure if self.classes else figure for figure in shown]
            rows.append(
                [
                    f"{number}{'*' if found is self.best else ''}",
                    _rates(found),
                    f"{found.lr:.3g}",
                    *(format_score(measure, figure) for figure in figures),
                    format_score(self.metric, found.score),
                    found.verdict,
                    found.decision,
                ]
            )
        if self.metric == measure:  # it is there already
            rows = [row[:5] + row[6:] for row in rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows
        )


def _rates(found: Found) -> str:
    return ", ".join(f"{p:.3g}" for p in found.rates)


def search_by_rule(search: Search) -> None:
    """Rates by the gap between training and validation, then the learning rate, then small steps.

    See `fastdrop.tune_rates` for the rule. It ends when nothing improves, or without trials.
    """
    try:
        _first_round(search)
        while _small_steps(search):
            pass
        if search.trials:
            search.trials[-1].decision = search.trials[-1].decision or "stop: nothing improves"
    except Exhausted:
        search.trials[-1].decision = "stop: --trials"


def _first_round(search: Search) -> None:
    """The rule for the rates and factors of 3 of the learning rate, while one of them improves."""
    hidden, lr = _START, search.lr
    while True:
        hidden = _rate_by_rule(search, hidden, lr)
        before = lr
        for factor in (_FACTOR, 1 / _FACTOR):
            while True:
                best, following = search.best, _rounded(lr * factor)
                found = search.try_out(_spread(hidden, search), following)
                if found is not search.best or found is best:
                    found.decision = found.decision or "no better learning rate"
                    break
                found.decision = "a better learning rate"
                lr = following
            if lr != before:
                break
        if lr == before:
            return


def _rate_by_rule(search: Search, hidden: float, lr: float) -> float:
    """The rate of the hidden layers at which the rule stops, the best of them."""
    tried: list[float] = []
    best, rate = hidden, hidden
    following: float | None = hidden
    top: Found | None = None
    while following is not None:
        rate = following
        found = search.try_out(_spread(rate, search), lr)
        tried.append(rate)
        better = top is None or search.is_better(found, top)
        if better:
            top, best = found, rate
        verdict = "underfits" if found.verdict == "diverged" else found.verdict
        following, decision = next_rate(verdict, better, tried, _STEP, _HIGHEST, search.limit)
        found.decision = found.decision or decision
    return best


def _spread(hidden: float, search: Search) -> tuple[float, ...]:
    """The rates of the input and of all hidden layers."""
    return (round(hidden * _OF_INPUT, 9), *[hidden] * len(search.options.hidden))


def _small_steps(search: Search) -> bool:
    """Change one thing by a small step, in both directions; whether something improved."""
    best = search.best
    assert best is not None
    for kind in ("hidden", "input", "lr"):
        for direction in (1, -1):
            rates, lr = list(best.rates), best.lr
            if kind == "lr":
                lr = _rounded(lr * _SMALL_FACTOR**direction)
            else:
                part = slice(1, None) if kind == "hidden" else slice(0, 1)
                moved = [round(p + direction * _SMALL_STEP, 9) for p in rates[part]]
                rates[part] = [min(max(p, 0.0), 0.9) for p in moved]
            before = len(search.trials)
            found = search.try_out(tuple(rates), lr)
            if len(search.trials) > before:
                found.decision = f"{kind} {'up' if direction > 0 else 'down'}: no better"
                if found is search.best:
                    found.decision = found.decision.replace("no better", "better")
                    return True
    return False


def _rounded(lr: float) -> float:
    """A learning rate that can be typed."""
    return float(f"{lr:.3g}")


def search_by_optuna(search: Search) -> None:
    """Optuna's TPE sampler; its first trial is where the rule begins."""
    try:
        import optuna
    except ImportError:
        hint = install_hint("optuna", "tune")
        raise ImportError(f"--sampler optuna needs Optuna ({hint})") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names = ["input", *(f"hidden {i + 1}" for i in range(len(search.options.hidden)))]
    study = optuna.create_study(
        direction="maximize" if search.higher else "minimize",
        sampler=optuna.samplers.TPESampler(seed=search.options.seed),
    )
    low, high = search.lr / 30, search.lr * 10
    first = dict(zip(names, _spread(_START, search), strict=True))
    study.enqueue_trial(first | {"lr": search.lr, "weight decay": 1e-6})
    for _ in range(search.limit):
        trial = study.ask()
        rates = [trial.suggest_float(name, 0.0, 0.5 if name == "input" else 0.7) for name in names]
        lr = trial.suggest_float("lr", low, high, log=True)
        decay = trial.suggest_float("weight decay", 1e-6, 1e-2, log=True)
        found = search.try_out(tuple(round(p, 3) for p in rates), _rounded(lr), _rounded(decay))
        found.decision = f"weight decay {found.weight_decay:g}"
        if math.isnan(found.score):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, found.score)
