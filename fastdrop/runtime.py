"""Threads, instruction set, precision of products, algorithm of convolutions, the installation.

The environment variables FASTDROP_NUM_THREADS and FASTDROP_ISA set the first two when fastdrop
is imported.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import _core
from fastdrop._utils import validation as check
from fastdrop._utils.decorator import BlockDecorator
from fastdrop._utils.settings import CONV_ALGORITHMS, settings

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = [
    "available_isas",
    "bf16_isa",
    "config",
    "float32_matmul_precision",
    "get_conv_algorithm",
    "get_float32_matmul_precision",
    "get_include",
    "get_num_threads",
    "isa",
    "set_conv_algorithm",
    "set_float32_matmul_precision",
    "set_num_threads",
    "show_config",
]

MAX_THREADS = 1024
PRECISIONS = ("highest", "high", "medium")


def set_num_threads(n: int) -> None:
    """Set the number of threads of all kernels.

    Results do not depend on it. A build without OpenMP always uses one thread.

    Parameters
    ----------
    n : int in [1, 1024]
        Number of threads.

    Raises
    ------
    TypeError, ValueError
        `n` is no integer or is out of range.

    Examples
    --------
    >>> import fastdrop as fd
    >>> before = fd.get_num_threads()
    >>> fd.set_num_threads(1)
    >>> fd.get_num_threads()
    1
    >>> fd.set_num_threads(before)
    """
    _core.set_num_threads(check.integer(n, "n", 1, MAX_THREADS))


def get_num_threads() -> int:
    """The number of threads that the kernels use.

    Returns
    -------
    int

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.get_num_threads() >= 1
    True
    """
    return _core.get_num_threads()


def set_conv_algorithm(name: str) -> None:
    """Choose the algorithm of all convolutions that are called from now on.

    Winograd's F(4x4, 3x3) computes 2-d convolutions with kernel 3, stride 1, dilation 1, one group
    and padding 0 to 2 with a quarter of the multiplications. Its errors are about 5 times those of
    the direct algorithm, and an infinity or NaN reaches all outputs of its tile of 4 x 4.

    Parameters
    ----------
    name : {"auto", "direct", "winograd"}
        "auto", the default: Winograd where it is faster for the channels and size of the map. The
        choice does not depend on the batch or the threads, and so neither does a result.
        "direct": never. "winograd": wherever it is possible.

    Raises
    ------
    TypeError, ValueError
        `name` is no string or none of these.

    Notes
    -----
    A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", 2016.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.set_conv_algorithm("direct")
    >>> fd.get_conv_algorithm()
    'direct'
    >>> fd.set_conv_algorithm("auto")
    """
    settings.conv_algorithm = check.choice(name, "name", CONV_ALGORITHMS)


def get_conv_algorithm() -> str:
    """The algorithm that `set_conv_algorithm` chose.

    Returns
    -------
    str
        "auto", "direct" or "winograd".

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.get_conv_algorithm()
    'auto'
    """
    return settings.conv_algorithm


def set_float32_matmul_precision(precision: str) -> None:
    r"""Choose how products of float32 matrices are computed, in the whole process.

    "highest", the default, and "high": in float32. "medium": both operands are rounded to bf16 (8
    significant bits) as the product reads them, and the sums are float32,

    .. math:: c_{ij} = \sum_k \mathrm{bf16}(a_{ik})\, \mathrm{bf16}(b_{kj}), \qquad
        |\mathrm{error}_{ij}| \le 2.01 \cdot 2^{-8} \sum_k |a_{ik}| |b_{kj}|,

    where the processor has instructions for it (`bf16_isa`); elsewhere in float32. It holds for
    dense layers and their gradients, `matmul` of two matrices, `linear_cross_entropy` and
    DropConnect with one mask a pass. Weights, gradients, the optimiser's state, masks and
    elementwise functions stay float32, and so do convolutions, recurrent layers, attention's scores
    and sums, DropConnect with a mask a sample, and thinned networks.

    Parameters
    ----------
    precision : {"highest", "high", "medium"}
        The precision of all threads outside of a `float32_matmul_precision` block.

    Raises
    ------
    TypeError, ValueError
        `precision` is no string or none of these.

    See Also
    --------
    float32_matmul_precision : The same for a block of one thread.

    Notes
    -----
    Results depend on the instruction set, but neither on the threads nor on the other rows of a
    batch. Unlike float32, sums and rounded operands below 2^-126 count as zero, and operands above
    3.39e38 are infinite.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.set_float32_matmul_precision("medium")
    >>> fd.get_float32_matmul_precision()
    'medium'
    >>> fd.set_float32_matmul_precision("highest")
    """
    _core.modes.matmul_precision = check.choice(precision, "precision", PRECISIONS)


def get_float32_matmul_precision() -> str:
    """The precision of products that the calling thread or asyncio task starts.

    Returns
    -------
    str
        "highest", "high" or "medium": that of the innermost `float32_matmul_precision` block, else
        what `set_float32_matmul_precision` chose.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.get_float32_matmul_precision()
    'highest'
    """
    return _core.modes.matmul_precision


class float32_matmul_precision(_core.Scope, BlockDecorator):  # noqa: N801 (as no_grad)
    """Context manager and decorator: the precision of products that are called inside.

    It belongs to the calling thread or asyncio task, and comes before
    `set_float32_matmul_precision`. The gradients of a layer have the precision of its call, also
    where ``backward`` is called outside of the block.

    Parameters
    ----------
    precision : {"highest", "high", "medium"}
        As in `set_float32_matmul_precision`.

    Raises
    ------
    TypeError, ValueError
        `precision` is no string or none of these.

    Examples
    --------
    >>> import fastdrop as fd
    >>> with fd.float32_matmul_precision("medium"):
    ...     fd.get_float32_matmul_precision()
    'medium'
    >>> fd.get_float32_matmul_precision()
    'highest'
    """

    def __init__(self, precision: str) -> None:
        super().__init__({"matmul_precision": check.choice(precision, "precision", PRECISIONS)})


def bf16_isa() -> str | None:
    """The instructions that compute products in bf16 (`set_float32_matmul_precision`).

    Returns
    -------
    str or None
        "amx_bf16" or "avx512_bf16", which belong to the instruction set "avx512", or "emulated",
        which belongs to "scalar" and is for tests: the same numbers, slowly. None: these products
        are computed in float32.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.bf16_isa() in ("amx_bf16", "avx512_bf16", "emulated", None)
    True
    """
    return _core.bf16_isa()


def isa() -> str:
    """The instruction set that the kernels use.

    Returns
    -------
    str
        "avx512", "avx2", "neon" or "scalar".

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.isa() in fd.available_isas()
    True
    """
    return _core.isa()


def available_isas() -> tuple[str, ...]:
    """The instruction sets that are compiled in and that this machine can run, best first.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.available_isas()[-1]
    'scalar'
    """
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


def config() -> dict[str, Any]:
    """The version, the build and the machine, as `show_config` prints them.

    Returns
    -------
    dict of str to str or int
    """
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
        "bf16 products": bf16_isa() or "none (float32)",
        "OpenMP": "yes" if _core.has_openmp() else "no (one thread)",
        "threads": get_num_threads(),
        "core": _core.binding.__file__,
    }


def show_config() -> None:
    """Print the version, the compiler, the instruction sets and the number of threads.

    A last line warns about another installed distribution that owns a package `fastdrop`.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.show_config()
    fastdrop         ...
    python           ...
    """
    from fastdrop._core import distribution

    facts = config()
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
    if others := distribution.others():
        print(f"warning: {distribution.others_text(others)}")


def _from_environment() -> None:
    """Apply FASTDROP_ISA and FASTDROP_NUM_THREADS. ImportError for a wrong value."""
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


def _register_with_threadpoolctl(threadpoolctl: ModuleType) -> None:
    """Register fastdrop's threads, so that threadpoolctl reports and limits them as a BLAS's."""

    class FastdropController(threadpoolctl.LibController):  # type: ignore[name-defined]
        user_api = "fastdrop"
        internal_api = "fastdrop"
        filename_prefixes = ("binding",)
        check_symbols = ("fd_get_threads",)

        def get_num_threads(self) -> int:
            return get_num_threads()

        def set_num_threads(self, num_threads: int) -> None:
            set_num_threads(num_threads)

        def get_version(self) -> Any:
            return config()["fastdrop"]

        def set_additional_attributes(self) -> None:
            self.isa = isa()

    threadpoolctl.register(FastdropController)


class _RegisterOnImport:
    """An import hook that registers with threadpoolctl when that is imported.

    Importing fastdrop then need not import threadpoolctl, which takes 20 ms.
    """

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "threadpoolctl":
            return None
        sys.meta_path.remove(self)  # first, because find_spec below would come back here
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            _register_with_threadpoolctl(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


_from_environment()
if "threadpoolctl" in sys.modules:
    _register_with_threadpoolctl(sys.modules["threadpoolctl"])
else:
    sys.meta_path.insert(0, _RegisterOnImport())
