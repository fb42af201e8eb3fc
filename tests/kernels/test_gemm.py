"""The matrix product, with its packers and epilogues, compared with float64."""

import numpy as np
import pytest

from fastdrop import _core
from helpers import twin

SIZES = (0, 1, 2, 3, 5, 8, 13, 16, 17, 31, 33, 64, 100, 129, 200, 385, 520)
SHAPES = [tuple(int(n) for n in row) for row in np.random.default_rng(0).choice(SIZES, (60, 3))] + [
    (300, 1100, 900),
    (1, 1000, 784),
    (1000, 1, 50),
    (14, 32, 384),
    (15, 33, 385),
    (2, 3, 2000),
    (0, 5, 3),
    (5, 0, 3),
    (5, 7, 0),
]


def operands(m, n, k, ta=False, tb=False, seed=0):
    rng = np.random.default_rng(seed)
    a, b = (
        rng.standard_normal((k, m) if ta else (m, k), dtype=np.float32),
        rng.standard_normal((n, k) if tb else (k, n), dtype=np.float32),
    )
    return a, b


def exact(a, ta, b, tb):
    """The product in float64, and the sum of absolute terms that bounds its rounding error."""
    a, b = (a.T if ta else a).astype(np.float64), (b.T if tb else b).astype(np.float64)
    return a @ b, np.abs(a) @ np.abs(b)


def product(a, ta, b, tb, **options):
    """C, in memory whose ends must stay as they are."""
    m, n = a.shape[ta], b.shape[1 - tb]
    memory = np.full(m * n + 256, np.float32(77))
    c = memory[128 : 128 + m * n].reshape(m, n)
    _core.gemm(c, a, ta, b, tb, **options)
    assert (memory[:128] == 77).all() and (memory[128 + m * n :] == 77).all()
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
            assert (
                np.abs(product(a, ta, b, tb, a_drop=drop(p, site=2)) - exact(a_drop, ta, b, tb)[0])
                <= 4 * tolerance
            ).all()
            assert (
                np.abs(product(a, ta, b, tb, b_drop=drop(p, site=4)) - exact(a, ta, b_drop, tb)[0])
                <= 4 * tolerance
            ).all()
        added = np.full((m, n), 0.5, np.float32)
        _core.gemm(
            added, a, ta, b, tb, a_drop=drop(0.3, site=2), b_drop=drop(0.5, site=4), accumulate=True
        )
        both = exact(dropped(a, 0.3, site=2), ta, dropped(b, 0.5, site=4), tb)[0] + 0.5
        assert (np.abs(added - both) <= 8 * tolerance + 1e-6).all()
        start = np.random.default_rng(2).standard_normal((m, n)).astype(np.float32)
        c = start.copy()
        _core.gemm(c, a, ta, b, tb, accumulate=True)
        assert (np.abs(c - (start + wide)) <= tolerance + 1e-6 * np.abs(start)).all()


