"""Mask streams look random along every coordinate. Seeds are fixed and the bounds were set beforehand: z = 5 for single
figures (one in two million), p = 1e-6 for chi-square."""

import math

import numpy as np
import pytest

from fastdrop import kernels as K

Z = 5.0
RATES = (0.5, 0.1, 0.3, 0.9)


def assert_mean(bits, probability):
    n = bits.size
    assert abs(bits.mean() - probability) < Z * math.sqrt(probability * (1 - probability) / n)


@pytest.mark.parametrize("p", [*RATES, 0.01, 0.999])
def test_realised_rate(p):
    kept = K.keep_mask(500, 4000, p, seed=11)
    assert_mean(kept, 1 - p)
    for axis in (0, 1):  # of each unit, and of each row: the extremes of many binomials
        n, m = kept.shape[axis], kept.shape[1 - axis]
        z = (kept.mean(axis) - (1 - p)) / math.sqrt(p * (1 - p) / n)
        assert np.abs(z).max() < math.sqrt(2 * math.log(m)) + Z
        assert abs((z**2).sum() - m) < Z * math.sqrt(2 * m) * (1 + 1 / math.sqrt(n * p * (1 - p)))


def streams(p):
    """Pairs of masks that differ in one step of one coordinate."""
    base = dict(seed=5, site=3, draw=9, sub=2, call=1, row0=0)
    first = K.keep_mask(300, 1000, p, **base)
    for name in ("seed", "site", "draw", "sub", "call", "row0"):
        yield name, first, K.keep_mask(300, 1000, p, **{**base, name: base[name] + 1})
    yield "unit", first[:, :-1], first[:, 1:]
    yield "unit of the next group", first[:, :-128], first[:, 128:]
    yield "row", first[:-1], first[1:]
    yield "seed high word", first, K.keep_mask(300, 1000, p, **{**base, "seed": 5 + 2**32})


@pytest.mark.parametrize("p", RATES)
def test_neighbours_do_not_correlate(p):
    for name, one, two in streams(p):
        if name == "row0":
            assert np.array_equal(one[1:], two[:-1])  # it only moves
            continue
        product = (one - (1 - p)) * (two - (1 - p))
        assert abs(product.mean()) < Z * p * (1 - p) / math.sqrt(product.size), name


@pytest.mark.parametrize("p", [0.5, 0.25])
def test_bytes_are_evenly_spread(p):
    data = np.packbits(K.keep_mask(200, 8192, p, seed=21), axis=1).ravel()
    ones = np.array([bin(b).count("1") for b in range(256)])
    expected = data.size * (1 - p) ** ones * p ** (8 - ones)
    seen = np.bincount(data, minlength=256)
    enough = expected > 5
    chi = ((seen - expected) ** 2 / expected)[enough].sum()
    k = enough.sum() - 1
    assert k - Z * math.sqrt(2 * k) < chi < k + Z * math.sqrt(2 * k) + 10


def test_runs():
    bits = K.keep_mask(1, 2_000_000, 0.5, seed=31)[0]
    runs = 1 + np.count_nonzero(bits[1:] != bits[:-1])
    assert abs(runs - bits.size / 2) < Z * math.sqrt(bits.size) / 2


def test_uniform_and_normal_moments():
    u, n = K.uniform(100, 20000, seed=1), K.normal(100, 20000, seed=1)
    size = u.size
    assert 0 < u.min() and u.max() < 1
    assert abs(u.mean(dtype=np.float64) - 0.5) < Z * math.sqrt(1 / 12 / size)
    counts = np.histogram(u, 1000, (0, 1))[0]
    chi = ((counts - size / 1000) ** 2 / (size / 1000)).sum()
    assert abs(chi - 999) < Z * math.sqrt(2 * 999)
    wide = n.astype(np.float64)
    assert abs(wide.mean()) < Z / math.sqrt(size) and abs(wide.var() - 1) < Z * math.sqrt(2 / size)
    assert abs((wide**4).mean() - 3) < Z * math.sqrt(96 / size)
    assert abs((wide[:, :-1] * wide[:, 1:]).mean()) < Z / math.sqrt(size)
    assert abs((u[:, :-1].astype(np.float64) - 0.5).ravel() @ (u[:, 1:].ravel() - 0.5) / size) < Z / 12 / math.sqrt(size)
