"""Plain convolutional networks with dropout: LeNet-5, the network of 2014, all-convolutional."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.models.mlp import layer_rates

if TYPE_CHECKING:
    from fastdrop.schedules import Schedule

    Rates = float | Schedule | Iterable[float | Schedule]

__all__ = ["all_cnn", "convnet", "lenet5"]


def lenet5(
    num_classes: int = 10,
    in_channels: int = 1,
    *,
    size: int = 28,
    dropout: Rates = 0.0,
) -> nn.Sequential:
    """Build LeNet-5 with ReLU and max pooling: two convolutions and three dense layers.

    Input (N, in_channels, size, size), output (N, num_classes): scores.

    Parameters
    ----------
    num_classes : int, at least 1
        Number of classes.
    in_channels : int, at least 1
        Channels of an image.
    size : int, at least 16
        Height and width of an image. The first convolution adds 2 zeros at each edge, so that 28
        gives the maps of the paper, which has images of 32.
    dropout : float in [0, 1] or Schedule, or a sequence of 4 of these
        One rate for the two hidden dense layers; or a rate each for the maps of the two
        convolutions (whole channels are dropped) and for the two hidden dense layers.

    Returns
    -------
    Sequential

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
    Proceedings of the IEEE 86, 1998.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> model = fd.models.lenet5(dropout=0.5)
    >>> model(np.zeros((2, 1, 28, 28))).shape
    (2, 10)
    """
    check.integer(size, "size", 16)
    rates = layer_rates(dropout, 4, (0.0, 0.0, None, None))
    flat = 16 * ((size // 2 - 4) // 2) ** 2
    layers: list[nn.Module | None] = [
        nn.Conv2d(check.integer(in_channels, "in_channels", 1), 6, 5, padding=2),
        nn.ReLU(),
        _channels(rates[0]),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        _channels(rates[1]),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(flat, 120),
        nn.ReLU(),
        _elements(rates[2]),
        nn.Linear(120, 84),
        nn.ReLU(),
        _elements(rates[3]),
        nn.Linear(84, check.integer(num_classes, "num_classes", 1)),
    ]
    return _sequence(layers)


def convnet(
    num_classes: int = 10,
    in_channels: int = 3,
    *,
    size: int = 32,
    width: float = 1.0,
    dropout: Rates = (0.1, 0.25, 0.25, 0.5, 0.5, 0.5),
) -> nn.Sequential:
    """Build the convolutional network of the dropout paper: three convolutions, two dense layers.

    The convolutions have 96, 128 and 256 filters of 5 x 5, each followed by ReLU, dropout and a max
    pool of 3 x 3 with stride 2; the two dense layers have 2048 units. The authors bound the norm of
    the incoming weights of each unit by 4 (`fastdrop.nn.utils.max_norm_`). Input
    (N, in_channels, size, size), output (N, num_classes): scores.

    Parameters
    ----------
    num_classes : int, at least 1
        Number of classes.
    in_channels : int, at least 1
        Channels of an image.
    size : int, at least 16
        Height and width of an image.
    width : float above 0
        Factor of the numbers of filters and units, 1 in the paper.
    dropout : float in [0, 1] or Schedule, or a sequence of 6 of these
        One rate for the two dense layers; or a rate each for the input, the three convolutions and
        the two dense layers. The default is the paper's.

    Returns
    -------
    Sequential

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A simple way to prevent
    neural networks from overfitting", JMLR 15, 2014, section 6.1.2 and appendix B.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> model = fd.models.convnet(width=0.25)
    >>> model(np.zeros((2, 3, 32, 32))).shape
    (2, 10)
    """
    check.integer(size, "size", 16)
    check.real(width, "width", low=0.0, open_low=True)
    filters = [max(1, round(n * width)) for n in (96, 128, 256)]
    units = max(1, round(2048 * width))
    rates = layer_rates(dropout, 6, (0.0, 0.0, 0.0, 0.0, None, None))
    layers: list[nn.Module | None] = [_elements(rates[0])]
    channels, side = check.integer(in_channels, "in_channels", 1), size
    for n, p in zip(filters, rates[1:4]):
        layers += [
            nn.Conv2d(channels, n, 5, padding=2),
            nn.ReLU(),
            _elements(p),
            nn.MaxPool2d(3, 2, padding=1),
        ]
        channels, side = n, (side + 1) // 2
    layers += [
        nn.Flatten(),
        nn.Linear(channels * side * side, units),
        nn.ReLU(),
        _elements(rates[4]),
        nn.Linear(units, units),
        nn.ReLU(),
        _elements(rates[5]),
        nn.Linear(units, check.integer(num_classes, "num_classes", 1)),
    ]
    return _sequence(layers)


def all_cnn(
    num_classes: int = 10,
    in_channels: int = 3,
    *,
    dropout: Rates = (0.2, 0.5, 0.5),
    batch_norm: bool = False,
) -> nn.Sequential:
    """Build the all-convolutional network All-CNN-C: strided convolutions in place of pooling.

    Nine convolutions and the mean over the last map. Input (N, in_channels, H, W) with H and W at
    least 13, output (N, num_classes): scores.

    Parameters
    ----------
    num_classes : int, at least 1
        Number of classes.
    in_channels : int, at least 1
        Channels of an image.
    dropout : float in [0, 1] or Schedule, or a sequence of 3 of these
        One rate after each of the two strided convolutions; or a rate each for the input and after
        the two. The default is the paper's.
    batch_norm : bool
        Whether batch norm follows each convolution; the paper has none.

    Returns
    -------
    Sequential

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    Springenberg, Dosovitskiy, Brox, Riedmiller, "Striving for simplicity: the all convolutional
    net", ICLR 2015 workshop, arXiv:1412.6806.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> model = fd.models.all_cnn()
    >>> model(np.zeros((1, 3, 32, 32))).shape
    (1, 10)
    """
    check.flag(batch_norm, "batch_norm")
    check.integer(num_classes, "num_classes", 1)
    rates = layer_rates(dropout, 3, (0.0, None, None))
    layers: list[nn.Module | None] = [_elements(rates[0])]
    before = check.integer(in_channels, "in_channels", 1)
    # (filters, kernel, stride, padding, the rate behind it)
    table: tuple[tuple[int, int, int, int, float | Schedule], ...] = (
        (96, 3, 1, 1, 0.0),
        (96, 3, 1, 1, 0.0),
        (96, 3, 2, 1, rates[1]),
        (192, 3, 1, 1, 0.0),
        (192, 3, 1, 1, 0.0),
        (192, 3, 2, 1, rates[2]),
        (192, 3, 1, 0, 0.0),
        (192, 1, 1, 0, 0.0),
        (num_classes, 1, 1, 0, 0.0),
    )
    for filters, kernel, stride, padding, p in table:
        layers += [
            nn.Conv2d(before, filters, kernel, stride, padding, bias=not batch_norm),
            nn.BatchNorm2d(filters) if batch_norm else None,
            nn.ReLU(),
            _elements(p),
        ]
        before = filters
    return _sequence([*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()])


def _elements(p: float | Schedule) -> nn.Module | None:
    return nn.Dropout(p) if p else None


def _channels(p: float | Schedule) -> nn.Module | None:
    return nn.Dropout2d(p) if p else None


def _sequence(layers: list[nn.Module | None]) -> nn.Sequential:
    return nn.Sequential(*(layer for layer in layers if layer is not None))
