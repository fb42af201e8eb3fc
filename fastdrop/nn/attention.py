"""Attention of several heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastdrop import functional as F
from fastdrop import random, schedules
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.passes import PassTensor, carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.attention import attend, attend_cached
from fastdrop.nn import init
from fastdrop.nn.linear import Linear
from fastdrop.nn.module import Module
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.nn.key_value_cache import KeyValueCache
    from fastdrop.schedules import Schedule

    Mask = Tensor | ArrayLike | None


class MultiheadAttention(Module):
    """Attention of several heads: ``y = concat(head_1, ..., head_h) W_o^T + b_o``.

    ``head_i = d(softmax(q_i k_i^T / sqrt(D))) v_i`` with q, k and v the products of query, key and
    value with their weights, D = embed_dim / num_heads, and d the dropout of the weights:
    d(w) = w * 2^32 / q where kept and 0 where dropped. In evaluation d(w) = w. No matrix of
    queries x keys is kept in memory, unless `need_weights` asks for the weights.

    ``layer(query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights,
    is_causal)`` gives y and the weights after dropout, (N, L, S) or (N, num_heads, L, S) of each
    head. Masks are key_padding_mask (N, S) and attn_mask (L, S) or (N * num_heads, L, S), of bool,
    where True is masked, or of floats that are added to the scores.

    Differences from ``torch.nn.MultiheadAttention``: a query that sees no key has the attention
    output 0, so its output is the bias of out_proj (PyTorch gives NaN); ``is_causal=True`` needs no
    `attn_mask`. Rates: 0.1 is usual.

    Parameters
    ----------
    embed_dim : int
        Size of query and output.
    num_heads : int
        h; it divides embed_dim.
    dropout : float in [0, 1], or Schedule
        Probability to drop a weight of the softmax.
    bias : bool
        Whether the products have biases.
    add_bias_kv : bool
        Adds a learned key and value to those of each sample.
    add_zero_attn : bool
        Adds a key and a value of zeros.
    kdim, vdim : int, optional
        Sizes of key and value; embed_dim by default.
    batch_first : bool
        Arrays are (N, L, E), else (L, N, E); (L, E) is one sample in both cases.

    Attributes
    ----------
    in_proj_weight : Parameter (3 * embed_dim, embed_dim) or None
        The weights of query, key and value, one after the other. None with sizes of their own; then
        there are q_proj_weight, k_proj_weight and v_proj_weight.
    in_proj_bias : Parameter (3 * embed_dim) or None
    bias_k, bias_v : Parameter (1, 1, embed_dim) or None
    out_proj : Linear (embed_dim, embed_dim)

    Raises
    ------
    ValueError
        When num_heads does not divide embed_dim. When called: shapes do not fit.

    References
    ----------
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import nn
    >>> attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
    >>> x = np.ones((3, 5, 8))  # 3 samples of 5 positions
    >>> y, weights = attention(x, x, x)
    >>> y.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    n_sites = 1
    argument_paths: ClassVar = {"bias": "in_proj_bias", "add_bias_kv": "bias_k"}
    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    dropout: float | Schedule

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float | Schedule = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
    ) -> None:
        super().__init__()
        self.embed_dim = e = check.integer(embed_dim, "embed_dim", 1)
        self.num_heads = check.integer(num_heads, "num_heads", 1)
        if e % num_heads:
            raise ValueError(f"num_heads must divide embed_dim, got {num_heads} and {e}")
        self.head_dim = e // num_heads
        self.dropout = schedules.rate(dropout)
        self.kdim = e if kdim is None else check.integer(kdim, "kdim", 1)
        self.vdim = e if vdim is None else check.integer(vdim, "vdim", 1)
        self.batch_first = check.flag(batch_first, "batch_first")
        self.add_zero_attn = check.flag(add_zero_attn, "add_zero_attn")
        self._packed = self.kdim == self.vdim == e
        own = not self._packed
        self.in_proj_weight = _weight(3 * e, e) if self._packed else None
        self.q_proj_weight = _weight(e, e) if own else None
        self.k_proj_weight = _weight(e, self.kdim) if own else None
        self.v_proj_weight = _weight(e, self.vdim) if own else None
        check.flag(bias, "bias")
        self.in_proj_bias = Parameter(np.zeros(3 * e, np.float32)) if bias else None
        self.out_proj = Linear(e, e, bias)
        added = check.flag(add_bias_kv, "add_bias_kv")
        self.bias_k = _weight(1, 1, e) if added else None
        self.bias_v = _weight(1, 1, e) if added else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights again, from the generator "init" of the run."""
        for weight in (
            *(self.in_proj_weight, self.q_proj_weight, self.k_proj_weight),
            self.v_proj_weight,
        ):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)
        for row in (self.bias_k, self.bias_v):
            if row is not None:
                init.xavier_normal_(row)

    @carries
    def forward(
        self,
        query: Tensor | ArrayLike,
        key: Tensor | ArrayLike,
        value: Tensor | ArrayLike,
        key_padding_mask: Mask = None,
        need_weights: bool = True,
        attn_mask: Mask = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        same = key is query and value is query
        q = as_tensor(query, "query")
        alone = q.ndim == 2
        if alone and key_padding_mask is not None:
            key_padding_mask = _raw(key_padding_mask)[None]
        q = samples_first(q, self.batch_first)
        k = q if same else samples_first(as_tensor(key, "key"), self.batch_first)
        v = q if same else samples_first(as_tensor(value, "value"), self.batch_first)
        y, weights = self.attention(
            *(q, k, v, key_padding_mask, attn_mask, is_causal), need_weights=need_weights
        )
        if weights is not None:
            if average_attn_weights:
                weights = F.mean(weights, 1)
            if alone:
                weights = F.squeeze(weights, 0)
        if alone:
            return F.squeeze(y, 0), weights
        return (y if self.batch_first else F.transpose(y, 0, 1)), weights

    @carries
    def attention(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        key_padding_mask: Mask = None,
        attn_mask: Mask = None,
        is_causal: bool = False,
        *,
        need_weights: bool = False,
        head_dropout: Module | None = None,
        cache: KeyValueCache | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The attention of arrays (N, L, E), whatever `batch_first` is.

        Parameters
        ----------
        q, k, v : Tensor
        key_padding_mask, attn_mask, is_causal
            As in a call of the layer.
        need_weights : bool
        head_dropout : Module, optional
            Drops whole heads, before out_proj.
        cache : KeyValueCache, optional
            With q, k and v the same: the queries also see the keys of earlier calls.

        Returns
        -------
        y : Tensor (N, L, E)
        weights : Tensor (N, num_heads, L, S) or None
        """
        self._check(q, k, v)
        queries, keys = q.shape[1], k.shape[1]
        samples = _samples_of(q)
        inputs, views = self._projected(q, k, v)
        p = check.rate(random.rate_now(self.dropout), "dropout")
        p = p if random.draws(self.training) else 0.0
        if cache is not None:
            if not (key_padding_mask is None and attn_mask is None):
                raise ValueError("key_padding_mask and attn_mask must be None with a cache")
            y = attend_cached(inputs, views, cache, p=p, causal=is_causal, layer=self)
            return self._joined(y, head_dropout), None
        extra = (self.bias_k is not None) + self.add_zero_attn
        if check.flag(is_causal, "is_causal") and extra:  # the added keys are seen by all
            is_causal = False
            if attn_mask is None:
                attn_mask = ~np.tri(queries, keys, dtype=bool)
        allowed, bias = _masks(
            *(key_padding_mask, attn_mask, samples, self.num_heads, queries, keys, extra)
        )
        y, weights = attend(
            inputs,
            views,
            p=p,
            allowed=allowed,
            bias=bias,
            causal=is_causal,
            rows_first=True,
            weights=need_weights,
            layer=self,
        )
        return self._joined(y, head_dropout), weights

    def _joined(self, y: Tensor, head_dropout: Module | None) -> Tensor:
        """out_proj of the heads' results (N, L, E), some of which are dropped."""
        if head_dropout is not None:
            heads = y.reshape(-1, y.shape[1], self.num_heads, self.head_dim)
            y = F.flatten(F.transpose(head_dropout(F.transpose(heads, 1, 2)), 1, 2), 2)
        return self.out_proj(y)

    def _check(self, q: Tensor, k: Tensor, v: Tensor) -> None:
        for t, name, size in (
            *((q, "query", self.embed_dim), (k, "key", self.kdim)),
            (v, "value", self.vdim),
        ):
            if t.ndim != 3 or t.shape[2] != size:
                layout = f"(N, L, {size})" if self.batch_first else f"(L, N, {size})"
                raise ValueError(f"{name} must have shape {layout} or (L, {size}), got {t.shape}")
        if k.shape[1] != v.shape[1] or len({_samples_of(t) for t in (q, k, v)}) != 1:
            raise ValueError(
                "query, key and value must have the same number of samples, and key and value the "
                f"same length; got shapes {q.shape}, {k.shape}, {v.shape}"
            )

    def _projected(self, q: Tensor, k: Tensor, v: Tensor) -> Any:
        """The tensors with queries, keys and values, and their views for `attend`."""
        h, d = self.num_heads, self.head_dim
        added = self.bias_k is not None or self.add_zero_attn
        if self.in_proj_weight is not None and k is q and v is q and not added:
            x = F.linear(q, self.in_proj_weight, self.in_proj_bias)

            def thirds(arrays: tuple[Float32Array, ...]) -> Any:
                parts = arrays[0].reshape(*arrays[0].shape[:2], 3, h, d)
                return tuple(parts[:, :, i].swapaxes(1, 2) for i in range(3))

            return (x,), thirds
        weights, biases = self._weights()
        three = [F.linear(t, w, b) for t, w, b in zip((q, k, v), weights, biases, strict=True)]
        for i, row in ((1, self.bias_k), (2, self.bias_v)):
            shape = (k.shape[0], 1, self.embed_dim)
            if row is not None:
                three[i] = F.cat([three[i], row + np.zeros(shape, np.float32)], 1)
            if self.add_zero_attn:
                three[i] = F.cat([three[i], np.zeros(shape, np.float32)], 1)

        def heads(arrays: tuple[Float32Array, ...]) -> Any:
            return tuple(a.reshape(*a.shape[:2], h, d).swapaxes(1, 2) for a in arrays)

        return tuple(three), heads

    def _weights(self) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
        """Those of the products of query, key and value."""
        e = self.embed_dim
        thirds = [slice(i * e, (i + 1) * e) for i in range(3)]
        b = self.in_proj_bias
        biases = (None, None, None) if b is None else tuple(b[s] for s in thirds)
        if self.in_proj_weight is not None:
            return tuple(self.in_proj_weight[s] for s in thirds), biases
        own = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        return tuple(w for w in own if w is not None), biases

    def extra_repr(self) -> str:
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, dropout={self.dropout}" + (
            ", batch_first=True" if self.batch_first else ""
        )


