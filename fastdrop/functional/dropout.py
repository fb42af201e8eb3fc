"""Dropout of single elements, of whole channels, and of attention heads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop._utils.memory_format import empty_like
from fastdrop.autograd.epilogue import Epilogue, as_samples
from fastdrop.autograd.map_dropout import drop_shared
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries, check_samples, with_passes
from fastdrop.autograd.pending import computed, may_extend, of_result, pending_tensor
from fastdrop.autograd.pending_dense import PendingDense
from fastdrop.autograd.pending_pointwise import PendingPointwise
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.autograd.thinned import Networks
from fastdrop.functional.axes import MAP_LAYOUTS
from fastdrop.kernels.elementwise import shared_axes
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    from fastdrop._core import Stream
    from fastdrop._utils.typing import ArrayLike, Float32Array
    from fastdrop.autograd.epilogue import Drop

_HALF = _core.KEEP_ALL // 2  # the keep threshold of p = 0.5


@carries
def dropout(
    input: Tensor | ArrayLike,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    inverted: bool = True,
    share: Sequence[int] = (),
    layer: Any = None,
) -> Tensor:
    """Dropout: y = x * 2^32 / q where kept, +0 where dropped, q = round((1 - p) 2^32).

    In evaluation y is the input itself.

    Parameters
    ----------
    input : Tensor or array (samples, ...)
        x. A 1-d input is one sample.
    p : float, default 0.5
        The probability to drop, in [0, 1].
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.
    inverted : bool, default True
        False: y = x where kept, and k x in evaluation, with k = q / 2^32 (the form of 2014).
    share : sequence of int, default ()
        Axes along which all elements share one decision (the noise shape of Keras). With axis 0 all
        samples share it.
    layer : Module, optional
        The layer whose site draws the mask. Functional calls share one site, after those of all
        layers (docs/mask-contract.md).

    Returns
    -------
    Tensor of input's shape
        Its graph keeps the key of the mask, never a mask.

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1], or `share` names no axes of the input.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: a simple way to prevent
    neural networks from overfitting", JMLR 15, 2014.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.dropout([[1.0, 2.0]], 1.0).tolist()
    [[0.0, 0.0]]
    >>> fd.dropout([[1.0, 2.0]], 0.5, training=False).tolist()
    [[1.0, 2.0]]
    """
    p = check.rate(p)
    x = as_tensor(input, "input")
    whole_batch, flags = shared_axes(share, x.ndim) if share != () else (False, None)
    if not random.draws(training):
        return x if inverted or p == 0.0 else _scaled(x, _core.keep_threshold(p) * 2.0**-32)
    if p == 0.0:
        return x
    q = _core.keep_threshold(p)
    samples, repeat = x.shape[0] if x.ndim > 1 else 1, 1
    passes = thread_state.batched_passes
    begins_passes = passes > 0 and type(x) is not PassTensor  # the model's first stochastic layer
    if begins_passes:
        check_samples(x)
        repeat = passes
    networks = None
    if x.ndim == 2 and not (whole_batch or flags):
        networks = _networks(passes, q, p)
    stream = random.stream_for(
        layer,
        samples * repeat,
        shared=whole_batch or (networks is not None and networks.training),
        carries=True,
    )
    scale = _core.keep_scale(q) if inverted else 1.0
    drop = (stream, q, scale)
    if whole_batch or flags:
        by_channel = flags is not None and not flags[0] and all(flags[1:]) and len(flags) > 1
        if by_channel and not (whole_batch or begins_passes):
            y = _joined(x, drop, None, True)
            if y is not None:
                return y
        return masked(with_passes(x), stream, q, scale, share=flags)
    if begins_passes:
        x = computed(x)
    else:
        y = _joined(x, drop, networks, False)
        if y is not None:
            return y
    x._strided  # noqa: B018 (runs it: recipes never pile up)
    return pending_tensor(PendingPointwise(x, Epilogue(drop=drop), repeat, networks), passes > 0)


def _networks(passes: int, q: int, p: float) -> Networks | None:
    """The thinned networks that share the masks of a dropout; None where they share none.

    passes: the batched Monte Carlo passes, or 0.
    """
    if passes:
        return Networks(passes) if random.is_thinned() else None
    kind = random.thinned_training()
    if kind is None:
        return None
    if kind == "batch":
        return Networks.of_batch()
    if q != _HALF:
        raise ValueError(
            "p must be 0.5 (or 0) in each Dropout of a training with thinned='pair', whose two "
            f"networks are complements, got {p:g}"
        )
    ps = random.current()
    assert ps is not None
    return Networks.of_pair(ps.rows, ps.row0)


def _joined(x: Tensor, drop: Drop, networks: Networks | None, by_channel: bool) -> Tensor | None:
    """The dropout as a part of what makes x; None where it cannot be one."""
    recipe = x._pending
    if networks is not None and networks.are_complementary and type(recipe) is not PendingDense:
        return None  # others draw a mask for each sample, or one for all
    if recipe is None:
        return of_result(x, lambda r: r.with_dropout(drop, networks, by_channel))
    if may_extend(x, recipe):
        extended = recipe.with_dropout(drop, networks, by_channel)
        if extended is not None:
            return pending_tensor(extended, type(x) is PassTensor)
    return None


def masked(
    x: Tensor,
    stream: Stream,
    q: int,
    scale: float,
    shift: float = 0.0,
    fill: float = 0.0,
    share: tuple[bool, ...] | None = None,
    rows: Callable[[Float32Array], Float32Array] = as_samples,
) -> Tensor:
    """x * scale + shift where kept, fill where dropped (`_core.dropout`).

    The node keeps the key of the mask, and backward draws the mask again. rows(array) is a view of
    x's array with at least 2 axes, whose axis 0 has the rows of the mask.
    """
    drop = (stream, q, scale)
    if rows is as_samples:
        array = x._strided
        out = empty_like(array)
        drop_shared(out, array, drop, shift, fill, share)
    else:
        out = empty(x.shape)
        _core.dropout(rows(out), rows(x._array), *drop, shift, fill, share)

    def backward(g: Float32Array) -> Any:
        dx = empty_like(g)
        if rows is as_samples:
            drop_shared(dx, g, drop, share=share)
        else:
            _core.dropout(rows(dx), rows(g), *drop, share=share)
        return (dx,)

    return record(out, (x,), backward)


def _scaled(x: Tensor, factor: float) -> Tensor:
    def scaled(array: Float32Array) -> Float32Array:
        out = empty(array.shape)
        _core.scale(out, array, factor)
        return out

    return record(scaled(x._array), (x,), lambda g: (scaled(g),))


def channel_dropout(
    input: Tensor | ArrayLike,
    p: float,
    training: bool,
    axes: int,
    unbatched: bool,
    layer: Any = None,
    layout: str = "",
) -> Tensor:
    """Dropout of whole channels of maps with `axes` axes, or of heads: of all x[n, c] at once.

    Parameters
    ----------
    input : Tensor or array (N, C, ...)
        With `unbatched` also (C, ...), which is one sample.
    p : float in [0, 1]
        The probability to drop a channel of a sample.
    training : bool
    axes : {1, 2, 3}
    unbatched : bool
    layer : Module, optional
        The layer whose site draws the mask.
    layout : str, optional
        What the message about a wrong shape names; "": the layout of maps.
    """
    x = as_tensor(input, "input")
    if x.ndim == axes + 1 and unbatched:
        if check.rate(p) == 0.0 or not random.draws(training):
            return x
        one_sample = x.reshape(1, *x.shape)
        return channel_dropout(one_sample, p, training, axes, False, layer).reshape(x.shape)
    if x.ndim != axes + 2:
        layout = layout or MAP_LAYOUTS[axes]
        expected = f"{layout} or {layout.replace('N, ', '')}" if unbatched else layout
        raise ValueError(f"input must have shape {expected}, got {x.shape}")
    return dropout(x, p, training, share=range(2, x.ndim), layer=layer)


def dropout1d(
    input: Tensor | ArrayLike, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels: y[n, c] = x[n, c] * 2^32 / q where kept, +0 where dropped.

    q = round((1 - p) 2^32). In evaluation y is the input itself.

    Parameters
    ----------
    input : Tensor or array (N, C, L) or (C, L)
        x. A 2-d input is one sample.
    p : float, default 0.5
        The probability to drop a channel of a sample, in [0, 1].
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1], or the input has another number of axes.

    References
    ----------
    Tompson, Goroshin, Jain, LeCun, Bregler, "Efficient object localization using convolutional
    networks", CVPR 2015, arXiv:1411.4280.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.dropout1d(np.ones((1, 2, 3)), p=1.0).tolist()
    [[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]
    """
    return channel_dropout(input, p, training, 1, True)


