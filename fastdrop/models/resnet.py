"""Residual networks with dropout of maps and stochastic depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fastdrop import functional as F
from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import as_tensor
from fastdrop.nn.container import call_in_turn

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.schedules import Schedule

__all__ = [
    "ResNet",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet110",
]


def _conv(before: int, after: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)


class _Block(nn.Module):
    """A residual block: y = relu(shortcut(x) + DropPath(branch(x)))."""

    expansion = 1
    bn1: nn.BatchNorm2d

    def __init__(
        self, before: int, width: int, stride: int, drop_path: nn.DropPath, drop_maps: nn.Module
    ) -> None:
        super().__init__()
        after = width * self.expansion
        self._add_branch(before, width, stride)
        self.relu = nn.ReLU()
        self.downsample = (
            nn.Sequential(_conv(before, after, 1, stride), nn.BatchNorm2d(after))
            if stride != 1 or before != after
            else None
        )
        self.drop_maps = drop_maps
        self.drop_path = drop_path

    def _add_branch(self, before: int, width: int, stride: int) -> None:
        raise NotImplementedError

    def _branch(self) -> list[nn.Module]:
        """The layers of the branch, in the order of their calls."""
        raise NotImplementedError

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        x = as_tensor(input, "input")
        around = x if self.downsample is None else self.downsample(x)
        layers = self._branch()
        both = self.drop_path.add(
            around, lambda kept: call_in_turn(layers, kept), x, whole_batch=self.bn1.training
        )
        return F.relu(both)


class _BasicBlock(_Block):
    """Two convolutions of 3 x 3, as in ResNet-18 and -34 and in the networks for 32 x 32 images."""

    def _add_branch(self, before: int, width: int, stride: int) -> None:
        self.conv1, self.bn1 = _conv(before, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3), nn.BatchNorm2d(width)

    def _branch(self) -> list[nn.Module]:
        return [self.conv1, self.bn1, self.relu, self.drop_maps, self.conv2, self.bn2]


class _Bottleneck(_Block):
    """Convolutions of 1 x 1, 3 x 3 and 1 x 1, as in ResNet-50; the second one has the stride."""

    expansion = 4

    def _add_branch(self, before: int, width: int, stride: int) -> None:
        self.conv1, self.bn1 = _conv(before, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = _conv(width, width * 4, 1), nn.BatchNorm2d(width * 4)

    def _branch(self) -> list[nn.Module]:
        first = [self.conv1, self.bn1, self.relu]
        return [*first, self.conv2, self.bn2, self.relu, self.drop_maps, self.conv3, self.bn3]


def _map_dropout(
    channels: float | Schedule, blocks: float | Schedule, block_size: int
) -> nn.Module:
    """Dropout of whole channels, DropBlock, both or nothing."""
    layers: list[nn.Module] = [nn.Dropout2d(channels)] if channels else []
    layers += [nn.DropBlock2d(blocks, block_size)] if blocks else []
    if len(layers) == 1:
        return layers[0]
    return nn.Sequential(*layers) if layers else nn.Identity()


_BLOCKS: dict[str, type[_Block]] = {"basic": _BasicBlock, "bottleneck": _Bottleneck}


class ResNet(nn.Module):
    """Residual network: a stem, stages of residual blocks, the mean of each map, a dense layer.

    Input (N, in_channels, H, W), output (N, num_classes): scores. Names and shapes in the
    state_dict are those of torchvision's ``ResNet``, so its weights can be loaded. `resnet20`,
    `resnet50` and others build the usual sizes.

    Residual networks have batch norm as their main regulariser. What helps on top of it is
    stochastic depth (``drop_path_rate`` of 0.1 to 0.5) and DropBlock in the last stages; dropout
    of single elements does not.

    Parameters
    ----------
    block : {"basic", "bottleneck"}
        The kind of the residual blocks.
    layers : sequence of int, at least 1 each
        Number of blocks of each stage. Each stage after the first halves the map.
    num_classes : int, at least 1
        Number of classes.
    in_channels : int, at least 1
        Channels of an image.
    widths : sequence of int, at least 1 each
        Channels of each stage (those of the inner convolutions of a bottleneck block).
    stem : {"imagenet", "cifar"}
        "imagenet": convolution of 7 x 7 with stride 2 and a max pool, for images of about 224.
        "cifar": convolution of 3 x 3, for images of about 32.
    dropout : float in [0, 1] or Schedule
        Rate of the dropout before the dense layer.
    channel_dropout : float in [0, 1] or Schedule
        Rate of the dropout of whole channels inside each branch, before its last convolution.
    drop_block : float in [0, 1] or Schedule
        Rate of DropBlock inside each branch of the last two stages, before its last convolution.
    block_size : int, at least 1
        Edge of a block of DropBlock.
    drop_path_rate : float in [0, 1]
        Rate of the stochastic depth of the last block. The rates of the others fall linearly to
        p / depth, as in the paper.
    drop_path_mode : {"batch", "row"}
        "batch": one decision for the whole batch, as in the paper; a dropped branch is not
        computed. "row": one for each sample; the branch is computed for all of them, because batch
        norm needs them.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016,
    arXiv:1512.03385.

    Huang, Sun, Liu, Sedra, Weinberger, "Deep networks with stochastic depth", ECCV 2016,
    arXiv:1603.09382.

    Ghiasi, Lin, Le, "DropBlock: A regularization method for convolutional networks", NeurIPS 2018,
    arXiv:1810.12890.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> model = fd.models.ResNet("basic", (1, 1), widths=(8, 16), stem="cifar")
    >>> model(np.zeros((2, 3, 32, 32))).shape
    (2, 10)
    """

    def __init__(
        self,
        block: str,
        layers: Sequence[int],
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        widths: Sequence[int] = (64, 128, 256, 512),
        stem: str = "imagenet",
        dropout: float | Schedule = 0.0,
        channel_dropout: float | Schedule = 0.0,
        drop_block: float | Schedule = 0.0,
        block_size: int = 7,
        drop_path_rate: float = 0.0,
        drop_path_mode: str = "batch",
    ) -> None:
        super().__init__()
        self.block = check.choice(block, "block", _BLOCKS)
        self.layers = tuple(check.integer(n, "layers", 1) for n in layers)
        self.widths = tuple(check.integer(n, "widths", 1) for n in widths)
        if len(self.widths) < len(self.layers):
            raise ValueError(
                f"widths must hold a number for each of {len(self.layers)} stages, "
                f"got {len(self.widths)}"
            )
        self.num_classes = check.integer(num_classes, "num_classes", 1)
        self.in_channels = check.integer(in_channels, "in_channels", 1)
        self.stem = check.choice(stem, "stem", ("imagenet", "cifar"))
        self.dropout, self.channel_dropout, self.drop_block = dropout, channel_dropout, drop_block
        self.block_size = check.integer(block_size, "block_size", 1)
        self.drop_path_rate = check.rate(drop_path_rate, "drop_path_rate")
        self.drop_path_mode = check.choice(drop_path_mode, "drop_path_mode", ("batch", "row"))
        kind, first = _BLOCKS[block], self.widths[0]
        large = self.stem == "imagenet"
        self.conv1 = _conv(in_channels, first, 7, 2) if large else _conv(in_channels, first, 3)
        self.bn1, self.relu = nn.BatchNorm2d(first), nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        rates = iter(nn.drop_path_rates(drop_path_rate, sum(self.layers), start="first"))
        before, stages = first, len(self.layers)
        for i, (count, width) in enumerate(zip(self.layers, self.widths)):
            block_rate = drop_block if i >= stages - 2 else 0.0
            blocks = []
            for j in range(count):
                stride = 2 if i > 0 and j == 0 else 1
                path = nn.DropPath(next(rates), drop_path_mode)
                maps = _map_dropout(channel_dropout, block_rate, self.block_size)
                blocks.append(kind(before, width, stride, path, maps))
                before = width * kind.expansion
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(before, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        stages = [getattr(self, f"layer{i + 1}") for i in range(len(self.layers))]
        before = [self.conv1, self.bn1, self.relu, self.maxpool]
        y = F.flatten(call_in_turn([*before, *stages, self.avgpool], input), 1)
        return call_in_turn([self.drop, self.fc], y)


_SMALL = """Build the residual network with {depth} layers for images of 32 x 32.

    Three stages of {blocks} basic blocks with 16, 32 and 64 channels. A shortcut between stages is
    a convolution of 1 x 1 (the paper fills up with zeros). Input (N, in_channels, H, W), output
    (N, num_classes): scores.

    Parameters
    ----------
    num_classes : int, at least 1
        Number of classes.
    in_channels : int, at least 1
        Channels of an image.
    **arguments
        Other arguments of `ResNet`: its rates of dropout, DropBlock and stochastic depth.

    Returns
    -------
    ResNet

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016,
    arXiv:1512.03385, section 4.2.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.models.resnet{depth}(drop_path_rate=0.2)
    >>> model.layers
    ({blocks}, {blocks}, {blocks})
    """

_LARGE = """Build ResNet-{depth} for images of about 224 x 224.

    Stages of {layers} {block} blocks. torchvision's weights of the network with this name can be
    loaded by ``load_state_dict``. Input (N, in_channels, H, W), output (N, num_classes): scores.

    Parameters
    ----------
    num_classes : int, at least 1
        Number of classes.
    in_channels : int, at least 1
        Channels of an image.
    **arguments
        Other arguments of `ResNet`: its rates of dropout, DropBlock and stochastic depth.

    Returns
    -------
    ResNet

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016,
    arXiv:1512.03385.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.models.resnet{depth}(num_classes=100)
    >>> model.layers
    {layers}
    """


def _builder(depth: int, block: str, layers: tuple[int, ...], small: bool) -> Callable[..., ResNet]:
    """The function that builds a network of a common size."""
    fixed: dict[str, Any] = {"widths": (16, 32, 64), "stem": "cifar"} if small else {}

    def build(
        num_classes: int = 10 if small else 1000, in_channels: int = 3, **arguments: Any
    ) -> ResNet:
        return ResNet(block, layers, num_classes, in_channels, **{**fixed, **arguments})

    build.__name__ = build.__qualname__ = f"resnet{depth}"
    build.__doc__ = (_SMALL if small else _LARGE).format(
        depth=depth, blocks=layers[0], layers=layers, block=block
    )
    return build


resnet20 = _builder(20, "basic", (3,) * 3, small=True)
resnet32 = _builder(32, "basic", (5,) * 3, small=True)
resnet44 = _builder(44, "basic", (7,) * 3, small=True)
resnet56 = _builder(56, "basic", (9,) * 3, small=True)
resnet110 = _builder(110, "basic", (18,) * 3, small=True)
resnet18 = _builder(18, "basic", (2, 2, 2, 2), small=False)
resnet34 = _builder(34, "basic", (3, 4, 6, 3), small=False)
resnet50 = _builder(50, "bottleneck", (3, 4, 6, 3), small=False)
