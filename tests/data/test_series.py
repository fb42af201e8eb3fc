"""Windows of a series."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.data import sliding_windows


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
