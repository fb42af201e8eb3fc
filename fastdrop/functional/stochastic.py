"""Differentiable members of the family beside plain dropout (which fused.py has): masks with other fill values, noise, whole
channels, paths and tokens."""

from __future__ import annotations

import math

import numpy as np

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop._utils.buffers import empty
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries, with_passes
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.dropout import dropout, masked
from fastdrop.kernels.alpha import alpha_constants
from fastdrop.kernels.dropblock import NORMALIZE, block_and_threshold
from fastdrop.kernels.noise import FLOAT_MAX, gaussian_sigma
from fastdrop.kernels.tokens import smallest

__all__ = [
    "alpha_dropout",
    "drop_block1d",
    "drop_block2d",
    "drop_block3d",
    "drop_path",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
    "gaussian_dropout",
    "gaussian_noise",
    "patch_dropout",
    "token_dropout",
]


# ---- whole channels ----

_LAYOUTS = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}


def channel_dropout(input, p, training, axes: int, unbatched: bool, layer=None) -> Tensor:
    """Dropout of whole channels of maps with so many axes; `unbatched`: an input without the sample axis is one sample."""
    x = as_tensor(input, "input")
    if x.ndim == axes + 1 and unbatched:
        if check.rate(p) == 0.0 or not random.draws(training):
            return x
        return channel_dropout(x.reshape(1, *x.shape), p, training, axes, False, layer).reshape(
            x.shape
        )
    if x.ndim != axes + 2:
        other = " or (C" + _LAYOUTS[axes][len("(N, C") :] if unbatched else ""
        raise ValueError(f"input must have shape {_LAYOUTS[axes]}{other}, got {x.shape}")
    return dropout(x, p, training, share=range(2, x.ndim), layer=layer)


