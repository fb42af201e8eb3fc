"""Memory that is used again: gradients of parameters, results of operations."""

import numpy as np

import fastdrop as fd
from fastdrop._utils import buffers


def floats(*shape, seed=0, low=None):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) if low is None else rng.uniform(low, low + 2, shape)


def test_gradient_memory_of_a_parameter_is_reused():
    w = fd.Parameter(floats(70, 70))
    x = floats(5, 70)
    seen = set()
    for _ in range(4):
        w.grad = None
        fd.functional.linear(x, w).sum().backward()
        seen.add(w.grad.data.ctypes.data)
    assert len(seen) == 1
    held = w.grad
    values = held.data.copy()
    w.grad = None
    fd.functional.linear(2 * x, w).sum().backward()
    assert np.array_equal(held.data, values) and np.allclose(w.grad.data, 2 * values, rtol=1e-6)
    fd.functional.linear(x, w).sum().backward()
    assert np.allclose(w.grad.data, 3 * values, rtol=1e-5)


def test_gradient_array_of_the_caller_is_never_overwritten():
    w, mine = fd.Parameter(floats(3, 3)), np.zeros((2, 3, 3), np.float32)
    w.grad = mine[0]
    w.grad = None
    fd.functional.linear(np.ones((1, 3)), w).sum().backward()
    assert not mine.any() and w.grad.data.all()


def test_kept_buffers_are_bounded(monkeypatch):
    monkeypatch.setattr(buffers, "BYTES", 100_000)
    buffers._pool.by_shape.clear()
    buffers._pool.bytes = 0
    held = (
        [buffers.empty((64, 65)) for _ in range(20)]
        + [buffers.empty((n, 100)) for n in range(50, 150)]
        + [buffers.empty((999, 100))]
    )
    assert len({a.ctypes.data for a in held}) == len(held)
    kept = sum(a.nbytes for arrays in buffers._pool.by_shape.values() for a in arrays)
    assert kept == buffers._pool.bytes <= 100_000


def test_buffers_are_reused_only_when_nobody_holds_them():
    first = buffers.empty((100, 100))
    view = first[3:]
    address = first.ctypes.data
    assert buffers.empty((100, 100)).ctypes.data != address
    del first
    assert buffers.empty((100, 100)).ctypes.data != address  # a view still holds it
    del view
    assert buffers.empty((100, 100)).ctypes.data == address
