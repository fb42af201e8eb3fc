"""fastdrop.kernels: the public functions on plain arrays."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop._utils import validation as check
from fastdrop.data.dataset import Dataset
from helpers import twin


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


WHERE = dict(seed=5, site=2, draw=3, sub=1, call=1)


@pytest.mark.parametrize(
    "shape",
    [(1, 1), (4, 10), (3, 128), (5, 129), (7, 1000), (2, 3, 50), (2, 3, 4, 5), (300,), (20, 20000)],
    ids=str,
)
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.999999, 1.0])
def test_dropout_equals_the_twin_bit_for_bit(shape, p, each_isa):
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


def test_dropped_is_plus_zero_whatever_was_there(isa):
    x = np.resize(
        np.array([np.nan, np.inf, -np.inf, -0.0, -1.0, 1e38, 1e-45], np.float32), (50, 300)
    ).copy()
    y = K.dropout(x, 0.4, seed=1)
    kept = K.keep_mask(50, 300, 0.4, seed=1)
    assert (y[~kept] == 0).all() and not np.signbit(y[~kept]).any()
    assert np.array_equal(y, twin.dropout(x, 0.4, seed=1), equal_nan=True)
    assert not K.dropout(x, 1.0).any() and not np.signbit(K.dropout(x, 1.0)).any()
    assert np.array_equal(K.dropout(x, 0.0), x, equal_nan=True)


def test_out_may_be_the_input():
    x = floats(6, 500)
    expected = twin.dropout(x, 0.3)
    assert K.dropout(x, 0.3, out=x) is x
    assert np.array_equal(x, expected)


def test_out_may_be_what_a_converted_input_shares():
    x = floats(6, 500)
    expected = twin.dropout(x, 0.3)
    assert K.dropout(memoryview(x), 0.3, out=x) is x
    assert np.array_equal(x, expected)
    wide = np.zeros((6, 1000), np.float32)
    wide[:, ::2] = floats(6, 500)
    assert np.array_equal(K.dropout(wide[:, ::2], 0.3, out=wide[:, ::2]), expected)
    assert np.array_equal(wide[:, ::2], expected) and not wide[:, 1::2].any()


def test_large_arrays_go_past_the_caches(isa):
    x = floats(300, 40000)
    out = np.empty(300 * 40000 + 3, np.float32)[3:].reshape(
        300, 40000
    )  # at every alignment of vectors
    assert np.array_equal(
        K.dropout(x, 0.5, seed=2, out=out),
        np.where(K.keep_mask(300, 40000, 0.5, seed=2), x * np.float32(2), 0),
    )


def test_rows_and_row0():
    x = floats(10, 300)
    whole = K.dropout(x, 0.3, **WHERE)
    assert np.array_equal(K.dropout(x[5:], 0.3, row0=5, **WHERE), whole[5:])
    order = np.array([7, 2, 2, 9])
    assert np.array_equal(K.dropout(x[order], 0.3, rows=order, **WHERE), whole[order])


def layouts(x):
    """The same numbers in memory that kernels cannot read directly, and other dtypes that hold them exactly."""
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
    assert np.array_equal(K.linear(given, w), K.linear(x, w))
    assert np.array_equal(K.matmul(given, w.T), K.matmul(x, np.ascontiguousarray(w.T)))
    assert np.array_equal(np.asarray(given, np.float32), x)


def test_output_of_any_layout():
    x, w = floats(6, 140), floats(30, 140)
    for out in (
        np.zeros((6, 280), np.float32)[:, ::2],
        np.asfortranarray(np.zeros((6, 140), np.float32)),
    ):
        assert K.dropout(x, 0.3, out=out) is out and np.array_equal(out, K.dropout(x, 0.3))
    out = np.zeros((60, 6), np.float32)[::2].T
    assert K.linear(x, w, out=out) is out and np.array_equal(out, K.linear(x, w))
    assert K.matmul(x, w.T, out=out) is out and np.array_equal(out, K.matmul(x, w.T))


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (0, 0), (3, 0, 2)])
def test_nothing_to_drop(shape):
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


def test_linear_of_one_row_is_the_row_of_a_batch(isa):
    x, w = floats(40, 500), floats(130, 500, seed=1)
    whole = K.linear(x, w, activation="gelu", p=0.4, seed=3)
    for row in (0, 1, 17, 39):
        assert np.array_equal(
            K.linear(x[row : row + 1], w, activation="gelu", p=0.4, seed=3, row0=row),
            whole[row : row + 1],
        )
    assert np.array_equal(
        K.linear(x[5:10], w, activation="gelu", p=0.4, seed=3, row0=5), whole[5:10]
    )


@pytest.mark.parametrize("activation", [None, *K.ACTIVATIONS])
def test_linear_drops_to_plus_zero_whatever_was_there(activation):
    x, w = floats(6, 20), floats(50, 20, seed=1)
    x[2], x[4, 3] = np.nan, np.inf
    kept = K.keep_mask(6, 50, 0.5, seed=1)
    with np.errstate(invalid="ignore"):
        y = K.linear(x, w, activation=activation, p=0.5, seed=1)
    assert (y[~kept] == 0).all() and not np.signbit(y[~kept]).any()
    assert np.isnan(y[2][kept[2]]).all()


@pytest.mark.parametrize("activation", [None, *K.ACTIVATIONS])
def test_linear(activation, each_isa):
    x, w, b = floats(37, 200), floats(90, 200, seed=1) / 14, floats(90, seed=2)
    kind = 0 if activation is None else K.ACTIVATIONS[activation]
    kept = twin.dropout(np.ones((37, 90), np.float32), 0.3, row0=6, **WHERE).astype(np.float64)
    x_dropped = twin.dropout(x, 0.2, row0=6, **{**WHERE, "site": 9}).astype(np.float64)
    expected = twin.act(x_dropped @ w.T + b, kind, 0.1) * kept
    for _ in each_isa():
        y = K.linear(
            x,
            w,
            b,
            activation=activation,
            p=0.3,
            row0=6,
            negative_slope=0.1,
            input_p=0.2,
            input_site=9,
            **WHERE,
        )
        assert np.abs(y - expected).max() < 2e-5
        assert not y[kept == 0].any()
        cut = K.linear(
            x[5:9],
            w,
            b,
            activation=activation,
            p=0.3,
            row0=11,
            negative_slope=0.1,
            input_p=0.2,
            input_site=9,
            **WHERE,
        )
        assert np.array_equal(cut, y[5:9])
        listed = K.linear(
            x[5:9],
            w,
            b,
            activation=activation,
            p=0.3,
            rows=[11, 12, 13, 14],
            negative_slope=0.1,
            input_p=0.2,
            input_site=9,
            **WHERE,
        )
        assert np.array_equal(listed, y[5:9])
    assert np.array_equal(K.linear(x, w), K.matmul(x, w.T))
    assert np.array_equal(K.linear(x, np.asfortranarray(w)), K.linear(x, w))


X, W, B = floats(4, 6), floats(3, 6), floats(3)
READ_ONLY = np.zeros((4, 6), np.float32)
READ_ONLY.flags.writeable = False
BASE, SQUARE, LISTED = (
    np.zeros((5, 6), np.float32),
    np.ones((6, 6), np.float32),
    np.zeros((4, 1), np.float32),
)
ERRORS = {  # name of the argument -> calls that must complain about it
    "p": [
        (TypeError, lambda: K.dropout(X, "0.5")),
        (TypeError, lambda: K.dropout(X, None)),
        (TypeError, lambda: K.dropout(X, True)),
        (ValueError, lambda: K.dropout(X, float("nan"))),
        (ValueError, lambda: K.dropout(X, -0.1)),
        (ValueError, lambda: K.dropout(X, 1.1)),
        (ValueError, lambda: K.keep_mask(3, 3, np.float64("inf"))),
        (TypeError, lambda: K.dropout(X, 0.5j)),
        (TypeError, lambda: K.linear(X, W, p=[0.5])),
    ],
    "x": [
        (TypeError, lambda: K.dropout(X > 0, 0.5)),
        (TypeError, lambda: K.dropout(X + 0j, 0.5)),
        (TypeError, lambda: K.dropout(X.astype(object), 0.5)),
        (ValueError, lambda: K.dropout([[1.0], [1.0, 2.0]], 0.5)),
        (TypeError, lambda: K.dropout(np.zeros(3, "M8[s]"), 0.5)),
        (TypeError, lambda: K.dropout("abc", 0.5)),
        (TypeError, lambda: K.dropout(None, 0.5)),
        (ValueError, lambda: K.dropout(np.float32(1), 0.5)),
        (ValueError, lambda: K.linear(X[0], W)),
        (TypeError, lambda: K.linear(X.astype("U4"), W)),
    ],
    "dy": [
        (TypeError, lambda: K.dropout_backward(X > 0, 0.5)),
        (ValueError, lambda: K.dropout_backward(np.float32(1), 0.5)),
    ],
    "w": [
        (ValueError, lambda: K.linear(X, W[:, :5])),
        (ValueError, lambda: K.linear(X, W[0])),
        (TypeError, lambda: K.linear(X, W > 0)),
    ],
    "b": [
        (ValueError, lambda: K.linear(X, W, B[:2])),
        (ValueError, lambda: K.linear(X, W, W)),
        (TypeError, lambda: K.linear(X, W, B + 1j)),
        (ValueError, lambda: K.matmul(X, X)),
        (ValueError, lambda: K.matmul(X, X[0])),
    ],
    "a": [(ValueError, lambda: K.matmul(X[None], X)), (TypeError, lambda: K.matmul(X > 0, X.T))],
    "activation": [
        (ValueError, lambda: K.linear(X, W, activation="reluu")),
        (TypeError, lambda: K.linear(X, W, activation=1)),
    ],
    "negative_slope": [(ValueError, lambda: K.linear(X, W, negative_slope=float("nan")))],
    "input_site": [
        (ValueError, lambda: K.linear(X, W, p=0.5, input_site=-1)),
        (TypeError, lambda: K.linear(X, W, input_p=0.5, input_site=1.0)),
        (ValueError, lambda: K.linear(X, W, p=0.5, input_p=0.5, site=1, input_site=1)),
    ],
    "input_p": [(ValueError, lambda: K.linear(X, W, input_p=2))],
    "inverted": [(TypeError, lambda: K.dropout(X, 0.5, inverted=1))],
    "seed": [
        (ValueError, lambda: K.dropout(X, 0.5, seed=-1)),
        (ValueError, lambda: K.dropout(X, 0.5, seed=2**64)),
        (TypeError, lambda: K.dropout(X, 0.5, seed=1.0)),
        (TypeError, lambda: K.dropout(X, 0.5, seed=None)),
    ],
    "site": [
        (ValueError, lambda: K.keep_bits(1, 1, 0.5, site=2**32)),
        (TypeError, lambda: K.linear(X, W, p=0.5, input_p=0.5, site=np.arange(2))),
    ],
    "draw": [(ValueError, lambda: K.uniform(1, 1, draw=-1))],
    "sub": [(ValueError, lambda: K.normal(1, 1, sub=2**32))],
    "call": [(TypeError, lambda: K.normal(1, 1, call="0"))],
    "row0": [
        (ValueError, lambda: K.dropout(X, 0.5, row0=2**32)),
        (ValueError, lambda: K.dropout(X, 0.5, row0=2**32 - 2)),
        (ValueError, lambda: K.keep_mask([1], 1, 0.5, row0=3)),
    ],
    "rows": [
        (ValueError, lambda: K.keep_mask(-1, 1, 0.5)),
        (TypeError, lambda: K.keep_mask(1.5, 1, 0.5)),
        (ValueError, lambda: K.keep_mask([-1], 1, 0.5)),
        (ValueError, lambda: K.keep_mask([2**32], 1, 0.5)),
        (TypeError, lambda: K.keep_mask([2**70], 1, 0.5)),
        (TypeError, lambda: K.keep_mask([True], 1, 0.5)),
        (ValueError, lambda: K.keep_mask([[1], [1, 2]], 1, 0.5)),
        (ValueError, lambda: K.keep_mask(2**32 + 1, 1, 0.5)),
        (TypeError, lambda: K.keep_mask({1}, 1, 0.5)),
        (ValueError, lambda: K.keep_mask(2**32, 2**34, 0.5)),
        (ValueError, lambda: K.normal(2**32, 2**34)),
        (ValueError, lambda: K.dropout(X, 0.5, rows="abcd")),
        (ValueError, lambda: K.dropout(X[0], 0.5, rows=[1, 2])),
        (TypeError, lambda: K.keep_mask([0.5], 1, 0.5)),
        (ValueError, lambda: K.keep_mask([[1]], 1, 0.5)),
        (ValueError, lambda: K.dropout(X, 0.5, rows=[1, 2])),
        (ValueError, lambda: K.linear(X, W, rows=5)),
    ],
    "units": [
        (ValueError, lambda: K.keep_mask(1, -1, 0.5)),
        (ValueError, lambda: K.keep_mask(0, 2**34 + 1, 0.5)),
        (TypeError, lambda: K.keep_mask(1, 2.0, 0.5)),
    ],
    "out": [
        (TypeError, lambda: K.dropout(X, 0.5, out=[1])),
        (TypeError, lambda: K.dropout(X, 0.5, out=X.astype(np.float64))),
        (ValueError, lambda: K.dropout(X, 0.5, out=X.T)),
        (ValueError, lambda: K.dropout(X, 0.5, out=READ_ONLY)),
        (ValueError, lambda: K.dropout(BASE[:4], 0.5, out=BASE[1:])),
        (ValueError, lambda: K.dropout(memoryview(BASE)[:4], 0.5, out=BASE[1:])),
        (ValueError, lambda: K.matmul(np.ones((6, 6), np.float32), memoryview(SQUARE), out=SQUARE)),
        (ValueError, lambda: K.linear(memoryview(SQUARE), np.ones((6, 6), np.float32), out=SQUARE)),
        (TypeError, lambda: K.dropout(X, 0.5, out=X.astype(">f4"))),
        (ValueError, lambda: K.dropout(X.astype(np.float64), 0.5, out=READ_ONLY)),
        (TypeError, lambda: K.linear(X, W, out=np.zeros((4, 3)))),
        (ValueError, lambda: K.linear(X[:1], SQUARE, SQUARE[0], out=SQUARE[:1])),
        (ValueError, lambda: K.linear(SQUARE, SQUARE.T, out=SQUARE)),
        (
            ValueError,
            lambda: K.dropout(X[:, :1], 0.5, rows=LISTED.view(np.uint32)[:, 0], out=LISTED),
        ),
        (ValueError, lambda: K.matmul(X, X.T, out=np.zeros((4, 5), np.float32))),
        (ValueError, lambda: K.matmul(BASE[:, :5], BASE[:5, :5], out=BASE[:, :5])),
        (ValueError, lambda: K.linear(BASE, BASE[:3], out=BASE[:, :3])),
    ],
}


@pytest.mark.parametrize(
    ("name", "number"), [(name, i) for name, calls in ERRORS.items() for i in range(len(calls))]
)
def test_errors_name_the_argument_and_change_nothing(name, number):
    kind, call = ERRORS[name][number]
    arrays = (X, W, B, BASE, SQUARE, LISTED, READ_ONLY)
    before = [a.copy() for a in arrays]
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert name in str(caught.value).replace(",", " ").split(), str(caught.value)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))


def test_masked_arrays_are_refused_where_the_mask_would_be_lost():
    x = np.ma.array(X, mask=X > 1)
    for name, call in (
        ("x", lambda: K.dropout(x, 0.5)),
        ("w", lambda: K.linear(X, x)),
        ("rows", lambda: K.keep_mask(np.ma.array([1, 2]), 4, 0.5)),
        ("data", lambda: fd.tensor(x)),
        ("y", lambda: check.labels(np.ma.array([0, 1], mask=[0, 1]), "y")),
        ("x", lambda: Dataset(x)),
        ("target", lambda: fd.functional.cross_entropy(X, np.ma.array([0, 1, 1, 0]))),
        ("tensors['a']", lambda: fd.io.save({"a": x}, "none")),
    ):
        with pytest.raises(TypeError, match="mask") as caught:
            call()
        assert name in str(caught.value).split()
    assert np.array_equal(K.dropout(x.filled(0), 0.5), K.dropout(np.where(X > 1, 0, X), 0.5))


def test_outputs_that_overlap_themselves_are_refused():
    def strided(shape, strides):
        return as_strided(np.zeros(100, np.float32), shape, [4 * s for s in strides])

    x, y = floats(4, 5), K.dropout(floats(4, 5), 0.5)
    for strides in ((0, 1), (5, 0), (3, 1), (1, 1), (1, 3)):
        with pytest.raises(ValueError, match="out must have a place"):
            K.dropout(x, 0.5, out=strided((4, 5), strides))
    for strides in ((5, 1), (1, 4), (20, 2), (2, 9)):
        assert np.array_equal(K.dropout(x, 0.5, out=strided((4, 5), strides)), y)
    assert np.array_equal(K.dropout(x, 0.5, out=np.zeros((4, 5), np.float32)[::-1, ::-1]), y)
    assert np.array_equal(
        K.dropout(x[:, :1], 0.5, out=strided((4, 1), (1, 0))), K.dropout(x[:, :1], 0.5)
    )
    assert K.dropout(x[:0], 0.5, out=strided((0, 5), (0, 0))).shape == (0, 5)


def test_an_overlap_that_is_too_hard_to_find_counts_as_one():
    strides = np.random.default_rng(0).integers(2**20, 2**22, 14)
    memory = np.zeros(strides.sum() // 4 + 1, np.float32)
    x, out = as_strided(memory.view(np.int8), (2,) * 14, strides), memory[1000 :: 2**18]
    with pytest.raises(np.exceptions.TooHardError):
        np.shares_memory(x, out, max_work=100_000)
    with pytest.raises(ValueError, match="overlap"):
        check.output(out, out.shape, x)
