"""Windows of a series."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.data import WindowScaler, chronological_split, sliding_windows


def test_windows_and_what_follows():
    x, y = sliding_windows(np.arange(12.0), 4, horizon=2, stride=3)
    assert x.shape == (3, 4, 1) and x.dtype == y.dtype == np.float32
    assert x[..., 0].tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert y.tolist() == [[4, 5], [7, 8], [10, 11]]
    two = np.stack([np.arange(6.0), 10 * np.arange(6.0)], 1)
    x, y = sliding_windows(two, 3)
    assert x[1].tolist() == [[1, 10], [2, 20], [3, 30]] and y[1].tolist() == [4, 40]
    x, y = sliding_windows(two, 3, targets=np.arange(6.0) + 100)
    assert y.tolist() == [[103], [104], [105]]


def test_gaps():
    series = np.array([1.0, np.nan, np.nan, 4.0, 5.0, 6.0, np.nan, 8.0])
    with pytest.raises(ValueError, match=r"step 1 \(from 0\) of column 0 is nan"):
        sliding_windows(series, 3)
    x, y = sliding_windows(series, 3, impute="linear")
    assert x[..., 0].tolist() == [[1, 2, 3], [2, 3, 4], [3, 4, 5], [5, 6, 7]]
    assert y[:, 0].tolist() == [4, 5, 6, 8]  # a value that was missing is not forecast
    x, _ = sliding_windows(series, 3, impute="forward")
    assert x[0, :, 0].tolist() == [1, 1, 1] and x[-1, :, 0].tolist() == [5, 6, 6]


@pytest.mark.parametrize("impute", ["forward", "linear"])
def test_no_value_is_taken_from_the_future_of_a_series_that_begins_with_a_gap(impute):
    with pytest.raises(ValueError, match=r"step 0 \(from 0\) of column 0 is nan"):
        sliding_windows([np.nan, np.nan, 7.0, 8.0, 9.0, 10.0], 2, impute=impute)


def test_a_gap_at_the_end_has_no_line():
    series = [1.0, 2.0, 3.0, 4.0, np.nan]
    with pytest.raises(ValueError, match="step 4"):
        sliding_windows(series, 2, impute="linear")
    assert len(sliding_windows(series, 2, impute="forward")[0]) == 2


@pytest.mark.parametrize("impute", [None, "forward", "linear"])
def test_an_infinite_target_is_an_error(impute):
    targets = [0.0, 1.0, 2.0, np.inf, 4.0, 5.0]
    with pytest.raises(ValueError, match="a step after 2 is infinite"):
        sliding_windows(np.arange(6.0), 2, targets=targets, impute=impute)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sliding_windows(np.arange(4.0), 4), "at least window"),
        (lambda: sliding_windows(np.ones((2, 2, 2)), 1), "shape"),
        (lambda: sliding_windows(np.arange(4.0), 0), "window"),
        (lambda: sliding_windows(np.arange(9.0), 2, targets=np.arange(8.0)), "9 steps"),
        (lambda: sliding_windows(np.arange(9.0), 2, impute="mean"), "impute"),
        (lambda: sliding_windows([1.0, np.inf, 2.0, 3.0], 2), "step 1"),
        (
            lambda: sliding_windows(np.arange(4.0), 2, targets=[0.0, 1.0, np.nan, 3.0]),
            "step after 1",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_models_of_sequences(tmp_path, cell, bidirectional):
    fd.manual_seed(0)
    model = fd.models.text_classifier(
        30, 3, 6, 5, cell=cell, bidirectional=bidirectional, num_layers=2, dropout=0.2,
        recurrent_dropout=0.2, zoneout=0.1,
    )  # fmt: skip
    tokens = np.random.default_rng(0).integers(0, 30, (4, 7))
    fd.save(model, tmp_path / "a")
    again = fd.load(tmp_path / "a")
    assert repr(again) == repr(model)
    assert (again.eval()(tokens).numpy() == model.eval()(tokens).numpy()).all()
    mc = fd.mc_predict(model, tokens, samples=5, keep=True)  # an MCWarning would be an error
    assert mc.passes.shape == (4, 5, 3)
    one = fd.mc_predict(model, tokens[2:3], samples=5, keep=True, row0=2)
    assert (one.passes[0] == mc.passes[2]).all()


def test_the_last_step_of_both_directions_is_read():
    fd.manual_seed(0)
    model = fd.models.SequenceModel(2, 1, 4, bidirectional=True).eval()
    x = np.random.default_rng(0).standard_normal((3, 6, 2)).astype(np.float32)
    _, (h, _) = model.recurrent(x)
    expected = model.head(fd.cat([h[0], h[1]], 1))
    assert (model(x).numpy() == expected.numpy()).all()


def test_a_forecast_is_learned():
    x, y = sliding_windows(np.sin(np.arange(300) / 5), 16)
    fd.manual_seed(0)
    model = fd.models.sequence_regressor(1, hidden_size=16, dropout=0.05)
    optimizer = fd.optim.Adam(model.parameters(), lr=0.02)
    fd.fit(model, (x, y), epochs=15, batch_size=32, optimizer=optimizer, progress=False)
    assert np.sqrt(np.mean((fd.predict(model, x) - y) ** 2)) < 0.15


# ---- parts in the order of time ----


def test_no_window_and_no_forecast_crosses_a_border():
    series = np.stack([np.arange(50.0), 1000 + np.arange(50.0)], 1)
    parts = chronological_split(series, 4, 2, targets=[1], validation=0.2, test=0.3)
    borders = [(0, 25), (25, 35), (35, 50)]
    pairs = (parts.train, parts.validation, parts.test)
    for (x, y), starts, (begin, end) in zip(pairs, parts.starts, borders, strict=True):
        assert x.dtype == y.dtype == np.float32
        assert x.min() == begin and y.max() == 1000 + end - 1
        assert len(x) == end - begin - 5  # every window of the part
        assert starts.tolist() == list(range(begin, end - 5))
        assert (x[:, 0, 0] == starts).all() and (y[:, 0] == 1000 + starts + 4).all()
    assert parts.left_out == 0


def test_a_part_may_be_empty():
    parts = chronological_split(np.arange(20.0), 3, 2, validation=0.0, test=0.0)
    assert len(parts.train[0]) == 16 and parts.left_out == 0
    for x, y in (parts.validation, parts.test):
        assert x.shape == (0, 3, 1) and y.shape == (0, 2)


def test_the_standardisation_is_that_of_the_training_windows():
    rng = np.random.default_rng(0)
    series = rng.standard_normal(200)
    one = chronological_split(series, 5)
    changed = series.copy()
    changed[140:] = 1e6  # validation begins at row 140
    two = chronological_split(changed, 5)
    assert one.scaler.to_dict() == two.scaler.to_dict()
    assert (one.train[0] == two.train[0]).all()
    x = one.scaler.transform(one.train[0])
    assert abs(x.mean()) < 1e-6 and abs(x.std() - 1) < 1e-6


def test_windows_that_touch_a_missing_value_or_a_gap_are_left_out():
    series = np.stack([np.arange(60.0), np.arange(60.0)], 1)
    series[5, 0] = np.nan  # an input: no target
    series[50, 1] = np.nan
    breaks = [12, 29, 30]  # 29 is at a border, which no window crosses anyway
    parts = chronological_split(
        series, 3, 2, targets=[1], validation=0.25, test=0.25, breaks=breaks
    )
    expected = []
    for begin, end in ((0, 30), (30, 45), (45, 60)):
        expected.append([])
        for s in range(begin, end - 4):
            missing = 5 in range(s, s + 3) or 50 in range(s, s + 5)
            cut = any(s <= row < s + 4 for row in breaks)
            if not missing and not cut:
                expected[-1].append(s)
    assert [starts.tolist() for starts in parts.starts] == expected
    assert parts.left_out == 26 + 11 + 11 - sum(map(len, expected))
    assert np.isfinite(parts.train[0]).all() and np.isfinite(parts.test[1]).all()


@pytest.mark.parametrize("relative", [False, True])
def test_the_scaler_against_plain_numpy(relative):
    rng = np.random.default_rng(1)
    x = rng.normal(400, 30, (20, 6, 3)).astype(np.float32)
    y = rng.normal(400, 30, (20, 4)).astype(np.float32)  # two steps of the columns 2 and 0
    scaler = WindowScaler.fit(x, y, [2, 0], relative)
    wide, after = x.astype(float), y.astype(float).reshape(20, 2, 2)
    if relative:
        after = after - wide[:, -1:, [2, 0]]
        wide = wide - wide[:, -1:]
    expected = (wide - wide.mean((0, 1))) / wide.std((0, 1))
    np.testing.assert_allclose(scaler.transform(x), expected, rtol=1e-5, atol=1e-5)
    expected = (after - after.mean((0, 1))) / after.std((0, 1))
    found = scaler.transform_targets(x, y)
    np.testing.assert_allclose(found.reshape(20, 2, 2), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scaler.inverse_transform(x, found), y, rtol=1e-6)
    assert scaler.scale(2).tolist() == [*scaler.target.scale, *scaler.target.scale]
    again = WindowScaler.from_dict(scaler.to_dict())
    assert (again.transform(x) == scaler.transform(x)).all()
    assert (again.inverse_transform(x, found) == scaler.inverse_transform(x, found)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chronological_split(np.arange(30.0), 6), "validation part .* has 3, but"),
        (lambda: chronological_split(np.arange(30.0), 2, test=1.0), "test must be"),
        (lambda: chronological_split(np.arange(30.0), 2, test=0.6, validation=0.4), "below 1"),
        (lambda: chronological_split(np.full(30, np.nan), 2), "training part has no window"),
        (lambda: chronological_split([*range(30), np.inf], 2), "step 30"),
        (lambda: chronological_split(np.arange(30.0), 2, targets=[1]), "targets"),
        (lambda: WindowScaler.fit(np.ones((3, 2)), np.ones((3, 1))), "x must be"),
        (lambda: WindowScaler.fit(np.ones((3, 2, 2)), np.ones((3, 3))), "y must hold the 2"),
        (lambda: _scaler().transform(np.ones((3, 2, 2))), "window, 1"),
        (lambda: _scaler().inverse_transform(np.ones((3, 2, 1)), np.ones((2, 1))), "3 windows"),
        (lambda: WindowScaler(_scaler().inputs, _scaler().target, [1]), "columns"),
        (lambda: WindowScaler(_scaler().inputs, _scaler().target, [0, 0]), "shapes"),
    ],
)
def test_errors_of_parts(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def _scaler():
    return WindowScaler.fit(np.arange(6.0).reshape(3, 2, 1), np.arange(3.0)[:, None])
