"""The installed distribution: its name, its version, and others that own a package `fastdrop`.

The distribution is called fastdrop-nn. On PyPI the name fastdrop belongs to an unrelated
file-sharing server that installs a package of the same name. This module imports nothing of the
library, so that it also works where the C core cannot be loaded.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

__all__ = ["NAME", "core_import_help", "others", "others_text", "version"]

NAME = "fastdrop-nn"
PACKAGE = "fastdrop"


def version() -> str:
    """The version of the installed distribution, or a sentence that it is not installed."""
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"


def others(path: list[str] | None = None) -> list[tuple[str, str, str]]:
    """Installed distributions other than fastdrop-nn that own a package directory `fastdrop`.

    Parameters
    ----------
    path : list of str, optional
        The folders to search. Default: ``sys.path``.

    Returns
    -------
    list of (name, version, location)
        Sorted by name. The location is the folder that holds the distribution's metadata.
    """
    found = set()
    for dist in metadata.distributions(path=sys.path if path is None else path):
        name = dist.name
        if name and _normalized(name) != NAME and _owns_package(dist) and not _build_leftover(dist):
            found.add((name, dist.version or "?", str(dist.locate_file(""))))
    return sorted(found)


def others_text(found: list[tuple[str, str, str]]) -> str:
    """What `others` found as a sentence, and how to repair the installation."""
    if not found:
        return ""
    owners = ", ".join(f"{name} {version} in {location}" for name, version, location in found)
    names = " ".join(dict.fromkeys(name for name, _, _ in found))
    return (
        f"Another distribution owns a package {PACKAGE!r} as well: {owners}. Each overwrites files "
        f"of the other. To keep this library: pip uninstall {names}, then "
        f"pip install --force-reinstall --no-deps {NAME}."
    )


def core_import_help(error: str) -> str:
    """What the user can do about a C core that could not be loaded: one or two sentences.

    Parameters
    ----------
    error : str
        The message of the ImportError.
    """
    if "libgomp" in error:
        return (
            "The OpenMP library libgomp.so.1 is missing. Install it with the system's package "
            "manager (Debian and Ubuntu: libgomp1, Fedora and Alpine: libgomp)."
        )
    if "libomp" in error:
        return "The OpenMP library libomp is missing. Install it (Homebrew: brew install libomp)."
    return (
        others_text(others())
        or "In a clone of the repository build the core first: pip install -e ."
    )


def _normalized(name: str) -> str:
    """A distribution's name as PyPI compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _owns_package(dist: metadata.Distribution) -> bool:
    """Whether the package is listed in top_level.txt or has files in the distribution's RECORD."""
    top_level = dist.read_text("top_level.txt")
    if top_level is not None:
        return PACKAGE in top_level.split()
    record = dist.read_text("RECORD") or ""
    return any(line.startswith((f"{PACKAGE}/", f'"{PACKAGE}/')) for line in record.splitlines())


def _build_leftover(dist: metadata.Distribution) -> bool:
    """Whether this is the folder fastdrop.egg-info of an old build, beside this package."""
    beside = Path(str(dist.locate_file(""))).resolve() == Path(__file__).resolve().parents[2]
    return beside and dist.read_text("SOURCES.txt") is not None  # never in an installed .dist-info
