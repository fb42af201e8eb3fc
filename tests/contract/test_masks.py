"""Masks against frozen vectors and the slow reference of the contract, bit for bit."""

import hashlib
import json
import os
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastdrop
from fastdrop import _core
from fastdrop import kernels as K
from helpers import mask_reference as reference

HERE = pathlib.Path(__file__).parent
VECTORS = json.loads((HERE / "mask_vectors.json").read_text())
WITH_INSTANCE = json.loads((HERE / "mask_vectors_instance.json").read_text())
COORDINATES = ("seed", "site", "draw", "row0", "sub", "call")
RATES = (0.0, 1e-6, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9, 0.999999, 1.0, 2.0**-32, 1 - 2.0**-32)
EVERYWHERE = dict(seed=2**63 + 17, site=2**31, draw=3, sub=2**32 - 1, call=7)
UNITS = (1, 2, 31, 32, 33, 127, 128, 129, 255, 256, 300, 511, 640, 1000, 1024, 1025, 1100)


def slow(rows, units, p, row0=0, **stream):
    return reference.keep_mask(
        np.arange(rows, dtype=np.uint64) + np.uint64(row0), units, p, **stream
    )


@pytest.mark.parametrize(
    "case",
    VECTORS["cases"] + WITH_INSTANCE["cases"],
    ids=lambda c: f"{c['rows']}x{c['units']} p={c['p']} instance={c.get('instance')}",
)
def test_frozen_vectors(case, isa, each_thread_count):
    where = {name: case[name] for name in COORDINATES}
    where["instance"] = case.get("instance", 0)
    for _ in each_thread_count():
        mask = K.keep_mask(case["rows"], case["units"], case["p"], **where)
        assert mask.sum() == case["kept"]
        assert hashlib.sha256(mask.astype(np.uint8).tobytes()).hexdigest() == case["keep_sha256"]
        if "first_row_hex" in case:
            first = np.packbits(mask[0, :64], bitorder="little").tobytes().hex()
            assert first == case["first_row_hex"][: len(first)]
        uniform = K.uniform(case["rows"], case["units"], **where)
        assert hashlib.sha256(uniform.astype("<f4").tobytes()).hexdigest() == case["uniform_sha256"]
        if "uniform_first" in case:
            first = np.float32(case["uniform_first"])[: case["units"]]
            assert np.array_equal(uniform[0, :4], first)
        normal = K.normal(case["rows"], case["units"], **where)
        assert np.abs(normal[0, :4] - np.array(case["normal_first"])[: case["units"]]).max() < 1e-6


def test_the_reference_gives_the_published_philox_answers():
    answers = [  # Salmon et al., SC'11, kat_vectors
        ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ]
    for counter, key, words in answers:
        out = reference.philox4x32(np.array(counter, np.uint32), np.array(key, np.uint32))
        assert [f"{w:08x}" for w in out] == words.split()
    assert (
        list(reference.stream_key(42, 7, 0, 1)) == VECTORS["stream_key_seed42_site7_domain0_call1"]
    )


def test_the_kernels_use_the_frozen_stream_key(isa):
    """Uniform words under the frozen key, without the reference's own derivation of the key."""
    key = np.array(VECTORS["stream_key_seed42_site7_domain0_call1"], np.uint32)
    out = np.empty((1, 40), np.float32)
    _core.uniform(out, _core.Stream(42, 7, 1, draw=6, row0=9, sub=8, domain=0))
    words = reference.philox4x32(
        np.array([[block, 8, 9, 6] for block in range(10)], np.uint32), key
    )
    assert np.array_equal(out[0], ((words >> 9) * 2.0**-23 + 2.0**-24).ravel().astype(np.float32))


def test_the_kernels_use_the_frozen_stream_key_of_an_instance(isa):
    words = WITH_INSTANCE["stream_key_seed42_site7_domain0_call1_instance1"]
    assert list(reference.stream_key(42, 7, 0, 1, instance=1)) == words
    out = np.empty((1, 40), np.float32)
    _core.uniform(out, _core.Stream(42, 7, 1, draw=6, row0=9, sub=8, domain=0, instance=1))
    counters = np.array([[block, 8, 9, 6] for block in range(10)], np.uint32)
    words = reference.philox4x32(counters, np.array(words, np.uint32))
    assert np.array_equal(out[0], ((words >> 9) * 2.0**-23 + 2.0**-24).ravel().astype(np.float32))


def test_a_stream_keeps_its_instance_and_refuses_one_of_25_bits():
    stream = _core.Stream(1, 2, instance=2**24 - 1)
    assert pickle.loads(pickle.dumps(stream)).instance == stream.instance == 2**24 - 1
    assert "instance=16777215" in repr(stream)
    with pytest.raises(ValueError, match="instance must be below"):
        _core.Stream(1, 2, instance=2**24)


@pytest.mark.parametrize("p", RATES)
def test_every_rate_and_width(p, isa):
    for units in UNITS:
        where = dict(seed=units, site=3, draw=units % 7, sub=units % 3, call=1)
        assert np.array_equal(
            K.keep_mask(3, units, p, row0=11, **where), slow(3, units, p, row0=11, **where)
        ), units


