"""The regressor among the estimators."""

from __future__ import annotations

from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_is_fitted

from fastdrop import functional
from fastdrop._utils import validation as check
from fastdrop._utils.validation import finite_array as real
from fastdrop.sklearn.base import DropoutNet
from fastdrop.uncertainty.prediction import MCPrediction

__all__ = ["DropoutRegressor"]


class DropoutRegressor(RegressorMixin, DropoutNet):
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
        tau=None,
        length_scale=None,
    ):
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
        )
        self.tau = tau
        self.length_scale = length_scale

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def partial_fit(self, X, y, sample_weight=None):
        """One epoch over these data, with the optimiser where it was; the first call decides the standardisation."""
        return self._train(X, y, sample_weight, go_on=hasattr(self, "model_"), partial=True)

    def _targets(self, y, known):
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = real(y.astype(np.uint8) if y.dtype == bool else y, "y")
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if known and hasattr(self, "model_") and outputs != self._n_outputs:
            raise ValueError(
                f"y must have the {self._n_outputs} targets of the first fit, got {outputs}"
            )
        self._n_outputs, self._flat = outputs, y.ndim == 1
        return y.reshape(len(y), -1)

    def _loss(self, weighted):
        return _half_squares if weighted else _mean_half_squares

    def _stopping(self, held_out):
        weight = None if held_out is None or len(held_out) < 3 else held_out[2]
        return super()._stopping(held_out) | {
            "metrics": {"r2": lambda output, target: r2_score(target, output, sample_weight=weight)}
        }

    def _train(self, X, y, sample_weight, **options):
        if self.tau is not None:
            _positive(self.tau, "tau")
            if self.length_scale is not None:
                raise ValueError(
                    f"length_scale must be None where tau is given, got {self.length_scale!r}"
                )
        elif self.length_scale is not None:
            _positive(self.length_scale, "length_scale")
            alpha = check.real(self.alpha, "alpha", low=0)
            if not (alpha and isinstance(self._rate(), Real) and 0 < self._rate() < 1):
                raise ValueError(
                    "length_scale must be None, or dropout one rate between 0 and 1 for all layers that have it, and alpha positive, "
                    f"got dropout={self.dropout!r} and alpha={self.alpha!r}"
                )
        return super()._train(X, y, sample_weight, **options)

    def _rate(self):
        """The one rate of all layers with dropout, or None."""
        rates = [
            p for p in (self.dropout if np.iterable(self.dropout) else [self.dropout]) if p != 0
        ]
        return rates[0] if rates and all(p == rates[0] for p in rates) else None

    def _trained(self, samples, batch):
        self.tau_ = self.tau
        if self.length_scale is not None:
            tau = (
                self.length_scale**2
                * (1 - self._rate())
                * batch
                / (samples * self.alpha)
                / self._target.scale**2
            )
            self.tau_ = tau.item() if self._flat else tau

    def predict(self, X, return_std=False):
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
        return self._shaped(found.mean), self._shaped(
            np.sqrt(found.variance if self.tau_ is None else found.total_variance)
        )

    def predict_uncertainty(self, X, **options) -> MCPrediction:
        """How sure the network is, as `DropoutClassifier.predict_uncertainty`, in y's units.

        Parameters
        ----------
        X : array or sparse matrix (N, features)
        **options
            Of `fastdrop.mc_predict`, ``tolerance`` and ``tau`` (instead of the estimator's) in y's units too. ``keep=True`` for quantiles and
            the likelihood.

        Returns
        -------
        MCPrediction : mean, std, epistemic, with a tau also aleatoric and total_variance; float64 (N, targets)
        """
        check_is_fitted(self, "model_")
        tau = options.pop("tau", None)
        if (
            options.get("tolerance") is not None
        ):  # one for all targets: what is enough for the one of the largest unit
            options["tolerance"] = (
                _positive(options["tolerance"], "tolerance") / self._target.scale.max()
            )
        found = self._passes(X, "raw", options).rescale(self._target.scale, self._target.mean)
        found.tau = self.tau_ if tau is None else _positive(tau, "tau")
        return found

    def _shaped(self, values):
        return values[:, 0] if self._flat else values


def _positive(value, name):
    return check.real(value, name, low=0, open_low=True)


def _half_squares(output, target):
    """Half the squared error of each sample."""
    return functional.mse_loss(output, target, "none").sum(1) * 0.5


def _mean_half_squares(output, target):
    return _half_squares(output, target).mean()
