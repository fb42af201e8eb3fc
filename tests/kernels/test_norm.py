"""The kernels of normalisation and transposition, compared with float64."""

import numpy as np
import pytest

from fastdrop import _core

SHAPES = [(1, 700, 16), (1, 131, 64), (2, 9, 5), (3, 40, 33), (1, 300, 130), (4, 1, 32), (1, 5, 1)]
GUARD = np.float32(7.5)


def guarded(shape):
    """An array between two zones whose numbers must not change, and a check of that."""
    size = int(np.prod(shape))
    memory = np.full(size + 128, GUARD)
    return memory[64 : 64 + size].reshape(
        shape
    ), lambda: (memory[:64] == GUARD).all() and (memory[64 + size :] == GUARD).all()


def factors(rng, shape, n):
    return [rng.uniform(0.5, 1.5, (shape[0], shape[2])).astype(np.float32) for _ in range(n)]


@pytest.mark.parametrize("shape", SHAPES)
def test_moments(shape, isa, each_thread_count):
    x = (np.random.default_rng(0).standard_normal(shape) * 3 + 100).astype(np.float32)
    exact, results = x.astype(np.float64), []
    for _ in each_thread_count():
        (mean, ok), (variance, ok_too) = (guarded((shape[0], shape[2])) for _ in range(2))
        _core.moments(mean, variance, x)
        assert ok() and ok_too()
        results.append((mean.copy(), variance.copy()))
    mean, variance = results[0]
    assert np.abs(mean - exact.mean(1)).max() < 2e-5
    assert np.abs(variance - exact.var(1)).max() < 1e-5 * max(1, exact.var(1).max())
    assert all(np.array_equal(a, b) for found in results for a, b in zip(found, results[0]))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_normalize(shape, relu, isa, each_thread_count):
    rng = np.random.default_rng(1)
    x, dy = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    mean, scale, bias, of_g, of_x, shift = factors(rng, shape, 6)
    wide = [a.astype(np.float64)[:, None] for a in (mean, scale, bias, of_g, of_x, shift)]
    exact = (x - wide[0]) * wide[1] + wide[2]
    for _ in each_thread_count():
        y, ok = guarded(shape)
        _core.normalize(y, x, mean, scale, bias, relu)
        assert ok()
        assert np.abs(y - (np.maximum(exact, 0) if relu else exact)).max() < 1e-5
        passes = ((x - mean[:, None]) * scale[:, None] + bias[:, None]) > 0
        g = np.where(passes, dy, 0).astype(np.float64) if relu else dy.astype(np.float64)
        (sums, ok), (sums_x, ok_too) = (guarded((shape[0], shape[2])) for _ in range(2))
        _core.normalize_sums(sums, sums_x, dy, x, mean, scale, bias, relu)
        assert ok() and ok_too()
        assert np.abs(sums - g.sum(1)).max() < 1e-4
        assert np.abs(sums_x - (g * (x - wide[0])).sum(1)).max() < 5e-4
        dx, ok = guarded(shape)
        _core.normalize_dx(dx, dy, x, mean, scale, bias, of_g, of_x, shift, relu)
        assert ok()
        assert np.abs(dx - (wide[3] * g + wide[4] * (x - wide[0]) + wide[5])).max() < 1e-5


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize(("rows", "n"), [(300, 40), (3, 1), (7, 17), (130, 256), (0, 5)])
def test_row_norm(rows, n, centred, isa, each_thread_count):
    rng = np.random.default_rng(2)
    x, dy = (rng.standard_normal((rows, n)).astype(np.float32) * 2 + 1 for _ in range(2))
    weight, bias = (rng.standard_normal(n).astype(np.float32) for _ in range(2))
    wide = x.astype(np.float64)
    mean = wide.mean(1, keepdims=True) if centred else np.zeros((rows, 1))
    inverse = 1 / np.sqrt(((wide - mean) ** 2).mean(1, keepdims=True) + 1e-3)
    normal = (wide - mean) * inverse
    g = dy * weight.astype(np.float64)
    exact = g - normal * (g * normal).mean(1, keepdims=True)
    exact = inverse * (exact - g.mean(1, keepdims=True) if centred else exact)
    for _ in each_thread_count():
        y, ok = guarded((rows, n))
        means, inverses = np.empty(rows, np.float32) if centred else None, np.empty(rows, "f")
        _core.row_norm(y, means, inverses, x, weight, bias, 1e-3)
        assert ok()
        assert rows == 0 or np.abs(y - (normal * weight + bias)).max() < 2e-5
        (dx, ok), dw, db = guarded((rows, n)), np.empty(n, np.float32), np.empty(n, np.float32)
        _core.row_norm_backward(dx, dw, db, dy, x, means, inverses, weight)
        assert ok()
        assert rows == 0 or np.abs(dx - exact).max() < 2e-4
        assert np.abs(dw - (dy * normal).sum(0)).max() < 1e-3
        assert np.abs(db - dy.astype(np.float64).sum(0)).max() < 1e-3


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 16, 16), (3, 70, 33), (2, 1, 9), (0, 4, 4)])
def test_transposition(shape, isa, each_thread_count):
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    for _ in each_thread_count():
        y, ok = guarded((shape[0], shape[2], shape[1]))
        _core.transpose(y, x)
        assert ok()
        assert np.array_equal(y, x.transpose(0, 2, 1))


@pytest.mark.parametrize(("rows", "n"), [(5, 10), (3, 1), (130, 33), (4, 1000), (0, 3)])
def test_softmax(rows, n, isa, each_thread_count):
    x = (np.random.default_rng(4).standard_normal((rows, n)) * 4 + 300).astype(np.float32)
    factor = np.linspace(0.5, 2, rows).astype(np.float32)
    wide = np.exp(x.astype(np.float64) - x.max(1, keepdims=True, initial=-np.inf))
    for _ in each_thread_count():
        most, log_sum, (y, ok) = np.empty(rows, "f"), np.empty(rows, "f"), guarded((rows, n))
        _core.log_sum_exp(most, log_sum, x)
        assert np.array_equal(most, x.max(1, initial=-np.inf))
        assert np.abs(log_sum - np.log(wide.sum(1))).max(initial=0) < 2e-6
        _core.scaled_softmax(y, x, most, log_sum, factor)
        assert ok()
        exact = factor[:, None] * wide / wide.sum(1, keepdims=True)
        assert np.abs(y - exact).max(initial=0) < 1e-6
