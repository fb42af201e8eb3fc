"""The functions of tensor_functions.py have PyTorch's values, kinds of numbers and gradients."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.functional.methods_mathematics import ALIASES
from helpers.against_torch import compare

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
SHAPES = [(), (5,), (4, 3), (2, 3, 4), (0, 3)]


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


UNARY = "sin cos tan asin acos atan sinh cosh asinh atanh exp2 expm1 square reciprocal erf logit"
POSITIVE = "log2 log10 log1p rsqrt"
STEPS = "sign floor ceil round trunc frac"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", f"{UNARY} {POSITIVE} {STEPS} acosh".split())
def test_function_of_each_element(name, shape):
    low = {"acosh": 1.1, "logit": 0.05}.get(name, 0.1 if name in POSITIVE else -0.9)
    scale = 3 if name in STEPS else 1
    x = np.asarray(RNG.uniform(low, low + (0.9 if name == "logit" else 1.8), shape) * scale)
    compare(*both(name), x.astype(np.float32), grad_rtol=1e-3)


TWO = "minimum atan2 hypot remainder fmod xlogy"


@pytest.mark.parametrize("shapes", [((), ()), ((4, 3), (3,)), ((2, 1, 4), (3, 1)), ((0, 3), (3,))])
@pytest.mark.parametrize("name", TWO.split())
def test_function_of_two_tensors(name, shapes):
    x, y = (normal(*shape) for shape in shapes)
    compare(*both(name), x, np.abs(y) + 0.1 if name == "xlogy" else y)


def test_parameters_of_functions_of_each_element():
    x, y, z = normal(4, 3), normal(3), normal(4, 1)
    compare(*both("lerp", 0.3), x, y)
    compare(*both("lerp"), x, y, z)
    compare(*both("addcmul", value=0.5), x, y, z)
    compare(*both("addcdiv", value=0.5), x, y, z, grad_rtol=1e-3, grad_atol=1e-4)
    compare(*both("round", decimals=1), x)
    compare(*both("logit", 0.2), RNG.uniform(0, 1, (20,)).astype(np.float32))
    compare(*both("nan_to_num", 2.0, 3.0), np.array([np.nan, np.inf, -np.inf, 1.0], np.float32))
    compare(*both("clip", -0.5, 0.5), x)


INTEGERS = np.array([[-7, 3, 0], [5, -2, 8]])
COMPARISONS = "eq ne lt le gt ge logical_and logical_or logical_xor"


@pytest.mark.parametrize(
    "name", f"{COMPARISONS} minimum remainder fmod floor_divide isclose".split()
)
def test_two_tensors_without_gradient(name):
    other = np.array([3, -2, 4])
    kinds = [(INTEGERS, other)]
    if name != "isclose":
        kinds.append((INTEGERS.astype(np.float32), other.astype(np.float32)))
    for x, y in kinds:
        same(
            getattr(fd, name)(fd.tensor(x), fd.tensor(y)), both(name)[1](*map(torch.tensor, (x, y)))
        )
        method = getattr(fd.tensor(x), name)(fd.tensor(y))
        assert method.tolist() == getattr(torch.tensor(x), name)(torch.tensor(y)).tolist()


@pytest.mark.parametrize("name", ["isnan", "isinf", "isfinite", "logical_not"])
def test_one_tensor_without_gradient(name):
    for x in (np.array([np.nan, np.inf, -np.inf, 0, 1], np.float32), INTEGERS):
        same(getattr(fd, name)(fd.tensor(x)), getattr(torch, name)(torch.tensor(x)))


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round", "sign", "square"])
def test_integers_stay_integers(name):
    same(getattr(fd, name)(fd.tensor(INTEGERS)), getattr(torch, name)(torch.tensor(INTEGERS)))


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


PRODUCTS = [
    ("mm", (2, 3), (3, 4)),
    ("bmm", (5, 2, 3), (5, 3, 4)),
    ("mv", (2, 3), (3,)),
    ("dot", (3,), (3,)),
    ("inner", (2, 3), (4, 3)),
    ("inner", (), (3,)),
    ("outer", (2,), (3,)),
    ("tensordot", (2, 3, 4), (3, 4, 5)),
    ("addmm", (4,), (2, 3), (3, 4)),
    ("addmv", (2,), (2, 3), (3,)),
    ("baddbmm", (1, 4), (5, 2, 3), (5, 3, 4)),
]


@pytest.mark.parametrize(("name", "shapes"), [(name, shapes) for name, *shapes in PRODUCTS])
def test_product(name, shapes):
    options = {"beta": 0.5, "alpha": 2} if len(shapes) == 3 else {}
    arrays = [normal(*shape) for shape in shapes]
    compare(*both(name, **options), *arrays)
    compare(*both(name), *arrays)
    if len(shapes) == 2:
        x, y = ((a * 5).astype(np.int64) for a in arrays)
        same(
            getattr(fd, name)(fd.tensor(x), fd.tensor(y)), both(name)[1](*map(torch.tensor, (x, y)))
        )


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


OVER_AXES = [
    ("prod", ()), ("prod", (1,)), ("prod", (0, True)), ("cumsum", (1,)), ("cumprod", (0,)),
    ("logsumexp", (1,)), ("logsumexp", ((0, 1), True)), ("nansum", ()), ("nanmean", (1,)),
    ("diff", ()), ("diff", (2, 0)), ("median", ()),
    ("norm", ()), ("norm", (1,)), ("norm", (3, 1, True)), ("norm", (float("inf"), 1)),
    ("norm", (float("-inf"), 0)), ("norm", (0, 1)), ("norm", (0.5, 1)), ("norm", ("fro", (0, 1))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "more"), OVER_AXES)
def test_function_over_axes(name, more):
    for shape in ((4, 3), (3, 5, 2)):
        compare(*both(name, *more), normal(*shape), grad_rtol=1e-3, grad_atol=1e-4)


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


def test_moments():
    for name in ("var_mean", "std_mean"):
        for i in (0, 1):
            ours, theirs = both(name, 1, correction=0, keepdim=True)
            compare(lambda x: ours(x)[i], lambda x: theirs(x)[i], normal(4, 3))  # noqa: B023


def test_counts():
    x = np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]], np.float32)
    for array in (x, x.astype(np.int64), x > 0):
        for name in ("any", "all", "count_nonzero"):
            for more in ((), (0,), (1,)):
                same(
                    getattr(fd, name)(fd.tensor(array), *more),
                    getattr(torch, name)(torch.tensor(array), *more),
                )
    same(fd.argmin(fd.tensor(x), 1), torch.argmin(torch.tensor(x), 1))
    for name in ("cumsum", "cumprod", "prod", "diff"):
        more = (1,) if name != "diff" else ()
        for array in (x.astype(np.int64), x > 0)[: 1 + (name != "diff")]:
            same(
                getattr(fd, name)(fd.tensor(array), *more),
                getattr(torch, name)(torch.tensor(array), *more),
            )


def test_cross():
    compare(*both("cross", 1), normal(4, 3), normal(4, 3))
    compare(*both("cross", -1), normal(4, 3), normal(1, 3))
    with pytest.raises(ValueError, match="length 3"):
        fd.cross(normal(2, 2), normal(2, 2))


def test_second_names_are_the_same_methods():
    for alias, name in ALIASES.items():
        assert getattr(fd.Tensor, alias) is getattr(fd.Tensor, name)
        assert hasattr(torch.Tensor, alias)
