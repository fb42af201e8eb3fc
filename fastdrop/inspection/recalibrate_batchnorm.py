"""Batch norm again: running statistics without dropout."""

from __future__ import annotations

from fastdrop import nn
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.nn.evaluating import evaluating
from fastdrop.nn.module import checked_module

__all__ = ["recalibrate_batchnorm"]


def recalibrate_batchnorm(model, batches):
    """Estimate the running statistics of all batch norms again, with dropout off: the average over these batches.

    The remedy where dropout stands before batch norm and cannot be moved (Li et al., "Understanding the disharmony between dropout and
    batch normalization by variance shift", CVPR 2019). Run it after training, over a few hundred training samples or more.

    Parameters
    ----------
    model : Module
    batches : iterable of array (N, ...), or of (array, target)

    Returns
    -------
    model, with its modes as they were

    Raises
    ------
    ValueError
        The model has no batch norm with running statistics, or there is no batch.
    """
    checked_module(model, "model")
    norms = [
        m for m in model.modules() if isinstance(m, nn.BatchNorm1d) and m.running_mean is not None
    ]
    if not norms:
        raise ValueError("model must have a batch norm with running statistics")
    before = [
        (
            m,
            m.training,
            m.momentum,
            m.running_mean.data.copy(),
            m.running_var.data.copy(),
            m.num_batches_tracked.copy(),
        )
        for m in norms
    ]
    done = False
    try:
        with evaluating(model), no_grad():
            for norm in norms:
                norm.momentum = None  # the plain average
                norm.num_batches_tracked[...] = 0
                object.__setattr__(norm, "training", True)
            count = 0
            for batch in batches:
                model(batch[0] if isinstance(batch, (tuple, list)) else batch)
                count += 1
            if not count:
                raise ValueError("batches must have at least one batch")
        done = True
    finally:
        for norm, training, momentum, average, variance, tracked in before:
            object.__setattr__(norm, "training", training)
            norm.momentum = momentum
            if not done:
                (
                    norm.running_mean.data[...],
                    norm.running_var.data[...],
                    norm.num_batches_tracked[...],
                ) = average, variance, tracked
    return model
