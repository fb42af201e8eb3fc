"""``preset="tabular"`` of the estimators: the training recipe of RealMLP.

Source: Holzmüller, Grinsztajn, Steinwart, "Better by default: strong pre-tuned MLPs and boosted
trees on tabular data", NeurIPS 2024, arXiv:2407.04491 (RealMLP-TD), and the authors' package
pytabkit, version 1.7. Left out: embeddings of categories, and the limits of a regression's outputs.
Dropout falls in steps of several epochs.
"""

from __future__ import annotations

import inspect
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse

from fastdrop import nn, optim, schedules
from fastdrop._utils import validation as check
from fastdrop.data import Dataset
from fastdrop.models.realmlp import fit_initial_weights, parameter_groups, realmlp
from fastdrop.sklearn.losses import label_entropies
from fastdrop.sklearn.stopping import EpochRules
from fastdrop.train.fit import fit

if TYPE_CHECKING:
    from fastdrop.sklearn.base import BaseDropoutEstimator
    from fastdrop.train import Epoch

__all__ = ["TabularPreset", "recipe_of"]

# What takes the place of the defaults of the estimators.
_VALUES: dict[str, Any] = {
    "hidden_layer_sizes": (256, 256, 256),
    "dropout": 0.15,
    "batch_size": 256,
    "max_iter": 256,
    "validation_fraction": 0.2,
    "beta_2": 0.95,
}
_CLASSIFICATION = {"activation": "selu", "learning_rate_init": 0.04}
_REGRESSION = {"activation": "mish", "learning_rate_init": 0.2}
# What would be a different recipe. (Limits and strengths that it does not use have no effect.)
_FIXED = (
    *("solver", "learning_rate", "warm_start", "early_stopping", "standardize"),
    *("loss", "length_scale"),
)
_WEIGHT_DECAY = 0.02
_SMOOTHING = 0.1
_RATES = 32  # of dropout, during a fit
_SAMPLE = 4096  # training samples that decide the initial weights


