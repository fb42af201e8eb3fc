"""Dropout on arrays against its NumPy twin: layouts, dtypes, `out`, row numbers, empty arrays."""

import functools

import numpy as np
import pytest

from fastdrop import kernels as K
from helpers import mask_reference as reference
from helpers import twin
from helpers.arrays import floats

WHERE = dict(seed=5, site=2, draw=3, sub=1, call=1)


@pytest.mark.parametrize(
    "shape",
    [(1, 1), (4, 10), (3, 128), (5, 129), (7, 1000), (2, 3, 50), (2, 3, 4, 5), (300,), (20, 20000)],
    ids=str,
)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.999999, 1.0])
def test_dropout_equals_the_numpy_twin_bit_for_bit(shape, p, each_isa):
    x = floats(*shape)
    expected = twin.dropout(x, p, row0=4, **WHERE)
    for _ in each_isa():
        y = K.dropout(x, p, row0=4, **WHERE)
        assert y.dtype == np.float32 and y.shape == shape
        assert np.array_equal(y, expected) and np.array_equal(np.signbit(y), np.signbit(expected))
        assert np.array_equal(K.dropout_backward(x, p, row0=4, **WHERE), expected)
    assert np.array_equal(
        K.dropout(x, p, row0=4, inverted=False, **WHERE),
        twin.dropout(x, p, row0=4, inverted=False, **WHERE),
    )


def test_dropped_elements_are_plus_zero_for_any_input(isa):
    x = np.resize(
        np.array([np.nan, np.inf, -np.inf, -0.0, -1.0, 1e38, 1e-45], np.float32), (50, 300)
    ).copy()
    y = K.dropout(x, 0.4, seed=1)
    kept = reference.keep_mask(np.arange(50), 300, 0.4, seed=1)
    assert (y[~kept] == 0).all() and not np.signbit(y[~kept]).any()
    assert np.array_equal(y, twin.dropout(x, 0.4, seed=1), equal_nan=True)
    assert not K.dropout(x, 1.0).any() and not np.signbit(K.dropout(x, 1.0)).any()
    assert np.array_equal(K.dropout(x, 0.0), x, equal_nan=True)


def test_out_may_be_the_input():
    x = floats(6, 500)
    expected = twin.dropout(x, 0.3)
    assert K.dropout(x, 0.3, out=x) is x
    assert np.array_equal(x, expected)


def test_out_may_share_memory_with_a_converted_input():
    x = floats(6, 500)
    expected = twin.dropout(x, 0.3)
    assert K.dropout(memoryview(x), 0.3, out=x) is x
    assert np.array_equal(x, expected)
    wide = np.zeros((6, 1000), np.float32)
    wide[:, ::2] = floats(6, 500)
    assert np.array_equal(K.dropout(wide[:, ::2], 0.3, out=wide[:, ::2]), expected)
    assert np.array_equal(wide[:, ::2], expected) and not wide[:, 1::2].any()


@functools.cache
def large_input_and_mask():
    """Computed once for all instruction sets: the reference takes seconds for so many elements."""
    mask = [
        reference.keep_mask(rows, 40000, 0.5, seed=2) for rows in np.arange(300).reshape(30, 10)
    ]
    return floats(300, 40000), np.concatenate(mask)


def test_large_arrays_that_bypass_the_caches(isa):
    x, kept = large_input_and_mask()
    # The offset gives rows at every alignment of vectors.
    out = np.empty(300 * 40000 + 3, np.float32)[3:].reshape(300, 40000)
    assert K.dropout(x, 0.5, seed=2, out=out) is out
    assert np.array_equal(out, np.where(kept, x * np.float32(2), 0))


def test_rows_and_row0():
    x = floats(10, 300)
    whole = twin.dropout(x, 0.3, **WHERE)
    assert np.array_equal(K.dropout(x[5:], 0.3, row0=5, **WHERE), whole[5:])
    order = np.array([7, 2, 2, 9])
    assert np.array_equal(K.dropout(x[order], 0.3, rows=order, **WHERE), whole[order])


def magnitude(x, w):
    """The largest sum of |x_i w_i|, of which a rounding error of a product is a fraction."""
    return (np.abs(x).astype(np.float64) @ np.abs(w).T.astype(np.float64)).max()


def layouts(x):
    """x in memory layouts that kernels cannot read, and in other dtypes that hold it exactly."""
    wide = np.zeros((x.shape[0], 2 * x.shape[1]), np.float32)
    wide[:, ::2] = x
    raw = np.zeros(x.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(np.float32).reshape(x.shape)
    misaligned[...] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    return {
        "every second": wide[:, ::2],
        "Fortran": np.asfortranarray(x),
        "reversed": x[::-1].copy()[::-1],
        "misaligned": misaligned,
        "swapped": x.astype(">f4"),
        "read-only": frozen,
        "float64": x.astype(np.float64),
        "list": x.tolist(),
        "float16": x.astype(np.float16),
        "int8": x.astype(np.int8),
        "uint64": x.astype(np.uint64),
    }


@pytest.mark.parametrize("name", layouts(np.zeros((2, 2), np.float32)))
def test_every_layout_and_dtype(name):
    x = np.random.default_rng(0).integers(0, 100, (6, 140)).astype(np.float32)
    given = layouts(x)[name]
    assert np.array_equal(K.dropout(given, 0.3), twin.dropout(x, 0.3))
    w = floats(30, 140)
    # Layouts may not change a bit: each result equals that of the dense array, and that is right.
    dense, product = K.linear(x, w), x.astype(np.float64) @ w.T.astype(np.float64)
    assert np.abs(dense - product).max() < 1e-6 * magnitude(x, w)
    assert np.array_equal(K.linear(given, w), dense)
    assert np.array_equal(K.matmul(given, w.T), dense)
    assert np.array_equal(np.asarray(given, np.float32), x)


def test_output_of_any_layout():
    x, w = floats(6, 140), floats(30, 140)
    dropped, product = twin.dropout(x, 0.3), x.astype(np.float64) @ w.T.astype(np.float64)
    for out in (
        np.zeros((6, 280), np.float32)[:, ::2],
        np.asfortranarray(np.zeros((6, 140), np.float32)),
    ):
        assert K.dropout(x, 0.3, out=out) is out and np.array_equal(out, dropped)
    for compute, second in ((K.linear, w), (K.matmul, w.T)):
        out = np.zeros((60, 6), np.float32)[::2].T
        assert compute(x, second, out=out) is out
        assert np.abs(out - product).max() < 1e-6 * magnitude(x, w)
        assert np.array_equal(out, compute(x, second))  # the same bits as in a dense array


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (0, 0), (3, 0, 2)])
def test_dropout_of_empty_arrays(shape):
    assert K.dropout(np.empty(shape, np.float32), 0.5).shape == shape


def test_empty_masks_and_products():
    assert (
        K.keep_mask(0, 5, 0.5).shape == (0, 5)
        and K.keep_mask([], 5, 0.5).shape == (0, 5)
        and K.keep_mask(5, 0, 0.5).shape == (5, 0)
    )
    assert (
        K.keep_bits(5, 0, 0.5).shape == (5, 0)
        and K.uniform(0, 3).shape == (0, 3)
        and K.normal(3, 0).shape == (3, 0)
    )
    assert not K.matmul(np.empty((3, 0)), np.empty((0, 4))).any() and K.matmul(
        np.empty((0, 3)), np.empty((3, 4))
    ).shape == (0, 4)
    b = floats(4)
    assert np.array_equal(K.linear(np.empty((3, 0)), np.empty((4, 0)), b), np.tile(b, (3, 1)))
