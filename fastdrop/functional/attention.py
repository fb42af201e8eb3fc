"""Scaled dot-product attention with dropout of its weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.grad_mode import wants_grad
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries, result_kind, with_passes
from fastdrop.autograd.recording import computed, noted
from fastdrop.autograd.tensor import Tensor, as_tensor, wrap
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.autograd.epilogue import Drop

    # The views (samples, heads, rows, size) of the queries, keys and values in some arrays.
    Views = Callable[[tuple[Float32Array, ...]], tuple[Float32Array, ...]]

# The second coordinate of a mask is head * 2^22 + query (docs/mask-contract.md).
MOST_HEADS, MOST_QUERIES = 1 << 10, 1 << 22


@carries
def scaled_dot_product_attention(
    query: Tensor | ArrayLike,
    key: Tensor | ArrayLike,
    value: Tensor | ArrayLike,
    attn_mask: Tensor | ArrayLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    query_offset: int = 0,
    layer: Any = None,
) -> Tensor:
    """Attention: softmax(scale * q k^T + mask) v, with dropout of the softmax.

    ``w = softmax(scale * q k^T + mask)``, and ``y = d(w) v``, where d(w) = w * 2^32 / q' where
    kept and 0 where dropped, q' = round((1 - p) 2^32). One pass over blocks of queries and keys:
    there is no matrix of queries x keys in memory, and backward draws the mask again.

    As in PyTorch, `dropout_p` holds whatever the mode of a module. A query that sees no key has
    output 0.

    Parameters
    ----------
    query : Tensor or array (..., heads, L, E)
        The leading axes count the samples; (samples, L, E) has one head, (L, E) one sample.
    key : Tensor or array (..., heads, S, E)
    value : Tensor or array (..., heads, S, Ev)
    attn_mask : bool array or float Tensor or array, optional
        Broadcast to (..., heads, L, S). bool: True takes part. float: added to the scores, with
        a gradient where it requires one.
    dropout_p : float, default 0.0
        The probability to drop a weight, in [0, 1].
    is_causal : bool
        Query i sees the keys j <= i + query_offset. Not together with `attn_mask`.
    scale : float, optional
        1 / sqrt(E) by default.
    enable_gqa : bool
        Grouped queries: query heads may be a multiple of those of key and value.
    query_offset : int, default 0
        The number of the first query in its sequence, for masks and for causality: for a part of a
        sequence, or keys that are kept from earlier calls. ``S - L`` aligns the last query with
        the last key.
    layer : Module, optional
        The layer whose site draws the mask.

    Returns
    -------
    Tensor (..., heads, L, Ev)

    Raises
    ------
    TypeError, ValueError
        When shapes or types do not fit, p is not in [0, 1], or a mask is given with `is_causal`.

    References
    ----------
    - Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762.
    - Dao, Fu, Ermon, Rudra, Ré, "FlashAttention: Fast and Memory-Efficient Exact Attention with
      IO-Awareness", NeurIPS 2022, arXiv:2205.14135.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x = np.ones((2, 4, 3, 8))  # 2 samples, 4 heads, 3 positions of 8 numbers
    >>> fd.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True).shape
    (2, 4, 3, 8)
    """
    q, k, v = as_tensor(query, "query"), as_tensor(key, "key"), as_tensor(value, "value")
    shapes = f"got shapes {q.shape}, {k.shape}, {v.shape}"
    axes = q.ndim
    if axes < 2 or k.ndim != axes or v.ndim != axes:
        raise ValueError(
            f"query, key and value must have the same number of axes, at least 2; {shapes}"
        )
    if not q.shape[:-3] == k.shape[:-3] == v.shape[:-3]:
        raise ValueError(f"query, key and value must have the same samples; {shapes}")
    if check.flag(is_causal, "is_causal") and attn_mask is not None:
        raise ValueError("attn_mask must be None with is_causal=True")
    allowed, bias = _mask_of(attn_mask, (*q.shape[:-1], k.shape[-2]))
    y, _ = attend(
        (q, k, v) if axes == 4 else tuple(t.reshape(_four(t.shape)) for t in (q, k, v)),
        lambda arrays: arrays,
        p=check.rate(dropout_p, "dropout_p"),
        allowed=allowed,
        bias=bias,
        causal=is_causal,
        scale=None if scale is None else check.real(scale, "scale"),
        grouped=check.flag(enable_gqa, "enable_gqa"),
        query_offset=query_offset,
        layer=layer,
    )
    if axes == 4:
        return y
    lead = () if axes == 2 else (-1, *q.shape[1:-2])
    return y.reshape(*lead, *y.shape[-2:])


def _four(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with the axes sample, head, row and number."""
    if len(shape) < 4:
        return (1, 1, *shape) if len(shape) == 2 else (shape[0], 1, *shape[1:])
    return (math.prod(shape[:-3]), *shape[-3:])


