"""Modules and names of a package that are imported on first use.

To import everything takes longer than NumPy's own import; a program that predicts with a dense
network needs a tenth of it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

# Held during these imports and during a fork. A child that is forked while another thread imports
# a module would wait for ever for that thread, which it does not have.
importing = threading.RLock()


def _release_after_fork() -> None:
    with contextlib.suppress(RuntimeError):  # it was not acquired in time
        importing.release()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=lambda: importing.acquire(timeout=10),
        after_in_parent=_release_after_fork,
        after_in_child=_release_after_fork,
    )


def lazy_names(
    package: str, names: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package whose modules are imported on first use.

    Parameters
    ----------
    package : str
        Its full name.
    names : mapping
        Submodule -> the names that the package re-exports from it. The submodules are attributes
        of the package as well.
    """
    module_of = {name: module for module, found in names.items() for name in found}

    def get(name: str) -> object:
        if name in module_of:
            with importing:
                value = getattr(importlib.import_module(f"{package}.{module_of[name]}"), name)
            setattr(sys.modules[package], name, value)
            return value
        if name in names:
            with importing:
                return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of, *names})

    return get, listed


class LazyClasses(Mapping[str, type[Any]]):
    """Name of a class -> the class, which is imported when it is looked up.

    Parameters
    ----------
    packages : mapping
        Name of a class -> full name of the package that has it.
    """

    def __init__(self, packages: Mapping[str, str]) -> None:
        self._packages = packages

    def __getitem__(self, name: str) -> type[Any]:
        found: type[Any] = getattr(importlib.import_module(self._packages[name]), name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._packages

    def __iter__(self) -> Iterator[str]:
        return iter(self._packages)

    def __len__(self) -> int:
        return len(self._packages)
