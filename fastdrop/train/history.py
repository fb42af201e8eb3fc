"""What a training run shows: its history, curves, and progress while it runs."""

from __future__ import annotations

import sys
import time

from fastdrop._utils import plotting

__all__ = ["History", "Progress", "plot_curves"]


class History(dict):
    """Figures by name, one for each epoch: ``history["val_loss"][-1]``.

    Attributes
    ----------
    best_epoch : int or None
        The epoch (from 1 on) whose weights early stopping put back.
    stopped : bool
        Whether the run ended before its last epoch.
    """

    def __init__(self, figures=()):
        super().__init__(figures)
        self.best_epoch: int | None = None
        self.stopped = False

    @property
    def epochs(self) -> int:
        """How many epochs were run."""
        return len(self.get("loss", ()))

    def add(self, figures: dict) -> None:
        """Append an epoch's figures."""
        for name, value in figures.items():
            self.setdefault(name, []).append(value)

    def plot(self, path) -> None:
        """Draw the curves into a picture (PNG, PDF, SVG by the name's ending); needs matplotlib."""
        plot_curves({"": self}, path)

    def __repr__(self):
        last = ", ".join(f"{name}={values[-1]:.6g}" for name, values in self.items() if values)
        return f"History({self.epochs} epochs; last: {last})" if last else "History(no epochs)"


def plot_curves(histories: dict[str, History], path, held_out: str = "validation") -> None:
    """Training and validation curves of several runs in one picture: loss on the left, accuracy or error on the right.

    The scale leaves out the first tenth of the epochs, where everything is far above what matters.

    Parameters
    ----------
    histories : dict of label to History
    path : str or os.PathLike
    held_out : str
        What the legend calls the validation data.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    names = {name for history in histories.values() for name in history}
    panels = [
        name for name in ("loss", "accuracy", "rmse") if name in names or f"val_{name}" in names
    ]
    picture = plotting.figure(4.8 * max(len(panels), 1), 3.8)
    for i, panel in enumerate(panels):
        axes, top = picture.add_subplot(1, len(panels), i + 1), 0.0
        for number, (label, history) in enumerate(histories.items()):
            for name, style, what in ((panel, "--", "training"), (f"val_{panel}", "-", held_out)):
                if name in history:
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
        axes.set_xlabel("epoch")
        axes.set_ylabel("error (%)" if panel == "accuracy" else panel)
        axes.set_ylim(0, 1.05 * top or 1)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    plotting.save(picture, path)


def line(figures: dict) -> str:
    """An epoch's figures in words."""
    parts = []
    for name, value in figures.items():
        if name.endswith("accuracy"):
            parts.append(f"{name} {100 * value:.2f} %")
        elif name == "time":
            parts.append(f"{value:.2f} s")
        else:
            parts.append(f"{name} {value:.4g}")
    return "  ".join(parts)


class Progress:
    """A bar (tqdm, where it is installed and stderr is a terminal), otherwise a line at most once a second."""

    def __init__(self, epochs: int, steps: int, done: int, enabled: bool):
        self.epochs, self.enabled, self.bar = epochs, enabled, None
        self.shown = time.monotonic()
        if enabled and sys.stderr is not None and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self.bar = tqdm(
                total=epochs * steps, initial=done, unit="step", leave=False, dynamic_ncols=True
            )

    def say(self, text: str) -> None:
        """A line of its own."""
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        elif self.enabled:
            print(text, file=sys.stderr, flush=True)

    def step(self) -> None:
        """One more step was made."""
        if self.bar is not None:
            self.bar.update()

    def epoch(self, number: int, figures: dict) -> None:
        """An epoch is over."""
        text = f"epoch {number}/{self.epochs}  {line(figures)}"
        if self.bar is not None:
            self.bar.set_description_str(text)
        elif self.enabled and (time.monotonic() - self.shown >= 1.0 or number == self.epochs):
            self.shown = time.monotonic()
            self.say(text)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
