"""Activations and their backward against float64; the same bits on every instruction set."""

import numpy as np
import pytest

from fastdrop import _core
from helpers import twin

KINDS = range(1, 9)
SAVES_INPUT = (6, 7, 8)  # SiLU, both forms of GELU


def numbers(n, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [
            rng.standard_normal(n) * 3,
            [0.0, -0.0, 1e-8, -1e-8, 20.0, -20.0, 80.0, -80.0, 200.0, -200.0],
        ]
    ).astype(np.float32)


def act(z, kind, alpha=0.01):
    out = np.empty_like(z)
    _core.act(out, z, kind, alpha)
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_values(kind, isa):
    z = np.concatenate([numbers(5001), np.linspace(-12, 12, 100001, dtype=np.float32)])
    y, exact = act(z, kind), twin.act(z, kind)
    tolerance = 1e-6 * np.abs(exact) + (2e-7 * np.abs(z) if kind >= 7 else 1e-35)  # 1 + erf cancels
    assert (np.abs(y - exact) <= tolerance).all()


@pytest.mark.parametrize("kind", KINDS)
def test_nan_and_infinity(kind, isa):
    y = act(np.array([np.nan, np.inf] * 20, np.float32), kind)
    assert np.isnan(y[::2]).all()
    assert np.array_equal(
        y[1::2],
        np.float32(twin.act(np.full(20, 1e30), kind)) if kind in (3, 4) else np.full(20, np.inf),
    )


LIMITS = {
    1: (0, 1),
    2: (None, 1),
    3: (0, 0),
    4: (-1, 0),
    5: (-twin.SELU_SCALE * twin.SELU_ALPHA, twin.SELU_SCALE),
    6: (0, 1),
    7: (0, 1),
    8: (0, 1),
}


@pytest.mark.parametrize("kind", KINDS)
def test_saturation(kind, isa):
    """Value and slope far from 0; the slope on the left is 0 (leaky ReLU: alpha)."""
    z = np.float32([s * far for far in (100, 1e4, 1e30, 3e38, np.inf) for s in (-1, 1)] * 2)
    y, dz = act(z, kind), np.empty_like(z)
    _core.act_backward(dz, np.ones_like(z), z if kind in SAVES_INPUT else y, kind, 0.01)
    left, slope = LIMITS[kind]
    right = (
        np.ones(10)
        if kind in (3, 4)
        else z[1::2] * (np.float32(twin.SELU_SCALE) if kind == 5 else np.float32(1))
    )
    assert np.array_equal(y[1::2], right.astype(np.float32))
    assert np.abs(dz[1::2] - slope).max() < 1e-6
    if kind == 2:
        assert np.array_equal(y[::2], z[::2] * np.float32(0.01)) and np.array_equal(
            dz[::2], np.full(10, np.float32(0.01))
        )
    else:
        assert np.abs(y[::2] - left).max() < (3e-7 if kind == 5 else 1e-35) and np.abs(
            dz[::2]
        ).max() < (3e-7 if kind == 5 else 1e-35)


@pytest.mark.parametrize("kind", KINDS)
def test_close_to_zero(kind, isa):
    """Relative accuracy near 0, where the functions are almost linear; signs included."""
    z = np.concatenate([s * 10.0 ** np.arange(-30, -1) for s in (-1, 1)]).astype(np.float32)
    exact = twin.act(z, kind)
    assert (np.abs(act(z, kind) - exact) <= 1e-6 * np.abs(exact)).all()


@pytest.mark.parametrize("kind", range(9))
def test_dropped_elements_give_plus_zero_in_forward_and_backward(kind, isa):
    z = numbers(3000).reshape(10, -1)
    stream, q = _core.Stream(3, 1), _core.keep_threshold(0.3)
    dropped = twin.dropout(np.ones_like(z), 0.3, seed=3, site=1) == 0
    dy = np.where(dropped, np.float32(np.nan), -np.abs(z) - np.float32(1))
    y, dz, db = np.empty_like(z), np.empty_like(z), np.empty(z.shape[1], np.float32)
    _core.act_dropout(y, z, kind, 0.01, stream, q, _core.keep_scale(q))
    _core.act_backward(
        dz, dy, z if kind in SAVES_INPUT else y, kind, 0.01, db, stream, q, _core.keep_scale(q)
    )
    for values in (y, dz):
        assert (values[dropped] == 0).all() and not np.signbit(values[dropped]).any()
    assert np.isfinite(dz).all() and np.isfinite(db).all()


