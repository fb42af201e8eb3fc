"""Data sets from tables of text, and the encoding of other rows by a table's columns."""

import gzip
import io

import numpy as np
import pytest

from fastdrop.data import load_csv
from fastdrop.data.readers.columns import RowEncoder
from fastdrop.data.readers.rows import CsvRows
from fastdrop.data.readers.source import Lines, Source


def table(tmp_path, text, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_csv_of_numbers(tmp_path):
    d = load_csv(table(tmp_path, "1,2,0\n3,4,1\n\n5,6.5,0\n"))
    np.testing.assert_array_equal(d.x, [[1, 2], [3, 4], [5, 6.5]])
    assert d.y.tolist() == [0, 1, 0] and d.classes == [0, 1] and d.origin["names"] is None


def test_csv_with_header_quotes_categories_and_gzip(tmp_path):
    text = '\ufeffid;"colour";size;price\n1;red;3;9.5\n2;?;4;8\n3;"blue";1e2;7,5\n'.replace(
        "7,5", "7.5"
    )
    path = table(tmp_path, gzip.compress(text.encode()), "t.csv.gz")
    d = load_csv(path, target="price")
    assert d.origin["names"] == ["id", "colour", "size", "price"] and not d.is_classification
    np.testing.assert_array_equal(
        d.x, [[1, 0, 0, 1, 3], [2, 1, 0, 0, 4], [3, 0, 1, 0, 100]]
    )  # ?, blue, red
    np.testing.assert_array_equal(d.y, [9.5, 8, 7.5])
    with pytest.raises(ValueError, match=r"line 3: the target, column 2 \('colour'\), is missing"):
        load_csv(path, target="colour")


def test_encoding_of_other_rows(tmp_path):
    d = load_csv(table(tmp_path, "a,kind,y\n1,u,0.5\n2,v,1.5\n"), target="y")

    def rows(text):
        encode = RowEncoder(d.origin, 3, "new")
        first, *rest = CsvRows(Lines(Source(io.BytesIO(text.encode()), "new")))
        encode.locate_columns(first[1])
        samples = rest if encode.is_header(first[1]) else [first, *rest]
        return [encode(*row) for row in samples]

    assert rows("kind,a\nv,7\n") == [[7, 0, 1]]  # by name
    assert rows("a,kind,y\n7,v,3\n") == [[7, 0, 1]]  # with the target
    assert rows("7,v\n") == rows("7,v,3\n") == [[7, 0, 1]]  # by position
    for text, words in (
        ("7,w\n", "line 1.*'w' did not occur"),
        ("x,v\n", "line 1.*finite number"),
        ("7\n", "2 columns"),
    ):
        with pytest.raises(ValueError, match=words):
            rows(text)


def test_columns_to_ignore(tmp_path):
    d = load_csv(
        table(tmp_path, "id,a,y,kind\nx7,1,5.5,u\nx8,2,6.5,v\n"), target="y", ignore=["id"]
    )
    np.testing.assert_array_equal(d.x, [[1, 1, 0], [2, 0, 1]])
    for text in (
        "kind,a\nv,7\n",
        "x,7,9,v\n",
        "x,7,v\n",
    ):  # by name; by position with the target; without
        encode = RowEncoder(d.origin, 3, "new")
        first, *rest = CsvRows(Lines(Source(io.BytesIO(text.encode()), "new")))
        encode.locate_columns(first[1])
        assert encode(*(rest[0] if encode.is_header(first[1]) else first)) == [7, 0, 1]
    with pytest.raises(
        ValueError, match=r"ignore must be one of the columns.*'id', 'a', 'y', 'kind'"
    ):
        load_csv(tmp_path / "t.csv", ignore=["name"])
    with pytest.raises(ValueError, match="at least one other column"):
        load_csv(tmp_path / "t.csv", ignore=[0, 1, -2])


def test_json_lines(tmp_path):
    objects = (
        '{"a": 1, "kind": "u", "y": 0.5}\n\n{"y": 1.5, "kind": null, "a": 1e2}\n'
        '{"a": 3, "kind": true, "y": 2}\n'
    )
    d = load_csv(table(tmp_path, objects, "t.jsonl"), target="y")
    assert d.origin["names"] == ["a", "kind", "y"] and d.y.tolist() == [0.5, 1.5, 2]
    np.testing.assert_array_equal(d.x, [[1, 0, 0, 1], [100, 1, 0, 0], [3, 0, 1, 0]])  # "", true, u
    d = load_csv(table(tmp_path, gzip.compress(b'["a", "b", 1]\n["c", "d", 0]\n'), "t.ndjson.gz"))
    assert d.origin["names"] is None and d.classes == [0, 1] and d.x.shape == (2, 4)
    for text, words in (
        ("[1, 2]\n[1]\n", "line 2: 1 fields"),
        ('{"a": 1, "b": 2}\n{"a": 1}\n', "line 2: 'b' is missing"),
        ('{"a": 1, "b": 2}\n{"a": 1, "b": 2, "c": 3}\n', "line 2: 'c' is not in the first line"),
        ("[1, 2]\n{}\n", "line 2: expected an array"),
        ('{"a": 1, "b": 2}\n[1, 2]\n', "line 2: expected an object"),
        ("3\n", "line 1: expected an array"),
        ("[]\n", "line 1: expected an array"),
        ("[1, [2]]\n", "line 1, column 2: .*an array"),
        ('[1, {"b": 2}]\n', "line 1, column 2: .*an object"),
        ("[1, 2\n", "line 1: not valid JSON"),
        ("[1, NaN]\n", "line 1: .*NaN"),
        ('{"a": 1, "a": 2}\n', "line 1: .*'a' occurs twice"),
        ("[" * 5000 + "\n", "line 1: not valid JSON"),
        ("\n", "no line of data"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            load_csv(table(tmp_path, text, "t.jsonl"))
        assert "t.jsonl" in str(caught.value)


def test_header_and_task(tmp_path):
    assert load_csv(table(tmp_path, "a,b\nx,p\ny,q\nx,p\n")).origin["names"] == [
        "a",
        "b",
    ]  # texts alone
    assert load_csv(table(tmp_path, "x,p\ny,q\nx,p\n")).origin["names"] is None
    years = "".join(f"{i},{i}\n" for i in range(30))
    assert not load_csv(table(tmp_path, years)).is_classification
    assert load_csv(table(tmp_path, years), task="classification").is_classification
    assert len(load_csv(table(tmp_path, years), header=True)) == 29
    assert load_csv(table(tmp_path, "1,2.0\n2,1.0\n")).classes == [1, 2]
    years = "2019,2020,2021\n" + "1,2,yes\n3,4,no\n" * 2
    assert load_csv(table(tmp_path, years)).classes == ["no", "yes"]
    assert load_csv(table(tmp_path, years), header=True).classes == ["no", "yes"]
    with pytest.raises(ValueError, match=r"line 1: the target.*'2021' among other text"):
        load_csv(table(tmp_path, years), header=False)
    lines = table(tmp_path, '{"a": 1, "b": 2}\n{"a": 2, "b": 1}\n', "t.jsonl")
    assert load_csv(lines, header=False).classes == [1, 2]  # objects always have names


def test_integers_beyond_float64_stay_different_classes(tmp_path):
    big = [2**53, 2**53 + 1, 10**18 + 1, 10**18 + 2, 10**30]
    data = load_csv(table(tmp_path, "".join(f"{i},{big[i % 5]}\n" for i in range(20))))
    assert data.classes == big and data.y.tolist() == [0, 1, 2, 3, 4] * 4
    assert not load_csv(
        table(tmp_path, "".join(f"{i},{10**18 + i}\n" for i in range(30)))
    ).is_classification  # too many different values for classes


@pytest.mark.parametrize(
    "text, keywords, words",
    [
        ("", {}, "no line of data"),
        ("a,b\n", {"header": True}, "no line of data"),
        ("1,2\n3\n", {}, "line 2: 1 fields"),
        ("1\n2\n", {}, "at least one other column"),
        (",2\n,4\n", {}, "at least one column with values besides the target"),
        ("1,2\ninf,4\n", {}, "line 2, column 1.*finite"),
        ("1,2\n1,?\n", {}, "line 2: the target, column 2, is missing"),
        ("1,a\n2,b\n", {"task": "regression"}, "line 1: the target of a regression.*'a'"),
        ("a,b\n1,2\n", {"target": "c"}, "target must be one of the columns.*'a', 'b'"),
        ("1,2\n", {"target": "c"}, "no header"),
        ("1,2\n", {"target": 2}, "target must be between"),
        ("1,2\n", {"task": "both"}, "task"),
        ("".join(f"name{i},1\n" for i in range(101)), {}, "101 different values"),
        ("é,2\n".encode() + b"\xff,2\n", {}, "UTF-8"),
        ('"a,b\n1,2', {}, "line"),
    ],
)
def test_csv_refuses(tmp_path, text, keywords, words):
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        load_csv(table(tmp_path, text), **keywords)
    assert "t.csv" in str(caught.value) or set(keywords) & {"target", "task"}


def test_truncated_gzip(tmp_path):
    whole = gzip.compress(b"1,2\n3,4\n" * 100)
    for content in (b"1,2\n", whole[:-9], whole[:10] + b"\xff" * 20):
        with pytest.raises(ValueError, match=r"t\.csv\.gz"):
            load_csv(table(tmp_path, content, "t.csv.gz"))
