"""Products in bf16 with sums in float32, compared with NumPy."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import _core, kernels
from helpers import bf16, twin

FORMS = [(False, False), (False, True), (True, False), (True, True)]
rng = np.random.default_rng(0)
SHAPES = [tuple(int(n) for n in rng.integers(1, 71, 3)) for _ in range(40)] + [
    (1, 1, 1),
    (14, 32, 64),
    (15, 33, 65),
    (16, 64, 32),
    (3, 5, 769),
    (20, 33, 1601),
    (2, 3, 2400),
    (5, 7, 0),
    (0, 5, 3),
    (5, 0, 3),
]


@pytest.fixture
def each_bf16(each_isa):
    """A function that yields the name of each pair of kernels in turn, after selecting them."""

    def switch():
        for isa in each_isa():
            for name in bf16.available():
                _core.set_bf16_isa(name)
                yield isa, name

    yield switch
    _core.set_bf16_isa(None)


def operands(m, n, k, ta=False, tb=False, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((k, m) if ta else (m, k), dtype=np.float32)
    return a, rng.standard_normal((n, k) if tb else (k, n), dtype=np.float32)


def product(a, ta, b, tb, **options):
    """C, in memory whose ends must stay as they are."""
    m, n = a.shape[ta], b.shape[1 - tb]
    memory = np.full(m * n + 256, np.float32(77))
    c = memory[128 : 128 + m * n].reshape(m, n)
    _core.gemm(c, a, ta, b, tb, bf16=True, **options)
    assert (memory[:128] == 77).all() and (memory[128 + m * n :] == 77).all()
    return c


def as_read(x, transposed):
    return x.T if transposed else x


def drop(p, seed=3, site=1, row0=0):
    q = _core.keep_threshold(p)
    return _core.Stream(seed, site, 0, 5, row0), q, _core.keep_scale(q)


def dropped(x, p, seed=3, site=1, row0=0):
    return twin.dropout(x, p, row0=row0, seed=seed, site=site, draw=5)


def close(c, a, b, extra=0.0, name=""):
    """Whether c is A B of these operands, which are rounded to bf16 here."""
    a, b = bf16.rounded(a).astype(np.float64), bf16.rounded(b).astype(np.float64)
    return (np.abs(c - (a @ b + extra)) <= 2e-6 * (np.abs(a) @ np.abs(b) + np.abs(extra))).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_shapes_and_transpositions_have_the_bits_of_the_instructions(shape, each_bf16):
    for _, name in each_bf16():
        for ta, tb in FORMS:
            a, b = operands(*shape, ta, tb)
            c = product(a, ta, b, tb)
            if name == "amx_bf16":  # adds in another order
                assert close(c, as_read(a, ta), as_read(b, tb))
            else:
                assert np.array_equal(c, bf16.product(as_read(a, ta), as_read(b, tb)))


@pytest.mark.parametrize("k", [1, 2, 17, 300, 1500])
def test_the_error_is_within_the_bound_of_the_documentation(k, each_bf16):
    a, b = operands(30, 40, k, False, True)
    exact = a.astype(np.float64) @ b.T.astype(np.float64)
    bound = (2.01 * 2.0**-8 + k * 2.0**-24) * (np.abs(a).astype(np.float64) @ np.abs(b.T))
    for _ in each_bf16():
        error = np.abs(product(a, False, b, True) - exact)
        assert (error <= bound).all()
        assert (error > 1e-3 * bound).any()  # it is not float32


@pytest.mark.parametrize("shape", [(37, 45, 401), (3, 10, 784), (33, 70, 1601)], ids=str)
@pytest.mark.parametrize(("ta", "tb"), FORMS)
def test_dropout_of_operands_and_epilogues(shape, ta, tb, each_bf16):
    a, b = operands(*shape, ta, tb)
    m, n, _ = shape
    bias = np.random.default_rng(1).standard_normal(n).astype(np.float32)
    start = np.random.default_rng(2).standard_normal((m, n)).astype(np.float32)
    kept = dropped(np.ones((m, n), np.float32), 0.3)
    for _ in each_bf16():
        plain = product(a, ta, b, tb)
        for kind in (0, 1, 4, 7):
            c = product(a, ta, b, tb, bias=bias, act=kind, alpha=0.01, drop=drop(0.3))
            expected = twin.act(plain.astype(np.float64) + bias, kind) * kept
            assert np.allclose(c, expected, rtol=2e-6, atol=2e-6 * shape[2]), kind
            assert not c[kept == 0].any()
        a_drop, b_drop = dropped(a, 0.3, site=2), dropped(b, 0.5, site=4)
        for options, x, y in (
            (dict(a_drop=drop(0.3, site=2)), a_drop, b),
            (dict(b_drop=drop(0.5, site=4)), a, b_drop),
            (dict(a_drop=drop(0.3, site=2), b_drop=drop(0.5, site=4)), a_drop, b_drop),
        ):
            assert np.array_equal(product(a, ta, b, tb, **options), product(x, ta, y, tb))
        added = start.copy()
        _core.gemm(added, a, ta, b, tb, accumulate=True, bf16=True)
        assert close(added, as_read(a, ta), as_read(b, tb), extra=start.astype(np.float64))


@pytest.mark.parametrize(("ta", "tb"), FORMS)
def test_threads_and_cuts_of_the_rows_give_the_same_bits(ta, tb, each_bf16, each_thread_count):
    m, n, k = 150, 333, 1801
    a, b = operands(m, n, k, ta, tb)
    bias = np.random.default_rng(1).standard_normal(n).astype(np.float32)
    for _, name in each_bf16():
        if name == "emulated":  # a long product
            continue
        first = None
        for _ in each_thread_count():
            whole = product(a, ta, b, tb, bias=bias, act=1, drop=drop(0.3))
            first = whole if first is None else first
            assert np.array_equal(whole, first)
            for start, stop in ((0, 1), (1, 8), (8, 40), (40, 150)):
                part = np.ascontiguousarray(a[:, start:stop] if ta else a[start:stop])
                c = product(part, ta, b, tb, bias=bias, act=1, drop=drop(0.3, row0=start))
                assert np.array_equal(c, whole[start:stop])


@pytest.mark.parametrize(("ta", "tb"), FORMS)
def test_emulated_products_do_not_depend_on_threads_or_other_rows(ta, tb, each_thread_count):
    a, b = operands(40, 50, 900, ta, tb)
    _core.set_bf16_isa("emulated")
    try:
        first = bf16.product(as_read(a, ta), as_read(b, tb))
        for _ in each_thread_count():
            assert np.array_equal(product(a, ta, b, tb), first)
            part = np.ascontiguousarray(a[:, 3:19] if ta else a[3:19])
            assert np.array_equal(product(part, ta, b, tb), first[3:19])
    finally:
        _core.set_bf16_isa(None)


@pytest.mark.parametrize("shape", [(1, 784, 200), (7, 10, 1601), (64, 70, 37), (5, 33, 1)], ids=str)
def test_kept_panels_give_the_same_bits(shape, each_bf16, each_thread_count):
    m, n, k = shape
    x, w = operands(m, n, k, False, True)
    bias = np.random.default_rng(1).standard_normal(n).astype(np.float32)
    for _ in each_bf16():
        expected = product(x, False, w, True, bias=bias, act=1)
        for _ in each_thread_count():
            panels = np.full(_core.panels_length(n, k, True), np.float32(np.nan))
            _core.pack(panels, w, True)
            found = np.empty((m, n), np.float32)
            options = dict(bias=bias, act=1, panels=panels, bf16=True)
            _core.gemm(found, x, False, None, True, **options)
            assert np.array_equal(found, expected)
        assert len(panels) <= _core.panels_length(n, k) // 2 + 64 * (k + 1)


def test_repeated_rows_have_masks_of_their_own(each_bf16):
    x, w = operands(5, 40, 150, False, True)
    mask = drop(0.5, site=2)
    for _ in each_bf16():
        found = np.empty((35, 40), np.float32)
        _core.gemm(found, x, False, w, True, a_drop=mask, repeat=7, bf16=True)
        whole = product(np.repeat(x, 7, 0), False, w, True, a_drop=mask)
        assert np.array_equal(found, whole)


SPECIAL = np.array(
    [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-45, 2.0**-126, 3.4e38, -3.4e38, 3.389e38]
    + [1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20, 2.0**-70, 1e-30],
    np.float32,
)


def test_infinities_nans_and_subnormals(each_bf16):
    """One product an element: rounding, flushing, and sums of special numbers."""
    n = len(SPECIAL)
    with np.errstate(all="ignore"):
        expected = bf16.product(SPECIAL[:, None], SPECIAL[None, :])
        sums = bf16.product(np.stack([SPECIAL, SPECIAL[::-1]], 1), np.ones((2, 3)))
    assert np.isnan(expected).any() and np.isinf(expected).any()
    for _, name in each_bf16():
        for ta, tb in FORMS:
            a, b = (
                SPECIAL.reshape((1, n) if ta else (n, 1)),
                SPECIAL.reshape((n, 1) if tb else (1, n)),
            )
            assert np.array_equal(product(a, ta, b, tb), expected, equal_nan=True)
        pairs = np.ascontiguousarray(np.stack([SPECIAL, SPECIAL[::-1]], 1))
        found = product(pairs, False, np.ones((2, 3), np.float32), False)
        if name != "amx_bf16":
            assert np.array_equal(found, sums, equal_nan=True)
        assert np.array_equal(np.isnan(found), np.isnan(sums))


def test_numbers_beside_the_operands_do_not_matter(each_bf16):
    """A row of NaN or infinity reaches its own results only, also at the ends of tiles."""
    a, b = operands(17, 35, 33)
    for _ in each_bf16():
        clean = product(a, False, b, False)
        bad_a, bad_b = a.copy(), b.copy()
        bad_a[5], bad_b[:, 33] = np.nan, np.inf
        found = product(bad_a, False, bad_b, False)
        rows, columns = np.arange(17) != 5, np.arange(35) != 33
        assert np.array_equal(found[np.ix_(rows, columns)], clean[np.ix_(rows, columns)])
        assert np.isnan(found[5]).all() and not np.isfinite(found[:, 33]).any()


def test_rows_with_a_distance(each_bf16):
    a, b = operands(9, 21, 43)
    wide_a, wide_c = np.full((9, 60), np.nan, np.float32), np.full((9, 50), 77, np.float32)
    wide_a[:, 7:50] = a
    for _ in each_bf16():
        _core.gemm(wide_c[:, 11:32], wide_a[:, 7:50], False, b, False, bf16=True)
        assert np.array_equal(wide_c[:, 11:32], product(a, False, b, False))
        assert (wide_c[:, :11] == 77).all() and (wide_c[:, 32:] == 77).all()


def test_without_such_kernels_the_product_is_in_float32(each_isa):
    a, b = operands(20, 30, 50)
    seen = {}
    for isa in each_isa():
        c = np.empty((20, 30), np.float32)
        _core.gemm(c, a, False, b, False)
        seen[isa] = _core.bf16_isa()
        assert np.array_equal(product(a, False, b, False), c) == (seen[isa] is None)
    assert seen["scalar"] == "emulated"
    assert seen.get("avx2") is None and seen.get("neon") is None
    with pytest.raises(ValueError, match="no products in bf16 by 'float8'"):
        _core.set_bf16_isa("float8")


def test_functions_on_arrays_follow_the_precision(each_bf16):
    a, b = operands(12, 18, 40)
    bias = np.arange(18, dtype=np.float32)
    for _ in each_bf16():
        plain, layer = kernels.matmul(a, b), kernels.linear(a, b.T, bias)
        connected = kernels.dropconnect_linear(a, b.T, p=0.5, per_sample=False)
        with fd.float32_matmul_precision("medium"):
            assert np.array_equal(kernels.matmul(a, b), product(a, False, b, False))
            assert np.array_equal(
                kernels.matmul(a[::2], b[:, ::-1]), kernels.matmul(a, b)[::2, ::-1]
            )
            assert np.array_equal(
                kernels.linear(a, b.T, bias), product(a, False, b, False, bias=bias)
            )
            in_bf16 = kernels.dropconnect_linear(a, b.T, p=0.5, per_sample=False)
        assert not np.array_equal(in_bf16, connected)
        assert np.allclose(in_bf16, connected, atol=0.3)
        assert np.array_equal(kernels.matmul(a, b), plain)
        assert np.array_equal(kernels.linear(a, b.T, bias), layer)
