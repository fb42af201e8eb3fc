"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager


def apart(files: dict) -> None:
    """ValueError where two of these files, name -> path or None, are one: writing one would destroy the other."""
    seen = {}
    for name, path in files.items():
        other = name if path is None else seen.setdefault(os.path.realpath(path), name)
        if other != name:
            raise ValueError(f"{other} and {name} must be different files, got {path!r} for both")


@contextmanager
def atomic_write(path):
    """A binary file to write; on success it takes the place of `path` in one step, on any error it is removed.

    A temporary name in the same folder, fsync, rename, fsync of the folder: after a crash `path` is the old file or the
    new one, never a mixture. A process that is killed outright leaves its temporary file `.NAME.RANDOM.tmp` behind,
    which nobody reads. Links are followed; anything but a regular file is refused.
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
