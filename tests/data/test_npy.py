"""Arrays read and written in blocks of rows: from files and pipes, truncated, and invalid."""

import io
import os
import tracemalloc

import numpy as np
import pytest

from fastdrop.data.readers import npy
from fastdrop.data.readers.npy import npy_rows
from fastdrop.data.readers.rows import CsvRows
from fastdrop.data.readers.source import Lines, Source, open_source
from fastdrop.data.writers import NpyWriter
from helpers.pipes import SlowPipe, pipe


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


def test_every_truncated_array_is_refused(tmp_path):
    for order in "CF":
        whole = saved(np.asarray(np.arange(15, dtype=np.float32).reshape(5, 3), order=order))
        assert len(read(whole, tmp_path)) == 5
        for length in range(len(whole)):
            with pytest.raises(ValueError, match=r"x\.npy|pipe"):
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


BAD_ARRAYS = {
    "more rows than there are": header(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 3)}"
    ),
    "more than can be counted": header(
        f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**70}, 3)}}"
    ),
    "by columns, more than can be counted": header(
        f"{{'descr': '<f4', 'fortran_order': True, 'shape': ({2**62}, 3)}}"
    ),
    "a wide row": header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': (1, {2**62})}}"),
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


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_invalid_arrays_are_refused(tmp_path, case):
    for folder in (None, tmp_path):
        with pytest.raises(ValueError, match=r"pipe|x\.npy"):
            read(BAD_ARRAYS[case], folder)


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


def test_pickled_objects_are_refused(tmp_path):
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(ran),)

    data = saved(np.array([[Trap(), 1, 2]], object), allow_pickle=True)
    for folder in (None, tmp_path):
        with pytest.raises(ValueError, match="Python objects"):
            read(data, folder)
    assert not ran.exists()


def test_an_array_is_written_in_blocks(tmp_path):
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


def test_memory_does_not_grow_with_the_input():
    class Long(SlowPipe):
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

    count, most = peak(CsvRows(Lines(Source(Long(b"", b"0.25,1.5,hello\n" * 5000, 40), "pipe"))))
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


def version_3(text, content=b"", length=None):
    text = text.encode()
    size = len(text) if length is None else length
    return b"\x93NUMPY\x03\x00" + size.to_bytes(4, "little") + text + content


def rows_of(content, width=2):
    return [row for block in npy_rows(Source(io.BytesIO(content), "a"), width, 10) for row in block]


def test_version_3():
    """The version with a header in UTF-8, which NumPy writes for names in other alphabets."""
    array = np.arange(6, dtype="<f4").reshape(3, 2)
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }   \n"
    np.testing.assert_array_equal(rows_of(version_3(header, array.tobytes())), array)
    with pytest.raises(ValueError, match="truncated"):
        rows_of(version_3(header, array.tobytes()[:-1]))
    named = io.BytesIO()
    with pytest.warns(UserWarning, match=r"3\.0"):
        np.lib.format.write_array(named, np.zeros(3, [("\u03b1", "f4"), ("b", "f4")]))
    assert named.getvalue()[6:8] == b"\x03\x00"
    with pytest.raises(ValueError, match="must hold real numbers"):
        rows_of(named.getvalue())
    for bad in (
        version_3(header, length=2**32 - 1),
        version_3(header, length=len(header) + 1),
        version_3(header)[:9],
        version_3("{'descr': "),
        version_3(header).replace(b"<f4", b"\xff\xff\xff"),
        version_3(header).replace(b"\x03\x00", b"\x04\x00", 1),
    ):
        with pytest.raises(ValueError, match=r"'a' cannot be read as a NumPy array|truncated"):
            rows_of(bad)
