"""Predictions of a model for all samples, in batches."""

from __future__ import annotations

import numpy as np

from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.tensor import Tensor
from fastdrop.data.dataset import Dataset
from fastdrop.nn.evaluating import evaluating
from fastdrop.nn.module import checked_module


def predict(model, x, batch_size: int = 1024) -> np.ndarray:
    """The model's outputs for all samples: in evaluation mode (no dropout), without gradients, a batch at a time.

    Parameters
    ----------
    model : Module
        Afterwards in the mode it was in.
    x : array (N, ...) or Dataset
    batch_size : int
        Does not change the result of models whose samples do not look at each other.

    Returns
    -------
    float32 array (N, ...) : what the model's forward returns. For class probabilities, ``fd.softmax`` of it.
    """
    checked_module(model, "model")
    x = check.floats(x.x if isinstance(x, Dataset) else x, "x", minimum_ndim=1)
    size = check.integer(batch_size, "batch_size", 1)
    if (
        isinstance(model, nn.Sequential)
        and len(x) <= size
        and (result := model.evaluated(x)) is not None
    ):
        return result
    result = None
    with evaluating(model), no_grad():
        for i in range(0, max(len(x), 1), size):
            piece = x if len(x) <= size else x[i : i + size]
            output = model(piece)
            if not isinstance(output, Tensor) or output.ndim == 0 or output.shape[0] != len(piece):
                raise TypeError(
                    f"model must return a Tensor with one row for each sample, got {check.describe(output)}"
                )
            if result is None:
                result = np.empty((len(x), *output.shape[1:]), np.float32)
            result[i : i + size] = output.data
    return result