def dropout2d(
    input: Tensor | ArrayLike, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels: y[n, c] = x[n, c] * 2^32 / q where kept, +0 where dropped.

    q = round((1 - p) 2^32). In evaluation y is the input itself.

    Parameters
    ----------
    input : Tensor or array (N, C, H, W)
        x.
    p : float, default 0.5
        The probability to drop a channel of a sample, in [0, 1].
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1], or the input has another number of axes.

    References
    ----------
    Tompson, Goroshin, Jain, LeCun, Bregler, "Efficient object localization using convolutional
    networks", CVPR 2015, arXiv:1411.4280.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.dropout2d(np.ones((1, 2, 1, 2)), p=1.0).tolist()
    [[[[0.0, 0.0]], [[0.0, 0.0]]]]
    """
    return channel_dropout(input, p, training, 2, False)


def dropout3d(
    input: Tensor | ArrayLike, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Dropout of whole channels: y[n, c] = x[n, c] * 2^32 / q where kept, +0 where dropped.

    q = round((1 - p) 2^32). In evaluation y is the input itself.

    Parameters
    ----------
    input : Tensor or array (N, C, D, H, W) or (C, D, H, W)
        x. A 4-d input is one sample.
    p : float, default 0.5
        The probability to drop a channel of a sample, in [0, 1].
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.
    inplace : bool
        Accepted for compatibility with PyTorch; has no effect.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1], or the input has another number of axes.

    References
    ----------
    Tompson, Goroshin, Jain, LeCun, Bregler, "Efficient object localization using convolutional
    networks", CVPR 2015, arXiv:1411.4280.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.dropout3d(np.ones((1, 2, 1, 1, 2)), p=1.0).tolist()
    [[[[[0.0, 0.0]]], [[[0.0, 0.0]]]]]
    """
    return channel_dropout(input, p, training, 3, True)


