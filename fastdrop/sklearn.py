"""scikit-learn estimators: networks with dropout that predict, and say how sure they are.

`DropoutClassifier` and `DropoutRegressor` keep the parameters of scikit-learn's MLPClassifier and MLPRegressor and go wherever an estimator
goes: pipelines, searches, cross-validation, calibration. What they add is ``dropout``, and `predict_uncertainty`.
"""

from __future__ import annotations

from numbers import Real

import numpy as np

try:
    from scipy.sparse import issparse  # which scikit-learn brings
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.metrics import r2_score
    from sklearn.model_selection import train_test_split
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(f"fastdrop.sklearn needs scikit-learn 1.6 or newer ({error}): pip install 'fastdrop[sklearn]'") from None

from fastdrop import _arrays, functional, mc, models, optim, random
from fastdrop.arithmetic import log_softmax_of, softmax_of
from fastdrop.data import Dataset, Standardizer
from fastdrop.evaluation import predict
from fastdrop.loop import EarlyStopping
from fastdrop.prediction import MCPrediction, positive
from fastdrop.tensor import enable_grad
from fastdrop.train import fit

__all__ = ["DropoutClassifier", "DropoutRegressor"]

_ROWS = 4096  # samples predicted at a time; sparse ones are dense only so long
_ACTIVATIONS = {**{name: name for name in models.ACTIVATIONS}, "logistic": "sigmoid"}
_SOLVERS = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD, "rmsprop": optim.RMSprop}


