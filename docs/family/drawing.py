"""What the pictures of docs/family share: masks as arrays, axes, colours, legends."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import fastdrop as fd

DROPPED, KEPT, OTHER = "#26304d", "#cfe0d8", "#e8a33d"
TWO = ListedColormap([DROPPED, KEPT])
SMALL = "small"


def output(layer, x, draw: int = 0, seed: int = 1) -> np.ndarray:
    """The layer's output for x in training mode, with the masks of this seed and draw."""
    layer.train()
    with fd.no_grad(), fd.mask_state(seed=seed, draw=draw, instance=0):
        return layer(x).numpy()


def mask(layer, shape, draw: int = 0, seed: int = 1) -> np.ndarray:
    """1 where the layer keeps an element of an input of this shape, else 0."""
    return (output(layer, np.ones(shape, np.float32), draw, seed) != 0).astype(int)


def legend(figure, entries) -> None:
    """A legend below the panels; entries: (colour, text)."""
    patches = [Patch(facecolor=colour, edgecolor="#555555", label=text) for colour, text in entries]
    figure.legend(
        handles=patches, loc="lower center", ncols=len(entries), fontsize=SMALL, frameon=False
    )


def two_colours(figure, dropped="dropped (0)", kept="kept") -> None:
    legend(figure, [(DROPPED, dropped), (KEPT, kept)])


def show(axes, values, title, x, y, cmap=TWO, **options):
    """An image with a title and axis labels."""
    limits = {"vmin": 0, "vmax": 1} if cmap is TWO else {}
    image = axes.imshow(
        values, cmap=cmap, interpolation="nearest", aspect="auto", **(limits | options)
    )
    axes.set_title(title, fontsize=SMALL)
    axes.set_xlabel(x, fontsize=SMALL)
    axes.set_ylabel(y, fontsize=SMALL)
    axes.tick_params(labelsize="x-small")
    return image


def maps(axes, values, title) -> None:
    """Maps (samples, channels, height, width) as a grid: a row a sample, a column a channel."""
    samples, channels, height, width = values.shape
    grid = np.full((samples * (height + 1) - 1, channels * (width + 1) - 1), np.nan)
    for n in range(samples):
        for c in range(channels):
            top, left = n * (height + 1), c * (width + 1)
            grid[top : top + height, left : left + width] = values[n, c]
    show(axes, grid, title, "channel", "sample")
    axes.set_xticks([c * (width + 1) + (width - 1) / 2 for c in range(channels)], range(channels))
    axes.set_yticks([n * (height + 1) + (height - 1) / 2 for n in range(samples)], range(samples))


def panels(count: int, height: float = 2.7, width: float = 8.0, **options):
    """A figure with so many panels side by side and room for a legend."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.09, 1, 0.91))
    return figure, figure.subplots(1, count, **options)


def histogram(axes, values, title, x, low, high, bins: int = 40) -> float:
    """Counts a bin; returns the bin's width."""
    axes.hist(
        values.ravel(), bins=bins, range=(low, high), color=KEPT, edgecolor="#557766", linewidth=0.4
    )
    axes.set_title(title, fontsize=SMALL)
    axes.set_xlabel(x, fontsize=SMALL)
    axes.set_ylabel("count in a bin", fontsize=SMALL)
    axes.tick_params(labelsize="x-small")
    return (high - low) / bins


def normal_curve(axes, mean, deviation, count, width, low, high) -> None:
    """The expected count a bin of a normal distribution."""
    x = np.linspace(low, high, 200)
    density = np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    axes.plot(x, density * count * width, color=DROPPED, linewidth=1.2)
