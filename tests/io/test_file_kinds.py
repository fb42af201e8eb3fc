"""Files of other programs: named in the message, or read as far as NumPy can hold them."""

import io as bytes_io
import json
import zipfile

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.io.safetensors import load_file, read_file, save_file


def zipped(*names):
    file = bytes_io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return file.getvalue()


OTHERS = {
    "npz": (zipped("w.npy"), "NumPy archive"),
    "PyTorch": (zipped("net/data.pkl", "net/data/0"), "PyTorch"),
    "Excel": (zipped("xl/workbook.xml"), "Excel"),
    "Keras": (zipped("config.json", "model.weights.h5", "metadata.json"), "Keras"),
    "zip": (zipped("readme.txt"), "zip archive"),
    "damaged zip": (zipped("w.npy")[:40], "zip archive that is damaged"),
    "LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "Git LFS pointer",
    ),
    "HTML": (b"\n<!DOCTYPE html>\n<html><body>404</body></html>", "HTML page"),
    "HTML in small letters": (b"<html><head></head></html>", "HTML page"),
    "XML": (b'<?xml version="1.0"?><Error></Error>', "XML document"),
    "Parquet": (b"PAR1" + b"\x15\x04\x15\x20" * 9 + b"PAR1", "Parquet table"),
    "npy": (b"\x93NUMPY\x01\x00" + b" " * 70, "NumPy array"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 9, "HDF5"),
    "pickle": (b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00}", "pickle"),
    "GGUF": (b"GGUF\x03\x00\x00\x00" + b"\xff" * 9, "GGUF"),
    "gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "gzip"),
    "index": (b'{"metadata": {}, "weight_map": {}}', "JSON text"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_files_are_named(tmp_path, case):
    content, words = OTHERS[case]
    path = tmp_path / "m"
    path.write_bytes(content)
    for read in (fd.load, load_file, fd.io.read_info, lambda p: fd.load(p, model=nn.Linear(2, 2))):
        with pytest.raises(ValueError, match=words) as caught:
            read(path)
        assert "no safetensors file" in str(caught.value)
    with pytest.raises(ValueError, match=words):
        fd.load_checkpoint(path, nn.Linear(2, 2))


def write(path, tensors, before=b"", **others):
    """A safetensors file of (dtype, shape, bytes) by name, as any program may write it."""
    header, data = dict(others), b""
    for name, (dtype, shape, content) in tensors.items():
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        data += content
    text = before + json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


# Patterns of bits and their values, from the definitions of the formats.
SMALL_FLOATS = {
    "F8_E4M3": (
        [0x00, 0x80, 0x38, 0xB8, 0x7E, 0x08, 0x01, 0x7F],
        [0.0, -0.0, 1.0, -1.0, 448.0, 2**-6, 2**-9, np.nan],
    ),
    "F8_E5M2": (
        [0x00, 0x3C, 0xC0, 0x7B, 0x04, 0x01, 0x7C, 0xFC, 0x7D],
        [0.0, 1.0, -2.0, 57344.0, 2**-14, 2**-16, np.inf, -np.inf, np.nan],
    ),
    "F8_E4M3FNUZ": ([0x40, 0xC0, 0x7F, 0x01, 0x80], [1.0, -1.0, 240.0, 2**-10, np.nan]),
    "F8_E5M2FNUZ": ([0x40, 0xC4, 0x7F, 0x01, 0x80], [1.0, -2.0, 57344.0, 2**-17, np.nan]),
    "F8_E8M0": ([0, 127, 128, 254, 255], [2.0**-127, 1.0, 2.0, 2.0**127, np.nan]),
}


@pytest.mark.parametrize("dtype", SMALL_FLOATS)
def test_floats_of_8_bits(tmp_path, dtype):
    patterns, values = SMALL_FLOATS[dtype]
    weight = np.arange(6, dtype="<f4").reshape(2, 3)
    write(
        tmp_path / "a",
        {"q": (dtype, [len(patterns)], bytes(patterns)), "w": ("F32", [2, 3], weight.tobytes())},
    )
    loaded = load_file(tmp_path / "a")
    assert loaded["q"].dtype == np.float32
    np.testing.assert_array_equal(loaded["q"], np.array(values, np.float32))
    np.testing.assert_array_equal(np.signbit(loaded["q"][:2]), np.signbit(values[:2]))
    np.testing.assert_array_equal(loaded["w"], weight)


def test_complex_numbers(tmp_path):
    z = np.array([1 + 2j, -3j], "<c8")
    write(tmp_path / "a", {"z": ("C64", [2], z.tobytes()), "n": ("I8", [1], b"\x05")})
    loaded = load_file(tmp_path / "a")
    np.testing.assert_array_equal(loaded["z"], z)
    assert loaded["n"].tolist() == [5]


@pytest.mark.parametrize("dtype, size", [("F4", 3), ("F6_E2M3", 9), ("F6_E3M2", 9)])
def test_packed_numbers_are_left_out_with_a_warning(tmp_path, dtype, size):
    shape = [6] if dtype == "F4" else [12]
    one = np.ones(2, "<f4").tobytes()
    tensors = {"a": ("F32", [2], one), "q": (dtype, shape, b"x" * size), "z": ("F32", [2], one)}
    write(tmp_path / "a", tensors)
    with pytest.warns(UserWarning, match=r"left out 'q'.*packed"):
        loaded = load_file(tmp_path / "a")
    assert loaded.keys() == {"a", "z"} and loaded["z"].tolist() == [1, 1]
    write(tmp_path / "a", {"q": (dtype, [1], b"x")})
    with pytest.raises(ValueError, match="whole bytes"):
        load_file(tmp_path / "a")
    write(tmp_path / "a", {"q": (dtype, shape, b"x" * (size + 1))})
    with pytest.raises(ValueError, match="needs"):
        load_file(tmp_path / "a")


def test_white_space_and_no_metadata(tmp_path):
    one = {"a": ("F32", [1], np.ones(1, "<f4").tobytes())}
    write(tmp_path / "a", one, before=b" \t\r\n", __metadata__=None)
    tensors, metadata = read_file(tmp_path / "a")
    assert tensors["a"].tolist() == [1] and metadata == {}
    assert fd.load(tmp_path / "a")["a"].tolist() == [1]


def test_tensors_of_pytorch_on_the_way_in(tmp_path):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(3, 2)
    half = torch.tensor([1.0, -2.5, 1 / 3], dtype=torch.bfloat16)
    save_file({**dict(layer.named_parameters()), "half": half}, tmp_path / "a")
    loaded = load_file(tmp_path / "a")
    np.testing.assert_array_equal(loaded["weight"], layer.weight.detach().numpy())
    np.testing.assert_array_equal(loaded["half"], half.float().numpy())
    fd.save(dict(layer.named_parameters()), tmp_path / "b")
    ours = fd.load(tmp_path / "b", model=nn.Linear(3, 2))
    np.testing.assert_array_equal(ours.bias.data, layer.bias.detach().numpy())
