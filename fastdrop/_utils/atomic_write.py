"""Atomic file writes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from fastdrop._utils.typing import PathLike


def apart(files: Mapping[str, PathLike | None]) -> None:
    """Check that the files are different: writing one of them must not destroy another.

    `files` maps an argument's name, for the error message, to its path or None.
    """
    seen: dict[str, str] = {}
    for name, path in files.items():
        other = name if path is None else seen.setdefault(os.path.realpath(path), name)
        if other != name:
            raise ValueError(f"{other} and {name} must be different files, got {path!r} for both")


@contextmanager
def atomic_write(path: PathLike | bytes) -> Generator[IO[bytes], None, None]:
    """Open a binary file that replaces `path` in one step when the block succeeds.

    On an error the new file is removed and `path` is unchanged. After a crash `path` holds the
    old content or the new one, never a mixture: the data goes to a temporary file in the same
    folder, then fsync, rename, and fsync of the folder. A killed process may leave the temporary
    file `.NAME.RANDOM.tmp` behind; nothing reads it. Symbolic links are followed. A path that
    exists and is not a regular file is refused.
    """
    path = os.path.realpath(os.fsdecode(path))
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "no such folder to write to", folder)
    mode = os.stat(path).st_mode if os.path.exists(path) else None
    if mode is not None and not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "cannot write to something that is not a regular file", path)
    temporary = os.path.join(folder, f".{name[:50]}.{os.urandom(4).hex()}.tmp")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            if mode is not None:
                os.chmod(temporary, stat.S_IMODE(mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
