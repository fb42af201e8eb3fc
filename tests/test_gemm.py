"""The matrix product with its packers and epilogues against float64."""

import numpy as np
import pytest
import twin

from fastdrop import _core

SIZES = (1, 2, 3, 5, 8, 13, 16, 17, 31, 33, 64, 100, 129, 200, 385)
SHAPES = [tuple(row) for row in np.random.default_rng(0).choice(SIZES, (30, 3))] + [
    (300, 1100, 900), (1, 1000, 784), (1000, 1, 50), (14, 32, 384), (15, 33, 385), (2, 3, 2000), (0, 5, 3), (5, 0, 3), (5, 7, 0)]


def operands(m, n, k, ta=False, tb=False, seed=0):
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal((k, m) if ta else (m, k), dtype=np.float32), rng.standard_normal((n, k) if tb else (k, n), dtype=np.float32))
    return a, b


def exact(a, ta, b, tb):
    """The product in float64, and the sum of absolute terms that bounds its rounding error."""
    a, b = (a.T if ta else a).astype(np.float64), (b.T if tb else b).astype(np.float64)
    return a @ b, np.abs(a) @ np.abs(b)


def product(a, ta, b, tb, **options):
    """C between canaries."""
    m, n = a.shape[ta], b.shape[1 - tb]
    memory = np.full(m * n + 256, np.float32(77))
    c = memory[128:128 + m * n].reshape(m, n)
    _core.gemm(c, a, ta, b, tb, **options)
    assert (memory[:128] == 77).all() and (memory[128 + m * n:] == 77).all()
    return c


def drop(p, seed=3, site=1, row0=0):
    q = _core.keep_threshold(p)
    return _core.Stream(seed, site, 0, 5, row0), q, _core.keep_scale(q)


def dropped(x, p, seed=3, site=1, row0=0):
    return twin.dropout(x, p, row0=row0, seed=seed, site=site, draw=5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_shapes_and_transpositions(shape, each_isa):
    for _ in each_isa():
        for ta in (False, True):
            for tb in (False, True):
                a, b = operands(*shape, ta, tb)
                wide, bound = exact(a, ta, b, tb)
                assert (np.abs(product(a, ta, b, tb) - wide) <= 1e-6 * bound).all(), (ta, tb)


@pytest.mark.parametrize("shape", [(37, 45, 400), (130, 260, 33), (3, 10, 784)], ids=str)
@pytest.mark.parametrize(("ta", "tb"), [(False, False), (False, True), (True, False), (True, True)])
def test_options(shape, ta, tb, each_isa):
    a, b = operands(*shape, ta, tb)
    m, n, _ = shape
    bias = np.random.default_rng(1).standard_normal(n).astype(np.float32)
    for _ in each_isa():
        wide, bound = exact(a, ta, b, tb)
        tolerance = 1e-6 * (bound + np.abs(bias)) + 1e-7
        for kind in range(8):
            c = product(a, ta, b, tb, bias=bias, act=kind, alpha=0.01)
            assert (np.abs(c - twin.act(wide + bias, kind)) <= 2 * tolerance).all(), kind
        for p in (0.5, 0.3, 1.0):
            kept = dropped(np.ones((m, n), np.float32), p)
            for kind in (0, 1, 4):
                c = product(a, ta, b, tb, bias=bias, act=kind, drop=drop(p))
                assert not c[kept == 0].any() and not np.signbit(c[kept == 0]).any()
                expected = twin.act(wide + bias, kind) * kept.astype(np.float64)
                assert (np.abs(c - expected) <= 4 * tolerance).all(), (p, kind)
            a_drop, b_drop = dropped(a, p, site=2), dropped(b, p, site=4)
            assert (np.abs(product(a, ta, b, tb, a_drop=drop(p, site=2)) - exact(a_drop, ta, b, tb)[0]) <= 4 * tolerance).all()
            assert (np.abs(product(a, ta, b, tb, b_drop=drop(p, site=4)) - exact(a, ta, b_drop, tb)[0]) <= 4 * tolerance).all()
        start = np.random.default_rng(2).standard_normal((m, n)).astype(np.float32)
        c = start.copy()
        _core.gemm(c, a, ta, b, tb, accumulate=True)
        assert (np.abs(c - (start + wide)) <= tolerance + 1e-6 * np.abs(start)).all()


def test_dropped_operands_do_not_leak(isa):
    a, b = operands(20, 30, 300)
    keep = dropped(np.ones_like(a), 0.5) != 0
    poisoned = np.where(keep, a, np.nan).astype(np.float32)
    assert np.array_equal(product(poisoned, False, b, False, a_drop=drop(0.5)), product(a, False, b, False, a_drop=drop(0.5)))
    assert not product(np.full_like(a, np.inf), False, b, False, a_drop=drop(1.0)).any()
    assert not product(np.full_like(a, np.nan), False, b, False, drop=drop(1.0)).any()


@pytest.mark.parametrize(("ta", "tb"), [(False, False), (False, True), (True, False), (True, True)])
def test_threads_and_cuts_of_the_rows_give_the_same_bits(ta, tb, isa, each_thread_count):
    m, n, k = 150, 333, 801
    a, b = operands(m, n, k, ta, tb)
    bias = np.random.default_rng(1).standard_normal(n).astype(np.float32)
    first = None
    for _ in each_thread_count():
        whole = product(a, ta, b, tb, bias=bias, act=1, drop=drop(0.3))
        first = whole if first is None else first
        assert np.array_equal(whole, first)
        for start, stop in ((0, 1), (1, 8), (8, 40), (40, 150)):
            part = np.ascontiguousarray(a[:, start:stop] if ta else a[start:stop])
            assert np.array_equal(product(part, ta, b, tb, bias=bias, act=1, drop=drop(0.3, row0=start)), whole[start:stop])


def test_nan_and_infinity_go_where_they_belong(isa):
    a, b = operands(17, 40, 20)
    a[3, 4], a[5, 6] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        c = product(a, False, b, False)
        assert np.isnan(c[3]).all() and np.isinf(c[5]).all()
        assert np.isfinite(np.delete(c, [3, 5], axis=0)).all()
        assert np.isnan(product(a, False, b, False, act=1)[3]).all()  # ReLU keeps NaN


def test_subnormals_do_not_change_the_callers_mode(isa):
    tiny = np.full((64, 64), 1e-39, np.float32)
    product(tiny, False, tiny, False)
    assert np.float32(1e-39) * np.float32(1.0) != 0  # still gradual underflow out here