def _is(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def recipe_of(estimator: BaseDropoutEstimator, x: Any) -> TabularPreset | None:
    """The recipe of an estimator for training samples x, dense or sparse; None where it has none.

    It has none without the preset, and where no feature varies: the initial weights are scaled by
    what varies, and training would diverge. ValueError where the preset has another name.
    """
    if estimator.preset is None:
        return None
    check.choice(estimator.preset, "preset", ("tabular",))
    recipe = TabularPreset(estimator)
    if issparse(x):
        varies = bool((x.max(axis=0) != x.min(axis=0)).nnz)
    else:
        seen = np.where(np.isnan(x), np.nanmax(x, axis=0, initial=-np.inf), x)
        varies = bool((seen != seen[:1]).any())
    return recipe if varies else None


class TabularPreset:
    """The recipe for one estimator.

    Parameters
    ----------
    estimator : BaseDropoutEstimator

    Raises
    ------
    ValueError
        A parameter that the recipe has no place for is not at its default.
    """

    def __init__(self, estimator: BaseDropoutEstimator) -> None:
        signature = inspect.signature(type(estimator)).parameters
        parameters = estimator.get_params(deep=False)
        for name in _FIXED:
            if name in parameters and not _is(parameters[name], signature[name].default):
                raise ValueError(
                    f"{name} must be {signature[name].default!r}, its default, with "
                    f"preset='tabular', got {parameters[name]!r}"
                )
        kind = _REGRESSION if estimator._is_regression else _CLASSIFICATION
        for name, value in (_VALUES | kind).items():
            if _is(parameters[name], signature[name].default):
                parameters[name] = value
        self.estimator, self.options = estimator, SimpleNamespace(**parameters)

    def validation_fraction(self, samples: int) -> float:
        """The share of the samples that decides which epoch is the best one: at least two."""
        given, open_ends = self.options.validation_fraction, {"open_low": True, "open_high": True}
        fraction = check.real(given, "validation_fraction", low=0, high=1, **open_ends)
        return max(fraction, min(0.5, 2 / samples))

    def loss(self, weighted: bool) -> Any:
        """The loss for `fastdrop.fit`; of each sample if `weighted`."""
        if self.estimator._is_regression:
            return "mse"
        if getattr(self.estimator, "_multilabel", False):
            return smoothed_entropies if weighted else mean_smoothed_entropies
        reduction = "none" if weighted else "mean"
        return nn.CrossEntropyLoss(reduction=reduction, label_smoothing=_SMOOTHING)

    def train(
        self, parts: list[Any], held_out: list[Any]
    ) -> tuple[nn.Sequential, list[float], dict[str, list[float]], int]:
        """Train a new network: the network, its loss curve, the history and the batch size."""
        estimator, options = self.estimator, self.options
        sizes = options.hidden_layer_sizes
        model = realmlp(
            estimator._input.width,
            sizes if np.iterable(sizes) else [sizes],
            estimator._n_outputs,
            dropout=check.rate(options.dropout, "dropout"),
            activation=options.activation,
        )
        rows = len(parts[1])
        batch = min(check.integer(options.batch_size, "batch_size", 1), rows)
        epochs = check.integer(options.max_iter, "max_iter", 1)
        steps = epochs * (rows // batch)  # what is left over of an epoch waits for the next order
        fit_initial_weights(model, estimator._input.transform(parts[0][:_SAMPLE]))
        rate = check.real(options.learning_rate_init, "learning_rate_init", low=0, open_low=True)
        first, second = (
            check.real(getattr(options, name), name, low=0, high=1, open_high=True)
            for name in ("beta_1", "beta_2")
        )
        optimizer = optim.AdamW(
            parameter_groups(model, rate, _WEIGHT_DECAY),
            betas=(first, second),
            eps=check.real(options.epsilon, "epsilon", low=0, open_low=True),
        )
        rules = _Rules(estimator, optimizer, model, epochs, rows)
        shuffle = check.flag(estimator.shuffle, "shuffle")
        data = estimator._data(parts, batch, shuffle, drop_last=True)
        dense = isinstance(data, Dataset)
        history = fit(
            model,
            data,
            loss=self.loss(len(parts) > 2),
            optimizer=optimizer,
            epochs=epochs,
            validation=estimator._data(held_out),
            metrics=estimator._metrics(held_out),
            scheduler=optim.lr_scheduler.CosineLogLR(optimizer, steps),
            scheduler_every="step",
            max_norm=estimator.max_norm,
            thinned=estimator.thinned,
            progress=False,
            callbacks=rules,
            batch_size=batch if dense else None,
            shuffle=shuffle,
            drop_last=dense,
        )
        rules.restore(model)
        return model, history["loss"], {name: history[name] for name in history}, batch


class _Rules(EpochRules):
    """Rates of dropout and weight decay of each epoch, and the weights of the best epoch.

    Both rates are constant for half of the epochs, then fall along half a cosine to 0. The best
    epoch has the highest score on the validation data, and is the last one of several such.
    """

    def __init__(
        self,
        estimator: BaseDropoutEstimator,
        optimizer: optim.Optimizer,
        model: nn.Module,
        epochs: int,
        rows: int,
    ) -> None:
        super().__init__(
            math.inf,
            0.0,
            monitor="val_loss",
            score=estimator._score,
            rows=rows,
            verbose=bool(estimator.verbose),
        )
        self.best = -math.inf
        half = epochs // 2
        self.share = schedules.Cosine(1.0, 0.0, max(1, epochs - half), delay=half)
        self.interval = max(1, epochs // _RATES)
        self.decays = [group["weight_decay"] for group in optimizer.param_groups]
        self.rates = [
            (m, float(m.p))  # type: ignore[arg-type]
            for m in model.modules()
            if isinstance(m, nn.Dropout)
        ]

    def _track(self, epoch: Epoch) -> None:
        score = epoch.figures[self.score]
        # Samples of next to no weight decide between no two epochs.
        if score >= self.best - 1e-6 or self.best_weights is None:
            self.best = max(score, self.best)
            weights = epoch.model.state_dict()
            self.best_weights = {name: np.array(array) for name, array in weights.items()}
        share = self.share(epoch.number)
        for group, decay in zip(epoch.optimizer.param_groups, self.decays, strict=True):
            group["weight_decay"] = decay * share
        # Steps whose rates are the same are replayed (`fastdrop.train.recorded_steps`).
        if epoch.number % self.interval == 0:
            for layer, p in self.rates:
                layer.p = p * share

    def restore(self, model: nn.Module) -> None:
        """Give the model the best weights, and for Monte Carlo passes its first rates."""
        assert self.best_weights is not None
        model.load_state_dict(self.best_weights)
        for layer, p in self.rates:
            layer.p = p


def smoothed_entropies(output: Any, target: Any) -> Any:
    """`label_entropies` of several labels a sample, each smoothed as two classes."""
    return label_entropies(output, target * (1 - _SMOOTHING) + _SMOOTHING / 2)


def mean_smoothed_entropies(output: Any, target: Any) -> Any:
    """`smoothed_entropies`, averaged over the samples."""
    return smoothed_entropies(output, target).mean()
