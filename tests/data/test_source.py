"""Bytes, lines and rows of text that arrive in pieces."""

import io

import pytest

from fastdrop.data.readers import source
from fastdrop.data.readers.rows import CsvRows, JsonRows
from fastdrop.data.readers.source import Lines, Source, guess_format, open_source
from helpers.pipes import SlowPipe, pipe

TEXT = '\ufeffa,b\r\n1,"x\ny"\r"ü,",2\n\n,\n 3 ,4'


ROWS = [(1, ["a", "b"]), (3, ["1", "x\ny"]), (4, ["ü,", "2"]), (7, ["3 ", "4"])]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
def test_rows_do_not_depend_on_the_size_of_the_pieces(size):
    source = pipe(TEXT.encode(), size)
    assert not source.is_file
    assert list(CsvRows(Lines(source))) == ROWS
    lines = '{"a": 1, "b": "ü"}\n\n{"b": null, "a": -1e5}'.encode()
    assert list(JsonRows(Lines(pipe(lines, size)))) == [
        (1, ["a", "b"]),
        (1, ["1", "ü"]),
        (3, ["-1e5", ""]),
    ]


def test_complete_lines_are_given_before_waiting():
    lines = Lines(pipe(b"1,2\n3,4\n5,", 8, 2, 1))
    seen = [(row, lines.may_block) for _, row in CsvRows(lines)]
    assert seen == [(["1", "2"], False), (["3", "4"], True), (["5", ""], False)]
    assert not Lines(Source(io.BytesIO(b"1\n"), "memory")).may_block


def test_columns_by_name_are_picked_from_objects():
    text = b'{"y": 9, "b": 2, "a": 1}\n{"a": 3, "b": 4}\n{"a": 3}\n'
    rows = JsonRows(Lines(pipe(text)), ["a", "b"])
    assert [next(rows)[1] for _ in range(3)] == [["a", "b"], ["1", "2"], ["3", "4"]]
    with pytest.raises(ValueError, match="'pipe', line 3: 'b' is missing"):
        next(rows)


@pytest.mark.parametrize(
    "data, words",
    [
        (b"1,2\n3,4,5\n", "line 2: 3 fields, the first line has 2"),
        (b'1,2\n"3,4\n5,6\n', "line 3: unexpected end"),
        ("é,2\n".encode() + b"3,\xff\n", "line 2: not valid UTF-8"),
        (b'1,2\n3,"4"5\n', "line 2:"),
        (b'1\n"' + b"x" * 200_000 + b'"\n', "field larger"),
    ],
)
def test_a_bad_line_is_named(data, words):
    with pytest.raises(
        ValueError, match=f"'pipe', {'.*' if 'field larger' in words else ''}{words}"
    ):
        list(CsvRows(Lines(pipe(data, 7 if len(data) < 100 else 5000))))


def test_a_line_that_is_too_long(monkeypatch):
    monkeypatch.setattr(source, "_MAX_LINE", 1000)
    with pytest.raises(ValueError, match="line 2 is longer than 1000 bytes"):
        list(CsvRows(Lines(pipe(b"1\n" + b"7" * 5000, 100))))


@pytest.mark.parametrize(
    "name, data, kind",
    [
        ("stdin", b"\x93NUMPY", "npy"),
        ("stdin", b"PK\x03\x04", "npz"),
        ("stdin", b" \n[1]", "json"),
        ("stdin", b"\xef\xbb\xbf{}", "json"),
        ("stdin", b"PK,1\n", "csv"),
        ("stdin", b"1,2", "csv"),
        ("stdin", b"", "csv"),
        ("stdin", b"\n\n", "csv"),
        ("x.csv", b"[a],b\n", "csv"),
        ("x.csv.gz", b"{a},b\n", "csv"),
        ("x.npy", b"1,2\n", "npy"),
        ("x.jsonl", b"1,2\n", "json"),
        ("x.ndjson.gz", b"", "json"),
        ("x.npz", b"", "npz"),
        ("/dev/fd/63", b'{"a": 1}', "json"),
        ("x.data", b"\x93NUMPY", "npy"),
    ],
)
def test_formats_are_guessed_from_name_and_first_bytes(name, data, kind):
    for size in (1, 100):
        source = Source(SlowPipe(data, size), name)
        assert guess_format(source) == kind
        assert source.read() == data


def test_compressed_and_truncated_files(tmp_path):
    import gzip

    whole = gzip.compress(b"1,2\n" * 1000)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(whole)
    with open_source(str(path)) as source:
        assert source.is_file and len(list(CsvRows(Lines(source)))) == 1000
    for truncated in (whole[:-9], whole[:20], b"1,2\n", whole[:-4] + b"oops"):
        path.write_bytes(truncated)
        with (
            pytest.raises(ValueError, match=r"t\.csv\.gz' cannot be decompressed"),
            open_source(str(path)) as source,
        ):
            list(CsvRows(Lines(source)))