def _mask_of(
    mask: Any, full: tuple[int, ...]
) -> tuple[npt.NDArray[np.bool_] | None, Tensor | None]:
    """attn_mask, of a shape that broadcasts to `full`, with four axes: as bools or as floats."""
    if mask is None:
        return None, None
    array = mask.data if isinstance(mask, Tensor) else np.asarray(mask)
    if array.dtype.kind not in "bf":
        raise TypeError(f"attn_mask must be of bool or floats, got {array.dtype}")
    samples, passes = thread_state.batched_samples, thread_state.batched_passes
    if passes and array.ndim == len(full) and array.shape[0] == samples != full[0]:
        full = (samples, *full[1:])  # `attend` repeats it
    try:
        whole = np.broadcast_shapes(array.shape, full)
    except ValueError:
        whole = ()
    if whole != full:
        raise ValueError(f"attn_mask must broadcast to {full}, got {array.shape}")
    narrow = (1,) * (len(full) - array.ndim) + array.shape
    if len(full) > 4 and any(n > 1 for n in narrow[:-3]):
        narrow = (*full[:-3], *narrow[-3:])
    if array.dtype.kind == "b":
        return np.broadcast_to(array, narrow).reshape(_four(narrow)), None
    added = as_tensor(mask, "attn_mask")
    if math.prod(narrow) != array.size:
        added = added + np.zeros(narrow, np.float32)
    return None, added.reshape(_four(narrow))


