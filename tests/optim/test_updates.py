"""Optimiser updates and sums against float64 twins."""

import math

import numpy as np
import pytest

from fastdrop import _core
from helpers import twin

SIZES = (0, 1, 7, 8, 16, 33, 1000, 70001)


def arrays(n, count, seed=0):
    return list(np.random.default_rng(seed).standard_normal((count, n), dtype=np.float32))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    ("momentum", "dampening", "weight_decay", "nesterov", "first"),
    [
        (0.0, 0.0, 0.0, False, False),
        (0.0, 0.0, 0.1, False, False),
        (0.9, 0.0, 0.0, False, True),
        (0.9, 0.5, 0.1, False, False),
        (0.9, 0.0, 0.1, True, False),
    ],
)
def test_sgd(n, momentum, dampening, weight_decay, nesterov, first, isa):
    p, g, buf = arrays(n, 3)
    buf = buf if momentum else None
    wide_p, wide_buf = twin.sgd(p, g, buf, 0.1, momentum, dampening, weight_decay, nesterov, first)
    _core.sgd(p, g, buf, 0.1, momentum, dampening, weight_decay, nesterov, first)
    assert np.abs(p - wide_p).max(initial=0) < 2e-6
    if buf is not None:
        assert np.abs(buf - wide_buf).max(initial=0) < 2e-6


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("weight_decay", "decoupled"), [(0.0, False), (0.1, False), (0.1, True)])
def test_adam(n, weight_decay, decoupled, isa):
    p, g, m, v = arrays(n, 4)
    v = np.abs(v)
    exact = twin.adam(p, g, m, v, 0.01, 0.9, 0.999, 1e-8, weight_decay, decoupled, 3)
    _core.adam(p, g, m, v, 0.01, 0.9, 0.999, 1e-8, weight_decay, decoupled, 3)
    # An error of m is multiplied by `step`.
    step = 0.01 / (np.sqrt(exact[2]) * math.sqrt((1 - 0.9**3) ** 2 / (1 - 0.999**3)) + 1e-9)
    assert (
        np.abs(p - exact[0]) <= 3e-7 * np.abs(exact[0]) + 1e-6 * step * (1 + np.abs(exact[1]))
    ).all()
    assert (np.abs(m - exact[1]) <= 1e-6).all() and (
        np.abs(v - exact[2]) <= 1e-6 * (1 + exact[2])
    ).all()


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("weight_decay", "momentum"), [(0.0, 0.0), (0.1, 0.9)])
def test_rmsprop(n, weight_decay, momentum, isa):
    p, g, v, buf = arrays(n, 4)
    v, buf = np.abs(v) + np.float32(0.1), buf if momentum else None
    exact = twin.rmsprop(p, g, v, buf, 0.01, 0.99, 1e-8, weight_decay, momentum)
    _core.rmsprop(p, g, v, buf, 0.01, 0.99, 1e-8, weight_decay, momentum)
    assert np.abs(p - exact[0]).max(initial=0) < 1e-6 and np.abs(v - exact[1]).max(initial=0) < 1e-6
    if buf is not None:
        assert np.abs(buf - exact[2]).max(initial=0) < 3e-6


TORCH = {  # name -> torch's optimiser, our update of (p, g, two states, step)
    "sgd": (
        dict(lr=0.1),
        lambda p, g, s, t, i: _core.sgd(p, g, None, 0.1, 0.0, 0.0, 0.0, False, False),
    ),
    "sgd momentum": (
        dict(lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.02),
        lambda p, g, s, t, i: _core.sgd(p, g, s, 0.1, 0.9, 0.3, 0.02, False, i == 1),
    ),
    "sgd nesterov": (
        dict(lr=0.1, momentum=0.9, nesterov=True),
        lambda p, g, s, t, i: _core.sgd(p, g, s, 0.1, 0.9, 0.0, 0.0, True, i == 1),
    ),
    "adam": (
        dict(lr=0.01, weight_decay=0.02),
        lambda p, g, s, t, i: _core.adam(p, g, s, t, 0.01, 0.9, 0.999, 1e-8, 0.02, False, i),
    ),
    "adamw": (
        dict(lr=0.01, weight_decay=0.02),
        lambda p, g, s, t, i: _core.adam(p, g, s, t, 0.01, 0.9, 0.999, 1e-8, 0.02, True, i),
    ),
    "rmsprop": (
        dict(lr=0.01, momentum=0.5, weight_decay=0.02),
        lambda p, g, s, t, i: _core.rmsprop(p, g, s, t, 0.01, 0.99, 1e-8, 0.02, 0.5),
    ),
}


@pytest.mark.parametrize("name", TORCH)
def test_ten_steps_as_in_torch(name, isa):
    torch = pytest.importorskip("torch")
    options, update = TORCH[name]
    ours = np.random.default_rng(0).standard_normal(1003).astype(np.float32)
    first, second = np.zeros_like(ours), np.zeros_like(ours)
    theirs = torch.nn.Parameter(torch.from_numpy(ours.copy()))
    kind = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}[name.split()[0]]
    optimiser = getattr(torch.optim, kind)([theirs], **options)
    for i in range(1, 11):
        g = np.random.default_rng(i).standard_normal(1003).astype(np.float32)
        theirs.grad = torch.from_numpy(g.copy())
        optimiser.step()
        update(ours, g, first, second, i)
    assert np.abs(ours - theirs.detach().numpy()).max() < 2e-6


