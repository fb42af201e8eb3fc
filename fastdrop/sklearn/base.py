"""What the estimators share: parameters, preparation of the data, training, passes."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import issparse  # which scikit-learn brings
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from fastdrop import models, optim, random
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import enable_grad
from fastdrop.data import Dataset, Standardizer
from fastdrop.predictor.predict import predict
from fastdrop.train import fit
from fastdrop.train.callbacks import EarlyStopping
from fastdrop.uncertainty import monte_carlo
from fastdrop.uncertainty.prediction import MCPrediction

_ROWS = 4096  # samples predicted at a time; sparse ones are dense only so long
_ACTIVATIONS = {**{name: name for name in models.ACTIVATIONS}, "logistic": "sigmoid"}
_SOLVERS = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD, "rmsprop": optim.RMSprop}


class DropoutNet(BaseEstimator):
    """The estimator but for its targets, its loss and the words for its predictions. A subclass has

    _is_regression, _y_checks, _score : whether targets are numbers, more for scikit-learn's validation, a figure of the history
    _targets(y, known) : y as it is trained on, class numbers (N,) or numbers (N, targets); known: whether classes or targets are settled
    _loss(weighted), _n_outputs : of the network
    """

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        dropout=0.5,
        solver="adam",
        alpha=0.0001,
        max_norm=None,
        batch_size="auto",
        learning_rate_init=0.001,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        standardize=True,
        mc_samples=50,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.solver = solver
        self.alpha = alpha
        self.max_norm = max_norm
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.standardize = standardize
        self.mc_samples = mc_samples

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X, y, sample_weight=None):
        """Train on all of X; with ``warm_start=True`` from where the last training ended.

        Parameters
        ----------
        X : array or sparse matrix (N, features)
            Sparse rows become dense float32 rows.
        y : array (N,), or for a regression also (N, outputs)
        sample_weight : array (N,), optional
            How much each sample counts, at least 0: in the loss, the standardisation and the validation. Samples of weight 0 are left out.

        Returns
        -------
        self
        """
        return self._train(
            X, y, sample_weight, go_on=_flag(self, "warm_start") and hasattr(self, "model_")
        )

    # ---- training ----

    def _train(self, X, y, sample_weight, *, go_on, partial=False):
        if _flag(self, "early_stopping") and partial:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=(np.float64, np.float32),
            reset=not go_on,
            **self._y_checks,
        )
        y = self._targets(y, known=go_on or partial)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
            if (
                not sample_weight.all()
            ):  # left out altogether: else they would take places in batches and in the penalty's N
                X, y, sample_weight = (part[sample_weight > 0] for part in (X, y, sample_weight))
        generator = check_random_state(self.random_state)
        start = int(generator.randint(2**63 - 1, dtype=np.int64))
        parts = [part for part in (X, y, sample_weight) if part is not None]
        held_out = None
        if self.early_stopping:
            parts, held_out = self._split(parts, generator)
        if not go_on:
            self.__dict__.pop(
                "model_", None
            )  # should training fail: the old network does not go with the new preparation
            self._prepare(*parts)
        with random.own_run(self._run if go_on else start), enable_grad():
            model = self.model_ if go_on else self._network()
            batch = min(
                200
                if self.batch_size == "auto"
                else check.integer(self.batch_size, "batch_size", 1),
                len(parts[1]),
            )
            optimizer = self._optimizer if partial and go_on else self._solver(model, batch)
            options = self._stopping(held_out) if not partial else {}
            history = fit(
                model,
                self._data(*parts),
                loss=self._loss(sample_weight is not None),
                optimizer=optimizer,
                batch_size=batch,
                epochs=1 if partial else check.integer(self.max_iter, "max_iter", 1),
                shuffle=_flag(self, "shuffle"),
                max_norm=self.max_norm,
                progress=bool(self.verbose),
                **options,
            )
            self._run = random.get_state()
        self.model_, self._optimizer = model, optimizer
        self.loss_curve_ = [*(self.loss_curve_ if go_on else ()), *history["loss"]]
        self.n_iter_, self.loss_ = len(self.loss_curve_), self.loss_curve_[-1]
        self.validation_scores_, self.validation_loss_curve_ = (
            history.get(self._score),
            history.get("val_loss"),
        )
        self._trained(len(parts[1]), batch)
        return self

    def _split(self, parts, generator):
        """The parts (X, y, weights) cut into those to train on and those to look at."""
        fraction = check.real(
            self.validation_fraction,
            "validation_fraction",
            low=0,
            high=1,
            open_low=True,
            open_high=True,
        )
        y, strata = parts[1], None
        held = math.ceil(fraction * len(y))
        if not 2 <= held < len(y):
            raise ValueError(
                "validation_fraction must leave at least two samples to look at and one to train on, "
                f"got {fraction} of {len(y)} sample{'s' * (len(y) > 1)}"
            )
        if not self._is_regression:
            counts = np.unique(y, return_counts=True)[1]
            if min(counts) > 1 and len(counts) <= min(
                held, len(y) - held
            ):  # else the classes have no shares to keep
                strata = y
        found = train_test_split(*parts, test_size=held, random_state=generator, stratify=strata)
        return found[::2], found[1::2]

    def _stopping(self, held_out) -> dict:
        """What `fit` is told about when to stop."""
        patience, tol = (
            check.integer(self.n_iter_no_change, "n_iter_no_change", 1),
            check.real(self.tol, "tol", low=0),
        )
        if held_out is None:
            return {"callbacks": _Plateau(patience, tol)}
        return {
            "validation": self._data(*held_out),
            "early_stopping": EarlyStopping(patience, "val_loss", tol),
        }

    def _prepare(self, X, y, weight=None):
        """How inputs and targets are standardised, from the first data that are seen."""
        scaler = _standardizer if _flag(self, "standardize") else _unchanged
        self._input = scaler(X, weight)
        self._target = scaler(y, weight) if self._is_regression else None

    def _inputs(self, X) -> np.ndarray:
        """X as the network sees it: dense, standardised, float32."""
        if not issparse(X):
            return self._input.transform(X)
        out = np.empty(X.shape, np.float32)
        for i in range(0, X.shape[0], _ROWS):
            out[i : i + _ROWS] = self._input.transform(X[i : i + _ROWS].toarray())
        return out

    def _data(self, X, y, weight=None) -> Dataset:
        data = Dataset(self._inputs(X), self._target.transform(y) if self._is_regression else y)
        return data if weight is None else data.weighted(weight)

    def _network(self):
        sizes = (
            self.hidden_layer_sizes
            if np.iterable(self.hidden_layer_sizes)
            else [self.hidden_layer_sizes]
        )
        sizes = [check.integer(size, "hidden_layer_sizes", 1) for size in sizes]
        activation = _ACTIVATIONS[check.choice(self.activation, "activation", _ACTIVATIONS)]
        return models.mlp(
            self.n_features_in_, sizes, self._n_outputs, dropout=self.dropout, activation=activation
        )

    def _solver(self, model, batch):
        kind = _SOLVERS[check.choice(self.solver, "solver", _SOLVERS)]
        options = {
            "lr": check.real(self.learning_rate_init, "learning_rate_init", low=0, open_low=True)
        }
        if kind is optim.SGD:
            momentum = check.real(self.momentum, "momentum", low=0, high=1)
            options |= {
                "momentum": momentum,
                "nesterov": _flag(self, "nesterovs_momentum") and momentum > 0,
            }
        decay = (
            check.real(self.alpha, "alpha", low=0) / batch
        )  # the gradient of alpha / 2 |W|^2 / batch
        weights, biases = (
            [p for p in model.parameters() if (p.ndim == 2) == matrix] for matrix in (True, False)
        )
        return kind(
            [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}],
            **options,
        )

    def _trained(self, samples, batch):
        """What else follows from the training."""

    # ---- prediction ----

    def _checked(self, X):
        check_is_fitted(self, "model_")
        return validate_data(
            self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False
        )

    def _outputs(self, X) -> np.ndarray:
        """What the network says with all units, float64 (N, outputs)."""
        X = self._checked(X)
        parts = [
            predict(self.model_, self._inputs(X[i : i + _ROWS]))
            for i in range(0, X.shape[0], _ROWS)
        ]
        return np.concatenate(parts).astype(np.float64)

    def _passes(self, X, output, options) -> MCPrediction:
        X = self._checked(X)
        if not any(module.n_sites for module in self.model_.modules()):
            raise ValueError(
                "dropout must be above 0 in some layer for the passes to differ, "
                f"got dropout={self.dropout!r} with hidden_layer_sizes={self.hidden_layer_sizes!r}"
            )
        given = {
            "samples": check.integer(self.mc_samples, "mc_samples", 1),
            "seed": self._run["seed"],
            "progress": bool(self.verbose),
        }
        return monte_carlo.mc_predict(
            self.model_, self._inputs(X), output=output, **given | options
        )


class _Plateau:
    """A callback that stops when the training loss has not improved by tol for more than `patience` epochs in a row."""

    def __init__(self, patience, tol):
        self.patience, self.tol, self.best, self.waited = patience, tol, np.inf, 0

    def __call__(self, epoch):
        loss = epoch.figures["loss"]
        self.waited = self.waited + 1 if loss > self.best - self.tol else 0
        self.best = min(self.best, loss)
        epoch.stop = self.waited > self.patience


def _standardizer(x, weight):
    if not issparse(x):
        return Standardizer.fit(x, weight)
    found = StandardScaler(with_mean=False).fit(x, sample_weight=weight)  # which needs no dense x
    return Standardizer(found.mean_, found.scale_)


def _unchanged(x, weight):
    return Standardizer(np.zeros(x.shape[1]), np.ones(x.shape[1]))


def _flag(estimator, name):
    return check.flag(getattr(estimator, name), name)
