"""A slow NumPy reference of the mask contract (docs/mask-contract.md).

It computes the full 32-bit uniform number of every unit and compares it with the threshold. Only
tests use it.
"""

from __future__ import annotations

import numpy as np

M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = 0x9E3779B9, 0xBB67AE85
LOW32 = np.uint64(0xFFFFFFFF)
VERSION = 1
KEEP, UNIFORM, NORMAL = 0, 1, 2  # domains; + MONTE_CARLO for Monte Carlo passes
MONTE_CARLO = 16
SHARED_ROW = 0xFFFFFFFF


def philox4x32(counter, key, rounds=10):
    """Philox4x32 (Salmon et al., SC'11): counter (..., 4), key (2,) -> (..., 4), all uint32."""
    c = [np.asarray(counter[..., i], dtype=np.uint64) for i in range(4)]
    k0, k1 = int(key[0]), int(key[1])
    for _ in range(rounds):
        p0, p1 = c[0] * M0, c[2] * M1
        c = [
            (p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0),
            p1 & LOW32,
            (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1),
            p0 & LOW32,
        ]
        k0, k1 = (k0 + W0) & 0xFFFFFFFF, (k1 + W1) & 0xFFFFFFFF
    return np.stack(c, axis=-1).astype(np.uint32)


def stream_key(seed, site, domain=KEEP, call=0, instance=0):
    """Philox key of one stream: (2,) uint32. instance is in [0, 2**24)."""
    words = np.array([site, domain, call, VERSION + 256 * instance], dtype=np.uint32)
    seed_words = np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint32)
    return philox4x32(words, seed_words)[:2]


def keep_threshold(p):
    """Drop probability p in [0, 1] -> integer keep threshold q in [0, 2**32]."""
    return int(np.floor((1.0 - float(p)) * 4294967296.0 + 0.5))


def keep_scale(p):
    """The inverted-dropout scale 2**32 / q, rounded once to float32 (0 when nothing is kept)."""
    q = keep_threshold(p)
    return np.float32(4294967296.0 / q) if q else np.float32(0.0)


def _blocks(rows, block_numbers, key, sub, draw):
    """Philox words for a (rows x blocks) grid of counters: (len(rows), len(blocks), 4) uint32."""
    c = np.empty((len(rows), len(block_numbers), 4), dtype=np.uint32)
    c[..., 0] = np.asarray(block_numbers, dtype=np.uint32)[None, :]
    c[..., 1] = np.uint32(sub)
    c[..., 2] = np.asarray(rows, dtype=np.uint32)[:, None]
    c[..., 3] = np.uint32(draw)
    return philox4x32(c, key)


def keep_uniform32(rows, units, *, seed=0, site=0, draw=0, sub=0, call=0, instance=0, domain=KEEP):
    """The uniforms U(row, unit) that are compared with q: (len(rows), units) uint32."""
    key = stream_key(seed, site, domain, call, instance)
    groups = np.arange((units + 127) // 128, dtype=np.uint64)
    u = np.zeros((len(rows), len(groups), 128), dtype=np.uint32)
    for plane in range(32):
        words = _blocks(rows, groups * np.uint64(32) + np.uint64(plane), key, sub, draw)
        bits = (words[..., :, None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
        u |= bits.reshape(u.shape) << np.uint32(31 - plane)
    return u.reshape(len(rows), -1)[:, :units]


def keep_mask(rows, units, p, **stream):
    """True where a unit is kept: (len(rows), units) bool. `rows` are global row numbers."""
    return keep_uniform32(rows, units, **stream).astype(np.uint64) < np.uint64(keep_threshold(p))


def uniform23(rows, units, *, seed=0, site=0, draw=0, sub=0, call=0, instance=0, domain=UNIFORM):
    """Uniform floats in the open interval (0, 1), exact in float32: (len(rows), units) float32."""
    key = stream_key(seed, site, domain, call, instance)
    words = _blocks(rows, np.arange((units + 3) // 4, dtype=np.uint64), key, sub, draw)
    u = (words >> np.uint32(9)).astype(np.float64) * 2.0**-23 + 2.0**-24
    return u.reshape(len(rows), -1)[:, :units].astype(np.float32)


def normal(rows, units, *, domain=NORMAL, **stream):
    """Standard normals by Box-Muller on consecutive uniform pairs: (len(rows), units) float64."""
    even = units + units % 2
    u = uniform23(rows, even, domain=domain, **stream).astype(np.float64)
    radius, angle = np.sqrt(-2.0 * np.log(u[:, 0::2])), 2.0 * np.pi * u[:, 1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return pairs.reshape(len(rows), even)[:, :units]
