"""Dropout of elements, channels and heads, and alpha dropout for SELU networks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.functional.dropout import channel_dropout, head_dropout
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.schedules import Schedule


class Dropout(Module):
    """Sets single elements to zero with probability p in training and scales up the others.

    In training ``y = x * s`` where an element is kept and ``y = 0`` where it is dropped, with
    s = 2^32 / q and q the keep probability in units of 2^-32 (so s is 1 / (1 - p) up to rounding).
    In evaluation the output is the input itself. Input and output have any one shape (N, ...);
    axis 0 counts the samples.

    Rates: 0 to 0.2 on the input, 0.2 to 0.5 after the activation of a dense layer, none before
    the output. In a `Sequential`, right after a dense layer and its activation, it is part of their
    product.

    Differences from ``torch.nn.Dropout``: the mask is a function of the seed, the layer's site,
    the pass, the sample's row and the unit (``docs/mask-contract.md``), so it does not depend on
    batch size, threads or machine; a dropped element is 0 even where the input is inf or NaN;
    p may follow a schedule.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop an element.
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.
    inverted : bool
        False: kept elements are not scaled in training, and in evaluation the output is
        ``x * q / 2^32`` (the formulation of 2014).
    share : int or sequence of int
        Axes of the input along which all elements share one decision (the axes where Keras'
        ``noise_shape`` is 1). Axis 0: all samples share one mask.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A Simple Way to Prevent
    Neural Networks from Overfitting", JMLR 15, 2014, pages 1929-1958.

    Examples
    --------
    >>> import fastdrop as fd
    >>> import numpy as np
    >>> fd.manual_seed(0)
    >>> layer = fd.nn.Dropout(0.5)
    >>> y = layer(np.ones((2, 100)))
    >>> sorted(set(y.numpy().ravel().tolist()))
    [0.0, 2.0]
    >>> float(layer.eval()(np.ones((2, 100))).numpy().min())
    1.0
    """

    n_sites = 1
    p: float | Schedule

    def __init__(
        self,
        p: float | Schedule = 0.5,
        inplace: bool = False,
        *,
        inverted: bool = True,
        share: int | Iterable[int] = (),
    ) -> None:
        super().__init__()
        self.p = schedules.rate(p)
        self.inplace = check.flag(inplace, "inplace")
        self.inverted = check.flag(inverted, "inverted")
        axes = share if isinstance(share, Iterable) else (share,)
        self.share = tuple(check.integer(axis, "share", -63, 63) for axis in axes)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.dropout(
            input,
            random.rate_now(self.p),
            self.training,
            inverted=self.inverted,
            share=self.share,
            layer=self,
        )

    def extra_repr(self) -> str:
        more = ("" if self.inverted else ", inverted=False") + (
            f", share={self.share}" if self.share else ""
        )
        return f"p={self.p}, inplace={self.inplace}{more}"


class RateLayer(Module):
    """Base class of layers with one rate p and one site."""

    n_sites = 1
    p: float | Schedule

    def __init__(self, p: float | Schedule = 0.5, inplace: bool = False) -> None:
        super().__init__()
        self.p = schedules.rate(p)
        self.inplace = check.flag(inplace, "inplace")

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class _SpatialDropout(RateLayer):
    """Dropout of whole channels of maps with `axes` axes; unbatched: (C, ...) is one sample."""

    axes: int
    unbatched: bool

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return channel_dropout(
            input, random.rate_now(self.p), self.training, self.axes, self.unbatched, self
        )


class SpatialDropout1d(_SpatialDropout):
    """Drops whole channels of (N, C, L) or (C, L): one decision for each sample and channel.

    Kept channels are multiplied by 2^32 / q (about 1 / (1 - p)); in evaluation the output is the
    input itself. `Dropout1d` is another name of this class.

    Use it on convolutional maps, where neighbours of a dropped element would give its value away:
    0 to 0.1 in early layers, 0.1 to 0.3 in later ones.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop a channel.
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    References
    ----------
    Tompson, Goroshin, Jain, LeCun, Bregler, "Efficient Object Localization Using Convolutional
    Networks", CVPR 2015, arXiv:1411.4280.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.SpatialDropout1d(0.2)(np.ones((2, 8, 5))).shape
    (2, 8, 5)
    """

    axes, unbatched = 1, True


class SpatialDropout2d(_SpatialDropout):
    """Drops whole channels of (N, C, H, W): one decision for each sample and channel.

    Kept channels are multiplied by 2^32 / q (about 1 / (1 - p)); in evaluation the output is the
    input itself. `Dropout2d` is another name of this class.

    Use it on convolutional maps, where neighbours of a dropped element would give its value away:
    0 to 0.1 in early layers, 0.1 to 0.3 in later ones.

    Difference from ``torch.nn.Dropout2d``: PyTorch treats three dimensions as (N, C, L); here they
    are refused, because `SpatialDropout1d` is the layer for them.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop a channel.
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    References
    ----------
    Tompson, Goroshin, Jain, LeCun, Bregler, "Efficient Object Localization Using Convolutional
    Networks", CVPR 2015, arXiv:1411.4280.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.SpatialDropout2d(0.2)(np.ones((2, 8, 5, 5))).shape
    (2, 8, 5, 5)
    """

    axes, unbatched = 2, False


class SpatialDropout3d(_SpatialDropout):
    """Drops whole channels of (N, C, D, H, W) or (C, D, H, W), one decision a sample and channel.

    Kept channels are multiplied by 2^32 / q (about 1 / (1 - p)); in evaluation the output is the
    input itself. `Dropout3d` is another name of this class.

    Use it on convolutional maps, where neighbours of a dropped element would give its value away:
    0 to 0.1 in early layers, 0.1 to 0.3 in later ones.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop a channel.
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    References
    ----------
    Tompson, Goroshin, Jain, LeCun, Bregler, "Efficient Object Localization Using Convolutional
    Networks", CVPR 2015, arXiv:1411.4280.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.SpatialDropout3d(0.2)(np.ones((2, 8, 3, 5, 5))).shape
    (2, 8, 3, 5, 5)
    """

    axes, unbatched = 3, True


Dropout1d, Dropout2d, Dropout3d = SpatialDropout1d, SpatialDropout2d, SpatialDropout3d


class HeadDropout(Module):
    """Drops whole attention heads of (N, H, T, D), one decision a sample and head (DropHead).

    Kept heads are multiplied by 2^32 / q (about 1 / (1 - p)); in evaluation the output is the input
    itself. The mask is that of `SpatialDropout2d` with heads as channels.

    Use it on the result of attention, before the heads are put side by side, at 0.1 to 0.2. The
    paper's rate falls from p to 0 and rises to p again during training: give a Schedule.

    Difference from the paper: it multiplies by H / (number of kept heads of the sample), which
    depends on the mask; here the factor is constant, and the expectation over masks is exact.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop a head.

    Raises
    ------
    ValueError
        When called: the input has another number of axes.

    References
    ----------
    Zhou, Ge, Wei, Zhou, Xu, "Scheduled DropHead: A Regularization Method for Transformer Models",
    Findings of EMNLP 2020, arXiv:2004.13342.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> heads = nn.HeadDropout(0.5)(np.ones((4, 8, 5, 16))).numpy()
    >>> bool((heads == heads[:, :, :1, :1]).all())
    True
    """

    n_sites = 1
    p: float | Schedule

    def __init__(self, p: float | Schedule = 0.5) -> None:
        super().__init__()
        self.p = schedules.rate(p)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return head_dropout(input, random.rate_now(self.p), self.training, layer=self)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class AlphaDropout(RateLayer):
    """Dropout for SELU networks: keeps mean 0 and variance 1 of its input.

    In training ``y = a x + b`` where an element is kept and ``y = a alpha' + b`` where it is
    dropped, with alpha' = -1.7580993408473766, k = q / 2^32 the keep probability,
    a = (k (1 + (1 - k) alpha'^2))^(-1/2) and b = -a alpha' (1 - k). For p = 1 the output is zero.
    In evaluation the output is the input itself. Any shape (N, ...).

    Use it after `SELU`, at 0.05 to 0.1.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop an element.
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    References
    ----------
    Klambauer, Unterthiner, Mayr, Hochreiter, "Self-Normalizing Neural Networks", NeurIPS 2017,
    arXiv:1706.02515.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> block = nn.Sequential(nn.Linear(8, 16), nn.SELU(), nn.AlphaDropout(0.1))
    >>> block(np.ones((2, 8))).shape
    (2, 16)
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.alpha_dropout(input, random.rate_now(self.p), self.training, layer=self)


class FeatureAlphaDropout(RateLayer):
    """`AlphaDropout` of whole channels of (N, C, ...): one decision for each sample and channel.

    Use it after `SELU` on convolutional maps.

    Parameters
    ----------
    p : float in [0, 1], or Schedule
        Probability to drop a channel.
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    References
    ----------
    Klambauer, Unterthiner, Mayr, Hochreiter, "Self-Normalizing Neural Networks", NeurIPS 2017,
    arXiv:1706.02515.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> nn.FeatureAlphaDropout(0.1)(np.ones((2, 8, 5))).shape
    (2, 8, 5)
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.feature_alpha_dropout(input, random.rate_now(self.p), self.training, layer=self)
