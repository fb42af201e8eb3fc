"""Run a kernel of the core over a batch of samples. Used by every member that keeps x's shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastdrop._utils import validation as check
from fastdrop.kernels.arguments import floats
from fastdrop.kernels.mask_key import MaskKey, sample_rows

if TYPE_CHECKING:
    from fastdrop._core import Stream
    from fastdrop._utils.typing import Float32Array, Shape


def elementwise(
    x: Any,
    name: str,
    run: Callable[[Float32Array, Float32Array, Stream], None],
    key: MaskKey,
    rows: Any,
    out: Float32Array | None,
    *,
    whole_batch: bool = False,
) -> Float32Array:
    """Call run(y, samples, stream) and return y, a new array or `out`.

    samples: x as float32 (N, ...); axis 0 is the sample, and a 1-d or 0-d x is one sample.
    whole_batch: one decision for all samples. `name` is what error messages call x.
    """
    given, x = x, floats(x, name)
    samples = x if x.ndim > 1 else x.reshape(1, -1)
    count = samples.shape[0]
    if samples.size > count * check.MAX_UNITS:
        raise ValueError(f"{name} must have at most 2**34 units a sample, got shape {x.shape}")
    stream = key.sample_stream(sample_rows(count, rows))[1]
    if whole_batch:
        stream = key.batch_stream(count)
    target = check.output(out, x.shape, given, x, rows)
    y = check.core_buffer(target)
    run(y if x.ndim > 1 else y.reshape(1, -1), samples, stream)
    if y is not target:
        target[...] = y
    return target


def shape_of(x: Any, name: str, minimum_ndim: int = 0, expected: str = "") -> Shape:
    """The shape of an argument before it is converted.

    ValueError where it has fewer than `minimum_ndim` axes; `expected` is the shape that it names.
    """
    shape: Shape = x.shape if hasattr(x, "shape") else check.as_array(x, name).shape
    if len(shape) < minimum_ndim:
        raise ValueError(f"{name} must have shape {expected}, got {shape}")
    return shape


def shared_axes(share: Any, ndim: int) -> tuple[bool, tuple[bool, ...] | None]:
    """(is axis 0 shared, the same for each other axis), or (False, None) where none is shared."""
    if ndim:
        axes = check.axes(share, "share", ndim)
    else:
        axes = tuple(share) if hasattr(share, "__iter__") else (share,)
    if not axes:
        return False, None
    if ndim < 2:
        raise ValueError(
            "share needs an array of samples, (samples, ...); a 1-d or 0-d array is one sample"
        )
    return 0 in axes, tuple(axis in axes for axis in range(1, ndim))
