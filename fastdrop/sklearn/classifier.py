"""The classification estimator, `DropoutClassifier`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
)
from sklearn.utils.validation import _check_sample_weight

from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.functional.softmax import log_softmax_of, softmax_of
from fastdrop.sklearn.base import BaseDropoutEstimator
from fastdrop.uncertainty.prediction import MCPrediction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike

__all__ = ["DropoutClassifier"]


class DropoutClassifier(ClassifierMixin, BaseDropoutEstimator):
    """Multilayer perceptron with dropout for classification.

    Minimises the cross-entropy of the softmax of the outputs, one output for each class. For a
    given `random_state` the fitted network has the same bits in any process and with any number of
    threads. The global random state of `fastdrop.manual_seed` is neither used nor changed.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Width of each hidden layer.
    activation : {"relu", "leaky_relu", "sigmoid", "logistic", "tanh", "selu", "silu", "gelu"}, \
            default="relu"
        Activation of the hidden layers. "logistic" is another name of "sigmoid".
    dropout : float or sequence of float, default=0.5
        Probability, in [0, 1], that a unit is dropped in training. A number is the rate of every
        hidden layer; nothing is dropped on the input. A sequence has the input's rate and then one
        rate for each hidden layer, as in ``(0.2, 0.5)`` for one hidden layer.
    solver : {"adam", "adamw", "sgd", "rmsprop"}, default="adam"
        The optimiser.
    alpha : float, default=0.0001
        Strength of the L2 penalty ``alpha / 2 * |W|^2 / batch_size`` on the weights without the
        biases, as in scikit-learn's networks. With "adamw" the weights decay at the rate
        ``alpha / batch_size`` instead.
    max_norm : float, default=None
        Upper limit of the L2 norm of each unit's incoming weights; 2 to 4 is usual. None: no limit.
    batch_size : int or "auto", default="auto"
        Samples in a step. "auto" is ``min(200, n_samples)``.
    learning_rate_init : float, default=0.001
        The learning rate, which is constant.
    max_iter : int, default=200
        Largest number of epochs. Reaching it gives no warning, because with dropout it is the
        usual end of training.
    shuffle : bool, default=True
        Use a new order of the samples in each epoch.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, masks, order of samples and validation split.
    tol : float, default=1e-4
        Smallest decrease of the loss that counts as an improvement.
    verbose : bool, default=False
        Show progress on stderr.
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
    n_iter_no_change : int, default=10
        Training stops after this many epochs without improvement of the training loss, or of the
        validation loss with ``early_stopping=True``.
    standardize : bool, default=True
        Give each feature zero mean and unit variance first. With False, X must have such a scale
        already.
    mc_samples : int, default=50
        Number of passes in `predict_uncertainty`.
    thinned : {"batch", "pair"} or None, default=None
        Share the masks of a step, which then computes with the kept units only: one network for the
        batch, or a complementary pair (rates of 0.5). Faster; needs a lower learning rate
        (`fastdrop.fit`).
    class_weight : dict, "balanced" or None, default=None
        Factors of the sample weights: a dict gives the weight of each class by its label, 1 for
        those that it does not name. "balanced" gives a class the weight
        ``n_samples / (n_classes * its number of samples)``, so that all classes count the same.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, in the order of the columns of `predict_proba`.
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
    validation_scores_ : list of float or None
        Accuracy on the validation data after each epoch of the last `fit`; None without
        ``early_stopping``.
    validation_loss_curve_ : list of float or None
        Loss on the validation data after each epoch of the last `fit`; None without
        ``early_stopping``.

    See Also
    --------
    DropoutRegressor : The regression estimator.
    fastdrop.mc_predict : Monte Carlo passes of any model.

    References
    ----------
    .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a
       simple way to prevent neural networks from overfitting", JMLR 15, 2014.
    .. [2] Y. Gal, Z. Ghahramani, "Dropout as a Bayesian approximation: representing model
       uncertainty in deep learning", ICML 2016. arXiv:1506.02142.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastdrop.sklearn import DropoutClassifier
    >>> x, y = load_digits(return_X_y=True)
    >>> net = DropoutClassifier(max_iter=30, random_state=0).fit(x[:1500], y[:1500])
    >>> bool(net.score(x[1500:], y[1500:]) > 0.9)
    True
    >>> net.predict_uncertainty(x[1500:]).mutual_information.shape
    (297,)
    """

    _is_regression: ClassVar[bool] = False
    _y_checks: ClassVar[dict[str, Any]] = {}
    _score = "val_accuracy"

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
        class_weight: Mapping[Any, float] | str | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes,
            activation,
            dropout=dropout,
            solver=solver,
            alpha=alpha,
            max_norm=max_norm,
            batch_size=batch_size,
            learning_rate_init=learning_rate_init,
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
            n_iter_no_change=n_iter_no_change,
            standardize=standardize,
            mc_samples=mc_samples,
            thinned=thinned,
        )
        self.class_weight = class_weight

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train for one epoch on the given data.

        The state of the optimiser is kept between calls. The first call decides the
        standardisation.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        y : array-like of shape (n_samples,)
            The class labels.
        classes : array-like of shape (n_classes,), default=None
            All class labels of all calls. Required in the first call.
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
        _check_partial_fit_first_call(self, classes)
        return self._train(X, y, sample_weight, go_on=hasattr(self, "model_"), partial=True)

    def _targets(self, y: Any, known: bool) -> npt.NDArray[np.int64]:
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        found, numbers = np.unique(y, return_inverse=True)
        if not known:
            if len(found) < 2:
                raise ValueError(
                    f"y must hold at least two classes, got one class: {found.tolist()[0]!r}"
                )
            self.classes_ = found
        elif not np.isin(found, self.classes_).all():
            raise ValueError(
                f"y must hold classes among those of the first fit, {self.classes_}, got {found}"
            )
        return np.searchsorted(self.classes_, found)[numbers].astype(np.int64)

    def _weights(self, y: Any, sample_weight: Any, partial: bool) -> Any:
        if self.class_weight is None:
            return sample_weight
        given_weights: Any = self.class_weight
        if isinstance(given_weights, str):
            check.choice(given_weights, "class_weight", ("balanced",))
            if partial:
                raise ValueError(
                    "class_weight must be None or a dict in partial_fit, which does not know the "
                    "shares of the classes in all data, got 'balanced'"
                )
        elif not isinstance(given_weights, Mapping):
            raise TypeError(
                "class_weight must be a dict of labels and weights, 'balanced' or None, "
                f"got {check.describe(given_weights)}"
            )
        given = None if sample_weight is None else _check_sample_weight(sample_weight, y)
        if isinstance(given_weights, str):  # "balanced"
            # With sample weights, a class has the share of the sum of its weights.
            counts = np.bincount(y, given, len(self.classes_))
            present = counts > 0
            weights = np.zeros(len(counts))
            weights[present] = counts.sum() / (present.sum() * counts[present])
        else:
            for label, weight in given_weights.items():
                check.real(weight, f"class_weight[{label!r}]", low=0.0)
            unknown = [key for key in given_weights if key not in self.classes_.tolist()]
            if unknown:
                raise ValueError(
                    f"class_weight must name classes among {self.classes_}, got {unknown[0]!r}"
                )
            weights = np.array([given_weights.get(c, 1.0) for c in self.classes_.tolist()])
        return weights[y] if given is None else given * weights[y]

    def _begin(self, model: nn.Sequential, y: Any, weight: Any = None) -> None:
        # The biases of the outputs are the classes' log shares, minus their mean: with rare classes
        # the first epochs need not learn the shares. Equal shares give 0.
        shares = np.bincount(y, weight, len(self.classes_))
        logs = np.log(np.maximum(shares / shares.sum(), 1e-6))
        last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
        assert last.bias is not None
        last.bias.data[...] = logs - logs.mean()

    def _loss(self, weighted: bool) -> str:
        return "cross_entropy"

    @property
    def _n_outputs(self) -> int:
        return len(self.classes_)

    def predict(self, X: ArrayLike) -> npt.NDArray[Any]:
        """Predict the class of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,)
            The label with the highest probability in `predict_proba`.
        """
        chosen = self._outputs(X).argmax(1)
        return self.classes_[chosen]

    def predict_proba(self, X: ArrayLike) -> npt.NDArray[np.float64]:
        """Predict the probability of each class, from one pass without dropout.

        This is the weight scaling of [1]_. The average over random masks is
        ``predict_uncertainty(X).mean``. It takes ``mc_samples`` times as long and is less confident
        far from the training data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The probabilities, in the order of ``classes_``.

        References
        ----------
        .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a
           simple way to prevent neural networks from overfitting", JMLR 15, 2014.
        """
        return softmax_of(self._outputs(X), 1)

    def predict_log_proba(self, X: ArrayLike) -> npt.NDArray[np.float64]:
        """Predict the logarithm of the probability of each class.

        The result is finite also if the probability rounds to 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The logarithms, in the order of ``classes_``.
        """
        return log_softmax_of(self._outputs(X), 1)

    def predict_uncertainty(self, X: ArrayLike, **options: Any) -> MCPrediction:
        """Predict probabilities and their uncertainty, from passes with dropout.

        With the probabilities p_t of T passes with random masks::

            mean                p = 1/T sum_t p_t
            entropy             H(p) = -sum_c p_c log p_c            (total uncertainty, nats)
            expected_entropy    1/T sum_t H(p_t)                     (inherent in the data)
            mutual_information  H(p) - 1/T sum_t H(p_t)              (of the model)

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.
        **options
            Arguments of `fastdrop.mc_predict`: samples (default ``mc_samples``), seed (default:
            follows from `random_state`), masks, tolerance, keep, ...

        Returns
        -------
        MCPrediction
            With ``mean`` and ``std`` of shape (n_samples, n_classes); ``entropy``,
            ``expected_entropy``, ``mutual_information`` and ``variation_ratio`` of shape
            (n_samples,).

        Raises
        ------
        ValueError
            No layer has dropout.
        """
        return self._passes(X, "softmax", options)