def dropout1d(input, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of (N, C, L) or (C, L); otherwise as `dropout` (Tompson et al., CVPR 2015)."""
    return channel_dropout(input, p, training, 1, True)


def dropout2d(input, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of (N, C, H, W); otherwise as `dropout` (Tompson et al., CVPR 2015)."""
    return channel_dropout(input, p, training, 2, False)


def dropout3d(input, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of (N, C, D, H, W) or (C, D, H, W); otherwise as `dropout` (Tompson et al., CVPR 2015)."""
    return channel_dropout(input, p, training, 3, True)


@carries
def drop_block(
    input,
    p,
    block_size,
    axes: int,
    training: bool = True,
    *,
    couple_channels: bool = False,
    normalize: str = "sample",
    layer=None,
) -> Tensor:
    """DropBlock of maps with so many axes (`fastdrop.kernels.dropblock`); in evaluation the input itself."""
    p, block_size, x = (
        check.rate(p),
        check.integer(block_size, "block_size", 1),
        as_tensor(input, "input"),
    )
    batch = check.choice(normalize, "normalize", NORMALIZE) == "batch"
    if x.ndim != axes + 2:
        raise ValueError(f"input must have shape {_LAYOUTS[axes]}, got {x.shape}")
    if not random.draws(training) or p == 0.0:
        return x
    block, q = block_and_threshold(p, block_size, x.shape[2:])
    x = x if batch else with_passes(x)
    stream = random.stream_for(layer, x.shape[0], carries=not batch)

    def dropped(array):
        out = empty(array.shape)
        _core.dropblock(out, array, stream, q, block, couple_channels, batch)
        return out

    return record(dropped(x.data), (x,), lambda g: (dropped(g),))


def drop_block1d(
    input,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-6,
    training: bool = True,
) -> Tensor:
    """DropBlock of (N, C, L) (Ghiasi et al., 2018). `inplace` and `eps` are accepted for torchvision's sake and change nothing."""
    return drop_block(input, p, block_size, 1, training)


def drop_block2d(
    input,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-6,
    training: bool = True,
) -> Tensor:
    """DropBlock of (N, C, H, W) (Ghiasi et al., 2018). `inplace` and `eps` are accepted for torchvision's sake and change nothing."""
    return drop_block(input, p, block_size, 2, training)


def drop_block3d(
    input,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-6,
    training: bool = True,
) -> Tensor:
    """DropBlock of (N, C, D, H, W) (Ghiasi et al., 2018). `inplace` and `eps` are accepted for torchvision's sake and change nothing."""
    return drop_block(input, p, block_size, 3, training)


# ---- SELU networks ----


def alpha_dropout(
    input, p: float = 0.5, training: bool = False, inplace: bool = False, *, layer=None
) -> Tensor:
    """y = a x + b where kept, a alpha' + b where dropped: keeps mean 0 and variance 1 (`fastdrop.kernels.alpha_dropout`).

    Parameters
    ----------
    input : (samples, ...)
    p : float in [0, 1]
    training : bool
    inplace : bool
        Accepted for PyTorch's sake; changes nothing.
    layer : Module, optional
        Whose site draws the mask.

    References
    ----------
    Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.
    """
    return _alpha(input, p, training, False, layer)


def feature_alpha_dropout(
    input, p: float = 0.5, training: bool = False, inplace: bool = False, *, layer=None
) -> Tensor:
    """`alpha_dropout` of whole channels of (N, C, ...)."""
    return _alpha(input, p, training, True, layer)


@carries
def _alpha(input, p, training, channels, layer):
    p, x = check.rate(p), as_tensor(input, "input")
    if channels and x.ndim < 2:
        raise ValueError(f"input must have shape (N, C, ...), got {x.shape}")
    if not random.draws(training) or p == 0.0:
        return x
    q, x = _core.keep_threshold(p), with_passes(x)
    stream = random.stream_for(layer, x.shape[0] if x.ndim > 1 else 1, carries=True)
    return masked(
        x,
        stream,
        q,
        *alpha_constants(q),
        (False,) + (True,) * (x.ndim - 2) if channels and x.ndim > 2 else None,
    )


# ---- noise ----


def gaussian_dropout(input, p: float = 0.5, training: bool = True, *, layer=None) -> Tensor:
    """y = x (1 + sqrt(p / (1 - p)) z), z standard normal; in evaluation the input itself.

    Parameters
    ----------
    input : (samples, ...)
    p : float in [0, 1)
    training : bool
    layer : Module, optional
        Whose site draws the noise.

    References
    ----------
    Srivastava et al., JMLR 15, 2014, section 10.
    """
    return _noise(input, gaussian_sigma(check.rate(p)), training, True, layer)


def gaussian_noise(input, sigma: float = 0.1, training: bool = True, *, layer=None) -> Tensor:
    """y = x + sigma z, z standard normal; in evaluation the input itself. sigma >= 0, in x's units."""
    return _noise(
        input, check.real(sigma, "sigma", low=0.0, high=FLOAT_MAX), training, False, layer
    )


@carries
def _noise(input, sigma, training, relative, layer):
    x = as_tensor(input, "input")
    if not random.draws(training) or sigma == 0.0:
        return x
    x = with_passes(x)
    samples = x.shape[0] if x.ndim > 1 else 1
    stream = random.stream_for(layer, samples, domain=2, carries=True)

    def noisy(array):
        out = empty(array.shape)
        rows = array.reshape(samples, -1) if array.size else array.reshape(samples, 0)
        _core.noise(out.reshape(rows.shape), rows, stream, sigma, relative)
        return out

    return record(noisy(x.data), (x,), lambda g: (noisy(g) if relative else g,))


# ---- paths and tokens ----


@carries
def drop_path(
    input,
    p: float = 0.0,
    training: bool = True,
    mode: str = "row",
    scale_by_keep: bool = True,
    *,
    layer=None,
) -> Tensor:
    """Stochastic depth: whole samples (mode "row") or the whole batch ("batch") dropped, kept ones times 2^32 / q.

    Parameters
    ----------
    input : (samples, ...)
        The output of a residual branch; `fastdrop.nn.Residual` does not even compute what is dropped.
    p : float in [0, 1]
    training : bool
    mode : {"row", "batch"}
    scale_by_keep : bool
    layer : Module, optional
        Whose site draws.

    References
    ----------
    Huang et al., "Deep networks with stochastic depth", ECCV 2016.
    """
    p, x = check.rate(p), as_tensor(input, "input")
    check.choice(mode, "mode", ("row", "batch"))
    if x.ndim < 2:
        raise ValueError(
            f"input must have shape (samples, ...) with at least 2 dimensions, got {x.shape}"
        )
    if not random.draws(training) or p == 0.0:
        return x
    q, x = _core.keep_threshold(p), with_passes(x)
    stream = random.stream_for(layer, x.shape[0], shared=mode == "batch", carries=True)
    return masked(
        x, stream, q, _core.keep_scale(q) if scale_by_keep else 1.0, share=(True,) * (x.ndim - 1)
    )


def token_dropout(input, p: float = 0.5, training: bool = True, *, layer=None) -> Tensor:
    """Dropout of whole tokens of (N, L, ...): zeros, and kept ones times 2^32 / q."""
    x = as_tensor(input, "input")
    if x.ndim < 2:
        raise ValueError(f"input must have shape (N, L, ...), got {x.shape}")
    return dropout(x, p, training, share=range(2, x.ndim), layer=layer)


def tokens_kept(length: int, p: float) -> int:
    """max(1, floor(L (1 - p))) without the rounding of 1 - p: 10 of 100 at p = 0.9."""
    return min(length, max(1, math.floor(round(length * (1.0 - p), 9))))


def patch_dropout(
    input,
    p: float = 0.5,
    training: bool = True,
    prefix_tokens: int = 1,
    *,
    return_indices: bool = False,
    layer=None,
):
    """Keeps max(1, floor(L (1 - p))) of L tokens of each sample, in their order; not rescaled.

    Parameters
    ----------
    input : (N, prefix_tokens + L, ...)
    p : float in [0, 1]
    training : bool
    prefix_tokens : int
        So many first tokens (the class token) are always kept.
    return_indices : bool
        Also return which of the L are kept: int array (N, kept), None where nothing is dropped.
    layer : Module, optional
        Whose site draws.

    Returns
    -------
    Tensor (N, prefix_tokens + kept, ...): the tokens with the smallest U, ties by index

    References
    ----------
    Liu et al., "PatchDropout: economizing vision transformers using patch dropout", WACV 2023.
    """
    p, x = check.rate(p), as_tensor(input, "input")
    prefix = check.integer(prefix_tokens, "prefix_tokens", 0)
    if x.ndim < 2 or x.shape[1] < prefix:
        raise ValueError(
            f"input must have shape (N, prefix_tokens + L, ...) with prefix_tokens = {prefix}, got {x.shape}"
        )
    samples, length = x.shape[0], x.shape[1] - prefix
    if not random.draws(training) or p == 0.0 or length == 0:
        return (x, None) if return_indices else x
    u = np.empty((samples, length), np.uint32)
    _core.keep_uniforms(u, random.stream_for(layer, samples))
    kept = smallest(u, tokens_kept(length, p))
    index = np.concatenate(
        [np.broadcast_to(np.arange(prefix), (samples, prefix)), kept + prefix], axis=1
    )
    rows = np.arange(samples)[:, None]

    def backward(g):
        dx = np.zeros(x.shape, np.float32)
        dx[rows, index] = g
        return (dx,)

    y = record(x.data[rows, index], (x,), backward)
    return (y, kept) if return_indices else y


def gather_rows(x: Tensor, rows: np.ndarray) -> Tensor:
    """x[rows], each row at most once."""

    def backward(g):
        dx = np.zeros(x.shape, np.float32)
        dx[rows] = g
        return (dx,)

    return record(x.data[rows], (x,), backward)


def add_to_rows(x: Tensor, y: Tensor, rows: np.ndarray, scale: float) -> Tensor:
    """x, with scale * y added to these rows, each at most once."""
    if y.shape != (len(rows), *x.shape[1:]):
        raise ValueError(
            f"the branch must keep its input's shape: {x.shape} + {y.shape} for {len(rows)} rows"
        )
    scale = np.float32(scale)
    out = x.data.copy()
    out[rows] += y.data * scale
    return record(out, (x, y), lambda g: (g, g[rows] * scale))


def path_mask(samples: int, p: float, mode: str, layer) -> tuple[np.ndarray, float]:
    """(which samples DropPath keeps, the scale of those)."""
    q = _core.keep_threshold(p)
    kept = np.empty((samples, 1), np.bool_)
    _core.keep_mask(kept, random.stream_for(layer, samples, shared=mode == "batch"), q)
    return kept[:, 0], _core.keep_scale(q)