def head_dropout(
    input: Tensor | ArrayLike, p: float = 0.5, training: bool = True, *, layer: Any = None
) -> Tensor:
    """Dropout of attention heads: y[n, h] = x[n, h] * 2^32 / q where kept, +0 where dropped.

    q = round((1 - p) 2^32). In evaluation y is the input itself.

    Parameters
    ----------
    input : Tensor or array (N, H, T, D)
        x: samples, heads, positions, and the numbers of each head.
    p : float, default 0.5
        The probability to drop a head of a sample, in [0, 1].
    training : bool, default True
        A Monte Carlo prediction (`fastdrop.mc_predict`) draws masks in either case.
    layer : Module, optional
        The layer whose site draws the mask.

    Returns
    -------
    Tensor of input's shape

    Raises
    ------
    TypeError, ValueError
        When p is not a number in [0, 1], or the input has another number of axes.

    References
    ----------
    Zhou, Ge, Wei, Zhou, Xu, "Scheduled DropHead: a regularization method for transformer models",
    Findings of EMNLP 2020, arXiv:2004.13342.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop.nn.functional as F
    >>> F.head_dropout(np.ones((1, 2, 1, 2)), p=1.0).tolist()
    [[[[0.0, 0.0]], [[0.0, 0.0]]]]
    """
    return channel_dropout(input, p, training, 2, False, layer, "(N, H, T, D)")
