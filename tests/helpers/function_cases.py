"""Calls of every function of tensors that fastdrop and PyTorch have under one name."""

import numpy as np

from helpers.function_calls import (
    Call,
    Of,
    axes,
    distinct,
    each,
    pairs,
    reductions,
    spd,
    upright,
    vectors,
)

NAN = Of(array=np.array([[1.0, np.nan, -2.0], [np.inf, 0.5, -np.inf]], np.float32))
ONE = Of(array=np.array([0.5, np.nan, 2.0, 1.0], np.float32))
INTEGERS = Of(3, 4, low=-9, high=9, kind="i")
MASK = Of(3, 4, kind="b")
SORTED = [Call(distinct(*shape), *more) for shape in [(5,), (3, 4)] for more in [(), (0,)]]
PLACES = Of(array=np.array([2, 0, 2]))
GRID = Of(array=np.array([[2, 0, 1], [0, 0, 2]]))
STEPS = [*each(-9, 9), *each(-9, 9, kinds="i")]

UNARY = {
    **dict.fromkeys(
        [
            "abs",
            "absolute",
            "atan",
            "arctan",
            "asinh",
            "arcsinh",
            "cos",
            "cosh",
            "deg2rad",
            "erf",
            "erfc",
            "exp",
            "exp2",
            "expm1",
            "i0",
            "neg",
            "negative",
            "rad2deg",
            "sigmoid",
            "sin",
            "sinc",
            "sinh",
            "square",
            "tan",
            "tanh",
            "relu",
        ],
        each(kinds="f"),
    ),
    **dict.fromkeys(
        ["acos", "arccos", "asin", "arcsin", "atanh", "arctanh", "erfinv"], each(-0.9, 0.9)
    ),
    **dict.fromkeys(
        ["log", "log10", "log1p", "log2", "sqrt", "rsqrt", "lgamma", "digamma", "reciprocal"],
        each(0.1, 4),
    ),
    **dict.fromkeys(["acosh", "arccosh"], each(1.1, 4)),
    **dict.fromkeys(
        ["ceil", "floor", "frac", "trunc", "fix", "round", "sign", "sgn", "positive"], each(-9, 9)
    ),
    **{
        name: [*each(kinds="fi"), Call(NAN)]
        for name in ["isfinite", "isinf", "isnan", "isneginf", "isposinf", "isreal", "signbit"]
    },
}
# Those that take integers give float32 or integers, as in PyTorch.
for _name in ["atan", "cos", "exp", "erf", "sqrt", "log", "sin", "tanh", "sigmoid"]:
    UNARY[_name] = [*UNARY[_name], *each(1, 4, kinds="i")]
for _name in ["abs", "neg", "ceil", "floor", "trunc", "round", "sign", "sgn", "square", "positive"]:
    UNARY[_name] = [*UNARY[_name], *each(-9, 9, kinds="i")]

BINARY = {
    **dict.fromkeys(
        [
            "add",
            "sub",
            "subtract",
            "mul",
            "multiply",
            "maximum",
            "minimum",
            "fmax",
            "fmin",
            "ldexp",
        ],
        pairs(kinds="fi"),
    ),
    **dict.fromkeys(["div", "divide", "true_divide"], pairs(1, 4, kinds="fi")),
    **dict.fromkeys(
        [
            "atan2",
            "arctan2",
            "hypot",
            "logaddexp",
            "logaddexp2",
            "copysign",
            "nextafter",
            "heaviside",
        ],
        pairs(),
    ),
    **dict.fromkeys(["pow", "float_power", "xlogy"], pairs(0.5, 3)),
    **dict.fromkeys(["remainder", "fmod", "floor_divide"], pairs(-9, 9, "fi", second=(1, 5))),
    **dict.fromkeys(
        [
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "greater",
            "greater_equal",
            "less",
            "less_equal",
            "not_equal",
            "logical_and",
            "logical_or",
            "logical_xor",
        ],
        pairs(kinds="fi"),
    ),
    **dict.fromkeys(
        ["bitwise_and", "bitwise_or", "bitwise_xor", "gcd", "lcm"], pairs(-9, 9, kinds="i")[:-1]
    ),
    **dict.fromkeys(["bitwise_left_shift", "bitwise_right_shift"], pairs(0, 9, "i")[:-1]),
}

