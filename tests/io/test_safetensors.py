"""The safetensors reader and writer: round trips, exchange with the package, invalid files."""

import json
import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from fastdrop.io.safetensors import load_file, read_file, save_file

DTYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]


def example():
    rng = np.random.default_rng(0)
    tensors = {f"t.{code}": (rng.random((3, 5)) * 100).astype(code) for code in DTYPES}
    tensors |= {
        "scalar": np.array(7, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "ü": np.ones(1, np.int8),
    }
    return tensors


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].shape == b[name].shape and a[name].dtype == b[name].dtype, name
        assert a[name].tobytes() == b[name].tobytes(), name


def test_round_trip(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file(example(), path, {"who": "wé"})
    tensors, metadata = read_file(path)
    assert_same(tensors, example())
    assert metadata == {"who": "wé"}
    assert all(array.flags.writeable and array.dtype.isnative for array in tensors.values())
    assert os.listdir(tmp_path) == ["a.safetensors"]
    save_file({}, path)
    assert read_file(path) == ({}, {})


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.float32).reshape(3, 4).T,
        np.arange(24, dtype=np.float32).reshape(4, 6)[::2, ::-3],
        np.broadcast_to(np.float32(3), (2, 3)),
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.arange(6, dtype=">i8")[::-1],
        np.frombuffer(
            b"x" + np.arange(5, dtype="<f8").tobytes(), "<f8", offset=1
        ),  # misaligned and read-only
    ],
    ids=["transposed", "strided", "broadcast", "big-endian", "big-endian reversed", "misaligned"],
)
def test_any_memory_layout(tmp_path, array):
    path = tmp_path / "a.safetensors"
    save_file({"a": array}, path)
    loaded = load_file(path)["a"]
    assert loaded.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(loaded, array)


def test_exchange_with_the_package(tmp_path):
    package = pytest.importorskip("safetensors.numpy")
    from safetensors import safe_open

    path = tmp_path / "a.safetensors"
    save_file(example(), path, {"k": "v"})
    assert_same(
        package.load_file(path), {name: example()[name] for name in package.load_file(path)}
    )
    assert package.load_file(path).keys() == example().keys()
    with safe_open(path, "np") as file:
        assert file.metadata() == {"k": "v"}
    package.save_file(example(), path, {"k": "v"})
    tensors, metadata = read_file(path)
    assert_same({name: tensors[name] for name in example()}, example())
    assert metadata == {"k": "v"}