@pytest.mark.parametrize(("ta", "tb"), [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_dropped_operands_do_not_leak(ta, tb, poison, isa):
    a, b = operands(20, 30, 600, ta, tb)
    a_bad, b_bad = (
        np.where(dropped(np.ones_like(x), 0.4, site=site) != 0, x, np.float32(poison))
        for x, site in ((a, 2), (b, 4))
    )
    both = dict(a_drop=drop(0.4, site=2), b_drop=drop(0.4, site=4))
    wide, bound = exact(dropped(a, 0.4, site=2), ta, dropped(b, 0.4, site=4), tb)
    c = product(a_bad, ta, b_bad, tb, **both)
    assert (np.abs(c - wide) <= 4e-6 * bound).all()
    assert np.array_equal(c, product(a, ta, b, tb, **both))


def test_rate_one_gives_zeros_whatever_the_operands_hold(isa):
    a, b = operands(20, 30, 300)
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
            assert np.array_equal(
                product(part, ta, b, tb, bias=bias, act=1, drop=drop(0.3, row0=start)),
                whole[start:stop],
            )


@pytest.mark.parametrize(
    "shape",
    [(1, 784, 1000), (7, 10, 2000), (64, 500, 37), (33, 31, 385), (200, 1, 129), (13, 260, 520)],
    ids=str,
)
@pytest.mark.parametrize(("ta", "tb"), [(False, False), (False, True), (True, False), (True, True)])
def test_a_row_does_not_depend_on_the_rows_beside_it(shape, ta, tb, isa, each_thread_count):
    """With every kind of epilogue and dropped operands; a mask's row may be given by its number."""
    m, n, k = shape
    a, b = operands(m, n, k, ta, tb)
    bias = np.random.default_rng(1).standard_normal(n).astype(np.float32)
    first = None
    for _ in each_thread_count():
        for kind in (0, 1, 7):
            options = dict(bias=bias, act=kind, b_drop=drop(0.2, site=4))
            if not ta:
                options["a_drop"] = drop(0.3, site=2)
            whole = product(a, ta, b, tb, drop=drop(0.3), **options)
            if kind == 7:
                first = whole if first is None else first
                assert np.array_equal(whole, first)
            for row in {0, m // 2, m - 1}:
                alone = np.ascontiguousarray(a[:, row : row + 1] if ta else a[row : row + 1])
                if not ta:
                    options["a_drop"] = drop(0.3, site=2, row0=row)
                stream, q, scale = drop(0.3)
                listed = (
                    _core.Stream(
                        stream.seed, stream.site, 0, stream.draw, rows=np.array([row], np.uint32)
                    ),
                    q,
                    scale,
                )
                assert np.array_equal(
                    product(alone, ta, b, tb, drop=listed, **options), whole[row : row + 1]
                )


def test_earlier_contents_of_the_result_do_not_matter(isa):
    a, b = operands(19, 70, 400)
    clean, bound = exact(a, False, b, False)
    for before in (np.nan, np.inf):
        c = np.full((19, 70), before, np.float32)
        _core.gemm(c, a, False, b, False)
        assert (np.abs(c - clean) <= 1e-6 * bound).all()


def test_a_product_of_length_zero(isa):
    a, b = np.empty((6, 0), np.float32), np.empty((0, 9), np.float32)
    bias = np.linspace(-1, 1, 9, dtype=np.float32)
    kept = dropped(np.ones((6, 9), np.float32), 0.5)
    assert np.array_equal(
        product(a, False, b, False, bias=bias, act=1, drop=drop(0.5)), np.maximum(bias, 0) * kept
    )
    c = np.full((6, 9), np.float32(3))
    _core.gemm(c, a, False, b, False, accumulate=True)
    assert (c == 3).all()


def test_rows_with_numbers_in_dropped_operands(isa):
    """The rows of the stored operand are the samples, also if the product reads it transposed."""
    numbers = np.random.default_rng(3).permutation(1000).astype(np.uint32)
    stream, q, scale = (
        _core.Stream(3, 1, rows=numbers),
        _core.keep_threshold(0.3),
        _core.keep_scale(_core.keep_threshold(0.3)),
    )
    for ta, tb in ((False, False), (True, True)):
        a, b = operands(45, 60, 410, ta, tb)
        a_small, b_small = (
            twin.dropout(x, 0.3, rows=numbers[: len(x)], seed=3, site=1) for x in (a, b)
        )
        wide, bound = exact(a_small, ta, b_small, tb)
        c = product(a, ta, b, tb, a_drop=(stream, q, scale), b_drop=(stream, q, scale))
        assert (np.abs(c - wide) <= 4e-6 * bound).all()


def test_nan_and_infinity_stay_in_their_rows(isa):
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
    assert np.float32(1e-39) * np.float32(1.0) != 0  # gradual underflow is still on


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1024, 784),
        (3, 37, 1000),
        (50, 10, 1024),
        (200, 1025, 385),
        (5, 7, 0),
        (2, 33, 16),
        (4, 0, 9),
        (1, 1, 1),
    ],
    ids=str,
)
def test_kept_panels_give_the_same_bits(shape, each_isa):
    m, n, k = shape
    x, w = operands(m, n, k, tb=True)
    bias = np.random.default_rng(1).standard_normal(n, dtype=np.float32)
    for _ in each_isa():
        panels = np.full(_core.panels_length(n, k), np.float32(np.nan))
        _core.pack(panels, w)
        expected = product(x, False, w, True, bias=bias, act=1)
        found = np.empty((m, n), np.float32)
        _core.gemm(found, x, False, None, True, bias=bias, act=1, panels=panels)
        assert np.array_equal(expected, found)


