"""The result of Monte Carlo prediction: means, spread, entropies, quantiles, likelihoods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import narrowed, quiet
from fastdrop.uncertainty.prediction_html import prediction_html

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike

    Float64Array = npt.NDArray[np.float64]

__all__ = ["MCPrediction", "both_classes", "entropy_of"]

SMALLEST_VARIANCE = float(np.finfo(np.float64).tiny)  # smaller ones lose digits
SMALLEST_PROBABILITY = 1e-12  # in the logarithm of an entropy: 0 log 0 is 0


class MCPrediction:
    """Averages over the T passes of Monte Carlo dropout, made by `fastdrop.mc_predict`.

    The averages are of probabilities (classification) or of outputs (regression). N is the number
    of samples and C the number of classes. Where a sample has several places with probabilities
    of their own (the tokens of a language model, with ``output="softmax"``), the averages have the
    shape (N, T, C), and what follows is (N, T) in place of (N,).

    Attributes
    ----------
    samples : int
        T, the number of passes that were asked for.
    counts : int64 array (N,)
        The number of passes of each sample: T, or more with ``tolerance=``.
    mean, variance : float64 arrays (N, ...)
        Mean and variance over the passes. With ``output="sigmoid"`` the mean is the probability
        of class 1; `class_probabilities` holds both classes.
    tau : float, array (outputs,) or None
        The precision (1 / variance) of the noise of y in a regression.
    passes : float32 array (N, T, ...) or None
        Each pass, with ``keep=True``.

    References
    ----------
    Gal, Ghahramani, "Dropout as a Bayesian approximation: representing model uncertainty in deep
    learning", ICML 2016, arXiv:1506.02142.

    Kendall, Gal, "What uncertainties do we need in Bayesian deep learning for computer vision?",
    NIPS 2017, arXiv:1703.04977.

    Houlsby, Huszar, Ghahramani, Lengyel, "Bayesian active learning for classification and
    preference learning", 2011, arXiv:1112.5745 (mutual information).

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> fd.manual_seed(0)
    >>> mc = fd.mc_predict(fd.models.mlp(8, [32], 3, dropout=0.5), np.ones((5, 8)), samples=20)
    >>> mc
    MCPrediction(5 inputs, 20 passes, probabilities of shape (3,))
    >>> bool((mc.mutual_information <= mc.entropy).all())
    True
    """

    def __init__(
        self,
        samples: int,
        counts: npt.NDArray[np.int64],
        mean: Float64Array,
        variance: Float64Array,
        *,
        entropies: Float64Array | None = None,
        votes: npt.NDArray[np.int64] | None = None,
        noise: Float64Array | None = None,
        tau: Any = None,
        passes: npt.NDArray[np.float32] | None = None,
        log_variances: npt.NDArray[np.float32] | None = None,
        std: Float64Array | None = None,
    ) -> None:
        self.samples, self.counts, self.mean, self.variance = samples, counts, mean, variance
        self._entropies, self._votes, self._noise, self.tau = entropies, votes, noise, tau
        self.passes, self._log_variances = passes, log_variances
        self._std = std  # where it is no root of `variance`: in units whose square overflows

    _std: Float64Array | None = None  # of predictions that were pickled before it existed

    def __repr__(self) -> str:
        kind = "probabilities" if self.is_classification else "outputs"
        return (
            f"MCPrediction({len(self.mean)} inputs, {self.samples} passes, "
            f"{kind} of shape {self.mean.shape[1:]})"
        )

    def _repr_html_(self) -> str:
        """How the uncertainty is spread, and the first and the least certain inputs."""
        return prediction_html(self)

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def is_classification(self) -> bool:
        """Whether the averages are of class probabilities."""
        return self._entropies is not None

    @property
    def std(self) -> Float64Array:
        """Standard deviation over the passes, float64 array (N, ...)."""
        return np.sqrt(self.variance) if self._std is None else self._std

    @property
    def standard_error(self) -> Float64Array:
        """Standard error of the mean, std / sqrt(counts), float64 array (N, ...)."""
        counts = self.counts.reshape(-1, *[1] * (self.variance.ndim - 1))
        return self.std / np.sqrt(counts)

    # ---- classification ----

    def _class_figures(self, name: str) -> tuple[Float64Array, npt.NDArray[np.int64]]:
        """The mean entropy of a pass and the votes; AttributeError for a regression."""
        if self._entropies is None or self._votes is None:
            raise AttributeError(
                f"{name} is defined for a classification only; these outputs were averaged as "
                "they are (output='raw')"
            )
        return self._entropies, self._votes

    @property
    def entropy(self) -> Float64Array:
        """Predictive entropy, -sum_c mean_c log mean_c, in nats: float64 array (N,).

        Classification only. It is the total uncertainty.
        """
        self._class_figures("entropy")
        return entropy_of(self.class_probabilities)

    @property
    def class_probabilities(self) -> Float64Array:
        """The mean probability of each class: float64 array (N, C). Classification only.

        It is `mean`, or (1 - mean, mean) for the one probability of ``output="sigmoid"``.
        """
        self._class_figures("class_probabilities")
        return both_classes(self.mean) if self._is_binary else self.mean

    @property
    def _is_binary(self) -> bool:
        """Whether the averages are of the probability of class 1 alone."""
        return self.is_classification and self.mean.shape[1:] in ((), (1,))

    @property
    def expected_entropy(self) -> Float64Array:
        """Mean over the passes of the entropy of a pass, in nats: float64 array (N,).

        Classification only. It is the uncertainty that each pass has on its own.
        """
        return self._class_figures("expected_entropy")[0]

    @property
    def mutual_information(self) -> Float64Array:
        """entropy - expected_entropy, at least 0, in nats: float64 array (N,).

        Classification only. It is the disagreement between passes (BALD; Houlsby et al., 2011).
        """
        entropies, _ = self._class_figures("mutual_information")
        return np.maximum(self.entropy - entropies, 0.0)

    @property
    def variation_ratio(self) -> Float64Array:
        """1 - the share of passes that choose the most chosen class: float64 array (N,).

        Classification only.
        """
        _, votes = self._class_figures("variation_ratio")
        return 1.0 - votes.max(-1) / self.counts.reshape(-1, *[1] * (votes.ndim - 2))

    # ---- regression ----

    def _check_regression(self, name: str) -> None:
        if self.is_classification:
            raise AttributeError(
                f"{name} is defined for a regression only; these outputs are class probabilities"
            )

    @property
    def epistemic(self) -> Float64Array:
        """Variance over the passes of the predicted mean: float64 array (N, ...).

        Regression only. It is the disagreement between passes.
        """
        self._check_regression("epistemic")
        return self.variance

    @property
    @quiet
    def aleatoric(self) -> Float64Array:
        """Variance of the noise of y: float64 array (N, ...).

        Regression only. It is 1 / tau, or the mean of the predicted variances with
        ``output="gaussian"`` (Kendall and Gal, 2017).
        """
        self._check_regression("aleatoric")
        if self._noise is not None:
            return self._noise
        if self.tau is None:
            raise AttributeError(
                "aleatoric needs the noise of y: mc_predict(..., tau=), or a model that predicts "
                "it (output='gaussian')"
            )
        return np.full_like(self.variance, np.divide(1.0, self.tau))

    @property
    @quiet
    def total_variance(self) -> Float64Array:
        """epistemic + aleatoric, the variance of y: float64 array (N, ...). Regression only."""
        return self.epistemic + self.aleatoric

    @property
    @quiet
    def total_std(self) -> Float64Array:
        """sqrt(total_variance), the standard deviation of y: float64 array (N, ...).

        Regression only. It is right also where the variance is beyond the range of float64.
        """
        variance = self.total_variance
        if self._std is None:
            return np.sqrt(variance)
        return np.hypot(self._std, np.sqrt(self.aleatoric))

    @quiet
    def rescale(self, scale: ArrayLike, shift: ArrayLike = 0.0) -> MCPrediction:
        """The prediction in other units: y = scale * output + shift.

        For a model of standardised targets, scale and shift are the standard deviation and the
        mean of y. Passes and variances are converted too; a precision tau becomes tau / scale^2.

        Parameters
        ----------
        scale : float, or array that broadcasts against one output
            Finite and not 0.
        shift : float, or array that broadcasts against one output, default 0.0
            Finite.

        Returns
        -------
        MCPrediction

        Raises
        ------
        AttributeError
            The averages are of class probabilities.
        ValueError
            Numbers are not finite, a scale is 0, or they do not broadcast.
        """
        self._check_regression("rescale")
        a, b = self._unit_factor(scale, "scale"), self._unit_factor(shift, "shift")
        if not (a != 0).all():
            raise ValueError(f"scale must not be 0, got {check.describe(a)}")
        passes, log_variances = self.passes, self._log_variances
        variance, std = a * a * self.variance, np.abs(a) * self.std
        in_range = ((variance >= SMALLEST_VARIANCE) & (variance < np.inf) | (std == 0)).all()
        return MCPrediction(
            self.samples,
            self.counts,
            a * self.mean + b,
            variance,
            std=None if in_range else std,
            noise=None if self._noise is None else a * a * self._noise,
            tau=None if self.tau is None else self.tau / a**2,
            passes=None if passes is None else narrowed(a * passes + b),
            log_variances=None if log_variances is None else log_variances + 2 * np.log(np.abs(a)),
        )

    def _unit_factor(self, value: ArrayLike, name: str) -> Float64Array:
        """A finite number, or an array of them that broadcasts against one output."""
        array = check.as_array(value, name)
        if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise ValueError(f"{name} must hold finite numbers, got {check.describe(value)}")
        one = self.mean.shape[1:]
        try:
            fits = array.size == 1 or np.broadcast_shapes(array.shape, one) == one
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"{name} must be one number or broadcast against an output of shape {one}, "
                f"got {check.describe(value)}"
            )
        return (array.reshape(()) if array.size == 1 else array).astype(np.float64)

    # ---- both ----

    def quantile(self, q: ArrayLike) -> Float64Array:
        """Quantiles over the passes, which must have been kept (``keep=True``).

        For a regression they are quantiles of the model's output, without the noise of y.

        Parameters
        ----------
        q : float or sequence of float
            Probabilities in [0, 1].

        Returns
        -------
        float64 array
            Of shape (N, ...) for a number, (len(q), N, ...) for several.

        Raises
        ------
        AttributeError
            The passes were not kept.
        ValueError
            A number is not in [0, 1].
        """
        passes, array = self._kept_passes("quantile"), check.as_array(q, "q")
        if (
            array.dtype.kind not in "fiu"
            or array.ndim > 1
            or not ((array >= 0) & (array <= 1)).all()
        ):
            raise ValueError(f"q must be a number in [0, 1] or several, got {check.describe(q)}")
        return np.quantile(passes, array.astype(np.float64), axis=1)

    def _kept_passes(self, name: str) -> npt.NDArray[np.float32]:
        if self.passes is None:
            raise AttributeError(f"{name} needs the passes: mc_predict(..., keep=True)")
        return self.passes

    def log_likelihood(self, y: ArrayLike, tau: float | None = None) -> Float64Array:
        """The logarithm of the predictive probability or density of the true y, for each sample.

        Classification: log mean_y. Regression: logsumexp_t log N(y; f_t, 1 / tau) - log T, with
        f_t the output of pass t, and with the predicted variances in place of 1 / tau where the
        model gives them. The outputs of one sample are independent given the pass. A regression
        needs the passes (``keep=True``).

        Parameters
        ----------
        y : int array (N,) or (N, T) of classes, or array (N, ...) of the outputs' shape
            The true classes, or the true values in the units of the outputs.
        tau : float, optional
            The precision of the noise of y, above 0, in place of the one given to `mc_predict`.

        Returns
        -------
        float64 array (N,)

        Raises
        ------
        AttributeError
            A regression whose passes were not kept.
        ValueError
            y does not fit the prediction, or there is no tau.

        References
        ----------
        Gal, Ghahramani, "Dropout as a Bayesian approximation: appendix", 2015, arXiv:1506.02157,
        equation 8.
        """
        array = check.as_array(y, "y")
        if self.is_classification:
            return self._log_probability(array)
        passes = self._kept_passes("log_likelihood of a regression").astype(np.float64)
        if array.shape == (len(self),) and self.mean.shape == (len(self), 1):
            array = array[:, None]
        if array.dtype.kind not in "fiu" or array.shape != self.mean.shape:
            raise ValueError(
                f"y must be numbers of shape {self.mean.shape}, got {check.describe(array)}"
            )
        if self._log_variances is not None and tau is None:
            log_variances = self._log_variances.astype(np.float64)
        else:
            precision = self.tau if tau is None else check.real(tau, "tau", low=0, open_low=True)
            if precision is None:
                raise ValueError(
                    "tau must be given, here or to mc_predict: the precision of the noise of y"
                )
            log_variances = np.full_like(passes, -np.log(precision))
        with np.errstate(all="ignore"):  # a density of 0 is a value
            distances = (array[:, None] - passes) * np.exp(-0.5 * log_variances)
            exponents = -0.5 * (distances * distances + log_variances + np.log(2 * np.pi))
            exponents = exponents.sum(tuple(range(2, exponents.ndim)))
            top = np.maximum(exponents.max(1, keepdims=True), np.finfo(np.float64).min)
            return top[:, 0] + np.log(np.exp(exponents - top).mean(1))

    def _log_probability(self, y: npt.NDArray[Any]) -> Float64Array:
        """The logarithm of the mean probability of the classes y."""
        probabilities = self.class_probabilities
        *places, classes = probabilities.shape
        if y.dtype.kind not in "iub" or y.shape != tuple(places):
            shape = len(self) if len(places) == 1 else tuple(places)
            raise ValueError(f"y must be {shape} class numbers, got {check.describe(y)}")
        y = y.astype(np.intp)  # a bool array would be a mask
        if y.size and not 0 <= y.min() <= y.max() < classes:
            raise ValueError(
                f"y must be class numbers from 0 to {classes - 1}, got {check.describe(y)}"
            )
        of_y = np.take_along_axis(probabilities, y[..., None], -1)[..., 0]
        return np.log(np.maximum(of_y, np.finfo(np.float64).tiny))


def both_classes(p: Float64Array) -> Float64Array:
    """Probabilities (N, 2) of both classes, from those of class 1: (N,) or (N, 1)."""
    p = p.reshape(len(p))
    return np.stack([1.0 - p, p], axis=1)


@quiet
def entropy_of(p: Float64Array) -> Float64Array:
    """Entropy -sum_c p_c log p_c over the last axis, in nats."""
    return -(p * np.log(np.maximum(p, SMALLEST_PROBABILITY))).sum(-1)
