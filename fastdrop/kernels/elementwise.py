"""Masks and noise on arrays: dropout and its kin, element by element or with one decision along whole axes."""

from __future__ import annotations

import math

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.masks import for_all_rows, memory, sample_rows, stream_of

__all__ = [
    "alpha_dropout",
    "alpha_dropout_backward",
    "drop_path",
    "dropout",
    "dropout_backward",
    "feature_alpha_dropout",
    "gaussian_dropout",
    "gaussian_noise",
    "spatial_dropout",
    "token_dropout",
]

FLOAT_MAX = float(np.finfo(np.float32).max)
ALPHA_PRIME = -1.7580993408473766  # -scale * alpha of SELU: what its negative side saturates to


def elementwise(x, name, run, domain, where, rows, out, *, minimum_ndim=1, whole_batch=False):
    """run(y, samples, stream) with x as float32, axis 0 the sample (a 1-d array is one), into a new array or `out`."""
    given, x = x, check.floats(x, name, minimum_ndim=minimum_ndim)
    samples = x[np.newaxis] if x.ndim == 1 else x
    if samples.size > samples.shape[0] * check.MAX_UNITS:
        raise ValueError(f"{name} must have at most 2**34 units a sample, got shape {x.shape}")
    _, stream = stream_of(domain, sample_rows(samples, rows), *where)
    if whole_batch:
        stream = for_all_rows(stream, len(samples))
    target = check.output(out, x.shape, *memory(given, x, rows))
    y = (
        target
        if target.flags.c_contiguous and target.flags.aligned
        else np.empty(x.shape, np.float32)
    )
    run(y[np.newaxis] if x.ndim == 1 else y, samples, stream)
    if y is not target:
        target[...] = y
    return target


def shape_of(x, name: str) -> tuple:
    """The shape of what the user passed, before it is converted."""
    return x.shape if hasattr(x, "shape") else check.as_array(x, name).shape


def shared_axes(share, ndim: int):
    """(whether axis 0 is shared, for each other axis whether it is), or (False, None) for none."""
    axes = check.axes(share, "share", ndim) if ndim else ()
    if not axes:
        return False, None
    if ndim < 2:
        raise ValueError(
            "share needs an array of samples, (samples, ...); a 1-d array is one sample"
        )
    return 0 in axes, tuple(axis in axes for axis in range(1, ndim))


def alpha_constants(q: int) -> tuple[float, float, float]:
    """(scale, shift, fill) of alpha dropout at keep threshold q: a, b, a alpha' + b."""
    keep = q * 2.0**-32
    if not keep:
        return 0.0, 0.0, 0.0
    a = (keep * (1.0 + (1.0 - keep) * ALPHA_PRIME**2)) ** -0.5
    b = -a * ALPHA_PRIME * (1.0 - keep)
    return a, b, a * ALPHA_PRIME + b


def gaussian_sigma(p: float) -> float:
    """sqrt(p / (1 - p)), the standard deviation of Gaussian dropout's factor."""
    if p == 1.0:
        raise ValueError(
            "p must be below 1 for Gaussian dropout, whose variance is p / (1 - p), got 1.0"
        )
    return math.sqrt(p / (1.0 - p))


def dropout(
    x,
    p,
    *,
    seed=0,
    site=0,
    draw=0,
    row0=0,
    sub=0,
    call=0,
    rows=None,
    inverted=True,
    share=(),
    out=None,
):
    """Dropout: y = x * 2^32 / q where kept, +0 where dropped (whatever x is there, NaN and inf included).

    Parameters
    ----------
    x : array (samples, ...)
        Axis 0 is the sample, the rest its units in C order; a 1-d array is one sample.
    p : float in [0, 1]
        Probability to drop.
    seed, site, draw, row0, sub, call : int
        The mask's coordinates, see the module.
    rows : array of int, optional
        The number of each sample, instead of row0 on.
    inverted : bool
        False: kept elements are not scaled (the 2014 formulation).
    share : sequence of int
        Axes of x with one decision for all elements along them (noise shape), 0 among them: for all samples.
    out : float32 array of x's shape, optional
        Where the result goes; x itself is allowed.

    Returns
    -------
    float32 array of x's shape

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, shape or range, or `out` overlaps x without being x.

    References
    ----------
    Srivastava et al., JMLR 15, 2014.
    """
    return _dropout(x, "x", p, (seed, site, draw, row0, sub, call), rows, inverted, share, out)


