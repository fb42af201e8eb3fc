"""Pictures of what a layer drops."""

from __future__ import annotations

import math

import numpy as np

from fastdrop import nn, random
from fastdrop._utils import plotting
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.nn.module import checked_module


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
    checked_module(layer, "layer")
    draws = check.integer(draws, "draws", 1, 64)
    images = [as_image(drawn_mask(layer, tuple(shape), draw, seed)) for draw in range(draws)]
    picture = plotting.figure(
        2.2 * draws + 0.2, 2.2 * images[0].shape[0] / max(images[0].shape[1], 1) + 0.4
    )
    for i, image in enumerate(images):
        axes = picture.add_subplot(1, draws, i + 1)
        axes.imshow(
            image,
            cmap="gray",
            vmin=0,
            vmax=max(float(np.abs(image).max()), 1e-6),
            interpolation="nearest",
            aspect="auto",
        )
        axes.set_xticks([])
        axes.set_yticks([])
    picture.suptitle(f"{type(layer).__name__}({layer.extra_repr()})", fontsize="small")
    if path is not None:
        plotting.save(picture, path)
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
        tiled[y : y + shape[-2], x : x + shape[-1]] = one
    return tiled[:-1, :-1]