@pytest.mark.parametrize("kind", range(9))
@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 1), (1, 130), (700, 3), (2, 20000), (0, 5), (5, 0), (4, 3, 0)], ids=str
)
def test_backward_of_any_shape(kind, shape, isa, each_thread_count):
    rng = np.random.default_rng(kind)
    z, dy = (
        rng.standard_normal(shape).astype(np.float32),
        rng.standard_normal(shape).astype(np.float32),
    )
    stream, q = _core.Stream(3, 1, row0=4), _core.keep_threshold(0.4)
    kept = (
        twin.dropout(np.ones_like(z), 0.4, seed=3, site=1, row0=4).astype(np.float64)
        if z.size
        else np.ones(shape)
    )
    exact = dy * twin.act_derivative(z, kind, 0.1) * kept if z.size else np.zeros(shape)
    bound = np.abs(exact).reshape(-1, shape[-1]).sum(0) if z.size else np.zeros(shape[-1])
    for _ in each_thread_count():
        y, dz, db = np.empty_like(z), np.empty_like(z), np.empty(shape[-1], np.float32)
        _core.act_dropout(y, z, kind, 0.1, stream, q, _core.keep_scale(q))
        _core.act_backward(
            dz, dy, z if kind in SAVES_INPUT else y, kind, 0.1, db, stream, q, _core.keep_scale(q)
        )
        assert np.abs(dz - exact).max(initial=0) < 3e-5
        assert (
            (np.abs(db - exact.reshape(-1, shape[-1]).sum(0)) <= 1e-4 * (1 + bound)).all()
            if z.size
            else not db.any()
        )


# The forms of GELU fuse multiply-adds, where there are such instructions.
@pytest.mark.parametrize("kind", range(7))
def test_same_bits_on_every_instruction_set(kind, each_isa, each_thread_count):
    z, dy = numbers(40093).reshape(17, -1), numbers(40093, seed=1).reshape(17, -1)
    stream, q = _core.Stream(3, 1), _core.keep_threshold(0.3)
    first = None
    for _ in each_isa():
        for _ in each_thread_count():
            y, dropped, dz, db = (
                act(z, kind),
                np.empty_like(z),
                np.empty_like(z),
                np.empty(z.shape[1], np.float32),
            )
            _core.act_dropout(dropped, z, kind, 0.01, stream, q, _core.keep_scale(q))
            _core.act_backward(
                dz,
                dy,
                z if kind in SAVES_INPUT else dropped,
                kind,
                0.01,
                db,
                stream,
                q,
                _core.keep_scale(q),
            )
            results = [y, dropped, dz, db]
            first = results if first is None else first
            assert all(np.array_equal(a, b) for a, b in zip(results, first, strict=True))
    assert np.array_equal(dropped, twin.dropout(y, 0.3, seed=3, site=1))


@pytest.mark.parametrize("kind", range(9))
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_backward(kind, p, isa):
    rng = np.random.default_rng(kind)
    z, dy = (
        rng.standard_normal((9, 301)).astype(np.float32) * 2,
        rng.standard_normal((9, 301)).astype(np.float32),
    )
    q = _core.keep_threshold(p)
    stream, scale = _core.Stream(3, 1), _core.keep_scale(q)
    y, dz, db = np.empty_like(z), np.empty_like(z), np.empty(301, np.float32)
    _core.act_dropout(y, z, kind, 0.1, stream, q, scale)
    _core.act_backward(dz, dy, z if kind in SAVES_INPUT else y, kind, 0.1, db, stream, q, scale)
    kept = twin.dropout(np.ones_like(z), p, seed=3, site=1).astype(np.float64)
    exact = dy * twin.act_derivative(z, kind, 0.1) * kept
    assert np.abs(dz - exact).max() < 3e-5
    assert np.abs(db - exact.sum(0)).max() < 2e-4
    assert not dz[kept == 0].any()
    in_place = dy.copy()
    _core.act_backward(
        in_place, in_place, z if kind in SAVES_INPUT else y, kind, 0.1, None, stream, q, scale
    )
    assert np.array_equal(in_place, dz)
    if kind == 1:  # ReLU: the zeros are the mask
        _core.act_backward(in_place, dy, y, kind, 0.1, None, None, q, scale)
        assert np.array_equal(in_place, dz)


def test_samples_of_several_rows(isa, each_thread_count):
    z = np.random.default_rng(0).standard_normal((6, 5, 333)).astype(np.float32)
    kept = twin.dropout(np.ones_like(z), 0.4, seed=8)
    q = _core.keep_threshold(0.4)
    for _ in each_thread_count():
        y, dz, db = np.empty_like(z), np.empty_like(z), np.empty(333, np.float32)
        _core.act_dropout(y, z, 4, 0.0, _core.Stream(8, 0), q, _core.keep_scale(q))
        assert np.abs(y - np.tanh(z.astype(np.float64)) * kept).max() < 1e-6
        _core.act_backward(
            dz, np.ones_like(z), y, 4, 0.0, db, _core.Stream(8, 0), q, _core.keep_scale(q)
        )
        exact = (1 - np.tanh(z.astype(np.float64)) ** 2) * kept
        assert np.abs(dz - exact).max() < 1e-5
        assert np.abs(db - exact.sum((0, 1))).max() < 1e-4
