"""Incremental byte and line readers for files and standard input.

Memory use does not grow with the length of the input. `Lines.may_block` tells whether the next
line may still have to arrive, so that a program can answer the rows it has before it waits.
"""

from __future__ import annotations

import codecs
import gzip
import os
import stat
import sys
import zlib
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 18  # bytes asked for at a time; a pipe gives what has arrived
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # some editors put it before UTF-8 text
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks
_MAX_LINE = 1 << 26  # bytes; a longer line is no row of a table


class RowError(ValueError):
    """One row cannot be read; the rows after it can."""


@contextmanager
def open_source(path: str) -> Iterator[Source]:
    """The `Source` of a file, or of standard input if `path` is "-".

    Files whose name ends in .gz are decompressed.
    """
    if path == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise ValueError("there is no standard input to read")
        yield Source(sys.stdin.buffer, "stdin")
        return
    with open(path, "rb") as file:
        if path.endswith(".gz"):
            with gzip.GzipFile(fileobj=file) as decompressed:
                yield Source(decompressed, path, is_file=_is_regular(file))
        else:
            yield Source(file, path)


class Source:
    """A binary input whose first bytes can be inspected before they are read.

    Parameters
    ----------
    file : binary file
        Open for reading, with ``read1``.
    name : str
        Name in error messages.
    is_file : bool, optional
        Default: found out from `file`.

    Attributes
    ----------
    file, name
    is_file : bool
        Whether it is a regular file, so that reading never waits for another process.
    """

    def __init__(self, file: Any, name: str, is_file: bool | None = None) -> None:
        self.file, self.name = file, name
        self.is_file = _is_regular(file) if is_file is None else is_file
        self._head = b""  # bytes that were inspected and not yet read
        self._begun = False
        self._decoder: codecs.IncrementalDecoder | None = None  # of UTF-16

    def begins_with(self, *candidates: bytes) -> bytes:
        """The candidate that the input begins with, or b"" if none fits.

        White space and a byte order mark before it are skipped. No more bytes are requested than
        needed for the decision.
        """
        while True:
            start = self._head.removeprefix(_BYTE_ORDER_MARK).lstrip() or self._head
            found = next((item for item in candidates if start.startswith(item)), None)
            if found:
                return found
            undecided = not self._head.strip() or any(
                item.startswith(start) for item in (*candidates, _BYTE_ORDER_MARK)
            )
            if not undecided or len(self._head) > _CHUNK:
                return b""
            more = self._read_file(_CHUNK)
            if not more:
                return b""
            self._head += more

    def read1(self, size: int = _CHUNK) -> bytes:
        """At most `size` bytes: those that have arrived, at least one; b"" at the end."""
        if not self._head:
            return self._read_file(size)
        chunk, self._head = self._head[:size], self._head[size:]
        return chunk

    def read(self, size: int | None = None) -> bytes:
        """Exactly `size` bytes, fewer only at the end. Without `size` all bytes."""
        parts, missing = [], sys.maxsize if size is None else size
        while missing and (chunk := self.read1(min(missing, _CHUNK))):
            parts.append(chunk)
            missing -= len(chunk)
        return b"".join(parts)

    @property
    def position(self) -> int:
        """Offset in the file of the next byte."""
        return self.file.tell() - len(self._head)

    def _read_file(self, size: int) -> bytes:
        try:
            chunk: bytes = self.file.read1(size)
            if not self._begun:
                self._begun = True
                if chunk.startswith(_UTF_16):
                    self._decoder = codecs.getincrementaldecoder("utf-16")()
            while self._decoder is not None:  # the result must not be empty before the end
                text = self._decoder.decode(chunk, final=not chunk)
                if text or not chunk:
                    return text.encode()
                chunk = self.file.read1(size)
            return chunk
        except UnicodeError as error:
            raise ValueError(f"{self.name!r} is not valid UTF-16 ({error})") from None
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{self.name!r} cannot be decompressed: {error}") from None


class Lines:
    """Iterator over the decoded lines of a source, with their line ends.

    Parameters
    ----------
    source : Source

    Attributes
    ----------
    source : Source
    number : int
        How many lines were given out, which is the number of the last one.
    encoding : str
        "UTF-8"; or "Latin-1" as soon as a line is not valid UTF-8 and all lines before it were
        ASCII. Latin-1 includes the additions of Windows-1252.
    """

    def __init__(self, source: Source) -> None:
        self.source, self.number, self.encoding = source, 0, "UTF-8"
        self._ascii = True  # all lines so far
        self._complete: deque[bytes] = deque()
        self._ended = False
        self._rest: list[bytes] = []  # pieces of a line whose end has not arrived
        self._rest_bytes = 0

    @property
    def may_block(self) -> bool:
        """Whether the next line may have to be waited for."""
        return not (self.source.is_file or self._complete or self._ended)

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        while not self._complete:
            if self._ended:
                raise StopIteration
            self._read()
        line = self._complete.popleft()
        self.number += 1
        if self.number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if b"\0" in line:
            raise ValueError(
                f"{self.source.name!r}, line {self.number}: not a table of text "
                "(it holds zero bytes)"
            )
        if line.isascii():
            return line.decode("ascii")
        if self.encoding == "Latin-1":
            return _decode_latin(line)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            if self._ascii:
                self.encoding = "Latin-1"
                return _decode_latin(line)
            raise RowError(
                f"{self.source.name!r}, line {self.number}: not valid UTF-8 ({error})"
            ) from None
        self._ascii = False
        return text

    def _read(self) -> None:
        chunk = self.source.read1()
        self._ended = not chunk
        self._rest.append(chunk)
        self._rest_bytes += len(chunk)
        if chunk and b"\n" not in chunk and b"\r" not in chunk:
            if self._rest_bytes > _MAX_LINE:
                self._ended, self._rest, self._rest_bytes = True, [], 0
                raise ValueError(
                    f"{self.source.name!r}, line {self.number + 1} is longer than {_MAX_LINE} bytes"
                )
            return
        # Bytes are split at \n, \r and \r\n only; text would be split at other characters too.
        lines = b"".join(self._rest).splitlines(keepends=True)
        incomplete = chunk and not lines[-1].endswith(b"\n")  # a \r may be half a line end
        self._rest = [lines.pop()] if incomplete else []
        self._rest_bytes = sum(map(len, self._rest))
        self._complete.extend(lines)


def guess_format(source: Source) -> str:
    """The format of a source: "npy", "npz", "json" (lines) or "csv".

    It follows from the ending of the name, otherwise from the first bytes.
    """
    ending = os.path.splitext(source.name.removesuffix(".gz"))[1]
    named = {".npy": "npy", ".npz": "npz", ".jsonl": "json", ".ndjson": "json"}.get(ending)
    if named:
        return named
    magic = {b"\x93NUMPY": "npy", b"PK\x03\x04": "npz"}
    if ending not in (".csv", ".tsv", ".txt", ".data"):
        magic |= {b"{": "json", b"[": "json"}
    return magic.get(source.begins_with(*magic), "csv")


def _decode_latin(line: bytes) -> str:
    """A line in Windows-1252, which is Latin-1 with more characters, or in Latin-1."""
    try:
        return line.decode("cp1252")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _is_regular(file: Any) -> bool:
    """Whether this is a regular file. An object in memory (io.BytesIO) counts as one."""
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (AttributeError, OSError):
        return True
