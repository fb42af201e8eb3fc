"""The kernels of pools and of resized maps, compared with float64."""

import itertools

import numpy as np
import pytest

from fastdrop import _core

# Images, channels, size, kernel, stride, dilation, zeros before, positions of the result. Kernel 0
# is adaptive.
CASES = [
    (2, 64, (8, 10), (2, 2), (2, 2), (1, 1), (0, 0), (4, 5)),
    (2, 83, (9, 8), (3, 3), (2, 2), (1, 1), (1, 1), (5, 4)),
    (3, 5, (9,), (3,), (1,), (1,), (1,), (9,)),
    (1, 17, (7, 9), (3, 2), (2, 1), (1, 1), (1, 0), (4, 8)),
    (2, 4, (5, 4, 6), (2, 3, 2), (1, 2, 2), (1, 1, 1), (1, 1, 0), (6, 2, 3)),
    (2, 20, (7, 10), (0, 0), (1, 1), (1, 1), (0, 0), (3, 4)),
    (1, 3, (3, 2), (0, 0), (1, 1), (1, 1), (0, 0), (5, 4)),
    (2, 6, (6, 7), (2, 2), (3, 4), (1, 1), (0, 0), (2, 2)),
]
DILATED = (2, 18, (9, 11), (3, 2), (2, 1), (2, 3), (1, 1), (3, 10))


def windows(case):
    """The result's positions, and the input's that each of them covers."""
    _, _, size, kernel, stride, dilation, before, out = case
    axes = []
    for n, k, s, d, b, m in zip(size, kernel, stride, dilation, before, out):
        if k == 0:
            reads = [range(q * n // m, -(-(q + 1) * n // m)) for q in range(m)]
        else:
            reads = [range(q * s - b, q * s - b + k * d, d) for q in range(m)]
        axes.append([[p for p in r if 0 <= p < n] for r in reads])
    for q in itertools.product(*(range(m) for m in out)):
        yield q, list(itertools.product(*(axis[i] for axis, i in zip(axes, q))))


def guarded(shape, dtype=np.float32):
    """An array in memory whose ends must stay as they are."""
    n = int(np.prod(shape))
    memory = np.full(n + 128, 77, dtype)
    return memory, memory[64 : 64 + n].reshape(shape)


def arrays(case):
    n, c, size, *_, out = case
    rng = np.random.default_rng(3)
    x = rng.integers(-4, 4, (n, *size, c)).astype(np.float32)  # with equal elements
    dy = rng.standard_normal((n, *out, c)).astype(np.float32)
    factor = rng.uniform(0.1, 1, out).astype(np.float32)
    return x, dy, factor


def computed(case, x, dy, factor):
    """y, at and dx of the max pool, y and dx of the average."""
    geometry = case[3:7]
    places = [(dy.shape, np.float32), (dy.shape, np.int32), (x.shape, np.float32)]
    places += [(dy.shape, np.float32), (x.shape, np.float32)]
    memories, results = zip(*(guarded(*place) for place in places))
    y, at, dx, mean, dmean = results
    _core.max_pool(y, at, x, geometry)
    _core.max_pool_backward(dx, dy, at, geometry)
    if case is not DILATED:
        _core.avg_pool(mean, x, factor, geometry)
        _core.avg_pool_backward(dmean, dy, factor, geometry)
    for memory in memories:
        assert (memory[:64] == 77).all() and (memory[-64:] == 77).all()
    alone = np.empty_like(y)
    _core.max_pool(alone, None, x, geometry)
    assert np.array_equal(alone, y)
    return results


@pytest.mark.parametrize("case", [*CASES, DILATED], ids=str)
def test_values_at_every_instruction_set(case, each_isa):
    x, dy, factor = arrays(case)
    size, c = case[2], case[1]
    right = [np.zeros(a.shape) for a in (dy, dy, x, dy, x)]
    for q, positions in windows(case):
        where = (slice(None), *q)
        if not positions:
            right[0][where], right[1][where] = -np.inf, -1
            continue
        window = np.stack([x[(slice(None), *p)] for p in positions], 1)
        first = window.argmax(1)
        right[0][where] = window.max(1)
        right[1][where] = np.array([np.ravel_multi_index(p, size) for p in positions])[first]
        right[3][where] = window.astype(np.float64).sum(1) * factor[q]
        for i, p in enumerate(positions):
            right[2][(slice(None), *p)] += np.where(first == i, dy[where], 0.0)
            right[4][(slice(None), *p)] += dy[where].astype(np.float64) * factor[q]
    bits = None
    for _ in each_isa():
        results = computed(case, x, dy, factor)
        for result, expected in zip(results[: 3 if case is DILATED else 5], right):
            finite = np.isfinite(expected)
            assert np.array_equal(result[~finite], expected[~finite])
            assert np.abs(result - expected, where=finite, out=np.zeros(finite.shape)).max() < 1e-5
        bits = bits or [r.copy() for r in results[:3]]
        assert all(np.array_equal(a, b) for a, b in zip(bits, results))
    assert c == x.shape[-1]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_bits_do_not_depend_on_threads_or_the_batch(case):
    x, dy, factor = (np.concatenate([a] * 40) if i < 2 else a for i, a in enumerate(arrays(case)))
    threads = _core.get_num_threads()
    try:
        _core.set_num_threads(1)
        expected = computed(case, x, dy, factor)
        for n in (2, 3):
            _core.set_num_threads(n)
            for result, right in zip(computed(case, x, dy, factor), expected):
                assert np.array_equal(result, right)
    finally:
        _core.set_num_threads(threads)
    for result, right in zip(computed(case, x[-1:], dy[-1:], factor), expected):
        assert np.array_equal(result[0], right[-1])


def table(rng, size, out):
    """Some positions of the input for each of the result, one of them without any."""
    counts = rng.integers(1, 4, out)
    counts[out // 2] = 0
    starts = np.concatenate([[0], counts.cumsum()]).astype(np.int32)
    n = int(starts[-1])
    return starts, rng.integers(0, size, n).astype(np.int32), rng.normal(size=n).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 4, 19, 64, 100])
def test_resized_maps(channels, each_isa):
    rng = np.random.default_rng(channels)
    sizes, outs = (3, 4, 5), (2, 6, 7)
    tables = tuple(table(rng, n, m) for n, m in zip(sizes, outs))
    x = rng.standard_normal((5, *sizes, channels)).astype(np.float32)
    right = x.astype(np.float64)
    for axis, (n, m, (starts, index, weights)) in enumerate(zip(sizes, outs, tables)):
        matrix = np.zeros((m, n))
        np.add.at(matrix, (np.repeat(np.arange(m), np.diff(starts)), index), weights)
        right = np.moveaxis(np.tensordot(right, matrix, (1 + axis, 1)), -1, 1 + axis)
    bits = []
    threads = _core.get_num_threads()
    try:
        for _ in each_isa():
            for n in (1, 2, 3):
                _core.set_num_threads(n)
                memory, y = guarded((5, *outs, channels))
                _core.resize(y, x, tables)
                assert (memory[:64] == 77).all() and (memory[-64:] == 77).all()
                assert np.abs(y - right).max() < 1e-5 * np.abs(right).max()
                bits.append(y.copy())
    finally:
        _core.set_num_threads(threads)
    assert all(np.array_equal(a, bits[0]) for a in bits)
    alone = np.empty((1, *outs, channels), np.float32)
    _core.resize(alone, x[-1:], tables)
    assert np.array_equal(alone[0], bits[0][-1])
