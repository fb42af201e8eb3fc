"""Data sets from NumPy archives."""

import io
import zipfile

import numpy as np
import pytest

from fastdrop.data import load_npz


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    x, y = np.arange(24, dtype=np.uint8).reshape(6, 2, 2), np.array(list("ababba"))
    np.savez(path, x_train=x, y_train=y, x_test=x[:2], y_test=y[1:3, None])
    train, test = load_npz(path, flatten=True)
    np.testing.assert_array_equal(train.x, (x.reshape(6, 4) / 255).astype(np.float32))
    assert (
        train.classes == ["a", "b"]
        and train.y.tolist() == [0, 1, 0, 1, 1, 0]
        and test.y.tolist() == [1, 0]
    )
    assert load_npz(path)[0].x.shape == (6, 2, 2)
    np.savez(path, x=x.astype(np.float64), y=np.arange(6))
    train, test = load_npz(path, task="regression")
    assert test is None and train.x.dtype == np.float64 and train.y.dtype == np.float64
    assert load_npz(path)[0].is_classification
    np.savez(
        path, x_train=x, y_train=np.array([b"a", b"\xc3\xa4"] * 3), x_test=x[:2], y_test=["ä", "a"]
    )
    train, test = load_npz(path)
    assert train.classes == ["a", "ä"] and test.y.tolist() == [1, 0]  # bytes are UTF-8 text


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"a": np.ones(2)}, "it holds a"),
        (
            {"x_train": np.ones((2, 1)), "y_train": np.ones(2), "x_test": np.ones((2, 1))},
            "must hold arrays",
        ),
        ({"x": np.ones((2, 1)), "y": np.ones(3)}, "x and y: y must have one row"),
        ({"x": np.ones((2, 1)), "y": np.array([{}, 1])}, "cannot be read"),
        ({"x": np.array([[np.nan]]), "y": np.ones(1)}, "finite"),
        (
            {
                "x_train": np.ones((2, 1)),
                "y_train": [0, 1],
                "x_test": np.ones((1, 1)),
                "y_test": [2],
            },
            "label 2",
        ),
        ({"x": np.ones(()), "y": np.ones(1)}, "x must have at least 1 dimension"),
        ({"x": np.ones((2, 1)), "y": np.array([b"a", b"\xff"])}, "y: not valid UTF-8"),
    ],
)
def test_npz_refuses(tmp_path, arrays, words):
    path = tmp_path / "odd.npz"
    np.savez(path, **arrays)
    for flatten in (False, True):
        with pytest.raises(ValueError, match=words) as caught:
            load_npz(path, flatten=flatten)
        assert "odd.npz" in str(caught.value)


def test_files_that_are_no_archive(tmp_path):
    path = tmp_path / "odd.npz"
    for content in (b"", b"hello", b"PK\3\4 short"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"odd\.npz") as caught:
            load_npz(path)
        assert "allow_pickle" not in str(caught.value)  # NumPy's advice would not help
    for save in (np.savez, np.savez_compressed):
        save(path, x=np.arange(6.0).reshape(3, 2), y=np.array([0, 1, 0]))
        whole = path.read_bytes()
        for length in range(0, len(whole), 3):
            path.write_bytes(whole[:length])
            with pytest.raises(ValueError, match=r"odd\.npz"):
                load_npz(path)
        for place in range(0, len(whole), 2):
            path.write_bytes(
                whole[:place] + bytes([whole[place] ^ (1 + place % 255)]) + whole[place + 1 :]
            )
            try:
                assert load_npz(path)[0].x.shape == (3, 2)
            except ValueError as error:
                assert "odd.npz" in str(error)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header.getvalue())
        archive.writestr("y.npy", header.getvalue())
    with pytest.raises(ValueError, match=r"odd\.npz"):
        load_npz(path)
    np.save(tmp_path / "a.npy", np.ones(2))
    with pytest.raises(ValueError, match="no archive"):
        load_npz(tmp_path / "a.npy")
    with pytest.raises(FileNotFoundError):
        load_npz(tmp_path / "none.npz")


def test_members_that_are_no_arrays(tmp_path):
    path = tmp_path / "odd.npz"
    array = io.BytesIO()
    np.save(array, np.arange(4.0).reshape(2, 2))
    labels = io.BytesIO()
    np.save(labels, np.array([0, 1]))

    def write(**members):
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    for bad in ("junk", ""):
        write(x=bad, y=bad)
        with pytest.raises(ValueError, match=r"odd\.npz.*member 'x' is no array"):
            load_npz(path)
        write(**{"x.npy": array.getvalue(), "y.npy": bad})
        with pytest.raises(ValueError, match=r"odd\.npz.*member 'y' is no array"):
            load_npz(path)
    # Other members do not matter.
    write(**{"x.npy": array.getvalue(), "y.npy": labels.getvalue(), "readme.txt": "two samples"})
    assert load_npz(path)[0].x.tolist() == [[0, 1], [2, 3]]
    write(**{"x.npy": array.getvalue(), "readme.txt": "two samples"})
    with pytest.raises(ValueError, match=r"it holds readme\.txt, x"):
        load_npz(path)


def test_files_of_other_kinds_are_named(tmp_path):
    path = tmp_path / "odd.npz"
    for content, words in (
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "HTML page"),
        (b"PAR1\x15\x04", "Parquet"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"it is no archive, but .*{words}"):
            load_npz(path)