def dropout_backward(
    dy,
    p,
    *,
    seed=0,
    site=0,
    draw=0,
    row0=0,
    sub=0,
    call=0,
    rows=None,
    inverted=True,
    share=(),
    out=None,
):
    """The gradient of `dropout`: dx = dy * 2^32 / q where kept, +0 where dropped. The mask is computed again.

    Parameters and errors as for `dropout`, with dy in place of x.
    """
    return _dropout(dy, "dy", p, (seed, site, draw, row0, sub, call), rows, inverted, share, out)


def _dropout(x, name, p, where, rows, inverted, share, out):
    """Dropout forward and backward: the same function of an array that errors call `name`."""
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
        0,
        where,
        rows,
        out,
        whole_batch=whole_batch,
    )


def spatial_dropout(x, p, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0, rows=None, out=None):
    """Dropout of whole channels: one decision for x[n, c, ...]; the backward pass is the same function of dy.

    Parameters
    ----------
    x : array (samples, channels, ...)
    p : float in [0, 1]
    seed, site, draw, row0, sub, call, rows, out
        As for `dropout`.

    Returns
    -------
    float32 array of x's shape

    References
    ----------
    Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.
    """
    if len(shape_of(x, "x")) < 2:
        raise ValueError(f"x must have shape (samples, channels, ...), got {shape_of(x, 'x')}")
    return _dropout(
        x,
        "x",
        p,
        (seed, site, draw, row0, sub, call),
        rows,
        True,
        range(2, len(shape_of(x, "x"))),
        out,
    )


def token_dropout(x, p, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0, rows=None, out=None):
    """Dropout of whole tokens: one decision for x[n, l, ...]; the backward pass is the same function of dy.

    Parameters
    ----------
    x : array (samples, tokens, ...)
    p : float in [0, 1]
    seed, site, draw, row0, sub, call, rows, out
        As for `dropout`.

    Returns
    -------
    float32 array of x's shape
    """
    if len(shape_of(x, "x")) < 2:
        raise ValueError(f"x must have shape (samples, tokens, ...), got {shape_of(x, 'x')}")
    return _dropout(
        x,
        "x",
        p,
        (seed, site, draw, row0, sub, call),
        rows,
        True,
        range(2, len(shape_of(x, "x"))),
        out,
    )


def drop_path(
    x,
    p,
    *,
    mode="row",
    scale_by_keep=True,
    seed=0,
    site=0,
    draw=0,
    row0=0,
    sub=0,
    call=0,
    rows=None,
    out=None,
):
    """Stochastic depth: whole samples dropped (mode "row"), or the whole batch ("batch"); kept ones times 2^32 / q.

    Parameters
    ----------
    x : array (samples, ...)
        The output of a residual branch.
    p : float in [0, 1]
    mode : {"row", "batch"}
    scale_by_keep : bool
        False: kept samples are not scaled.
    seed, site, draw, row0, sub, call, rows, out
        As for `dropout`.

    Returns
    -------
    float32 array of x's shape

    References
    ----------
    Huang et al., "Deep networks with stochastic depth", ECCV 2016.
    """
    check.choice(mode, "mode", ("row", "batch"))
    q = _core.keep_threshold(check.rate(p))
    scale = _core.keep_scale(q) if check.flag(scale_by_keep, "scale_by_keep") else 1.0

    def run(y, samples, stream):
        _core.dropout(as_rows(y), as_rows(samples), stream, q, scale, share=(True,))

    if len(shape_of(x, "x")) < 2:
        raise ValueError(
            f"x must have shape (samples, ...) with at least 2 dimensions, got {shape_of(x, 'x')}"
        )
    return elementwise(
        x, "x", run, 0, (seed, site, draw, row0, sub, call), rows, out, whole_batch=mode == "batch"
    )


