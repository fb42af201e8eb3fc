"""Averages of weights over the steps, with the names of torch.optim.swa_utils."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.autograd.tensor import Tensor
from fastdrop.nn.module import Module
from fastdrop.optim.averaged_model import (
    AveragedModel,
    get_ema_avg_fn,
    get_ema_multi_avg_fn,
    get_swa_avg_fn,
    get_swa_multi_avg_fn,
)
from fastdrop.optim.optimizer import Optimizer
from fastdrop.optim.scheduler import LRScheduler, checked_optimizer, per_group

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


class SWALR(LRScheduler):
    r"""From the present learning rate to a constant one, for the steps that are averaged.

    .. math:: \mathrm{lr}_t = (1 - \alpha_t)\, \mathrm{lr}_0 + \alpha_t\, \mathrm{lr}_{\mathrm{SWA}}

    with :math:`\alpha_t` from 0 to 1 in `anneal_epochs` calls of `step`.

    Parameters
    ----------
    optimizer : Optimizer
        The optimiser whose learning rates are set.
    swa_lr : float, at least 0, or list of float
        The last learning rate, of all groups or of each.
    anneal_epochs : int, at least 0, default 10
        Calls of `step` until it is reached. 0: at once.
    anneal_strategy : {"cos", "linear"}, default "cos"
        The form of :math:`\alpha_t`.
    last_epoch : int, at least -1, default -1
        The last step of an earlier run that goes on, as in `LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> optimizer = fd.optim.SGD([fd.Parameter([1.0])], lr=0.8)
    >>> scheduler = fd.optim.swa_utils.SWALR(optimizer, 0.2, 2, "linear")
    >>> for _ in range(3):
    ...     print(round(optimizer.param_groups[0]["lr"], 4))
    ...     scheduler.step()
    0.8
    0.5
    0.2
    """

    _kept = ("last_epoch", "base_lrs", "position")

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        self.swa_lrs = per_group(swa_lr, "swa_lr", checked_optimizer(optimizer))
        self.anneal_epochs = check.integer(anneal_epochs, "anneal_epochs")
        self.anneal_strategy = check.choice(anneal_strategy, "anneal_strategy", ("cos", "linear"))
        self.position = 0  # of the change; a run that goes on begins it again, as in PyTorch
        super().__init__(optimizer, last_epoch)

    def _share(self) -> float:
        """How much of the change is made."""
        part = min(1.0, self.position / self.anneal_epochs) if self.anneal_epochs else 1.0
        return part if self.anneal_strategy == "linear" else (1.0 - math.cos(math.pi * part)) / 2.0

    def get_lr(self) -> list[float]:
        share = self._share()
        return [
            swa * share + base * (1.0 - share)
            for swa, base in zip(self.swa_lrs, self.base_lrs, strict=True)
        ]

    def _base_of(self, lr: float, i: int) -> float:
        share = self._share()
        return lr if share == 1.0 else (lr - share * self.swa_lrs[i]) / (1.0 - share)

    def _advance(self, epoch: Any = None) -> None:
        self._follow_changes()
        self.last_epoch = self.last_epoch + 1 if epoch is None else check.integer(epoch, "epoch")
        self.position = self.position + 1 if epoch is None else self.last_epoch
        self._set()

    def _resume(self) -> None:
        self.last_epoch += 1
        self.base_lrs = self.get_last_lr()
        self._set()

    def _jump(self, step: int, bases: list[float]) -> None:
        self.position = step
        super()._jump(step, bases)

    def _restart(self) -> None:
        self._jump(0, self.get_last_lr())


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the statistics of batch norms anew, as means over all batches of the data.

    Call it for a model whose weights were averaged: the statistics of batch norms are not those of
    the averaged weights. The model runs in training mode, without gradients.

    Parameters
    ----------
    loader : iterable
        Batches: the input, or a tuple or list whose first element it is.
    model : Module
        An `AveragedModel`, or any other module.
    device : optional
        None or "cpu".

    Raises
    ------
    TypeError, ValueError
        `model` is no Module, or `device` is another one.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.nn.BatchNorm1d(1)
    >>> batches = [fd.tensor([[1.0], [3.0]]), fd.tensor([[5.0], [7.0]])]
    >>> fd.optim.swa_utils.update_bn(batches, model)
    >>> model.running_mean.tolist()
    [4.0]
    """
    from fastdrop.nn import BatchNorm1d, BatchNorm2d, BatchNorm3d

    if not isinstance(model, Module):
        raise TypeError(f"model must be a Module, got {check.describe(model)}")
    if device is not None and str(device) != "cpu":
        raise ValueError(f"device must be None or 'cpu', got {device!r}")
    norms: list[Any] = [
        module
        for module in model.modules()
        if isinstance(module, (BatchNorm1d, BatchNorm2d, BatchNorm3d))
    ]
    for norm in norms:
        for buffer, first in (
            (norm.running_mean, 0.0),
            (norm.running_var, 1.0),
            (norm.num_batches_tracked, 0),
        ):
            if buffer is not None:
                own = isinstance(buffer, Tensor)
                np.copyto(buffer._to_write("update_bn()") if own else buffer, first)
    if not norms:
        return
    momenta, training = [norm.momentum for norm in norms], model.training
    try:
        model.train()
        for norm in norms:
            norm.momentum = None
        with no_grad():
            for batch in loader:
                model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.train(training)
