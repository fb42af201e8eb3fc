"""RReLU: leaky ReLU with a random slope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop._utils import validation as check
from fastdrop.functional.random_activation import slopes_of
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor


class RReLU(Module):
    """Randomized leaky ReLU: ``y = x`` for x > 0, ``a x`` elsewhere, a uniform in [lower, upper].

    In evaluation a = (lower + upper) / 2. Each element of each sample draws its own slope, as masks
    are drawn: a function of the seed, the model, the layer, the pass and the sample. A Monte Carlo
    prediction draws slopes, too.

    Parameters
    ----------
    lower, upper : float
        The limits of the slope.
    inplace : bool
        Accepted so that PyTorch code runs; has no effect.

    References
    ----------
    Xu, Wang, Chen, Li, "Empirical evaluation of rectified activations in convolutional network",
    2015, arXiv:1505.00853.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.RReLU(0.25, 0.75).eval()([-4.0, 2.0]).tolist()
    [-2.0, 2.0]
    """

    n_sites = 1

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__()
        self.lower, self.upper = slopes_of(lower, upper)
        self.inplace = check.flag(inplace, "inplace")

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, layer=self)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}"
