"""Layers of thinned networks, which compute with the kept units only, compared with float64."""

import numpy as np
import pytest

from fastdrop import _core

RNG = np.random.default_rng(0)
PASSES = 3
SHAPES = [
    (1, 1024, 784),
    (3, 37, 1000),
    (50, 10, 1024),
    (200, 1025, 385),
    (5, 7, 0),
    (2, 33, 16),
    (4, 0, 9),
    (1, 1, 1),
    (20, 300, 700),
]


def floats(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


def packed_bits(kept):
    """Keep bits of each pass, with the two readable words behind them that the core asks for."""
    passes, units = kept.shape
    bits = np.zeros(passes * 4 * -(-units // 128) + 2, np.uint32)[:-2].reshape(passes, -1)
    for row, words in zip(kept, bits):
        words.view(np.uint8)[: -(-units // 8)] = np.packbits(row, bitorder="little")
    return bits


def offsets(sizes):
    """Where the parts of these sizes begin, one after the other."""
    return np.cumsum(sizes) - sizes


def product(x, kept, w, b):
    """Each pass's scale * x w^T + b in float64 for scale 2, and a bound of its rounding error."""
    exact = np.einsum("sti,oi->tso", x.astype(np.float64) * kept, 2.0 * w) + b
    bound = np.einsum("sti,oi->tso", np.abs(x).astype(np.float64) * kept, 2.0 * np.abs(w))
    return exact, bound + np.abs(b)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_thinned_layers(shape, share, each_isa):
    """Kept inputs and outputs; kept inputs and all outputs; all inputs and outputs."""
    samples, outs, ins = shape
    x, w, b = floats(samples, PASSES, ins), floats(outs, ins), floats(outs)
    kept, chosen = RNG.random((PASSES, ins)) < share, RNG.random((PASSES, outs)) < share
    bits, k, n = packed_bits(kept), kept.sum(1), chosen.sum(1)
    x_at = offsets(samples * k)
    rows = np.nonzero(chosen)[1].astype(np.int32)
    wide, bound = product(x, kept, w, b)
    every = {"y_at": np.arange(PASSES) * outs, "n": np.full(PASSES, outs), "ldy": PASSES * outs}
    every |= {"rows": None, "rows_at": None}
    for _ in each_isa():
        thin = np.full(samples * k.sum() + 20, np.float32(77))
        _core.thin_rows(
            thin[10:-10],
            x.reshape(samples * PASSES, ins),
            PASSES * ins,
            ins,
            samples,
            x_at,
            k,
            bits,
        )
        assert (thin[:10] == 77).all() and (thin[-10:] == 77).all()
        for t in range(PASSES):
            part = thin[10 + x_at[t] :][: samples * k[t]]
            assert np.array_equal(part, x[:, t][:, kept[t]].reshape(-1))
        inputs = {"samples": samples, "x": thin[10:], "x_at": x_at, "k": k, "bits": bits}
        inputs |= {"w": w, "bias": b, "scale": 2.0, "alpha": 0.0}

        flat, y_at = np.full(samples * n.sum() + 20, np.float32(77)), offsets(samples * n)
        _core.thin_layer(
            **inputs, act=1, y=flat[10:], y_at=y_at, n=n, ldy=0, rows=rows, rows_at=offsets(n)
        )
        apart = np.full((samples, PASSES, outs), np.float32(77))
        _core.thin_layer(**inputs, act=0, y=apart.reshape(-1, max(1, outs)), **every)
        assert (flat[:10] == 77).all() and (flat[10 + samples * n.sum() :] == 77).all()
        for t in range(PASSES):
            part = flat[10 + y_at[t] :][: samples * n[t]].reshape(samples, n[t])
            error = np.abs(part - np.maximum(wide[t], 0)[:, chosen[t]])
            assert (error <= 1e-6 * bound[t][:, chosen[t]]).all()
            assert (np.abs(apart[:, t] - wide[t]) <= 1e-6 * bound[t]).all()
        if outs:
            inputs |= {"x": x.swapaxes(0, 1).reshape(-1).copy(), "bits": None, "scale": 1.0}
            inputs |= {"x_at": np.arange(PASSES) * samples * ins, "k": np.full(PASSES, ins)}
            inputs |= {"bias": None}
            _core.thin_layer(**inputs, act=0, y=apart.reshape(-1, outs), **every)
            error = np.abs(apart - x.astype(np.float64) @ w.T)
            assert (error <= 1e-6 * (np.abs(x).astype(np.float64) @ np.abs(w).T)).all()


PARTS = [(1, 1), (5, 16), (40, 33), (7, 0), (0, 9), (64, 300), (300, 129)]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("shape", PARTS, ids=str)
def test_parts_of_matrices_and_back(shape, share, each_isa):
    rows, units = shape
    wide = floats(2 * rows, units + 3)
    x = wide[::2, :units]  # rows of any distance
    kept, chosen = RNG.random(units) < share, RNG.random(rows) < share
    bits, numbers = packed_bits(kept[None])[0], np.flatnonzero(chosen).astype(np.int32)
    for _ in each_isa():
        for some in (None, numbers):
            for columns in (None, bits):
                source = x if columns is not None else np.ascontiguousarray(x)
                expected = source if some is None else source[some]
                expected = expected if columns is None else expected[:, kept]
                room = np.full(expected.size + 20, np.float32(77))
                part = room[10:-10].reshape(expected.shape)
                _core.thin_take(part, source, some, columns, 3.0)
                assert np.array_equal(part, expected * np.float32(3))
                assert (room[:10] == 77).all() and (room[-10:] == 77).all()

                back = np.full((2 * rows, units + 3), np.float32(77))
                where = np.ones(rows, bool) if some is None else chosen
                inside = where[:, None] & (np.ones(units, bool) if columns is None else kept)
                _core.thin_put(back[::2, :units], [(part, some, columns)])
                assert np.array_equal(back[::2, :units], np.where(inside, 3 * x, 0))
                _core.thin_put(back[::2, :units], [(part, some, columns)], True)
                assert np.array_equal(back[::2, :units], np.where(inside, 6 * x, 0))
                assert (back[1::2] == 77).all() and (back[:, units:] == 77).all()


@pytest.mark.parametrize("shape", PARTS, ids=str)
def test_two_parts_add_up(shape, each_isa, each_thread_count):
    rows, units = shape
    x, kept, chosen = floats(rows, units), RNG.random(units) < 0.5, RNG.random(rows) < 0.5
    for _ in each_isa():
        for _ in each_thread_count():
            parts = []
            for here, there in ((chosen, kept), (~chosen, ~kept)):
                part = np.ascontiguousarray(x[here][:, there])
                numbers = np.flatnonzero(here).astype(np.int32)
                parts.append((part, numbers, packed_bits(there[None])[0]))
            out = np.full((rows, units), np.float32(77))
            _core.thin_put(out, parts)
            assert np.array_equal(out, np.where(chosen[:, None] == kept, x, 0))


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("shape", PARTS, ids=str)
def test_update_by_a_sum_of_parts(shape, momentum, first, each_isa, each_thread_count):
    """The bits of the update by the gradient that is written out, on any number of threads."""
    rows, units = shape
    p, g, buf = floats(rows, units), floats(rows, units), floats(rows, units)
    kept, chosen = RNG.random(units) < 0.5, RNG.random(rows) < 0.5
    options = (0.125, momentum, 0.25, 0.01, False, first)
    for _ in each_isa():
        for count in (1, 2):
            parts, whole = [], np.zeros_like(g)
            for here, there in ((chosen, kept), (~chosen, ~kept))[:count]:
                inside = here[:, None] & there
                whole[inside] = g[inside]
                part = np.ascontiguousarray(g[here][:, there])
                numbers = np.flatnonzero(here).astype(np.int32)
                parts.append((part, numbers, packed_bits(there[None])[0]))
            expected, state = p.copy(), buf.copy() if momentum else None
            _core.sgd(expected, whole, state, *options)
            for _ in each_thread_count():
                found, other = p.copy(), buf.copy() if momentum else None
                _core.sgd(found, parts, other, *options)
                assert np.array_equal(found, expected)
                assert momentum == 0 or np.array_equal(other, state)


@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("size", [(3, 5, 40), (20, 70, 1000), (1, 33, 384), (40, 9, 2000)], ids=str)
def test_products_without_the_terms_that_are_zero(size, ta, tb, each_isa):
    """k_units: the bits of the whole product, whose other columns of A are 0."""
    m, n, k = size
    a, b, bias = floats(m, k), floats(k, n), floats(n)
    for share in (0.0, 0.02, 0.5, 1.0):
        kept = RNG.random(k) < share
        kept[k // 3 : 2 * k // 3] &= share != 0.02  # a piece without any
        units = np.flatnonzero(kept).astype(np.int32)
        whole_a, part_a = np.where(kept, a, 0), np.ascontiguousarray(a[:, kept])
        part_b = np.ascontiguousarray(b[kept])

        def stored(x, turned):
            return np.ascontiguousarray(x.T) if turned else x

        for _ in each_isa():
            for act in (0, 1, 4):
                expected, found = floats(m, n), floats(m, n)
                _core.gemm(expected, stored(whole_a, ta), ta, stored(b, tb), tb, bias, act)
                _core.gemm(
                    found,
                    stored(part_a, ta),
                    ta,
                    stored(part_b, tb),
                    tb,
                    bias,
                    act,
                    k_units=units,
                    k_whole=k,
                )
                assert np.array_equal(found, expected)
            start = floats(m, n)
            expected, found = start.copy(), start.copy()
            _core.gemm(expected, stored(whole_a, ta), ta, stored(b, tb), tb, accumulate=True)
            _core.gemm(
                found,
                stored(part_a, ta),
                ta,
                stored(part_b, tb),
                tb,
                accumulate=True,
                k_units=units,
                k_whole=k,
            )
            assert np.array_equal(found, expected)
