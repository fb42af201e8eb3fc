"""The weights of a fitted estimator as those of scikit-learn's networks, for converters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastdrop import nn

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop.sklearn.base import BaseDropoutEstimator

    Matrices = list[npt.NDArray[np.float64]]

__all__ = ["scikit_learn_weights"]


def scikit_learn_weights(estimator: BaseDropoutEstimator) -> tuple[Matrices, Matrices]:
    """``(coefs_, intercepts_)`` of a network without dropout that takes X as it is.

    With the standardisation ``z = (x - mean) / scale`` of a feature the first layer is
    ``W z + b = (W / scale) x + (b - W mean / scale)``. The targets of a regression are
    ``scale * output + mean``. Two classes have one output, the difference of the network's two:
    the logistic function of it is the softmax's probability of the second class.
    """
    check_is_fitted(estimator, "model_")
    if estimator.preset is not None:
        raise AttributeError(
            "coefs_, intercepts_ and n_layers_ are those of a network of dense layers only, got "
            f"preset={estimator.preset!r}: its network is model_"
        )
    layers = [m for m in estimator.model_.modules() if isinstance(m, nn.Linear)]
    coefs = [layer.weight.data.T.astype(np.float64) for layer in layers]
    intercepts = [
        np.zeros(layer.out_features) if layer.bias is None else layer.bias.data.astype(np.float64)
        for layer in layers
    ]
    if estimator.n_outputs_ == 1 and coefs[-1].shape[1] == 2:
        coefs[-1] = np.diff(coefs[-1], axis=1)
        intercepts[-1] = np.diff(intercepts[-1])
    scaler, target = estimator._input.scaler, estimator._target
    features = len(scaler.mean)  # the rows behind them belong to the indicators
    coefs[0][:features] /= scaler.scale[:, None]
    intercepts[0] = intercepts[0] - scaler.mean @ coefs[0][:features]
    if target is not None:
        coefs[-1] = coefs[-1] * target.scale
        intercepts[-1] = intercepts[-1] * target.scale + target.mean
    return coefs, intercepts
