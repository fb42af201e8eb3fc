"""Elements added around an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.memory_format import is_channels_last
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.reorder import ordered
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.random import CannotCarry

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

# Modes by the names that numpy.pad has for them.
MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@carries
def pad(
    input: Tensor | ArrayLike,
    pad: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Tensor:
    """Add elements before and behind the last axes.

    Parameters
    ----------
    input : Tensor or array
    pad : sequence of int
        Elements before and behind the last axis, then those of the axis before it, and so on.
    mode : {"constant", "reflect", "replicate", "circular"}, default "constant"
        What is added: `value`; the elements mirrored at the edge, without the edge itself; the
        edge; the elements of the other end.
    value : float, optional
        For mode "constant"; default 0.

    Returns
    -------
    Tensor
        In the memory format of the input.

    Raises
    ------
    TypeError, ValueError
        When pad does not hold two integers of at least 0 for each axis, or an axis has too few
        elements for the mode.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.pad([[1.0, 2.0]], (1, 0)).tolist()
    [[0.0, 1.0, 2.0]]
    >>> F.pad([[1.0, 2.0, 3.0]], (2, 1), "reflect").tolist()
    [[3.0, 2.0, 1.0, 2.0, 3.0, 2.0]]
    """
    x = as_tensor(input, "input")
    check.choice(mode, "mode", tuple(MODES))
    filled = 0.0 if value is None else check.real(value, "value")
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ValueError(
            f"pad must hold two integers for each of at most {x.ndim} axes, got {pad!r}"
        )
    numbers = [check.integer(n, "pad", 0) for n in pad]
    ends = [(0, 0)] * (x.ndim - len(numbers) // 2)
    ends += list(zip(numbers[::2], numbers[1::2]))[::-1]
    if len(numbers) == 2 * x.ndim and any(ends[0]) and type(x) is not Tensor:
        raise CannotCarry("padding of the samples")
    shape, channels_last = x.shape, is_channels_last(x._strided)
    if mode == "constant":
        y = computed(np.pad, x._strided, ends, constant_values=np.float32(filled))
        inside = tuple(slice(a, a + n) for (a, _), n in zip(ends, shape))
        return record(ordered(y, channels_last), (x,), lambda g: (g[inside],))
    for (a, b), n in zip(ends, shape):
        most = n - 1 if mode == "reflect" else n
        if (a or b) and (n == 0 or (mode != "replicate" and max(a, b) > most)):
            raise ValueError(
                f"pad must be at most {most} along an axis of {n} elements with mode {mode!r}, "
                f"got {(a, b)}"
            )
    numpy_mode: Any = MODES[mode]
    sources = [np.pad(np.arange(n), end, mode=numpy_mode) for n, end in zip(shape, ends)]
    y = x._strided
    for axis, (source, end) in enumerate(zip(sources, ends)):
        if any(end):
            y = computed(np.take, y, source, axis)

    def summed(g: Float32Array) -> Float32Array:
        for axis, (source, (a, b)) in enumerate(zip(sources, ends)):
            if not (a or b):
                continue
            g = np.moveaxis(g, axis, 0)
            n = len(g) - a - b
            inner = g[a : a + n].copy("K")
            for position in (*range(a), *range(a + n, len(g))):
                inner[source[position]] += g[position]
            g = np.moveaxis(inner, 0, axis)
        return g

    return record(ordered(y, channels_last), (x,), lambda g: (computed(summed, g),))
