"""Early stopping, and the event that callbacks of `fit` receive after each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from fastdrop import nn, optim
    from fastdrop.train.history import History

__all__ = ["EarlyStopping", "Epoch"]


@dataclass(frozen=True)
class EarlyStopping:
    """Stop a run when a validation figure has not improved for `patience` epochs in a row.

    An epoch improves the figure when it is better than the best value so far by more than
    `min_delta`.

    Parameters
    ----------
    patience : int, default 5
        Number of epochs without an improvement after which the run stops; at least 1.
    monitor : str, default "val_loss"
        The figure of the history to look at: "val_loss", "val_accuracy", "val_rmse", or "val_" and
        the name of a metric.
    min_delta : float, default 0.0
        The smallest change that counts as an improvement, at least 0.
    mode : {"min", "max"}, optional
        Whether lower or higher values are better. By default higher values are better for names
        that end in "accuracy", and lower values for all others.

    Raises
    ------
    TypeError, ValueError
        A value has the wrong type or is out of range.

    Examples
    --------
    >>> from fastdrop.train import EarlyStopping
    >>> stopping = EarlyStopping(patience=3, monitor="val_accuracy")
    >>> stopping.improves(0.92, best=0.91)
    True
    """

    patience: int = 5
    monitor: str = "val_loss"
    min_delta: float = 0.0
    mode: str | None = None

    def __post_init__(self) -> None:
        check.integer(self.patience, "patience", 1)
        check.real(self.min_delta, "min_delta", low=0.0)
        if not isinstance(self.monitor, str):
            raise TypeError(
                f"monitor must be the name of a figure, got {check.describe(self.monitor)}"
            )
        if self.mode is not None:
            check.choice(self.mode, "mode", ("min", "max"))

    def improves(self, value: float, best: float | None) -> bool:
        """Whether a value is better than the best so far.

        Parameters
        ----------
        value : float
            The monitored figure of the last epoch.
        best : float or None
            The best value of the epochs before it; None in the first epoch.

        Returns
        -------
        bool
        """
        if best is None:
            return True
        higher = self.mode == "max" or (self.mode is None and self.monitor.endswith("accuracy"))
        return value > best + self.min_delta if higher else value < best - self.min_delta


@dataclass
class Epoch:
    """What `fit` passes to its callbacks after each epoch.

    Attributes
    ----------
    number : int
        Number of completed epochs, 1 after the first.
    figures : dict of str to float
        The figures that this epoch added to the history.
    model : Module
        The model that is trained.
    optimizer : Optimizer
        Its optimizer. A callback may change the options in ``optimizer.param_groups``.
    history : History
        The figures of all epochs so far.
    stop : bool
        Set it to True to end the run after this epoch.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> def stop_when_good(epoch):
    ...     epoch.stop = epoch.figures["loss"] < 0.1
    >>> x, y = np.zeros((8, 4)), np.zeros(8, int)
    >>> history = fd.fit(fd.models.mlp(4, [8], 2), (x, y), epochs=2, progress=False,
    ...                  callbacks=stop_when_good)
    >>> history.epochs
    2
    """

    number: int
    figures: dict[str, float]
    model: nn.Module
    optimizer: optim.Optimizer
    history: History
    stop: bool = False
