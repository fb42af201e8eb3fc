"""Layers that take the number of inputs from their first input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import random
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import as_tensor
from fastdrop.functional.conv import LAYOUTS
from fastdrop.nn import channel_norm, conv, init, linear, normalization
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastdrop.autograd.tensor import Tensor

    Axes = int | Sequence[int]


class LazyModule(Module):
    """A layer whose number of inputs is not known yet. Its first call makes it a plain layer.

    Until then its parameters have no elements. They stay the same objects, so that an optimizer may
    hold them already.
    """

    becomes: type[Module]
    inferred: str  # the argument that the first input gives
    _waiting: dict[str, Any]  # the other arguments

    def _postpone(self, least: int, **arguments: Any) -> None:
        """Keep the arguments, after a check with the least number of inputs."""
        with init.skipped():
            trial = self.becomes(**{self.inferred: least}, **arguments)
        for name, parameter in trial._parameters.items():
            empty = None if parameter is None else Parameter(np.empty(0, np.float32))
            self.register_parameter(name, empty)
        object.__setattr__(self, "_waiting", arguments)

    def _inputs(self, x: Tensor) -> int:
        """The number of inputs."""
        raise NotImplementedError

    def has_uninitialized_params(self) -> bool:
        """Whether the layer waits for its first input.

        Returns
        -------
        bool
        """
        return True

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        given = args[0] if args else kwargs.get("input")
        self._become(self._inputs(as_tensor(given, "input")))
        return self(*args, **kwargs)

    def _become(self, inputs: int) -> None:
        """Turn into the plain layer, with fresh weights in the parameters that wait."""
        made = self.becomes(**{self.inferred: inputs}, **self._waiting)
        with random.outside_passes():  # data keep their shape during a pass
            for name, parameter in made._parameters.items():
                own = self._parameters[name]
                if parameter is not None and own is not None:
                    own.data = parameter._array
        object.__delattr__(self, "_waiting")
        for name, value in vars(made).items():
            if name == "_buffers" or not name.startswith("_"):  # the others are Module's own
                object.__setattr__(self, name, value)
        object.__setattr__(self, "__class__", self.becomes)
        for name, own in self._parameters.items():
            if own is not None:
                setattr(self, name, own)  # the structure has changed

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self._waiting.items())


class LazyLinear(LazyModule):
    """`Linear` whose in_features are the size of the last axis of the first input.

    The first call draws the weights and makes it a `Linear`. Until then its parameters are empty.

    Parameters
    ----------
    out_features : int
        Size of the last axis of the output.
    bias : bool
        Whether the layer learns an additive bias.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.LazyLinear(3)
    >>> layer(np.ones((2, 4))).shape, layer
    ((2, 3), Linear(in_features=4, out_features=3, bias=True))
    """

    becomes, inferred = linear.Linear, "in_features"

    def __init__(self, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self._postpone(0, out_features=out_features, bias=bias)

    def _inputs(self, x: Tensor) -> int:
        if not x.ndim:
            raise ValueError("input must have at least 1 dimension, got shape ()")
        return x.shape[-1]


class _OfMaps(LazyModule):
    """A layer of maps with `axes` axes; the channels stand before them."""

    axes: int

    def _inputs(self, x: Tensor) -> int:
        if x.ndim not in (self.axes + 1, self.axes + 2):
            raise ValueError(
                f"input must have shape {LAYOUTS[self.axes]}, or that without N, got {x.shape}"
            )
        return x.shape[-self.axes - 1]


class _LazyConv(_OfMaps):
    """A convolution."""

    inferred = "in_channels"

    def __init__(
        self,
        out_channels: int,
        kernel_size: Axes,
        stride: Axes = 1,
        padding: Axes | str = 0,
        dilation: Axes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__()
        self._postpone(
            groups,
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
        )


class _LazyConvTranspose(_OfMaps):
    """A transposed convolution."""

    inferred = "in_channels"

    def __init__(
        self,
        out_channels: int,
        kernel_size: Axes,
        stride: Axes = 1,
        padding: Axes = 0,
        output_padding: Axes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Axes = 1,
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__()
        self._postpone(
            groups,
            out_channels=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            groups=groups,
            bias=bias,
            dilation=dilation,
            padding_mode=padding_mode,
        )


class _LazyNorm(_OfMaps):
    """A normalisation of channels with statistics."""

    inferred = "num_features"

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self._postpone(
            1, eps=eps, momentum=momentum, affine=affine, track_running_stats=track_running_stats
        )


class _LazyBatchNorm(_LazyNorm):
    """Batch normalisation: always with the axis N."""

    def _inputs(self, x: Tensor) -> int:
        if x.ndim != self.axes + 2 and not (self.axes == 1 and x.ndim == 2):
            raise ValueError(f"input must have shape {LAYOUTS[self.axes]}, got {x.shape}")
        return x.shape[1]


_CONV = """`Conv{axes}d` whose in_channels are those of the first input {layout}.

    The first call draws the weights and makes it a `Conv{axes}d`. Until then its parameters are
    empty.

    Parameters
    ----------
    out_channels : int
        Channels of the output.
    kernel_size, stride, padding, dilation, groups, bias, padding_mode
        As in `Conv{axes}d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.LazyConv{axes}d(4, 3)(np.ones({x})).shape
    {y}
    """

_TRANSPOSED = """`ConvTranspose{axes}d` whose in_channels are those of the first input {layout}.

    The first call draws the weights and makes it a `ConvTranspose{axes}d`. Until then its
    parameters are empty.

    Parameters
    ----------
    out_channels : int
        Channels of the output.
    kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode
        As in `ConvTranspose{axes}d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.LazyConvTranspose{axes}d(4, 3)(np.ones({y})).shape[:2]
    (2, 4)
    """

_NORM = """`{kind}{axes}d` whose num_features are the channels of the first input {layout}.

    The first call makes it a `{kind}{axes}d`. Until then its parameters are empty.

    Parameters
    ----------
    eps, momentum, affine, track_running_stats
        As in `{kind}{axes}d`; the last two are True by default.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.Lazy{kind}{axes}d()(np.ones({x})).shape
    {x}
    """


def _doc(template: str, axes: int, kind: str = "") -> str:
    return template.format(
        axes=axes,
        kind=kind,
        layout=LAYOUTS[axes],
        x=(2, 3, *(5,) * axes),
        y=(2, 4, *(3,) * axes),
    )


class LazyConv1d(_LazyConv):
    __doc__ = _doc(_CONV, 1)
    axes, becomes = 1, conv.Conv1d


class LazyConv2d(_LazyConv):
    __doc__ = _doc(_CONV, 2)
    axes, becomes = 2, conv.Conv2d


class LazyConv3d(_LazyConv):
    __doc__ = _doc(_CONV, 3)
    axes, becomes = 3, conv.Conv3d


class LazyConvTranspose1d(_LazyConvTranspose):
    __doc__ = _doc(_TRANSPOSED, 1)
    axes, becomes = 1, conv.ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose):
    __doc__ = _doc(_TRANSPOSED, 2)
    axes, becomes = 2, conv.ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose):
    __doc__ = _doc(_TRANSPOSED, 3)
    axes, becomes = 3, conv.ConvTranspose3d


class LazyBatchNorm1d(_LazyBatchNorm):
    __doc__ = _doc(_NORM, 1, "BatchNorm")
    axes, becomes = 1, normalization.BatchNorm1d


class LazyBatchNorm2d(_LazyBatchNorm):
    __doc__ = _doc(_NORM, 2, "BatchNorm")
    axes, becomes = 2, normalization.BatchNorm2d


class LazyBatchNorm3d(_LazyBatchNorm):
    __doc__ = _doc(_NORM, 3, "BatchNorm")
    axes, becomes = 3, normalization.BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm):
    __doc__ = _doc(_NORM, 1, "InstanceNorm")
    axes, becomes = 1, channel_norm.InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm):
    __doc__ = _doc(_NORM, 2, "InstanceNorm")
    axes, becomes = 2, channel_norm.InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm):
    __doc__ = _doc(_NORM, 3, "InstanceNorm")
    axes, becomes = 3, channel_norm.InstanceNorm3d
