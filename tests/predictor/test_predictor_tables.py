"""Raw rows for models of tables: the styles of a file do not matter for values that are no text."""

import datetime

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import models
from fastdrop.data import load_csv
from fastdrop.data.preprocessing import Preparation

TEXT = (
    "size;share;day;clock;ok;kind;y\n"
    "1.000,5;5%;2024-01-02;09:30;true;a;1,5\n"
    "-;6%;2024-01-03;10:30;FALSE;b;2,5\n"
    "2,5;7%;2024-01-04T12:00;11:30;True;;3,5\n"
)


@pytest.fixture
def predictor(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(TEXT)
    data = load_csv(path)
    assert data.x.shape == (3, 9)  # size and its indicator, three categories with the missing one
    made = Preparation.fit(data, standardize=False)
    fd.manual_seed(0)
    return fd.predictor.Predictor(models.mlp(9, (4,), 1), made)


def test_values_of_all_types(predictor):
    expected = predictor.samples(
        [
            ["1.000,5", "5%", "2024-01-02", "09:30", "true", "a"],
            ["", "6%", "2024-01-03", "10:30", "FALSE", "NA"],
        ]
    )
    assert expected[0].tolist() == np.float32([1000.5, 0, 0.05, 19724, 9.5, 1, 0, 1, 0]).tolist()
    values = {
        "size": [1000.5, None],
        "share": [0.05, 0.06],
        "day": [datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 3)],
        "clock": [datetime.time(9, 30), datetime.time(10, 30)],
        "ok": [True, False],
        "kind": ["a", None],
    }
    np.testing.assert_array_equal(predictor.samples(values), expected)
    values["day"] = np.array(["2024-01-02", "2024-01-03"], "datetime64[ns]")
    np.testing.assert_array_equal(predictor.samples(values), expected)
    values["day"] = [19724, 19725]
    with pytest.raises(ValueError, match=r"'day'.*expected a date"):
        predictor.samples(values)


def test_a_point_in_a_number_is_never_a_separator_of_thousands(predictor):
    row = {"share": "5%", "day": "2024-01-02", "clock": "09:30", "ok": True, "kind": "a"}
    assert predictor.samples(row | {"size": 1.234})[0, 0] == np.float32(1.234)
    assert predictor.samples(row | {"size": "1.234"})[0, 0] == 1234  # text of that style
    with pytest.raises(ValueError, match=r"'size'.*decimal comma, got '1\.25'"):
        predictor.samples(row | {"size": "1.25"})


def test_numbers_and_text_in_one_column(predictor):
    row = {"share": "5%", "day": "2024-01-02", "clock": "09:30", "ok": True, "kind": "a"}
    mixed = predictor.samples([row | {"size": 1000.5}, row | {"size": "1.000,5"}])
    assert mixed[:, 0].tolist() == [1000.5, 1000.5]


def test_data_frames(predictor):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "size": [1000.5, np.nan],
            "share": ["5%", "6%"],
            "day": pandas.to_datetime(["2024-01-02", "2024-01-03"]),
            "clock": ["09:30", "10:30"],
            "ok": [True, False],
            "kind": ["a", None],
        }
    )
    expected = [
        [1000.5, 0, 0.05, 19724, 9.5, 1, 0, 1, 0],
        [501.5, 1, 0.06, 19725, 10.5, 0, 1, 0, 0],
    ]
    np.testing.assert_allclose(predictor.samples(frame), expected, rtol=1e-7)
