"""Bytes, lines, rows and arrays as they come: cut anywhere, torn, absurd, longer than memory would hold."""

import io
import os
import tracemalloc

import numpy as np
import pytest

from fastdrop.data.readers import npy, source
from fastdrop.data.readers.npy import npy_rows
from fastdrop.data.readers.rows import csv_rows, json_rows
from fastdrop.data.readers.source import Lines, Source, guess_format, open_source
from fastdrop.data.writers import NpyWriter


class Trickle(io.RawIOBase):
    """A pipe that gives pieces of these sizes, the last one again and again."""

    def __init__(self, data, *sizes):
        self.data, self.sizes = data, list(sizes)

    def read1(self, size=-1):
        piece = min(self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0], size)
        out, self.data = self.data[:piece], self.data[piece:]
        return out

    def fileno(self):
        return PIPE[0]


PIPE = os.pipe()


def pipe(data, *sizes):
    return Source(Trickle(data, *(sizes or [3])), "pipe")


TEXT = '\ufeffa,b\r\n1,"x\ny"\r"ü,",2\n\n,\n 3 ,4'
ROWS = [(1, ["a", "b"]), (3, ["1", "x\ny"]), (4, ["ü,", "2"]), (7, [" 3 ", "4"])]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
def test_rows_do_not_depend_on_how_the_bytes_come(size):
    source = pipe(TEXT.encode(), size)
    assert not source.is_file
    assert list(csv_rows(Lines(source))) == ROWS
    lines = '{"a": 1, "b": "ü"}\n\n{"b": null, "a": -1e5}'.encode()
    assert list(json_rows(Lines(pipe(lines, size)))) == [
        (1, ["a", "b"]),
        (1, ["1", "ü"]),
        (3, ["-1e5", ""]),
    ]


def test_what_is_here_is_given_out_before_one_waits():
    lines = Lines(pipe(b"1,2\n3,4\n5,", 8, 2, 1))
    seen = [(row, lines.may_block) for _, row in csv_rows(lines)]
    assert seen == [(["1", "2"], False), (["3", "4"], True), (["5", ""], False)]
    assert not Lines(Source(io.BytesIO(b"1\n"), "memory")).may_block


def test_columns_by_name_are_picked_from_objects():
    text = b'{"y": 9, "b": 2, "a": 1}\n{"a": 3, "b": 4}\n{"a": 3}\n'
    rows = json_rows(Lines(pipe(text)), ["a", "b"])
    assert [next(rows)[1] for _ in range(3)] == [["a", "b"], ["1", "2"], ["3", "4"]]
    with pytest.raises(ValueError, match="'pipe', line 3: 'b' is missing"):
        next(rows)


@pytest.mark.parametrize(
    "data, words",
    [
        (b"1,2\n3,4,5\n", "line 2: 3 fields, the first line has 2"),
        (b'1,2\n"3,4\n5,6\n', "line 3: unexpected end"),
        (b"1,2\n3,\xff\n", "line 2: not valid UTF-8"),
        (b'1,2\n3,"4"5\n', "line 2:"),
        (b'1\n"' + b"x" * 200_000 + b'"\n', "field larger"),
    ],
)
def test_a_bad_line_is_named(data, words):
    with pytest.raises(
        ValueError, match=f"'pipe', {'.*' if 'field larger' in words else ''}{words}"
    ):
        list(csv_rows(Lines(pipe(data, 7 if len(data) < 100 else 5000))))


def test_a_line_without_end(monkeypatch):
    monkeypatch.setattr(source, "_MAX_LINE", 1000)
    with pytest.raises(ValueError, match="line 2 is longer than 1000 bytes"):
        list(csv_rows(Lines(pipe(b"1\n" + b"7" * 5000, 100))))


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
def test_kinds_are_told_from_names_and_first_bytes(name, data, kind):
    for size in (1, 100):
        source = Source(Trickle(data, size), name)
        assert guess_format(source) == kind
        assert source.read() == data


