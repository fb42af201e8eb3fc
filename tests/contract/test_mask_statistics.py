"""Statistical tests of mask streams along every coordinate.

The seeds are fixed, and the bounds were chosen before the first run: z = 5 (probability one in two
million); for chi-square a standard deviation of sqrt(2 k); for the extreme of m values
z = 5 + sqrt(2 ln m).
"""

import math

import numpy as np
import pytest

from fastdrop import _core
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
    for axis in (0, 1):  # the rate of each unit, then of each row
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
def test_masks_of_neighbouring_coordinates_do_not_correlate(p):
    for name, one, two in streams(p):
        if name == "row0":
            assert np.array_equal(one[1:], two[:-1])  # the rows move by one
            continue
        product = (one - (1 - p)) * (two - (1 - p))
        assert abs(product.mean()) < Z * p * (1 - p) / math.sqrt(product.size), name


@pytest.mark.parametrize("coordinate", ["seed", "site", "draw", "sub", "call", "row0"])
def test_consecutive_values_of_a_coordinate_are_independent(coordinate):
    """Over 400 consecutive values: rate and runs of each unit, correlation of all pairs."""
    n, units = 400, 512
    walk = (
        np.concatenate(
            [K.keep_mask(1, units, 0.5, **{"seed": 77, coordinate: 1000 + i}) for i in range(n)]
        ).astype(np.float64)
        * 2
        - 1
    )
    assert np.abs(walk.sum(0)).max() < math.sqrt(n) * (math.sqrt(2 * math.log(units)) + Z)
    changes = (walk[1:] != walk[:-1]).sum()
    assert abs(changes - (n - 1) * units / 2) < Z * math.sqrt((n - 1) * units) / 2
    # Uncorrelated standard normal numbers.
    pairs = (walk @ walk.T)[np.triu_indices(n, 1)] / math.sqrt(units)
    assert np.abs(pairs).max() < math.sqrt(2 * math.log(pairs.size)) + Z
    assert abs((pairs**2).mean() - 1) < Z * math.sqrt(2 / pairs.size)


def test_domains_do_not_correlate():
    """Keep bits of training and of Monte Carlo, uniform and normal numbers at equal coordinates."""
    shape = 300, 1000
    kept, again = np.empty(shape, np.bool_), np.empty(shape, np.bool_)
    uniform, normal = (
        K.uniform(*shape, seed=5, site=3).astype(np.float64),
        K.normal(*shape, seed=5, site=3).astype(np.float64),
    )
    for out, domain in ((kept, 0), (again, 16)):
        _core.keep_mask(out, _core.Stream(5, 3, domain=domain), _core.keep_threshold(0.5))
    standard = [kept * 2.0 - 1, again * 2.0 - 1, (uniform - 0.5) * math.sqrt(12), normal]
    for i, one in enumerate(standard):
        for two in standard[:i]:
            assert abs((one * two).mean()) < Z / math.sqrt(one.size)


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


@pytest.mark.parametrize("p", RATES)
def test_runs(p):
    """The number of runs along the units, and their lengths."""
    bits = K.keep_mask(1, 2_000_000, p, seed=31)[0]
    pq = p * (1 - p)
    ends = np.flatnonzero(bits[1:] != bits[:-1])
    assert abs(ends.size - (bits.size - 1) * 2 * pq) < Z * math.sqrt(
        bits.size * (4 * pq - 12 * pq**2)
    )
    lengths = np.diff(ends)[bits[ends[1:]]]  # runs of kept units are geometric
    counts = np.bincount(lengths, minlength=2)[1:]
    expected = lengths.size * p * (1 - p) ** np.arange(counts.size)
    enough = expected > 20
    chi = ((counts - expected) ** 2 / expected)[enough].sum()
    assert abs(chi - enough.sum()) < Z * math.sqrt(2 * enough.sum()) + 10


def test_uniform_and_normal_moments():
    u, n = K.uniform(100, 20000, seed=1), K.normal(100, 20000, seed=1)
    size = u.size
    assert u.min() > 0 and u.max() < 1
    assert abs(u.mean(dtype=np.float64) - 0.5) < Z * math.sqrt(1 / 12 / size)
    counts = np.histogram(u, 1000, (0, 1))[0]
    chi = ((counts - size / 1000) ** 2 / (size / 1000)).sum()
    assert abs(chi - 999) < Z * math.sqrt(2 * 999)
    wide = n.astype(np.float64)
    assert abs(wide.mean()) < Z / math.sqrt(size) and abs(wide.var() - 1) < Z * math.sqrt(2 / size)
    assert abs((wide**4).mean() - 3) < Z * math.sqrt(96 / size)
    assert abs((wide[:, :-1] * wide[:, 1:]).mean()) < Z / math.sqrt(size)
    assert abs(
        (u[:, :-1].astype(np.float64) - 0.5).ravel() @ (u[:, 1:].ravel() - 0.5) / size
    ) < Z / 12 / math.sqrt(size)
