"""SparseLinear: values, threads, files with wrong indices."""

import pickle

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
