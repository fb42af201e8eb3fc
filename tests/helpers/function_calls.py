"""Calls of functions with random tensors, for fastdrop and for PyTorch.

A call is a list of arguments; an `Of` stands for an array of random numbers, and makes a tensor of
either library.
"""

import numpy as np

RNG = np.random.default_rng(0)
SHAPES = [(), (5,), (3, 4), (0, 3), (2, 3, 4)]
PAIRS = [((), ()), ((4,), (4,)), ((2, 3), (3,)), ((2, 1, 3), (4, 1)), ((0, 3), (3,)), ((3,), ())]


class Of:
    """An array of a shape: floats in [low, high), whole numbers (kind "i") or bools ("b").

    `turned` gives the tensor with its axes exchanged: it is not contiguous.
    """

    def __init__(self, *shape, low=-2.0, high=2.0, kind="f", turned=False, array=None):
        if array is None:
            array = RNG.uniform(low, high, shape)
            array = {"f": np.float32, "i": np.int64, "b": np.bool_}[kind](
                array if kind != "b" else array > 0
            )
        self.array, self.turned = np.asarray(array), turned

    def tensor(self, library, gradients=True):
        x = np.ascontiguousarray(self.array.T) if self.turned else self.array
        leaf = library.tensor(x)
        if gradients and x.dtype.kind == "f":
            leaf.requires_grad_()
        return leaf, leaf.permute(tuple(range(leaf.ndim))[::-1]) if self.turned else leaf

    def __repr__(self):
        return f"{self.array.dtype.kind}{list(self.array.shape)}{'T' * self.turned}"


class Call:
    """Arguments of a function."""

    def __init__(self, *args, **options):
        self.args, self.options = args, options

    def __repr__(self):
        options = [f"{name}={value}" for name, value in self.options.items()]
        return ", ".join([*map(repr, self.args), *options])


def each(low=-2.0, high=2.0, *more, kinds="f", **options):
    """Calls with one tensor of each shape, and one that is not contiguous."""
    calls = [
        Call(Of(*shape, low=low, high=high, kind=kind), *more, **options)
        for kind in kinds
        for shape in SHAPES
    ]
    return [*calls, Call(Of(3, 4, low=low, high=high, turned=True), *more, **options)]


def pairs(low=-2.0, high=2.0, kinds="f", second=None, **options):
    """Calls with two tensors whose shapes broadcast."""
    a, b = second or (low, high)
    calls = [
        Call(Of(*x, low=low, high=high, kind=kind), Of(*y, low=a, high=b, kind=kind), **options)
        for kind in kinds
        for x, y in PAIRS
    ]
    return [*calls, Call(Of(3, 4, low=low, high=high, turned=True), Of(4, low=a, high=b))]


def vectors(*shapes, kind="f", **options):
    return Call(*(Of(*shape, kind=kind) for shape in shapes), **options)


def axes(*dims, kinds="f", keyword="dim", **options):
    """Calls over axes of tensors."""
    return [
        Call(Of(*shape, kind=kind, turned=turned), *(() if keyword else (dim,)),
             **({keyword: dim} if keyword else {}), **options)
        for kind in kinds
        for shape, turned in (((5,), False), ((3, 4), True), ((2, 3, 4), False))
        for dim in dims
        if dim is None or max(np.atleast_1d(dim)) < len(shape)
    ]  # fmt: skip


def reductions(*more_dims, kinds="fi", zero_d=True):
    """Calls without dim, and over axes with and without keepdim."""
    calls = [Call(Of(*shape, kind=kind)) for kind in kinds for shape in [(3, 4), (5,)]]
    calls += [Call(Of(kind=kind)) for kind in kinds if zero_d]
    calls += axes(0, -1, *more_dims, kinds=kinds)
    return calls + axes(0, -1, *more_dims, kinds=kinds, keepdim=True)


def distinct(*shape):
    """Different numbers, so that positions are the same in both libraries."""
    n = int(np.prod(shape))
    return Of(array=(RNG.permutation(n) / 4 - n / 8).astype(np.float32).reshape(shape))


def spd(*shape):
    """Symmetric positive definite matrices."""
    x = RNG.standard_normal(shape)
    return Of(array=(x @ np.swapaxes(x, -1, -2) + 2 * np.eye(shape[-1])).astype(np.float32))


def upright(*shape):
    """Square matrices with a determinant far from 0."""
    x = RNG.standard_normal(shape) + 3 * np.eye(shape[-1])
    return Of(array=x.astype(np.float32))
