"""Early stopping, and the event that callbacks of `fit` receive after each epoch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdrop._utils import validation as check

if TYPE_CHECKING:
    from fastdrop import nn, optim
    from fastdrop.train.history import History

__all__ = ["EarlyStopping", "Epoch"]


# The last word of a figure's name, and whether lower or higher values of it are better.
_DIRECTIONS = {
    "max": "accuracy acc score auc auroc auprc roc ap map f1 fscore fbeta r2 precision recall "
    "sensitivity specificity mcc kappa iou dice jaccard ndcg mrr likelihood correlation corr",
    "min": "loss error err rmse mse mae mape rmsle msle medae nll bce crossentropy entropy brier "
    "ece deviance perplexity distance divergence time",
}
_MODES = {word: mode for mode, words in _DIRECTIONS.items() for word in words.split()}


def _direction(monitor: str) -> str | None:
    """Whether lower ("min") or higher ("max") values of a figure are better; None: unknown."""
    words = re.findall(r"[a-z]+[0-9]*", monitor.lower())
    if words[-2:] == ["roc", "auc"] or words[-2:] == ["cross", "entropy"]:
        return _MODES[words[-1]]
    return _MODES.get(words[-1]) if words else None


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
        Whether lower or higher values are better. It may be left out where the name says it:
        higher values are better for names that end in "accuracy", "auc", "f1", "r2", "precision",
        "recall" and the like, and lower values for names that end in "loss", "error", "rmse",
        "mae" and the like.

    Raises
    ------
    TypeError, ValueError
        A value has the wrong type or is out of range, or `mode` is missing and the name of the
        figure does not say which values are better.

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
        elif _direction(self.monitor) is None:
            raise ValueError(
                f"mode must be 'min' or 'max' for the figure {self.monitor!r}, whose name does not "
                "say whether higher values are better, got None"
            )

    def improves(self, value: float, best: float | None) -> bool:
        """Whether a value is better than the best so far.

        Parameters
        ----------
        value : float
            The monitored figure of the last epoch.
        best : float or None
            The best value of the epochs before it; None where there is none yet.

        Returns
        -------
        bool
            False for a NaN. A number improves a NaN.
        """
        if math.isnan(value):
            return False
        if best is None or math.isnan(best):
            return True
        higher = (self.mode or _direction(self.monitor)) == "max"
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
