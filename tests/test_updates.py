"""Optimiser updates and sums against float64."""

import numpy as np
import pytest
import twin

from fastdrop import _core

SIZES = (1, 7, 8, 16, 33, 1000, 70001)


def arrays(n, count, seed=0):
    return list(np.random.default_rng(seed).standard_normal((count, n), dtype=np.float32))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("momentum", "dampening", "weight_decay", "nesterov", "first"), [
    (0.0, 0.0, 0.0, False, False), (0.0, 0.0, 0.1, False, False), (0.9, 0.0, 0.0, False, True), (0.9, 0.5, 0.1, False, False), (0.9, 0.0, 0.1, True, False)])
def test_sgd(n, momentum, dampening, weight_decay, nesterov, first, isa):
    p, g, buf = arrays(n, 3)
    buf = buf if momentum else None
    wide_p, wide_buf = twin.sgd(p, g, buf, 0.1, momentum, dampening, weight_decay, nesterov, first)
    _core.sgd(p, g, buf, 0.1, momentum, dampening, weight_decay, nesterov, first)
    assert np.abs(p - wide_p).max() < 2e-6
    if buf is not None:
        assert np.abs(buf - wide_buf).max() < 2e-6


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("weight_decay", "decoupled"), [(0.0, False), (0.1, False), (0.1, True)])
def test_adam(n, weight_decay, decoupled, isa):
    p, g, m, v = arrays(n, 4)
    v = np.abs(v)
    exact = twin.adam(p, g, m, v, 0.01, 0.9, 0.999, 1e-8, weight_decay, decoupled, 3)
    _core.adam(p, g, m, v, 0.01, 0.9, 0.999, 1e-8, weight_decay, decoupled, 3)
    assert np.abs(p - exact[0]).max() < 1e-4 * max(1, np.abs(exact[0] - p).max())
    assert np.abs(m - exact[1]).max() < 1e-6 and np.abs(v - exact[2]).max() < 1e-5


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("weight_decay", "momentum"), [(0.0, 0.0), (0.1, 0.9)])
def test_rmsprop(n, weight_decay, momentum, isa):
    p, g, v, buf = arrays(n, 4)
    v, buf = np.abs(v) + np.float32(0.1), buf if momentum else None
    exact = twin.rmsprop(p, g, v, buf, 0.01, 0.99, 1e-8, weight_decay, momentum)
    _core.rmsprop(p, g, v, buf, 0.01, 0.99, 1e-8, weight_decay, momentum)
    assert np.abs(p - exact[0]).max() < 1e-5 and np.abs(v - exact[1]).max() < 1e-5


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


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (40, 784), (1000, 10), (3, 70001), (0, 5), (5, 0)])
def test_sums_and_max_norm(shape, isa, each_thread_count):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    wide = x.astype(np.float64)
    first = None
    for _ in each_thread_count():
        out = np.empty(shape[1], np.float32)
        _core.col_sum(out, x)
        assert np.abs(out - wide.sum(0)).max(initial=0) <= 1e-6 * max(1.0, np.abs(wide).sum(0).max(initial=0))
        total = _core.sumsq(x)
        assert abs(total - (wide**2).sum()) <= 1e-6 * (wide**2).sum()
        limited = x.copy()
        _core.max_norm_rows(limited, 1.5)
        norms = np.sqrt((wide**2).sum(1, keepdims=True))
        assert np.abs(limited - wide * np.minimum(1, 1.5 / np.maximum(norms, 1e-30))).max(initial=0) < 1e-5
        small = norms[:, 0] <= 1.5
        assert np.array_equal(limited[small], x[small])
        results = [out, np.float64(total), limited]
        first = results if first is None else first
        assert all(np.array_equal(a, b) for a, b in zip(results, first, strict=True))
