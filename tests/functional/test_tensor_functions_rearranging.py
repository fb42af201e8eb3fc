"""Splitting, joining, repeating and reordering: PyTorch's elements, gradients and integers."""

import numpy as np
import pytest

import fastdrop as fd
from helpers.against_torch import compare

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def normal(*shape):
    return np.asarray(RNG.standard_normal(shape), np.float32)


CALLS = [
    ("flip", (4, 3), ((0, 1),)),
    ("flip", (4, 3, 2), ((-1,),)),
    ("fliplr", (4, 3), ()),
    ("flipud", (4, 3), ()),
    ("roll", (4, 3), (2,)),
    ("roll", (4, 3), ((1, -2), (0, 1))),
    ("roll", (5,), (-7, 0)),
    *[("rot90", (4, 3), (k,)) for k in (-1, 0, 1, 2, 3)],
    ("rot90", (2, 3, 4), (1, (2, 0))),
    ("movedim", (2, 3, 4), (0, 2)),
    ("moveaxis", (2, 3, 4, 5), ((0, 1), (-1, 0))),
    ("swapaxes", (2, 3, 4), (0, -1)),
    ("swapdims", (2, 3, 4), (0, 1)),
    ("t", (2, 3), ()),
    ("t", (3,), ()),
    ("ravel", (2, 3), ()),
    ("broadcast_to", (3, 1), ((2, 3, 4),)),
    ("tile", (2, 3), ((2, 1, 3),)),
    ("tile", (2, 3), ((2,),)),
    ("repeat_interleave", (2, 3), (2,)),
    ("repeat_interleave", (2, 3), (3, 1)),
    ("narrow", (4, 3), (0, 1, 2)),
    ("narrow", (4, 3), (1, -2, 2)),
    ("select", (4, 3), (1, -1)),
    *[("atleast_1d", shape, ()) for shape in ((), (3,), (2, 3), (2, 1, 3))],
    *[("atleast_2d", shape, ()) for shape in ((), (3,), (2, 3), (2, 1, 3))],
    *[("atleast_3d", shape, ()) for shape in ((), (3,), (2, 3), (2, 1, 3))],
]
METHODS = [
    ("expand", (3, 1), (2, -1, 4)),
    ("expand", (3, 1), ((3, 4),)),
    ("repeat", (2, 3), (2, 1, 3)),
    ("repeat", (2, 3), ((1, 2),)),
    ("tile", (2, 3), (2, 2)),
    ("flip", (2, 3), (0, 1)),
]


@pytest.mark.parametrize(("name", "shape", "more"), CALLS)
def test_function(name, shape, more):
    compare(
        lambda x: getattr(fd, name)(x, *more),
        lambda x: getattr(torch, name)(x, *more),
        normal(*shape),
    )


@pytest.mark.parametrize(
    ("name", "shape", "more"), METHODS + [call for call in CALLS if "atleast" not in call[0]]
)
def test_method(name, shape, more):
    call = lambda x: getattr(x, name)(*more)  # noqa: E731
    compare(call, call, normal(*shape))
    whole = np.arange(np.prod(shape)).reshape(shape)
    mine, other = call(fd.tensor(whole)), call(torch.tensor(whole))
    assert mine.dtype == fd.int64
    assert mine.tolist() == other.tolist()


PARTS = [
    ("split", (5, 3), (2,)),
    ("split", (5, 3), ([1, 4], 0)),
    ("split", (2, 6), (4, 1)),
    ("chunk", (5, 3), (3,)),
    ("chunk", (5, 3), (7, 1)),
    ("tensor_split", (7, 3), (3,)),
    ("tensor_split", (7, 3), ((2, 5), 0)),
    ("unbind", (3, 2), ()),
    ("unbind", (3, 2), (1,)),
]


@pytest.mark.parametrize(("name", "shape", "more"), PARTS)
def test_parts(name, shape, more):
    x = normal(*shape)
    expected = getattr(torch, name)(torch.tensor(x), *more)
    assert isinstance(getattr(fd, name)(x, *more), tuple)
    assert len(getattr(fd, name)(x, *more)) == len(expected)
    for i in range(len(expected)):
        for ours, theirs in ((fd, torch), (fd.Tensor, torch.Tensor)):
            compare(
                lambda x: getattr(ours, name)(x, *more)[i],  # noqa: B023
                lambda x: getattr(theirs, name)(x, *more)[i],  # noqa: B023
                x,
            )


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)])
@pytest.mark.parametrize("name", ["hstack", "vstack", "dstack"])
def test_joining(name, shape):
    join = lambda library: lambda *x: getattr(library, name)(x)  # noqa: E731
    compare(join(fd), join(torch), normal(*shape), normal(*shape))


def test_grids():
    vectors = normal(2), normal(3), normal(4)
    for indexing in ("ij", "xy"):
        for i in range(3):
            compare(
                lambda *x: fd.meshgrid(*x, indexing=indexing)[i],  # noqa: B023
                lambda *x: torch.meshgrid(*x, indexing=indexing)[i],  # noqa: B023
                *vectors,
            )
    compare(fd.cartesian_prod, torch.cartesian_prod, *vectors)
    with pytest.raises(ValueError, match="indexing must be 'ij' or 'xy', got 'yx'"):
        fd.meshgrid([1.0], indexing="yx")


def test_repeats_of_each_element():
    counts = np.array([2, 0, 1])
    compare(
        lambda x: fd.repeat_interleave(x, counts, 1),
        lambda x: torch.repeat_interleave(x, torch.tensor(counts), 1),
        normal(2, 3),
    )
    with pytest.raises(TypeError, match="repeats must hold integers"):
        fd.repeat_interleave([1.0], [1.5])


def test_shapes_of_other_tensors():
    x, y = fd.tensor([[1.0, 2.0]]), fd.tensor([[1.0], [2.0]])
    assert x.view_as(y).tolist() == x.reshape_as(y).tolist() == [[1.0], [2.0]]
    assert y.expand_as(fd.tensor([[1, 2], [3, 4]])).tolist() == [[1.0, 1.0], [2.0, 2.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: fd.broadcast_to(x, (3, 2)), r"shape \(2, 3\) does not broadcast to \(3, 2\)"),
        (lambda x: fd.split(x, [1, 2]), r"must add up to 2, got \[1, 2\]"),
        (lambda x: x.repeat(2), "a number for each of 2 axes"),
        (lambda x: fd.roll(x, (1, 2), 0), "one number for each of dims"),
        (lambda x: fd.t(x[None]), "at most two axes"),
        (lambda x: fd.mm(x, x[None]), "must have 2 and 2 axes"),
        (lambda x: fd.norm(x, "nuc"), "p must be a number or 'fro', got 'nuc'"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call(fd.tensor(normal(2, 3)))
