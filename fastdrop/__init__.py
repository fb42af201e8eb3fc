"""fastdrop: neural networks for CPUs, with the dropout family inside the compute kernels.

Dropout masks are reproducible on any machine and with any number of threads. Only the tensors and
their functions are imported at once; all other names are imported on first use.
"""

import importlib
import os
import sys


def _is_command() -> bool:
    """Whether this process is the command line: `fastdrop ...` or `python -m fastdrop ...`.

    Both import this file before any other file of the package.
    """
    # While Python looks for the module of -m, argv[0] is "-m", and orig_argv has the module's
    # name just before the module's own arguments.
    if sys.argv[:1] == ["-m"]:
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m") in ("fastdrop", "fastdrop.cli")
    return bool(sys.argv) and os.path.basename(sys.argv[0]) in ("fastdrop", "fastdrop.exe")


try:
    from fastdrop import functional, kernels, random, runtime
except ImportError as error:  # the core is missing, or an environment variable is wrong
    if not _is_command() or "--debug" in sys.argv:
        raise
    print(f"fastdrop: error: {error}", file=sys.stderr)
    raise SystemExit(2) from None

from fastdrop._utils.lazy_import import importing as _importing  # noqa: E402
from fastdrop.autograd.dtypes import device  # noqa: E402
from fastdrop.autograd.grad_mode import (  # noqa: E402
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from fastdrop.autograd.integer_tensor import IntegerTensor, tensor  # noqa: E402
from fastdrop.autograd.parameter import Parameter  # noqa: E402
from fastdrop.autograd.tensor import Tensor  # noqa: E402
from fastdrop.random import initial_seed, manual_seed, mask_state  # noqa: E402
from fastdrop.runtime import (  # noqa: E402
    available_isas,
    bf16_isa,
    float32_matmul_precision,
    get_conv_algorithm,
    get_float32_matmul_precision,
    get_include,
    get_num_threads,
    isa,
    set_conv_algorithm,
    set_float32_matmul_precision,
    set_num_threads,
    show_config,
)

__version__ = "0.1.0"

# All public names, also those that are imported on first use, except `sklearn`:
# `from fastdrop import *` works without scikit-learn.
__all__ = [
    "IntegerTensor",
    "Parameter",
    "Tensor",
    "abs",
    "acos",
    "acosh",
    "add",
    "addcdiv",
    "addcmul",
    "addmm",
    "addmv",
    "all",
    "allclose",
    "amax",
    "amin",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "argwhere",
    "as_tensor",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "autograd",
    "available_isas",
    "baddbmm",
    "bench",
    "bernoulli",
    "bf16_isa",
    "bincount",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "bmm",
    "broadcast_to",
    "bucketize",
    "calibration",
    "cartesian_prod",
    "cat",
    "ceil",
    "chunk",
    "clamp",
    "cli",
    "clip",
    "conformal",
    "cos",
    "cosh",
    "count_nonzero",
    "cross",
    "cumprod",
    "cumsum",
    "data",
    "device",
    "diag",
    "diagnose",
    "diagonal",
    "diff",
    "div",
    "dot",
    "dropout",
    "dstack",
    "einsum",
    "empty",
    "empty_like",
    "enable_grad",
    "eq",
    "equal",
    "erf",
    "evaluate",
    "exp",
    "exp2",
    "expm1",
    "eye",
    "fit",
    "flatten",
    "flip",
    "fliplr",
    "flipud",
    "float32_matmul_precision",
    "floor",
    "floor_divide",
    "fmod",
    "frac",
    "from_numpy",
    "full",
    "full_like",
    "functional",
    "gather",
    "ge",
    "get_conv_algorithm",
    "get_float32_matmul_precision",
    "get_include",
    "get_num_threads",
    "gt",
    "hstack",
    "hypot",
    "index_add",
    "index_select",
    "inference_mode",
    "initial_seed",
    "inner",
    "inspection",
    "io",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "isa",
    "isclose",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "kernels",
    "kthvalue",
    "le",
    "lerp",
    "linspace",
    "load",
    "load_checkpoint",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logit",
    "logspace",
    "logsumexp",
    "lt",
    "manual_seed",
    "mask_state",
    "masked_fill",
    "masked_select",
    "matmul",
    "max",
    "maximum",
    "mc_predict",
    "mean",
    "median",
    "meshgrid",
    "min",
    "minimum",
    "mm",
    "models",
    "moveaxis",
    "movedim",
    "msort",
    "mul",
    "multinomial",
    "mv",
    "nan_to_num",
    "nanmean",
    "nansum",
    "narrow",
    "ne",
    "neg",
    "nn",
    "no_grad",
    "nonzero",
    "norm",
    "normal",
    "ones",
    "ones_like",
    "optim",
    "outer",
    "permute",
    "plot_masks",
    "pow",
    "predict",
    "predictor",
    "prod",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "random",
    "randperm",
    "ravel",
    "recalibrate_batchnorm",
    "reciprocal",
    "record",
    "relu",
    "remainder",
    "repeat_interleave",
    "reshape",
    "roll",
    "rot90",
    "round",
    "rsqrt",
    "runtime",
    "save",
    "save_checkpoint",
    "scatter",
    "scatter_add",
    "schedules",
    "searchsorted",
    "select",
    "selu",
    "set_conv_algorithm",
    "set_float32_matmul_precision",
    "set_grad_enabled",
    "set_num_threads",
    "show_config",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "softmax",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "std_mean",
    "sub",
    "sum",
    "swapaxes",
    "swapdims",
    "t",
    "take",
    "take_along_dim",
    "tan",
    "tanh",
    "temperature_scaling",
    "tensor",
    "tensor_split",
    "tensordot",
    "tile",
    "topk",
    "trace",
    "train",
    "transpose",
    "tril",
    "triu",
    "trunc",
    "tune_rates",
    "unbind",
    "uncertainty",
    "unflatten",
    "unique",
    "unsqueeze",
    "var",
    "var_mean",
    "vstack",
    "where",
    "xlogy",
    "zeros",
    "zeros_like",
]

# Imported on first use: submodules, and names with the submodule that defines them.
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
    "record": "train.record",
    "predict": "predictor.predict",
    "tune_rates": "train.tune",
    "diagnose": "inspection.diagnose",
    "recalibrate_batchnorm": "inspection.recalibrate_batchnorm",
    "plot_masks": "inspection.plot_masks",
    "save": "io.model_file",
    "load": "predictor.load",
    "save_checkpoint": "io.checkpoint",
    "load_checkpoint": "io.checkpoint",
    "mc_predict": "uncertainty.monte_carlo",
    "calibration": "uncertainty.calibration",
    "conformal": "uncertainty.conformal",
    "temperature_scaling": "uncertainty.temperature",
}
# Functions of tensors that torch.nn.functional does not have, by their module.
_TENSOR_FUNCTIONS = {
    "factories": (
        "arange empty empty_like eye full full_like linspace logspace ones ones_like zeros "
        "zeros_like"
    ),
    "from_arrays": "as_tensor from_numpy",
    "random_factories": (
        "bernoulli multinomial normal rand rand_like randint randint_like randn randn_like randperm"
    ),
    "selection": "gather index_add index_select scatter scatter_add take take_along_dim",
    "masks": "argwhere masked_fill masked_select nonzero where",
    "ordering": "argsort kthvalue msort sort topk",
    "counting": "bincount bucketize isin searchsorted unique",
    "diagonals": "diag diagonal trace tril triu",
}
for _module, _names in _TENSOR_FUNCTIONS.items():
    _LAZY_NAMES.update(dict.fromkeys(_names.split(), f"functional.{_module}"))


# Names of dtypes. Some are names of Python's types, so that no import of all names gets them.
_DTYPES = (
    *("bool", "double", "float", "float16", "float32", "float64", "half", "int", "int16", "int32"),
    *("int64", "int8", "long", "short", "uint8"),
)


def __getattr__(name: str) -> object:
    if name in _LAZY_MODULES:
        with _importing:
            return importlib.import_module(f"fastdrop.{name}")
    if name in _DTYPES:
        from fastdrop.autograd import dtypes

        return getattr(dtypes, name)
    if name in _LAZY_NAMES:
        with _importing:
            value = getattr(importlib.import_module(f"fastdrop.{_LAZY_NAMES[name]}"), name)
    else:
        from fastdrop import functional

        if name not in functional.TOP_LEVEL:
            raise AttributeError(f"module 'fastdrop' has no attribute {name!r}")
        value = getattr(functional, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from importlib.util import find_spec

    from fastdrop import functional

    names = {*globals(), *_LAZY_MODULES, *_LAZY_NAMES, *_DTYPES, *functional.TOP_LEVEL}
    # help() imports every name that is listed, and fastdrop.sklearn needs scikit-learn.
    return sorted(names if find_spec("sklearn") else names - {"sklearn"})
