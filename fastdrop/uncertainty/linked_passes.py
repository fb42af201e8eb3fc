"""Monte Carlo passes behind a link: probabilities of labels, and means of counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.uncertainty.monte_carlo import mc_predict
from fastdrop.uncertainty.prediction import MCPrediction, entropy_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from fastdrop import nn
    from fastdrop._utils.typing import Float32Array

    Float64Array = npt.NDArray[np.float64]

__all__ = ["exponential", "linked_passes", "logistic"]

_NUMBERS = 1 << 22  # numbers of passes kept at a time


def logistic(z: Float64Array) -> Float64Array:
    """1 / (1 + exp(-z)), without overflow."""
    return np.exp(-np.logaddexp(0.0, -z))


def exponential(z: Float64Array) -> Float64Array:
    """exp(z); infinite where it is beyond float64."""
    with np.errstate(over="ignore"):
        return np.exp(z)


def linked_passes(
    model: nn.Module,
    x: Float32Array,
    options: dict[str, Any],
    link: Callable[[Float64Array], Float64Array],
    *,
    labels: bool = False,
) -> MCPrediction:
    """Averages of ``link(outputs)`` over the passes.

    Parameters
    ----------
    model : Module
    x : array (N, features)
    options : dict
        Arguments of `fastdrop.mc_predict`. ``tolerance`` and ``tau`` are refused.
    link : function
        Of the outputs of a pass.
    labels : bool
        The results are probabilities of labels: the prediction has both classes of each label,
        (N, labels, 2), and entropies (N, labels). Otherwise they are the means of counts, whose
        noise has a variance equal to the mean (Poisson).
    """
    options = dict(options)
    for name in ("tolerance", "tau"):
        if options.pop(name, None) is not None:
            raise ValueError(
                f"{name} must be None for several labels a sample and for loss='poisson'"
            )
    keep, row0 = check.flag(options.pop("keep", False), "keep"), options.pop("row0", 0)
    samples = check.integer(options["samples"], "samples", 1)
    options["output"] = "raw"
    one = mc_predict(model, x[:1], 1, output="raw", progress=False)
    rows = max(1, _NUMBERS // (samples * one.mean.shape[1]))
    parts = []
    for i in range(0, max(len(x), 1), rows):
        found = mc_predict(model, x[i : i + rows], row0=row0 + i, keep=True, **options)
        assert found.passes is not None
        parts.append(_averages(link(found.passes.astype(np.float64)), labels, keep))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    counts = np.full(len(x), samples, np.int64)
    return MCPrediction(samples, counts, joined.pop("mean"), joined.pop("variance"), **joined)


def _averages(passes: Float64Array, labels: bool, keep: bool) -> dict[str, Any]:
    """Averages over the passes (N, T, outputs), by the names of MCPrediction's arguments."""
    found: dict[str, Any] = {}
    if labels:
        passes = np.stack([1.0 - passes, passes], axis=-1)
        chosen = passes[..., 1] > 0.5
        found["entropies"] = entropy_of(passes).mean(axis=1)
        votes = chosen.sum(axis=1)
        found["votes"] = np.stack([passes.shape[1] - votes, votes], axis=-1)
    found |= {"mean": passes.mean(axis=1), "variance": passes.var(axis=1)}
    if not labels:
        found["noise"] = found["mean"]
    if keep:
        found["passes"] = passes.astype(np.float32)
    return found
