"""Split conformal prediction: intervals and sets of classes that cover y at a given rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.uncertainty.calibration import class_probabilities
from fastdrop.uncertainty.prediction import MCPrediction

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor

    Float64Array = npt.NDArray[np.float64]

__all__ = ["Conformal", "conformal"]

_REGRESSION, _CLASSES = ("normalized", "absolute"), ("thr", "aps")
# Deviations below this part of their root mean square count as this part: passes may be equal.
_SMALLEST_PART = 1e-8


@dataclass(frozen=True, repr=False, eq=False)
class Conformal:
    """Intervals or sets that contain the true y with a given probability; made by `conformal`.

    Attributes
    ----------
    method : {"normalized", "absolute", "thr", "aps"}
        The score of a sample; see `fastdrop.conformal`.
    level : float
        The probability that y is covered, for samples that are exchangeable with those of the
        calibration.
    quantile : float64 array () or (outputs,)
        The ceil((n + 1) level)-th smallest score of the n calibration samples; infinite where n is
        smaller than that.
    count : int
        n, the number of calibration samples.
    floor : float64 array () or (outputs,)
        The smallest standard deviation that a sample can have ("normalized").
    randomized : bool
        Whether "aps" draws a number for each sample.
    seed : int
        The seed of these numbers.

    References
    ----------
    Lei, G'Sell, Rinaldo, Tibshirani, Wasserman, "Distribution-free predictive inference for
    regression", JASA 113, 2018, arXiv:1604.04173.

    Sadinle, Lei, Wasserman, "Least ambiguous set-valued classifiers with bounded error levels",
    JASA 114, 2019, arXiv:1609.00451.

    Romano, Sesia, Candes, "Classification with valid and adaptive coverage", NeurIPS 2020,
    arXiv:2006.02544.

    Examples
    --------
    >>> import fastdrop as fd
    >>> mean, std = [0.0, 1.0, 2.0, 3.0], [1.0, 1.0, 2.0, 1.0]
    >>> found = fd.conformal((mean, std), [0.5, 1.0, 5.0, 3.2], level=0.5)
    >>> float(found.quantile)
    0.5
    >>> lower, upper = found.interval(([10.0], [2.0]))
    >>> lower.tolist(), upper.tolist()
    ([9.0], [11.0])
    """

    method: str
    level: float
    quantile: Float64Array
    count: int
    floor: Float64Array
    randomized: bool
    seed: int

    def __repr__(self) -> str:
        quantile = np.array2string(self.quantile, precision=4)
        return (
            f"Conformal({self.method}, level {self.level:g}, quantile {quantile} "
            f"of {self.count} scores)"
        )

    @quiet
    def interval(
        self, prediction: MCPrediction | tuple[ArrayLike, ArrayLike]
    ) -> tuple[Float64Array, Float64Array]:
        """The interval of each sample: mean -+ quantile * std, or mean -+ quantile ("absolute").

        Parameters
        ----------
        prediction : MCPrediction or pair (mean, std)
            As for `fastdrop.conformal`.

        Returns
        -------
        lower, upper : float64 arrays of the mean's shape

        Raises
        ------
        TypeError, ValueError
            The prediction is no regression, or has another number of outputs.
        """
        if self.method not in _REGRESSION:
            raise ValueError(f"interval needs the method of a regression, got {self.method!r}")
        mean, std = _mean_and_std(prediction)
        if mean.shape[1:] != self.quantile.shape:
            raise ValueError(
                f"prediction must have outputs of shape {self.quantile.shape} as in the "
                f"calibration, got {mean.shape[1:]}"
            )
        width = np.full(mean.shape, self.quantile)
        if self.method == "normalized":
            width *= np.maximum(std, self.floor)
        return mean - width, mean + width

    @quiet
    def sets(self, prediction: MCPrediction | Tensor | ArrayLike) -> npt.NDArray[np.bool_]:
        """The set of classes of each sample.

        Parameters
        ----------
        prediction : array (N, C) or MCPrediction
            Class probabilities.

        Returns
        -------
        bool array (N, C)
            Whether a class is in the set. Without `randomized` a set of "aps" has at least the
            most probable class; other sets may be empty.

        Raises
        ------
        TypeError, ValueError
            The method is that of a regression, or rows are no probabilities.
        """
        if self.method not in _CLASSES:
            raise ValueError(f"sets needs the method of a classification, got {self.method!r}")
        p = class_probabilities(prediction)
        inside: npt.NDArray[np.bool_] = self._class_scores(p) <= self.quantile
        if self.method == "aps" and not self.randomized:
            inside[np.arange(len(p)), p.argmax(1)] = True
        return inside

    def coverage(self, prediction: Any, y: ArrayLike) -> float:
        """The share of samples whose interval or set contains the true y.

        Parameters
        ----------
        prediction : as for `interval` or `sets`
        y : int array (N,) of classes, or array of the mean's shape

        Returns
        -------
        float
            For several outputs its mean over them.
        """
        if self.method in _CLASSES:
            inside = self.sets(prediction)
            labels = check.labels(y, "y", inside.shape[1])
            return float(inside[np.arange(len(labels)), labels].mean())
        lower, upper = self.interval(prediction)
        values = _values(y, lower)
        return float(((lower <= values) & (values <= upper)).mean())

    def _class_scores(self, p: Float64Array) -> Float64Array:
        """The score that each class of each sample would have as the true one, (N, C)."""
        if self.method == "thr":
            return 1.0 - p
        order = np.argsort(p, axis=1)[:, ::-1]
        ordered = np.take_along_axis(p, order, axis=1)
        total = np.cumsum(ordered, axis=1)
        if self.randomized:
            draws = np.random.RandomState(self.seed).uniform(size=(len(p), 1))
            total -= draws * ordered
        scores = np.empty_like(total)
        np.put_along_axis(scores, order, total, axis=1)
        return scores


@quiet
def conformal(
    prediction: MCPrediction | Tensor | ArrayLike | tuple[ArrayLike, ArrayLike],
    y: ArrayLike,
    level: float = 0.9,
    *,
    method: str | None = None,
    randomized: bool = True,
    seed: int = 0,
) -> Conformal:
    """Split conformal prediction from predictions of calibration data.

    The quantile q of the scores of the calibration samples gives new samples intervals or sets
    that contain the true y with at least the probability `level`, if all samples are exchangeable
    (drawn from one distribution). Use data that the model was not trained on.

    Scores of a regression, and intervals:

    - "normalized": abs(y - mean) / std; mean -+ q std (Lei et al., 2018, section 5.2). The
      intervals are wide where the passes disagree.
    - "absolute": abs(y - mean); mean -+ q.

    Scores of a classification with probabilities p, and sets:

    - "thr" (also called LAC): 1 - p_y; all classes with 1 - p <= q (Sadinle et al., 2019). The
      smallest sets on average.
    - "aps": the sum of p over the classes that are at least as probable as y, minus u p_y with u
      uniform in [0, 1); all classes whose sum is at most q (Romano et al., 2020). The sets are
      larger where the model is unsure, so that the coverage depends less on the input.

    Parameters
    ----------
    prediction : MCPrediction, array (N, C), or pair (mean, std)
        The result of `fastdrop.mc_predict`, whose `std` over the passes normalises a regression;
        class probabilities; or mean and standard deviation of a regression, arrays of one shape,
        (N,) or (N, outputs).
    y : int array (N,) of classes, or array of the mean's shape
        The true classes or values.
    level : float, default 0.9
        The probability that y is covered, in (0, 1).
    method : {"normalized", "absolute", "thr", "aps"}, optional
        Default: "normalized" for a regression, "thr" for classes.
    randomized : bool, default True
        Subtract u p_y in "aps". False: the coverage may be above the level.
    seed : int, default 0
        Seed of the numbers u, in [0, 2**32).

    Returns
    -------
    Conformal
        With several outputs, each has a quantile of its own.

    Raises
    ------
    TypeError, ValueError
        Shapes do not fit, rows are no probabilities, numbers are not finite, or the method does
        not go with the prediction.

    References
    ----------
    Lei, G'Sell, Rinaldo, Tibshirani, Wasserman, "Distribution-free predictive inference for
    regression", JASA 113, 2018, arXiv:1604.04173.

    Sadinle, Lei, Wasserman, "Least ambiguous set-valued classifiers with bounded error levels",
    JASA 114, 2019, arXiv:1609.00451.

    Romano, Sesia, Candes, "Classification with valid and adaptive coverage", NeurIPS 2020,
    arXiv:2006.02544.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> rng = np.random.default_rng(0)
    >>> p = rng.dirichlet([1, 1, 1], 1000)
    >>> y = (rng.random((1000, 1)) < p.cumsum(1)).argmax(1)
    >>> found = fd.conformal(p[:500], y[:500], level=0.8)
    >>> bool(0.75 < found.coverage(p[500:], y[500:]) < 0.85)
    True
    """
    level = check.real(level, "level", low=0, high=1, open_low=True, open_high=True)
    randomized = check.flag(randomized, "randomized")
    seed = check.integer(seed, "seed", 0, 2**32 - 1)
    regression = (
        not prediction.is_classification
        if isinstance(prediction, MCPrediction)
        else isinstance(prediction, tuple) and len(prediction) == 2
    )
    methods = _REGRESSION if regression else _CLASSES
    chosen = check.choice(methods[0] if method is None else method, "method", methods)
    nothing = np.zeros(())
    found = Conformal(chosen, level, nothing, 0, nothing, randomized, seed)
    if regression:
        mean, std = _mean_and_std(prediction)
        values = _values(y, mean)
        scores = np.abs(values - mean)
        floor = _SMALLEST_PART * np.sqrt(np.square(std).mean(axis=0))
        if chosen == "normalized":
            if not (floor > 0).all():
                raise ValueError("std must be above 0 for some samples of each output, got only 0")
            scores /= np.maximum(std, floor)
    else:
        p = class_probabilities(prediction)
        labels = check.labels(y, "y", p.shape[1])
        if len(labels) != len(p):
            raise ValueError(f"y must have {len(p)} class numbers, got {len(labels)}")
        scores, floor = found._class_scores(p)[np.arange(len(p)), labels], nothing
    quantile = _quantile(scores, level)
    return Conformal(chosen, level, quantile, len(scores), floor, randomized, seed)


def _quantile(scores: Float64Array, level: float) -> Float64Array:
    """The ceil((n + 1) level)-th smallest of n scores along axis 0; inf where there are fewer."""
    n = len(scores)
    rank = math.ceil((n + 1) * level - 1e-9)  # 1e-9: 100 * 0.07 is 7.000000000000001
    if rank > n:
        return np.full(scores.shape[1:], np.inf)
    return np.asarray(np.partition(scores, rank - 1, axis=0)[rank - 1])


def _mean_and_std(prediction: Any) -> tuple[Float64Array, Float64Array]:
    """Mean and standard deviation of a regression, float64 (N,) or (N, outputs)."""
    if isinstance(prediction, MCPrediction):
        if prediction.is_classification:
            raise ValueError(f"prediction must be a regression, got {prediction!r}")
        pair = (prediction.mean, prediction.std)
    elif isinstance(prediction, tuple) and len(prediction) == 2:
        pair = prediction
    else:
        raise TypeError(
            "prediction must be an MCPrediction or a pair (mean, std), "
            f"got {check.describe(prediction)}"
        )
    mean, std = (
        check.finite_array(array, name).astype(np.float64)
        for array, name in zip(pair, ("mean", "std"))
    )
    if mean.ndim not in (1, 2) or not mean.size or mean.shape != std.shape or std.min() < 0:
        raise ValueError(
            "mean and std must have one shape (N,) or (N, outputs), not empty, and std must not be "
            f"negative, got shapes {mean.shape} and {std.shape}"
        )
    return mean, std


def _values(y: Any, mean: Float64Array) -> Float64Array:
    """The true values as float64 of the mean's shape."""
    values = check.finite_array(y, "y").astype(np.float64)
    if mean.shape == (len(values), 1):
        values = values.reshape(mean.shape)
    if values.shape != mean.shape:
        raise ValueError(f"y must have the mean's shape {mean.shape}, got {values.shape}")
    return values