@carries
def attend(
    inputs: tuple[Tensor, ...],
    views: Views,
    *,
    p: float = 0.0,
    allowed: npt.NDArray[np.bool_] | None = None,
    bias: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
    grouped: bool = False,
    query_offset: int = 0,
    rows_first: bool = False,
    weights: bool = False,
    layer: Any = None,
) -> tuple[Tensor, Tensor | None]:
    """Attention of queries, keys and values that lie in arrays of any layout.

    Parameters
    ----------
    inputs : tuple of Tensor
    views : callable
        The views (samples, heads, rows, size) of queries, keys and values in the arrays of
        `inputs`, and in those of their gradients. Dense along the last axis.
    p : float
        The probability to drop a weight.
    allowed : bool array, optional
        Four axes that broadcast to (samples, heads, queries, keys).
    bias : Tensor, optional
        The same.
    causal, scale, query_offset, layer
        As in `scaled_dot_product_attention`.
    grouped : bool
        Whether a head of keys may serve several heads of queries.
    rows_first : bool
        The result is (samples, queries, heads * v_size), else (samples, heads, queries, v_size).
    weights : bool
        Whether to return the weights, too.

    Returns
    -------
    y : Tensor
    weights : Tensor (samples, heads, queries, keys) or None
        After dropout. Their gradient is computed by NumPy from whole matrices.
    """
    if thread_state.batched_passes and (p > 0.0 or any(type(t) is PassTensor for t in inputs)):
        inputs = tuple(with_passes(t) for t in inputs)
    arrays = tuple(t._array for t in inputs)
    q, k, v = views(arrays)
    _check(q, k, v, grouped, query_offset)
    samples, heads, queries, size = q.shape
    shape = (samples, heads, queries, k.shape[2])
    graph = wants_grad(*inputs) or (bias is not None and wants_grad(bias))
    if allowed is not None and graph:
        allowed = computed(np.copy, allowed)  # the user may change it before backward
    if scale is None:
        scale = 1.0 / math.sqrt(max(1, size))
    drop = _drop(p, samples, layer)

    def core(arrays: tuple[Float32Array, ...], bias: Float32Array | None) -> Any:
        q, k, v = views(arrays)
        masks = _whole(allowed, shape), _whole(bias, shape)
        return _core.AttentionLayer(q, k, v, *masks, scale, causal, query_offset, drop)

    def of_heads(y: Float32Array) -> Float32Array:
        return y.reshape(samples, queries, heads, -1).swapaxes(1, 2) if rows_first else y

    bias_array = None if bias is None else bias._array
    inner = core(arrays, bias_array)
    last = v.shape[3]
    y = empty((samples, queries, heads * last) if rows_first else (*shape[:3], last))
    log_sums = empty(shape[:3])
    if y.size:
        _core.attention(inner, of_heads(y), log_sums)

    @quiet
    def backward(g: Float32Array, *saved: Any) -> tuple[Any, ...]:
        *arrays, bias, y = saved
        gradients = tuple(empty(a.shape) for a in arrays)
        d_scores = None if bias is None else empty(shape)
        dq, dk, dv = views(gradients)
        layer = core(tuple(arrays), bias)
        _core.attention_backward(layer, dq, dk, dv, d_scores, of_heads(y), of_heads(g), log_sums)
        if bias is None:
            return gradients
        return (*gradients, _summed(d_scores, bias.shape))

    every = inputs if bias is None else (*inputs, bias)
    result = record(y, every, backward, (*arrays, bias_array, y))
    if not weights:
        return result, None
    dropped = empty(shape)
    _core.attention_weights(inner, dropped, log_sums)
    seen = np.True_ if allowed is None else allowed
    if causal:
        seen = seen & np.tri(shape[2], shape[3], query_offset, dtype=bool)

    @quiet
    def of_weights(g: Float32Array, *saved: Any) -> tuple[Any, ...]:
        *arrays, bias, dropped = saved
        gradients = tuple(np.zeros(a.shape, np.float32) for a in arrays)
        q, k, _ = views(tuple(arrays))
        dq, dk, _ = views(gradients)
        if drop is not None:
            g = g * np.where(dropped != 0, np.float32(drop[2]), np.float32(0))
        d = _gradient_of_scores(g, q, k, scale, bias, seen)
        per_key = heads // k.shape[1]  # heads of queries that share one of keys
        dq[...] = scale * (d @ np.repeat(k, per_key, axis=1))
        of_heads = scale * (d.swapaxes(2, 3) @ q)
        dk[...] = of_heads.reshape(samples, k.shape[1], per_key, *k.shape[2:]).sum(2)
        return gradients if bias is None else (*gradients, _summed(d, bias.shape))

    return result, record(dropped, every, of_weights, (*arrays, bias_array, dropped))


