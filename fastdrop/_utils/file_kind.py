"""What a file is, by its first bytes: for messages about files of another kind."""

from __future__ import annotations

# The first bytes of a file, and what it is.
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, a small text in place of the file: get the file with 'git lfs pull'",
    ),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"PAR1", "a Parquet table"),
    (b"\x89HDF\r\n", "an HDF5 file (.h5)"),
    (b"GGUF", "a GGUF model file"),
    (b"ARROW1", "an Arrow or Feather table"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"BZh", "compressed with bzip2"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls)"),
    (b"\x80\x02", "a Python pickle, perhaps of PyTorch (.pt): it may run any code"),
    (b"\x80\x03", "a Python pickle: it may run any code"),
    (b"\x80\x04", "a Python pickle: it may run any code"),
    (b"\x80\x05", "a Python pickle: it may run any code"),
)
_LENGTH = 512  # bytes that are looked at


def file_kind(path: str) -> str | None:
    """What the file is ("a Parquet table"), or None if it is not known.

    The file is opened again. An error while it is read counts as not known.
    """
    try:
        with open(path, "rb") as file:
            begin = file.read(_LENGTH)
            if begin[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
                return _kind_of_zip(path)
    except OSError:
        return None
    return kind_of_bytes(begin)


def kind_of_bytes(begin: bytes) -> str | None:
    """What a file with these first bytes is, or None if it is not known."""
    for magic, kind in _BEGINNINGS:
        if begin.startswith(magic):
            return kind
    if begin[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "a zip archive (.npz of NumPy, .pt of PyTorch, .keras, .xlsx ...)"
    text = begin.removeprefix(b"\xef\xbb\xbf").lstrip()
    lower = text[:100].lower()
    if lower.startswith((b"<!doctype html", b"<html", b"<head")):
        return "an HTML page, perhaps the error page of a download"
    if lower.startswith((b"<?xml", b"<!doctype", b"<error")):
        return "an XML document, perhaps the error message of a download"
    if text.startswith((b"{", b"[")):
        return "JSON text, perhaps the index of a model in several files"
    return None


def _kind_of_zip(path: str) -> str:
    """What a zip archive is, by the names of its members."""
    import zipfile  # here: only files of another kind need it

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # zipfile fails with many kinds of errors
        return "a zip archive that is damaged"
    if any(name.endswith(("data.pkl", "constants.pkl")) for name in names):
        return (
            "a file of PyTorch (.pt, .pth), a zip archive with a pickle: load it with torch.load, "
            "and write its state_dict with safetensors.torch.save_file or fastdrop.save"
        )
    if names and all(name.endswith(".npy") for name in names):
        return "a NumPy archive (.npz): read it with numpy.load"
    if "xl/workbook.xml" in names:
        return "an Excel workbook (.xlsx)"
    if "config.json" in names and "model.weights.h5" in names:
        return "a model of Keras (.keras)"
    return "a zip archive"