@pytest.mark.parametrize("zeros", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize(("samples", "repeat"), [(1, 50), (3, 17), (2, 5), (5, 14)])
def test_zeros_of_a_repeated_row_change_no_bit(samples, repeat, zeros, each_isa, each_thread_count):
    """With panels, the zeros of a row that many rows repeat are left out of their products.

    The bits are those of the product without panels, which leaves nothing out.
    """
    n, k, rows = 300, 1000, samples * repeat
    x, w = operands(samples, n, k, tb=True)
    rng = np.random.default_rng(2)
    bias = rng.standard_normal(n, dtype=np.float32)
    x *= rng.random((samples, k)) >= zeros
    x[0, :5] = (-0.0, 1e-40, -1e-42, np.inf, np.nan) if zeros == 0.3 else 0
    q, numbers = _core.keep_threshold(0.5), np.arange(rows, dtype=np.uint32)
    drop, a_drop = (
        (_core.Stream(1, site, domain=16, rows=numbers, draws=numbers), q, 2.0) for site in (0, 1)
    )
    options = dict(bias=bias, act=1, drop=drop, a_drop=a_drop, repeat=repeat)
    for _ in each_isa():
        panels = np.empty(_core.panels_length(n, k), np.float32)
        _core.pack(panels, w)
        expected, found = np.empty((rows, n), np.float32), np.empty((rows, n), np.float32)
        _core.gemm(expected, x, False, w, True, **options)
        for _ in each_thread_count():
            _core.gemm(found, x, False, None, True, panels=panels, **options)
            assert np.array_equal(expected, found, equal_nan=True)


@pytest.mark.parametrize("tb", [False, True], ids=["w", "w^T"])
@pytest.mark.parametrize("shape", [(70, 400), (151, 37), (333, 777)], ids=str)
def test_few_rows_give_the_bits_of_many(shape, tb, each_isa, each_thread_count):
    """However many rows: read in place, transposed in registers, turned, or packed."""
    n, k = shape
    a, b = operands(300, n, k, False, tb)
    b[0, 0] = np.float32(1e-42)
    bias = np.random.default_rng(1).standard_normal(n).astype(np.float32)
    for _ in each_isa():
        whole = [
            product(a, False, b, tb),
            product(a, False, b, tb, bias=bias, act=1, drop=drop(0.4), a_drop=drop(0.3, site=2)),
            product(a, False, b, tb, act=7, drop=drop(0.1)),
        ]
        for _ in each_thread_count():
            for m in (*range(1, 19), 24, 31, 33, 48, 64, 65, 127, 128, 129, 224, 225):
                few = a[:m]
                found = [
                    product(few, False, b, tb),
                    product(
                        few,
                        *(False, b, tb),
                        **dict(bias=bias, act=1, drop=drop(0.4), a_drop=drop(0.3, site=2)),
                    ),
                    product(few, False, b, tb, act=7, drop=drop(0.1)),
                ]
                for one, all_rows in zip(found, whole, strict=True):
                    assert np.array_equal(one, all_rows[:m])