@pytest.mark.parametrize("p", RATES)
def test_every_width(p, isa):
    # The first units of a wide mask are the narrow mask.
    uniforms = reference.keep_uniform32([5, 2**32 - 1], 1104, **EVERYWHERE)
    whole = uniforms < reference.keep_threshold(p)
    edges = sorted(
        {
            n
            for multiple in range(0, 1101, 32)
            for n in (multiple - 1, multiple, multiple + 1)
            if 0 < n <= 1100
        }
        | set(range(1, 70))
    )
    for units in edges:
        assert np.array_equal(
            K.keep_mask([5, 2**32 - 1], units, p, **EVERYWHERE), whole[:, :units]
        ), units


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    rows=st.integers(1, 9),
    units=st.integers(1, 400),
    p=st.floats(0, 1),
    seed=st.integers(0, 2**64 - 1),
    site=st.integers(0, 2**32 - 1),
    draw=st.integers(0, 2**32 - 1),
    sub=st.integers(0, 2**32 - 1),
    call=st.integers(0, 2**32 - 1),
    row0=st.integers(0, 2**32 - 10),
    instance=st.integers(0, 2**24 - 1),
)
def test_any_coordinates(rows, units, p, row0, **where):
    assert np.array_equal(
        K.keep_mask(rows, units, p, row0=row0, **where), slow(rows, units, p, row0=row0, **where)
    )


def test_threads_rows_and_splits_do_not_matter(isa, each_thread_count):
    whole = slow(41, 777, 0.3, seed=5)
    numbers = np.random.default_rng(0).permutation(41)
    numbers[5] = numbers[4]
    for _ in each_thread_count():
        assert np.array_equal(K.keep_mask(41, 777, 0.3, seed=5), whole)
        assert np.array_equal(K.keep_mask(numbers, 777, 0.3, seed=5), whole[numbers])
        assert np.array_equal(K.keep_mask(list(numbers[:3]), 777, 0.3, seed=5), whole[numbers[:3]])
        parts = [K.keep_mask(n, 777, 0.3, seed=5, row0=r) for r, n in ((0, 1), (1, 7), (8, 33))]
        assert np.array_equal(np.concatenate(parts), whole)


def test_rows_that_several_threads_share(isa, each_thread_count):
    whole = slow(3, 40000, 0.1, seed=9)
    wide = np.random.default_rng(1).standard_normal((3, 40000), dtype=np.float32)
    expected = np.where(whole, wide * reference.keep_scale(0.1), np.float32(0))
    for _ in each_thread_count():
        assert np.array_equal(K.keep_mask(3, 40000, 0.1, seed=9), whole)
        assert np.array_equal(K.dropout(wide, 0.1, seed=9), expected)


