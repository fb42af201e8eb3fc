"""Stochastic depth (DropPath): whole samples of a residual branch are dropped."""

from __future__ import annotations

import numpy as np

from fastdrop import _core, random
from fastdrop._utils import validation as check
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import carries, with_passes
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.dropout import masked


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
