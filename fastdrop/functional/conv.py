"""Convolutions and transposed convolutions."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.memory_format import as_map, in_memory
from fastdrop._utils.settings import settings
from fastdrop.autograd.epilogue import Epilogue
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries
from fastdrop.autograd.pending import computed, pending_tensor
from fastdrop.autograd.pending_convolution import PendingConvolution
from fastdrop.autograd.reorder import ordered
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.shape import squeeze, unsqueeze

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.autograd.pending_convolution import Geometry

    Axes = int | Sequence[int]

ALGORITHMS = {
    "auto": _core.CONV_AUTO,
    "direct": _core.CONV_DIRECT,
    "winograd": _core.CONV_WINOGRAD,
}
LAYOUTS = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}


def along_axes(value: Any, name: str, axes: int, low: int) -> tuple[int, ...]:
    """An argument with a number for each axis of a map, or one for all."""
    if isinstance(value, (tuple, list)):
        if len(value) == 1:
            value = list(value) * axes
        if len(value) != axes:
            raise ValueError(f"{name} must be an integer or {axes} of them, got {value!r}")
        return tuple(check.integer(n, name, low) for n in value)
    return (check.integer(value, name, low),) * axes


def zeros_around(
    padding: Any, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How many zeros stand before and after each axis."""
    if isinstance(padding, str):
        check.choice(padding, "padding", ("same", "valid"))
        if padding == "valid":
            return (0,) * len(kernel), (0,) * len(kernel)
        if any(s != 1 for s in stride):
            raise ValueError(f"padding 'same' needs stride 1, got stride {stride}")
        total = [d * (k - 1) for d, k in zip(dilation, kernel)]
        return tuple(n // 2 for n in total), tuple(n - n // 2 for n in total)
    both = along_axes(padding, "padding", len(kernel), 0)
    return both, both


def _convolution(
    axes: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
) -> Tensor:
    """conv1d, conv2d and conv3d."""
    x, w = as_tensor(input, "input"), as_tensor(weight, "weight")
    b = None if bias is None else as_tensor(bias, "bias")
    if x.ndim == axes + 1:
        y = _convolution(axes, unsqueeze(x, 0), w, b, stride, padding, dilation, groups)
        return squeeze(y, 0)
    _check_map(x, axes)
    _check_weight(w, b, axes, "(out_channels, in_channels / groups, ...)")
    find = _geometry if all(map(_is_plain, (stride, padding, dilation, groups))) else _new_geometry
    geometry, shape = find(
        x.shape, w.shape, stride, padding, dilation, groups, settings.conv_algorithm
    )
    if b is not None and b.shape[0] != w.shape[0]:
        raise ValueError(f"bias must have shape ({w.shape[0]},), got {b.shape}")
    x, batched = computed(x), type(x) is PassTensor  # recipes never pile up
    return pending_tensor(
        PendingConvolution(
            x,
            w,
            geometry,
            Epilogue(b),
            (x, w) if b is None else (x, w, b),
            shape,
        ),
        batched,
    )


def _is_plain(value: Any) -> bool:
    """Whether an argument may be looked up: True and 1 are equal, but True is an error."""
    kind = type(value)
    return kind is int or kind is str or (kind is tuple and all(type(n) is int for n in value))


def _new_geometry(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    algorithm: str,
) -> tuple[Geometry, tuple[int, ...]]:
    """The geometry of a convolution, and the shape of its result."""
    kernel, axes = w_shape[2:], len(w_shape) - 2
    strides = along_axes(stride, "stride", axes, 1)
    dilations = along_axes(dilation, "dilation", axes, 1)
    before, after = zeros_around(padding, kernel, strides, dilations)
    groups = check.integer(groups, "groups", 1)
    outputs, channels = w_shape[0], x_shape[1]
    if channels != w_shape[1] * groups or outputs % groups:
        raise ValueError(
            f"weight must have shape (out_channels, {channels} / groups, ...) with out_channels "
            f"divisible by groups, for an input of shape {x_shape} and groups={groups}, "
            f"got {w_shape}"
        )
    positions = []
    for n, k, s, d, zeros in zip(
        x_shape[2:], kernel, strides, dilations, (p + q for p, q in zip(before, after))
    ):
        room = n + zeros - d * (k - 1) - 1
        if room < 0:
            raise ValueError(
                f"weight must not be larger than the input with its padding: kernel {kernel} with "
                f"dilation {dilations}, input {x_shape} with padding {padding!r}"
            )
        positions.append(room // s + 1)
    geometry = (strides, dilations, before, after, groups, ALGORITHMS[algorithm])
    return geometry, (x_shape[0], outputs, *positions)


# A network calls its convolutions with the same shapes again and again; a check takes 15 us.
_geometry = lru_cache(maxsize=1024)(_new_geometry)


def _check_map(x: Tensor, axes: int) -> None:
    if x.ndim != axes + 2:
        raise ValueError(f"input must have shape {LAYOUTS[axes]}, got {x.shape}")


def _check_weight(w: Tensor, b: Tensor | None, axes: int, layout: str) -> None:
    if w.ndim != axes + 2 or 0 in w.shape[2:]:
        raise ValueError(
            f"weight must have shape {layout} with {axes} kernel size{'s' * (axes > 1)} of at "
            f"least 1, got {w.shape}"
        )
    if b is not None and b.ndim != 1:
        raise ValueError(f"bias must have 1 dimension, got shape {b.shape}")


_DOC = """Convolution (cross-correlation) of maps {layout}.

    y[n, o, q] = bias[o] + sum over c, j of weight[o, c, j] x[n, c, p(q, j)], p(q, j) = q * stride -
    padding + dilation * j, with the channels c of the group of o, and 0 outside of the map.

    Parameters
    ----------
    input : Tensor or array {layout}
        x; or one map without the axis N.
    weight : Tensor or array (out_channels, in_channels / groups, ...)
        One kernel size for each axis of the map.
    bias : Tensor or array (out_channels,), optional
    stride, dilation : int or tuple of int, default 1
        One number for all axes, or one for each.
    padding : int, tuple of int, "same" or "valid", default 0
        Zeros at both ends of each axis. "same": as many as the output needs to have the input's
        size (stride 1). "valid": none.
    groups : int, default 1
        Groups of channels that are computed on their own.

    Returns
    -------
    Tensor (N, out_channels, ...)
        In channels-last memory. Between the layers of a Sequential it is computed together with an
        activation and a dropout that follow.

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes do not match, or the kernel is larger than the padded map.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.conv{axes}d(np.ones({x}), np.ones({w}), padding=1).shape
    {y}
    """


@carries
def conv1d(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
    stride: Axes = 1,
    padding: Axes | str = 0,
    dilation: Axes = 1,
    groups: int = 1,
) -> Tensor:
    return _convolution(1, input, weight, bias, stride, padding, dilation, groups)


@carries
def conv2d(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
    stride: Axes = 1,
    padding: Axes | str = 0,
    dilation: Axes = 1,
    groups: int = 1,
) -> Tensor:
    return _convolution(2, input, weight, bias, stride, padding, dilation, groups)


@carries
def conv3d(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
    stride: Axes = 1,
    padding: Axes | str = 0,
    dilation: Axes = 1,
    groups: int = 1,
) -> Tensor:
    return _convolution(3, input, weight, bias, stride, padding, dilation, groups)


for _function, _axes in ((conv1d, 1), (conv2d, 2), (conv3d, 3)):
    _function.__doc__ = _DOC.format(
        axes=_axes,
        layout=LAYOUTS[_axes],
        x=(2, 3, *(8,) * _axes),
        w=(4, 3, *(3,) * _axes),
        y=(2, 4, *(8,) * _axes),
    )


def _transposed(
    axes: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
) -> Tensor:
    """conv_transpose1d, conv_transpose2d and conv_transpose3d."""
    x, w = as_tensor(input, "input"), as_tensor(weight, "weight")
    b = None if bias is None else as_tensor(bias, "bias")
    if x.ndim == axes + 1:
        y = _transposed(
            axes, unsqueeze(x, 0), w, b, stride, padding, output_padding, groups, dilation
        )
        return squeeze(y, 0)
    _check_map(x, axes)
    _check_weight(w, b, axes, "(in_channels, out_channels / groups, ...)")
    strides = along_axes(stride, "stride", axes, 1)
    dilations = along_axes(dilation, "dilation", axes, 1)
    zeros = along_axes(padding, "padding", axes, 0)
    more = along_axes(output_padding, "output_padding", axes, 0)
    groups = check.integer(groups, "groups", 1)
    if w.shape[0] != x.shape[1] or x.shape[1] % groups:
        raise ValueError(
            f"weight must have shape ({x.shape[1]}, out_channels / groups, ...) with in_channels "
            f"divisible by groups, for an input of shape {x.shape} and groups={groups}, "
            f"got {w.shape}"
        )
    if any(m >= s for m, s in zip(more, strides)):
        raise ValueError(f"output_padding must be smaller than stride {strides}, got {more}")
    outputs = w.shape[1] * groups
    if b is not None and b.shape[0] != outputs:
        raise ValueError(f"bias must have shape ({outputs},), got {b.shape}")
    positions = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + m + 1
        for n, s, p, d, k, m in zip(x.shape[2:], strides, zeros, dilations, w.shape[2:], more)
    )
    if min(positions) < 1:
        raise ValueError(
            f"padding must leave a result of at least 1 element, got {padding!r} for an input of "
            f"shape {x.shape} and a kernel {w.shape[2:]}"
        )
    geometry = (strides, dilations, zeros, zeros, groups, ALGORITHMS[settings.conv_algorithm])
    return _record_transposed(x, w, b, geometry, (x.shape[0], *positions, outputs))


def _record_transposed(
    x: Tensor, w: Tensor, b: Tensor | None, geometry: Geometry, shape: tuple[int, ...]
) -> Tensor:
    """The gradient of a convolution as a forward pass; `shape` is that of the result's memory."""
    kernel, maps = w._array, in_memory(ordered(x._strided, True))
    x_shape, w_shape = maps.shape, kernel.shape
    out = empty(shape)
    _core.conv_dx(out, maps, kernel, geometry)
    if b is not None:
        out += b._array

    def backward(
        g: Float32Array, maps: Float32Array | None, kernel: Float32Array | None
    ) -> tuple[Float32Array | None, ...]:
        dy, dx, dw = in_memory(g), None, None
        if kernel is not None:
            dx = empty(x_shape)
            _core.conv(dx, dy, kernel, geometry)
            dx = as_map(dx)
        if maps is not None:
            dw = empty(w_shape)
            _core.conv_dw(dw, maps, dy, geometry)
        if b is None:
            return dx, dw
        db = empty(dy.shape[-1:])
        _core.col_sum(db, dy.reshape(-1, dy.shape[-1]))
        return dx, dw, db

    saved = (maps if w.requires_grad else None, kernel if x.requires_grad else None)
    inputs = (x, w) if b is None else (x, w, b)
    return record(as_map(out), inputs, backward, saved)


_DOC_TRANSPOSED = """Transposed convolution of maps {layout}: the gradient of a convolution.

    Each x[n, c, q] adds weight[c, o, j] x[n, c, q] to y[n, o, q * stride - padding + dilation * j].
    The result has (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1
    elements along each axis.

    Parameters
    ----------
    input : Tensor or array {layout}
        x; or one map without the axis N.
    weight : Tensor or array (in_channels, out_channels / groups, ...)
        One kernel size for each axis of the map.
    bias : Tensor or array (out_channels,), optional
    stride, padding : int or tuple of int, default 1 and 0
        Those of the convolution whose gradient this is.
    output_padding : int or tuple of int, default 0
        Elements added at one end of each axis; smaller than stride.
    groups : int, default 1
        Groups of channels that are computed on their own.
    dilation : int or tuple of int, default 1
        Distance between the elements of the kernel.

    Returns
    -------
    Tensor (N, out_channels, ...)
        In channels-last memory.

    Raises
    ------
    TypeError
        When an argument has the wrong type.
    ValueError
        When the shapes do not match.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.conv_transpose{axes}d(np.ones({x}), np.ones({w}), stride=2).shape
    {y}
    """


@carries
def conv_transpose1d(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
    stride: Axes = 1,
    padding: Axes = 0,
    output_padding: Axes = 0,
    groups: int = 1,
    dilation: Axes = 1,
) -> Tensor:
    return _transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@carries
def conv_transpose2d(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
    stride: Axes = 1,
    padding: Axes = 0,
    output_padding: Axes = 0,
    groups: int = 1,
    dilation: Axes = 1,
) -> Tensor:
    return _transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@carries
def conv_transpose3d(
    input: Tensor | ArrayLike,
    weight: Tensor | ArrayLike,
    bias: Tensor | ArrayLike | None = None,
    stride: Axes = 1,
    padding: Axes = 0,
    output_padding: Axes = 0,
    groups: int = 1,
    dilation: Axes = 1,
) -> Tensor:
    return _transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


_transposes: tuple[tuple[Callable[..., Tensor], int], ...] = (
    (conv_transpose1d, 1),
    (conv_transpose2d, 2),
    (conv_transpose3d, 3),
)
for _function, _axes in _transposes:
    _function.__doc__ = _DOC_TRANSPOSED.format(
        axes=_axes,
        layout=LAYOUTS[_axes],
        x=(2, 3, *(8,) * _axes),
        w=(3, 4, *(2,) * _axes),
        y=(2, 4, *(16,) * _axes),
    )
