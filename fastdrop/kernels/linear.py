"""A dense layer with bias, activation and dropout in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop.kernels.arguments import floats
from fastdrop.kernels.mask_key import MaskKey, sample_rows
from fastdrop.kernels.matmul import operand

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike, Float32Array

__all__ = ["linear"]

ACTIVATIONS: dict[str, int] = {
    "relu": _core.ACT_RELU,
    "leaky_relu": _core.ACT_LEAKY_RELU,
    "sigmoid": _core.ACT_SIGMOID,
    "tanh": _core.ACT_TANH,
    "selu": _core.ACT_SELU,
    "silu": _core.ACT_SILU,
    "gelu": _core.ACT_GELU,
    "gelu_tanh": _core.ACT_GELU_TANH,
}


def linear(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    activation: str | None = None,
    p: float = 0.0,
    seed: int = 0,
    site: int = 0,
    draw: int = 0,
    row0: int = 0,
    sub: int = 0,
    call: int = 0,
    instance: int = 0,
    rows: ArrayLike | None = None,
    negative_slope: float = 0.01,
    input_p: float = 0.0,
    input_site: int = 0,
    out: Float32Array | None = None,
) -> Float32Array:
    r"""A dense layer with activation and dropout in one pass.

    .. math:: y = \mathrm{dropout}(\mathrm{act}(\mathrm{dropout}(x)\, W^T + b))

    Bias, activation and output dropout are applied while the tiles of the product leave the
    registers; input dropout is applied while the product packs x. No mask and no intermediate
    result is stored.

    Parameters
    ----------
    x : array_like (N, in_features)
        Input.
    w : array_like (out_features, in_features)
        Weight. A transposed view is read in place.
    b : array_like (out_features,), optional
        Bias.
    activation : {"relu", "leaky_relu", "sigmoid", "tanh", "selu", "silu", "gelu"}, optional
        None: the identity.
    p : float in [0, 1], default 0
        Probability to drop an output; its mask has the site `site`.
    seed, site, draw, row0, sub, call, instance : int, default 0
        Coordinates of the mask (see `fastdrop.kernels`).
    rows : array_like of int (N,), optional
        The row number of each sample, instead of row0, row0 + 1, ...
    negative_slope : float, default 0.01
        Slope of leaky_relu for negative inputs.
    input_p : float in [0, 1], default 0
        Probability to drop an element of x.
    input_site : int in [0, 2**32), default 0
        Site of the input's mask; its other coordinates are those of the output's mask. It must
        differ from `site` where both masks are drawn.
    out : float32 array (N, out_features), optional
        Array for the result. It must not overlap an input.

    Returns
    -------
    float32 array (N, out_features)

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, shape or range.

    Examples
    --------
    >>> from fastdrop import kernels
    >>> kernels.linear([[1, 2]], [[1, 1], [1, -1]], [0.5, 0.5], activation="relu")
    array([[3.5, 0. ]], dtype=float32)
    """
    p, input_p = check.rate(p), check.rate(input_p, "input_p")
    site, input_site = check.integer(site, "site"), check.integer(input_site, "input_site")
    kind = (
        _core.ACT_NONE
        if activation is None
        else ACTIVATIONS[check.choice(activation, "activation", ACTIVATIONS)]
    )
    slope = check.real(negative_slope, "negative_slope")
    given = (x, w, b, rows)
    x = floats(x, "x", ndim=2)
    w, w_transposed = operand(w, "w")
    n, k = w.shape[::-1] if w_transposed else w.shape
    b = None if b is None else floats(b, "b", ndim=1)
    check.linear_shapes(x.shape, (n, k), None if b is None else b.shape)
    if p and input_p and site == input_site:
        raise ValueError(
            "input_site must differ from site when both p and input_p are positive, "
            f"got {site} for both"
        )
    numbers = sample_rows(x.shape[0], rows)
    key = MaskKey(seed=seed, site=site, draw=draw, row0=row0, sub=sub, call=call, instance=instance)
    stream = key.sample_stream(numbers)[1]
    drop = input_drop = None
    if p:
        q = _core.keep_threshold(p)
        drop = (stream, q, _core.keep_scale(q))
    if input_p:
        q = _core.keep_threshold(input_p)
        input_stream = key.replace(site=input_site).sample_stream(numbers)[1]
        input_drop = (input_stream, q, _core.keep_scale(q))
    target = check.output(out, (x.shape[0], n), *given, x, w, b, may_alias=False)
    y = check.core_buffer(target)
    _core.gemm(
        y,
        x,
        False,
        w,
        not w_transposed,
        bias=b,
        act=kind,
        alpha=slope,
        drop=drop,
        a_drop=input_drop,
        bf16=_core.modes.bf16_products,
    )
    if y is not target:
        target[...] = y
    return target