def test_packed_and_torn(tmp_path):
    import gzip

    whole = gzip.compress(b"1,2\n" * 1000)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(whole)
    with open_source(str(path)) as source:
        assert source.is_file and len(list(csv_rows(Lines(source)))) == 1000
    for torn in (whole[:-9], whole[:20], b"1,2\n", whole[:-4] + b"oops"):
        path.write_bytes(torn)
        with (
            pytest.raises(ValueError, match="t.csv.gz' cannot be decompressed"),
            open_source(str(path)) as source,
        ):
            list(csv_rows(Lines(source)))


# ---- arrays ----


def saved(array, **keywords):
    file = io.BytesIO()
    np.save(file, array, **keywords)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(4, 3),
        np.arange(12, dtype=">f8").reshape(4, 3),
        np.arange(12, dtype=np.uint8).reshape(4, 1, 3),
        np.zeros((0, 3)),
        np.asfortranarray(np.arange(12.0).reshape(4, 3)),
        np.arange(12, dtype=np.int16).reshape(4, 3, 1).transpose(0, 2, 1),
        np.zeros((0, 3), order="F"),
        np.ones((1, 3), order="F"),
        np.arange(24.0).reshape(2, 3, 4).T[:, :1],
    ],
    ids=[
        "rows",
        "big-endian",
        "images",
        "none",
        "by columns",
        "strided",
        "none by columns",
        "one by columns",
        "three axes",
    ],
)
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_arrays_in_blocks(tmp_path, array, rows):
    path = tmp_path / "x.npy"
    width = int(np.prod(array.shape[1:]))
    np.save(path, array)
    with open_source(str(path)) as source:
        blocks = [block.copy() for block in npy_rows(source, width, rows)]
    assert all(0 < len(block) <= rows for block in blocks)
    np.testing.assert_array_equal(
        np.concatenate([np.empty((0, width)), *blocks]), array.reshape(len(array), width)
    )


@pytest.mark.parametrize("size", [1, 7, 12, 50, 1000])
def test_arrays_from_a_pipe(size):
    x = np.arange(60, dtype=np.float32).reshape(20, 3)
    blocks = list(npy_rows(pipe(saved(x), size), 3, 8))
    np.testing.assert_array_equal(np.concatenate(blocks), x)
    assert max(map(len, blocks)) <= 8 and (size > 12 or all(len(block) <= 2 for block in blocks))
    with pytest.raises(ValueError, match="'pipe' is stored by columns"):
        list(npy_rows(pipe(saved(np.asfortranarray(x)), size), 3, 8))
    vector = list(npy_rows(pipe(saved(x[:, 0]), size), 1, 8))
    np.testing.assert_array_equal(np.concatenate(vector)[:, 0], x[:, 0])


def read(data, tmp_path=None):
    if tmp_path is None:
        return np.concatenate([np.empty((0, 3)), *npy_rows(pipe(data, 1000), 3, 4)])
    (tmp_path / "x.npy").write_bytes(data)
    with open_source(str(tmp_path / "x.npy")) as source:
        return np.concatenate([np.empty((0, 3)), *npy_rows(source, 3, 4)])


def test_every_torn_array_is_refused(tmp_path):
    for order in "CF":
        whole = saved(np.asarray(np.arange(15, dtype=np.float32).reshape(5, 3), order=order))
        assert len(read(whole, tmp_path)) == 5
        for length in range(len(whole)):
            with pytest.raises(ValueError, match="x.npy|pipe"):
                read(whole[:length], tmp_path)
            with pytest.raises(ValueError, match="pipe"):
                read(whole[:length])


def header(text, version=b"\x01\x00", data=b""):
    text = text.encode()
    return (
        b"\x93NUMPY"
        + version
        + len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little")
        + text
        + data
    )


