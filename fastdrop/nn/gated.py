"""Layers with a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import functional as F
from fastdrop import schedules
from fastdrop._utils import validation as check
from fastdrop.autograd.tensor import as_tensor
from fastdrop.functional.gated import silu_gate
from fastdrop.nn.dropout import Dropout
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.schedules import Schedule


class SwiGLU(Module):
    """Feed-forward layer with a swish gate: ``y = w2(dropout(silu(w1(x)) * w3(x)))``.

    w1, w2 and w3 are `Linear` layers and silu(a) = a / (1 + exp(-a)). Input (..., in_features),
    output (..., out_features). The names are those of Llama's weights. With a third matrix,
    2/3 of the hidden features of an ordinary feed-forward layer make as many weights.

    Parameters
    ----------
    in_features : int
        Size of the last axis of the input.
    hidden_features : int
        Size of the last axis of both products in the middle.
    out_features : int, optional
        Size of the last axis of the output; None: in_features.
    bias : bool
        Whether the three layers learn additive biases (Llama: False).
    dropout : float in [0, 1], or Schedule
        Probability to drop a hidden feature; 0 to 0.1 is usual.

    Attributes
    ----------
    w1, w3 : Linear
        (hidden_features, in_features): the gate, and what it multiplies.
    w2 : Linear
        (out_features, hidden_features).
    drop : Dropout
        The dropout of the hidden features.

    References
    ----------
    Shazeer, "GLU Variants Improve Transformer", 2020, arXiv:2002.05202.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.SwiGLU(8, 16, bias=False, dropout=0.1)
    >>> layer(np.ones((2, 5, 8))).shape
    (2, 5, 8)
    >>> list(layer.state_dict())
    ['w1.weight', 'w2.weight', 'w3.weight']
    """

    w1: Linear
    w2: Linear
    w3: Linear
    drop: Dropout

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        out_features: int | None = None,
        bias: bool = True,
        dropout: float | Schedule = 0.0,
    ) -> None:
        super().__init__()
        self.in_features = check.integer(in_features, "in_features", 0)
        self.hidden_features = check.integer(hidden_features, "hidden_features", 0)
        self.out_features = (
            in_features if out_features is None else check.integer(out_features, "out_features", 0)
        )
        self.bias = check.flag(bias, "bias")
        drop = Dropout(schedules.rate(dropout, "dropout"))
        self.w1 = Linear(in_features, hidden_features, bias)
        self.w2 = Linear(hidden_features, self.out_features, bias)
        self.w3 = Linear(in_features, hidden_features, bias)
        self.drop = drop

    @property
    def dropout(self) -> float | Schedule:
        """The rate of `drop`."""
        return self.drop.p

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        x = as_tensor(input, "input")
        return self.w2(self.drop(silu_gate(self.w1(x), self.w3(x))))


class GLU(Module):
    """Gated linear unit: ``y = a sigmoid(b)``, a and b the halves of the input along an axis.

    Parameters
    ----------
    dim : int
        The axis, of even length; the output has half of it.

    References
    ----------
    Dauphin, Fan, Auli, Grangier, "Language modeling with gated convolutional networks", ICML 2017,
    arXiv:1612.08083.

    Examples
    --------
    >>> from fastdrop import nn
    >>> nn.GLU()([[2.0, 4.0, 0.0, 100.0]]).tolist()
    [[1.0, 4.0]]
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = check.integer(dim, "dim", -64, 63)

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"
