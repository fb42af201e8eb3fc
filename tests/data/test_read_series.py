"""Time series from files."""

import gzip

import numpy as np
import pytest

from fastdrop.data import Gap, Series, read_series


@pytest.fixture
def write(tmp_path):
    def write(text, name="s.csv"):
        path = tmp_path / name
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text)
        return str(path)

    return write


def test_values_names_and_time(write):
    path = write("date,load,wind\n2020-01-01,5.5,1\n2020-01-02,,NA\n2020-01-03,7,-3e1\n")
    series = read_series(path, target="wind")
    assert series.names == ["load", "wind"] and series.target == 1
    assert series.values.dtype == np.float32
    np.testing.assert_array_equal(series.values, [[5.5, 1], [np.nan, np.nan], [7, -30]])
    assert series.time == ["2020-01-01", "2020-01-02", "2020-01-03"]
    assert (series.time_name, series.gaps, series.has_header) == ("date", [], True)
    assert repr(series) == "Series(3 steps, 2020-01-01 to 2020-01-03; load, wind (target))"


def test_time_as_numbers_without_header_and_compressed(write):
    path = write("10;1,5\n20;2,5\n30;3,5\n", "s.csv.gz")
    series = read_series(path, time=0)
    assert series.names == ["1"] and series.values[:, 0].tolist() == [1.5, 2.5, 3.5]
    assert isinstance(series.time, np.ndarray) and series.time.tolist() == [10, 20, 30]
    assert series.label(1) == "20" and not series.has_header
    plain = read_series(path)  # without a name it is a number like others
    assert plain.names == ["0", "1"] and plain.time is None and plain.label(1) == "1"


def test_which_columns(write):
    path = write("year,a,b,note\n2000,1,2,x\n2001,3,4,y\n2002,5,6,z\n")
    assert read_series(path, target="a", ignore=["note"]).names == ["a", "b"]
    assert read_series(path, target="a", ignore=["note"]).time_name == "year"
    series = read_series(path, target="a", columns=["b", "a"])
    assert (series.names, series.target) == (["b", "a"], 1)
    assert series.values.tolist() == [[2, 1], [4, 3], [6, 5]]
    lines = write('{"t": "b", "y": 1}\n{"t": "a", "y": null}\n', "s.jsonl")
    named = read_series(lines, target="y", time="t")  # names of times have no order
    assert named.time == ["b", "a"] and np.isnan(named.values[1, 0])
    indexed = write(",y\n0,5\n1,6\n2,7\n", "index.csv")  # as pandas writes it
    assert read_series(indexed).names == ["y"]


@pytest.mark.parametrize(
    ("times", "gaps"),
    [
        (["2019-11", "2019-12", "2020-03", "2020-04"], [Gap(1, 2)]),
        (["2020-01-31", "2020-02-29", "2020-03-31"], []),  # the last days of months
        (["2020-02-28", "2020-02-29", "2020-03-02", "2020-03-03"], [Gap(1, 1)]),
        (["2020-01-01T00:00", "2020-01-01T01:00", "2020-01-01T04:00"], [Gap(1, 2)]),
        ([f"2020-01-{day:02}" for day in range(1, 32) if day % 7 not in (4, 5)], []),  # work days
        (["1", "2", "3", "7", "8"], [Gap(2, 3)]),
        (["1", "1.5", "2.9", "3.0", "5.2"], []),  # no regular time
        ([str(1958.2 + i / 12 - (i == 40) * 0.005) for i in range(60) if i != 30], [Gap(29, 1)]),
    ],
)
def test_gaps_in_time(write, times, gaps):
    path = write("time,y\n" + "".join(f"{time},{i}\n" for i, time in enumerate(times)))
    series = read_series(path, target="y")
    assert series.gaps == gaps
    assert len(series) == len(times)  # nothing is filled in
    if gaps:
        assert f"{gaps[0].steps} times are missing, the first after" in repr(series)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        # the monthly file of Mauna Loa: six names for seven columns
        (
            "Date,Decimal Date,Average,Interpolated,Trend,Days\n"
            "1958-03,1958.2,315.71,314.44,-1,-9.99,-0.99\n"
            "1958-04,1958.3,317.45,315.16,-1,-9.99,-0.99\n",
            {"target": "Average"},
            r"s\.csv', line 1: the header has 6 names, but line 2 has 7 fields",
        ),
        ("t,y\n1,2\n2,3,4\n", {}, r"s\.csv', line 3: 3 fields, the first line has 2"),
        ("a,b,y\n1,2,3,4,5\n", {}, r"s\.csv', line 2: 5 fields, the first line has 3"),
        (
            "date,y\n2020-02,1\n2020-01,2\n",
            {},
            r"line 3, column 1 \('date'\): the time '2020-01' is not later than '2020-02' of "
            "line 2",
        ),
        ("time,y\n1,1\n1,2\n", {}, "line 3, column 1 .*'1' is not later than '1'"),
        ("time,y\n1,1\n,2\n3,4\n", {}, "line 3, column 1 .*expected a time like '1', got ''"),
        ("t,y\n1,2\n2,high\n", {}, r"line 3, column 2 \('y'\): expected a number, got 'high'"),
        ("t,y\n1,2\n2,inf\n", {}, r"line 3, column 2 \('y'\): expected a finite"),
        ("t,y\n1,2\n2,1e300\n", {}, "float32"),
        ("t,y\n1,2\n2,3\n", {"target": "z"}, "target must be one of the columns"),
        ("t,y\n1,2\n2,3\n", {"target": 5}, "target"),
        ("t,y\n1,2\n2,3\n", {"time": "y", "target": "y"}, "not its time"),
        ("t,y\n1,2\n2,3\n", {"columns": ["t"], "target": "y"}, "a column of the series"),
        ("t,y\n1,2\n2,3\n", {"columns": ["t", "u"]}, "columns must be one of .*got 'u'"),
        ('t;y\n1;"1,5"\n2;"1.5"\n', {}, "mixes decimal points and commas"),
        ("t,y,y\n1,2,3\n2,3,4\n", {}, r"s\.csv', line 1: the name 'y' occurs twice"),
        ("", {}, "no line of data"),
    ],
)
def test_errors(write, text, options, message):
    with pytest.raises(ValueError, match=message):
        read_series(write(text), **options)


def test_a_series_of_your_own():
    series = Series(np.zeros((4, 1), np.float32), ["y"], 0)
    assert len(series) == 4 and series.label(3) == "3"
    assert repr(series) == "Series(4 steps; y (target))"
