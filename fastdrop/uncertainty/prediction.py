"""What Monte Carlo passes say: averages, spread, entropies, likelihood."""

from __future__ import annotations

import numpy as np

from fastdrop._utils import validation as check

_TINY = 1e-12


class MCPrediction:
    """What T passes say. Averages are of probabilities (classification) or outputs (regression), over the passes.

    Attributes
    ----------
    samples : int
        T, the number of passes asked for.
    counts : int array (N,)
        The passes made for each input: T, or more where ``tolerance=`` asked for them.
    mean, variance, std : float64 arrays (N, ...)
        Mean, variance and standard deviation over the passes.
    standard_error : float64 array (N, ...)
        Of the mean: std / sqrt(counts).
    entropy : float64 array (N,)
        Predictive entropy, -sum_c mean_c log mean_c, in nats. Classification only, as are the next three.
    expected_entropy : float64 array (N,)
        Mean over the passes of the entropy of each.
    mutual_information : float64 array (N,)
        entropy - expected_entropy, at least 0: what the masks disagree about (BALD; Houlsby et al., 2011).
    variation_ratio : float64 array (N,)
        1 - the share of the passes that choose the most chosen class.
    epistemic, aleatoric, total_variance : float64 arrays (N, ...)
        Regression only. What the masks disagree about: the variance of the passes' means. The noise of y: 1 / tau, or the mean of the predicted
        variances (``output="gaussian"``; Kendall and Gal, 2017). Their sum.
    tau : float, array (outputs,) or None
        Precision of the noise of y.
    passes : float32 array (N, T, ...) or None
        Each pass, with ``keep=True``.

    References
    ----------
    Gal and Ghahramani, "Dropout as a Bayesian approximation", ICML 2016; Kendall and Gal, "What uncertainties do we need in Bayesian
    deep learning for computer vision?", NIPS 2017.
    """

    def __init__(
        self,
        samples,
        counts,
        mean,
        variance,
        *,
        entropies=None,
        votes=None,
        noise=None,
        tau=None,
        passes=None,
        log_variances=None,
    ):
        self.samples, self.counts, self.mean, self.variance = samples, counts, mean, variance
        self._entropies, self._votes, self._noise, self.tau = entropies, votes, noise, tau
        self.passes, self._log_variances = passes, log_variances

    def __repr__(self):
        kind = "probabilities" if self.is_classification else "outputs"
        return f"MCPrediction({len(self.mean)} inputs, {self.samples} passes, {kind} of shape {self.mean.shape[1:]})"

    def __len__(self):
        return len(self.mean)

    @property
    def is_classification(self) -> bool:
        """Whether the averages are of probabilities."""
        return self._entropies is not None

    @property
    def std(self):
        return np.sqrt(self.variance)

    @property
    def standard_error(self):
        return np.sqrt(self.variance / _beside(self.counts, self.variance))

    # ---- classification ----

    def _of_classes(self, what):
        if not self.is_classification:
            raise AttributeError(
                f"{what} is of classifications; these outputs were taken as they are (output='raw')"
            )

    @property
    def entropy(self):
        self._of_classes("entropy")
        return entropy_of(self.mean)

    @property
    def expected_entropy(self):
        self._of_classes("expected_entropy")
        return self._entropies

    @property
    def mutual_information(self):
        self._of_classes("mutual_information")
        return np.maximum(self.entropy - self._entropies, 0.0)

    @property
    def variation_ratio(self):
        self._of_classes("variation_ratio")
        return 1.0 - self._votes.max(-1) / self.counts

    # ---- regression ----

    def _of_numbers(self, what):
        if self.is_classification:
            raise AttributeError(
                f"{what} is of regressions; these outputs are probabilities of classes"
            )

    @property
    def epistemic(self):
        self._of_numbers("epistemic")
        return self.variance

    @property
    def aleatoric(self):
        self._of_numbers("aleatoric")
        if self._noise is not None:
            return self._noise
        if self.tau is None:
            raise AttributeError(
                "aleatoric needs the noise of y: mc_predict(..., tau=), or a model that predicts it (output='gaussian')"
            )
        return np.full_like(self.variance, 1.0 / self.tau)

    @property
    def total_variance(self):
        return self.epistemic + self.aleatoric

    def rescale(self, scale, shift=0.0) -> MCPrediction:
        """The same prediction in other units, y = scale * output + shift: of a model of standardised targets, say.

        Parameters
        ----------
        scale, shift : float, or array that broadcasts against one output
            A precision tau becomes tau / scale^2.

        Returns
        -------
        MCPrediction

        Raises
        ------
        AttributeError
            The averages are of probabilities.
        ValueError
            Numbers are not finite, a scale is 0, or they do not broadcast.
        """
        self._of_numbers("rescale")
        scale, shift = self._units(scale, "scale"), self._units(shift, "shift")
        if not (scale != 0).all():
            raise ValueError(f"scale must not be 0, got {check.describe(scale)}")
        return MCPrediction(
            self.samples,
            self.counts,
            scale * self.mean + shift,
            scale * scale * self.variance,
            noise=None if self._noise is None else scale * scale * self._noise,
            tau=None if self.tau is None else self.tau / scale**2,
            passes=None
            if self.passes is None
            else (scale * self.passes + shift).astype(np.float32),
            log_variances=None
            if self._log_variances is None
            else self._log_variances + 2 * np.log(np.abs(scale)),
        )

    def _units(self, value, name):
        """One finite number, or one for each of the outputs."""
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
                f"{name} must be one number or broadcast against an output of shape {one}, got {check.describe(value)}"
            )
        return (array.reshape(()) if array.size == 1 else array).astype(np.float64)

    # ---- both ----

    def quantile(self, q):
        """Quantiles over the passes, which must have been kept: (N, ...) for a number q in [0, 1], (len(q), N, ...) for several."""
        passes, q = self._kept("quantile"), check.as_array(q, "q")
        if q.dtype.kind not in "fiu" or q.ndim > 1 or not ((q >= 0) & (q <= 1)).all():
            raise ValueError(f"q must be a number in [0, 1] or several, got {check.describe(q)}")
        return np.quantile(passes, q.astype(np.float64), axis=1)

    def _kept(self, what):
        if self.passes is None:
            raise AttributeError(f"{what} needs the passes: mc_predict(..., keep=True)")
        return self.passes

    def log_likelihood(self, y, tau: float | None = None) -> np.ndarray:
        """The log of the predictive density (or probability) of what came, for each input.

        Classification: log mean_y. Regression: logsumexp_t log N(y; y_t, 1 / tau) - log T, as Gal and Ghahramani's code has it, with the
        predicted variances in place of 1 / tau where the model gives them; outputs of one input are independent given the pass.

        Parameters
        ----------
        y : int array (N,) of classes, or array (N, ...) of the outputs' shape, in their units
        tau : float, optional
            Precision of the noise of y, instead of the one that `mc_predict` was given.

        Returns
        -------
        float64 array (N,)

        References
        ----------
        Gal and Ghahramani, ICML 2016, appendix, equation 8.
        """
        y = check.as_array(y, "y")
        if self.is_classification:
            if y.dtype.kind not in "iu" or y.shape != (len(self),):
                raise ValueError(f"y must be {len(self)} class numbers, got {check.describe(y)}")
            if y.size and not 0 <= y.min() <= y.max() < self.mean.shape[1]:
                raise ValueError(
                    f"y must be class numbers from 0 to {self.mean.shape[1] - 1}, got {check.describe(y)}"
                )
            return np.log(np.maximum(self.mean[np.arange(len(y)), y], np.finfo(np.float64).tiny))
        passes = self._kept("log_likelihood of a regression").astype(np.float64)
        if y.shape == (len(self),) and self.mean.shape == (len(self), 1):
            y = y[:, None]
        if y.dtype.kind not in "fiu" or y.shape != self.mean.shape:
            raise ValueError(
                f"y must be numbers of shape {self.mean.shape}, got {check.describe(y)}"
            )
        if self._log_variances is not None and tau is None:
            log_variances = self._log_variances.astype(np.float64)
        else:
            tau = self.tau if tau is None else check.real(tau, "tau", low=0, open_low=True)
            if tau is None:
                raise ValueError(
                    "tau must be given, here or to mc_predict: the precision of the noise of y"
                )
            log_variances = np.full_like(passes, -np.log(tau))
        with np.errstate(all="ignore"):  # a density of 0 is a value
            distances = (y[:, None] - passes) * np.exp(-0.5 * log_variances)
            exponents = -0.5 * (distances * distances + log_variances + np.log(2 * np.pi))
            exponents = exponents.sum(tuple(range(2, exponents.ndim)))
            top = np.maximum(exponents.max(1, keepdims=True), np.finfo(np.float64).min)
            return top[:, 0] + np.log(np.exp(exponents - top).mean(1))


def entropy_of(p) -> np.ndarray:
    """-sum p log p over the last axis."""
    return -(p * np.log(np.maximum(p, _TINY))).sum(-1)


def _beside(counts, array):
    """Numbers of the inputs, shaped to stand beside an array (N, ...)."""
    return counts.reshape(-1, *[1] * (array.ndim - 1))
