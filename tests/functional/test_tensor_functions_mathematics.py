"""Operators, einsum, and special cases of functions of tensors, beside PyTorch.

Every function has its calls in test_every_function_against_torch.py.
"""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.functional.methods_mathematics import ALIASES
from helpers.against_torch import compare

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)


def normal(*shape):
    return np.asarray(RNG.standard_normal(shape), np.float32)


def both(name, *more, **options):
    """Our function and PyTorch's with the same further arguments."""
    return (
        lambda *args: getattr(fd, name)(*args, *more, **options),
        lambda *args: getattr(torch, name)(*args, *more, **options),
    )


def same(ours, theirs):
    """Results without gradients: values, shapes, and the kind of numbers."""
    mine, other = np.asarray(ours.numpy()), theirs.detach().numpy()
    assert mine.shape == other.shape
    assert mine.dtype == other.dtype
    np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)


INTEGERS = np.array([[-7, 3, 0], [5, -2, 8]])


def test_bits():
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        for y in (INTEGERS[::-1].copy(), 3):
            theirs = torch.tensor(y) if isinstance(y, np.ndarray) else y
            same(
                getattr(fd, name)(fd.tensor(INTEGERS), y),
                getattr(torch, name)(torch.tensor(INTEGERS), theirs),
            )
    for x in (INTEGERS, INTEGERS > 0):
        same(fd.bitwise_not(fd.tensor(x)), torch.bitwise_not(torch.tensor(x)))
    with pytest.raises(TypeError, match="needs integers or bools, got dtype float32"):
        fd.bitwise_and([1.0], [2.0])


def test_operators_of_quotients():
    for x, y in ((INTEGERS, 3), (INTEGERS.astype(np.float32), 2.5)):
        mine, other = fd.tensor(x), torch.tensor(x)
        same(mine // y, other // y)
        same(mine % y, other % y)
        part = fd.tensor(x) * 0 + 2
        same(y // part, y // (other * 0 + 2))
        same(y % part, y % (other * 0 + 2))
    with pytest.raises(RuntimeError, match="other must not hold 0"):
        fd.tensor([1]) // 0


def test_equality_of_tensors():
    x = normal(3)
    assert fd.equal(x, x.copy()) and not fd.equal(x, x + 1) and not fd.equal(x, x[None])
    assert fd.allclose(x, x + 1e-7) and not fd.allclose(x, x + 1)
    assert fd.isclose([np.nan], [np.nan], equal_nan=True).tolist() == [True]


EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("ij->j", (2, 3)),
    ("ij,ik->i", (2, 3), (2, 4)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
    ("...i,i->...", (2, 1, 3), (3,)),
    ("i,j,k->kij", (2,), (3,), (4,)),
    ("...", (2, 3)),
    ("iij,jk->ik", (2, 2, 3), (3, 4)),
]


@pytest.mark.parametrize(("rule", "shapes"), [(rule, shapes) for rule, *shapes in EQUATIONS])
def test_einsum(rule, shapes):
    arrays = [normal(*shape) for shape in shapes]
    compare(lambda *x: fd.einsum(rule, *x), lambda *x: torch.einsum(rule, *x), *arrays)


def test_einsum_refuses_other_equations():
    for rule, x in (("ij->k", [[1.0]]), ("i", [[1.0]]), ("i,j", [1.0])):
        with pytest.raises(ValueError, match="equation"):
            fd.einsum(rule, x)
    assert fd.einsum("ij->j", fd.tensor([[1, 2], [3, 4]])).tolist() == [4, 6]


def test_products_with_zeros_have_gradients():
    x = normal(3, 4)
    x[0, 1] = x[1, 2] = x[1, 3] = 0
    compare(*both("prod", 1), x)
    compare(*both("prod"), x)
    compare(*both("cumprod", 1), x)


def test_sums_without_nan():
    x = normal(3, 4)
    x[0, 1] = x[2, 3] = np.nan
    compare(*both("nansum", 0), x)
    compare(*both("nanmean", 1, True), x)


def test_median_along_an_axis():
    x = normal(3, 4)
    compare(lambda x: fd.median(x, 1).values, lambda x: torch.median(x, 1).values, x)
    same(fd.median(fd.tensor(x), 0, True).indices, torch.median(torch.tensor(x), 0, True).indices)
    assert np.isnan(fd.median([1.0, np.nan, 2.0]).item())
    assert fd.median(fd.tensor([3, 1, 2, 5])).tolist() == 2


def test_cross():
    compare(*both("cross", 1), normal(4, 3), normal(4, 3))
    compare(*both("cross", -1), normal(4, 3), normal(1, 3))
    with pytest.raises(ValueError, match="length 3"):
        fd.cross(normal(2, 2), normal(2, 2))


def test_second_names_are_the_same_methods():
    for alias, name in ALIASES.items():
        assert getattr(fd.Tensor, alias) is getattr(fd.Tensor, name)
        assert hasattr(torch.Tensor, alias)
