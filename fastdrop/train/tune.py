"""Searching the dropout rate of a network: `tune_rates`.

The search automates a rule of thumb: start at 0.2, raise the rate by 0.1 while the network
overfits, and lower it by 0.1 while it underfits.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from fastdrop import nn, random
from fastdrop._utils import validation as check
from fastdrop._utils.progress import Meter
from fastdrop.data.dataset import as_dataset
from fastdrop.inspection.dropout_layers import HIGHEST_RATE, rate_name, tunable_layers
from fastdrop.inspection.gap import judge_gap
from fastdrop.nn.module import checked_module
from fastdrop.train.evaluate import evaluate, model_arrays
from fastdrop.train.fit import fit
from fastdrop.train.trial import Trial, Tuning

if TYPE_CHECKING:
    from fastdrop import optim
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.data.dataset import Dataset

    # A trained model, its figures on the training data, and its figures on the validation data.
    TrainedModel = tuple[nn.Module, dict[str, float], dict[str, float]]

__all__ = ["Trial", "Tuning", "tune_rates"]

# Options of `fit` that a search sets itself, or that have no meaning for several runs.
NOT_FOR_SEARCH = frozenset(
    {
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
    }
)


def tune_rates(
    build: nn.Module | Callable[[float], nn.Module],
    data: Dataset | tuple[ArrayLike, ArrayLike],
    *,
    validation: Dataset | tuple[ArrayLike, ArrayLike] | float = 0.2,
    start: float = 0.2,
    step: float = 0.1,
    highest: float = 0.5,
    epochs: int = 15,
    max_trials: int = 8,
    gaps: Sequence[float] | None = None,
    seed: int = 0,
    loss: str | Callable[..., Tensor] | None = None,
    optimizer: Callable[[nn.Module], optim.Optimizer] | None = None,
    progress: bool = True,
    **options: Any,
) -> Tuning:
    """Search the dropout rate of a network.

    The first trial trains with the rate `start`. If the network overfits, the next trial has a rate
    higher by `step`; if it underfits, a lower one. A network overfits when the gap between its
    training and its validation figure, both without dropout, is large, and underfits when there is
    no gap. The search stops when the gap is neither, when the validation figure is not better
    than the best one so far, when the next rate was tried or lies outside [0, highest], or
    after `max_trials` trials.

    Every trial starts with the same seed, so trials have the same initial weights and the same
    order of samples, and differ in the rate alone. The result is a function of the arguments. The
    random state of the program (`fastdrop.manual_seed`) is unchanged afterwards.

    Parameters
    ----------
    build : function (rate) -> Module, or Module
        A function must make a new model each time. A Module is copied for each trial and is not
        changed itself. Its layers with a constant rate above 0 get the rate of the trial, or a
        fraction of it where lower rates are recommended: two fifths on the input, three fifths on
        channels, one fifth on embeddings. The weights of an attention's softmax get the whole rate.
    data : Dataset, or pair (x, y) of arrays
        As for `fastdrop.fit`.
    validation : float, Dataset, or pair (x, y), default 0.2
        A number in (0, 1) sets this fraction of `data` aside.
    start : float, default 0.2
        The first rate, in [0, highest].
    step : float, default 0.1
        The change of the rate between two trials, in (0, 1].
    highest : float, default 0.5
        The highest rate to try, in [0, 1].
    epochs : int, default 15
        Epochs of each trial; 10 to 20 are enough to see the gap.
    max_trials : int, default 8
        The largest number of trials, at least 1.
    gaps : (float, float), optional
        The network underfits when the gap is below the first number, and overfits when it is above
        the second. The defaults are those of `fastdrop.diagnose`: (0.005, 0.05) for an accuracy,
        (0.01, 0.16) for an RMSE and (0.02, 0.3) for a loss, the last two relative to the
        validation figure.
    seed : int, default 0
        The seed of every trial, in [0, 2**64).
    loss : str or function, optional
        As for `fastdrop.fit`.
    optimizer : function (Module) -> Optimizer, optional
        Makes the optimizer of a trial. Default ``optim.Adam(model.parameters())``.
    progress : bool, default True
        Show progress on a terminal when the search takes longer than two seconds.
    **options
        Other options of `fastdrop.fit`: batch_size, max_norm, clip_norm, mixup, shuffle, drop_last.

    Returns
    -------
    Tuning
        ``print(tuning)`` shows the trials. ``tuning.rate``, ``tuning.rates`` and ``tuning.model``
        belong to the best trial.

    Raises
    ------
    TypeError, ValueError
        An argument is wrong; the Module has no rate to tune; `build` returned something that is
        not a Module, or the same Module twice.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: a simple way to prevent
    neural networks from overfitting", JMLR 15, 2014, appendix A (recommended rates).

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 8))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> tuning = fd.tune_rates(lambda rate: fd.models.mlp(8, [16], 2, dropout=rate), (x, y),
    ...                        epochs=2, max_trials=2, progress=False)
    >>> 1 <= len(tuning.trials) <= 2
    True
    """
    highest = check.rate(highest, "highest")
    start = check.real(start, "start", low=0.0, high=highest)
    step = check.real(step, "step", low=0.0, high=1.0, open_low=True)
    epochs = check.integer(epochs, "epochs", 1)
    max_trials = check.integer(max_trials, "max_trials", 1)
    limits = None if gaps is None else _checked_gaps(gaps)
    seed = check.integer(seed, "seed", 0, check.U64_MAX)
    if optimizer is not None and (isinstance(optimizer, type) or not callable(optimizer)):
        raise TypeError(
            "optimizer must be a function that makes an optimizer for a model, "
            f"got {check.describe(optimizer)}"
        )
    if refused := sorted(NOT_FOR_SEARCH & set(options)):
        raise TypeError(
            f"options must be those of fit that apply to each trial, got {', '.join(refused)}"
        )
    if not callable(build):
        raise TypeError(
            f"build must be a function (rate) -> Module, or a Module, got {check.describe(build)}"
        )
    dataset = as_dataset(data)
    with random.own_run(seed):
        train, held_out = _split(dataset, validation)
        if isinstance(build, nn.Module):
            build = _copy_with_rate(build, model_arrays(train.take(slice(0, 2))).x)
        with Meter(max_trials * epochs, "epoch", check.flag(progress, "progress")) as meter:

            def train_model(rate: float) -> TrainedModel:
                random.manual_seed(seed)
                model = checked_module(build(rate), "the result of build")
                fit(
                    model,
                    train,
                    loss=loss,
                    optimizer=None if optimizer is None else optimizer(model),
                    epochs=epochs,
                    progress=False,
                    callbacks=lambda epoch: meter.advance(1),
                    **options,
                )
                figures = evaluate(model, train, loss=loss)
                return model, figures, evaluate(model, held_out, loss=loss)

            return _search(train_model, start, step, highest, max_trials, limits)


def _split(data: Dataset, validation: Any) -> tuple[Dataset, Dataset]:
    """The training and the validation data."""
    if isinstance(validation, Real):
        fraction = check.real(
            validation, "validation", low=0.0, high=1.0, open_low=True, open_high=True
        )
        return data.split(fraction)
    return data, as_dataset(validation, "validation")


def _search(
    train_model: Callable[[float], TrainedModel],
    start: float,
    step: float,
    highest: float,
    max_trials: int,
    limits: tuple[float, float] | None,
) -> Tuning:
    """Run trials from the rate `start` on until `next_rate` says to stop."""
    trials: list[Trial] = []
    best_model: nn.Module | None = None
    best_key: tuple[float, ...] | None = None
    rate: float | None = start
    while rate is not None:
        model, training, validation = train_model(rate)
        if model is best_model:  # a worse trial ends the search, so the last model is the best one
            raise ValueError("build must return a new model each time, got the same model again")
        measure = next(name for name in ("accuracy", "rmse", "loss") if name in validation)
        gap, verdict = judge_gap(measure, training[measure], validation[measure], limits)
        figure = validation[measure]
        key: tuple[float, ...] = (figure if measure == "accuracy" else -figure, -validation["loss"])
        key = tuple(-math.inf if math.isnan(value) else value for value in key)
        better = best_key is None or key > best_key
        tried = [*(trial.rate for trial in trials), rate]
        following, decision = next_rate(verdict, better, tried, step, highest, max_trials)
        rates = _rates_of_layers(model)
        trials.append(Trial(rate, rates, training, validation, gap, verdict, decision))
        if better:
            best, best_model, best_key = trials[-1], model, key
        rate = following
    assert best_model is not None
    return Tuning(trials, best, best_model, measure)


def next_rate(
    verdict: str, better: bool, tried: list[float], step: float, highest: float, max_trials: int
) -> tuple[float | None, str]:
    """The rate of the next trial, or None to stop; and the decision in words.

    `verdict` is that of the last trial, `better` whether it is the best so far, and `tried` are the
    rates of all trials, the last trial's at the end.
    """
    if not better:
        return None, "stop: no better than the best before"
    if verdict == "fits":
        return None, "stop: neither overfits nor underfits"
    rate = tried[-1]
    change = step if verdict == "overfits" else -step
    following = round(rate + change, 9)  # 0.1 + 0.2 becomes 0.3
    following = min(max(following, 0.0), highest)
    if following == rate:
        return None, "stop: the range ends"
    if following in tried:
        return None, f"stop: {following:g} was tried"
    if len(tried) == max_trials:
        return None, f"stop: max_trials, {following:g} would be next"
    return following, f"{'raise' if following > rate else 'lower'} to {following:g}"


def _copy_with_rate(model: nn.Module, x: Any) -> Callable[[float], nn.Module]:
    """A function (rate) -> copy of the model with this rate. x (2, ...) are samples of the data."""
    fractions = {
        name: HIGHEST_RATE[kind] / HIGHEST_RATE["dense"]
        for name, _, kind in tunable_layers(model, x)
    }
    if not fractions:
        raise ValueError(
            "build must have a layer with a constant rate above 0 (Dropout(0.2), ...), "
            "got a Module with nothing to tune"
        )

    def build(rate: float) -> nn.Module:
        made = copy.deepcopy(model)
        for name, module in made.named_modules():
            if name in fractions:
                setattr(module, rate_name(module), round(rate * fractions[name], 9))
        return made

    return build


def _rates_of_layers(model: nn.Module) -> dict[str, float]:
    """The constant rate of each stochastic layer, by the layer's path."""
    rates = {
        name: getattr(module, rate_name(module), None)
        for name, module in model.named_modules()
        if module.n_sites and not isinstance(module, nn.ConcreteDropout)
    }
    return {name: rate for name, rate in rates.items() if isinstance(rate, float)}


def _checked_gaps(gaps: Sequence[float]) -> tuple[float, float]:
    if not isinstance(gaps, (tuple, list)) or len(gaps) != 2:
        raise TypeError(f"gaps must be a pair of numbers, got {check.describe(gaps)}")
    low, high = (check.real(gap, "gaps") for gap in gaps)
    if low > high:
        raise ValueError(f"gaps must be in order, got {gaps}")
    return low, high
