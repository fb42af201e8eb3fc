"""Dropout of single elements, computed together with the product before or after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.epilogue import Epilogue, as_samples
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import PassTensor, carries, check_samples, with_passes
from fastdrop.autograd.pending import computed, may_extend, pending_tensor
from fastdrop.autograd.pending_pointwise import PendingPointwise
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.kernels.elementwise import shared_axes
from fastdrop.random.thread_state import thread_state

if TYPE_CHECKING:
    from fastdrop._core import Stream
    from fastdrop._utils.typing import ArrayLike, FloatArray


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
    stream = random.stream_for(layer, samples * repeat, shared=whole_batch, carries=True)
    scale = _core.keep_scale(q) if inverted else 1.0
    if whole_batch or flags:
        return masked(with_passes(x), stream, q, scale, share=flags)
    drop, recipe = (stream, q, scale), x._pending
    thinned_passes = passes if x.ndim == 2 and random.is_thinned() else 0
    if begins_passes:
        x = computed(x)
    elif recipe is not None and may_extend(x, recipe):
        extended = recipe.with_dropout(drop, thinned_passes)
        if extended is not None:
            return pending_tensor(extended, passes > 0)
    x.data  # noqa: B018 (runs it: recipes never pile up)
    return pending_tensor(
        PendingPointwise(x, Epilogue(drop=drop), repeat, thinned_passes), passes > 0
    )


def masked(
    x: Tensor,
    stream: Stream,
    q: int,
    scale: float,
    shift: float = 0.0,
    fill: float = 0.0,
    share: tuple[bool, ...] | None = None,
) -> Tensor:
    """x * scale + shift where kept, fill where dropped (`_core.dropout`).

    The node keeps the key of the mask, and backward draws the mask again.
    """
    out = empty(x.shape)
    _core.dropout(as_samples(out), as_samples(x.data), stream, q, scale, shift, fill, share)

    def backward(g: FloatArray) -> Any:
        dx = empty(g.shape)
        _core.dropout(as_samples(dx), as_samples(g), stream, q, scale, share=share)
        return (dx,)

    return record(out, (x,), backward)


def _scaled(x: Tensor, factor: float) -> Tensor:
    def scaled(array: FloatArray) -> FloatArray:
        out = empty(array.shape)
        _core.scale(out, array, factor)
        return out

    return record(scaled(x.data), (x,), lambda g: (scaled(g),))
