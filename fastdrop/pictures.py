"""Pictures, with matplotlib where it is installed."""

from __future__ import annotations

import math
import os

import numpy as np

from fastdrop import _arrays, _distribution, nn, random
from fastdrop.tensor import no_grad

__all__ = ["check_ending", "diagonal", "figure", "plot_masks", "save"]


def figure(width: float, height: float):
    """An empty figure of so many inches.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # without pyplot: no window, no global state
    except ImportError:
        hint = _distribution.install_hint("matplotlib", "train")
        raise ImportError(f"plotting needs matplotlib ({hint})") from None
    return Figure(figsize=(width, height), layout="constrained")


def save(picture, path) -> None:
    """Write a figure to a file; PNG, PDF or SVG by the name's ending."""
    picture.savefig(os.fspath(path), dpi=120)


def check_ending(path: str, name: str) -> None:
    """ValueError where the ending of `path`, which messages call `name`, is of no kind of picture; before hours of work, not after.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    known = figure(1, 1).canvas.get_supported_filetypes()
    if os.path.splitext(path)[1].removeprefix(".").lower() not in known:
        raise ValueError(f"{name} must end in .png, .pdf, .svg or another kind of picture that matplotlib knows, got {path!r}")


def diagonal(axes, x: str, y: str, title: str) -> None:
    """The diagonal of the unit square, where two shares agree, and the labels of the axes."""
    axes.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1, label="calibrated")
    axes.set(xlabel=x, ylabel=y, title=title, xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def drawn_mask(layer, shape, draw: int = 0, seed: int = 0) -> np.ndarray:
    """What a layer makes of ones of this shape in training: 0 where it drops (weights of layers that drop weights)."""
    own = getattr(layer, "training", None)
    weights = isinstance(layer, (nn.DropConnectLinear, nn.TargetedLinear))
    try:
        layer.train()
        with no_grad(), random.mask_state(seed=seed, draw=draw):
            if weights:  # each unit vector shows a column of the weights
                change = np.eye(layer.in_features, dtype=np.float32)
                zero = layer(np.zeros_like(change)).data
                dropped = (layer(change).data - zero).T
                with np.errstate(divide="ignore", invalid="ignore"):
                    return np.nan_to_num(dropped / layer.weight.data)
            if isinstance(layer, nn.Embedding):
                return (layer(np.arange(layer.num_embeddings)).data != 0).astype(np.float32)
            y = layer(np.ones(shape, np.float32))
            return (y[0] if isinstance(y, tuple) else y).data
    finally:
        layer.train(own)


def plot_masks(layer, shape, path=None, *, draws: int = 3, seed: int = 0):
    """A picture of what a layer drops: its output for ones, one image a draw; dark is dropped.

    Parameters
    ----------
    layer : Module
        For DropConnectLinear and TargetedLinear (with one mask a pass) the weights are shown, for Embedding the table.
    shape : tuple of int
        Of the input, (samples, ...). The last two axes of more than one element are the image, axes before them stand above each other.
    path : str or os.PathLike, optional
        Where the picture goes (PNG, PDF, SVG by the name's ending).
    draws : int
        Passes side by side.
    seed : int

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    if not isinstance(layer, nn.Module):
        raise TypeError(f"layer must be a Module, got {_arrays.describe(layer)}")
    draws = _arrays.integer(draws, "draws", 1, 64)
    images = [as_image(drawn_mask(layer, tuple(shape), draw, seed)) for draw in range(draws)]
    picture = figure(2.2 * draws + 0.2, 2.2 * images[0].shape[0] / max(images[0].shape[1], 1) + 0.4)
    for i, image in enumerate(images):
        axes = picture.add_subplot(1, draws, i + 1)
        axes.imshow(image, cmap="gray", vmin=0, vmax=max(float(np.abs(image).max()), 1e-6), interpolation="nearest", aspect="auto")
        axes.set_xticks([])
        axes.set_yticks([])
    picture.suptitle(f"{type(layer).__name__}({layer.extra_repr()})", fontsize="small")
    if path is not None:
        save(picture, path)
    return picture


def as_image(values: np.ndarray) -> np.ndarray:
    """Two axes: the last, and all before it; a grey line between the maps of a stack."""
    shape = [n for n in values.shape if n > 1] or [1]
    values = values.reshape(shape)
    if values.ndim < 3:
        return values.reshape(1, -1) if values.ndim == 1 else values
    maps = values.reshape(math.prod(shape[:-2]), *shape[-2:])
    across = math.ceil(math.sqrt(len(maps)))
    down = math.ceil(len(maps) / across)
    line = float(values.max()) / 2
    tiled = np.full((down * (shape[-2] + 1), across * (shape[-1] + 1)), line, np.float32)
    for i, one in enumerate(maps):
        y, x = i // across * (shape[-2] + 1), i % across * (shape[-1] + 1)
        tiled[y:y + shape[-2], x:x + shape[-1]] = one
    return tiled[:-1, :-1]