for _name in ["eq", "ne", "lt", "le", "gt", "ge"]:
    BINARY[_name] = [*BINARY[_name], Call(INTEGERS, 2), Call(Of(3), 0.5)]

CASES = {
    **UNARY,
    **BINARY,
    "addbmm": [vectors((3, 4), (5, 3, 2), (5, 2, 4), beta=0.5, alpha=2)],
    "addcdiv": [Call(Of(2, 3), Of(3), Of(2, 1, low=1, high=2), value=0.5), vectors((), (), ())],
    "addcmul": [vectors((2, 3), (3,), (2, 1), value=0.5), vectors((0, 3), (3,), (1,))],
    "addmm": [vectors((4,), (3, 2), (2, 4), beta=0.5, alpha=2), vectors((3, 4), (3, 0), (0, 4))],
    "addmv": [vectors((3,), (3, 2), (2,), beta=0.5, alpha=2), vectors((), (3, 2), (2,))],
    "addr": [vectors((3, 4), (3,), (4,), beta=0.5, alpha=2), vectors((4,), (3,), (4,))],
    "all": reductions(kinds="fib"),
    "allclose": [Call(NAN, NAN, equal_nan=True), vectors((3,), (3,)), Call(Of(2), Of(2), 9.0)],
    "amax": reductions((0, 1)),
    "amin": reductions((0, 1)),
    "aminmax": [Call(Of(3, 4)), Call(INTEGERS), *axes(0, -1, keepdim=True)],
    "any": reductions(kinds="fib"),
    "argmax": [Call(distinct(3, 4)), Call(distinct(3, 4), 1), Call(distinct(3, 4), 0, True)],
    "argmin": [Call(distinct(3, 4)), Call(distinct(3, 4), 1), Call(distinct(3, 4), 0, True)],
    "argsort": [*SORTED, Call(distinct(2, 3, 4), 1, True), Call(Of())],
    "argwhere": [Call(MASK), Call(INTEGERS), Call(Of())],
    "atleast_1d": each(kinds="fi"),
    "atleast_2d": each(kinds="fi"),
    "atleast_3d": each(kinds="fi"),
    "baddbmm": [vectors((5, 3, 4), (5, 3, 2), (5, 2, 4), beta=0.5, alpha=2)],
    "bincount": [
        Call(Of(9, low=0, high=5, kind="i")),
        Call(Of(9, low=0, high=5, kind="i"), minlength=8),
        Call(Of(array=np.zeros(0, np.int64))),
    ],
    "bitwise_not": [Call(INTEGERS), Call(MASK), Call(Of(kind="i"))],
    "block_diag": [vectors((2, 3), (1, 2)), vectors((), (3,), (0, 2))],
    "bmm": [vectors((5, 2, 3), (5, 3, 4)), vectors((0, 2, 3), (0, 3, 4))],
    "broadcast_shapes": [Call((2, 1), (3,)), Call((), (4, 1, 2))],
    "broadcast_tensors": [vectors((2, 1), (3,)), vectors((), (2, 2))],
    "broadcast_to": [Call(Of(3), (2, 3)), Call(Of(), (2,)), Call(Of(2, 1), (4, -1, 3))],
    "bucketize": [Call(Of(3, 4), Of(array=np.array([-1.0, 0.0, 1.0], np.float32)), right=True)],
    "cartesian_prod": [vectors((2,), (3,)), vectors((3,)), vectors((2,), (2,), (2,), kind="i")],
    "cat": [Call([Of(2, 3), Of(1, 3)]), Call([Of(2, 3, kind="i"), Of(2, 3)], 1)],
    "cdist": [
        Call(Of(3, 2), Of(4, 2)),
        *(Call(Of(2, 3, 2), Of(4, 2), p) for p in (1.0, 3.0, float("inf"), 0.0)),
    ],
    "chunk": [Call(Of(5), 2), Call(Of(3, 4), 3, 1), Call(INTEGERS, 2)],
    "clamp": [*each(-2, 2, -0.5, 0.5), *each(-2, 2, None, 1.0), Call(INTEGERS, -2, 3)]
    + [vectors((3, 4), (4,), (3, 1)), Call(Of(3), None, Of(2, 1))],
    "clamp_max": [*each(-2, 2, 0.5), vectors((3, 4), (4,)), Call(INTEGERS, 3)],
    "clamp_min": [*each(-2, 2, 0.5), vectors((3, 4), (4,)), Call(INTEGERS, 3)],
    "clip": each(-2, 2, -0.5, 0.5),
    "clone": each(kinds="fib"),
    "column_stack": [Call([Of(3), Of(3, 2)]), Call([Of(), Of()])],
    "combinations": [Call(Of(4)), Call(Of(4), 3, True), Call(Of(3, kind="i"), 2)],
    "concat": [Call([Of(2, 3), Of(1, 3)])],
    "concatenate": [Call([Of(2, 3), Of(2, 1)], 1)],
    "corrcoef": [Call(Of(3, 6)), Call(Of(6))],
    "count_nonzero": [*each(kinds="ib"), Call(INTEGERS, 0), Call(Of(2, 3, 4), (0, 2))],
    "cov": [
        *(Call(Of(*shape)) for shape in [(3, 6), (6,)]),
        Call(Of(3, 6), correction=0),
        Call(Of(2, 4), fweights=Of(array=np.array([1, 2, 1, 3]))),
        Call(Of(2, 4), aweights=Of(4, low=0.5, high=2)),
    ],
    "cross": [Call(Of(4, 3), Of(4, 3), dim=1), Call(Of(3, 4), Of(3, 1), dim=0)],
    "cummax": [*SORTED[1::2], Call(NAN, 1), Call(Of(), 0), Call(INTEGERS, 1)],
    "cummin": [*SORTED[1::2], Call(NAN, 1), Call(Of(), 0), Call(INTEGERS, 1)],
    "cumprod": [*axes(0, -1, kinds="fi"), Call(Of(), 0), Call(Of(0, 3), 0)]
    + [Call(Of(array=np.array([[2, 0, 3, 0], [0, 1, 2, 3]], np.float32)), dim) for dim in (0, 1)],
    "cumsum": [*axes(0, -1, kinds="fib"), Call(Of(), 0), Call(Of(0, 3), 0)],
    "det": [Call(upright(3, 3)), Call(Of(2, 4, 4))],
    "diag": [Call(Of(3)), Call(Of(3), -1), Call(Of(3, 4), 1), Call(INTEGERS)],
    "diag_embed": [Call(Of(3)), Call(Of(2, 3), 1), Call(Of(2, 3), -1, 0, 2), Call(Of(3, kind="i"))],
    "diagflat": [Call(Of(2, 2)), Call(Of(3), -1), Call(Of())],
    "diagonal": [Call(Of(3, 4)), Call(Of(2, 3, 4), 1, 2, 0), Call(INTEGERS, -1)],
    "diagonal_scatter": [Call(Of(3, 4), Of(3)), Call(Of(2, 3, 4), Of(3, 1), 1, 2, 0)],
    "diff": [*axes(0, -1), Call(Of(5), 2), Call(INTEGERS), Call(MASK)],
    "dist": [vectors((2, 3), (3,)), Call(Of(3), Of(3), 1), Call(Of(3), Of(3), float("inf"))],
    "dot": [vectors((3,), (3,)), vectors((0,), (0,)), vectors((3,), (3,), kind="i")],
    "dsplit": [Call(Of(2, 3, 4), 2), Call(Of(2, 3, 4), [1, 3])],
    "dstack": [Call([Of(2, 3), Of(2, 3)]), Call([Of(3), Of(3)])],
    "equal": [Call(INTEGERS, INTEGERS), vectors((3,), (3,)), vectors((3,), (2, 3))],
    "flatten": [*each(kinds="fi"), Call(Of(2, 3, 4), 1), Call(Of(2, 3, 4), 0, 1)],
    "flip": [Call(Of(2, 3), (0,)), Call(Of(2, 3, 4, turned=True), (0, 2)), Call(INTEGERS, (1,))],
    "fliplr": [Call(Of(2, 3)), Call(INTEGERS)],
    "flipud": [Call(Of(2, 3)), Call(Of(3))],
    "frexp": each(),
    "full_like": [Call(Of(2, 3), 2.5), Call(INTEGERS, 3)],
    "gather": [Call(Of(3, 4), 0, GRID), Call(Of(2, 3, turned=True), 1, GRID)],
    "ger": [vectors((2,), (3,))],
    "histc": [Call(Of(3, 4), 5), Call(Of(9), 4, -1, 1), Call(Of(9), bins=3, min=0, max=1)],
    "histogram": [
        Call(Of(9), 4, range=(-1.0, 1.0)),
        Call(Of(9), 4, density=True),
        Call(Of(9), Of(array=np.array([-1, 0, 2], np.float32)), weight=Of(9, low=0.1)),
    ],
    "hsplit": [Call(Of(4), 2), Call(Of(2, 4), [1, 3])],
    "hstack": [Call([Of(2, 3), Of(2, 1)]), Call([Of(3), Of(2)]), Call([Of(), Of()])],
    "index_add": [
        Call(Of(4, 2), 0, PLACES, Of(3, 2), alpha=0.5),
        Call(Of(2, 4), 1, PLACES, Of(2, 3)),
    ],
    "index_copy": [Call(Of(4, 2), 0, Of(array=np.array([2, 0, 3])), Of(3, 2))],
    "index_fill": [
        Call(Of(4, 2), 0, PLACES, 1.5),
        Call(Of(2, 4), 1, PLACES, Of()),
        Call(INTEGERS, 1, PLACES, 7),
    ],
    "index_put": [
        Call(Of(4, 2), (PLACES,), Of(3, 2), accumulate=True),
        Call(Of(4, 2), (Of(array=np.array([0, 3])), Of(array=np.array([1, 0]))), Of(2)),
        Call(Of(3, 4), (MASK,), Of()),
    ],
    "index_reduce": [
        Call(Of(4, 2), 0, PLACES, Of(3, 2), reduce, include_self=own)
        for reduce in ("prod", "mean", "amax", "amin")
        for own in (True, False)
    ],
    "index_select": [Call(Of(3, 4), 0, PLACES), Call(Of(2, 3, turned=True), 1, PLACES)],
    "inner": [vectors((2, 3), (4, 3)), vectors((), (3,)), vectors((3,), (3,), kind="i")],
    "inverse": [Call(upright(3, 3)), Call(upright(2, 3, 3))],
    "isclose": [Call(NAN, NAN, equal_nan=True), vectors((2, 3), (3,)), Call(INTEGERS, INTEGERS)],
    "isin": [Call(INTEGERS, Of(4, low=-9, high=9, kind="i")), Call(INTEGERS, PLACES, invert=True)],
    "kron": [vectors((2, 3), (3, 2)), vectors((2,), (2, 2)), vectors((), (3,))],
    "kthvalue": [Call(distinct(5), 2), Call(distinct(3, 4), 1, 0, True)],
    "lerp": [Call(Of(2, 3), Of(3), 0.3), vectors((2, 3), (3,), (2, 1)), vectors((), (), ())],
    "log_softmax": axes(0, -1),
    "logcumsumexp": [*axes(0, -1), Call(Of(3, 4, low=-90, high=90), 1), Call(Of(), 0)],
    "logdet": [Call(spd(3, 3)), Call(spd(2, 2, 2))],
    "logical_not": [Call(MASK), Call(INTEGERS), Call(Of(3))],
    "logit": [*each(0.05, 0.95), *each(-1, 2, 0.2)],
    "logsumexp": [*axes(0, -1), *axes(0, keepdim=True), Call(Of(), 0), Call(Of(2, 3), (0, 1))],
    "masked_fill": [
        Call(Of(3, 4), MASK, 2.5),
        Call(Of(2, 3, 4), MASK, Of()),
        Call(INTEGERS, MASK, 7),
    ],
    "masked_scatter": [Call(Of(3, 4), MASK, Of(12)), Call(Of(2, 3, 4), MASK, Of(24))],
    "masked_select": [Call(Of(3, 4), MASK), Call(INTEGERS, MASK)],
    "matmul": [
        *(vectors(*shapes) for shapes in [((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 2))]),
        *(vectors(*shapes) for shapes in [((2, 3), (3,)), ((5, 2, 3), (3, 4)), ((2, 0), (0, 3))]),
    ],
    "matrix_exp": [Call(Of(3, 3)), Call(Of(2, 3, 3, low=-0.1, high=0.1))],
    "matrix_power": [Call(upright(3, 3), n) for n in (0, 1, 2, 5, -2)],
    "max": reductions(),
    "mean": reductions((0, 1), kinds="f"),
    "median": [Call(Of(3, 4)), *SORTED[1::2], Call(distinct(3, 4), 1, True), Call(Of())],
    "meshgrid": [vectors((2,), (3,), indexing="ij"), vectors((2,), (3,), indexing="xy")],
    "min": reductions(),
    "mm": [vectors((2, 3), (3, 4)), vectors((0, 3), (3, 4)), vectors((2, 3), (3, 2), kind="i")],
    "mode": [
        Call(Of(array=np.array([[3, 1, 1, 3, 2], [5, 5, 4, 4, 4]], np.float32))),
        Call(INTEGERS, 0, True),
    ],
    "movedim": [Call(Of(2, 3, 4), 0, 2), Call(Of(2, 3, 4), (0, 1), (-1, 0))],
    "moveaxis": [Call(Of(2, 3, 4), -1, 0)],
    "msort": [Call(distinct(5)), Call(distinct(3, 4))],
    "mv": [vectors((2, 3), (3,)), vectors((2, 3), (3,), kind="i")],
    "mvlgamma": each(3, 5, 2),
    "nan_to_num": [Call(NAN), Call(NAN, 2.0, 3.0, 4.0), Call(Of(3)), Call(INTEGERS)],
    "nanmean": [Call(ONE), Call(NAN, 1), Call(NAN, 0, True), Call(Of())],
    "nanmedian": [Call(ONE), Call(ONE, 0), Call(distinct(3, 4), 1, True), Call(Of())],
    "nanquantile": [Call(ONE, 0.3), Call(ONE, Of(array=np.array([0.1, 0.8], np.float32)).array, 0)],
    "nansum": [Call(ONE), Call(NAN, 1), Call(NAN, 0, True), Call(INTEGERS)],
    "narrow": [Call(Of(5), 0, 1, 3), Call(Of(3, 4, turned=True), 1, 0, 2)],
    "nonzero": [Call(MASK), Call(Of()), Call(INTEGERS, as_tuple=True)],
    "norm": [
        Call(Of(3, 4), p, dim)
        for p in (2, 1, 0, 3, float("inf"), "fro")
        for dim in (None, 1, (0, 1))
        if not (p == "fro" and dim is None)
    ]
    + [Call(Of()), Call(Of(3, 4), 2, 0, True)],
    "ones_like": [Call(Of(2, 3)), Call(INTEGERS)],
    "outer": [vectors((2,), (3,)), vectors((0,), (3,)), vectors((2,), (3,), kind="i")],
    "permute": [Call(Of(2, 3, 4), (2, 0, 1)), Call(INTEGERS, (1, 0))],
    "pinverse": [Call(Of(4, 2)), Call(Of(2, 2, 4))],
    "polygamma": [Call(n, Of(5, low=0.5, high=6)) for n in (0, 1, 2)],
    "prod": [*reductions(kinds="fi"), Call(Of(array=np.array([2, 0, 3], np.float32)))]
    + [Call(Of(array=np.array([[2, 0, 3], [0, 0, 1]], np.float32)), 1)],
    "quantile": [
        Call(Of(3, 4), 0.3),
        Call(Of(3, 4), 0.5, 1),
        Call(NAN, 0.5, 1),
        Call(Of(3, 4), 0.9, 0, True),
        *(
            Call(Of(7), 0.3, interpolation=how)
            for how in ("lower", "higher", "nearest", "midpoint")
        ),
        Call(Of(3, 4), 0.3, None, True),
        Call(Of(2, 3, 4), Of(array=np.array([0.1, 0.8], np.float32)).array, 1, True),
    ],
    "ravel": each(kinds="fi"),
    "renorm": [Call(Of(3, 4), 2, 0, 1.5), Call(Of(2, 3, 4), 1, 2, 0.7)],
    "repeat_interleave": [
        Call(Of(3), 2),
        Call(Of(2, 3), 2, 1),
        Call(Of(2, 3), Of(array=np.array([1, 2])), 0),
    ],
    "reshape": [Call(Of(2, 3), (3, 2)), Call(Of(3, 2, turned=True), (-1,)), Call(Of(0, 3), (3, 0))],
    "roll": [Call(Of(2, 3), 1), Call(Of(2, 3), (1, 2), (0, 1)), Call(INTEGERS, -1, 0)],
    "rot90": [Call(Of(2, 3), k) for k in range(-1, 4)] + [Call(Of(2, 3, 4), 1, (1, 2))],
    "scatter": [
        Call(Of(3, 3), 0, Of(array=np.array([[2, 0, 1], [0, 1, 2]])), Of(2, 3)),
        Call(Of(3, 3), 1, GRID, 1.5),
    ],
    "scatter_add": [Call(Of(3, 3), 0, GRID, Of(2, 3)), Call(Of(2, 3), 1, GRID, Of(2, 3))],
    "scatter_reduce": [
        Call(Of(3, 3), 0, GRID, Of(2, 3), reduce, include_self=own)
        for reduce in ("sum", "prod", "mean", "amax", "amin")
        for own in (True, False)
    ]
    + [
        Call(
            Of(3, 3, low=-9, high=9, kind="i"), 0, GRID, Of(2, 3, low=-9, high=9, kind="i"), "amax"
        )
    ],
    "searchsorted": [Call(Of(array=np.array([-1.0, 0.0, 1.0], np.float32)), Of(3, 4))],
    "select": [Call(Of(3, 4), 0, 1), Call(Of(3, 4, turned=True), 1, -1)],
    "select_scatter": [Call(Of(3, 4), Of(4), 0, 1), Call(Of(3, 4), Of(3), 1, -1)],
    "selu": each(),
    "slice_scatter": [Call(Of(5), Of(2), 0, 1, 5, 2), Call(Of(3, 4), Of(3, 2), 1, 2)],
    "softmax": axes(0, -1),
    "sort": [
        *SORTED,
        Call(distinct(2, 3, 4), 1, True),
        Call(Of()),
        Call(INTEGERS, dim=1, stable=True),
    ],
    "split": [Call(Of(5), 2), Call(Of(3, 4), [1, 3], 1), Call(INTEGERS, 2)],
    "squeeze": [
        Call(Of(1, 3, 1)),
        Call(Of(1, 3, 1), 0),
        Call(Of()),
        Call(Of(1, 3, 1, kind="i"), 2),
    ],
    "stack": [
        Call([Of(2, 3), Of(2, 3)]),
        Call([Of(), Of()]),
        Call([Of(2, kind="i"), Of(2, kind="i")], 1),
    ],
    "std": [Call(Of(3, 4)), Call(Of(3, 4), 1), Call(Of(2, 3, 4), (0, 2), keepdim=True)],
    "std_mean": [Call(Of(3, 4)), Call(Of(3, 4), 1), Call(Of(3, 4), 0, correction=0, keepdim=True)],
    "sum": reductions((0, 1), kinds="fib"),
    "swapaxes": [Call(Of(2, 3, 4), 0, 2)],
    "swapdims": [Call(Of(2, 3, 4), 0, -1)],
    "t": [Call(Of(2, 3)), Call(Of(3)), Call(Of())],
    "take": [Call(Of(3, 4), GRID), Call(Of(3, 4, turned=True), PLACES)],
    "take_along_dim": [Call(Of(2, 3), GRID, 1), Call(Of(3, 4), PLACES)],
    "tensor_split": [Call(Of(7), 3), Call(Of(3, 4), [1, 3], 1)],
    "tensordot": [vectors((2, 3, 4), (3, 4, 5)), Call(Of(2, 3), Of(3, 2), dims=([0], [1]))],
    "tile": [Call(Of(2, 3), (2,)), Call(Of(2, 3), (2, 1, 2)), Call(Of(), (3,))],
    "topk": [
        Call(distinct(6), 3),
        Call(distinct(3, 4), 2, 0, False),
        Call(distinct(3, 4), 4),
        Call(Of(), 1),
    ],
    "trace": [Call(Of(3, 4)), Call(INTEGERS)],
    "transpose": [Call(Of(2, 3, 4), 0, 2), Call(INTEGERS, -1, 0)],
    "trapezoid": [
        Call(Of(5)),
        Call(Of(3, 4), dx=0.5, dim=0),
        vectors((3, 4), (4,)),
        vectors((3, 4), (3, 4)),
    ],
    "trapz": [Call(Of(3, 4), dim=1)],
    "tril": [Call(Of(3, 4)), Call(Of(2, 3, 3), -1), Call(INTEGERS, 1)],
    "tril_indices": [Call(3, 4), Call(3, 3, -1), Call(2, 5, 1)],
    "triu": [Call(Of(3, 4)), Call(Of(2, 3, 3), -1), Call(INTEGERS, 1)],
    "triu_indices": [Call(3, 4), Call(3, 3, -1), Call(2, 5, 1)],
    "unbind": [Call(Of(2, 3)), Call(Of(2, 3), 1), Call(INTEGERS)],
    "unflatten": [Call(Of(2, 6), 1, (2, 3))],
    "unique": [
        Call(INTEGERS),
        Call(INTEGERS, return_inverse=True, return_counts=True),
        Call(GRID, dim=1),
    ],
    "unique_consecutive": [
        Call(Of(array=np.array([1, 1, 2, 2, 1])), return_inverse=True, return_counts=True),
        Call(Of(array=np.array([[1, 1, 2], [1, 1, 2]])), dim=0),
        Call(Of(array=np.array([[1, 1, 2], [1, 1, 2]])), dim=1),
        Call(Of(array=np.zeros(0, np.int64))),
    ],
    "unsqueeze": [Call(Of(2, 3), 1), Call(Of(), 0), Call(INTEGERS, -1)],
    "vander": [Call(Of(3, kind="i"), 0), Call(Of(3, low=1, high=5, kind="i"))],
    "var": [Call(Of(3, 4)), Call(Of(3, 4), 1), Call(Of(2, 3, 4), (0, 2), keepdim=True)],
    "var_mean": [Call(Of(3, 4)), Call(Of(3, 4), 1), Call(Of(3, 4), 0, correction=0, keepdim=True)],
    "vdot": [vectors((3,), (3,))],
    "vsplit": [Call(Of(4, 2), 2), Call(Of(4, 2), [1, 3])],
    "vstack": [Call([Of(2, 3), Of(1, 3)]), Call([Of(3), Of(3)])],
    "where": [
        Call(MASK, Of(3, 4), Of(4)),
        Call(MASK, Of(3, 4), 0.5),
        Call(MASK, INTEGERS, 2),
        Call(MASK),
    ],
    "zeros_like": [Call(Of(2, 3)), Call(INTEGERS)],
}
