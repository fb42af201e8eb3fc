"""Maps read at the places of a grid, and grids of affine maps."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastdrop._utils import validation as check
from fastdrop._utils.floating_point import quiet
from fastdrop.autograd.operation import record
from fastdrop.autograd.passes import align_passes, carries
from fastdrop.autograd.recording import computed
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.matmul import matmul
from fastdrop.functional.resize import CUBIC
from fastdrop.functional.shape import reshape, transpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike, BoolArray, Float32Array, IntArray

MODES = ("bilinear", "nearest", "bicubic")
PADDING_MODES = ("zeros", "border", "reflection")


class _Tap(NamedTuple):
    """One position along an axis that the result of each place reads.

    Attributes
    ----------
    place : int array
        In the map; 0 where the position is outside of it.
    weight, slope : float32 array
        Its weight, and the derivative of the weight with respect to the place; 0 outside.
    """

    place: IntArray
    weight: Float32Array
    slope: Float32Array


class _Sampler(NamedTuple):
    """The options of `grid_sample`, for maps of a size."""

    size: tuple[int, ...]
    mode: str
    padding_mode: str
    align_corners: bool

    def values(self, x: Float32Array, grid: Float32Array) -> Float32Array:
        """(N, C, ...) read at grid (N, ..., d)."""
        maps = x.reshape(*x.shape[:2], -1)
        places = grid.reshape(len(grid), -1, len(self.size))
        y = np.zeros((*x.shape[:2], places.shape[1]), np.float32)
        for index, taps in self._combined(places):
            weight = math.prod(tap.weight for tap in taps)
            y += weight[:, None] * np.take_along_axis(maps, index[:, None], 2)
        return y.reshape(*x.shape[:2], *grid.shape[1:-1])

    def of_input(self, g: Float32Array, x: Float32Array, grid: Float32Array) -> Float32Array:
        """The gradient of the maps."""
        n, channels = x.shape[:2]
        rows = np.moveaxis(g.reshape(n, channels, -1), 1, 2)
        dx = np.zeros((n, math.prod(self.size), channels), np.float32)
        samples = np.arange(n)[:, None]
        for index, taps in self._combined(grid.reshape(n, -1, len(self.size))):
            weight = math.prod(tap.weight for tap in taps)
            np.add.at(dx, (samples, index), rows * weight[..., None])
        return np.ascontiguousarray(np.moveaxis(dx, 2, 1)).reshape(x.shape)

    def of_grid(self, g: Float32Array, x: Float32Array, grid: Float32Array) -> Float32Array:
        """The gradient of the grid."""
        maps, rows = x.reshape(*x.shape[:2], -1), g.reshape(*g.shape[:2], -1)
        places = grid.reshape(len(grid), -1, len(self.size))
        dgrid = np.zeros_like(places)
        for index, taps in self._combined(places):
            along = (rows * np.take_along_axis(maps, index[:, None], 2)).sum(1)
            for axis, tap in enumerate(taps):
                others = math.prod(t.weight for k, t in enumerate(taps) if k != axis)
                dgrid[..., -1 - axis] += along * tap.slope * others
        return dgrid.reshape(grid.shape)

    def _combined(self, places: Float32Array) -> Any:
        """Each combination of taps: the place in the flattened map (N, Q), and the taps."""
        axes = [self._taps(places[..., -1 - axis], n) for axis, n in enumerate(self.size)]
        for taps in itertools.product(*axes):
            index = np.zeros(places.shape[:2], np.int64)
            for tap, n in zip(taps, self.size):
                index = index * n + tap.place
            yield index, taps

    def _taps(self, place: Float32Array, n: int) -> list[_Tap]:
        """The taps along an axis of length n; places from -1 to 1."""
        at: Any
        if self.align_corners:
            at, slope = (place + 1) / 2 * (n - 1), np.float32((n - 1) / 2)
        else:
            at, slope = ((place + 1) * n - 1) / 2, np.float32(n / 2)
        if self.mode == "bicubic":
            first = np.floor(at)
            weights = _cubic(at - first)
            places = [self._inside(first + k, n)[0] for k in (-1, 0, 1, 2)]
            return [_tap(p, n, w, d * slope) for p, (w, d) in zip(places, weights)]
        at, turned = self._inside(at, n)
        if self.mode == "nearest":
            return [_tap(np.rint(at), n, np.ones_like(at), np.zeros_like(at))]
        first = np.floor(at)
        part, slopes = at - first, turned * slope
        return [_tap(first, n, 1 - part, -slopes), _tap(first + 1, n, part, slopes)]

    def _inside(self, at: Float32Array, n: int) -> tuple[Float32Array, Float32Array]:
        """Places after padding, and the derivative of that."""
        one = np.ones_like(at)
        if self.padding_mode == "zeros":
            return at, one
        if self.padding_mode == "reflection":
            low, high = (0.0, n - 1.0) if self.align_corners else (-0.5, n - 0.5)
            if low == high:
                return np.zeros_like(at), np.zeros_like(at)
            at, span = at - np.float32(low), np.float32(high - low)
            sign, at = np.where(at < 0, -one, one), np.abs(at)
            rest, odd = np.fmod(at, span), np.floor(at / span) % 2 == 1
            at = np.where(odd, span - rest, rest) + np.float32(low)
            one = np.where(odd, -sign, sign)
        return np.clip(at, 0, n - 1), np.where((at <= 0) | (at >= n - 1), 0, one)


def _tap(at: Float32Array, n: int, weight: Float32Array, slope: Float32Array) -> _Tap:
    inside: BoolArray = (at >= 0) & (at <= n - 1)
    index = np.where(inside, at, 0).astype(np.int64)
    return _Tap(index, np.where(inside, weight, 0), np.where(inside, slope, 0))


def _cubic(t: Float32Array) -> list[tuple[Any, Any]]:
    """Weights of the four positions around a place with the fraction t, and their derivatives."""
    a = CUBIC

    def near(d: Any) -> tuple[Any, Any]:  # distance at most 1
        return ((a + 2) * d - (a + 3)) * d * d + 1, (3 * (a + 2) * d - 2 * (a + 3)) * d

    def far(d: Any) -> tuple[Any, Any]:  # distance from 1 to 2
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a, (3 * a * d - 10 * a) * d + 8 * a

    def turned(pair: tuple[Any, Any]) -> tuple[Any, Any]:  # the distance falls with t
        return pair[0], -pair[1]

    return [far(t + 1), near(t), turned(near(1 - t)), turned(far(2 - t))]


@carries
@quiet
def grid_sample(
    input: Tensor | ArrayLike,
    grid: Tensor | ArrayLike,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """The elements of maps at the places of a grid, by interpolation.

    Parameters
    ----------
    input : Tensor or array (N, C, H, W) or (N, C, D, H, W)
    grid : Tensor or array (N, H', W', 2) or (N, D', H', W', 3)
        The places (x, y) or (x, y, z), -1 to 1 from one end of the map to the other.
    mode : {"bilinear", "nearest", "bicubic"}, default "bilinear"
        "bilinear" is trilinear for three axes; "bicubic" is for two only.
    padding_mode : {"zeros", "border", "reflection"}, default "zeros"
        What lies outside of the map: zeros, the elements at its border, or its mirror image.
    align_corners : bool, optional
        True: -1 and 1 are the middles of the elements at the ends. False, the default: the outer
        edges of them.

    Returns
    -------
    Tensor (N, C, H', W') or (N, C, D', H', W')

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, or the shapes do not match.

    References
    ----------
    Jaderberg, Simonyan, Zisserman, Kavukcuoglu, "Spatial transformer networks", NeurIPS 2015,
    arXiv:1506.02025.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.grid_sample([[[[1.0, 2.0], [3.0, 4.0]]]], [[[[0.0, 0.0]]]]).tolist()
    [[[[2.5]]]]
    """
    check.choice(mode, "mode", MODES)
    check.choice(padding_mode, "padding_mode", PADDING_MODES)
    x, t = align_passes(as_tensor(input, "input"), as_tensor(grid, "grid"))
    axes = x.ndim - 2
    if axes not in (2, 3) or t.ndim != x.ndim or t.shape[0] != x.shape[0] or t.shape[-1] != axes:
        raise ValueError(
            "input and grid must have shapes (N, C, H, W) and (N, H', W', 2), or (N, C, D, H, W) "
            f"and (N, D', H', W', 3), got {x.shape} and {t.shape}"
        )
    if 0 in x.shape[2:]:
        raise ValueError(f"input must have maps of at least one element, got {x.shape}")
    if mode == "bicubic" and axes == 3:
        raise ValueError(f"mode 'bicubic' is for maps (N, C, H, W) only, got shape {x.shape}")
    aligned = align_corners is not None and check.flag(align_corners, "align_corners")
    sampler = _Sampler(x.shape[2:], mode, padding_mode, aligned)
    of_x, of_grid = x.requires_grad, t.requires_grad

    def backward(g: Float32Array, x_array: Float32Array, places: Float32Array) -> Any:
        dx = computed(sampler.of_input, g, x_array, places) if of_x else None
        return dx, computed(sampler.of_grid, g, x_array, places) if of_grid else None

    arrays = (x._array, t._array)
    return record(computed(sampler.values, *arrays), (x, t), backward, arrays)


@quiet
def affine_grid(
    theta: Tensor | ArrayLike, size: Sequence[int], align_corners: bool | None = None
) -> Tensor:
    """The grid of an affine map for each sample: places for `grid_sample`.

    Parameters
    ----------
    theta : Tensor or array (N, 2, 3) or (N, 3, 4)
        The maps: a place (x, y, 1) or (x, y, z, 1) of the result is read at theta times it.
    size : sequence of int
        (N, C, H, W) or (N, C, D, H, W) of the result.
    align_corners : bool, optional
        As in `grid_sample`.

    Returns
    -------
    Tensor (N, H, W, 2) or (N, D, H, W, 3)

    Raises
    ------
    TypeError, ValueError
        When an argument has the wrong type, or the shapes do not match.

    Examples
    --------
    >>> import fastdrop.nn.functional as F
    >>> F.affine_grid([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]]], (1, 1, 1, 2)).tolist()
    [[[[-0.5, 0.5], [0.5, 0.5]]]]
    """
    t = as_tensor(theta, "theta")
    sizes = tuple(check.integer(n, "size", 1) for n in size)
    axes = len(sizes) - 2
    if axes not in (2, 3):
        raise ValueError(f"size must be (N, C, H, W) or (N, C, D, H, W), got {size}")
    if t.shape != (sizes[0], axes, axes + 1):
        raise ValueError(
            f"theta must have shape {(sizes[0], axes, axes + 1)} for size {sizes}, got {t.shape}"
        )
    aligned = align_corners is not None and check.flag(align_corners, "align_corners")
    places = [_middles(n, aligned) for n in reversed(sizes[2:])]
    mesh = np.meshgrid(*reversed(places), indexing="ij")
    base = np.stack([*reversed(mesh), np.ones(sizes[2:])], -1).reshape(-1, axes + 1)
    rows = matmul(base.astype(np.float32), transpose(t, 1, 2))
    return reshape(rows, (sizes[0], *sizes[2:], axes))


def _middles(n: int, aligned: bool) -> npt.NDArray[np.float64]:
    """The middles of n elements from -1 to 1."""
    if n == 1:
        return np.zeros(1)
    return np.linspace(-1.0, 1.0, n) * (1.0 if aligned else (n - 1) / n)