class _DropoutNet(BaseEstimator):
    """What the two share: parameters, preparation of the data, training."""

    def __init__(self, hidden_layer_sizes=(100,), activation="relu", *, dropout=0.5, solver="adam", alpha=0.0001, max_norm=None,
                 batch_size="auto", learning_rate_init=0.001, max_iter=200, shuffle=True, random_state=None, tol=1e-4, verbose=False,
                 warm_start=False, momentum=0.9, nesterovs_momentum=True, early_stopping=False, validation_fraction=0.1,
                 n_iter_no_change=10, standardize=True, mc_samples=50):
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

    def fit(self, X, y, sample_weight=None):  # noqa: N803 (scikit-learn's name, as below)
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
        return self._train(X, y, sample_weight, go_on=_flag(self, "warm_start") and hasattr(self, "model_"))

    # ---- training ----

    def _train(self, X, y, sample_weight, *, go_on, partial=False):  # noqa: N803
        if _flag(self, "early_stopping") and partial:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=(np.float64, np.float32), reset=not go_on, **self._y_checks)
        y = self._targets(y, known=go_on or partial)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
            if not sample_weight.all():  # left out altogether: else they would take places in batches and in the penalty's N
                X, y, sample_weight = (part[sample_weight > 0] for part in (X, y, sample_weight))
        generator = check_random_state(self.random_state)
        start = int(generator.randint(2**63 - 1, dtype=np.int64))
        parts = [part for part in (X, y, sample_weight) if part is not None]
        held_out = None
        if self.early_stopping:
            parts, held_out = self._split(parts, generator)
        if not go_on:
            self.__dict__.pop("model_", None)  # should training fail: the old network does not go with the new preparation
            self._prepare(*parts)
        with random.own_run(self._run if go_on else start), enable_grad():
            model = self.model_ if go_on else self._network()
            batch = min(200 if self.batch_size == "auto" else _arrays.integer(self.batch_size, "batch_size", 1), len(parts[1]))
            optimizer = self._optimizer if partial and go_on else self._solver(model, batch)
            options = self._stopping(held_out) if not partial else {}
            history = fit(model, self._data(*parts), loss=self._loss(sample_weight is not None), optimizer=optimizer, batch_size=batch,
                          epochs=1 if partial else _arrays.integer(self.max_iter, "max_iter", 1), shuffle=_flag(self, "shuffle"),
                          max_norm=self.max_norm, progress=bool(self.verbose), **options)
            self._run = random.get_state()
        self.model_, self._optimizer = model, optimizer
        self.loss_curve_ = [*(self.loss_curve_ if go_on else ()), *history["loss"]]
        self.n_iter_, self.loss_ = len(self.loss_curve_), self.loss_curve_[-1]
        self.validation_scores_, self.validation_loss_curve_ = history.get(self._score), history.get("val_loss")
        self._trained(len(parts[1]), batch)
        return self

    def _split(self, parts, generator):
        """The parts (X, y, weights) cut into those to train on and those to look at."""
        fraction = _arrays.real(self.validation_fraction, "validation_fraction", low=0, high=1, open_low=True, open_high=True)
        found = train_test_split(*parts, test_size=fraction, random_state=generator, stratify=self._strata(parts[1]))
        if len(found[3]) < 2:
            raise ValueError(f"validation_fraction must leave at least two samples to look at, got {fraction} of {len(parts[1])}")
        return found[::2], found[1::2]

    def _stopping(self, held_out) -> dict:
        """What `fit` is told about when to stop."""
        patience, tol = _arrays.integer(self.n_iter_no_change, "n_iter_no_change", 1), _arrays.real(self.tol, "tol", low=0)
        if held_out is None:
            return {"callbacks": _Plateau(patience, tol)}
        return {"validation": self._data(*held_out), "early_stopping": EarlyStopping(patience, "val_loss", tol)}

    def _prepare(self, X, y, weight=None):  # noqa: N803
        """How inputs and targets are standardised, from the first data that are seen."""
        scaler = _standardizer if _flag(self, "standardize") else _unchanged
        self._input = scaler(X, weight)
        self._target = scaler(y, weight) if self._is_regression else None

    def _inputs(self, X) -> np.ndarray:  # noqa: N803
        """X as the network sees it: dense, standardised, float32."""
        if not issparse(X):
            return self._input.transform(X)
        out = np.empty(X.shape, np.float32)
        for i in range(0, X.shape[0], _ROWS):
            out[i:i + _ROWS] = self._input.transform(X[i:i + _ROWS].toarray())
        return out

    def _data(self, X, y, weight=None) -> Dataset:  # noqa: N803
        data = Dataset(self._inputs(X), self._target.transform(y) if self._is_regression else y)
        return data if weight is None else data.weighted(weight)

    def _network(self):
        sizes = self.hidden_layer_sizes if np.iterable(self.hidden_layer_sizes) else [self.hidden_layer_sizes]
        sizes = [_arrays.integer(size, "hidden_layer_sizes", 1) for size in sizes]
        activation = _ACTIVATIONS[_arrays.choice(self.activation, "activation", _ACTIVATIONS)]
        return models.mlp(self.n_features_in_, sizes, self._n_outputs, dropout=self.dropout, activation=activation)

    def _solver(self, model, batch):
        kind = _SOLVERS[_arrays.choice(self.solver, "solver", _SOLVERS)]
        options = {"lr": _arrays.real(self.learning_rate_init, "learning_rate_init", low=0, open_low=True)}
        if kind is optim.SGD:
            momentum = _arrays.real(self.momentum, "momentum", low=0, high=1)
            options |= {"momentum": momentum, "nesterov": _flag(self, "nesterovs_momentum") and momentum > 0}
        decay = _arrays.real(self.alpha, "alpha", low=0) / batch  # the gradient of alpha / 2 |W|^2 / batch
        weights, biases = ([p for p in model.parameters() if (p.ndim == 2) == matrix] for matrix in (True, False))
        return kind([{"params": weights, "weight_decay": decay}, {"params": biases, "weight_decay": 0.0}], **options)

    def _trained(self, samples, batch):
        """What else follows from the training."""

    # ---- prediction ----

    def _checked(self, X):  # noqa: N803
        check_is_fitted(self, "model_")
        return validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)

    def _outputs(self, X) -> np.ndarray:  # noqa: N803
        """What the network says with all units, float64 (N, outputs)."""
        X = self._checked(X)
        parts = [predict(self.model_, self._inputs(X[i:i + _ROWS])) for i in range(0, X.shape[0], _ROWS)]
        return np.concatenate(parts).astype(np.float64)

    def _passes(self, X, output, options) -> MCPrediction:  # noqa: N803
        X = self._checked(X)
        if not any(module.n_sites for module in self.model_.modules()):
            raise ValueError(f"dropout must be above 0 somewhere for predictions to differ, got {self.dropout!r}")
        given = {"samples": _arrays.integer(self.mc_samples, "mc_samples", 1), "seed": self._run["seed"], "progress": bool(self.verbose)}
        return mc.mc_predict(self.model_, self._inputs(X), output=output, **given | options)


