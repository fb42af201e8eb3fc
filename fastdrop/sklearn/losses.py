"""The losses of the estimators: of each sample, and averaged over the samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import xlogy  # SciPy is a dependency of scikit-learn

from fastdrop import functional
from fastdrop.autograd.recording import computed

__all__ = [
    "half_squares",
    "label_entropies",
    "mean_half_squares",
    "mean_label_entropies",
    "mean_poisson_deviances",
    "poisson_deviances",
]


def half_squares(output: Any, target: Any) -> Any:
    """Half the squared error of each sample, summed over its targets."""
    return functional.mse_loss(output, target, "none").sum(1) * 0.5


def mean_half_squares(output: Any, target: Any) -> Any:
    """`half_squares`, averaged over the samples."""
    return half_squares(output, target).mean()


def poisson_deviances(output: Any, target: Any) -> Any:
    """Half the Poisson deviance of each sample: ``exp(z) - y z + y log y - y``, over its targets.

    The outputs z are the logarithms of the means.
    """
    constant = computed(_of_target, target)
    return (functional.exp(output) - output * target).sum(1) + constant


def _of_target(target: Any) -> Any:
    """What the deviance adds that does not depend on the outputs."""
    return (xlogy(target, target) - target).sum(1).astype(np.float32)


def mean_poisson_deviances(output: Any, target: Any) -> Any:
    """`poisson_deviances`, averaged over the samples."""
    return poisson_deviances(output, target).mean()


def label_entropies(output: Any, target: Any) -> Any:
    """The binary cross-entropy of each sample, summed over its labels."""
    return functional.binary_cross_entropy_with_logits(output, target, reduction="none").sum(1)


def mean_label_entropies(output: Any, target: Any) -> Any:
    """`label_entropies`, averaged over the samples."""
    return label_entropies(output, target).mean()
