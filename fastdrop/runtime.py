"""Threads and instruction sets: what runs, and how to change it."""

from __future__ import annotations

import os
import sys

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check

MAX_THREADS = 1024


def set_num_threads(n: int) -> None:
    """Use `n` threads for all kernels from now on (1 where the build has no OpenMP).

    Results do not depend on it.
    """
    _core.set_num_threads(check.integer(n, "n", 1, MAX_THREADS))


def get_num_threads() -> int:
    """How many threads the kernels use."""
    return _core.get_num_threads()


def isa() -> str:
    """The instruction set in force: "avx512", "avx2", "neon" or "scalar"."""
    return _core.isa()


def available_isas() -> tuple[str, ...]:
    """The instruction sets that this build and machine can run, best first."""
    return _core.available_isas()


def get_include() -> str:
    """The folder of the C header `fastdrop.h`, for the include path of a C or C++ compiler.

    The header declares the functions that the shared library of the core exports. `show_config`
    prints the path of that library.

    Returns
    -------
    str
        Path of a folder inside the package, with `fastdrop.h` and the header that it includes.

    Examples
    --------
    >>> import os
    >>> import fastdrop as fd
    >>> os.path.isfile(os.path.join(fd.get_include(), "fastdrop.h"))
    True
    """
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "include")


def config() -> dict:
    """Version, build and machine, as `show_config` prints them."""
    from fastdrop._core import distribution

    return {
        "fastdrop": distribution.version(),
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "compiler": _core.compiler(),
        "instruction set": isa(),
        "compiled": ", ".join(
            name if here else f"{name} (not on this machine)"
            for name, here in _core.compiled_isas()
        ),
        "OpenMP": "yes" if _core.has_openmp() else "no (one thread)",
        "threads": get_num_threads(),
        "core": _core.binding.__file__,
    }


def show_config() -> None:
    """Print version, compiler, instruction sets and threads.

    A last line warns about another installed distribution that owns a package `fastdrop`.
    """
    from fastdrop._core import distribution

    facts = config()
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
    if others := distribution.others():
        print(f"warning: {distribution.others_text(others)}")


def _from_environment() -> None:
    """FASTDROP_ISA and FASTDROP_NUM_THREADS; wrong values are errors, not ignored."""
    name = os.environ.get("FASTDROP_ISA")
    if name:
        try:
            _core.set_isa(name)
        except ValueError as error:
            raise ImportError(f"FASTDROP_ISA: {error}") from None
    threads = os.environ.get("FASTDROP_NUM_THREADS")
    if threads:
        try:
            set_num_threads(int(threads))
        except ValueError:
            raise ImportError(
                f"FASTDROP_NUM_THREADS must be an integer from 1 to {MAX_THREADS}, got {threads!r}"
            ) from None


def _register_with_threadpoolctl(threadpoolctl) -> None:
    """Make threadpoolctl see and limit fastdrop's pool as it does a BLAS."""

    class FastdropController(threadpoolctl.LibController):
        user_api = "fastdrop"
        internal_api = "fastdrop"
        filename_prefixes = ("binding",)
        check_symbols = ("fd_get_threads",)

        def get_num_threads(self):
            return get_num_threads()

        def set_num_threads(self, num_threads):
            set_num_threads(num_threads)

        def get_version(self):
            return config()["fastdrop"]

        def set_additional_attributes(self):
            self.isa = isa()

    threadpoolctl.register(FastdropController)


class _RegisterOnImport:
    """Registers when threadpoolctl is imported, so that importing fastdrop need not pay for it (20 ms)."""

    def find_spec(self, name, path=None, target=None):
        if name != "threadpoolctl":
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            _register_with_threadpoolctl(module)

        spec.loader.exec_module = exec_module
        return spec


_from_environment()
if "threadpoolctl" in sys.modules:
    _register_with_threadpoolctl(sys.modules["threadpoolctl"])
else:
    sys.meta_path.insert(0, _RegisterOnImport())
