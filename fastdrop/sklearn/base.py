"""Base class of the estimators: parameters, preparation of the data, training, passes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.sparse import issparse  # SciPy is a dependency of scikit-learn
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
from fastdrop.nn.module import may_draw
from fastdrop.predictor.predict import predict
from fastdrop.train.callbacks import EarlyStopping
from fastdrop.train.fit import fit
from fastdrop.uncertainty import monte_carlo
from fastdrop.uncertainty.prediction import MCPrediction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from fastdrop import nn
    from fastdrop._utils.typing import ArrayLike, Float32Array, PathLike
    from fastdrop.train import Epoch

# Samples predicted at a time. Sparse rows are converted to dense rows for one such block only.
_ROWS = 4096
_ACTIVATIONS = {**{name: name for name in models.ACTIVATIONS}, "logistic": "sigmoid"}
_SOLVERS = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD, "rmsprop": optim.RMSprop}


class BaseDropoutEstimator(BaseEstimator):
    """An estimator without targets, loss and predictions, which a subclass adds.

    A subclass defines ``_is_regression`` (whether targets are numbers), ``_y_checks`` (more
    arguments of scikit-learn's validate_data), ``_score`` (the figure of the training history that
    becomes ``validation_scores_``), ``_targets``, ``_loss`` and ``_n_outputs``.
    """

    _is_regression: ClassVar[bool]
    _y_checks: ClassVar[dict[str, Any]]
    _score: ClassVar[str]

    classes_: np.ndarray
    n_features_in_: int
    model_: nn.Sequential
    loss_curve_: list[float]
    loss_: float
    n_iter_: int
    validation_scores_: list[float] | None
    validation_loss_curve_: list[float] | None

    _input: Standardizer
    _target: Standardizer | None
    _optimizer: Any
    _run: dict[str, Any]  # the random state after the last training
    _n_outputs: Any

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        dropout: float | Sequence[float] = 0.5,
        solver: str = "adam",
        alpha: float = 0.0001,
        max_norm: float | None = None,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        standardize: bool = True,
        mc_samples: int = 50,
        thinned: str | None = None,
    ) -> None:
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
        self.thinned = thinned

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the network to the data.

        With ``warm_start=True``, training continues from the network of the last call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The training samples. Sparse rows become dense float32 rows.
        y : array-like of shape (n_samples,) or, for a regression, (n_samples, n_outputs)
            The target values: class labels, or real numbers.
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
        held_out = None
        if self.early_stopping:
            parts, held_out = self._split(parts, generator)
        if not go_on:
            # If training fails, the old network must not be used with the new standardisation.
            self.__dict__.pop("model_", None)
            self._prepare(*parts)
        with random.own_run(self._run if go_on else start), enable_grad():
            model = self.model_ if go_on else self._network()
            if not go_on and not partial:  # a first part of the data may lack classes
                self._begin(model, *parts[1:])
            if go_on:  # the first module of its run, also if it was copied or unpickled
                random.set_instances({model: 0})
            size = self.batch_size
            size = 200 if size == "auto" else check.integer(size, "batch_size", 1)
            batch = min(size, len(parts[1]))
            # The penalty counts samples by their weights: weight 2 is as two samples.
            weight = 1.0 if sample_weight is None else float(np.mean(parts[2], dtype=np.float64))
            # An estimator that was loaded from a file has no optimiser yet.
            optimizer = getattr(self, "_optimizer", None) if partial and go_on else None
            optimizer = optimizer or self._solver(model, batch * weight)
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
                thinned=self.thinned,
                progress=bool(self.verbose),
                **options,
            )
            self._run = random.get_state()
        self.model_, self._optimizer = model, optimizer
        self.loss_curve_ = [*(self.loss_curve_ if go_on else ()), *history["loss"]]
        self.n_iter_, self.loss_ = len(history["loss"]), self.loss_curve_[-1]
        self.validation_scores_ = history.get(self._score)
        self.validation_loss_curve_ = history.get("val_loss")
        self._trained(len(parts[1]), batch)
        return self

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

    def _split(self, parts: list[Any], generator: Any) -> tuple[list[Any], list[Any]]:
        """Split (X, y, weights) into training and validation data."""
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
                "validation_fraction must leave at least two samples for validation and one for "
                "training, "
                f"got {fraction} of {len(y)} sample{'s' * (len(y) > 1)}"
            )
        if not self._is_regression:
            counts = np.unique(y, return_counts=True)[1]
            # Both parts need at least one sample of each class to keep the classes' shares.
            if min(counts) > 1 and len(counts) <= min(held, len(y) - held):
                strata = y
        found = train_test_split(*parts, test_size=held, random_state=generator, stratify=strata)
        return found[::2], found[1::2]

    def _stopping(self, held_out: list[Any] | None) -> dict[str, Any]:
        """The arguments of `fastdrop.fit` that decide when training stops."""
        patience = check.integer(self.n_iter_no_change, "n_iter_no_change", 1)
        tol = check.real(self.tol, "tol", low=0)
        if held_out is None:
            return {"callbacks": _Plateau(patience, tol)}
        return {
            "validation": self._data(*held_out),
            "early_stopping": EarlyStopping(patience, "val_loss", tol),
        }

    def _prepare(self, X: Any, y: Any, weight: Any = None) -> None:
        """Decide the standardisation of inputs and targets, from the first data."""
        scaler = _standardizer if _flag(self, "standardize") else _identity
        self._input = scaler(X, weight)
        self._target = scaler(y, weight) if self._is_regression else None

    def _inputs(self, X: Any) -> Float32Array:
        """X for the network: dense, standardised, float32."""
        if not issparse(X):
            return self._input.transform(X)
        out = np.empty(X.shape, np.float32)
        for i in range(0, X.shape[0], _ROWS):
            out[i : i + _ROWS] = self._input.transform(X[i : i + _ROWS].toarray())
        return out

    def _data(self, X: Any, y: Any, weight: Any = None) -> Dataset:
        """A data set for `fastdrop.fit`."""
        data = Dataset(self._inputs(X), y if self._target is None else self._target.transform(y))
        return data if weight is None else data.weighted(weight)

    def _network(self) -> nn.Sequential:
        """A new network."""
        sizes: Any = self.hidden_layer_sizes
        sizes = sizes if np.iterable(sizes) else [sizes]
        sizes = [check.integer(size, "hidden_layer_sizes", 1) for size in sizes]
        activation = _ACTIVATIONS[check.choice(self.activation, "activation", _ACTIVATIONS)]
        return models.mlp(
            self.n_features_in_, sizes, self._n_outputs, dropout=self.dropout, activation=activation
        )

    def _begin(self, model: nn.Sequential, y: Any, weight: Any = None) -> None:
        """Set what a new network knows of the training targets y before the first step."""

    def _solver(self, model: nn.Module, batch: float) -> Any:
        """The optimiser. `batch` is the sum of the sample weights of a full batch, on average."""
        kind = _SOLVERS[check.choice(self.solver, "solver", _SOLVERS)]
        options: dict[str, Any] = {
            "lr": check.real(self.learning_rate_init, "learning_rate_init", low=0, open_low=True)
        }
        if kind is optim.SGD:
            momentum = check.real(self.momentum, "momentum", low=0, high=1)
            options |= {
                "momentum": momentum,
                "nesterov": _flag(self, "nesterovs_momentum") and momentum > 0,
            }
        # The gradient of the penalty alpha / 2 |W|^2 / batch is alpha / batch W.
        decay = check.real(self.alpha, "alpha", low=0) / batch
        weights = [p for p in model.parameters() if p.ndim == 2]
        biases = [p for p in model.parameters() if p.ndim != 2]
        return kind(
            [{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}],
            **options,
        )

    def _trained(self, samples: int, batch: int) -> None:
        """Set further attributes after training on so many samples in batches of this size."""

    # ---- prediction ----

    def _checked(self, X: Any) -> Any:
        """X after scikit-learn's validation."""
        check_is_fitted(self, "model_")
        return validate_data(
            self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False
        )

    def _outputs(self, X: Any) -> np.ndarray:
        """The network's outputs without dropout, float64 (N, outputs)."""
        X = self._checked(X)
        parts = [
            predict(self.model_, self._inputs(X[i : i + _ROWS]))
            for i in range(0, X.shape[0], _ROWS)
        ]
        return np.concatenate(parts).astype(np.float64)

    def _passes(self, X: Any, output: str, options: dict[str, Any]) -> MCPrediction:
        """Monte Carlo passes; `options` are those of `fastdrop.mc_predict`."""
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
        return monte_carlo.mc_predict(
            self.model_, self._inputs(X), output=output, **defaults | options
        )


class _Plateau:
    """A callback that stops training on a plateau of the training loss.

    A plateau is more than `patience` epochs in a row without an improvement by `tol`.
    """

    def __init__(self, patience: int, tol: float) -> None:
        self.patience, self.tol = patience, tol
        self.best, self.waited = np.inf, 0

    def __call__(self, epoch: Epoch) -> None:
        loss = epoch.figures["loss"]
        self.waited = self.waited + 1 if loss > self.best - self.tol else 0
        self.best = min(self.best, loss)
        epoch.stop = self.waited > self.patience


def _standardizer(x: Any, weight: Any) -> Standardizer:
    """The standardisation of dense or sparse x."""
    if not issparse(x):
        return Standardizer.fit(x, weight)
    # scikit-learn's scaler needs no dense copy of x.
    found = StandardScaler(with_mean=False).fit(x, sample_weight=weight)
    return Standardizer(found.mean_, found.scale_)


def _identity(x: Any, weight: Any) -> Standardizer:
    """A standardisation that changes nothing."""
    return Standardizer(np.zeros(x.shape[1]), np.ones(x.shape[1]))


def _flag(estimator: BaseDropoutEstimator, name: str) -> bool:
    return check.flag(getattr(estimator, name), name)
