"""Wrong arguments of fastdrop.kernels: errors name the argument, and nothing is changed."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop._utils import validation as check
from fastdrop.data.dataset import Dataset
from helpers.arrays import floats

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
        (ValueError, lambda: K.spatial_dropout(np.float32(1), 0.5)),
        (ValueError, lambda: K.linear(X[0], W)),
        (TypeError, lambda: K.linear(X.astype("U4"), W)),
    ],
    "dy": [
        (TypeError, lambda: K.dropout_backward(X > 0, 0.5)),
        (ValueError, lambda: K.dropblock_backward(np.float32(1), 0.5, 2)),
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
    "instance": [
        (ValueError, lambda: K.dropout(X, 0.5, instance=2**24)),
        (ValueError, lambda: K.keep_mask(1, 1, 0.5, instance=-1)),
        (TypeError, lambda: K.linear(X, W, p=0.5, instance=1.0)),
    ],
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


def test_masked_arrays_are_refused():
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


def test_tensors_whose_gradient_would_be_lost_are_refused():
    x, w, b = (fd.tensor(a, requires_grad=True) for a in (X, W, B))
    csr = (np.zeros(6, np.int32), np.arange(7))
    for name, call in (
        ("x", lambda: K.dropout(x, 0.5)),
        ("dy", lambda: K.dropout_backward(x, 0.5)),
        ("w", lambda: K.linear(X, w)),
        ("b", lambda: K.linear(X, W, b)),
        ("a", lambda: K.matmul(w, X.T)),
        ("w", lambda: K.dropconnect_linear(X, w, p=0.5)),
        ("weight", lambda: K.embedding_dropout([0, 1], w, 0.5)),
        ("values", lambda: K.sparse_linear(X, fd.nn.Parameter(np.ones(6)), *csr)),
    ):
        with pytest.raises(TypeError, match=r"fastdrop\.functional") as caught:
            call()
        assert str(caught.value).startswith(f"{name} must not require a gradient")
        assert f"{name}.detach()" in str(caught.value)
        with fd.no_grad():  # there is none to lose
            assert isinstance(call(), np.ndarray)
    assert np.array_equal(K.linear(X, w.detach(), b.detach()), K.linear(X, W, B))


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


def test_an_overlap_that_is_too_expensive_to_rule_out_is_refused():
    strides = np.random.default_rng(0).integers(2**20, 2**22, 14)
    memory = np.zeros(strides.sum() // 4 + 1, np.float32)
    x, out = as_strided(memory.view(np.int8), (2,) * 14, strides), memory[1000 :: 2**18]
    with pytest.raises(np.exceptions.TooHardError):
        np.shares_memory(x, out, max_work=100_000)
    with pytest.raises(ValueError, match="overlap"):
        check.output(out, out.shape, x)
