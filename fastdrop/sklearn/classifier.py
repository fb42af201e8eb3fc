"""The classification estimator, `DropoutClassifier`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call

from fastdrop import nn
from fastdrop.functional.softmax import log_softmax_of, softmax_of
from fastdrop.sklearn.base import BaseDropoutEstimator, has_steps
from fastdrop.sklearn.labels import (
    is_multilabel,
    multilabel_targets,
    numbered_classes,
    weights_of_classes,
)
from fastdrop.sklearn.losses import label_entropies, mean_label_entropies
from fastdrop.uncertainty.linked_passes import linked_passes, logistic
from fastdrop.uncertainty.prediction import MCPrediction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike

__all__ = ["DropoutClassifier"]


class DropoutClassifier(ClassifierMixin, BaseDropoutEstimator):
    """Multilayer perceptron with dropout for classification.

    Minimises the cross-entropy of the softmax of the outputs, one output for each class; or, where
    y is an indicator matrix (several labels a sample), of the logistic function of each. For a
    given `random_state` the fitted network has the same bits in any process and with any number of
    threads. The global random state of `fastdrop.manual_seed` is neither used nor changed.

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
        Give each feature zero mean and unit variance first. With False, X must have such a scale
        already.
    add_indicator : bool, default=False
        Missing numbers (NaN) become the feature's mean. True: each feature with missing numbers in
        the training data is also an input that is 1 where its number is missing, otherwise 0.
    mc_samples : int, default=50
        Number of passes in `predict_uncertainty`.
    thinned : {"batch", "pair"} or None, default=None
        Share the masks of a step, which then computes with the kept units only: one network for the
        batch, or a complementary pair (``dropout=0.5``). Faster; needs a lower learning rate
        (`fastdrop.fit`).
    class_weight : dict, "balanced" or None, default=None
        Factors of the sample weights: a dict gives the weight of each class by its label, 1 for
        those that it does not name. "balanced" gives a class the weight
        ``n_samples / (n_classes * its number of samples)``, so that all classes count the same.
    preset : {"tabular"} or None, default=None
        "tabular": train by the recipe of RealMLP [3]_, which takes about 20 times as long as the
        defaults: numerical embeddings, three layers of 256 units, and 256 epochs, of which the best
        on a fifth of the samples counts; the defaults where no feature varies. See the notes.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, in the order of the columns of `predict_proba`; the numbers of the labels
        where a sample has several.
    coefs_ : list of ndarray of shape (n_in, n_out)
        The weights of each layer, for X as it is given: the standardisation is part of the first
        layer. Two classes have one output, as in MLPClassifier. Read only.
    intercepts_ : list of ndarray of shape (n_out,)
        The biases of each layer, beside ``coefs_``. Read only.
    n_layers_ : int
        Number of layers, input and output included.
    n_outputs_ : int
        Number of outputs; 1 for two classes.
    out_activation_ : {"logistic", "softmax"}
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
        Accuracy on the validation data after each epoch of the last `fit`; None without
        ``early_stopping``.
    best_validation_score_ : float or None
        The highest of ``validation_scores_``.
    validation_loss_curve_ : list of float or None
        Loss on the validation data after each epoch of the last `fit`; None without
        ``early_stopping``.

    See Also
    --------
    DropoutRegressor : The regression estimator.
    fastdrop.mc_predict : Monte Carlo passes of any model.

    Notes
    -----
    With ``preset="tabular"``, features are scaled by median and interquartile range, and
    `fastdrop.models.realmlp` is trained with AdamW (weight decay 0.02, ``beta_2=0.95``), the
    learning rate waves of `fastdrop.optim.lr_scheduler.CosineLogLR` and label smoothing 0.1.
    Dropout and weight decay are constant for half of the epochs, then fall to 0; Monte Carlo passes
    have the first rate. ``hidden_layer_sizes``, ``activation`` ("selu"), ``dropout`` (0.15),
    ``batch_size`` (256), ``learning_rate_init`` (0.04), ``max_iter`` (256), ``beta_2`` and
    ``validation_fraction`` (0.2) have the recipe's values where they are left at their defaults.
    `solver`, `learning_rate`, `warm_start`, `early_stopping` and `standardize` must be left there;
    `alpha`, `tol` and `n_iter_no_change` are not used. There is no `partial_fit` and no ``coefs_``.

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
    _y_checks: ClassVar[dict[str, Any]] = {"multi_output": True}
    _score = "val_accuracy"

    class_weight: Mapping[Any, float] | str | None
    _multilabel = False

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        dropout: float | Sequence[float] = 0.1,
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
        class_weight: Mapping[Any, float] | str | None = None,
        preset: str | None = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            dropout=dropout,
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
            class_weight=class_weight,
            preset=preset,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @available_if(has_steps)
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

    def _targets(self, y: Any, known: bool) -> npt.NDArray[Any]:
        multilabel = is_multilabel(y)
        if known and hasattr(self, "model_") and multilabel != self._multilabel:
            raise ValueError(
                "y must have several labels a sample exactly where the y of the first fit has"
            )
        self._multilabel = multilabel
        encode = multilabel_targets if multilabel else numbered_classes
        return encode(self, y, known)

    def _weights(self, y: Any, sample_weight: Any, partial: bool) -> Any:
        if self.class_weight is None:
            return sample_weight
        return weights_of_classes(self, y, sample_weight, partial)

    def _begin(self, model: nn.Sequential, y: Any, weight: Any = None) -> None:
        # The biases of the outputs are the classes' log shares, minus their mean: with rare classes
        # the first epochs need not learn the shares. Equal shares give 0.
        if self._multilabel:
            shares = np.clip(np.average(y, axis=0, weights=weight), 1e-6, 1 - 1e-6)
            bias = np.log(shares / (1 - shares))
        else:
            shares = np.bincount(y, weight, len(self.classes_))
            bias = np.log(np.maximum(shares / shares.sum(), 1e-6))
            bias -= bias.mean()
        last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
        assert last.bias is not None
        last.bias.data[...] = bias

    def _loss(self, weighted: bool) -> Any:
        if self._multilabel:
            return label_entropies if weighted else mean_label_entropies
        return "cross_entropy"

    def _metrics(self, held_out: list[Any] | None) -> dict[str, Any] | None:
        if held_out is None or not self._multilabel:
            return None
        weight = held_out[2] if len(held_out) > 2 else None
        return {
            "accuracy": lambda output, target: np.average(
                ((output > 0) == target).all(axis=1), weights=weight
            )
        }

    @property
    def _n_outputs(self) -> int:
        return len(self.classes_)

    @property
    def n_outputs_(self) -> int:
        """Number of outputs as scikit-learn counts them: 1 for two classes."""
        return 1 if len(self.classes_) == 2 and not self._multilabel else len(self.classes_)

    @property
    def out_activation_(self) -> str:
        """The function of the outputs that gives probabilities, "logistic" or "softmax"."""
        return "logistic" if self._multilabel or len(self.classes_) == 2 else "softmax"

    def decision_function(self, X: ArrayLike) -> npt.NDArray[np.float64]:
        """The outputs of one pass without dropout, before softmax or logistic function.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            For two classes the logarithm of the odds of ``classes_[1]``, positive where it is
            predicted.
        """
        outputs = self._outputs(X)
        return outputs if self.n_outputs_ > 1 else outputs[:, 1] - outputs[:, 0]

    def predict(self, X: ArrayLike) -> npt.NDArray[Any]:
        """Predict the class, or the labels, of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples.

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_labels) of 0 and 1
            The label with the highest probability in `predict_proba`; for several labels a sample,
            those whose probability is above 1/2.
        """
        outputs = self._outputs(X)
        if self._multilabel:
            return (outputs > 0).astype(np.int64)
        return self.classes_[outputs.argmax(1)]

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
            The probabilities, in the order of ``classes_``. Those of several labels a sample do
            not add up to 1.

        References
        ----------
        .. [1] N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a
           simple way to prevent neural networks from overfitting", JMLR 15, 2014.
        """
        outputs = self._outputs(X)
        return logistic(outputs) if self._multilabel else softmax_of(outputs, 1)

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
        outputs = self._outputs(X)
        return -np.logaddexp(0.0, -outputs) if self._multilabel else log_softmax_of(outputs, 1)

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
            (n_samples,). For several labels a sample ``mean`` has both classes of each label,
            (n_samples, n_labels, 2), and the entropies are (n_samples, n_labels).

        Raises
        ------
        ValueError
            No layer has dropout.
        """
        if self._multilabel:
            return linked_passes(self.model_, *self._drawn(X, options), logistic, labels=True)
        return self._passes(X, "softmax", options)
