"""The results of a search for the dropout rate: one `Trial` a training run, all in a `Tuning`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdrop._utils.html import fragment, table

if TYPE_CHECKING:
    from fastdrop import nn

__all__ = ["Trial", "Tuning"]


@dataclass(frozen=True)
class Trial:
    """One training run of the search of `fastdrop.tune_rates`.

    Attributes
    ----------
    rate : float
        The rate that was tried: the argument of `build`.
    rates : dict of str to float
        The rate of each layer of the model, by the layer's path.
    training, validation : dict of str to float
        "loss", and "accuracy" or "rmse", after the training and without dropout.
    gap : float
        Training accuracy minus validation accuracy; for RMSE and loss
        (validation - training) / validation.
    verdict : {"underfits", "fits", "overfits"}
        What the gap says about the network; `fastdrop.diagnose` uses the same limits.
    decision : str
        What the search did next, and why.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x = np.random.default_rng(0).standard_normal((100, 8))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> tuning = fd.tune_rates(lambda rate: fd.models.mlp(8, [16], 2, dropout=rate), (x, y),
    ...                        max_trials=1, epochs=1, progress=False)
    >>> tuning.trials[0].verdict in ("underfits", "fits", "overfits")
    True
    """

    rate: float
    rates: dict[str, float]
    training: dict[str, float]
    validation: dict[str, float]
    gap: float
    verdict: str
    decision: str


@dataclass(frozen=True, repr=False, eq=False)
class Tuning:
    """All trials of `fastdrop.tune_rates`. ``print(tuning)`` shows them as a table.

    Attributes
    ----------
    trials : list of Trial
        In the order in which they were run.
    best : Trial
        The trial with the best validation figure. Equal accuracies are compared by the loss.
    model : Module
        The trained model of the best trial, in evaluation mode.
    measure : {"accuracy", "rmse", "loss"}
        The figure that was compared.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x = np.random.default_rng(0).standard_normal((100, 8))
    >>> y = (x[:, 0] > 0).astype(int)
    >>> tuning = fd.tune_rates(lambda rate: fd.models.mlp(8, [16], 2, dropout=rate), (x, y),
    ...                        max_trials=1, epochs=1, progress=False)
    >>> tuning.best is tuning.trials[0] and tuning.rate == tuning.best.rate
    True
    """

    trials: list[Trial]
    best: Trial
    model: nn.Module
    measure: str

    @property
    def rate(self) -> float:
        """The rate of the best trial."""
        return self.best.rate

    @property
    def rates(self) -> dict[str, float]:
        """The rate of each layer in the best trial, by the layer's path."""
        return self.best.rates

    def __repr__(self) -> str:
        best = self.best.validation[self.measure]
        return (
            f"Tuning(best rate {self.rate:g} of {len(self.trials)} trials; "
            f"validation {self.measure} {best:.4g})"
        )

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        """The trials as a table, the best one marked, for notebooks."""
        head, *rows = self._cells()
        looks: list[list[str | None]] = [
            ["font-weight:600" if trial is self.best else None] * len(head) for trial in self.trials
        ]
        return fragment(table(head, rows, numeric=range(4), styles=looks))

    def table(self) -> str:
        """The trials as a table.

        Returns
        -------
        str
            One line for each trial. A star marks the best rate.
        """
        rows = self._cells()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (zip(row, widths, strict=True) for row in rows)
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in line).rstrip() for line in lines
        )

    def _cells(self) -> list[list[str]]:
        """The head of the table, and a row for each trial."""
        measure = self.measure
        rows = [
            [
                "rate",
                f"training {measure}",
                f"validation {measure}",
                "gap",
                "the network",
                "decision",
            ]
        ]
        for trial in self.trials:
            rows.append(
                [
                    f"{trial.rate:g}{'*' if trial is self.best else ''}",
                    f"{trial.training[measure]:.4g}",
                    f"{trial.validation[measure]:.4g}",
                    f"{trial.gap:.3g}",
                    trial.verdict,
                    trial.decision,
                ]
            )
        return rows
