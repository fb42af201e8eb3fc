"""Data sets, batches, splits and standardisation."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.data import Dataset, Standardizer, batches, split


def numbered(n=10):
    return np.arange(n * 3, dtype=np.float32).reshape(n, 3), np.arange(n)


def test_every_epoch_visits_all_samples_in_a_new_order():
    fd.manual_seed(3)
    x, y = numbered()
    loader = batches(x, y, 4)
    epochs = []
    for _ in range(2):
        pieces = list(loader)
        assert [len(xb) for xb, _ in pieces] == [4, 4, 2] and len(loader) == 3
        order = np.concatenate([yb for _, yb in pieces])
        np.testing.assert_array_equal(np.concatenate([xb for xb, _ in pieces]), x[order])
        assert sorted(order) == list(range(10))
        epochs.append(order)
    assert (epochs[0] != epochs[1]).any()
    fd.manual_seed(3)
    np.testing.assert_array_equal(np.concatenate([yb for _, yb in batches(x, y, 4)]), epochs[0])


def test_batches_without_shuffling_are_views():
    x, y = numbered()
    pieces = list(batches(x, y, 4, shuffle=False, drop_last=True))
    assert len(pieces) == 2 and np.shares_memory(pieces[0][0], x)
    assert [xb.shape for xb in batches(x, batch_size=20)] == [(10, 3)]


def test_batches_reuse_memory_only_when_asked():
    x, y = numbered()
    kept = list(batches(x, y, 5))
    assert not np.shares_memory(kept[0][0], kept[1][0])
    reused = list(batches(x, y, 5, reuse=True))
    assert np.shares_memory(reused[0][0], reused[1][0])


def test_an_epoch_can_start_in_the_middle():
    x, y = numbered()
    loader = batches(x, y, 3)
    order = loader.new_order()
    whole = [yb.copy() for _, yb in loader.epoch(order)]
    rest = [yb.copy() for _, yb in loader.epoch(order, start=2)]
    assert len(rest) == 2 and all((a == b).all() for a, b in zip(whole[2:], rest))


def test_dtypes_of_batches():
    x, y = numbered()
    xb, yb = next(iter(batches(x.astype(np.float64)[:, ::-1], y.astype(np.uint8), 4)))
    assert xb.dtype == np.float32 and xb.flags.c_contiguous and yb.dtype == np.int64
    assert next(iter(batches(fd.tensor(x), y / 2, 4)))[1].dtype == np.float32


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ((np.ones((3, 2)), np.ones(2)), ValueError, "y must have one row"),
        ((np.array(["a"]),), TypeError, "x must hold real numbers"),
        ((np.ones((3, 2), complex),), TypeError, "x must hold real numbers"),
        ((np.float32(1),), ValueError, "x must have at least 1 dimension"),
        ((np.array([[1.0], [np.nan]]),), ValueError, r"x must be finite.*row 1"),
        ((np.ones((2, 1)), np.array([1.0, np.inf])), ValueError, r"y must be finite.*row 1"),
        ((np.ones((2, 1)), np.array([-1, 0])), ValueError, "class numbers from 0"),
        ((np.ones((2, 1)), np.array([[1], [0]])), ValueError, "y must have 1 dimension"),
        ((np.ones((2, 1)), np.array([2, 0]), ["a", "b"]), ValueError, "from 0 to 1"),
        ((np.ones((2, 1)), np.array([0.5, 0]), ["a", "b"]), ValueError, "classes"),
    ],
)
def test_dataset_refuses(arguments, error, words):
    with pytest.raises(error, match=words):
        Dataset(*arguments)


@pytest.mark.parametrize(
    "keywords, error",
    [
        ({"batch_size": 0}, ValueError),
        ({"batch_size": 2.0}, TypeError),
        ({"shuffle": 1}, TypeError),
        ({"drop_last": "no"}, TypeError),
        ({"batch_size": 11, "drop_last": True}, ValueError),
    ],
)
def test_batches_refuse(keywords, error):
    with pytest.raises(error, match=next(iter(keywords))):
        batches(*numbered(), **keywords)


def test_split():
    fd.manual_seed(0)
    x, y = numbered(20)
    rest, part = split((x, y), 0.25)
    assert len(rest) == 15 and len(part) == 5
    assert sorted([*rest.y, *part.y]) == list(range(20))
    np.testing.assert_array_equal(part.x, x[part.y])
    fd.manual_seed(0)
    np.testing.assert_array_equal(Dataset(x, y).split(0.25)[1].y, part.y)
    assert [len(s) for s in split((x[:2], y[:2]), 0.9)] == [1, 1]
    for fraction in (0, 1, float("nan"), "x"):
        with pytest.raises((ValueError, TypeError), match="fraction"):
            split((x, y), fraction)
    with pytest.raises(ValueError, match="at least two"):
        split((x[:1], y[:1]), 0.5)


def test_standardizer():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 5, (20_000, 4)) * [1, 10, 0, 1e-3] + [0, 0, 0.1, 1e6]
    s = Standardizer.fit(x)
    np.testing.assert_allclose(s.mean, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(s.scale, [*x.std(0)[:2], 1, x.std(0)[3]], rtol=1e-9)
    z = s.transform(x)
    assert z.dtype == np.float32
    np.testing.assert_allclose(
        z.mean(0, dtype=np.float64), 0, atol=1e-6
    )  # also the last column: computed in float64
    np.testing.assert_allclose(z[:, [0, 1, 3]].std(0, dtype=np.float64), 1, atol=1e-6)
    np.testing.assert_array_equal(z[:, 2], 0)
    np.testing.assert_allclose(s.inverse_transform(z), x, rtol=1e-6, atol=1e-5)
    again = Standardizer.from_dict(s.to_dict())
    assert again.mean.tobytes() == s.mean.tobytes() and again.scale.tobytes() == s.scale.tobytes()
    one = Standardizer.fit(np.array([1.0, 3.0]))
    np.testing.assert_array_equal(one.transform(np.array([2.0, 3.0])), [0, 1])


@pytest.mark.parametrize("unit", [1e300, 1e39, 1e-300, 1e-320])
def test_standardizer_of_numbers_whose_squares_overflow(unit):
    x = np.arange(-2.0, 3.0)
    s = Standardizer.fit(unit * x)
    np.testing.assert_allclose(
        s.transform(unit * x), x / np.sqrt(2), rtol=1e-3, atol=1e-9
    )  # 1e-320 has only three digits
    weighted = Standardizer.fit(unit * x, np.array([1, 0, 0, 0, 3.0]))
    np.testing.assert_allclose(weighted.mean, unit, rtol=1e-3)
    np.testing.assert_allclose(weighted.scale, unit * np.sqrt(3), rtol=1e-3)


def test_standardizer_refuses():
    with pytest.raises(ValueError, match="a mean and a variance that float64 can hold"):
        Standardizer.fit(np.array([-1.7e308, 1.7e308, 1.7e308, 1.7e308]))
    with pytest.raises(ValueError, match="x must hold at least one"):
        Standardizer.fit(np.ones((0, 3)))
    with pytest.raises(ValueError, match=r"x must have samples of shape \(2,\)"):
        Standardizer.fit(np.ones((3, 2))).transform(np.ones((3, 3)))
    with pytest.raises(ValueError, match="scale"):
        Standardizer(0.0, 0.0)
    with pytest.raises(ValueError, match="finite"):
        Standardizer.fit(np.array([[np.inf]]))
