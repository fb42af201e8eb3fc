"""Bytes and lines as they come: of a file, or of standard input, however long, however slow.

Memory stays flat: what was read is handed on and forgotten. Who reads a slow stream can see whether more is here already
(`Lines.waits`), and answer before waiting for it.
"""

from __future__ import annotations

import gzip
import os
import stat
import sys
import zlib
from collections import deque
from contextlib import contextmanager

_CHUNK = 1 << 18  # bytes asked for at a time; a pipe gives what it has
_MARK = b"\xef\xbb\xbf"  # some editors begin UTF-8 text with it
_MAX_LINE = 1 << 26  # bytes: a longer line is no row of a table


@contextmanager
def opened(path: str):
    """The `Source` of a file (unpacked where its name ends in .gz) or, with "-", of standard input."""
    if path == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise ValueError("there is no standard input to read")
        yield Source(sys.stdin.buffer, "stdin")
        return
    with open(path, "rb") as file:
        if path.endswith(".gz"):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield Source(unpacked, path, is_file=_is_regular(file))
        else:
            yield Source(file, path)


class Source:
    """Bytes that can be looked at before they are read.

    Attributes
    ----------
    name : str
        What messages call it.
    is_file : bool
        A regular file: reading never waits for somebody to write.
    """

    def __init__(self, file, name: str, is_file: bool | None = None):
        self.file, self.name = file, name
        self.is_file = _is_regular(file) if is_file is None else is_file
        self._head = b""

    def begins_with(self, *kinds: bytes) -> bytes:
        """Which of these the source begins with, behind white space where it is text; b"" for none. Reads no more than it needs."""
        while True:
            start = self._head.removeprefix(_MARK).lstrip() or self._head
            found = next((kind for kind in kinds if start.startswith(kind)), None)
            if found:
                return found
            undecided = (
                any(kind.startswith(start) for kind in (*kinds, _MARK)) or not self._head.strip()
            )
            if not undecided or len(self._head) > _CHUNK:
                return b""
            more = self._read1(_CHUNK)
            if not more:
                return b""
            self._head += more

    def read1(self, size: int = _CHUNK) -> bytes:
        """At most so many bytes: what is here, or at least one; none at the end."""
        if not self._head:
            return self._read1(size)
        chunk, self._head = self._head[:size], self._head[size:]
        return chunk

    def read(self, size: int | None = None) -> bytes:
        """So many bytes, fewer only at the end; without `size` all."""
        parts, missing = [], sys.maxsize if size is None else size
        while missing and (chunk := self.read1(min(missing, _CHUNK))):
            parts.append(chunk)
            missing -= len(chunk)
        return b"".join(parts)

    @property
    def position(self) -> int:
        """Where in the file the next byte lies."""
        return self.file.tell() - len(self._head)

    def _read1(self, size: int) -> bytes:
        try:
            return self.file.read1(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{self.name!r} cannot be unpacked: {error}") from None


class Lines:
    """The lines of a source, decoded, with their ends; `number` counts those given out."""

    def __init__(self, source: Source):
        self.source, self.number = source, 0
        self._here, self._ended = deque(), False
        self._rest, self._rest_bytes = [], 0  # a line whose end has not come

    @property
    def waits(self) -> bool:
        """Whether asking for the next line may mean to wait until it is written."""
        return not (self.source.is_file or self._here or self._ended)

    def __iter__(self):
        return self

    def __next__(self) -> str:
        while not self._here:
            if self._ended:
                raise StopIteration
            self._read()
        line = self._here.popleft()
        self.number += 1
        try:
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{self.source.name!r}, line {self.number}: no UTF-8 text ({error})"
            ) from None

    def _read(self) -> None:
        chunk = self.source.read1()
        self._ended = not chunk
        self._rest.append(chunk)
        self._rest_bytes += len(chunk)
        if chunk and b"\n" not in chunk and b"\r" not in chunk:
            if self._rest_bytes > _MAX_LINE:
                raise ValueError(
                    f"{self.source.name!r}, line {self.number + 1} is longer than {_MAX_LINE} bytes"
                )
            return
        lines = b"".join(self._rest).splitlines(
            keepends=True
        )  # of bytes: at \n, \r and \r\n and nothing else
        torn = chunk and not lines[-1].endswith(b"\n")  # a \r may be half an end
        self._rest = [lines.pop()] if torn else []
        self._rest_bytes = sum(map(len, self._rest))
        self._here.extend(lines)


def kind_of(source: Source) -> str:
    """What a source holds, "npy", "npz", "json" (lines) or "csv": by the ending of its name, else by its first bytes."""
    ending = os.path.splitext(source.name.removesuffix(".gz"))[1]
    named = {".npy": "npy", ".npz": "npz", ".jsonl": "json", ".ndjson": "json"}.get(ending)
    if named:
        return named
    magic = {b"\x93NUMPY": "npy", b"PK\x03\x04": "npz"}
    if ending not in (".csv", ".tsv", ".txt", ".data"):
        magic |= {b"{": "json", b"[": "json"}
    return magic.get(source.begins_with(*magic), "csv")


def _is_regular(file) -> bool:
    """Whether this is a file on a disk; what lies in memory is one, too."""
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (AttributeError, OSError):
        return True
