"""The Winograd convolution, compared with float64 and with the direct algorithm."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import _core
from fastdrop.nn import functional as F

# Images, channels, outputs, size, zeros before and after.
CASES = [
    (1, 1, 1, (1, 1), (1, 1), (1, 1)),
    (3, 1, 3, (2, 3), (1, 1), (1, 1)),
    (2, 3, 17, (4, 9), (1, 1), (1, 1)),
    (2, 16, 16, (8, 8), (1, 1), (1, 1)),
    (2, 17, 64, (5, 7), (0, 0), (0, 0)),
    (1, 64, 65, (9, 6), (2, 2), (2, 2)),
    (2, 65, 3, (3, 8), (0, 2), (1, 0)),
    (2, 16, 1, (6, 1), (2, 1), (0, 2)),
    (50, 24, 33, (13, 10), (1, 1), (1, 1)),  # several groups and blocks of tiles
    (2, 300, 40, (7, 5), (1, 0), (2, 1)),
    (0, 16, 16, (8, 8), (1, 1), (1, 1)),
]
ALGORITHMS = (_core.CONV_AUTO, _core.CONV_DIRECT, _core.CONV_WINOGRAD)
# Of the largest result.
TOLERANCE = {_core.CONV_DIRECT: 3e-6, _core.CONV_AUTO: 3e-5, _core.CONV_WINOGRAD: 3e-5}


def arrays(case, seed=0):
    """x, w, bias and dy, the maps channels-last."""
    n, c, o, size, before, after = case
    rng = np.random.default_rng(seed)
    out = [s + b + a - 2 for s, b, a in zip(size, before, after)]
    return [
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((n, *size, c), (o, c, 3, 3), (o,), (n, *out, o))
    ]


def exact(case, x, w, bias, dy):
    """y, dx and dw in float64, tap by tap."""
    *_, size, before, after = case
    x, w, dy = (a.astype(np.float64) for a in (x, w, dy))
    padded = np.pad(x, ((0, 0), *zip(before, after), (0, 0)))
    y, dpadded, dw = np.zeros(dy.shape) + bias, np.zeros(padded.shape), np.zeros(w.shape)
    for i in range(3):
        for j in range(3):
            at = np.s_[:, i : i + dy.shape[1], j : j + dy.shape[2]]
            y += padded[at] @ w[:, :, i, j].T
            dpadded[at] += dy @ w[:, :, i, j]
            dw[:, :, i, j] = np.tensordot(dy, padded[at], ((0, 1, 2), (0, 1, 2)))
    (top, left), (height, width) = before, size
    return y, dpadded[:, top : top + height, left : left + width], dw


def guarded(shape):
    """An array in memory whose ends must stay as they are."""
    n = int(np.prod(shape))
    memory = np.full(n + 256, np.float32(77))
    return memory, memory[128 : 128 + n].reshape(shape)


def computed(case, x, w, bias, dy, algorithm=_core.CONV_WINOGRAD, act=0):
    """y, dx and dw of the core."""
    geometry = ((1, 1), (1, 1), case[4], case[5], 1, algorithm)
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
def test_values_at_every_instruction_set(case, each_isa, each_thread_count):
    given = arrays(case)
    expected = exact(case, *given)
    for _ in each_isa():
        for algorithm in ALGORITHMS:
            first = None
            for _ in each_thread_count():
                results = computed(case, *given, algorithm)
                first = first or results
                for result, same, right in zip(results, first, expected):
                    assert np.array_equal(result, same)
                    if right.size:
                        allowed = TOLERANCE[algorithm] * max(1.0, np.abs(right).max())
                        assert np.abs(result - right).max() <= allowed


@pytest.mark.parametrize("height", range(1, 10))
def test_all_small_sizes(height):
    for width in range(1, 10):
        case = (2, 5, 4, (height, width), (1, 1), (1, 1))
        given = arrays(case)
        for result, right in zip(computed(case, *given), exact(case, *given)):
            assert np.abs(result - right).max() <= 3e-5 * max(1.0, np.abs(right).max())


@pytest.mark.parametrize("case", [c for c in CASES if c[0] > 1], ids=str)
def test_an_image_does_not_depend_on_its_batch(case):
    x, w, bias, dy = arrays(case)
    y, dx, _ = computed(case, x, w, bias, dy)
    for i in (0, len(x) // 2, len(x) - 1):
        alone = computed((1, *case[1:]), x[i : i + 1], w, bias, dy[i : i + 1])
        assert np.array_equal(alone[0][0], y[i])
        assert np.array_equal(alone[1][0], dx[i])


def test_the_choice_does_not_depend_on_the_batch():
    for size in (3, 4, 5, 7, 8, 14):
        for channels, outputs in ((3, 16), (16, 16), (32, 8), (64, 64)):
            case = (3, channels, outputs, (size, size), (1, 1), (1, 1))
            x, w, bias, dy = arrays(case)
            y, dx, _ = computed(case, x, w, bias, dy, _core.CONV_AUTO)
            alone = computed((1, *case[1:]), x[:1], w, bias, dy[:1], _core.CONV_AUTO)
            assert np.array_equal(alone[0][0], y[0]) and np.array_equal(alone[1][0], dx[0])


@pytest.mark.parametrize("act", range(8))
def test_activations(act):
    case = CASES[3]
    x, w, bias, dy = arrays(case)
    plain = computed(case, x, w, bias, dy)[0]
    expected = np.empty_like(plain)
    _core.act(expected, plain, act, 0.0)
    assert np.array_equal(computed(case, x, w, bias, dy, act=act)[0], expected)


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("act", [_core.ACT_RELU, _core.ACT_TANH])
@pytest.mark.parametrize("images", [1, 2, 5, 40])
def test_dropout_of_the_result(images, act, by_channel, each_thread_count):
    for size in ((4, 3), (9, 10)):  # one tile an image, and several
        x, w, bias, dy = arrays((images, 16, 40, size, (1, 1), (1, 1)))
        stream, q = _core.Stream(7, 3, row0=11), _core.keep_threshold(0.4)
        drop = (stream, q, _core.keep_scale(q))
        geometry = ((1, 1), (1, 1), (1, 1), (1, 1), 1, _core.CONV_WINOGRAD)
        for _ in each_thread_count():
            plain, joined = np.empty_like(dy), np.empty_like(dy)
            _core.conv(plain, x, w, geometry, bias, act)
            _core.map_dropout(plain, plain, *drop, by_channel=by_channel)
            _core.conv(joined, x, w, geometry, bias, act, 0.0, drop, by_channel)
            assert np.array_equal(plain, joined)


@pytest.mark.parametrize("case", [CASES[3], CASES[8]], ids=str)
def test_a_gradient_is_added(case):
    x, w, bias, dy = arrays(case)
    dw = computed(case, x, w, bias, dy)[2]
    total = np.ones_like(dw)
    geometry = ((1, 1), (1, 1), case[4], case[5], 1, _core.CONV_WINOGRAD)
    _core.conv_dw(total, dy, x, geometry, True)
    assert np.array_equal(total, dw + 1)


def test_shapes_that_winograd_cannot_compute_are_direct():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 8, 8, 16)).astype(np.float32)
    for stride, dilation, zeros, groups in ((2, 1, 1, 1), (1, 2, 1, 1), (1, 1, 3, 1), (1, 1, 1, 2)):
        w = rng.standard_normal((16, 16 // groups, 3, 3)).astype(np.float32)
        out = (8 + 2 * zeros - dilation * 2 - 1) // stride + 1
        results = []
        for algorithm in (_core.CONV_DIRECT, _core.CONV_WINOGRAD):
            y = np.empty((2, out, out, 16), np.float32)
            pair = [(n, n) for n in (stride, dilation, zeros, zeros)]
            _core.conv(y, x, w, (*pair, groups, algorithm))
            results.append(y)
        assert np.array_equal(*results)


def test_the_algorithm_is_a_setting():
    x = np.random.default_rng(0).standard_normal((2, 32, 8, 8)).astype(np.float32)
    w = np.random.default_rng(1).standard_normal((32, 32, 3, 3)).astype(np.float32)
    results = {}
    assert fd.get_conv_algorithm() == "auto"
    try:
        for name in ("auto", "direct", "winograd"):
            fd.set_conv_algorithm(name)
            assert fd.get_conv_algorithm() == name
            results[name] = F.conv2d(x, w, padding=1).numpy()
        with pytest.raises(ValueError, match="'auto', 'direct', 'winograd', got 'fft'"):
            fd.set_conv_algorithm("fft")
        with pytest.raises(TypeError, match="name must be one of"):
            fd.set_conv_algorithm(2)
        assert fd.get_conv_algorithm() == "winograd"
    finally:
        fd.set_conv_algorithm("auto")
    assert np.array_equal(results["auto"], results["winograd"])
    assert not np.array_equal(results["auto"], results["direct"])
    assert np.allclose(results["auto"], results["direct"], atol=1e-3)
