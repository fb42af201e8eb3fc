"""Special functions beside Python's math and PyTorch, and topk beside a whole sort."""

import math

import numpy as np
import pytest

import fastdrop as fd
from fastdrop._utils import special_functions
from fastdrop.functional.ordering import _first, _order

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(5)
X = np.concatenate(
    [
        RNG.uniform(-6, 6, 4000),
        RNG.uniform(-1, 1, 4000),
        10.0 ** RNG.uniform(-30, 1, 500),
        [0, -0.0],
    ]
)


def units_in_the_last_place(ours, exact):
    exact = np.asarray(exact, np.float64)
    return np.max(np.abs(ours - exact) / np.spacing(np.abs(exact).astype(np.float32)))


def test_erf_is_within_two_units():
    x = X.astype(np.float32)
    exact = [math.erf(value) for value in x.tolist()]
    assert units_in_the_last_place(fd.erf(x).numpy(), exact) < 2
    assert fd.erf([np.inf, -np.inf]).tolist() == [1.0, -1.0]
    assert np.isnan(fd.erf([np.nan]).item())


@pytest.mark.parametrize(
    ("name", "exact", "low", "high"),
    [
        ("erfc", math.erfc, -6, 9),
        ("lgamma", math.lgamma, 2.5, 60),
        ("lgamma", math.lgamma, 1e-6, 0.9),
    ],
)
def test_function_of_python(name, exact, low, high):
    x = RNG.uniform(low, high, 4000).astype(np.float32)
    wanted = [exact(value) for value in x.tolist()]
    assert units_in_the_last_place(getattr(fd, name)(x).numpy(), wanted) < 1


def test_erf_and_erfc_in_float64():
    for ours, exact in ((special_functions.erf, math.erf), (special_functions.erfc, math.erfc)):
        np.testing.assert_allclose(ours(X), [exact(value) for value in X], rtol=1e-13, atol=0)


def test_erfinv_is_the_inverse():
    y = np.concatenate([RNG.uniform(-1, 1, 4000), 1 - 10.0 ** RNG.uniform(-7, -3, 500)])
    np.testing.assert_allclose(
        [math.erf(value) for value in special_functions.erfinv(y)], y, rtol=1e-14
    )
    assert fd.erfinv([1.0, -1.0]).tolist() == [np.inf, -np.inf]
    assert np.isnan(fd.erfinv([1.5]).item())


EDGES = np.array([0.0, -0.0, -1.0, -2.0, np.inf, np.nan, -0.5, -7.25, 30.0], np.float32)


@pytest.mark.parametrize("name", ["lgamma", "digamma", "erf", "erfc", "i0", "sinc", "erfinv"])
def test_special_values(name):
    x = EDGES if name != "sinc" else EDGES[np.isfinite(EDGES)]
    theirs = getattr(torch, name)(torch.tensor(x)).numpy()
    np.testing.assert_allclose(getattr(fd, name)(x).numpy(), theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("order", [0, 1, 2, 5])
def test_derivatives_of_digamma_also_below_0(order):
    x = np.concatenate([RNG.uniform(0.01, 40, 300), RNG.uniform(-6.9, -6.1, 5)])
    exact = torch.polygamma(order, torch.tensor(x[:300])).numpy()
    np.testing.assert_allclose(special_functions.polygamma(order, x[:300]), exact, rtol=1e-8)
    if order == 1:
        exact = torch.polygamma(1, torch.tensor(x[300:])).numpy()
        np.testing.assert_allclose(special_functions.polygamma(1, x[300:]), exact, rtol=1e-8)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("count", [1, 7, 20])
def test_the_first_elements_without_a_whole_sort(count, descending):
    x = RNG.integers(0, 12, (5, 100, 3)).astype(np.float32)  # many are equal
    x[1, ::9] = np.nan
    x[2] = np.nan
    x[3, :, 0] = np.inf
    wanted = np.take(_order(x, 1, descending), np.arange(count), 1)
    np.testing.assert_array_equal(_first(x, 1, count, descending), wanted)
    whole = x[0].astype(np.int64)
    wanted = np.take(_order(whole, 0, descending), np.arange(count), 0)
    np.testing.assert_array_equal(_first(whole, 0, count, descending), wanted)


def test_topk_has_gradients_where_it_takes():
    x = fd.tensor(RNG.permutation(200).astype(np.float32), requires_grad=True)
    fd.topk(x, 3).values.sum().backward()
    assert sorted(x.numpy()[x.grad.numpy() == 1].tolist()) == [197.0, 198.0, 199.0]
    assert x.grad.numpy().sum() == 3
