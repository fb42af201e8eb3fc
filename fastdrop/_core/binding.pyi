"""Types of the Cython binding. binding.pyx and its .pxi files say what each function does.

Arrays are C-contiguous. `drop` is a tuple (stream, keep threshold, scale), or None for no dropout.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastdrop._core.scopes import CallingContext as CallingContext
from fastdrop._core.scopes import GradScope as GradScope
from fastdrop._core.scopes import ModeScope as ModeScope
from fastdrop._core.scopes import PassScope as PassScope
from fastdrop._core.scopes import Scope as Scope
from fastdrop._core.scopes import TrainingMode as TrainingMode
from fastdrop._core.scopes import modes as modes

_Float32: TypeAlias = npt.NDArray[np.float32]
_Float64: TypeAlias = npt.NDArray[np.float64]
# The width is in the name alone: callers annotate integer arrays without it.
_UInt32: TypeAlias = npt.NDArray[np.integer[Any]]
_Int32: TypeAlias = npt.NDArray[np.integer[Any]]
_Int64: TypeAlias = npt.NDArray[np.integer[Any]]
_Bytes: TypeAlias = npt.NDArray[np.uint8] | npt.NDArray[np.bool_]
_Drop: TypeAlias = tuple[Stream | None, int, float] | None
# stride, dilation, zeros before, zeros after, groups, algorithm
_Axes: TypeAlias = tuple[int, ...]
_Geometry: TypeAlias = tuple[_Axes, _Axes, _Axes, _Axes, int, int]
# kernel, stride, dilation, positions before the input
_Windows: TypeAlias = tuple[_Axes, _Axes, _Axes, _Axes]
_Layer: TypeAlias = tuple[_Float32, int, int, _Float32 | None, int, float]
# what networks keep of a matrix, its rows, its columns
_ThinPart: TypeAlias = tuple[_Float32, _Int32 | None, _UInt32 | None]

# masks, random numbers

KEEP_ALL: int
BITS_PAD: int

class Stream:
    seed: int
    site: int
    call: int
    draw: int
    row0: int
    sub: int
    domain: int
    rows: _UInt32 | None
    by_sub: bool
    draws: _UInt32 | None
    instance: int
    def __init__(
        self,
        seed: int,
        site: int,
        call: int = 0,
        draw: int = 0,
        row0: int = 0,
        sub: int = 0,
        domain: int = 0,
        rows: _UInt32 | None = None,
        by_sub: bool = False,
        draws: _UInt32 | None = None,
        instance: int = 0,
    ) -> None: ...
    def move_to(self, draw: int) -> None: ...
    def with_sub(self, sub: int) -> Stream: ...
    def with_rows(self, rows: _UInt32, draws: _UInt32 | None = None) -> Stream: ...
    def __reduce__(self) -> tuple[type[Stream], tuple[Any, ...]]: ...

def keep_threshold(p: float) -> int: ...
def keep_scale(q: int) -> float: ...
def keep_bits(out: _UInt32, s: Stream, units: int, q: int) -> None: ...
def keep_mask(out: _Bytes, s: Stream, q: int) -> None: ...
def keep_uniforms(out: _UInt32, s: Stream) -> None: ...
def uniform(out: _Float32, s: Stream) -> None: ...
def normal(out: _Float32, s: Stream) -> None: ...

# dropout

def dropout(
    out: _Float32,
    x: _Float32,
    s: Stream | None,
    q: int,
    scale: float,
    shift: float = 0.0,
    fill: float = 0.0,
    share: tuple[bool, ...] | None = None,
) -> None: ...
def map_dropout(
    out: _Float32,
    x: _Float32,
    s: Stream | None,
    q: int,
    scale: float,
    shift: float = 0.0,
    fill: float = 0.0,
    by_channel: bool = False,
) -> None: ...
def scale(out: _Float32, x: _Float32, s: float) -> None: ...

# activation, noise, DropBlock

ACT_NONE: int
ACT_RELU: int
ACT_LEAKY_RELU: int
ACT_SIGMOID: int
ACT_TANH: int
ACT_SELU: int
ACT_SILU: int
ACT_GELU: int
ACT_GELU_TANH: int
ACT_MISH: int

def act(out: _Float32, z: _Float32, kind: int, alpha: float) -> None: ...
def act_dropout(
    out: _Float32, z: _Float32, kind: int, alpha: float, s: Stream | None, q: int, scale: float
) -> None: ...
def act_backward(
    dz: _Float32,
    dy: _Float32,
    saved: _Float32,
    kind: int,
    alpha: float,
    db: _Float32 | None = None,
    stream: Stream | None = None,
    q: int = ...,
    scale: float = 1.0,
) -> None: ...
def rotate(
    out: _Float32, x: _Float32, cosines: _Float32, sines: _Float32, interleaved: bool, back: bool
) -> None: ...
def act_mix(y: _Float32, z: _Float32, weight: _Float32, kind: int) -> None: ...
def act_mix_backward(
    dz: _Float32, dweight: _Float32, dy: _Float32, z: _Float32, weight: _Float32, kind: int
) -> None: ...
def silu_gate(h: _Float32, a: _Float32, b: _Float32) -> None: ...
def silu_gate_backward(
    da: _Float32, db: _Float32, dh: _Float32, a: _Float32, b: _Float32
) -> None: ...
def noise(out: _Float32, x: _Float32, s: Stream, sigma: float, relative: bool) -> None: ...
def dropblock(
    out: _Float32,
    x: _Float32,
    s: Stream,
    q: int,
    block: tuple[int, ...],
    coupled: bool,
    batch: bool,
    channels_last: bool = False,
) -> None: ...

# convolution

CELL_GRU: int
CELL_LSTM: int
CELL_RELU: int
CELL_TANH: int
CONV_AUTO: int
CONV_DIRECT: int
CONV_WINOGRAD: int

def conv(
    y: _Float32,
    x: _Float32,
    w: _Float32,
    geometry: _Geometry,
    bias: _Float32 | None = None,
    act: int = 0,
    alpha: float = 0.0,
    drop: _Drop = None,
    by_channel: bool = False,
    panels: _Float32 | None = None,
) -> None: ...
def conv_panels_length(x: _Float32, w: _Float32, geometry: _Geometry) -> int: ...
def conv_pack(panels: _Float32, x: _Float32, w: _Float32, geometry: _Geometry) -> None: ...
def conv_dx(dx: _Float32, dy: _Float32, w: _Float32, geometry: _Geometry) -> None: ...
def conv_dw(
    dw: _Float32, dy: _Float32, x: _Float32, geometry: _Geometry, accumulate: bool = False
) -> None: ...

# recurrent networks

class AttentionLayer:
    kept: tuple[Any, ...]
    def __init__(
        self,
        q: _Float32,
        k: _Float32,
        v: _Float32,
        allowed: npt.NDArray[np.bool_] | None,
        bias: _Float32 | None,
        scale: float,
        causal: bool,
        query_offset: int,
        drop: _Drop | None,
    ) -> None: ...

def attention(layer: AttentionLayer, o: _Float32, log_sums: _Float32) -> None: ...
def attention_backward(
    layer: AttentionLayer,
    dq: _Float32,
    dk: _Float32,
    dv: _Float32,
    d_scores: _Float32 | None,
    o: _Float32,
    d_o: _Float32,
    log_sums: _Float32,
) -> None: ...
def attention_weights(layer: AttentionLayer, weights: _Float32, log_sums: _Float32) -> None: ...

class RecurrentLayer:
    kept: tuple[Any, ...]
    def __init__(
        self,
        cell: int,
        rows: npt.NDArray[np.int64],
        w_ih: _Float32,
        w_hh: _Float32,
        w_hr: _Float32 | None = None,
        reverse: bool = False,
        input: _Drop | None = None,
        hidden: _Drop | None = None,
        update: _Drop | None = None,
        zone_c: _Drop | None = None,
        zone_h: _Drop | None = None,
        weights: _Drop | None = None,
        per_gate: bool = False,
        update_per_step: bool = True,
        fresh_c: float = 1.0,
        fresh_h: float = 1.0,
        first_step: int = 0,
    ) -> None: ...
    def workspace(self, keep: bool) -> int: ...
    def backward_workspace(self) -> int: ...

def recurrent(
    layer: RecurrentLayer,
    y: _Float32,
    h: _Float32,
    c: _Float32 | None,
    gates: _Float32 | None,
    states: _Float32 | None,
    cells: _Float32 | None,
    workspace: _Float32,
    x: _Float32,
    b_ih: _Float32 | None,
    b_hh: _Float32 | None,
) -> None: ...
def recurrent_backward(
    layer: RecurrentLayer,
    gates: _Float32,
    dh: _Float32,
    dc: _Float32 | None,
    previous: _Float32,
    projected: _Float32 | None,
    workspace: _Float32,
    dy: _Float32,
    y: _Float32,
    states: _Float32 | None,
    h0: _Float32,
    c0: _Float32 | None,
) -> None: ...

# normalisation and the order of axes

def transpose(y: _Float32, x: _Float32) -> None: ...
def moments(mean: _Float32, variance: _Float32, x: _Float32) -> None: ...
def normalize(
    y: _Float32, x: _Float32, mean: _Float32, scale: _Float32, bias: _Float32, relu: bool = False
) -> None: ...
def normalize_sums(
    sum: _Float32,
    sum_x: _Float32,
    dy: _Float32,
    x: _Float32,
    mean: _Float32,
    scale: _Float32,
    bias: _Float32,
    relu: bool = False,
) -> None: ...
def normalize_dx(
    dx: _Float32,
    dy: _Float32,
    x: _Float32,
    mean: _Float32,
    scale: _Float32,
    bias: _Float32,
    of_g: _Float32,
    of_x: _Float32,
    shift: _Float32,
    relu: bool = False,
) -> None: ...
def row_norm(
    y: _Float32,
    mean: _Float32 | None,
    inverse: _Float32,
    x: _Float32,
    weight: _Float32 | None,
    bias: _Float32 | None,
    eps: float,
) -> None: ...
def row_norm_backward(
    dx: _Float32,
    dweight: _Float32 | None,
    dbias: _Float32 | None,
    dy: _Float32,
    x: _Float32,
    mean: _Float32 | None,
    inverse: _Float32,
    weight: _Float32 | None,
) -> None: ...
def log_sum_exp(
    most: _Float32, log_sum: _Float32, x: _Float32, losses: _Float32 | None = None,
    labels: _Int64 | None = None, weights: _Float32 | None = None,
) -> None: ...  # fmt: skip
def scaled_softmax(
    y: _Float32, x: _Float32, most: _Float32, log_sum: _Float32, factor: _Float32,
    labels: _Int64 | None = None,
) -> None: ...  # fmt: skip

# pooling

def max_pool(y: _Float32, at: _Int32 | None, x: _Float32, geometry: _Windows) -> None: ...
def max_pool_backward(dx: _Float32, dy: _Float32, at: _Int32, geometry: _Windows) -> None: ...
def avg_pool(y: _Float32, x: _Float32, factor: _Float32, geometry: _Windows) -> None: ...
def avg_pool_backward(dx: _Float32, dy: _Float32, factor: _Float32, geometry: _Windows) -> None: ...
def resize(
    y: _Float32, x: _Float32, tables: tuple[tuple[_Int32, _Int32, _Float32], ...]
) -> None: ...

# matrix products

def gemm(
    c: _Float32,
    a: _Float32,
    ta: bool,
    b: _Float32 | None,
    tb: bool,
    bias: _Float32 | None = None,
    act: int = 0,
    alpha: float = 0.0,
    drop: _Drop = None,
    a_drop: _Drop = None,
    b_drop: _Drop = None,
    accumulate: bool = False,
    repeat: int = 1,
    panels: _Float32 | None = None,
    bf16: bool = False,
    k_units: _Int32 | None = None,
    k_whole: int = 0,
) -> None: ...
def panels_length(n: int, k: int, bf16: bool = False) -> int: ...
def pack(panels: _Float32, w: _Float32, bf16: bool = False) -> None: ...
def chain(x: _Float32, layers: tuple[_Layer, ...], bf16: bool = False) -> _Float32: ...
def thin_layer(
    w: _Float32,
    bias: _Float32 | None,
    act: int,
    alpha: float,
    samples: int,
    x: _Float32,
    x_at: _Int64,
    k: _Int64,
    bits: _UInt32 | None,
    scale: float,
    y: _Float32,
    y_at: _Int64,
    n: _Int64,
    ldy: int,
    rows: _Int32 | None,
    rows_at: _Int64 | None,
) -> None: ...
def thin_rows(
    out: _Float32,
    source: _Float32,
    ld: int,
    step: int,
    samples: int,
    x_at: _Int64,
    k: _Int64,
    bits: _UInt32,
) -> None: ...
def thin_take(
    out: _Float32, x: _Float32, rows: _Int32 | None, bits: _UInt32 | None, scale: float = 1.0
) -> None: ...
def thin_put(out: _Float32, parts: list[_ThinPart], accumulate: bool = False) -> None: ...

# DropConnect, sparse weights, concrete dropout

def dropconnect(
    y: _Float32, x: _Float32, w: _Float32, bias: _Float32 | None, mask_bias: bool, drop: _Drop
) -> None: ...
def dropconnect_dx(dx: _Float32, dy: _Float32, w: _Float32, drop: _Drop) -> None: ...
def dropconnect_dw(
    dw: _Float32, db: _Float32 | None, dy: _Float32, x: _Float32, mask_bias: bool, drop: _Drop
) -> None: ...
def sparse_linear(
    y: _Float32,
    x: _Float32,
    values: _Float32,
    columns: _Int32,
    starts: _Int64,
    bias: _Float32 | None,
) -> None: ...
def concrete(
    y: _Float32, x: _Float32, s: Stream, logit: float, temperature: float, p: float
) -> None: ...
def concrete_backward(
    dx: _Float32,
    dlogit: _Float64,
    dy: _Float32,
    x: _Float32,
    s: Stream,
    logit: float,
    temperature: float,
    p: float,
) -> None: ...

# reductions, optimisers

def col_sum(out: _Float32, x: _Float32) -> None: ...
def sumsq(x: _Float32) -> float: ...
def read_labels(
    t: npt.NDArray[Any],
    sample: _Float32,
    left_out: npt.NDArray[Any],
    total: _Float32,
    given: npt.NDArray[Any],
    classes: int,
    leaves_out: bool,
    ignored: int,
    weight: _Float32 | None = None,
) -> bool: ...
def divided_sum(out: _Float32, x: _Float32, total: _Float32) -> None: ...
def weighted(out: _Float32, x: _Float32, factor: _Float32, total: _Float32) -> None: ...
def count_right(scores: _Float32, labels: npt.NDArray[Any]) -> int: ...
def copy(out: npt.NDArray[Any], x: npt.NDArray[Any]) -> None: ...
def replay(calls: list[Any]) -> None: ...
def same_tensors(tensors: list[Any]) -> bool: ...
def same_entries(dicts: list[Any]) -> bool: ...
def sgd_all(updates: list[Any]) -> bool: ...
def adam_all(updates: list[Any], decoupled: bool) -> bool: ...
def max_norm_rows(w: _Float32, c: float) -> None: ...
def is_one_piece(k: int) -> bool: ...
def sgd(
    p: _Float32,
    g: _Float32 | tuple[_Float32, _Float32, _Drop, bool] | list[_ThinPart],
    buf: _Float32 | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    first: bool,
) -> None: ...
def adam(
    p: _Float32,
    g: _Float32,
    m: _Float32,
    v: _Float32,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    step: int,
) -> None: ...
def rmsprop(
    p: _Float32,
    g: _Float32,
    v: _Float32,
    buf: _Float32 | None,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
) -> None: ...

# runtime

def has_openmp() -> bool: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def isa() -> str: ...
def available_isas() -> tuple[str, ...]: ...
def compiled_isas() -> list[tuple[str, bool]]: ...
def set_isa(name: str) -> None: ...
def bf16_isa() -> str | None: ...
def set_bf16_isa(name: str | None) -> None: ...
def panels_kind(bf16: bool) -> str: ...
def compiler() -> str: ...
