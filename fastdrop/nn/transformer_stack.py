"""Stacks of transformer layers: encoder, decoder, and both."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastdrop import random
from fastdrop._utils import validation as check
from fastdrop.autograd.passes import carries
from fastdrop.autograd.recording import refuse
from fastdrop.autograd.tensor import as_tensor
from fastdrop.functional.droppath import path_mask
from fastdrop.nn import init
from fastdrop.nn.droppath import DropPath, drop_path_rates
from fastdrop.nn.module import Module
from fastdrop.nn.module_list import ModuleList
from fastdrop.nn.normalization import LayerNorm
from fastdrop.nn.transformer import TransformerDecoderLayer, TransformerEncoderLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.autograd.tensor import Tensor
    from fastdrop.nn.key_value_cache import KeyValueCache
    from fastdrop.nn.transformer import Activation, Mask, Rate


class LayerDrop(Module):
    """Whether the batch drops a layer: one decision, and no scale."""

    n_sites = 1

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def drops(self) -> bool:
        if self.p == 0.0 or not random.draws(self.training):
            return False
        refuse("LayerDrop decides anew in each step which layers are computed")
        kept, _ = path_mask(1, self.p, "batch", self)
        return not kept[0]

    def extra_repr(self) -> str:
        return f"p={self.p}"


class _Stack(Module):
    """Layers, one after the other, then a norm."""

    layers: ModuleList

    def _set(
        self,
        layer: Module,
        num_layers: int,
        norm: Module | None,
        layer_drop: float | Sequence[float],
        drop_path: Any,
    ) -> None:
        self.num_layers = n = check.integer(num_layers, "num_layers", 0)
        if not isinstance(layer, ModuleList):
            layer = ModuleList([copy.deepcopy(layer) for _ in range(n)])
        self.layers = layer
        each = layer_drop if isinstance(layer_drop, (list, tuple)) else [layer_drop] * n
        rates = [check.rate(p, "layer_drop") for p in each]
        for what, count in (("layers", len(self.layers)), ("rates of layer_drop", len(rates))):
            if count != n:
                raise ValueError(f"num_layers must be the number of {what}, {count}, got {n}")
        self.norm = norm
        self.layer_drops = ModuleList([LayerDrop(p) for p in rates])
        if drop_path is None:
            return
        for one, rate in zip(self.layers, drop_path_rates(drop_path, num_layers), strict=True):
            paths = [m for m in one.modules() if isinstance(m, DropPath)]
            if not paths:
                raise ValueError("drop_path needs layers with a DropPath")
            for path in paths:
                path.p = rate

    @property
    def layer_drop(self) -> tuple[float, ...]:
        """The probability to skip each layer."""
        return tuple(drop.p for drop in self.layer_drops)

    def _run(self, x: Any, *args: Any, caches: Sequence[KeyValueCache] = ()) -> Tensor:
        x = as_tensor(x, "input")
        for i, (layer, drop) in enumerate(zip(self.layers, self.layer_drops, strict=True)):
            if not drop.drops():
                x = layer(x, *args, cache=caches[i]) if caches else layer(x, *args)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """A stack of copies of an encoder layer.

    Parameters
    ----------
    encoder_layer : TransformerEncoderLayer or ModuleList
        Copied, with its weights. A ModuleList of num_layers layers is used as it is.
    num_layers : int
    norm : Module, optional
        Applied to the result.
    enable_nested_tensor, mask_check : bool
        Accepted for compatibility with PyTorch; they have no effect.
    layer_drop : float in [0, 1], or one for each layer
        LayerDrop: the probability that a training step skips a layer.
    drop_path : float in [0, 1], optional
        The rate of stochastic depth of the last layer; it grows linearly from 0.

    References
    ----------
    Fan, Grave, Joulin, "Reducing Transformer Depth on Demand with Structured Dropout", ICLR 2020,
    arXiv:1909.11556.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> nn.TransformerEncoder(layer, 2)(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    argument_paths: ClassVar = {
        "encoder_layer": "layers",
        "drop_path": None,  # a rate of each layer
        "enable_nested_tensor": None,
        "mask_check": None,
    }

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
        *,
        layer_drop: float | Sequence[float] = 0.0,
        drop_path: float | None = None,
    ) -> None:
        super().__init__()
        self._set(encoder_layer, num_layers, norm, layer_drop, drop_path)

    @carries
    def forward(
        self,
        src: Tensor | ArrayLike,
        mask: Mask = None,
        src_key_padding_mask: Mask = None,
        is_causal: bool | None = None,
        *,
        caches: Sequence[KeyValueCache] = (),
    ) -> Tensor:
        return self._run(src, mask, src_key_padding_mask, bool(is_causal), caches=caches)


