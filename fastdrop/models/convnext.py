"""ConvNeXt: convolutional networks in the manner of transformers, with stochastic depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import functional as F
from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import as_tensor
from fastdrop.nn.container import call_in_turn

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.schedules import Schedule

__all__ = ["ConvNeXt", "convnext_cifar", "convnext_small", "convnext_tiny"]


class _Permute(nn.Module):
    """The axes of a map in another order."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.permute(input, self.order)

    def extra_repr(self) -> str:
        return str(list(self.order))


class _MapNorm(nn.LayerNorm):
    """Layer norm over the channels of maps (N, C, H, W)."""

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.permute(super().forward(F.permute(input, (0, 2, 3, 1))), (0, 3, 1, 2))


class _Block(nn.Module):
    """y = x + DropPath(scale * branch(x)).

    The branch: depthwise convolution of 7 x 7, layer norm, two dense layers with GELU between them.
    """

    def __init__(self, channels: int, layer_scale: float, drop_path: nn.DropPath) -> None:
        super().__init__()
        self.layer_scale = Parameter(np.full((channels, 1, 1), layer_scale, np.float32))
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            _Permute(0, 2, 3, 1),
            nn.LayerNorm(channels, eps=1e-6),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            _Permute(0, 3, 1, 2),
        )
        self.drop_path = drop_path

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        x = as_tensor(input, "input")
        return self.drop_path.add(x, lambda kept: self.block(kept) * self.layer_scale, x)


class ConvNeXt(nn.Module):
    """ConvNeXt: a patch convolution, stages of depthwise blocks, the mean of each map, and scores.

    Input (N, in_channels, H, W), output (N, num_classes): scores. Names and shapes in the
    state_dict are those of torchvision's ``ConvNeXt``, so its weights can be loaded.

    Its regulariser is stochastic depth, with a decision for each sample; the branches of dropped
    samples are not computed. Rates: 0.1 for convnext_tiny, 0.4 for convnext_small.

    Parameters
    ----------
    layers : sequence of int, at least 1 each
        Number of blocks of each stage.
    widths : sequence of int, at least 1 each
        Channels of each stage. Between two stages the map is halved.
    num_classes : int, at least 1
        Number of classes.
    in_channels : int, at least 1
        Channels of an image.
    patch_size : int, at least 1
        Kernel and stride of the first convolution: 4 for images of about 224, 2 or 1 for 32.
    layer_scale : float
        First value of the factors of the branches.
    dropout : float in [0, 1] or Schedule
        Rate of the dropout before the dense layer.
    drop_path_rate : float in [0, 1]
        Rate of the stochastic depth of the last block; the others fall linearly to 0.

    References
    ----------
    Liu, Mao, Wu, Feichtenhofer, Darrell, Xie, "A ConvNet for the 2020s", CVPR 2022,
    arXiv:2201.03545.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> model = fd.models.ConvNeXt((1, 1), (8, 16), patch_size=2)
    >>> model(np.zeros((2, 3, 32, 32))).shape
    (2, 10)
    """

    def __init__(
        self,
        layers: Sequence[int],
        widths: Sequence[int],
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        patch_size: int = 4,
        layer_scale: float = 1e-6,
        dropout: float | Schedule = 0.0,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = tuple(check.integer(n, "layers", 1) for n in layers)
        self.widths = tuple(check.integer(n, "widths", 1) for n in widths)
        if len(self.widths) != len(self.layers) or not self.layers:
            raise ValueError(
                f"widths must hold a number for each of {len(self.layers)} stages, "
                f"got {len(self.widths)}"
            )
        self.num_classes = check.integer(num_classes, "num_classes", 1)
        self.in_channels = check.integer(in_channels, "in_channels", 1)
        self.patch_size = check.integer(patch_size, "patch_size", 1)
        self.layer_scale = check.real(layer_scale, "layer_scale")
        self.dropout = dropout
        self.drop_path_rate = check.rate(drop_path_rate, "drop_path_rate")
        rates = iter(nn.drop_path_rates(drop_path_rate, sum(self.layers)))
        parts: list[nn.Module] = [
            nn.Sequential(
                nn.Conv2d(in_channels, self.widths[0], patch_size, patch_size),
                _MapNorm(self.widths[0], eps=1e-6),
            )
        ]
        for i, (count, width) in enumerate(zip(self.layers, self.widths)):
            if i:
                before = self.widths[i - 1]
                parts.append(
                    nn.Sequential(_MapNorm(before, eps=1e-6), nn.Conv2d(before, width, 2, 2))
                )
            parts.append(
                nn.Sequential(
                    *(
                        _Block(width, self.layer_scale, nn.DropPath(next(rates)))
                        for _ in range(count)
                    )
                )
            )
        self.features = nn.Sequential(*parts)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            _MapNorm(self.widths[-1], eps=1e-6),
            nn.Flatten(),
            nn.Linear(self.widths[-1], num_classes),
        )
        self.drop = nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        norm, flatten, dense = self.classifier
        return call_in_turn([self.features, self.avgpool, norm, flatten, self.drop, dense], input)


_DOC = """Build the ConvNeXt of the size "{name}".

    {stages} stages of {layers} blocks with {widths} channels. Input (N, in_channels, H, W), output
    (N, num_classes): scores.{more}

    Parameters
    ----------
    num_classes : int, at least 1
        Number of classes.
    in_channels : int, at least 1
        Channels of an image.
    **arguments
        Other arguments of `ConvNeXt`: its rates of dropout and stochastic depth.

    Returns
    -------
    ConvNeXt

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    Liu, Mao, Wu, Feichtenhofer, Darrell, Xie, "A ConvNet for the 2020s", CVPR 2022,
    arXiv:2201.03545.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.models.convnext_{name}(drop_path_rate=0.1)
    >>> model.widths
    {widths}
    """


def _builder(
    name: str,
    layers: tuple[int, ...],
    widths: tuple[int, ...],
    more: str,
    num_classes: int,
    patch_size: int = 4,
) -> Callable[..., ConvNeXt]:
    """The function that builds a network of a common size."""
    classes = num_classes

    def build(num_classes: int = classes, in_channels: int = 3, **arguments: Any) -> ConvNeXt:
        arguments = {"patch_size": patch_size, **arguments}
        return ConvNeXt(layers, widths, num_classes, in_channels, **arguments)

    build.__name__ = build.__qualname__ = f"convnext_{name}"
    build.__doc__ = _DOC.format(
        name=name, stages=len(layers), layers=layers, widths=widths, more=more
    )
    return build


_FOR_224 = """ torchvision's weights of the network with this name can be loaded by
    ``load_state_dict``."""
convnext_tiny = _builder("tiny", (3, 3, 9, 3), (96, 192, 384, 768), _FOR_224, 1000)
convnext_small = _builder("small", (3, 3, 27, 3), (96, 192, 384, 768), _FOR_224, 1000)
convnext_cifar = _builder(
    "cifar",
    (3, 3, 3),
    (40, 80, 160),
    """ For images of 32 x 32: patches of
    2 x 2, about 1 million weights.""",
    10,
    2,
)