LIES = {
    "more rows than there are": header(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (10**9, 3)}".replace(
            "10**9", "1000000000"
        )
    ),
    "more than can be counted": header(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 3)}" % 2**70
    ),
    "by columns, more than can be counted": header(
        "{'descr': '<f4', 'fortran_order': True, 'shape': (%d, 3)}" % 2**62
    ),
    "a wide row": header("{'descr': '<f4', 'fortran_order': False, 'shape': (1, %d)}" % 2**62),
    "negative": header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3)}"),
    "negative twice": header("{'descr': '<f4', 'fortran_order': False, 'shape': (1, -3, -1)}"),
    "no axis": header("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", data=b"1234"),
    "a list": header("[1]"),
    "nothing": header(""),
    "a call": header("__import__('os').system('true')"),
    "an odd key": header("{[]: 1}"),
    "other keys": header("{'descr': '<f4', 'shape': (1, 3)}"),
    "deep": header("(" * 9000),
    "long": header(" " * 60_000),
    "unknown dtype": header("{'descr': '<f3', 'fortran_order': False, 'shape': (1, 3)}"),
    "numbers of Python 2": header(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1L, 3L)}", data=b"x" * 12
    ),
    "a header of 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}",
    "version 3": header("{}", b"\x03\x00"),
    "version 9": header("{}", b"\x09\x00"),
    "text": saved(np.array([["a", "b", "c"]])),
    "bools": saved(np.ones((2, 3), bool)),
    "complex": saved(np.ones((2, 3), complex)),
    "structured": saved(np.zeros(2, [("a", "f4"), ("b", "f4"), ("c", "f4")])),
    "pickled": saved(np.array([[1, None, 2]], object), allow_pickle=True),
}


@pytest.mark.parametrize("lie", LIES)
def test_arrays_that_are_none_are_refused(tmp_path, lie):
    for folder in (None, tmp_path):
        with pytest.raises(ValueError, match="pipe|x.npy"):
            read(LIES[lie], folder)


def test_flipped_bytes_of_a_header_never_crash():
    whole = saved(np.arange(15, dtype=np.float32).reshape(5, 3))
    refused = 0
    for place in range(128):
        for value in (0, 7, 39, 57, 255):
            flipped = whole[:place] + bytes([value]) + whole[place + 1 :]
            try:
                assert read(flipped).shape[1] == 3
            except ValueError as error:
                assert "pipe" in str(error)
                refused += 1
    assert refused > 300


def test_nothing_pickled_runs(tmp_path):
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(ran),)

    data = saved(np.array([[Trap(), 1, 2]], object), allow_pickle=True)
    for folder in (None, tmp_path):
        with pytest.raises(ValueError, match="Python objects"):
            read(data, folder)
    assert not ran.exists()


def test_an_array_grows_row_after_row(tmp_path):
    for dtype, shape in ((np.float32, (3,)), (np.float64, ()), ("<U7", ())):
        rows = np.arange(1000 * int(np.prod(shape))).reshape(1000, *shape).astype(dtype)
        with open(tmp_path / "a.npy", "wb") as file:
            array = NpyWriter(file, dtype, shape)
            array.write(rows[:0])
            for start in range(0, 1000, 170):
                array.write(rows[start : start + 170])
            array.close()
        again = np.load(tmp_path / "a.npy")
        assert again.dtype == rows.dtype
        np.testing.assert_array_equal(again, rows)
        assert (tmp_path / "a.npy").read_bytes() == saved(rows)


def test_memory_is_flat():
    class Long(Trickle):
        def __init__(self, start, again, times):
            super().__init__(start, 1 << 16)
            self.again, self.times = again, times

        def read1(self, size=-1):
            if len(self.data) < size and self.times:
                self.data, self.times = self.data + self.again, self.times - 1
            return super().read1(size)

    def peak(rows):
        tracemalloc.start()
        count = sum(1 for _ in rows)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return count, most

    count, most = peak(csv_rows(Lines(Source(Long(b"", b"0.25,1.5,hello\n" * 5000, 40), "pipe"))))
    assert count == 200_000 and most < 4_000_000
    head = saved(np.zeros((0, 8), np.float32))
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": (2_000_000, 8)}
    )
    assert len(file.getvalue()) == len(head)
    count, most = peak(
        npy_rows(Source(Long(file.getvalue(), b"\0" * 1_000_000, 64), "pipe"), 8, 4096)
    )
    assert count >= 2_000_000 // 4096 and most < 4_000_000


def test_a_file_by_columns_is_not_read_at_once(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((500_000, 8), order="F"))
    tracemalloc.start()
    with open_source(str(tmp_path / "x.npy")) as source:
        assert sum(len(block) for block in npy.npy_rows(source, 8, 4096)) == 500_000
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4_000_000