def samples_first(x: Tensor, batch_first: bool) -> Tensor:
    """x as (N, L, E): it is (L, E), or (L, N, E) unless batch_first."""
    if x.ndim == 2:
        return F.unsqueeze(x, 0)
    return x if batch_first or x.ndim != 3 else F.transpose(x, 0, 1)


def _weight(*shape: int) -> Parameter:
    return Parameter(np.empty(shape, np.float32))


def _samples_of(t: Tensor) -> int:
    """The number of samples; the passes of a Monte Carlo prediction stand side by side."""
    return thread_state.batched_samples if type(t) is PassTensor else t.shape[0]


def _raw(mask: Any) -> npt.NDArray[Any]:
    return mask.data if isinstance(mask, Tensor) else np.asarray(mask)


def _masks(
    padding: Mask, attn: Mask, samples: int, heads: int, queries: int, keys: int, extra: int
) -> tuple[npt.NDArray[np.bool_] | None, Tensor | None]:
    """Both masks for `attend`: which keys are allowed, and what is added to the scores.

    Nothing masks the `extra` keys behind those of the sample.
    """
    allowed: npt.NDArray[np.bool_] | None = None
    bias: Tensor | None = None
    of_samples = {(samples, keys): (samples, 1, 1, keys)}
    of_queries = {
        (queries, keys): (1, 1, queries, keys),
        (samples * heads, queries, keys): (samples, heads, queries, keys),
    }
    for mask, name, shapes in (
        (padding, "key_padding_mask", of_samples),
        (attn, "attn_mask", of_queries),
    ):
        if mask is None:
            continue
        array = _raw(mask)
        if array.shape not in shapes:
            expected = " or ".join(str(shape) for shape in shapes)
            raise ValueError(f"{name} must have shape {expected}, got {array.shape}")
        if array.dtype.kind not in "bf":
            raise TypeError(f"{name} must be of bool or floats, got {array.dtype}")
        shape = shapes[array.shape]
        more = (*shape[:3], extra)
        if array.dtype.kind == "b":
            seen = computed(np.logical_not, array.reshape(shape))
            if extra:
                seen = computed(np.concatenate, [seen, np.ones(more, bool)], 3)
            allowed = seen if allowed is None else computed(np.logical_and, allowed, seen)
        else:
            added = as_tensor(mask, name).reshape(shape)
            if extra:
                added = F.cat([added, np.zeros(more, np.float32)], 3)
            bias = added if bias is None else bias + added
    return allowed, bias
