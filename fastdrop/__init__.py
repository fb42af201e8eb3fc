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
    "argmax",
    "argmin",
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
    "bf16_isa",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "bmm",
    "broadcast_to",
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
    "diagnose",
    "diff",
    "div",
    "dot",
    "dropout",
    "dstack",
    "einsum",
    "enable_grad",
    "eq",
    "equal",
    "evaluate",
    "exp",
    "exp2",
    "expm1",
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
    "functional",
    "ge",
    "get_conv_algorithm",
    "get_float32_matmul_precision",
    "get_include",
    "get_num_threads",
    "gt",
    "hstack",
    "hypot",
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
    "isinf",
    "isnan",
    "kernels",
    "le",
    "lerp",
    "linalg",
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
    "logsumexp",
    "lt",
    "manual_seed",
    "mask_state",
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
    "mul",
    "mv",
    "nan_to_num",
    "nanmean",
    "nansum",
    "narrow",
    "ne",
    "neg",
    "nn",
    "no_grad",
    "norm",
    "optim",
    "outer",
    "permute",
    "plot_masks",
    "pow",
    "predict",
    "predictor",
    "prod",
    "random",
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
    "schedules",
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
    "tan",
    "tanh",
    "temperature_scaling",
    "tensor",
    "tensor_split",
    "tensordot",
    "tile",
    "train",
    "transpose",
    "trunc",
    "tune_rates",
    "unbind",
    "uncertainty",
    "unflatten",
    "unsqueeze",
    "var",
    "var_mean",
    "vstack",
    "xlogy",
]

# Imported on first use: submodules, and names with the submodule that defines them.
_LAZY_MODULES = (
    "bench",
    "cli",
    "data",
    "inspection",
    "io",
    "linalg",
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
    "special": "digamma erf erfc erfinv i0 lgamma mvlgamma polygamma sinc",
    "float_parts": (
        "clamp_max clamp_min copysign deg2rad float_power fmax fmin frexp heaviside ldexp "
        "logaddexp logaddexp2 nextafter positive rad2deg sgn signbit true_divide"
    ),
    "comparison": "isneginf isposinf isreal",
    "bits": "bitwise_left_shift bitwise_right_shift gcd lcm",
    "cumulative": "cummax cummin logcumsumexp trapezoid trapz",
    "counting": "bincount bucketize isin searchsorted unique unique_consecutive",
    "diagonals": "diag diag_embed diagflat diagonal trace tril triu",
    "index_writing": (
        "diagonal_scatter index_copy index_fill index_put masked_scatter put select_scatter "
        "slice_scatter"
    ),
    "index_reduction": "index_reduce scatter_reduce",
    "linear_algebra": "det inverse logdet pinverse slogdet",
    "decompositions": "cholesky_inverse cholesky_solve",
    "matrix_products": "addbmm addr dist ger kron matrix_exp matrix_power renorm vdot",
    "quantiles": "aminmax corrcoef cov histc histogram mode nanmedian nanquantile quantile",
    "parts": "dsplit hsplit vsplit",
    "joining": "block_diag broadcast_shapes broadcast_tensors column_stack combinations",
    "distance": "cdist",
    "index_grids": "tril_indices triu_indices vander",
    "second_names": (
        "absolute arccos arccosh arcsin arcsinh arctan arctan2 arctanh clone concat "
        "concatenate detach divide fix get_default_dtype greater greater_equal is_complex "
        "is_floating_point is_tensor less less_equal multiply negative not_equal numel "
        "set_default_dtype subtract"
    ),
}
for _module, _names in _TENSOR_FUNCTIONS.items():
    _LAZY_NAMES.update(dict.fromkeys(_names.split(), f"functional.{_module}"))
    __all__ += _names.split()


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
