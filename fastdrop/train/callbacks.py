"""What `fit` calls after each epoch: early stopping and the callbacks' argument."""

from __future__ import annotations

from dataclasses import dataclass

from fastdrop import nn, optim
from fastdrop._utils import validation as check
from fastdrop.train.history import History


@dataclass(frozen=True)
class EarlyStopping:
    """When to stop: after `patience` epochs in a row without an improvement of `monitor` by more than `min_delta`.

    Attributes
    ----------
    patience : int
    monitor : str
        A figure of the history: "val_loss", "val_accuracy", "val_rmse", or one of the metrics with "val_" before it.
    min_delta : float
    mode : {"min", "max"}, optional
        Whether less or more is better. Without it: more for names that end in "accuracy", less for the others.
    """

    patience: int = 5
    monitor: str = "val_loss"
    min_delta: float = 0.0
    mode: str | None = None

    def __post_init__(self):
        check.integer(self.patience, "patience", 1)
        check.real(self.min_delta, "min_delta", low=0.0)
        if not isinstance(self.monitor, str):
            raise TypeError(
                f"monitor must be the name of a figure, got {check.describe(self.monitor)}"
            )
        if self.mode is not None:
            check.choice(self.mode, "mode", ("min", "max"))

    def improves(self, value: float, best: float | None) -> bool:
        """Whether `value` is better than the best so far."""
        if best is None:
            return True
        more = self.mode == "max" or (self.mode is None and self.monitor.endswith("accuracy"))
        return value > best + self.min_delta if more else value < best - self.min_delta


@dataclass
class Epoch:
    """What a callback sees after each epoch.

    Attributes
    ----------
    number : int
        Epochs run so far (1 after the first).
    figures : dict
        This epoch's entries of the history.
    model, optimizer, history
        Those of the run; options of ``optimizer.param_groups`` may be changed.
    stop : bool
        Set it to end the run.
    """

    number: int
    figures: dict
    model: nn.Module
    optimizer: optim.Optimizer
    history: History
    stop: bool = False