class TransformerDecoder(_Stack):
    """A stack of copies of a decoder layer.

    Parameters
    ----------
    decoder_layer : TransformerDecoderLayer or ModuleList
        Copied, with its weights. A ModuleList of num_layers layers is used as it is.
    num_layers : int
    norm : Module, optional
        Applied to the result.
    layer_drop, drop_path
        As in `TransformerEncoder`.

    References
    ----------
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> layer = nn.TransformerDecoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> nn.TransformerDecoder(layer, 2)(np.ones((3, 5, 8)), np.ones((3, 7, 8))).shape
    (3, 5, 8)
    """

    argument_paths: ClassVar = {"decoder_layer": "layers", "drop_path": None}

    def __init__(
        self,
        decoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        *,
        layer_drop: float | Sequence[float] = 0.0,
        drop_path: float | None = None,
    ) -> None:
        super().__init__()
        self._set(decoder_layer, num_layers, norm, layer_drop, drop_path)

    @carries
    def forward(
        self,
        tgt: Tensor | ArrayLike,
        memory: Tensor | ArrayLike,
        tgt_mask: Mask = None,
        memory_mask: Mask = None,
        tgt_key_padding_mask: Mask = None,
        memory_key_padding_mask: Mask = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        return self._run(
            *(tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask),
            *(bool(tgt_is_causal), memory_is_causal),
        )


class Transformer(Module):
    """Encoder and decoder: ``y = decoder(tgt, encoder(src))``.

    Parameters
    ----------
    d_model, nhead : int
    num_encoder_layers, num_decoder_layers : int
    dim_feedforward, dropout, activation
        As in `TransformerEncoderLayer`.
    custom_encoder, custom_decoder : Module, optional
        In place of those that are made of the other arguments.
    layer_norm_eps, batch_first, norm_first, bias
        As in `TransformerEncoderLayer`.
    layer_drop : float
        As in `TransformerEncoder`.
    **rates
        attention_dropout, residual_dropout, drop_path, head_dropout: as in
        `TransformerEncoderLayer`.

    References
    ----------
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> model = nn.Transformer(8, 2, 1, 1, dim_feedforward=16, batch_first=True)
    >>> model(np.ones((3, 7, 8)), np.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    argument_paths: ClassVar = {
        "custom_encoder": "encoder",
        "custom_decoder": "decoder",
        **dict.fromkeys(  # arguments of the encoder and the decoder
            (
                *("num_encoder_layers", "num_decoder_layers", "dim_feedforward", "dropout"),
                *("activation", "layer_norm_eps", "norm_first", "bias", "layer_drop"),
            )
        ),
    }

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: Rate = 0.1,
        activation: Activation = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        layer_drop: float = 0.0,
        **rates: Any,
    ) -> None:
        super().__init__()
        args = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)
        order = (batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias)

        if custom_encoder is None:
            layer: Module = TransformerEncoderLayer(*args, *order, **rates)
            custom_encoder = TransformerEncoder(
                layer, num_encoder_layers, norm(), layer_drop=layer_drop
            )
        if custom_decoder is None:
            layer = TransformerDecoderLayer(*args, *order, **rates)
            custom_decoder = TransformerDecoder(
                layer, num_decoder_layers, norm(), layer_drop=layer_drop
            )
        self.encoder, self.decoder = custom_encoder, custom_decoder
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    @staticmethod
    def generate_square_subsequent_mask(sz: int) -> Float32Array:
        """The causal mask: 0 up to the diagonal, -infinity above.

        Parameters
        ----------
        sz : int

        Returns
        -------
        float32 array (sz, sz)
        """
        return np.where(np.tri(sz, dtype=bool), 0.0, -np.inf).astype(np.float32)

    @carries
    def forward(
        self,
        src: Tensor | ArrayLike,
        tgt: Tensor | ArrayLike,
        src_mask: Mask = None,
        tgt_mask: Mask = None,
        memory_mask: Mask = None,
        src_key_padding_mask: Mask = None,
        tgt_key_padding_mask: Mask = None,
        memory_key_padding_mask: Mask = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(
            *(tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask),
            *(tgt_is_causal, memory_is_causal),
        )
