"""fastdrop: neural networks with dropout in the kernels, for CPUs, with masks that anybody can reproduce."""

import importlib
import os
import sys


def _load_core():
    """Load the core, with less spinning in the OpenMP library that it brings along.

    By default libgomp's waiting threads spin for milliseconds. On two cores that two other processes kept busy, a training
    step of an MLP then took 92 ms instead of 3.6; with 30000 rounds 8.7 (with 10000 12.7, with 100000 8.8). On idle cores
    it makes no difference, but for the first step after a pause of 30 ms: 6.9 ms instead of 4.7 (10000: 13, 100000: 9.8).
    The library reads the variable once, when it is loaded; who set it, or OMP_WAIT_POLICY, is left alone.
    """
    ours = "GOMP_SPINCOUNT" not in os.environ and "OMP_WAIT_POLICY" not in os.environ
    if ours:
        os.environ["GOMP_SPINCOUNT"] = "30000"
    try:
        importlib.import_module("fastdrop._core")
    except ImportError as error:
        from fastdrop._distribution import core_import_help

        raise ImportError(
            f"fastdrop's C core could not be loaded ({error}). {core_import_help(error)}"
        ) from error
    finally:
        if ours:
            del os.environ["GOMP_SPINCOUNT"]


def _is_command() -> bool:
    """Whether this import begins `fastdrop ...` or `python -m fastdrop ...`, which import this file before any of their own."""
    if sys.argv[:1] == ["-m"]:  # until the module is found; its name then stands before its arguments
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m") in ("fastdrop", "fastdrop.cli")
    return bool(sys.argv) and os.path.basename(sys.argv[0]) in ("fastdrop", "fastdrop.exe")


try:
    _load_core()
    from fastdrop import arithmetic, kernels, random, runtime  # noqa: F401
except ImportError as error:  # no core, or FASTDROP_ISA and the like
    if not _is_command() or "--debug" in sys.argv:
        raise
    print(f"fastdrop: error: {error}", file=sys.stderr)
    raise SystemExit(2) from None

from fastdrop.random import initial_seed, manual_seed, mask_state  # noqa: E402
from fastdrop.runtime import available_isas, get_num_threads, isa, set_num_threads, show_config  # noqa: E402
from fastdrop.tensor import Parameter, Tensor, enable_grad, is_grad_enabled, no_grad, tensor  # noqa: E402

__version__ = "0.1.0"

# what comes on first use: name -> module that has it
_LAZY_MODULES = ("nn", "optim", "data", "train", "io", "checkpoint", "models", "functional", "bench", "cli", "mc",
                 "schedules", "sklearn")
_LAZY_NAMES = {
    "fit": "train", "evaluate": "evaluation", "predict": "evaluation",
    "diagnose": "diagnosis", "recalibrate_batchnorm": "batchnorm", "plot_masks": "pictures",
    "save": "io", "load": "io", "mc_predict": "mc",
    "calibration": "reliability", "temperature_scaling": "temperature", "tune_rates": "tuning",
    "save_checkpoint": "checkpoint", "load_checkpoint": "checkpoint",
}


def __getattr__(name):
    if name in _LAZY_MODULES:
        return importlib.import_module(f"fastdrop.{name}")
    if name in _LAZY_NAMES:
        value = getattr(importlib.import_module(f"fastdrop.{_LAZY_NAMES[name]}"), name)
    else:
        from fastdrop import functional

        if name not in functional.TOP_LEVEL:
            raise AttributeError(f"module 'fastdrop' has no attribute {name!r}")
        value = getattr(functional, name)
    globals()[name] = value
    return value


def __dir__():
    from importlib.util import find_spec

    from fastdrop import functional

    names = {*globals(), *_LAZY_MODULES, *_LAZY_NAMES, *functional.TOP_LEVEL}
    return sorted(names if find_spec("sklearn") else names - {"sklearn"})  # who lists the names may fetch them all, as help() does
