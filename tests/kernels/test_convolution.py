"""The convolution kernels, compared with float64."""

import itertools

import numpy as np
import pytest

from fastdrop import _core

# Images, channels, outputs, size, kernel, stride, dilation, zeros before and after, groups.
CASES = [
    (2, 3, 5, (7, 9), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    (3, 1, 32, (28, 28), (5, 5), (1, 1), (1, 1), (2, 2), (2, 2), 1),
    (2, 16, 16, (8, 8), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    (2, 33, 17, (6, 5), (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1),
    (1, 40, 70, (5, 4), (1, 1), (1, 1), (1, 1), (0, 0), (0, 0), 1),
    (2, 8, 12, (9, 8), (1, 1), (2, 2), (1, 1), (0, 0), (0, 0), 1),
    (2, 4, 6, (9, 8), (3, 2), (2, 1), (1, 2), (1, 0), (0, 2), 2),
    (2, 6, 6, (9, 8), (7, 7), (1, 1), (1, 1), (3, 3), (3, 3), 6),
    (2, 3, 6, (12, 13), (3, 4), (3, 2), (2, 3), (2, 1), (2, 4), 3),
    (1, 4, 3, (11, 7), (2, 2), (3, 3), (1, 1), (0, 0), (0, 0), 1),
    (3, 5, 4, (9,), (3,), (2,), (1,), (1,), (1,), 1),
    (2, 2, 3, (5, 4, 6), (3, 2, 3), (1, 2, 1), (1, 1, 1), (1, 0, 1), (1, 0, 1), 1),
    (1, 2, 2, (4, 5, 6), (2, 2, 2), (2, 2, 2), (1, 2, 1), (1, 1, 1), (1, 1, 1), 2),
    (0, 3, 4, (5, 5), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    # Depthwise: vectors of channels that end within one, all widths, rows at the edges.
    (5, 40, 40, (16, 16), (7, 7), (1, 1), (1, 1), (3, 3), (3, 3), 40),
    (2, 19, 19, (5, 61), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 19),
    (9, 16, 16, (7, 9), (5, 5), (1, 1), (1, 1), (2, 0), (0, 3), 16),
    (2, 35, 35, (9, 13), (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 35),
    (2, 18, 18, (12, 11), (3, 4), (3, 2), (2, 3), (2, 1), (2, 4), 18),
    (2, 17, 17, (8, 23), (2, 7), (1, 1), (1, 1), (0, 0), (0, 0), 17),
    (3, 33, 33, (40,), (7,), (1,), (1,), (3,), (3,), 33),
    (2, 20, 20, (4, 5, 6), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1), 20),
    (2, 17, 17, (5, 4, 6), (3, 2, 3), (2, 1, 2), (1, 2, 1), (1, 1, 0), (1, 1, 1), 17),
    (2, 8, 24, (6, 5), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 8),
    (2, 128, 128, (5, 6), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 32),
    (2, 300, 40, (3, 3), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    (1, 64, 600, (4, 4), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    (1, 2, 3, (300, 301), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
]


def length(size, kernel, stride, dilation, before, after):
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def arrays(case, seed=0):
    """x, w, bias and dy, the maps channels-last."""
    n, c, o, size, kernel, stride, dilation, before, after, groups = case
    rng = np.random.default_rng(seed)
    out = [length(*axis) for axis in zip(size, kernel, stride, dilation, before, after)]
    return [
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((n, *size, c), (o, c // groups, *kernel), (o,), (n, *out, o))
    ]


def exact(case, x, w, bias, dy):
    """y, dx and dw in float64, tap by tap."""
    _, c, o, size, kernel, stride, dilation, before, after, groups = case
    x, w, dy = (a.astype(np.float64) for a in (x, w, dy))
    padded = np.pad(x, ((0, 0), *zip(before, after), (0, 0)))
    y, dpadded, dw = np.zeros(dy.shape) + bias, np.zeros(padded.shape), np.zeros(w.shape)
    per_in, per_out = c // groups, o // groups
    for tap in itertools.product(*(range(k) for k in kernel)):
        where = tuple(
            slice(t * d, t * d + (length_ - 1) * s + 1, s)
            for t, d, s, length_ in zip(tap, dilation, stride, dy.shape[1:-1])
        )
        for g in range(groups):
            ins, outs = slice(g * per_in, (g + 1) * per_in), slice(g * per_out, (g + 1) * per_out)
            at, kernel_of_tap = (slice(None), *where, ins), w[(outs, slice(None), *tap)]
            y[..., outs] += padded[at] @ kernel_of_tap.T
            dpadded[at] += dy[..., outs] @ kernel_of_tap
            rows = padded[at].reshape(-1, per_in)
            dw[(outs, slice(None), *tap)] = dy[..., outs].reshape(-1, per_out).T @ rows
    inside = tuple(slice(b, b + s) for b, s in zip(before, size))
    return y, dpadded[(slice(None), *inside, slice(None))], dw


def guarded(shape):
    """An array in memory whose ends must stay as they are."""
    n = int(np.prod(shape))
    memory = np.full(n + 256, np.float32(77))
    return memory, memory[128 : 128 + n].reshape(shape)


def computed(case, x, w, bias, dy, act=0):
    """y, dx and dw of the core."""
    geometry = (*case[5:9], case[9], _core.CONV_AUTO)
    results = []
    for shape, call in (
        (dy.shape, lambda a: _core.conv(a, x, w, geometry, bias, act)),
        (x.shape, lambda a: _core.conv_dx(a, dy, w, geometry)),
        (w.shape, lambda a: _core.conv_dw(a, dy, x, geometry)),
    ):
        memory, array = guarded(shape)
        call(array)
        assert (memory[:128] == 77).all() and (memory[len(memory) - 128 :] == 77).all()
        results.append(array)
    return results


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_at_every_instruction_set(case, each_isa):
    given = arrays(case)
    expected = exact(case, *given)
    for _ in each_isa():
        for result, right in zip(computed(case, *given), expected):
            assert result.shape == right.shape
            if right.size:
                assert np.abs(result - right).max() <= 3e-6 * max(1.0, np.abs(right).max()) * 10


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_bits_do_not_depend_on_threads(case):
    given = arrays(case)
    threads = _core.get_num_threads()
    try:
        _core.set_num_threads(1)
        expected = computed(case, *given)
        for n in (2, 3):
            _core.set_num_threads(n)
            for result, right in zip(computed(case, *given), expected):
                assert np.array_equal(result, right)
    finally:
        _core.set_num_threads(threads)


@pytest.mark.parametrize("case", [case for case in CASES if case[0] > 1], ids=str)
def test_an_image_does_not_depend_on_its_batch(case):
    x, w, bias, dy = arrays(case)
    y, dx, _ = computed(case, x, w, bias, dy)
    for i in range(len(x)):
        alone = computed((1, *case[1:]), x[i : i + 1], w, bias, dy[i : i + 1])
        assert np.array_equal(alone[0][0], y[i])
        assert np.array_equal(alone[1][0], dx[i])


@pytest.mark.parametrize("act", range(8))
def test_activations(act):
    case = CASES[2]
    x, w, bias, dy = arrays(case)
    plain = computed(case, x, w, bias, dy)[0]
    expected = np.empty_like(plain)
    _core.act(expected, plain, act, 0.0)
    assert np.array_equal(computed(case, x, w, bias, dy, act)[0], expected)


@pytest.mark.parametrize("case", [CASES[0], CASES[4], CASES[6]], ids=str)
def test_a_gradient_is_added(case):
    x, w, bias, dy = arrays(case)
    dw = computed(case, x, w, bias, dy)[2]
    total = np.ones_like(dw)
    _core.conv_dw(total, dy, x, (*case[5:9], case[9], _core.CONV_AUTO), True)
    assert np.allclose(total, dw + 1, atol=1e-5)


@pytest.mark.parametrize("algorithm", [_core.CONV_DIRECT, _core.CONV_WINOGRAD])
@pytest.mark.parametrize("case", CASES)
def test_kept_panels_change_no_bit(case, algorithm, each_isa, each_thread_count):
    x, w, bias, dy = arrays(case)
    stride, dilation, before, after, groups = case[5:]
    geometry = (stride, dilation, before, after, groups, algorithm)
    for _ in each_isa():
        length_ = _core.conv_panels_length(x, w, geometry)
        if length_ == 0:  # several groups, or few outputs
            assert groups > 1 or len(w) <= 14
            continue
        memory = np.full(length_ + 32, np.float32(7.5))
        _core.conv_pack(memory[16:-16], x, w, geometry)
        assert (memory[:16] == 7.5).all() and (memory[-16:] == 7.5).all()
        for _ in each_thread_count():
            plain, kept = (np.empty(dy.shape, np.float32) for _ in range(2))
            _core.conv(plain, x, w, geometry, bias)
            _core.conv(kept, x, w, geometry, bias, panels=memory[16:-16])
            assert np.array_equal(plain, kept)
