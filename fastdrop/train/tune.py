"""Finding dropout rates: the rule of thumb, start at 0.2 and move by 0.1 along the gap between training and validation, as a search."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from numbers import Real

from fastdrop import nn, random
from fastdrop._utils import validation as check
from fastdrop._utils.progress import Meter
from fastdrop.data.dataset import as_dataset
from fastdrop.inspection.diagnose import judge
from fastdrop.inspection.dropout_layers import MOST, places, rate_name
from fastdrop.train import fit
from fastdrop.train.evaluate import as_arrays, evaluate

__all__ = ["Trial", "Tuning", "tune_rates"]

_NOT_HERE = (
    "validation",
    "epochs",
    "progress",
    "callbacks",
    "checkpoint",
    "checkpoint_every",
    "resume",
    "scheduler",
    "scheduler_every",
    "early_stopping",
)


@dataclass(frozen=True)
class Trial:
    """One training run of the search.

    Attributes
    ----------
    rate : float
        The rate of the search: what `build` was called with.
    rates : dict of str to float
        The rate of each layer of the model, by its path.
    training, validation : dict
        "loss", and "accuracy" or "rmse", after the training, without dropout.
    gap : float
        Training minus validation accuracy; or (validation - training) / validation of the RMSE.
    verdict : {"underfits", "fits", "overfits"}
        What the gap says (`fastdrop.diagnose` judges by the same limits).
    decision : str
        What was done then, and why.
    """

    rate: float
    rates: dict
    training: dict
    validation: dict
    gap: float
    verdict: str
    decision: str


@dataclass(frozen=True, repr=False, eq=False)
class Tuning:
    """What `tune_rates` tried; prints as a table.

    Attributes
    ----------
    trials : list of Trial
        In the order in which they were run.
    best : Trial
        The one with the best validation figure.
    model : Module
        The best trial's, trained, in evaluation mode.
    measure : str
        What was compared: "accuracy", "rmse" or "loss".
    """

    trials: list
    best: Trial
    model: nn.Module
    measure: str

    @property
    def rate(self) -> float:
        """The best trial's rate of the search."""
        return self.best.rate

    @property
    def rates(self) -> dict:
        """The best trial's rates of the layers."""
        return self.best.rates

    def __repr__(self):
        return f"Tuning(best rate {self.rate:g} of {len(self.trials)} trials; validation {self.measure} {self.best.validation[self.measure]:.4g})"

    def __str__(self):
        return self.table()

    def table(self) -> str:
        """The trials, one a line; a star at the best."""
        rows = [
            (
                "rate",
                f"training {self.measure}",
                f"validation {self.measure}",
                "gap",
                "the network",
                "decision",
            )
        ]
        rows += [
            (
                f"{t.rate:g}{'*' if t is self.best else ''}",
                f"{t.training[self.measure]:.4g}",
                f"{t.validation[self.measure]:.4g}",
                f"{t.gap:.3g}",
                t.verdict,
                t.decision,
            )
            for t in self.trials
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )


