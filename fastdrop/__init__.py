"""fastdrop: neural networks with dropout in the kernels, for CPUs, with masks that anybody can reproduce."""

import importlib
import os
import sys


def _is_command() -> bool:
    """Whether this import begins `fastdrop ...` or `python -m fastdrop ...`, which import this file before any of their own."""
    if sys.argv[:1] == [
        "-m"
    ]:  # until the module is found; its name then stands before its arguments
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m") in ("fastdrop", "fastdrop.cli")
    return bool(sys.argv) and os.path.basename(sys.argv[0]) in ("fastdrop", "fastdrop.exe")


try:
    from fastdrop import functional, kernels, random, runtime  # noqa: F401
except ImportError as error:  # no core, or FASTDROP_ISA and the like
    if not _is_command() or "--debug" in sys.argv:
        raise
    print(f"fastdrop: error: {error}", file=sys.stderr)
    raise SystemExit(2) from None

from fastdrop.autograd.grad_mode import enable_grad, is_grad_enabled, no_grad
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.tensor import Tensor, tensor
from fastdrop.random import initial_seed, manual_seed, mask_state  # noqa: E402
from fastdrop.runtime import (  # noqa: E402
    available_isas,
    get_include,
    get_num_threads,
    isa,
    set_num_threads,
    show_config,
)

__version__ = "0.1.0"

# what comes on first use: name -> module that has it
_LAZY_MODULES = (
    "bench",
    "cli",
    "data",
    "inspection",
    "io",
    "models",
    "nn",
    "optim",
    "predictor",
    "schedules",
    "sklearn",
    "train",
    "uncertainty",
)
_LAZY_NAMES = {
    "fit": "train.fit",
    "evaluate": "train.evaluate",
    "predict": "predictor.predict",
    "tune_rates": "train.tune",
    "diagnose": "inspection.diagnose",
    "recalibrate_batchnorm": "inspection.recalibrate_batchnorm",
    "plot_masks": "inspection.plot_masks",
    "save": "io.model_file",
    "load": "io.model_file",
    "save_checkpoint": "io.checkpoint",
    "load_checkpoint": "io.checkpoint",
    "mc_predict": "uncertainty.monte_carlo",
    "calibration": "uncertainty.calibration",
    "temperature_scaling": "uncertainty.temperature",
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
    return sorted(
        names if find_spec("sklearn") else names - {"sklearn"}
    )  # who lists the names may fetch them all, as help() does
