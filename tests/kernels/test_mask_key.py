"""Mask keys: every field reaches the right place of a stream, and wrong values are refused."""

import numpy as np
import pytest

from fastdrop._utils import validation as check
from fastdrop.kernels.mask_key import NORMAL, MaskKey, sample_rows

FIELDS = dict(seed=2**63 + 1, site=2, draw=3, row0=4, sub=5, call=6, domain=NORMAL, instance=7)


def coordinates(stream):
    """The coordinates of a stream as a dict."""
    names = ("seed", "site", "draw", "row0", "sub", "call", "domain", "by_sub", "instance")
    return {name: getattr(stream, name) for name in names}


def test_sample_stream_has_the_coordinates_of_its_key():
    count, stream = MaskKey(**FIELDS).sample_stream(7)
    assert count == 7 and stream.rows is None
    assert coordinates(stream) == {**FIELDS, "by_sub": False}


def test_sample_stream_of_listed_rows():
    count, stream = MaskKey(**FIELDS).replace(row0=0).sample_stream([9, 2])
    assert count == 2 and stream.rows.tolist() == [9, 2] and stream.rows.dtype == np.uint32


def test_batch_stream_gives_all_rows_the_shared_number():
    stream = MaskKey(**FIELDS).batch_stream(3)
    assert stream.rows.tolist() == [2**32 - 1] * 3
    assert coordinates(stream) == {**FIELDS, "row0": 0, "by_sub": False}


@pytest.mark.parametrize("row", [2**32 - 1, 8])
def test_weight_stream_counts_in_sub(row):
    stream = MaskKey(**FIELDS).weight_stream(row)
    assert coordinates(stream) == {**FIELDS, "row0": row, "sub": 0, "by_sub": True}


def test_keys_do_not_change():
    key = MaskKey(**FIELDS)
    assert key.replace(site=9) == MaskKey(**{**FIELDS, "site": 9}) and key.site == 2
    with pytest.raises(AttributeError):
        key.site = 9


@pytest.mark.parametrize("name", ["seed", "site", "draw", "row0", "sub", "call", "instance"])
def test_each_coordinate_is_validated(name):
    limit = {"seed": 2**64, "instance": 2**24}.get(name, 2**32)
    for value, error in (
        (-1, ValueError),
        (limit, ValueError),
        (1.0, TypeError),
        (True, TypeError),
        ("1", TypeError),
    ):
        with pytest.raises(error, match=name):
            MaskKey(**{name: value}).sample_stream(1)
    for value in (np.uint32(7), limit - 1):
        stream = MaskKey(**{name: value}).sample_stream(1)[1]
        assert getattr(stream, name) == value


def test_sample_rows_must_have_one_number_a_sample():
    assert sample_rows(3, None) == 3
    assert sample_rows(2, [5, 1]).tolist() == [5, 1]
    with pytest.raises(ValueError, match="rows must list one row number for each of the 3"):
        sample_rows(3, [5, 1])


@pytest.mark.parametrize(
    ("x", "w", "b", "word"),
    [
        ((2, 3), (4,), None, "weight must have 2 dimensions"),
        ((2, 3), (4, 2), None, "input must have 2 features"),
        ((), (4, 2), None, "input must have 2 features"),
        ((2, 3), (4, 3), (3,), "bias must have shape"),
        ((2, 3), (4, 3), (4, 1), "bias must have shape"),
    ],
)
def test_shapes_of_a_dense_layer(x, w, b, word):
    with pytest.raises(ValueError, match=word):
        check.linear_shapes(x, w, b, ("input", "weight", "bias"))
    check.linear_shapes((2, 5, 3), (4, 3), (4,))