def as_rows(array):
    """(samples, units of a sample), also where there are none."""
    return array.reshape(len(array), math.prod(array.shape[1:]))


def alpha_dropout(x, p, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0, rows=None, out=None):
    """Alpha dropout: y = a x + b where kept, a alpha' + b where dropped, which keeps mean 0 and variance 1 of SELU networks.

    alpha' = -1.7580993408473766, k = q / 2^32, a = (k (1 + (1 - k) alpha'^2))^(-1/2), b = -a alpha' (1 - k); zeros for p = 1.

    Parameters
    ----------
    x : array (samples, ...)
    p : float in [0, 1]
    seed, site, draw, row0, sub, call, rows, out
        As for `dropout`.

    Returns
    -------
    float32 array of x's shape

    References
    ----------
    Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.
    """
    return _alpha(x, "x", p, (seed, site, draw, row0, sub, call), rows, (), out, False)


def alpha_dropout_backward(
    dy, p, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0, rows=None, share=(), out=None
):
    """The gradient of `alpha_dropout`: dx = a dy where kept, +0 where dropped; with share=range(2, ndim) of `feature_alpha_dropout`."""
    return _alpha(dy, "dy", p, (seed, site, draw, row0, sub, call), rows, share, out, True)


def feature_alpha_dropout(
    x, p, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0, rows=None, out=None
):
    """`alpha_dropout` of whole channels: one decision for x[n, c, ...].

    Parameters
    ----------
    x : array (samples, channels, ...)
    p : float in [0, 1]
    seed, site, draw, row0, sub, call, rows, out
        As for `dropout`.

    Returns
    -------
    float32 array of x's shape
    """
    if len(shape_of(x, "x")) < 2:
        raise ValueError(f"x must have shape (samples, channels, ...), got {shape_of(x, 'x')}")
    return _alpha(
        x,
        "x",
        p,
        (seed, site, draw, row0, sub, call),
        rows,
        range(2, len(shape_of(x, "x"))),
        out,
        False,
    )


def _alpha(x, name, p, where, rows, share, out, backward):
    q = _core.keep_threshold(check.rate(p))
    scale, shift, fill = alpha_constants(q)
    if backward:
        shift = fill = 0.0
    whole_batch, flags = shared_axes(share, len(shape_of(x, name)))
    return elementwise(
        x,
        name,
        lambda y, samples, stream: _core.dropout(y, samples, stream, q, scale, shift, fill, flags),
        0,
        where,
        rows,
        out,
        whole_batch=whole_batch,
    )


def gaussian_dropout(x, p, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0, rows=None, out=None):
    """Gaussian dropout: y = x (1 + sqrt(p / (1 - p)) z), z standard normal (domain 2); its gradient is the same function of dy.

    Parameters
    ----------
    x : array (samples, ...)
    p : float in [0, 1)
    seed, site, draw, row0, sub, call, rows, out
        As for `dropout`.

    Returns
    -------
    float32 array of x's shape

    Raises
    ------
    ValueError
        Also for p = 1, where the variance is infinite.

    References
    ----------
    Srivastava et al., JMLR 15, 2014, section 10.
    """
    sigma = gaussian_sigma(check.rate(p))
    return elementwise(
        x,
        "x",
        lambda y, samples, stream: _core.noise(y, samples, stream, sigma, True),
        2,
        (seed, site, draw, row0, sub, call),
        rows,
        out,
    )


def gaussian_noise(x, sigma, *, seed=0, site=0, draw=0, row0=0, sub=0, call=0, rows=None, out=None):
    """Additive noise: y = x + sigma z, z standard normal (domain 2); its gradient is dy.

    Parameters
    ----------
    x : array (samples, ...)
    sigma : float, at least 0
        The standard deviation, in x's units.
    seed, site, draw, row0, sub, call, rows, out
        As for `dropout`.

    Returns
    -------
    float32 array of x's shape
    """
    sigma = check.real(sigma, "sigma", low=0.0, high=FLOAT_MAX)
    return elementwise(
        x,
        "x",
        lambda y, samples, stream: _core.noise(y, samples, stream, sigma, False),
        2,
        (seed, site, draw, row0, sub, call),
        rows,
        out,
    )