def tune_rates(
    build,
    data,
    *,
    validation=0.2,
    start: float = 0.2,
    step: float = 0.1,
    highest: float = 0.5,
    epochs: int = 15,
    max_trials: int = 8,
    gaps=None,
    seed: int = 0,
    loss=None,
    optimizer=None,
    progress: bool = True,
    **options,
) -> Tuning:
    """Search the dropout rate of a network.

    Train with the rate `start`; where the network overfits go on with a rate higher by `step`, where it underfits with a lower one. It
    overfits when the gap between its training and its validation accuracy, both without dropout, is large, and underfits when there is
    none. The search ends where the gap is neither, a rate comes back, the validation figure is no better than the best before, the range
    [0, highest] ends, or after `max_trials`. Every trial begins with the same seed: the same initial weights, order of samples, and masks
    that differ by the rate alone. The result is a function of the arguments; the run's own randomness is as it was before.

    Parameters
    ----------
    build : function rate -> Module, or Module
        The function makes a new model each time. Of a Module each trial trains a copy, the Module itself is not changed; its layers whose
        rate is above 0 (0: switched off) and no schedule get the rate of the search, and less where the field recommends less: two fifths
        on the input, three fifths for channels, one fifth for embeddings.
    data : (x, y) or Dataset
    validation : float, (x, y) or Dataset
        A number: this fraction of the data is set aside.
    start, step, highest : float
        Of the rate.
    epochs : int
        Of each trial; 10 to 20 show the gap.
    max_trials : int
    gaps : (float, float), optional
        The network underfits when the gap is below the first, overfits when it is above the second. Default: `fastdrop.diagnose`'s, 0.005
        and 0.05 of an accuracy, 0.01 and 0.16 of an RMSE (relative), 0.02 and 0.3 of a loss (relative).
    seed : int in [0, 2**64)
    loss : str or function, optional
        As for `fastdrop.fit`.
    optimizer : function Module -> Optimizer, optional
        Default ``optim.Adam(model.parameters())``.
    progress : bool
        Show progress on a terminal when it takes longer than two seconds.
    **options
        More for `fastdrop.fit`: batch_size, max_norm, clip_norm, mixup, shuffle, drop_last.

    Returns
    -------
    Tuning : ``print(tuning)`` shows the trials; ``tuning.rate``, ``tuning.rates`` and ``tuning.model`` are the best one's. Equal accuracies
        are told apart by the loss.

    Raises
    ------
    TypeError, ValueError
        An argument is wrong; the Module has no rate to tune; `build` returned no Module, or the same one again.

    References
    ----------
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014, appendix A (the rates).
    """
    highest = check.rate(highest, "highest")
    start = check.real(start, "start", low=0.0, high=highest)
    step = check.real(step, "step", low=0.0, high=1.0, open_low=True)
    epochs, max_trials = (
        check.integer(epochs, "epochs", 1),
        check.integer(max_trials, "max_trials", 1),
    )
    gaps = None if gaps is None else _limits(gaps)
    seed = check.integer(seed, "seed", 0, check.U64_MAX)
    if optimizer is not None and (isinstance(optimizer, type) or not callable(optimizer)):
        raise TypeError(
            f"optimizer must be a function that makes one for a model, got {check.describe(optimizer)}"
        )
    if refused := sorted(set(options) & set(_NOT_HERE)):
        raise TypeError(
            f"options must be some that make sense for every trial of a search, got {', '.join(refused)}"
        )
    if not callable(build):
        raise TypeError(
            f"build must be a function rate -> Module, or a Module, got {check.describe(build)}"
        )
    data = as_dataset(data)
    with random.own_run(seed):
        if isinstance(validation, Real):
            train, held = data.split(
                check.real(
                    validation, "validation", low=0.0, high=1.0, open_low=True, open_high=True
                )
            )
        else:
            train, held = data, as_dataset(validation, "validation")
        if isinstance(build, nn.Module):
            build = _copies(build, as_arrays(train.take(slice(0, 2)))[0])
        with Meter(max_trials * epochs, "epoch", check.flag(progress, "progress")) as meter:

            def run(rate):
                random.manual_seed(seed)
                model = build(rate)
                if not isinstance(model, nn.Module):
                    raise TypeError(f"build must return a Module, got {check.describe(model)}")
                fit(
                    model,
                    train,
                    loss=loss,
                    optimizer=None if optimizer is None else optimizer(model),
                    epochs=epochs,
                    progress=False,
                    callbacks=lambda event: meter.advance(1),
                    **options,
                )
                return model, evaluate(model, train, loss=loss), evaluate(model, held, loss=loss)

            return _search(run, start, step, highest, max_trials, gaps)


def _search(run, rate, step, highest, max_trials, gaps) -> Tuning:
    """The rule; run(rate) gives (model, training figures, validation figures)."""
    trials, best, best_model, best_key = [], None, None, None
    while rate is not None:
        model, training, held = run(rate)
        if model is best_model:  # the last one: who is no better ends the search
            raise ValueError("build must return a new model each time, got the same again")
        measure = next(name for name in ("accuracy", "rmse", "loss") if name in held)
        gap, verdict = judge(measure, training[measure], held[measure], gaps)
        key = (held[measure] if measure == "accuracy" else -held[measure], -held["loss"])
        better = best is None or key > best_key
        tried = [*(trial.rate for trial in trials), rate]
        following, decision = _decide(rate, verdict, better, tried, step, highest, max_trials)
        trials.append(Trial(rate, _rates(model), training, held, gap, verdict, decision))
        if better:
            best, best_model, best_key = trials[-1], model, key
        rate = following
    return Tuning(trials, best, best_model, measure)


def _decide(rate, verdict, better, tried, step, highest, max_trials):
    """(next rate or None, the decision in words)."""
    if not better:
        return None, "stop: no better than the best before"
    if verdict == "fits":
        return None, "stop: neither overfits nor underfits"
    following = round(
        rate + (step if verdict == "overfits" else -step), 9
    )  # 0.1 + 0.2 is 0.3 again
    following = min(max(following, 0.0), highest)
    if following == rate:
        return None, "stop: the range ends"
    if following in tried:
        return None, f"stop: {following:g} was tried"
    if len(tried) == max_trials:
        return None, f"stop: max_trials, {following:g} would be next"
    return following, f"{'raise' if following > rate else 'lower'} to {following:g}"


def _copies(model, x):
    """A function rate -> copy of the model with this rate; x are a few samples."""
    shares = {name: MOST[kind] / MOST["dense"] for name, _, kind in places(model, x)}
    if not shares:
        raise ValueError(
            "build must have a layer with a rate above 0, which is no schedule (Dropout(0.2), ...): there is nothing to tune"
        )

    def build(rate):
        made = copy.deepcopy(model)
        for name, module in made.named_modules():
            if name in shares:
                setattr(module, rate_name(module), round(rate * shares[name], 9))
        return made

    return build


def _rates(model) -> dict:
    found = {
        name: getattr(module, rate_name(module), None)
        for name, module in model.named_modules()
        if module.n_sites and not isinstance(module, nn.ConcreteDropout)
    }
    return {name: p for name, p in found.items() if isinstance(p, float)}


def _limits(gaps):
    if not isinstance(gaps, (tuple, list)) or len(gaps) != 2:
        raise TypeError(f"gaps must be a pair of numbers, got {check.describe(gaps)}")
    low, high = (check.real(gap, "gaps") for gap in gaps)
    if low > high:
        raise ValueError(f"gaps must be in order, got {gaps}")
    return low, high