def test_bfloat16_is_read_as_float32(tmp_path):
    path = tmp_path / "a.safetensors"
    write(
        path,
        {"a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}},
        np.array([0x3F80, 0xC040, 0x7F80], "<u2").tobytes(),
    )
    np.testing.assert_array_equal(load_file(path)["a"], np.array([1, -3, np.inf], np.float32))


def test_saves_tensors(tmp_path):
    import fastdrop as fd

    save_file({"a": fd.tensor([1.0, 2.0], requires_grad=True)}, tmp_path / "a")
    np.testing.assert_array_equal(load_file(str(tmp_path / "a"))["a"], np.array([1, 2], np.float32))


@pytest.mark.parametrize(
    "tensors, metadata, error, words",
    [
        ([1], None, TypeError, "tensors must be a dict"),
        ({1: np.ones(2)}, None, TypeError, "names in tensors"),
        ({"__metadata__": np.ones(2)}, None, ValueError, "__metadata__"),
        ({"a": np.ones(2, complex)}, None, TypeError, r"tensors\['a'\]"),
        ({"a": np.array([{}])}, None, TypeError, r"tensors\['a'\]"),
        ({"a": "text"}, None, TypeError, r"tensors\['a'\]"),
        ({"a": np.ones(2)}, "x", TypeError, "metadata must be"),
        ({"a": np.ones(2)}, {"k": 1}, TypeError, "metadata must map"),
    ],
)
def test_writer_refuses(tmp_path, tensors, metadata, error, words):
    path = tmp_path / "a"
    path.write_bytes(b"before")
    with pytest.raises(error, match=words):
        save_file(tensors, path, metadata)
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["a"]


def write(path, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)


def entry(shape=(2,), begin=0, end=8, dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


BAD_FILES = {
    "empty file": (None, b"", None, "0 bytes long"),
    "header longer than the file": ({}, b"", 100, "truncated"),
    "oversized header": ({}, b"", 2**63, "no safetensors"),
    "not JSON": (b"{not json}", b"", None, "bad header"),
    "a list": (b"[]", b"", None, "begin with {"),
    "leading letter": (b"x {}", b"", None, "begin with {"),
    "not UTF-8": (b'{"\xff": 1}', b"", None, "bad header"),
    "deep nesting": (b'{"a":' + b"[" * 100_000, b"", None, "bad header"),
    "NaN": (b'{"a": NaN}', b"", None, "NaN"),
    "duplicate names": (
        b'{"a": %s, "a": %s}' % ((json.dumps(entry()).encode(),) * 2),
        b"x" * 8,
        None,
        "'a' occurs twice",
    ),
    "duplicate keys": (
        b'{"a": {"dtype": "F32", "dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',
        b"x" * 8,
        None,
        "'dtype' occurs twice",
    ),
    "duplicate metadata": (
        b'{"__metadata__": {"k": "1", "k": "2"}}',
        b"",
        None,
        "'k' occurs twice",
    ),
    "metadata twice": (
        b'{"__metadata__": {}, "__metadata__": {"k": "2"}}',
        b"",
        None,
        "'__metadata__' occurs twice",
    ),
    "Infinity": (
        b'{"a": {"dtype": "F32", "shape": [-Infinity], "data_offsets": [0, 8]}}',
        b"x" * 8,
        None,
        "Infinity",
    ),
    "a number of 5000 digits": (
        b'{"a": {"dtype": "F32", "shape": [%s], "data_offsets": [0, 8]}}' % (b"9" * 5000),
        b"x" * 8,
        None,
        "bad header",
    ),
    "a size beyond floats": (
        b'{"a": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 8]}}',
        b"x" * 8,
        None,
        "shape",
    ),
    "offsets of 400 digits": (
        b'{"a": {"dtype": "U8", "shape": [0], "data_offsets": [%s, %s]}}' % ((b"9" * 400,) * 2),
        b"",
        None,
        "begins at 999",
    ),
    "shape no list": (
        {"a": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}},
        b"x" * 8,
        None,
        "shape",
    ),
    "text after the header": (
        b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}} x',
        b"1",
        None,
        "bad header",
    ),
    "metadata not text": ({"__metadata__": {"k": 1}}, b"", None, "__metadata__"),
    "metadata a list": ({"__metadata__": []}, b"", None, "__metadata__"),
    "no dtype": ({"a": {"shape": [2], "data_offsets": [0, 8]}}, b"x" * 8, None, "'a' must have"),
    "entry no object": ({"a": 3}, b"", None, "'a' must have"),
    "unknown dtype": ({"a": entry(dtype="F31")}, b"x" * 8, None, "unknown dtype 'F31'"),
    "dtype no text": ({"a": entry(dtype=["F32"])}, b"x" * 8, None, "unknown dtype"),
    "negative size": ({"a": entry((-2,))}, b"x" * 8, None, "shape"),
    "bool size": ({"a": entry((True, 2))}, b"x" * 8, None, "shape"),
    "float size": ({"a": entry((2.0,))}, b"x" * 8, None, "shape"),
    "many dimensions": ({"a": entry((1,) * 33, 0, 4)}, b"x" * 4, None, "shape"),
    "one offset": (
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [8]}},
        b"x" * 8,
        None,
        "data_offsets",
    ),
    "backward offsets": ({"a": entry((2,), 8, 0)}, b"x" * 8, None, "data_offsets"),
    "negative offset": ({"a": entry((2,), -8, 0)}, b"x" * 8, None, "data_offsets"),
    "size disagrees": ({"a": entry((3,))}, b"x" * 8, None, "needs 12 bytes"),
    "product overflows": ({"a": entry((2**32, 2**32), 0, 0)}, b"", None, "needs"),
    "zero beside overflow": ({"a": entry((0, 2**61, 2**61), 0, 0)}, b"", None, "too large"),
    "overlap": ({"a": entry(), "b": entry((2,), 4, 12)}, b"x" * 12, None, "'b' begins at 4"),
    "gap": ({"a": entry(), "b": entry((2,), 12, 20)}, b"x" * 20, None, "'b' begins at 12"),
    "begins late": ({"a": entry((2,), 4, 12)}, b"x" * 12, None, "'a' begins at 4"),
    "past the end": ({"a": entry((4,), 0, 16)}, b"x" * 8, None, "truncated"),
    "bytes left over": ({"a": entry()}, b"x" * 9, None, "truncated"),
    "truncated": ({"a": entry()}, b"x" * 7, None, "truncated"),
    "BOOL of 2": ({"a": entry((2,), 0, 2, "BOOL")}, b"\x01\x02", None, "byte 2"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_reader_refuses(tmp_path, case):
    header, data, length, words = BAD_FILES[case]
    path = tmp_path / "broken.safetensors"
    if header is None:
        path.write_bytes(data)
    else:
        write(path, header, data, length)
    with pytest.raises(ValueError, match=words) as caught:
        load_file(path)
    assert "broken.safetensors" in str(caught.value)


def test_every_truncated_file_is_refused(tmp_path):
    path = tmp_path / "whole"
    save_file({"a": np.arange(5, dtype=np.float32), "b": np.arange(3)}, path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="whole"):
            load_file(path)


def test_flipped_bytes_of_a_header_are_refused_or_harmless(tmp_path):
    """If a changed header is accepted, exactly the bytes of the file are read."""
    path = tmp_path / "whole"
    save_file(
        {"a": np.arange(5, dtype=np.float32), "b": np.arange(3), "c": np.zeros((2, 0), np.int8)},
        path,
        {"k": "v"},
    )
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    refused = 0
    for place in range(8 + length):
        for flip in (1, 2, 8, 64, 128):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            try:
                tensors, _ = read_file(path)
            except ValueError as error:
                assert "whole" in str(error)
                refused += 1
            else:
                assert sum(array.nbytes for array in tensors.values()) == len(whole) - 8 - length
    assert refused > 3 * length


def test_paths(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_file(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="folder"):
        save_file({}, tmp_path / "none" / "a")
    with pytest.raises(OSError):
        save_file({}, tmp_path)
    with pytest.raises(OSError, match="regular"):
        save_file({}, os.devnull)
    with pytest.raises(TypeError):
        save_file({}, 3)
    with pytest.raises(IsADirectoryError):
        load_file(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        ValueError, match=r"pipe.*not a regular file"
    ):  # instead of waiting for a writer
        load_file(tmp_path / "pipe")
    save_file(
        {}, tmp_path / ("a" * 255)
    )  # the longest possible name; the temporary file needs one too
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"")
    target.chmod(0o640)
    link.symlink_to(target)
    save_file({"a": np.ones(2)}, link)  # through the link, keeping the file's mode
    assert link.is_symlink() and load_file(target).keys() == {"a"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_an_error_while_writing_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    save_file({"a": np.zeros(4)}, path)
    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:

            def fail(*args):
                raise OSError("disk full")

            patch.setattr(os, step, fail)
            with pytest.raises(OSError, match="disk full"):
                save_file({"a": np.ones(4)}, path)
        np.testing.assert_array_equal(load_file(path)["a"], np.zeros(4))
        assert os.listdir(tmp_path) == ["a"]


WRITER = """
import itertools, sys
import numpy as np
from fastdrop.io.safetensors import save_file
for n in itertools.count(1):
    tensors = {"a": np.full(400_000, n, np.float32), "b": np.full(3, n)}
    save_file(tensors, sys.argv[1], {"n": str(n)})
    print(n, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_process_leaves_a_complete_file(tmp_path):
    """After a kill the file is complete, and is the last finished one or a newer one."""
    path = tmp_path / "a.safetensors"
    for attempt in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True
        ) as writer:
            writer.stdout.readline()
            time.sleep(0.002 + 0.011 * attempt)
            writer.kill()
            finished = [1, *map(int, writer.stdout.read().split())][-1]
        tensors, metadata = read_file(path)
        assert (tensors["a"] == int(metadata["n"])).all() and (
            tensors["b"] == int(metadata["n"])
        ).all()
        assert int(metadata["n"]) >= finished
