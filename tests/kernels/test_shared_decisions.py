"""Dropout with shared axes, with a fill value, and with streams by `sub`, against NumPy twins."""

import pickle

import numpy as np
import pytest

from fastdrop import _core
from helpers import mask_reference as reference
from helpers import twin

SHARES = [
    ((3, 5, 7), (False, True)),
    ((3, 5, 7), (True, False)),
    ((3, 5, 7), (True, True)),
    ((3, 5, 7), (False, False)),
    ((2, 6, 4, 5), (False, True, True)),
    ((2, 6, 4, 5), (True, False, True)),
    ((2, 6, 4, 5), (False, True, False)),
    ((2, 6, 4, 5), (True, True, False)),
    ((4, 300), (True,)),
    ((4, 1, 300, 1), (True, False, True)),
    ((3, 2, 131, 70), (False, False, True)),
    ((2, 3, 40000), (True, False)),
    ((2, 300, 1000), (False, True)),
    ((2, 30000, 2), (False, True)),
    ((5, 0, 3), (True, False)),
]


@pytest.mark.parametrize(("shape", "share"), SHARES, ids=str)
def test_shared_axes(shape, share, isa, each_thread_count):
    x = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    where = dict(seed=9, site=2, call=1, draw=3)
    for p in (0.0, 0.3, 0.5, 1.0):
        q = _core.keep_threshold(p)
        expected = twin.dropout_shared(x, p, share, row0=4, **where)
        for _ in each_thread_count():
            y = np.full_like(x, np.nan)
            _core.dropout(y, x, _core.Stream(**where, row0=4), q, _core.keep_scale(q), share=share)
            np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(np.signbit(y), np.signbit(expected))


@pytest.mark.parametrize("share", [None, (False, True), (True, False), (True, True)])
def test_scale_shift_and_fill(share, isa):
    x = np.random.default_rng(0).standard_normal((4, 37, 21), dtype=np.float32)
    x[0, 0, 0], x[1, 2, 3] = np.nan, np.inf
    y = x.copy()
    _core.dropout(
        y, y, _core.Stream(seed=1, site=0), _core.keep_threshold(0.3), 0.8, 0.25, -1.5, share
    )
    kept = twin.dropout_shared(np.ones_like(x), 0.3, share or (False, False), seed=1) != 0
    np.testing.assert_array_equal(
        y, np.where(kept, x * np.float32(0.8) + np.float32(0.25), np.float32(-1.5))
    )


@pytest.mark.parametrize("p", [0.5, 0.3])
def test_streams_by_sub(p, isa, each_thread_count):
    """A stream by `sub` gives row i the mask of a stream with sub + i."""
    rows, units = 23, 300
    expected = np.concatenate(
        [
            reference.keep_mask([77], units, p, seed=5, site=1, sub=3 + i, draw=2)
            for i in range(rows)
        ]
    )
    stream = _core.Stream(seed=5, site=1, draw=2, row0=77, sub=3, by_sub=True)
    for _ in each_thread_count():
        mask = np.empty((rows, units), np.bool_)
        _core.keep_mask(mask, stream, _core.keep_threshold(p))
        np.testing.assert_array_equal(mask, expected)
        numbers = np.empty((rows, units), np.float32)
        _core.uniform(numbers, stream)
        np.testing.assert_array_equal(
            numbers[4], reference.uniform23([77], units, seed=5, site=1, sub=7, draw=2, domain=0)[0]
        )
    again = pickle.loads(pickle.dumps(stream))
    assert repr(again) == repr(stream) and again.by_sub


@pytest.mark.parametrize("tb", [False, True])
def test_weights_are_dropped_while_the_product_packs_them(tb, isa):
    """DropConnect with one mask a pass: the shared row, sub = weight row, unit = column."""
    m, n, k = 9, 50, 400
    rng = np.random.default_rng(0)
    x, w = (
        rng.standard_normal((m, k), dtype=np.float32),
        rng.standard_normal((n, k) if tb else (k, n), dtype=np.float32),
    )
    q = _core.keep_threshold(0.4)
    stream = _core.Stream(seed=5, site=1, row0=reference.SHARED_ROW, by_sub=True)
    kept = np.concatenate(
        [
            reference.keep_mask([reference.SHARED_ROW], w.shape[1], 0.4, seed=5, site=1, sub=i)
            for i in range(len(w))
        ]
    )
    dropped = np.where(kept, w * np.float32(_core.keep_scale(q)), np.float32(0)).astype(np.float64)
    y = np.empty((m, n), np.float32)
    _core.gemm(y, x, False, w, tb, b_drop=(stream, q, _core.keep_scale(q)))
    np.testing.assert_allclose(y, x @ (dropped.T if tb else dropped), atol=1e-4)


@pytest.mark.parametrize("units", [5, 300, 1024])
def test_passes_side_by_side(units, isa, each_thread_count):
    """A row with its own draw number has the mask of a separate pass with that draw."""
    rows, draws = (
        np.repeat(np.arange(3, dtype=np.uint32) + 7, 4),
        np.tile(np.arange(4, dtype=np.uint32) + 2, 3),
    )
    stream = _core.Stream(seed=5, site=1, domain=16, rows=rows, draws=draws)
    expected = np.concatenate(
        [
            reference.keep_mask([r], units, 0.3, seed=5, site=1, domain=16, draw=d)
            for r, d in zip(rows, draws, strict=True)
        ]
    )
    x = np.random.default_rng(0).standard_normal((3, units), dtype=np.float32)
    w = np.random.default_rng(1).standard_normal((70, units), dtype=np.float32)
    drop = stream, _core.keep_threshold(0.3), _core.keep_scale(_core.keep_threshold(0.3))
    for _ in each_thread_count():
        mask = np.empty((12, units), np.bool_)
        _core.keep_mask(mask, stream, drop[1])
        np.testing.assert_array_equal(mask, expected)
        y, whole = np.empty((12, 70), np.float32), np.empty((12, 70), np.float32)
        _core.gemm(y, x, False, w, True, a_drop=drop, repeat=4)
        _core.gemm(whole, np.repeat(x, 4, 0), False, w, True, a_drop=drop)
        np.testing.assert_array_equal(y, whole)
    dropped = np.where(expected, np.repeat(x, 4, 0) * np.float32(drop[2]), np.float32(0)).astype(
        np.float64
    )
    assert (np.abs(y - dropped @ w.T) <= 1e-6 * (np.abs(dropped) @ np.abs(w.T)) + 1e-6).all()
    again = pickle.loads(pickle.dumps(stream))
    assert repr(again) == repr(stream) and np.array_equal(again.draws, draws)
