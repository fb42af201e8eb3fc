"""Dropout of single elements and of whole channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.elementwise import elementwise, shape_of, shared_axes
from fastdrop.kernels.mask_key import MaskKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastdrop._utils.typing import ArrayLike, Float32Array

__all__ = ["dropout", "dropout_backward", "spatial_dropout"]


def dropout(
    x: ArrayLike,
    p: float,
    *,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
    rows: ArrayLike | None = None,
    inverted: bool = True,
    share: int | Iterable[int] = (),
    out: Float32Array | None = None,
) -> Float32Array:
    r"""Dropout: zero each element with probability p and scale the others.

    .. math:: y = x \cdot 2^{32} / q \text{ where kept, } +0 \text{ where dropped}

    with the keep threshold :math:`q = \lfloor (1 - p)\, 2^{32} + 1/2 \rfloor`. A dropped element
    is +0 whatever x holds there, NaN and infinity included.

    Parameters
    ----------
    x : array_like (N, ...)
        Axis 0 is the sample; the other axes hold its units in C order. A 1-d array is one sample.
    p : float in [0, 1]
        Probability to drop an element.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`).
    rows : array_like of int (N,), optional
        The row number of each sample, instead of row0, row0 + 1, ...
    inverted : bool, default True
        False: kept elements are not scaled, as in the paper.
    share : int or iterable of int, default ()
        Axes of x along which all elements share one decision (Keras calls this the noise
        shape). With axis 0, all samples share one mask.
    out : float32 array of x's shape, optional
        Array for the result; it may be x itself.

    Returns
    -------
    float32 array of x's shape

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, shape or range, or `out` overlaps x without being x.

    References
    ----------
    N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever, R. Salakhutdinov, "Dropout: a simple
    way to prevent neural networks from overfitting", JMLR 15, 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.dropout(np.ones((2, 4)), 0.5, seed=1)
    array([[2., 2., 0., 2.],
           [0., 0., 2., 0.]], dtype=float32)
    """
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    return drop_elements(x, "x", p, key, rows, inverted, share, out)


def dropout_backward(
    dy: ArrayLike,
    p: float,
    *,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
    rows: ArrayLike | None = None,
    inverted: bool = True,
    share: int | Iterable[int] = (),
    out: Float32Array | None = None,
) -> Float32Array:
    r"""Gradient of `dropout` with respect to x. The mask is computed again, not stored.

    .. math:: dx = dy \cdot 2^{32} / q \text{ where kept, } +0 \text{ where dropped}

    Parameters
    ----------
    dy : array_like (N, ...)
        Gradient with respect to the output.
    p : float in [0, 1]
        Probability to drop an element.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask, as in the call of `dropout`.
    rows : array_like of int (N,), optional
        The row number of each sample, instead of row0, row0 + 1, ...
    inverted : bool, default True
        False: kept elements are not scaled.
    share : int or iterable of int, default ()
        Axes along which all elements share one decision.
    out : float32 array of dy's shape, optional
        Array for the result; it may be dy itself.

    Returns
    -------
    float32 array of dy's shape

    Raises
    ------
    TypeError, ValueError
        As for `dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.dropout_backward(np.ones((2, 4)), 0.5, seed=1)
    array([[2., 2., 0., 2.],
           [0., 0., 2., 0.]], dtype=float32)
    """
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    return drop_elements(dy, "dy", p, key, rows, inverted, share, out)


def drop_elements(
    x: Any,
    name: str,
    p: float,
    key: MaskKey,
    rows: Any,
    inverted: bool,
    share: Any,
    out: Float32Array | None,
) -> Float32Array:
    """`dropout` of an array that error messages call `name`: forward and backward are the same."""
    q = _core.keep_threshold(check.rate(p))
    scale = _core.keep_scale(q) if check.flag(inverted, "inverted") else 1.0
    whole_batch, flags = (
        (False, None)
        if type(share) is tuple and not share
        else shared_axes(share, len(shape_of(x, name)))
    )
    return elementwise(
        x,
        name,
        lambda y, samples, stream: _core.dropout(y, samples, stream, q, scale, share=flags),
        key,
        rows,
        out,
        whole_batch=whole_batch,
    )


def spatial_dropout(
    x: ArrayLike,
    p: float,
    *,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
    rows: ArrayLike | None = None,
    out: Float32Array | None = None,
) -> Float32Array:
    r"""Dropout of whole channels: one decision for all elements x[n, c, ...].

    .. math:: y_{nc} = x_{nc} \cdot 2^{32} / q \text{ where kept, } +0 \text{ where dropped}

    The backward pass is the same function of dy.

    Parameters
    ----------
    x : array_like (N, C, ...)
        Samples, channels, and any further axes.
    p : float in [0, 1]
        Probability to drop a channel.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`); the unit is the channel.
    rows : array_like of int (N,), optional
        The row number of each sample, instead of row0, row0 + 1, ...
    out : float32 array of x's shape, optional
        Array for the result; it may be x itself.

    Returns
    -------
    float32 array of x's shape

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, shape or range, or `out` overlaps x without being x.

    References
    ----------
    J. Tompson, R. Goroshin, A. Jain, Y. LeCun, C. Bregler, "Efficient object localization using
    convolutional networks", CVPR 2015, arXiv:1411.4280.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdrop import kernels
    >>> kernels.spatial_dropout(np.ones((1, 3, 2)), 0.5, seed=1)
    array([[[2., 2.],
            [2., 2.],
            [0., 0.]]], dtype=float32)
    """
    ndim = len(shape_of(x, "x", 2, "(samples, channels, ...)"))
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    return drop_elements(x, "x", p, key, rows, True, range(2, ndim), out)
