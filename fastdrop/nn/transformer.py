"""The layers of transformers: encoders and decoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastdrop import functional as F
from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.passes import carries
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.nn.attention import MultiheadAttention, samples_first
from fastdrop.nn.dropout import Dropout, HeadDropout
from fastdrop.nn.droppath import DropPath
from fastdrop.nn.hooks import with_hooks
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module
from fastdrop.nn.normalization import LayerNorm

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.nn.key_value_cache import KeyValueCache
    from fastdrop.schedules import Schedule

    Mask = Tensor | ArrayLike | None
    Rate = float | Schedule
    Activation = str | Callable[[Tensor], Tensor]


def _gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, "tanh")


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": _gelu_tanh,
}


class _Layer(Module):
    """What the layers of encoders and decoders share."""

    argument_paths: ClassVar = {
        "d_model": "self_attn.embed_dim",
        "nhead": "self_attn.num_heads",
        "dim_feedforward": "linear1.out_features",
        "dropout": "dropout.p",
        "activation": "activation_name",
        "layer_norm_eps": "norm1.eps",
        "bias": "linear1.bias",
        "attention_dropout": "self_attn.dropout",
        "residual_dropout": "dropout1.p",
        "drop_path": "drop_path1.p",
        "head_dropout": "head_dropout.p",
    }
    linear1: Linear
    linear2: Linear
    dropout: Dropout

    def _set_order(self, batch_first: bool, norm_first: bool, activation: Activation) -> None:
        self.batch_first = check.flag(batch_first, "batch_first")
        self.norm_first = check.flag(norm_first, "norm_first")
        self.activation: Callable[[Tensor], Tensor] = (
            _ACTIVATIONS[check.choice(activation, "activation", _ACTIVATIONS)]
            if isinstance(activation, str)
            else activation
        )

    @property
    def activation_name(self) -> Activation:
        """The name of the activation; the activation itself if it has none."""
        names = [name for name, value in _ACTIVATIONS.items() if value is self.activation]
        return names[0] if names else self.activation

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _add(
        self,
        x: Tensor,
        branch: Callable[..., Tensor],
        norm: Module,
        dropout: Dropout,
        path: DropPath,
        *of_samples: Any,
        whole: bool = False,
    ) -> Tensor:
        """x + path(dropout(branch(x, *of_samples))), with the norm before the branch or at the end.

        The branch is computed for the samples that `path` keeps, unless `whole` or passes stand
        side by side. of_samples: see the others of `DropPath.add`.
        """

        def to_add(x: Tensor, *others: Any) -> Tensor:
            return dropout(branch(norm(x) if self.norm_first else x, *others))

        if whole or random.batched_passes():
            y = x + path(to_add(x, *of_samples))
        else:
            y = path.add(x, to_add, x, others=of_samples)
        return y if self.norm_first else norm(y)

    def _as_given(self, y: Tensor, ndim: int) -> Tensor:
        """y of samples first in the layout of an input of ndim axes."""
        if ndim == 2:
            return F.squeeze(y, 0)
        return y if self.batch_first else F.transpose(y, 0, 1)

    def extra_repr(self) -> str:
        return f"batch_first={self.batch_first}, norm_first={self.norm_first}"


class TransformerEncoderLayer(_Layer):
    """A layer of a transformer's encoder: self-attention and a feed-forward network.

    ``x = norm1(x + dropout1(self_attn(x)))``, then ``x = norm2(x + dropout2(f(x)))`` with
    ``f(x) = linear2(dropout(activation(linear1(x))))``; with norm_first
    ``x = x + dropout1(self_attn(norm1(x)))``, then ``x = x + dropout2(f(norm2(x)))``. With
    `batch_first` no copies for the other layout are made.

    Rates: 0.1 as published, 0.1 to 0.3 for fine-tuning and small data, 0 for large-scale
    pretraining.

    Parameters
    ----------
    d_model : int
        Size of input and output.
    nhead : int
        Heads of the attention; it divides d_model.
    dim_feedforward : int
        Size of the hidden layer.
    dropout : float in [0, 1], or Schedule
        The rate of all four places: the softmax, the hidden layer and both branches.
    activation : {"relu", "gelu", "gelu_tanh"} or callable
        "gelu_tanh" is the approximation of GELU by tanh. Files can hold these names and modules
        (``nn.SiLU()``), no other callables.
    layer_norm_eps : float
    batch_first : bool
        Arrays are (N, L, E), else (L, N, E); (L, E) is one sample.
    norm_first : bool
        Norms before the branches, else after the sums.
    bias : bool
        Whether products and norms have biases.
    attention_dropout, residual_dropout : float or Schedule, optional
        The rates of the softmax, and of both branches; `dropout` by default.
    drop_path : float or Schedule
        Stochastic depth: the probability that a sample drops a branch.
    head_dropout : float or Schedule
        The probability that a sample drops a head of the attention.

    References
    ----------
    - Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.
    - Xiong et al., "On Layer Normalization in the Transformer Architecture", ICML 2020,
      arXiv:2002.04745.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> layer(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: Rate = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        attention_dropout: Rate | None = None,
        residual_dropout: Rate | None = None,
        drop_path: Rate = 0.0,
        head_dropout: Rate = 0.0,
    ) -> None:
        super().__init__()
        self._set_order(batch_first, norm_first, activation)
        of_branches = dropout if residual_dropout is None else residual_dropout
        self.self_attn = MultiheadAttention(
            *(d_model, nhead, dropout if attention_dropout is None else attention_dropout, bias),
            batch_first=batch_first,
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.dropout1, self.dropout2 = Dropout(of_branches), Dropout(of_branches)
        self.drop_path1, self.drop_path2 = DropPath(drop_path), DropPath(drop_path)
        self.head_dropout = HeadDropout(head_dropout)

    @carries
    def forward(
        self,
        src: Tensor | ArrayLike,
        src_mask: Mask = None,
        src_key_padding_mask: Mask = None,
        is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        given = as_tensor(src, "src")
        x = samples_first(given, self.batch_first)
        padding = _padding(src_key_padding_mask, given.ndim)
        of_all, of_each = _attn_masks(src_mask)

        def attention(x: Tensor, padding: Mask, mask: Mask) -> Tensor:
            y, _ = with_hooks(self.self_attn, self.self_attn.attention)(
                *(x, x, x),
                key_padding_mask=padding,
                attn_mask=of_all if mask is None else mask,
                is_causal=is_causal,
                head_dropout=self.head_dropout if self.head_dropout.p else None,
                cache=cache,
            )
            return y

        x = self._add(
            *(x, attention, self.norm1, self.dropout1, self.drop_path1, padding, of_each),
            whole=cache is not None,
        )
        x = self._add(x, self._feed_forward, self.norm2, self.dropout2, self.drop_path2)
        return self._as_given(x, given.ndim)


class TransformerDecoderLayer(_Layer):
    """A layer of a transformer's decoder: self-attention, attention to a memory, feed-forward.

    As `TransformerEncoderLayer`, with a branch multihead_attn(x, memory) between the others.

    Parameters
    ----------
    d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first
        As in `TransformerEncoderLayer`.
    bias, attention_dropout, residual_dropout, drop_path, head_dropout
        The same.

    References
    ----------
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.TransformerDecoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> layer(np.ones((3, 5, 8)), np.ones((3, 7, 8))).shape
    (3, 5, 8)
    """

    argument_paths: ClassVar = {
        **_Layer.argument_paths,
        "head_dropout": "head_dropout1.p",
    }

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: Rate = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        attention_dropout: Rate | None = None,
        residual_dropout: Rate | None = None,
        drop_path: Rate = 0.0,
        head_dropout: Rate = 0.0,
    ) -> None:
        super().__init__()
        self._set_order(batch_first, norm_first, activation)
        of_weights = dropout if attention_dropout is None else attention_dropout
        of_branches = dropout if residual_dropout is None else residual_dropout
        attention = (d_model, nhead, of_weights, bias)
        self.self_attn = MultiheadAttention(*attention, batch_first=batch_first)
        self.multihead_attn = MultiheadAttention(*attention, batch_first=batch_first)
        self.linear1 = Linear(d_model, dim_feedforward, bias)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.dropout1, self.dropout2 = Dropout(of_branches), Dropout(of_branches)
        self.dropout3 = Dropout(of_branches)
        self.drop_path1, self.drop_path2 = DropPath(drop_path), DropPath(drop_path)
        self.drop_path3 = DropPath(drop_path)
        self.head_dropout1 = HeadDropout(head_dropout)
        self.head_dropout2 = HeadDropout(head_dropout)

    @carries
    def forward(
        self,
        tgt: Tensor | ArrayLike,
        memory: Tensor | ArrayLike,
        tgt_mask: Mask = None,
        memory_mask: Mask = None,
        tgt_key_padding_mask: Mask = None,
        memory_key_padding_mask: Mask = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        given = as_tensor(tgt, "tgt")
        x = samples_first(given, self.batch_first)
        m = samples_first(as_tensor(memory, "memory"), self.batch_first)
        own, others = (
            _padding(mask, given.ndim) for mask in (tgt_key_padding_mask, memory_key_padding_mask)
        )
        (own_all, own_each), (all_, each) = _attn_masks(tgt_mask), _attn_masks(memory_mask)

        def self_attention(x: Tensor, padding: Mask, mask: Mask) -> Tensor:
            return with_hooks(self.self_attn, self.self_attn.attention)(
                *(x, x, x),
                key_padding_mask=padding,
                attn_mask=own_all if mask is None else mask,
                is_causal=tgt_is_causal,
                head_dropout=self.head_dropout1,
            )[0]

        def cross_attention(x: Tensor, m: Tensor, padding: Mask, mask: Mask) -> Tensor:
            return with_hooks(self.multihead_attn, self.multihead_attn.attention)(
                *(x, m, m),
                key_padding_mask=padding,
                attn_mask=all_ if mask is None else mask,
                is_causal=memory_is_causal,
                head_dropout=self.head_dropout2,
            )[0]

        x = self._add(
            *(x, self_attention, self.norm1, self.dropout1, self.drop_path1, own, own_each)
        )
        x = self._add(
            *(x, cross_attention, self.norm2, self.dropout2, self.drop_path2, m, others, each)
        )
        x = self._add(x, self._feed_forward, self.norm3, self.dropout3, self.drop_path3)
        return self._as_given(x, given.ndim)


def _padding(mask: Any, ndim: int) -> Any:
    """A padding mask (N, S), given as (S,) for one sample."""
    if mask is None or ndim != 2:
        return mask
    return (mask.data if isinstance(mask, Tensor) else np.asarray(mask))[None]


def _attn_masks(mask: Mask) -> tuple[Mask, Mask]:
    """An attn_mask as (that of all samples, or None; that of each sample, or None)."""
    ndim = mask.ndim if isinstance(mask, Tensor) else np.ndim(mask) if mask is not None else 0
    return (None, mask) if ndim == 3 else (mask, None)
