"""The history of a training run: figures of each epoch, as numbers, text and curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop._utils import plotting
from fastdrop._utils.html import details, escape, fragment, table
from fastdrop.train.curves import curve_charts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastdrop._utils.typing import PathLike

__all__ = ["History", "format_figures", "plot_curves"]


class History(dict[str, list[float]]):
    """Lists of figures by name, with one value for each epoch: ``history["val_loss"][-1]``.

    Parameters
    ----------
    figures : mapping of str to list of float, or iterable of such pairs, default ()
        Figures to begin with.

    Attributes
    ----------
    best_epoch : int or None
        The epoch, counted from 1, whose weights early stopping restored. None without early
        stopping.
    stopped : bool
        Whether the run ended before its last epoch.

    Examples
    --------
    >>> from fastdrop.train import History
    >>> history = History({"loss": [0.9, 0.5]})
    >>> history.epochs
    2
    """

    def __init__(
        self, figures: Mapping[str, list[float]] | Iterable[tuple[str, list[float]]] = ()
    ) -> None:
        super().__init__(figures)
        self.best_epoch: int | None = None
        self.stopped = False

    @property
    def epochs(self) -> int:
        """The number of completed epochs."""
        return len(self.get("loss", ()))

    def add(self, figures: Mapping[str, float]) -> None:
        """Append the figures of one epoch.

        Parameters
        ----------
        figures : mapping of str to float
        """
        for name, value in figures.items():
            self.setdefault(name, []).append(value)

    def plot(self, path: PathLike) -> None:
        """Draw the curves of loss and accuracy (or error) over the epochs.

        Parameters
        ----------
        path : str or os.PathLike
            The file of the picture; its ending decides the format (.png, .pdf, .svg).

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        plot_curves({"": self}, path)

    def _repr_html_(self) -> str:
        """Curves, and a table of all epochs, for notebooks."""
        names = [name for name, values in self.items() if values]
        longest = max((len(self[name]) for name in names), default=0)
        rows = [
            [number + 1, *(_cell(name, self[name], number) for name in names)]
            for number in range(longest)
        ]
        if not rows:
            return fragment(escape(repr(self)))
        told = [f"{self.epochs} epochs"] + ["stopped early"] * self.stopped
        if self.best_epoch is not None:
            told.append(f"the best is epoch {self.best_epoch}")
        numbers = table(("epoch", *names), rows, numeric=range(len(names) + 1))
        return fragment(
            f"<div>{escape(', '.join(told))}</div>",
            *curve_charts({"": self}),
            details("All epochs", numbers),
        )

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.6g}" for name, values in self.items() if values)
        return f"History({self.epochs} epochs; last: {last})" if last else "History(no epochs)"


def _cell(name: str, values: list[float], number: int) -> str:
    """A figure of one epoch; nothing where it was not measured."""
    return format_figures({name: values[number]}, bare=True) if number < len(values) else ""


# The label of the vertical axis of each panel, with the unit.
AXIS_LABELS = {
    "loss": "loss (mean over samples)",
    "accuracy": "error (% of samples)",
    "rmse": "root mean squared error (units of y)",
}


def plot_curves(
    histories: Mapping[str, History], path: PathLike, held_out: str = "validation"
) -> None:
    """Draw training and validation curves of several runs into one picture.

    The left panel shows the loss, the right one the error in percent or the RMSE. The scale is
    chosen without the first tenth of the epochs, whose values are far above the later ones.

    Parameters
    ----------
    histories : mapping of str to History
        The runs by their labels in the legend.
    path : str or os.PathLike
        The file of the picture; its ending decides the format (.png, .pdf, .svg).
    held_out : str, default "validation"
        The name of the validation data in the legend.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    names = {name for history in histories.values() for name in history}
    panels = [name for name in AXIS_LABELS if name in names or f"val_{name}" in names]
    picture = plotting.figure(4.8 * max(len(panels), 1), 3.8)
    for i, panel in enumerate(panels):
        axes, top = picture.add_subplot(1, len(panels), i + 1), 0.0
        for number, (label, history) in enumerate(histories.items()):
            for name, style, what in ((panel, "--", "training"), (f"val_{panel}", "-", held_out)):
                if name not in history:
                    continue
                values = history[name]
                if panel == "accuracy":
                    values = [100 * (1 - value) for value in values]
                top = max(top, *values[len(values) // 10 :])
                axes.plot(
                    range(1, len(values) + 1),
                    values,
                    style,
                    color=f"C{number}",
                    label=f"{label} {what}".strip(),
                )
        axes.set(xlabel="epoch", ylabel=AXIS_LABELS[panel], ylim=(0, 1.05 * top or 1))
        plotting.integer_ticks(axes.xaxis)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    plotting.save(picture, path)


def format_figures(figures: Mapping[str, float], *, bare: bool = False) -> str:
    """The figures of one epoch as text: ``loss 0.5  val_accuracy 91.20 %  0.31 s``.

    With `bare` without their names.
    """
    parts = []
    for name, value in figures.items():
        if name.endswith("accuracy"):
            text = f"{100 * value:.2f} %"
        elif name == "time":
            text = f"{value:.2f} s"
        else:
            text = f"{value:.4g}"
        parts.append(text if bare or name == "time" else f"{name} {text}")
    return "  ".join(parts)
