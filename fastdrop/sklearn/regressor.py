"""The regression estimator, `DropoutRegressor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop._utils.validation import finite_array
from fastdrop.data import Standardizer
from fastdrop.sklearn.base import BaseDropoutEstimator, has_steps
from fastdrop.sklearn.losses import (
    half_squares,
    mean_half_squares,
    mean_poisson_deviances,
    poisson_deviances,
)
from fastdrop.sklearn.noise import check_noise, noise_precision, positive
from fastdrop.uncertainty.linked_passes import exponential, linked_passes
from fastdrop.uncertainty.prediction import MCPrediction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike

__all__ = ["DropoutRegressor"]


class DropoutRegressor(RegressorMixin, BaseDropoutEstimator):
    """Multilayer perceptron with dropout for one or several real targets.

    Minimises half the squared error of the standardised targets, summed over the targets and
    averaged over the samples; or the Poisson deviance of counts.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Width of each hidden layer.
    activation : {"identity", "relu", "leaky_relu", "sigmoid", "logistic", "tanh", "selu", "silu", \
            "gelu"}, default="relu"
        Activation of the hidden layers. "logistic" is another name of "sigmoid".
    dropout : float or sequence of float, default=0.1
        Probability, in [0, 1], that a unit is dropped in training. A number is the rate of every
        hidden layer; nothing is dropped on the input. A sequence has the input's rate and then one
        rate for each hidden layer, as in ``(0.2, 0.5)`` for one hidden layer.
    loss : {"squared_error", "poisson"}, default="squared_error"
        What is minimised. "poisson": half the Poisson deviance of counts y >= 0, whose mean is the
        exponential of the output; y is not standardised then, and the deviation that
        ``predict(return_std=True)`` gives contains the variance of the counts.
    solver : {"adam", "adamw", "sgd", "rmsprop", "lbfgs"}, default="adam"
        The optimiser. "lbfgs" (SciPy's L-BFGS-B) uses all samples in each iteration and needs
        ``dropout=0``; the options of steps and epochs do not concern it.
    alpha : float, default=0.0001
        Strength of the L2 penalty ``alpha / 2 * |W|^2 / batch_size`` on the weights without the
        biases, as in scikit-learn's networks. With "adamw" the weights decay at the rate
        ``alpha / batch_size`` instead.
    max_norm : float, default=None
        Upper limit of the L2 norm of each unit's incoming weights; 2 to 4 is usual. None: no limit.
    batch_size : int or "auto", default="auto"
        Samples in a step. "auto" is ``min(200, n_samples)``.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        How the learning rate of the solver "sgd" changes. "invscaling":
        ``learning_rate_init / (t + 1)**power_t`` after t samples. "adaptive": divided by 5 each
        time that training would stop, until it is at most 1e-6.
    learning_rate_init : float, default=0.001
        The learning rate of the first epoch.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        Largest number of epochs, or of iterations of "lbfgs". Reaching it gives no warning with
        the other solvers, because with dropout it is the usual end of training.
    shuffle : bool, default=True
        Use a new order of the samples in each epoch.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, masks, order of samples and validation split.
    tol : float, default=1e-4
        Smallest decrease of the loss that counts as an improvement.
    verbose : bool, default=False
        Print the loss of each epoch on stdout, as scikit-learn's networks do.
    warm_start : bool, default=False
        `fit` continues with the network of the last call, and keeps its standardisation and
        layers.
    momentum : float, default=0.9
        Momentum of the solver "sgd", in [0, 1].
    nesterovs_momentum : bool, default=True
        Use Nesterov momentum with the solver "sgd".
    early_stopping : bool, default=False
        Set ``validation_fraction`` of the data aside (for a classification with equal shares of
        the classes, if there are enough samples), stop by the loss on it, and restore the weights
        of the best epoch.
    validation_fraction : float, default=0.1
        Share of the data set aside with ``early_stopping=True``, in (0, 1).
    beta_1, beta_2 : float, default=0.9 and 0.999
        Decay rates of the two averages of the solvers "adam" and "adamw", in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator of the solvers "adam" and "adamw".
    n_iter_no_change : int or inf, default=10
        Training stops after more than this many epochs in a row without improvement of the
        training loss, or of the validation loss with ``early_stopping=True``. With dropout, whose
        masks make it noisy, the training loss is averaged over this many epochs for that.
    max_fun : int, default=15000
        Largest number of computations of the loss of the solver "lbfgs".
    standardize : bool, default=True
        Give each feature and each target zero mean and unit variance first. With False, they must
        have such a scale already.
    add_indicator : bool, default=False
        Missing numbers (NaN) become the feature's mean. True: each feature with missing numbers in
        the training data is also an input that is 1 where its number is missing, otherwise 0.
    mc_samples : int, default=50
        Number of passes in `predict_uncertainty` and in ``predict(return_std=True)``.
    thinned : {"batch", "pair"} or None, default=None
        Share the masks of a step, which then computes with the kept units only: one network for the
        batch, or a complementary pair (``dropout=0.5``). Faster; needs a lower learning rate
        (`fastdrop.fit`).
    tau : float, default=None
        Precision of the noise of y, in the units of y: the predicted variance is the variance of
        the passes plus ``1 / tau``.
    length_scale : float, default=None
        Prior length scale l, an alternative to `tau` [2]_. For standardised y,
        ``tau = l^2 (1 - p) / (2 N lambda)``, with the one rate p of all layers that have dropout,
        N samples, and the factor ``lambda = alpha / (2 batch_size)`` of ``|W|^2`` in the objective.
        With neither `tau` nor `length_scale` the predicted deviation is that of the passes: the
        uncertainty of the network without the noise of y.
    preset : {"tabular"} or None, default=None
        "tabular": train by the recipe of RealMLP [3]_, which takes about 20 times as long as the
        defaults. See the notes of DropoutClassifier; here with the mean squared error,
        ``activation="mish"`` and ``learning_rate_init=0.2``.

    Attributes
    ----------
    tau_ : float, ndarray of shape (n_outputs,), or None
        Precision of the noise in the units of y; an array for several targets with
        `length_scale`.
    coefs_ : list of ndarray of shape (n_in, n_out)
        The weights of each layer, for X as it is given: the standardisation is part of the first
        and last layers, as in MLPRegressor. Read only.
    intercepts_ : list of ndarray of shape (n_out,)
        The biases of each layer, beside ``coefs_``. Read only.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
        Number of outputs.
    out_activation_ : {"identity", "exp"}
        The function of the outputs.
    model_ : Module
        The network, from standardised inputs to outputs, for other functions of fastdrop.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen during fit, if all of them are strings.
    n_iter_ : int
        Number of epochs of the last call of `fit` or `partial_fit`.
    loss_curve_ : list of float
        Training loss of each epoch, with dropout, without the penalty; with those of earlier calls
        before a warm start or `partial_fit`.
    loss_ : float
        The last value of ``loss_curve_``.
    best_loss_ : float or None
        The lowest value of ``loss_curve_``; None with ``early_stopping``.
    t_ : int
        Number of samples that training has seen, each counted once an epoch.
    validation_scores_ : list of float or None
        R^2 on the validation data after each epoch of the last `fit`; None without
        ``early_stopping``.
    best_validation_score_ : float or None
        The highest of ``validation_scores_``.
    validation_loss_curve_ : list of float or None
        Loss on the validation data after each epoch of the last `fit`; None without
        ``early_stopping``.

    See Also
    --------
    DropoutClassifier : The classification estimator.
    fastdrop.mc_predict : Monte Carlo passes of any model.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a
       simple way to prevent neural networks from overfitting", JMLR 15, 2014.
    .. [2] Y. Gal, Z. Ghahramani, "Dropout as a Bayesian approximation: representing model
       uncertainty in deep learning", ICML 2016. arXiv:1506.02142.
    .. [3] D. Holzmüller, L. Grinsztajn, I. Steinwart, "Better by default: strong pre-tuned MLPs and
       boosted trees on tabular data", NeurIPS 2024. arXiv:2407.04491.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop.sklearn import DropoutRegressor
    >>> x = np.linspace(-2, 2, 200)[:, None]
    >>> y = np.sin(2 * x[:, 0])
    >>> net = DropoutRegressor((50,), dropout=0.05, learning_rate_init=0.01, random_state=0)
    >>> mean, std = net.fit(x, y).predict([[1.0], [5.0]], return_std=True)
    >>> bool(std[1] > std[0])
    True
    """

    _is_regression: ClassVar[bool] = True
    _y_checks: ClassVar[dict[str, Any]] = {"multi_output": True, "y_numeric": True}
    _score = "val_r2"

    loss: str
    tau: float | None
    length_scale: float | None
    tau_: Any
    _flat: bool  # whether y has one axis
    _noise_std: Any = None  # deviation of the noise of y, in the units of y

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        dropout: float | Sequence[float] = 0.1,
        loss: str = "squared_error",
        solver: str = "adam",
        alpha: float = 0.0001,
        max_norm: float | None = None,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
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
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        standardize: bool = True,
        add_indicator: bool = False,
        mc_samples: int = 50,
        thinned: str | None = None,
        tau: float | None = None,
        length_scale: float | None = None,
        preset: str | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            dropout=dropout,
            loss=loss,
            solver=solver,
            alpha=alpha,
            max_norm=max_norm,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            standardize=standardize,
            add_indicator=add_indicator,
            mc_samples=mc_samples,
            thinned=thinned,
            tau=tau,
            length_scale=length_scale,
            preset=preset,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @available_if(has_steps)
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on the given data.

        The state of the optimiser is kept between calls. The first call decides the
        standardisation.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        sample_weight : array-like of shape (n_samples,), default=None
            As for `fit`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            A parameter or the data are not valid, or ``early_stopping=True``.
        """
        return self._train(X, y, sample_weight, go_on=hasattr(self, "model_"), partial=True)

    def _targets(self, y: Any, known: bool) -> npt.NDArray[Any]:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = finite_array(y.astype(np.uint8) if y.dtype == bool else y, "y")
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if known and hasattr(self, "model_") and outputs != self._n_outputs:
            raise ValueError(
                f"y must have the {self._n_outputs} targets of the first fit, got {outputs}"
            )
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"y must be at least 0 with loss='poisson', got {y.min():g}")
        self._n_outputs, self._flat = outputs, y.ndim == 1
        return y.reshape(len(y), -1)

    def _loss(self, weighted: bool) -> Callable[..., Any]:
        if self.loss == "poisson":
            return poisson_deviances if weighted else mean_poisson_deviances
        return half_squares if weighted else mean_half_squares

    def _metrics(self, held_out: list[Any] | None) -> dict[str, Any] | None:
        if held_out is None:
            return None
        weight = held_out[2] if len(held_out) > 2 else None
        return {"r2": lambda z, y: r2_score(y, self._link(z), sample_weight=weight)}

    def _target_scaling(self, y: Any, weight: Any) -> Standardizer | None:
        return None if self.loss == "poisson" else Standardizer.fit(y, weight)

    def _begin(self, model: nn.Sequential, y: Any, weight: Any = None) -> None:
        if self.loss != "poisson" or not self.standardize:
            return
        # The biases of the outputs are the logarithms of the mean counts.
        last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
        assert last.bias is not None
        last.bias.data[...] = np.log(np.maximum(np.average(y, axis=0, weights=weight), 1e-6))

    def _link(self, outputs: Any) -> Any:
        """The network's outputs as predictions of the targets, before their scale."""
        return exponential(outputs) if self.loss == "poisson" else outputs

    @property
    def n_outputs_(self) -> int:
        """Number of outputs."""
        check_is_fitted(self, "model_")
        return self._n_outputs

    @property
    def out_activation_(self) -> str:
        """The function of the outputs: "identity", or "exp" with ``loss="poisson"``."""
        check_is_fitted(self, "model_")
        return "exp" if self.loss == "poisson" else "identity"

    def _train(self, X: Any, y: Any, sample_weight: Any, **options: Any) -> Self:
        check.choice(self.loss, "loss", ("squared_error", "poisson"))
        check_noise(self)
        return super()._train(X, y, sample_weight, **options)

    def _trained(self, samples: int, batch: int) -> None:
        self.tau_, self._noise_std = noise_precision(self, samples, batch)

    def predict(self, X: ArrayLike, return_std: bool = False) -> Any:
        """Predict the targets, and optionally their standard deviation.

        With the outputs y_t of T passes with random masks, the mean is ``1/T sum_t y_t`` and the
        deviation ``sqrt(1/T sum_t (y_t - mean)^2 + 1 / tau)``; without a tau the second term is
        left out.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        return_std : bool, default=False
            False: predict with one pass without dropout. True: predict the mean and the standard
            deviation of ``mc_samples`` passes with dropout.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The prediction, in the units of y.
        std : ndarray of the shape of y
            The standard deviation, in the units of y. Only with ``return_std=True``.

        Raises
        ------
        ValueError
            ``return_std=True`` and no layer has dropout.
        """
        if not return_std:
            outputs = self._link(self._outputs(X))
            assert self._target is not None
            return self._shaped(outputs * self._target.scale + self._target.mean)
        found = self.predict_uncertainty(X)
        has_noise = self.tau_ is not None or self.loss == "poisson"
        std = found.total_std if has_noise else found.std
        if self._noise_std is not None and not (np.isfinite(std) & (std > 1e-150)).all():
            # The square of a deviation is beyond the range of float64.
            std = np.hypot(found.std, self._noise_std)
        return self._shaped(found.mean), self._shaped(std)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R^2 of the prediction: 1 - sum (y - prediction)^2 / sum (y - mean of y)^2.

        It is computed in standardised units, so that squares neither overflow nor become 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        float
            R^2; for several targets its mean over them.
        """
        outputs = self._link(self._outputs(X))
        assert self._target is not None
        truth = np.asarray(y, np.float64).reshape(len(outputs), -1)
        truth = (truth - self._target.mean) / self._target.scale
        return float(r2_score(truth, outputs, sample_weight=sample_weight))

    def predict_uncertainty(self, X: ArrayLike, **options: Any) -> MCPrediction:
        """Predict the targets and their uncertainty, from passes with dropout.

        With the outputs y_t of T passes with random masks::

            mean            1/T sum_t y_t
            epistemic       1/T sum_t (y_t - mean)^2     (uncertainty of the model)
            aleatoric       1 / tau                      (noise of y; needs a tau)
            total_variance  epistemic + aleatoric

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        **options
            Arguments of `fastdrop.mc_predict`: samples (default ``mc_samples``), seed (default:
            follows from `random_state`), masks, keep, ... ``tolerance`` and ``tau`` (default:
            ``tau_``) are in the units of y. Quantiles and the likelihood need ``keep=True``.

        Returns
        -------
        MCPrediction
            float64 arrays of shape (n_samples, n_outputs), in the units of y.

        Raises
        ------
        ValueError
            No layer has dropout, or an option is not valid.
        """
        check_is_fitted(self, "model_")
        assert self._target is not None
        if self.loss == "poisson":
            return linked_passes(self.model_, *self._drawn(X, options), exponential)
        tau = options.pop("tau", None)
        # There is one tolerance for all standardised targets: that of the target with the largest
        # scale.
        if options.get("tolerance") is not None:
            options["tolerance"] = (
                positive(options["tolerance"], "tolerance") / self._target.scale.max()
            )
        found = self._passes(X, "raw", options).rescale(self._target.scale, self._target.mean)
        found.tau = self.tau_ if tau is None else positive(tau, "tau")
        return found

    def _shaped(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Values (N, targets) in the shape that y had."""
        return values[:, 0] if self._flat else values