def _gradient_of_scores(
    g: Float32Array,
    q: Float32Array,
    k: Float32Array,
    scale: float,
    bias: Float32Array | None,
    seen: npt.NDArray[np.bool_] | np.bool_,
) -> Float32Array:
    """The gradient of q k^T scale + bias from that of its softmax, over the keys that are seen."""
    scores = scale * (q @ np.repeat(k, q.shape[1] // k.shape[1], axis=1).swapaxes(2, 3))
    if bias is not None:
        scores = scores + bias
    scores = np.where(seen, scores, -np.inf)
    most = scores.max(-1, initial=-np.inf, keepdims=True)
    w = np.exp(scores - np.where(np.isfinite(most), most, 0))
    w /= np.maximum(w.sum(-1, keepdims=True), np.finfo(np.float32).tiny)  # 0 without keys
    d: Float32Array = w * (g - (w * g).sum(-1, keepdims=True))
    return d.astype(np.float32)


@carries
def attend_cached(
    inputs: tuple[Tensor, ...],
    views: Views,
    cache: Any,
    *,
    p: float = 0.0,
    causal: bool = False,
    layer: Any = None,
) -> Tensor:
    """Attention to the keys and values of a cache, after those of the inputs were added to it.

    `cache` is a `fastdrop.nn.KeyValueCache`; the other arguments are those of `attend`. The result
    is (samples, queries, heads * v_size), without a
    gradient.
    """
    if wants_grad(*inputs):
        raise RuntimeError("an attention with a cache has no gradient: call it under no_grad()")
    q, k, v = views(tuple(t._array for t in inputs))
    _check(q, k, v, False, cache.length)
    samples, heads, queries, size = q.shape
    y, log_sums = empty((samples, queries, heads * v.shape[3])), empty((samples, heads, queries))
    of_heads = y.reshape(samples, queries, heads, -1).swapaxes(1, 2)
    drop, scale = _drop(p, samples, layer), 1.0 / math.sqrt(max(1, size))
    noted(_write_cached, of_heads, log_sums, q, k, v, cache, scale, causal, drop)
    return wrap(y, result_kind(inputs))


def _write_cached(
    y: Float32Array,
    log_sums: Float32Array,
    q: Float32Array,
    k: Float32Array,
    v: Float32Array,
    cache: Any,
    scale: float,
    causal: bool,
    drop: Drop | None,
) -> None:
    offset = cache.length
    keys, values = cache.extend(k, v)
    if y.size:
        inner = _core.AttentionLayer(q, keys, values, None, None, scale, causal, offset, drop)
        _core.attention(inner, y, log_sums)


def _whole(a: npt.NDArray[Any] | None, shape: tuple[int, ...]) -> npt.NDArray[Any] | None:
    """A mask for all samples, heads and queries, dense along the keys."""
    if a is None:
        return None
    if a.shape[0] not in (1, shape[0]):  # of the samples; the queries are passes
        a = computed(np.repeat, a, shape[0] // a.shape[0], axis=0)
    if a.shape[3] != shape[3]:
        a = np.broadcast_to(a, (*a.shape[:3], shape[3]))
    if a.strides[3] != a.itemsize:
        a = computed(np.ascontiguousarray, a)
    return np.broadcast_to(a, shape)


def _summed(d: Float32Array | None, shape: tuple[int, ...]) -> Float32Array:
    """The gradient of what was broadcast to d's shape, of as many axes."""
    assert d is not None
    axes = tuple(i for i, n in enumerate(shape) if n != d.shape[i])
    return d.sum(axes, keepdims=True) if axes else d


def _check(
    q: Float32Array, k: Float32Array, v: Float32Array, grouped: bool, query_offset: int
) -> None:
    """ValueError where the views do not fit each other: the core does not look."""
    shapes = f"got shapes {q.shape}, {k.shape}, {v.shape}"
    if q.shape[3] != k.shape[3]:
        raise ValueError(f"query and key must have vectors of the same size; {shapes}")
    if k.shape[:3] != v.shape[:3] or q.shape[0] != k.shape[0]:
        raise ValueError(f"key and value must have the same samples, heads and rows; {shapes}")
    heads, kv_heads = q.shape[1], k.shape[1]
    if heads != kv_heads and not grouped:
        raise ValueError(
            f"key and value must have the {heads} heads of query unless enable_gqa=True; {shapes}"
        )
    if kv_heads == 0 or heads % kv_heads:
        raise ValueError(f"the heads of query must be a multiple of those of key; {shapes}")
    check.integer(query_offset, "query_offset", 0)
    if heads > MOST_HEADS or q.shape[2] + query_offset > MOST_QUERIES:
        raise ValueError(
            f"at most {MOST_HEADS} heads and {MOST_QUERIES} queries have masks; {shapes}"
        )


def _drop(p: float, samples: int, layer: Any) -> Drop | None:
    if p == 0.0:
        return None
    stream = random.stream_for(layer, samples, carries=True)
    q = _core.keep_threshold(p)
    if q == 1 << 32:
        return None
    return stream, q, _core.keep_scale(q) if q else 0.0