@pytest.mark.parametrize("units", UNITS)
def test_packed_bits(units, isa):
    bits = K.keep_bits(5, units, 0.3, seed=2)
    assert bits.dtype == np.uint32 and bits.shape == (5, 4 * -(-units // 128))
    unpacked = np.unpackbits(
        bits.astype("<u4").view(np.uint8).reshape(5, -1), axis=1, bitorder="little"
    )
    assert np.array_equal(unpacked[:, :units], slow(5, units, 0.3, seed=2))
    assert not unpacked[:, units:].any()
    assert not K.keep_bits(5, units, 1.0).any()
    ones = np.unpackbits(
        K.keep_bits(5, units, 0.0).astype("<u4").view(np.uint8).reshape(5, -1),
        axis=1,
        bitorder="little",
    )
    assert ones[:, :units].all() and not ones[:, units:].any()


# Thresholds with 7 to 13, and with 32 planes that matter.
PLANES = (*(2.0**-j for j in range(7, 14)), 1 / 3)


@pytest.mark.parametrize("groups", [1, 2, 3, 5, 12, 23, 40, 77, 127, 128, 129, 300])
def test_lists_of_groups_of_any_length(groups, isa):
    """The undecided groups of up to 128 are moved together after 8 and after 10 planes."""
    uniforms = reference.keep_uniform32([9], 128 * groups, seed=3, site=1)
    for p in PLANES:
        packed = np.packbits(uniforms < reference.keep_threshold(p), axis=1, bitorder="little")
        assert np.array_equal(
            K.keep_bits(1, 128 * groups, p, seed=3, site=1, row0=9), packed.view("<u4")
        ), p


@pytest.mark.parametrize("rows", [1, 6, 50, 200])
def test_lists_of_groups_of_several_rows(rows, isa):
    uniforms = reference.keep_uniform32(np.arange(rows), 300, seed=4)
    for p in PLANES:
        mask = uniforms < reference.keep_threshold(p)
        assert np.array_equal(K.keep_mask(rows, 300, p, seed=4), mask), p
        assert np.array_equal(
            K.dropout(np.ones((rows, 300), np.float32), p, seed=4, inverted=False), mask
        ), p


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_packed_bits_on_several_threads(p, isa, each_thread_count):
    mask = slow(70, 3001, p, row0=3, seed=2, draw=1)
    expected = np.zeros((70, 24 * 128), np.uint8)
    expected[:, :3001] = mask
    expected = np.packbits(expected, axis=1, bitorder="little").view("<u4")
    for _ in each_thread_count():
        assert np.array_equal(K.keep_bits(70, 3001, p, row0=3, seed=2, draw=1), expected)
        assert np.array_equal(
            K.keep_bits(np.arange(72, 2, -1), 3001, p, seed=2, draw=1), expected[::-1]
        )


def test_masks_are_nested():
    masks = [K.keep_mask(20, 500, p, seed=1) for p in sorted(RATES)]
    for less, more in zip(masks[1:], masks, strict=False):
        assert not (less & ~more).any()


def test_the_shared_row_and_the_last_row():
    last = 2**32 - 1
    assert np.array_equal(K.keep_mask([last], 300, 0.5), K.keep_mask(1, 300, 0.5, row0=last))
    assert np.array_equal(K.keep_mask([last], 300, 0.5), slow(1, 300, 0.5, row0=last))
    with pytest.raises(ValueError, match="row0"):
        K.keep_mask(2, 300, 0.5, row0=last)


def test_monte_carlo_numbers_have_their_own_domain(isa):
    for draws, domain, oracle, error in (
        (_core.uniform, 17, reference.uniform23, 0.0),
        (_core.normal, 18, reference.normal, 1e-6),
    ):
        out = np.empty((4, 601), np.float32)
        draws(out, _core.Stream(7, 1, 0, 3, 0, 0, domain))
        assert (
            np.abs(out - oracle(np.arange(4), 601, seed=7, site=1, draw=3, domain=domain)).max()
            <= error
        )


def test_monte_carlo_masks_have_their_own_domain(isa):
    out = np.empty((4, 600), np.bool_)
    _core.keep_mask(out, _core.Stream(7, 1, 0, 3, 0, 0, 16), _core.keep_threshold(0.5))
    assert np.array_equal(out, slow(4, 600, 0.5, seed=7, site=1, draw=3, domain=16))
    assert not np.array_equal(out, K.keep_mask(4, 600, 0.5, seed=7, site=1, draw=3))


@pytest.mark.parametrize("units", (1, 2, 3, 7, 64, 511, 513, 1030))
def test_uniform_and_normal(units, isa, each_thread_count):
    numbers = np.arange(6)
    for _ in each_thread_count():
        assert np.array_equal(
            K.uniform(6, units, seed=3, site=2), reference.uniform23(numbers, units, seed=3, site=2)
        )
        assert (
            np.abs(
                K.normal(6, units, seed=3, site=2)
                - reference.normal(numbers, units, seed=3, site=2)
            ).max()
            < 1e-6
        )


def test_uniform_and_normal_on_several_threads_and_cut(isa, each_thread_count):
    exact = reference.uniform23(np.arange(9), 30001, seed=6, draw=2)
    normal = None
    for _ in each_thread_count():
        assert np.array_equal(K.uniform(9, 30001, seed=6, draw=2), exact)
        assert np.array_equal(K.uniform([8, 2, 2], 30001, seed=6, draw=2), exact[[8, 2, 2]])
        numbers = K.normal(9, 30001, seed=6, draw=2)
        normal = numbers if normal is None else normal
        assert np.array_equal(numbers, normal)
        assert np.array_equal(K.normal(4, 30001, seed=6, draw=2, row0=3), normal[3:7])


def test_normal_error_is_below_1e_6(isa):
    normal = K.normal(50, 10000, seed=4)
    assert np.abs(normal - reference.normal(np.arange(50), 10000, seed=4)).max() < 1e-6


@pytest.mark.parametrize("name", fastdrop.available_isas())
def test_environment_forces_the_instruction_set(name):
    code = (
        "import fastdrop, hashlib; from fastdrop import kernels as K; "
        "mask = K.keep_mask(9, 999, 0.3, seed=8).tobytes(); "
        "digest = hashlib.sha256(mask).hexdigest(); "
        "print(fastdrop.isa(), fastdrop.get_num_threads(), digest)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FASTDROP_ISA": name, "FASTDROP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    digest = hashlib.sha256(slow(9, 999, 0.3, seed=8).tobytes()).hexdigest()
    assert result.stdout.split() == [name, "1", digest]


@pytest.mark.parametrize(
    ("variable", "value"),
    [("FASTDROP_ISA", "mmx"), ("FASTDROP_NUM_THREADS", "many"), ("FASTDROP_NUM_THREADS", "0")],
)
def test_wrong_environment_is_an_error(variable, value):
    result = subprocess.run(
        [sys.executable, "-c", "import fastdrop"],
        env={**os.environ, variable: value},
        capture_output=True,
        text=True,
    )
    assert result.returncode != 0
    assert variable in result.stderr and value in result.stderr


def test_unknown_instruction_set():
    with pytest.raises(ValueError, match="mmx"):
        _core.set_isa("mmx")
    assert fastdrop.isa() in fastdrop.available_isas()
