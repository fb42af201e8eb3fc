"""Base class of the estimators: parameters, preparation of the data, training, passes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.sparse import issparse  # SciPy is a dependency of scikit-learn
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from fastdrop import models, random
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import enable_grad
from fastdrop.data import DataLoader, Dataset, Standardizer
from fastdrop.nn.module import may_draw
from fastdrop.predictor.predict import predict
from fastdrop.sklearn.inputs import InputPreparation, SparseRows, identity, sparse_loader
from fastdrop.sklearn.solvers import SOLVERS, check_lbfgs, fit_lbfgs, make_optimizer
from fastdrop.sklearn.splitting import split_validation
from fastdrop.sklearn.stopping import epoch_rules
from fastdrop.sklearn.tabular_preset import recipe_of
from fastdrop.sklearn.weights import scikit_learn_weights
from fastdrop.train.evaluate import validation_batches
from fastdrop.train.fit import fit
from fastdrop.train.objective import Objective
from fastdrop.uncertainty import monte_carlo
from fastdrop.uncertainty.prediction import MCPrediction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    import numpy.typing as npt

    from fastdrop import nn
    from fastdrop._utils.typing import ArrayLike, PathLike

_ACTIVATIONS = {**{name: name for name in models.ACTIVATIONS}, "logistic": "sigmoid"}


class BaseDropoutEstimator(BaseEstimator):
    """An estimator without targets, loss and predictions, which a subclass adds.

    A subclass defines ``_is_regression`` (whether targets are numbers), ``_y_checks`` (more
    arguments of scikit-learn's validate_data), ``_score`` (the figure of the training history that
    becomes ``validation_scores_``), ``_targets``, ``_loss``, ``_target_scaling``, ``_n_outputs``,
    ``n_outputs_`` and ``out_activation_``. The parameters stand in the signature of its
    constructor.
    """

    _is_regression: ClassVar[bool]
    _y_checks: ClassVar[dict[str, Any]]
    _score: ClassVar[str]

    hidden_layer_sizes: int | Sequence[int]
    activation: str
    dropout: float | Sequence[float]
    solver: str
    alpha: float
    max_norm: float | None
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    standardize: bool
    add_indicator: bool
    mc_samples: int
    thinned: str | None
    preset: str | None = None  # also of an estimator that was pickled before it had one

    classes_: np.ndarray
    n_features_in_: int
    model_: nn.Sequential
    loss_curve_: list[float]
    loss_: float
    best_loss_: float | None
    n_iter_: int
    t_: int
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None
    best_validation_score_: float | None

    _input: InputPreparation
    _target: Standardizer | None
    _optimizer: Any
    _run: dict[str, Any]  # the random state after the last training
    _no_improvement_count: int
    _n_outputs: Any
    n_outputs_: Any
    out_activation_: Any

    def __init__(self, **parameters: Any) -> None:
        for name, value in parameters.items():
            setattr(self, name, value)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the network to the data.

        With ``warm_start=True``, training continues from the network of the last call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The training samples. NaN is a missing number: it becomes the feature's mean. Sparse
            rows become dense float32 rows batch by batch.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The target values: class labels, an indicator matrix of several labels a sample, or
            real numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, at least 0, in the loss, the standardisation and the
            validation. Samples of weight 0 are left out. Default: every sample has weight 1.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            A parameter or the data are not valid.
        FloatingPointError
            The loss became infinite or NaN.
        """
        return self._train(
            X, y, sample_weight, go_on=_flag(self, "warm_start") and hasattr(self, "model_")
        )

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Load an estimator from a file that `fastdrop.save` wrote.

        Nothing of the file is run, other than when a pickle is loaded. The state of the optimiser
        and a generator given as `random_state` are not in the file.

        Parameters
        ----------
        path : str or os.PathLike
            A file written by ``fastdrop.save(estimator, path)``. The command line reads it too, and
            `fastdrop.load` gives a Predictor of it, which needs no scikit-learn.

        Returns
        -------
        self : object
            A fitted estimator that predicts the same.

        Raises
        ------
        ValueError
            The file is truncated, or holds no estimator of this class.
        OSError
            The file cannot be read.
        """
        from fastdrop.sklearn.files import load_estimator

        loaded: Self = load_estimator(cls, path)
        return loaded

    def __fastdrop_model__(self) -> tuple[nn.Module, dict[str, Any]]:
        """The network and the description that `fastdrop.save` writes."""
        from fastdrop.sklearn.files import description

        check_is_fitted(self, "model_")
        return self.model_, description(self)

    # ---- the network as scikit-learn's estimators show it ----

    @property
    def coefs_(self) -> list[npt.NDArray[np.float64]]:
        """Weight matrices of the layers, (n_in, n_out) each, for inputs as they are given to `fit`.

        The standardisation of inputs and targets is part of the first and last layers. Read only:
        ``model_`` holds the weights that predictions use.
        """
        return scikit_learn_weights(self)[0]

    @property
    def intercepts_(self) -> list[npt.NDArray[np.float64]]:
        """Bias vectors of the layers, (n_out,) each, beside ``coefs_``. Read only."""
        return scikit_learn_weights(self)[1]

    @property
    def n_layers_(self) -> int:
        """Number of layers of units, input and output included."""
        return len(self.coefs_) + 1

    # ---- training ----

    def _train(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        go_on: bool,
        partial: bool = False,
    ) -> Self:
        """Train a new network, or the one there is (`go_on`); for one epoch (`partial`)."""
        if _flag(self, "early_stopping") and partial:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=(np.float64, np.float32),
            ensure_all_finite="allow-nan",
            reset=not go_on,
            **self._y_checks,
        )
        y = self._targets(y, known=go_on or partial)
        sample_weight = self._weights(y, sample_weight, partial)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
            # Samples of weight 0 would otherwise take places in batches, and count in the number
            # of samples that scales the penalty.
            if not sample_weight.all():
                X, y, sample_weight = (part[sample_weight > 0] for part in (X, y, sample_weight))
        generator = check_random_state(self.random_state)
        start = int(generator.randint(2**63 - 1, dtype=np.int64))
        parts = [part for part in (X, y, sample_weight) if part is not None]
        held_out: Any = None
        check.choice(self.solver, "solver", SOLVERS)
        recipe = recipe_of(self, X)
        if recipe is not None:
            share = recipe.validation_fraction(len(y))
            parts, held_out = split_validation(share, parts, generator)
        elif self.early_stopping and self.solver != "lbfgs":
            parts, held_out = split_validation(self.validation_fraction, parts, generator)
        if not go_on:
            # If training fails, the old network must not be used with the new standardisation.
            self.__dict__.pop("model_", None)
            self._prepare(*parts)
        with random.own_run(self._run if go_on else start), enable_grad():
            if recipe is not None:
                model, curve, figures, batch = recipe.train(parts, held_out)
            else:
                model = self.model_ if go_on else self._network()
                if not go_on and not partial:  # a first part of the data may lack classes
                    self._begin(model, *parts[1:])
                if go_on:  # the first module of its run, also if it was copied or unpickled
                    random.set_instances({model: 0})
                if self.solver == "lbfgs":
                    curve, figures, batch = self._minimize(model, *parts), {}, len(parts[1])
                    self._optimizer = None
                else:
                    curve, figures, batch = self._descend(model, parts, held_out, go_on, partial)
            self._run = random.get_state()
        self.model_ = model
        self.loss_curve_ = [*(self.loss_curve_ if go_on else ()), *curve]
        self.n_iter_, self.loss_ = len(curve), self.loss_curve_[-1]
        self.t_ = (self.t_ if go_on else 0) + self.n_iter_ * len(parts[1])
        self.validation_scores_ = scores = figures.get(self._score)
        self.validation_loss_curve_ = figures.get("val_loss")
        self.best_validation_score_ = None if scores is None else max(scores)
        self.best_loss_ = min(self.loss_curve_) if scores is None else None
        self._trained(len(parts[1]), batch)
        return self

    def _descend(
        self,
        model: nn.Sequential,
        parts: list[Any],
        held_out: list[Any] | None,
        go_on: bool,
        partial: bool,
    ) -> tuple[list[float], dict[str, list[float]], int]:
        """Train by a stochastic solver: the loss curve, the history and the batch size."""
        size = self.batch_size
        size = 200 if size == "auto" else check.integer(size, "batch_size", 1)
        batch = min(size, len(parts[1]))
        # The penalty counts samples by their weights: weight 2 is as two samples.
        weight = 1.0 if len(parts) < 3 else float(np.mean(parts[2], dtype=np.float64))
        # An estimator that was loaded from a file has no optimiser yet.
        optimizer = getattr(self, "_optimizer", None) if partial and go_on else None
        optimizer = optimizer or make_optimizer(self, model, batch * weight)
        rules = epoch_rules(self, model, len(parts[1]), held_out is not None, go_on, partial)
        data = self._data(parts, batch, _flag(self, "shuffle"))
        dense = isinstance(data, Dataset)  # a loader of sparse rows knows batch size and order
        history = fit(
            model,
            data,
            loss=self._loss(len(parts) > 2),
            optimizer=optimizer,
            epochs=1 if partial else check.integer(self.max_iter, "max_iter", 1),
            validation=None if held_out is None else self._data(held_out),
            metrics=self._metrics(held_out),
            max_norm=self.max_norm,
            thinned=self.thinned,
            progress=False,
            callbacks=rules,
            batch_size=batch if dense else None,
            shuffle=_flag(self, "shuffle"),
        )
        if rules.best_weights is not None:
            model.load_state_dict(rules.best_weights)
        self._no_improvement_count = rules.waited
        self._optimizer = optimizer
        return history["loss"], {name: history[name] for name in history}, batch

    def _minimize(self, model: nn.Sequential, X: Any, y: Any, weight: Any = None) -> list[float]:
        """Train by L-BFGS: the objective after each iteration."""
        check_lbfgs(self, model)
        data: Any = self._data([X, y] if weight is None else [X, y, weight])
        penalty = check.real(self.alpha, "alpha", low=0)
        curve, converged = fit_lbfgs(
            model,
            validation_batches(data, self._input.rows),
            Objective(self._loss(weight is not None), data),
            penalty=penalty / (len(y) if weight is None else float(np.sum(weight))),
            max_iter=check.integer(self.max_iter, "max_iter", 1),
            max_fun=check.integer(self.max_fun, "max_fun", 1),
            tol=check.real(self.tol, "tol", low=0),
            verbose=bool(self.verbose),
        )
        if not converged:
            warnings.warn(
                f"lbfgs did not converge in max_iter={self.max_iter} iterations and "
                f"max_fun={self.max_fun} computations of the loss",
                ConvergenceWarning,
                stacklevel=4,
            )
        return curve

    def _targets(self, y: Any, known: bool) -> np.ndarray:
        """y for training: class numbers (N,), or numbers (N, targets).

        `known`: classes or targets are those of an earlier call.
        """
        raise NotImplementedError

    def _weights(self, y: Any, sample_weight: Any, partial: bool) -> Any:
        """The sample weights for training; `partial`: in `partial_fit`."""
        return sample_weight

    def _loss(self, weighted: bool) -> str | Callable[..., Any]:
        """The loss for `fastdrop.fit`; of each sample if `weighted`."""
        raise NotImplementedError

    def _metrics(self, held_out: list[Any] | None) -> dict[str, Any] | None:
        """More figures of the validation data (X, y, weights)."""
        return None

    def _target_scaling(self, y: Any, weight: Any) -> Standardizer | None:
        """The standardisation of the targets of a regression."""
        return None

    def _prepare(self, X: Any, y: Any, weight: Any = None) -> None:
        """Decide the standardisation of inputs and targets, from the first data."""
        standardize = _flag(self, "standardize")
        self._input = InputPreparation.fit(
            X,
            weight,
            standardize=standardize,
            indicate=_flag(self, "add_indicator"),
            robust=self.preset is not None,
        )
        self._target = self._target_scaling(y, weight) if standardize else None
        if self._is_regression and self._target is None:
            self._target = identity(y.shape[1])

    def _data(
        self,
        parts: list[Any],
        batch: int | None = None,
        shuffle: bool = False,
        drop_last: bool = False,
    ) -> Dataset | DataLoader:
        """(X, y, weights) as data for `fastdrop.fit`."""
        X, y, *weight = parts
        y = y if self._target is None else self._target.transform(y)
        if issparse(X):
            rows = SparseRows(self._input, X, y, *weight)
            return sparse_loader(rows, batch or self._input.rows, shuffle, drop_last)
        data = Dataset(self._input.transform(X), y)
        return data.weighted(weight[0]) if weight else data

    def _network(self) -> nn.Sequential:
        """A new network."""
        sizes: Any = self.hidden_layer_sizes
        sizes = sizes if np.iterable(sizes) else [sizes]
        sizes = [check.integer(size, "hidden_layer_sizes", 1) for size in sizes]
        activation = _ACTIVATIONS[check.choice(self.activation, "activation", _ACTIVATIONS)]
        return models.mlp(
            self._input.width, sizes, self._n_outputs, dropout=self.dropout, activation=activation
        )

    def _begin(self, model: nn.Sequential, y: Any, weight: Any = None) -> None:
        """Set what a new network knows of the training targets y before the first step."""

    def _trained(self, samples: int, batch: int) -> None:
        """Set further attributes after training on so many samples in batches of this size."""

    # ---- prediction ----

    def _checked(self, X: Any) -> Any:
        """X after scikit-learn's validation."""
        check_is_fitted(self, "model_")
        return validate_data(
            self,
            X,
            accept_sparse="csr",
            dtype=(np.float64, np.float32),
            ensure_all_finite="allow-nan",
            reset=False,
        )

    def _outputs(self, X: Any) -> np.ndarray:
        """The network's outputs without dropout, float64 (N, outputs)."""
        X = self._checked(X)
        parts = [predict(self.model_, block) for block in self._input.blocks(X)]
        return np.concatenate(parts).astype(np.float64)

    def _drawn(self, X: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The network's input, and the options of `fastdrop.mc_predict` with our defaults."""
        X = self._checked(X)
        if not may_draw(self.model_):
            raise ValueError(
                "dropout must be above 0 in some layer for the passes to differ, "
                f"got dropout={self.dropout!r} with hidden_layer_sizes={self.hidden_layer_sizes!r}"
            )
        defaults: dict[str, Any] = {
            "samples": check.integer(self.mc_samples, "mc_samples", 1),
            "seed": self._run["seed"],
            "progress": bool(self.verbose),
        }
        return self._input.transform(X), defaults | options

    def _passes(self, X: Any, output: str, options: dict[str, Any]) -> MCPrediction:
        """Monte Carlo passes; `options` are those of `fastdrop.mc_predict`."""
        x, options = self._drawn(X, options)
        return monte_carlo.mc_predict(self.model_, x, **{"output": output} | options)


def has_steps(estimator: BaseDropoutEstimator) -> bool:
    """Whether the solver takes steps, as `partial_fit` needs. AttributeError otherwise."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs a solver that takes steps, not solver='lbfgs'")
    if estimator.preset is not None:
        raise AttributeError(
            f"partial_fit needs preset=None: the schedules of preset={estimator.preset!r} cover a "
            "whole fit"
        )
    return True


def _flag(estimator: BaseDropoutEstimator, name: str) -> bool:
    return check.flag(getattr(estimator, name), name)