def test_updates_touch_only_their_array(isa, each_thread_count):
    for n in (1, 15, 17, 33333):
        for _ in each_thread_count():
            memory = np.full((4, n + 64), np.float32(77))
            p, g, m, v = memory[:, 32 : 32 + n]
            memory[:, 32 : 32 + n] = np.abs(arrays(n, 4))
            given = g.copy()
            _core.sgd(p, g, m, 0.1, 0.9, 0.0, 0.01, True, False)
            _core.adam(p, g, m, v, 0.01, 0.9, 0.999, 1e-8, 0.01, False, 2)
            _core.rmsprop(p, g, v, m, 0.01, 0.99, 1e-8, 0.01, 0.9)
            assert (
                (memory[:, :32] == 77).all()
                and (memory[:, 32 + n :] == 77).all()
                and np.array_equal(g, given)
            )


def test_zero_gradient_and_zero_state_make_no_step():
    """The step is 0 / (0 + eps) = 0, not NaN."""
    p, g, m, v = np.ones(20, np.float32), *np.zeros((3, 20), np.float32)
    _core.adam(p, g, m, v, 0.01, 0.9, 0.999, 1e-8, 0.0, False, 1)
    _core.rmsprop(p, g, v, None, 0.01, 0.99, 1e-8, 0.0, 0.0)
    assert (p == 1).all() and not m.any() and not v.any()


@pytest.mark.parametrize("beta", [0.9, 0.999, 0.99999, 0.9999999])
def test_averages_with_a_decay_rate_close_to_one(beta, isa):
    """The kernel must not compute 1 - beta as a difference of float32 numbers."""
    p, g, m, v, square = (
        np.zeros(20, np.float32),
        np.ones(20, np.float32),
        *np.zeros((3, 20), np.float32),
    )
    _core.adam(p, g, m, v, 0.01, beta, beta, 0.0, 0.0, False, 1)
    _core.rmsprop(np.zeros_like(g), g, square, None, 0.01, beta, 1e-8, 0.0, 0.0)
    assert max(np.abs(x / (1 - beta) - 1).max() for x in (m, v, square)) < 2e-7
    assert np.abs(p / -0.01 - 1).max() < 1e-6


def test_max_norm_edge_cases(isa):
    w = np.zeros((5, 40), np.float32)
    w[1, 3], w[2, 4], w[3, :2], w[4] = 2.0, 2.0 + 2.0**-20, (-3e18, 4e18), 1e-30
    before = w.copy()
    _core.max_norm_rows(w, 2.0)
    assert np.array_equal(w[[0, 1, 4]], before[[0, 1, 4]])  # zero, at the bound, tiny
    assert abs(w[2, 4] - 2) < 1e-6 and np.abs(w[3, :2] - (-1.2, 1.6)).max() < 1e-6


def test_sum_of_squares_of_many_small_numbers(isa):
    x = np.full(3_000_000, 1e-3, np.float32)
    x[::1000] = 100.0
    assert abs(_core.sumsq(x) / (x.astype(np.float64) ** 2).sum() - 1) < 1e-6


def test_updates_have_the_same_bits_everywhere(each_isa, each_thread_count):
    first = None
    for _ in each_isa():
        for _ in each_thread_count():
            p, g, m, v = arrays(100003, 4)
            v = np.abs(v)
            _core.sgd(p, g, m, 0.1, 0.9, 0.0, 0.01, True, False)
            _core.adam(p, g, m, v, 0.01, 0.9, 0.999, 1e-8, 0.01, False, 2)
            _core.rmsprop(p, g, v, m, 0.01, 0.99, 1e-8, 0.01, 0.9)
            first = [p, m, v] if first is None else first
            assert all(np.array_equal(a, b) for a, b in zip([p, m, v], first, strict=True))


@pytest.mark.parametrize(
    "shape", [(1, 1), (5, 3), (40, 784), (1000, 10), (3, 70001), (0, 5), (5, 0)]
)
def test_sums_and_max_norm(shape, isa, each_thread_count):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    wide = x.astype(np.float64)
    first = None
    for _ in each_thread_count():
        out = np.empty(shape[1], np.float32)
        _core.col_sum(out, x)
        assert np.abs(out - wide.sum(0)).max(initial=0) <= 1e-6 * max(
            1.0, np.abs(wide).sum(0).max(initial=0)
        )
        total = _core.sumsq(x)
        assert abs(total - (wide**2).sum()) <= 1e-6 * (wide**2).sum()
        limited = x.copy()
        _core.max_norm_rows(limited, 1.5)
        norms = np.sqrt((wide**2).sum(1, keepdims=True))
        assert (
            np.abs(limited - wide * np.minimum(1, 1.5 / np.maximum(norms, 1e-30))).max(initial=0)
            < 1e-5
        )
        small = norms[:, 0] <= 1.5
        assert np.array_equal(limited[small], x[small])
        results = [out, np.float64(total), limited]
        first = results if first is None else first
        assert all(np.array_equal(a, b) for a, b in zip(results, first, strict=True))


def test_norms_of_values_whose_squares_overflow_float32(isa):
    x = np.full((3, 700), 3e25, np.float32)
    x[1] = -1e19
    np.testing.assert_allclose(_core.sumsq(x), (x.astype(np.float64) ** 2).sum(), rtol=1e-6)
    _core.max_norm_rows(x, 2.0)
    np.testing.assert_allclose(np.sqrt((x.astype(np.float64) ** 2).sum(1)), 2.0, rtol=1e-5)
    assert (np.sign(x) == np.array([[1], [-1], [1]])).all()
    assert np.isinf(_core.sumsq(np.array([np.inf, 1], np.float32))) and np.isnan(
        _core.sumsq(np.array([np.nan, 1], np.float32))
    )
