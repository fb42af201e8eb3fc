"""The table of the suite's cases: those of `fastdrop.bench.cases` in many sizes, and more.

With ``--peers all`` there are more candidates.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import (
    convolution,
    convolutional_networks,
    family,
    generation,
    peers,
    precision,
    recurrent_networks,
    small_networks,
    thinned,
    transformers,
    uncertainty,
)
from fastdrop.bench import cases
from fastdrop.bench.cases import Case

CASES: dict[str, Callable[[], Case]] = {}


def case(name: str, build, *arguments, quick=True, more=None) -> None:
    """Enter the case ``build(*arguments)`` under a name.

    ``more(*inputs)`` gives more candidates. `quick`: the case is part of --quick.
    """

    def complete() -> Case:
        entry = build(*arguments)
        if more is not None:
            entry.candidates |= more(*entry.inputs)
        return entry

    complete.quick = quick
    CASES[name] = complete


for _side in (256, 4096):
    for _p in (0.5, 0.1):
        case(f"dropout {_side}x{_side} p={_p}", cases.dropout, _side, _p, more=peers.dropout)

for _n in (512, 1024, 2048, 4096):
    case(f"matmul {_n}^3", cases.matmul, _n, _n, _n, quick=_n == 1024, more=peers.matmul)
for _batch in (32, 128, 1024):
    for _k in (784, 1024):
        case(
            f"matmul x w^T {_batch}x1024x{_k}",
            cases.matmul,
            _batch,
            1024,
            _k,
            False,
            True,
            quick=_batch == 128,
            more=peers.matmul,
        )
    case(
        f"matmul dy w {_batch}x1024x1024",
        cases.matmul,
        _batch,
        1024,
        1024,
        quick=_batch == 128,
        more=peers.matmul,
    )
    for _k in (784, 1024):
        case(
            f"matmul dy^T x 1024x{_k}x{_batch}",
            cases.matmul,
            1024,
            _k,
            _batch,
            True,
            quick=False,
            more=peers.matmul,
        )
for _rows in (1, 8, 16, 32, 64, 128):
    for _width in (784, 1024, 2048):
        for _about, _shape in {
            "x w^T": (_rows, _width, _width, False, True),
            "dy w": (_rows, _width, _width),
            "dy^T x": (_width, _width, _rows, True),
        }.items():
            case(f"few rows {_about} {_rows} of {_width}", cases.matmul, *_shape, quick=False)
case(
    "matmul x w^T 128x2048x2048",
    cases.matmul,
    128,
    2048,
    2048,
    False,
    True,
    quick=False,
    more=peers.matmul,
)
case("matmul dy w 128x2048x2048", cases.matmul, 128, 2048, 2048, quick=False, more=peers.matmul)
case(
    "matmul dy^T x 2048x2048x128",
    cases.matmul,
    2048,
    2048,
    128,
    True,
    quick=False,
    more=peers.matmul,
)

for _batch in (128, 1024):
    case(f"linear relu dropout {_batch}x1024x1024", cases.linear, _batch, 1024, quick=_batch == 128)

for _hidden in (512, 1024, 2048):
    for _batch in (32, 128, 1024):
        case(
            f"mlp step h={_hidden} batch={_batch}",
            cases.mlp_step,
            _hidden,
            _batch,
            quick=(_hidden, _batch) == (1024, 128),
            more=peers.mlp_steps,
        )
case("mlp step h=16 batch=1", cases.mlp_step, 16, 1, more=peers.mlp_steps)

for _build in (
    family.spatial,
    family.alpha,
    family.gaussian,
    family.path,
    family.block,
    family.concrete,
    family.connect_pass,
    family.connect_sample,
    family.residual,
):
    case(f"family {_build.__name__}", _build, quick=False)
for _batch in (1, 32, 128):
    case(f"family sparse batch={_batch}", family.sparse, _batch, quick=False)

for _batch in (1, 32, 256):
    case(
        f"monte carlo batch={_batch}",
        cases.monte_carlo,
        _batch,
        quick=_batch < 256,
        more=uncertainty.onnx_monte_carlo,
    )
for _batch in (32, 256):
    case(f"monte carlo shared batch={_batch}", uncertainty.shared, _batch)
case("latency", uncertainty.latency)
case("start", uncertainty.start)

for _layer in convolution.LAYERS:
    for _kind in ("forward", "data", "weight"):
        for _algorithm in ("direct", "auto"):
            case(
                f"conv {_algorithm} {_layer} {_kind}",
                convolution.layer,
                _layer,
                _kind,
                _algorithm,
                quick=False,
            )
for _build in (
    convolution.max_pool,
    convolution.max_pool_backward,
    convolution.batch_norm,
    convolution.batch_norm_backward,
    convolution.map_channel_dropout,
):
    case(f"maps {_build.__name__}", _build, quick=False)
for _p in (0.5, 0.1):
    case(f"maps dropout p={_p}", convolution.map_dropout, _p, quick=False)
for _p in (0.05, 0.1, 0.2):
    case(f"maps dropblock p={_p}", convolution.map_block, _p, quick=False)
case("cnn step small", convolutional_networks.step_small)
case("cnn step resnet20", convolutional_networks.step_resnet20)
case("cnn step lenet", convolutional_networks.step_lenet)
case("cnn step convnext", convolutional_networks.step_convnext, quick=False)
case("cnn monte carlo lenet", convolutional_networks.monte_carlo_lenet)
for _kind in ("LSTM", "GRU", "RNN"):
    for _shape in recurrent_networks.SHAPES:
        case(
            f"rnn {_kind} {'x'.join(map(str, _shape))}",
            recurrent_networks.layer,
            _kind,
            _shape,
            quick=_kind == "LSTM" and _shape[0] < 70,
        )
case("rnn masks", recurrent_networks.masks)
case("rnn language model", recurrent_networks.language_model)
case("rnn monte carlo", recurrent_networks.monte_carlo)

for _shape in transformers.SHAPES:
    for _causal in (False, True):
        case(
            f"attention {'x'.join(map(str, _shape))}{' causal' if _causal else ''}",
            transformers.attention,
            _shape,
            _causal,
            quick=_shape == transformers.SHAPES[-1],
        )
case("transformer layer", transformers.encoder_layer)
case("transformer gpt", transformers.gpt)
case("transformer vit drop_path", transformers.vit, 0.0, quick=False)
case("transformer vit drop_path dropout", transformers.vit, 0.1, quick=False)
for _name, _shape in generation.SHAPES.items():
    case(f"transformer generate {_name}", generation.greedy, *_shape, quick=_name == "4x128")
for _kind, *_arguments in (("LayerNorm", 768), ("GELU",), ("GELU", "tanh")):
    _about = " ".join(str(part) for part in ("transformer", _kind, *_arguments))
    case(_about, transformers.pointwise, _kind, *_arguments)

for _name, _shape in small_networks.SHAPES.items():
    case(f"small fit {_name}", small_networks.estimators, *_shape, quick=_name == "4898x11")
for _kind in ("numbers", "counts", "labels"):
    _shape = small_networks.SHAPES["20000x30"]
    case(f"small fit of {_kind}", small_networks.estimators, *_shape, _kind, quick=False)
case("small steps of texts", small_networks.texts, *small_networks.TEXTS, quick=False)
case("small steps of one sample", small_networks.single_samples, quick=False)
case("small steps in a loop of one's own", small_networks.own_loop, quick=False)

for _batch in (128, 1024):
    case(f"thinned step batch={_batch}", thinned.steps, 1024, _batch)
for _batch in (32, 128, 1024):
    case(f"bf16 step batch={_batch}", precision.steps, 1024, _batch)
