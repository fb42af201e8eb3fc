"""SparseLinear: values, threads, files with wrong indices."""

import pickle
import threading

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 8, 33, 200])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
def test_sparse_linear(n, share, isa, each_thread_count):
    w = RNG.standard_normal((77, 130)).astype(np.float32) * (RNG.random((77, 130)) < share)
    x, b = (
        RNG.standard_normal((n, 130)).astype(np.float32),
        RNG.standard_normal(77).astype(np.float32),
    )
    bound = np.abs(x).astype(np.float64) @ np.abs(w.T) + np.abs(b) + 1e-6
    for bias in (b, None):
        layer = nn.SparseLinear.from_dense(w, bias)
        first = None
        for _ in each_thread_count():
            y = layer(x).data
            assert (
                np.abs(y - (x.astype(np.float64) @ w.T + (0 if bias is None else bias)))
                <= 2e-6 * bound
            ).all()
            first = y if first is None else first
            np.testing.assert_array_equal(y, first)
        for row in {0, n // 2, n - 1} & set(range(n)):
            np.testing.assert_array_equal(layer(x[row : row + 1]).data, first[row : row + 1])
        np.testing.assert_array_equal(layer.to_dense().weight.data, w)
        np.testing.assert_array_equal(
            K.sparse_linear(x, layer.values.data, layer.columns, layer.starts, bias), first
        )
    np.testing.assert_array_equal(layer(x.reshape(n, 1, 130)).data, first.reshape(n, 1, 77))


def test_sparse_large_enough_for_threads(isa, each_thread_count):
    w = RNG.standard_normal((300, 500)).astype(np.float32) * (RNG.random((300, 500)) < 0.1)
    layer = nn.SparseLinear.from_dense(w)
    for n in (1, 40, 500):
        x = RNG.standard_normal((n, 500)).astype(np.float32)
        results = [layer(x).data for _ in each_thread_count()]
        assert all(np.array_equal(results[0], r) for r in results)
        np.testing.assert_allclose(results[0], x @ w.T, atol=1e-4)


def test_sparse_files_with_wrong_indices_are_refused(tmp_path):
    w = RNG.standard_normal((5, 9)).astype(np.float32) * (RNG.random((5, 9)) < 0.4)
    layer = nn.SparseLinear.from_dense(w, np.zeros(5, np.float32))
    fd.save(nn.Sequential(layer), tmp_path / "m.safetensors")
    again = fd.load(tmp_path / "m.safetensors")
    x = RNG.standard_normal((4, 9)).astype(np.float32)
    np.testing.assert_array_equal(again(x).data, layer(x).data)
    for change in (
        lambda s: s.columns.__setitem__(0, 9),
        lambda s: s.columns.__setitem__(0, -1),
        lambda s: s.starts.__setitem__(1, 10**6),
        lambda s: s.starts.__setitem__(-1, 3),
        lambda s: s.starts.__setitem__(0, 1),
    ):
        bad = pickle.loads(pickle.dumps(layer))
        change(bad)
        for n in (1, 4):
            with pytest.raises(ValueError, match=r"columns must|starts must"):
                bad(x[:n])
    with pytest.raises(ValueError, match="features"):
        layer(x[:, :5])
    with pytest.raises(TypeError, match="columns"):
        K.sparse_linear(x, [1.0], [0.5], [0, 1])
    with pytest.raises(ValueError, match="b must"):
        K.sparse_linear(x, [1.0], [0], [0, 1], np.zeros(3))
    assert K.sparse_linear(x, np.zeros(0, np.float32), np.zeros(0, np.int32), [0]).shape == (4, 0)


def test_buffers_of_another_dtype_are_converted_or_refused():
    w = RNG.standard_normal((5, 9)).astype(np.float32) * (RNG.random((5, 9)) < 0.4)
    layer = nn.SparseLinear.from_dense(w, np.ones(5))
    x = RNG.standard_normal((4, 9)).astype(np.float32)
    expected = layer(x).data
    columns, starts = layer.columns, layer.starts
    for dtype in (np.int64, np.uint8, np.int16, ">i4"):
        layer.columns, layer.starts = columns.astype(dtype), starts.astype(dtype)
        np.testing.assert_array_equal(layer(x).data, expected)
        np.testing.assert_array_equal(layer.to_dense().weight.data, w)
    layer.columns, layer.starts = np.repeat(columns, 2)[::2], np.repeat(starts, 2)[::2]
    np.testing.assert_array_equal(layer(x).data, expected)
    for name, wrong in (
        ("columns", columns.astype(np.int64) + 2**32),
        ("columns", columns > 0),
        ("columns", columns[None]),
        ("columns", columns[:-1]),
        ("starts", starts[:-1]),
        ("starts", np.append(starts, starts[-1])),
        ("starts", np.zeros(0, np.int64)),
        ("bias", np.ones(3)),
        ("values", np.ones(3)),
        ("values", layer.values.data[None]),
    ):
        bad = pickle.loads(pickle.dumps(layer))
        setattr(bad, name, wrong)
        with pytest.raises((TypeError, ValueError), match=r"(columns|starts|bias|values) must"):
            bad(x)


def test_a_gradient_flows_to_the_input():
    w = RNG.standard_normal((6, 9)).astype(np.float32) * (RNG.random((6, 9)) < 0.4)
    layer = nn.SparseLinear.from_dense(w, np.ones(6))
    for shape in ((9,), (4, 9), (2, 3, 9)):
        x = fd.tensor(RNG.standard_normal(shape), requires_grad=True)
        g = RNG.standard_normal((*shape[:-1], 6)).astype(np.float32)
        layer(x).backward(g)
        np.testing.assert_allclose(x.grad.data, g @ w, rtol=1e-5, atol=1e-6)
    assert not layer(np.ones(9)).requires_grad


@pytest.mark.parametrize("rows", [1, 2000])
def test_indices_that_change_during_a_call_stay_inside_the_arrays(rows, isa):
    """A sanitizer would see a read outside; without one the process would most likely crash."""
    layer = nn.SparseLinear.from_dense(np.ones((400, 300)))
    x = np.ones((rows, 300), np.float32)
    columns, starts = layer.columns.copy(), layer.starts.copy()
    stop = threading.Event()

    def disturb():
        while not stop.is_set():
            layer.columns[::7], layer.starts[1:-1] = -5, 2**60
            layer.columns[::7], layer.starts[1:-1] = 2**31 - 1, -(2**60)
            layer.columns[...], layer.starts[...] = columns, starts

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(20):
            try:
                assert layer(x).shape == (rows, 400)
            except ValueError as error:
                assert "must" in str(error)
    finally:
        stop.set()
        thread.join()


def test_a_matrix_without_nonzeros():
    layer = nn.SparseLinear.from_dense(np.zeros((3, 4)), [1.0, 2.0, 3.0])
    assert layer(np.ones((2, 4))).tolist() == [[1.0, 2.0, 3.0]] * 2
    assert nn.SparseLinear(4, 3, bias=False)(np.ones(4)).tolist() == [0.0] * 3
