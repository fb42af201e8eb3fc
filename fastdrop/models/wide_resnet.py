"""Wide residual networks, with dropout inside their blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import as_tensor
from fastdrop.nn.container import call_in_turn

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.schedules import Schedule

__all__ = ["WideResNet", "wide_resnet"]


class _Block(nn.Module):
    """A block with batch norm and ReLU before each convolution: y = shortcut(x) + branch(x)."""

    def __init__(
        self, before: int, after: int, stride: int, dropout: float | Schedule, path: nn.DropPath
    ) -> None:
        super().__init__()
        self.bn1, self.relu = nn.BatchNorm2d(before), nn.ReLU()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn2, self.drop = nn.BatchNorm2d(after), nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.shortcut = (
            nn.Conv2d(before, after, 1, stride, bias=False)
            if stride != 1 or before != after
            else None
        )
        self.drop_path = path

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        x = as_tensor(input, "input")
        branch = [self.conv1, self.bn2, self.relu, self.drop, self.conv2]
        around = x
        if self.shortcut is None:
            branch = [self.bn1, self.relu, *branch]
        else:  # where the block changes the map, both paths read the normalised input
            x = call_in_turn([self.bn1, self.relu], x)
            around = self.shortcut(x)
        return self.drop_path.add(
            around, lambda kept: call_in_turn(branch, kept), x, whole_batch=self.bn2.training
        )


class WideResNet(nn.Module):
    """Wide residual network for images of about 32 x 32: few layers, many channels.

    A convolution, three groups of residual blocks with 16 k, 32 k and 64 k channels, batch norm,
    the mean of each map, a dense layer. In each block dropout of single elements stands between the
    two convolutions, after batch norm and ReLU. Input (N, in_channels, H, W), output
    (N, num_classes): scores.

    Parameters
    ----------
    depth : int, 6 n + 4
        Number of convolutions; n blocks in each group.
    widen_factor : int, at least 1
        k.
    num_classes : int, at least 1
        Number of classes.
    in_channels : int, at least 1
        Channels of an image.
    dropout : float in [0, 1] or Schedule
        Rate of the dropout inside the blocks; 0.3 in the paper for CIFAR, 0.4 for SVHN.
    drop_path_rate : float in [0, 1]
        Rate of the stochastic depth of the last block; the others fall linearly to p / depth.
    drop_path_mode : {"batch", "row"}
        "batch": one decision for the whole batch; a dropped branch is not computed. "row": one for
        each sample.

    References
    ----------
    Zagoruyko and Komodakis, "Wide residual networks", BMVC 2016, arXiv:1605.07146.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> model = fd.models.WideResNet(10, 1, dropout=0.3)
    >>> model(np.zeros((2, 3, 32, 32))).shape
    (2, 10)
    """

    def __init__(
        self,
        depth: int = 16,
        widen_factor: int = 4,
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        dropout: float | Schedule = 0.3,
        drop_path_rate: float = 0.0,
        drop_path_mode: str = "batch",
    ) -> None:
        super().__init__()
        self.depth = check.integer(depth, "depth", 10)
        if (depth - 4) % 6:
            raise ValueError(f"depth must be 6 n + 4, got {depth}")
        self.widen_factor = check.integer(widen_factor, "widen_factor", 1)
        self.num_classes = check.integer(num_classes, "num_classes", 1)
        self.in_channels = check.integer(in_channels, "in_channels", 1)
        self.dropout = dropout
        self.drop_path_rate = check.rate(drop_path_rate, "drop_path_rate")
        self.drop_path_mode = check.choice(drop_path_mode, "drop_path_mode", ("batch", "row"))
        blocks = (depth - 4) // 6
        rates = iter(nn.drop_path_rates(drop_path_rate, 3 * blocks, start="first"))
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        before = 16
        for i, width in enumerate((16, 32, 64)):
            group = []
            for j in range(blocks):
                stride = 2 if i > 0 and j == 0 else 1
                path = nn.DropPath(next(rates), drop_path_mode)
                group.append(_Block(before, width * widen_factor, stride, dropout, path))
                before = width * widen_factor
            self.add_module(f"group{i + 1}", nn.Sequential(*group))
        self.bn, self.relu = nn.BatchNorm2d(before), nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(before, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        groups = [getattr(self, f"group{i + 1}") for i in range(3)]
        y = call_in_turn([self.conv1, *groups, self.bn, self.relu, self.avgpool], input)
        return self.fc(F.flatten(y, 1))


def wide_resnet(
    depth: int = 16,
    widen_factor: int = 4,
    num_classes: int = 10,
    in_channels: int = 3,
    *,
    dropout: float | Schedule = 0.3,
    drop_path_rate: float = 0.0,
    drop_path_mode: str = "batch",
) -> WideResNet:
    """Build a wide residual network; see `WideResNet`.

    Parameters
    ----------
    depth : int, 6 n + 4
        Number of convolutions.
    widen_factor : int, at least 1
        Factor of the numbers of channels.
    num_classes : int, at least 1
        Number of classes.
    in_channels : int, at least 1
        Channels of an image.
    dropout : float in [0, 1] or Schedule
        Rate of the dropout inside the blocks.
    drop_path_rate : float in [0, 1]
        Rate of the stochastic depth of the last block.
    drop_path_mode : {"batch", "row"}
        One decision for the whole batch, or one for each sample.

    Returns
    -------
    WideResNet

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    Zagoruyko and Komodakis, "Wide residual networks", BMVC 2016, arXiv:1605.07146.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.models.wide_resnet(10, 2).fc
    Linear(in_features=128, out_features=10, bias=True)
    """
    return WideResNet(
        depth,
        widen_factor,
        num_classes,
        in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        drop_path_mode=drop_path_mode,
    )