class DropoutClassifier(ClassifierMixin, _DropoutNet):
    """A multilayer perceptron with dropout that classifies.

    Trained on the cross-entropy of the softmax of its outputs, one for each class. Given `random_state`, the trained network is bitwise the
    same in any process, whatever ran before and with any number of threads; the seed of `fastdrop.manual_seed` is neither used nor changed.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int
        Width of each hidden layer.
    activation : {"relu", "leaky_relu", "sigmoid" (also "logistic"), "tanh", "selu", "silu", "gelu"}
    dropout : float in [0, 1], or sequence of float
        The share of units that are dropped in training. One number: the rate of each hidden layer, none on the input. A sequence:
        the input's rate, then one for each hidden layer, as in ``(0.2, 0.5)`` for one hidden layer.
    solver : {"adam", "adamw", "sgd", "rmsprop"}
    alpha : float
        Strength of the L2 penalty alpha / 2 * |W|^2 / batch size on the weights, without biases, as in MLPClassifier. With "adamw" weights
        decay at the rate alpha / batch size instead.
    max_norm : float, optional
        Limit on the L2 norm of each unit's incoming weights (2 to 4 is usual).
    batch_size : int or "auto"
        Samples a step; "auto": min(200, N).
    learning_rate_init : float
        The step size.
    max_iter : int
        Epochs. There is no warning when training ends here: with dropout that is the ordinary case.
    shuffle : bool
        A new order each epoch.
    random_state : int, RandomState or None
        Of initial weights, masks, shuffling and the validation split.
    tol, n_iter_no_change : float, int
        Training stops when the loss (with `early_stopping` that of the validation data) has not improved by tol for so many epochs in a row.
    verbose : bool
        Show progress on stderr.
    warm_start : bool
        `fit` goes on from the network that is there, standardised as at first; the parameters of its layers stay.
    momentum, nesterovs_momentum : float, bool
        Of the solver "sgd".
    early_stopping : bool
        Set `validation_fraction` of the data aside (classes in their shares), stop by the loss on it, and put back the weights that were
        best there.
    validation_fraction : float
    standardize : bool
        Give every feature zero mean and unit variance first; networks need it. False: X is on such a scale already.
    mc_samples : int
        Passes of `predict_uncertainty`.

    Attributes
    ----------
    classes_ : array of the labels, in the order of the columns of `predict_proba`
    model_ : fastdrop Module
        From standardised inputs to scores; for `fastdrop.save` and other functions of fastdrop.
    n_features_in_, feature_names_in_
    n_iter_ : int
        Epochs so far, those of a warm start and of `partial_fit` included.
    loss_curve_ : list of float
        Training loss of each epoch, with dropout, without the penalty; `loss_` is the last.
    validation_scores_, validation_loss_curve_ : list of float, or None without `early_stopping`
        Accuracy and loss on the validation data after each epoch of the last `fit`.

    References
    ----------
    Srivastava et al., JMLR 15, 2014; Gal and Ghahramani, "Dropout as a Bayesian approximation", ICML 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> x, y = load_digits(return_X_y=True)
    >>> net = DropoutClassifier(max_iter=30, random_state=0).fit(x[:1500], y[:1500])
    >>> bool(net.score(x[1500:], y[1500:]) > 0.9)
    True
    >>> net.predict_uncertainty(x[1500:]).mutual_information.shape
    (297,)
    """

    _is_regression = False
    _y_checks: dict = {}
    _score = "val_accuracy"

    def partial_fit(self, X, y, classes=None, sample_weight=None):  # noqa: N803
        """One epoch over these data, with the optimiser where it was; the first call decides the standardisation.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array
            All labels that will come; needed in the first call.
        """
        _check_partial_fit_first_call(self, classes)
        return self._train(X, y, sample_weight, go_on=hasattr(self, "model_"), partial=True)

    def _targets(self, y, known):
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        found, numbers = np.unique(y, return_inverse=True)
        if not known:
            if len(found) < 2:
                raise ValueError(f"y must hold at least two classes, got one class: {found[0]!r}")
            self.classes_ = found
        elif not np.isin(found, self.classes_).all():
            raise ValueError(f"y must hold classes among those of the first fit, {self.classes_}, got {found}")
        return np.searchsorted(self.classes_, found)[numbers].astype(np.int64)

    def _strata(self, y):
        return y

    def _loss(self, weighted):
        return "cross_entropy"

    @property
    def _n_outputs(self):
        return len(self.classes_)

    def predict(self, X):  # noqa: N803
        """The likeliest label of each sample, by `predict_proba`: (N,)."""
        chosen = self._outputs(X).argmax(1)
        return self.classes_[chosen]

    def predict_proba(self, X):  # noqa: N803
        """Probability of each class from one pass with all units (Srivastava's weight scaling): float64 (N, classes).

        The average over random thinned networks is ``predict_uncertainty(X).mean``: it takes mc_samples times as long, and is less sure
        where there were no data.
        """
        return softmax_of(self._outputs(X), 1)

    def predict_log_proba(self, X):  # noqa: N803
        """The logarithm of `predict_proba`, finite also where that rounds to 0."""
        return log_softmax_of(self._outputs(X), 1)

    def predict_uncertainty(self, X, **options) -> MCPrediction:  # noqa: N803
        """How sure the network is, from mc_samples passes with random masks, which follow from `random_state`.

        Parameters
        ----------
        X : array or sparse matrix (N, features)
        **options
            Of `fastdrop.mc_predict`: samples, seed, masks, tolerance, keep ...

        Returns
        -------
        MCPrediction : mean, std (N, classes), entropy, expected_entropy, mutual_information, variation_ratio (N,) ...

        Raises
        ------
        ValueError
            No layer has dropout.
        """
        return self._passes(X, "softmax", options)


