"""The classifier among the estimators."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
)

from fastdrop.functional.softmax import log_softmax_of, softmax_of
from fastdrop.sklearn.base import DropoutNet
from fastdrop.uncertainty.prediction import MCPrediction

__all__ = ["DropoutClassifier"]


class DropoutClassifier(ClassifierMixin, DropoutNet):
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
        Set `validation_fraction` of the data aside (classes in their shares, where there are enough of each), stop by the loss on it, and put
        back the weights that were best there.
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

    def partial_fit(self, X, y, classes=None, sample_weight=None):
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
                raise ValueError(
                    f"y must hold at least two classes, got one class: {found.tolist()[0]!r}"
                )
            self.classes_ = found
        elif not np.isin(found, self.classes_).all():
            raise ValueError(
                f"y must hold classes among those of the first fit, {self.classes_}, got {found}"
            )
        return np.searchsorted(self.classes_, found)[numbers].astype(np.int64)

    def _loss(self, weighted):
        return "cross_entropy"

    @property
    def _n_outputs(self):
        return len(self.classes_)

    def predict(self, X):
        """The likeliest label of each sample, by `predict_proba`: (N,)."""
        chosen = self._outputs(X).argmax(1)
        return self.classes_[chosen]

    def predict_proba(self, X):
        """Probability of each class from one pass with all units (Srivastava's weight scaling): float64 (N, classes).

        The average over random thinned networks is ``predict_uncertainty(X).mean``: it takes mc_samples times as long, and is less sure
        where there were no data.
        """
        return softmax_of(self._outputs(X), 1)

    def predict_log_proba(self, X):
        """The logarithm of `predict_proba`, finite also where that rounds to 0."""
        return log_softmax_of(self._outputs(X), 1)

    def predict_uncertainty(self, X, **options) -> MCPrediction:
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
