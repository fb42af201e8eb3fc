"""Pictures of masks: what a layer drops."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import nn, random
from fastdrop._utils import plotting
from fastdrop._utils import validation as check
from fastdrop.autograd.grad_mode import no_grad
from fastdrop.inspection.dropout_layers import CHANNELS
from fastdrop.nn.evaluating import training
from fastdrop.nn.module import checked_module

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.figure import Figure

    from fastdrop._utils.typing import PathLike, Shape

__all__ = ["plot_masks"]

WEIGHT_LAYERS = (nn.DropConnectLinear, nn.TargetedLinear)
SPATIAL_AXES = {1: ["position"], 2: ["row", "column"], 3: ["depth", "row", "column"]}


def plot_masks(
    layer: nn.Module,
    shape: Sequence[int],
    path: PathLike | None = None,
    *,
    draws: int = 3,
    seed: int = 0,
) -> Figure:
    """Draw what a layer drops: its output for an input of ones, one image for each pass.

    Black is dropped (0), white the largest value. The title names the layer and its options, and
    the axes are named by what they are: samples, channels, units, weights.

    Parameters
    ----------
    layer : Module
        A dropout layer. For DropConnectLinear and TargetedLinear (with one mask for all samples)
        the picture shows the weight matrix, for Embedding its table.
    shape : sequence of int
        The shape of the input, (samples, ...). The last two axes with more than one element make
        the image; with more axes there is one map for each index of the others, side by side.
        Ignored where weights or a table are shown.
    path : str or os.PathLike, optional
        The file of the picture; its ending decides the format (.png, .pdf, .svg).
    draws : int, default 3
        The number of passes, 1 to 64.
    seed : int, default 0
        The seed of the masks, in [0, 2**64).

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError
        `layer` is not a Module.
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import fastdrop as fd
    >>> from fastdrop import nn
    >>> picture = fd.plot_masks(nn.DropBlock2d(0.2, 5), (1, 4, 20, 20), draws=2)
    >>> len(picture.axes)
    2
    """
    checked_module(layer, "layer")
    draws = check.integer(draws, "draws", 1, 64)
    masks = [drawn_mask(layer, tuple(shape), draw, seed) for draw in range(draws)]
    images = [as_image(mask) for mask in masks]
    rows, columns = images[0].shape
    height = 2.2 * min(max(rows / max(columns, 1), 0.3), 3.0)
    width = 2.4 * draws + 0.6
    picture = plotting.figure(width, height + 1.2)
    x_label, y_label, maps = axis_names(layer, masks[0].shape)
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
        if maps:  # several maps in one image: a number on the axis would mean nothing
            axes.set(xticks=[], yticks=[])
        else:
            plotting.integer_ticks(axes.xaxis)
            plotting.integer_ticks(axes.yaxis)
            if not y_label:
                axes.set_yticks([])
        axes.set_title(f"pass {i}", fontsize="small")
        axes.set_xlabel(x_label, fontsize="small")
        if i == 0:
            axes.set_ylabel(y_label, fontsize="small")
        axes.tick_params(labelsize="x-small")
    lines = _title(layer, masks, maps)
    line_length = int(13 * width)  # characters of the small font
    title = "\n".join(textwrap.fill(line, line_length) for line in lines)
    picture.suptitle(title, fontsize="small")
    if path is not None:
        plotting.save(picture, path)
    return picture


def _title(layer: nn.Module, masks: list[npt.NDArray[np.float32]], maps: str) -> list[str]:
    """The layer with its options, what an image shows, and what its colours mean."""
    if isinstance(layer, WEIGHT_LAYERS):
        shown = "factor of each weight"
    elif isinstance(layer, nn.Embedding):
        shown = "kept table entries"
    else:
        shown = "output for ones"
    largest = max(float(mask.max(initial=0.0)) for mask in masks)
    name = f"{type(layer).__name__}({layer.extra_repr()})"
    return [name, f"{shown}: black 0, white {largest:.3g}", *([maps] if maps else [])]


def axis_names(layer: nn.Module, shape: Shape) -> tuple[str, str, str]:
    """What the x axis, the y axis and the maps of the image of a mask (`as_image`) are.

    The third text is empty where the image is one map.
    """
    if isinstance(layer, WEIGHT_LAYERS):
        return "input feature", "output unit", ""
    if isinstance(layer, nn.Embedding):
        return "embedding dimension", "token id", ""
    inner = len(shape) - 2
    if isinstance(layer, CHANNELS) and inner in SPATIAL_AXES:
        names = ["sample", "channel", *SPATIAL_AXES[inner]]
    elif isinstance(layer, (nn.TokenDropout, nn.PatchDropout)) and inner == 1:
        names = ["sample", "token", "unit"]
    elif isinstance(layer, nn.HeadDropout) and inner == 2:
        names = ["sample", "head", "position", "unit"]
    else:
        names = ["sample", *(f"axis {i}" for i in range(1, len(shape) - 1)), "unit"]
    names = [name for name, n in zip(names[-len(shape) :], shape, strict=True) if n > 1]
    if len(names) < 2:
        return names[0] if names else "unit", "", ""
    maps = f"one map for each {' and '.join(names[:-2])}" if len(names) > 2 else ""
    return names[-1], names[-2], maps


def drawn_mask(
    layer: nn.Module, shape: Shape, draw: int = 0, seed: int = 0
) -> npt.NDArray[np.float32]:
    """The output of a layer in training mode for ones of this shape: 0 where it drops.

    For a layer that drops weights, the factors (out, in) that it applies to them.
    """
    with training(layer), no_grad(), random.mask_state(seed=seed, draw=draw, instance=0):
        if isinstance(layer, WEIGHT_LAYERS):
            return _weight_factors(layer)
        if isinstance(layer, nn.Embedding):
            return (layer(np.arange(layer.num_embeddings)).data != 0).astype(np.float32)
        y: Any = layer(np.ones(shape, np.float32))  # a tuple from layers that drop tokens
        return (y[0] if isinstance(y, tuple) else y).data


def _weight_factors(layer: Any) -> npt.NDArray[np.float32]:
    """dropped weight / weight (out, in); the outputs for unit vectors are the weight's columns."""
    unit_vectors = np.eye(layer.in_features, dtype=np.float32)
    bias = layer(np.zeros_like(unit_vectors)).data
    dropped = (layer(unit_vectors).data - bias).T
    with np.errstate(all="ignore"):
        return np.nan_to_num(dropped / layer.weight.data)


def as_image(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A mask of any shape as a 2-d image.

    Axes of length 1 are removed. With more than two axes left, the maps of the last two are
    placed side by side in about as many rows as columns, with a grey line between them.
    """
    shape = [n for n in values.shape if n > 1] or [1]
    values = values.reshape(shape)
    if values.ndim < 3:
        return values.reshape(1, -1) if values.ndim == 1 else values
    height, width = shape[-2:]
    maps = values.reshape(math.prod(shape[:-2]), height, width)
    across = math.ceil(math.sqrt(len(maps)))
    down = math.ceil(len(maps) / across)
    grey = float(values.max()) / 2
    image = np.full((down * (height + 1), across * (width + 1)), grey, np.float32)
    for i, one in enumerate(maps):
        y, x = i // across * (height + 1), i % across * (width + 1)
        image[y : y + height, x : x + width] = one
    return image[:-1, :-1]