class DropoutRegressor(RegressorMixin, _DropoutNet):
    """A multilayer perceptron with dropout for one or several real targets.

    Trained on half the squared error, summed over the targets and averaged over the samples, of standardised targets.

    Parameters
    ----------
    hidden_layer_sizes, ..., mc_samples
        Those of `DropoutClassifier`; ``standardize=True`` also standardises each target.
    tau : float, optional
        Precision of the noise of y, in its units: 1 / tau is added to the variance of the passes.
    length_scale : float, optional
        Instead of tau: the prior length scale l, from which tau = l^2 (1 - p) / (2 N lambda) in units of the standardised y, where p is the one
        rate of all layers with dropout and lambda = alpha / (2 batch size) the factor of |W|^2 in the objective. With tau and length_scale
        None the predicted deviation is that of the passes alone: how unsure the network is, without the noise of y.

    Attributes
    ----------
    tau_ : float, array (one for each target), or None
        The precision of the noise in y's units.
    model_, n_features_in_, feature_names_in_, n_iter_, loss_curve_, loss_, validation_loss_curve_
        As for `DropoutClassifier`.
    validation_scores_ : list of float or None
        R^2 on the validation data.

    References
    ----------
    Srivastava et al., JMLR 15, 2014; Gal and Ghahramani, "Dropout as a Bayesian approximation", ICML 2016.
    """

    _is_regression = True
    _y_checks = {"multi_output": True, "y_numeric": True}
    _score = "val_r2"

    def __init__(self, hidden_layer_sizes=(100,), activation="relu", *, dropout=0.5, solver="adam", alpha=0.0001, max_norm=None,
                 batch_size="auto", learning_rate_init=0.001, max_iter=200, shuffle=True, random_state=None, tol=1e-4, verbose=False,
                 warm_start=False, momentum=0.9, nesterovs_momentum=True, early_stopping=False, validation_fraction=0.1,
                 n_iter_no_change=10, standardize=True, mc_samples=50, tau=None, length_scale=None):
        super().__init__(
            hidden_layer_sizes, activation, dropout=dropout, solver=solver, alpha=alpha, max_norm=max_norm, batch_size=batch_size,
            learning_rate_init=learning_rate_init, max_iter=max_iter, shuffle=shuffle, random_state=random_state, tol=tol,
            verbose=verbose, warm_start=warm_start, momentum=momentum, nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping, validation_fraction=validation_fraction, n_iter_no_change=n_iter_no_change,
            standardize=standardize, mc_samples=mc_samples)
        self.tau = tau
        self.length_scale = length_scale

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def partial_fit(self, X, y, sample_weight=None):  # noqa: N803
        """One epoch over these data, with the optimiser where it was; the first call decides the standardisation."""
        return self._train(X, y, sample_weight, go_on=hasattr(self, "model_"), partial=True)

    def _targets(self, y, known):
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if known and hasattr(self, "model_") and outputs != self._n_outputs:
            raise ValueError(f"y must have the {self._n_outputs} targets of the first fit, got {outputs}")
        self._n_outputs, self._flat = outputs, y.ndim == 1
        return y.reshape(len(y), -1)

    def _strata(self, y):
        return None

    def _loss(self, weighted):
        return _half_squares if weighted else _mean_half_squares

    def _stopping(self, held_out):
        weight = None if held_out is None or len(held_out) < 3 else held_out[2]
        return super()._stopping(held_out) | {"metrics": {"r2": lambda output, target: r2_score(target, output, sample_weight=weight)}}

    def _train(self, X, y, sample_weight, **options):  # noqa: N803
        if self.tau is not None:
            positive(self.tau, "tau")
            if self.length_scale is not None:
                raise ValueError(f"length_scale must be None where tau is given, got {self.length_scale!r}")
        elif self.length_scale is not None:
            positive(self.length_scale, "length_scale")
            if not (isinstance(self._rate(), Real) and 0 < self._rate() < 1 and self.alpha > 0):
                raise ValueError("length_scale must be None, or dropout one rate between 0 and 1 for all layers that have it, and alpha positive, "
                                 f"got dropout={self.dropout!r} and alpha={self.alpha!r}")
        return super()._train(X, y, sample_weight, **options)

    def _rate(self):
        """The one rate of all layers with dropout, or None."""
        rates = [p for p in (self.dropout if np.iterable(self.dropout) else [self.dropout]) if p != 0]
        return rates[0] if rates and all(p == rates[0] for p in rates) else None

    def _trained(self, samples, batch):
        self.tau_ = self.tau
        if self.length_scale is not None:
            tau = self.length_scale**2 * (1 - self._rate()) * batch / (samples * self.alpha) / self._target.scale**2
            self.tau_ = tau.item() if self._flat else tau

    def predict(self, X, return_std=False):  # noqa: N803
        """The targets: (N,), or (N, targets) where y had two axes.

        Parameters
        ----------
        X : array or sparse matrix (N, features)
        return_std : bool
            False: from one pass with all units. True: the pair (mean, standard deviation) over mc_samples passes with random masks, in y's
            units, both of the targets' shape. The deviation is sqrt(variance of the passes + 1 / tau), without tau that of the passes.
        """
        if not return_std:
            return self._shaped(self._outputs(X) * self._target.scale + self._target.mean)
        found = self.predict_uncertainty(X)
        return self._shaped(found.mean), self._shaped(np.sqrt(found.variance if self.tau_ is None else found.total_variance))

    def predict_uncertainty(self, X, **options) -> MCPrediction:  # noqa: N803
        """How sure the network is, from mc_samples passes with random masks, which follow from `random_state`.

        Parameters
        ----------
        X : array or sparse matrix (N, features)
        **options
            Of `fastdrop.mc_predict`: samples, seed, masks, tolerance, keep (for quantiles and the likelihood) ...

        Returns
        -------
        MCPrediction : mean, std, epistemic, with a tau also aleatoric and total_variance; float64 (N, targets), in y's units

        Raises
        ------
        ValueError
            No layer has dropout.
        """
        tau = options.pop("tau", self.tau_)
        found = self._passes(X, "raw", options).rescale(self._target.scale, self._target.mean)
        found.tau = tau
        return found

    def _shaped(self, values):
        return values[:, 0] if self._flat else values


class _Plateau:
    """A callback that stops when the training loss has not improved by tol for more than `patience` epochs in a row."""

    def __init__(self, patience, tol):
        self.patience, self.tol, self.best, self.waited = patience, tol, np.inf, 0

    def __call__(self, epoch):
        loss = epoch.figures["loss"]
        self.waited = self.waited + 1 if loss > self.best - self.tol else 0
        self.best = min(self.best, loss)
        epoch.stop = self.waited > self.patience


def _half_squares(output, target):
    """Half the squared error of each sample."""
    return functional.mse_loss(output, target, "none").sum(1) * 0.5


def _mean_half_squares(output, target):
    return _half_squares(output, target).mean()


def _standardizer(x, weight):
    if not issparse(x):
        return Standardizer.fit(x, weight)
    found = StandardScaler(with_mean=False).fit(x, sample_weight=weight)  # which needs no dense x
    return Standardizer(found.mean_, found.scale_)


def _unchanged(x, weight):
    return Standardizer(np.zeros(x.shape[1]), np.ones(x.shape[1]))


def _flag(estimator, name):
    return _arrays.flag(getattr(estimator, name), name)
