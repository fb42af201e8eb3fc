"""Convolutions and transposed convolutions as layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.functional.conv import LAYOUTS, along_axes, zeros_around
from fastdrop.nn import init
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.autograd.tensor import Tensor

    Axes = int | Sequence[int]

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class ConvolutionArguments(Module):
    """The arguments that all convolutions share."""

    axes: int
    padding: str | tuple[int, ...]
    bias: Any

    def _set_arguments(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        dilation: Any,
        groups: int,
    ) -> None:
        self.in_channels = check.integer(in_channels, "in_channels", 1)
        self.out_channels = check.integer(out_channels, "out_channels", 1)
        self.kernel_size = along_axes(kernel_size, "kernel_size", self.axes, 1)
        self.stride = along_axes(stride, "stride", self.axes, 1)
        self.dilation = along_axes(dilation, "dilation", self.axes, 1)
        self.groups = check.integer(groups, "groups", 1)
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % groups:
                raise ValueError(
                    f"{name} must be divisible by groups={groups}, got {getattr(self, name)}"
                )

    def _set_padding(self, padding: Any) -> None:
        zeros_around(padding, self.kernel_size, self.stride, self.dilation)
        self.padding = (
            padding if isinstance(padding, str) else along_axes(padding, "padding", self.axes, 0)
        )

    def _more(self) -> list[str]:
        """Arguments that are not the default, for repr."""
        ones = (1,) * self.axes
        more = [f"dilation={self.dilation}"] if self.dilation != ones else []
        more += [f"groups={self.groups}"] if self.groups != 1 else []
        return more + (["bias=False"] if self.bias is None else [])

    def _first(self) -> list[str]:
        return [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]


class Convolution(ConvolutionArguments):
    """A convolution whose weights are learned."""

    weight: Parameter
    bias: Parameter | None

    def _add_weights(self, outer: int, inner: int, bias: bool) -> None:
        self.weight = Parameter(np.empty((outer, inner, *self.kernel_size), np.float32))
        self.bias = (
            Parameter(np.empty(self.out_channels, np.float32)) if check.flag(bias, "bias") else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights and biases again, from the generator "init" of the run."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)


class _ConvNd(Convolution):
    """Convolution of maps with `axes` axes."""

    function: Callable[..., Tensor]

    def __init__(
        self,
        in_channels: int,
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
        self._set_arguments(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self._set_padding(padding)
        self.padding_mode = check.choice(padding_mode, "padding_mode", PADDING_MODES)
        self._add_weights(out_channels, in_channels // groups, bias)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return self._convolve(input, self.weight)

    def _padded(
        self, input: Tensor | ArrayLike
    ) -> tuple[Tensor | ArrayLike, str | tuple[int, ...]]:
        """The input, and the padding that the convolution adds to it."""
        padding: str | tuple[int, ...] = self.padding
        if self.padding_mode == "zeros":
            return input, padding
        before, after = zeros_around(padding, self.kernel_size, self.stride, self.dilation)
        ends = [n for pair in zip(reversed(before), reversed(after)) for n in pair]
        return F.pad(input, ends, self.padding_mode), (0,) * self.axes

    def _convolve(self, input: Tensor | ArrayLike, weight: Tensor) -> Tensor:
        """The convolution with this weight in the place of the layer's own."""
        input, padding = self._padded(input)
        convolution = type(self).function
        return convolution(
            input, weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def _plain(self, weight: Float32Array) -> Conv2d:
        """A Conv2d with the arguments and the bias of this layer, and this weight."""
        plain = Conv2d(
            self.in_channels,
            self.out_channels,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.bias is not None,
            self.padding_mode,
        )
        plain.weight.data[...] = weight
        if plain.bias is not None and self.bias is not None:
            plain.bias.data[...] = self.bias._array
        return plain.train(self.training)

    def extra_repr(self) -> str:
        zeros = self.padding if isinstance(self.padding, str) else None
        padding = [f"padding={self.padding!r}"] if zeros or any(self.padding) else []
        mode = [f"padding_mode={self.padding_mode!r}"] if self.padding_mode != "zeros" else []
        return ", ".join([*self._first(), *padding, *self._more(), *mode])


_DOC = """Convolution of maps {layout}.

    ``y[n, o, q] = bias[o] + sum over c, j of weight[o, c, j] x[n, c, p(q, j)]``, where
    ``p(q, j) = q * stride - padding + dilation * j``, with the channels c of the group of o. Output
    (N, out_channels, ...) in channels-last memory, with
    ``(size + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1`` elements along each axis.

    In a `Sequential`, an activation and a dropout right after it become part of the same product.
    The initial weights have the distribution of PyTorch's, but come from fastdrop's generator.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int or tuple of int
        One number for all axes, or one for each.
    stride : int or tuple of int
        Distance between the positions of the kernel.
    padding : int, tuple of int, "same" or "valid"
        Elements added at both ends of each axis. "same": as many as the output needs to have the
        input's size (stride 1). "valid": none.
    dilation : int or tuple of int
        Distance between the elements of the kernel.
    groups : int
        Groups of channels that are computed on their own; in_channels for a depthwise convolution.
    bias : bool
        Whether the layer learns an additive bias.
    padding_mode : {{"zeros", "reflect", "replicate", "circular"}}
        What the added elements are.

    Attributes
    ----------
    weight : Parameter (out_channels, in_channels / groups, *kernel_size)
        Uniform in ±1 / sqrt(fan_in) at first.
    bias : Parameter (out_channels,) or None
        Uniform in the same interval at first.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.Conv{axes}d(3, 8, 3, padding=1)(np.ones({x})).shape
    {y}
    """


def _doc(template: str, axes: int, factor: int) -> str:
    return template.format(
        axes=axes,
        layout=LAYOUTS[axes],
        x=(2, 3, *(8,) * axes),
        y=(2, 8, *(8 * factor,) * axes),
    )


class Conv1d(_ConvNd):
    __doc__ = _doc(_DOC, 1, 1)
    axes, function = 1, staticmethod(F.conv1d)


class Conv2d(_ConvNd):
    __doc__ = _doc(_DOC, 2, 1)
    axes, function = 2, staticmethod(F.conv2d)


class Conv3d(_ConvNd):
    __doc__ = _doc(_DOC, 3, 1)
    axes, function = 3, staticmethod(F.conv3d)


class _ConvTransposeNd(Convolution):
    """Transposed convolution of maps with `axes` axes."""

    function: Callable[..., Tensor]

    def __init__(
        self,
        in_channels: int,
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
        self._set_arguments(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = along_axes(padding, "padding", self.axes, 0)
        self.output_padding = along_axes(output_padding, "output_padding", self.axes, 0)
        self.padding_mode = check.choice(padding_mode, "padding_mode", ("zeros",))
        self._add_weights(in_channels, out_channels // groups, bias)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        convolution = type(self).function
        return convolution(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )

    def extra_repr(self) -> str:
        padding = [f"padding={self.padding}"] if any(self.padding) else []
        more = [f"output_padding={self.output_padding}"] if any(self.output_padding) else []
        return ", ".join([*self._first(), *padding, *more, *self._more()])


_DOC_TRANSPOSED = """Transposed convolution of maps {layout}: the gradient of a convolution.

    Each ``x[n, c, q]`` adds ``weight[c, o, j] x[n, c, q]`` to
    ``y[n, o, q * stride - padding + dilation * j]``. Output (N, out_channels, ...) in channels-last
    memory, with ``(size - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1``
    elements along each axis.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    kernel_size : int or tuple of int
        One number for all axes, or one for each.
    stride, padding : int or tuple of int
        Those of the convolution whose gradient this is.
    output_padding : int or tuple of int
        Elements added at one end of each axis; smaller than stride.
    groups : int
        Groups of channels that are computed on their own.
    bias : bool
        Whether the layer learns an additive bias.
    dilation : int or tuple of int
        Distance between the elements of the kernel.
    padding_mode : {{"zeros"}}
        Only zeros exist.

    Attributes
    ----------
    weight : Parameter (in_channels, out_channels / groups, *kernel_size)
        Uniform in ±1 / sqrt(fan_in) at first; fan_in is out_channels / groups times the kernel.
    bias : Parameter (out_channels,) or None
        Uniform in the same interval at first.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.ConvTranspose{axes}d(3, 8, 2, stride=2)(np.ones({x})).shape
    {y}
    """


class ConvTranspose1d(_ConvTransposeNd):
    __doc__ = _doc(_DOC_TRANSPOSED, 1, 2)
    axes, function = 1, staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_ConvTransposeNd):
    __doc__ = _doc(_DOC_TRANSPOSED, 2, 2)
    axes, function = 2, staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_ConvTransposeNd):
    __doc__ = _doc(_DOC_TRANSPOSED, 3, 2)
    axes, function = 3, staticmethod(F.conv_transpose3d)
