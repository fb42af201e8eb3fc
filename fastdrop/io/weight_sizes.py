"""How many numbers the weights of an architecture hold, before memory is allocated for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Arguments = dict[str, Any]


def _recurrent(arguments: Arguments) -> int:
    """Each layer has at least the weights of a cell with one gate."""
    units = _product(arguments, "hidden_size")
    outs = _product(arguments, "proj_size") or units
    layers = _product(arguments, "num_layers") if "num_layers" in arguments else 1
    return _product(arguments, "input_size", "hidden_size") + layers * units * outs


def least_numbers(spec: Any) -> int:
    """How many numbers the weights and buffers of an architecture hold at least.

    Called before `build`, so that no memory is allocated for weights that a file does not hold.
    What is no valid specification counts as 0; `build` refuses it. Modules that are shared count
    once.
    """
    total, todo = 0, [spec]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += part
        elif isinstance(part, dict):
            todo += part.values()
            kind, arguments = part.get("class"), part.get("arguments")
            if isinstance(kind, str) and isinstance(arguments, dict) and kind in _SIZES:
                total += _SIZES[kind](arguments)
    return total


def _product(arguments: Arguments, *names: str) -> int:
    """The product of sizes, or of lists of sizes; 0 if one of them is no size."""
    values = [arguments.get(name) for name in names]
    sizes: list[Any] = [
        size for value in values for size in (value if isinstance(value, list) else [value])
    ]
    if not sizes or not all(type(size) is int and size >= 0 for size in sizes):
        return 0
    return math.prod(sizes)


def _on(arguments: Arguments, name: str) -> bool:
    return arguments.get(name, True) is True


def _dense(arguments: Arguments) -> int:
    bias = _product(arguments, "out_features") if _on(arguments, "bias") else 0
    return _product(arguments, "in_features", "out_features") + bias


def _swiglu(arguments: Arguments) -> int:
    """Two layers into the hidden features, and one out of them, whose bias is left out."""
    biases = 2 * _product(arguments, "hidden_features") if _on(arguments, "bias") else 0
    into = 2 * _product(arguments, "in_features", "hidden_features")
    return into + _product(arguments, "hidden_features", "out_features") + biases


def _attention(arguments: Arguments) -> int:
    e = _product(arguments, "embed_dim")
    return e * (2 * e + _product(arguments, "kdim") + _product(arguments, "vdim"))


def _transformer_layer(arguments: Arguments, attentions: int = 1) -> int:
    """The products of its attentions and of the feed-forward network."""
    width, hidden = _product(arguments, "d_model"), _product(arguments, "dim_feedforward")
    return 4 * attentions * width**2 + 2 * width * hidden


def _stack(arguments: Arguments) -> int:
    """The copies of a layer; a list of layers is not copied."""
    layer = arguments.get("encoder_layer", arguments.get("decoder_layer"))
    if isinstance(layer, dict) and layer.get("class") == "ModuleList":
        return 0
    return _product(arguments, "num_layers") * max(1, least_numbers(layer))


def _transformer(arguments: Arguments) -> int:
    """The layers of an encoder and a decoder that are not given."""
    sizes = {
        "d_model": 512,
        "dim_feedforward": 2048,
        "num_encoder_layers": 6,
        "num_decoder_layers": 6,
        **arguments,
    }
    return sum(
        _product(sizes, f"num_{name}_layers") * _transformer_layer(sizes, attentions)
        for attentions, name in enumerate(("encoder", "decoder"), 1)
        if arguments.get(f"custom_{name}") is None
    )


def _gpt(arguments: Arguments) -> int:
    """The embeddings, and the products of the layers."""
    width = _product(arguments, "n_embd")
    return (
        _product(arguments, "vocab_size") * width + 12 * _product(arguments, "n_layer") * width**2
    )


def _variational(arguments: Arguments) -> int:
    kind = arguments.get("alpha", "weight")
    alphas = {
        "weight": _product(arguments, "in_features", "out_features"),
        "neuron": _product(arguments, "out_features"),
    }
    return _dense(arguments) + (alphas.get(kind, 1) if isinstance(kind, str) else 0)


def _sparse(arguments: Arguments) -> int:
    stored = 0 if "nonzeros" not in arguments else _product(arguments, "nonzeros")
    rows = _product(arguments, "out_channels" if "out_channels" in arguments else "out_features")
    return 2 * stored + rows + (rows if _on(arguments, "bias") else 0)


def _layer_norm(arguments: Arguments) -> int:
    if not _on(arguments, "elementwise_affine"):
        return 0
    return (1 + _on(arguments, "bias")) * _product(arguments, "normalized_shape")


def _rms_norm(arguments: Arguments) -> int:
    on = _on(arguments, "elementwise_affine")
    return _product(arguments, "normalized_shape") if on else 0


def _group_norm(arguments: Arguments) -> int:
    return 2 * _on(arguments, "affine") * _product(arguments, "num_channels")


def _instance_norm(arguments: Arguments) -> int:
    on = [arguments.get(name) is True for name in ("affine", "track_running_stats")]
    return 2 * sum(on) * _product(arguments, "num_features")


def _batch_norm(arguments: Arguments) -> int:
    arrays = 2 * _on(arguments, "affine") + 2 * _on(arguments, "track_running_stats")
    return arrays * _product(arguments, "num_features")


def _convolution(arguments: Arguments) -> int:
    groups = arguments.get("groups", 1)
    if type(groups) is not int or groups < 1:
        return 0
    bias = _product(arguments, "out_channels") if _on(arguments, "bias") else 0
    return _product(arguments, "in_channels", "out_channels", "kernel_size") // groups + bias


def _stages(arguments: Arguments) -> list[tuple[int, int]]:
    """(number of blocks, channels) of each stage of a model; empty if they are no sizes."""
    layers, widths = arguments.get("layers"), arguments.get("widths")
    if not isinstance(layers, list) or not isinstance(widths, list):
        return []
    stages = list(zip(layers, widths))
    sizes = [size for stage in stages for size in stage]
    return stages if all(type(size) is int and size > 0 for size in sizes) else []


def _resnet(arguments: Arguments) -> int:
    """The convolutions of 3 x 3 but the first of each stage, which may have fewer channels."""
    in_block = 2 if arguments.get("block") == "basic" else 1
    return sum((in_block * count - 1) * 9 * width**2 for count, width in _stages(arguments))


def _convnext(arguments: Arguments) -> int:
    return sum(count * (8 * width**2 + 49 * width) for count, width in _stages(arguments))


def _vision_transformer(arguments: Arguments) -> int:
    """The products of the attention, and the positions of the patches."""
    width = _product(arguments, "embed_dim")
    image, patch = (
        _product(arguments, name) ** (1 if isinstance(arguments.get(name), list) else 2)
        for name in ("image_size", "patch_size")
    )
    return 4 * _product(arguments, "depth") * width**2 + image // max(patch, 1) * width


def _bert(arguments: Arguments) -> int:
    """The embeddings of words, and the products of the layers."""
    width, layers = (_product(arguments, name) for name in ("hidden_size", "num_hidden_layers"))
    in_layer = 4 * width**2 + 2 * width * _product(arguments, "intermediate_size")
    return _product(arguments, "vocab_size") * width + layers * in_layer


def _wide_resnet(arguments: Arguments) -> int:
    depth, k = arguments.get("depth", 16), arguments.get("widen_factor", 4)
    if type(depth) is not int or type(k) is not int or k < 1:
        return 0
    blocks = (depth - 4) // 6
    return sum((2 * blocks - 1) * 9 * (width * k) ** 2 for width in (16, 32, 64))


_SIZES: dict[str, Callable[[Arguments], int]] = {
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "RNN": _recurrent,
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "BatchNorm3d": _batch_norm,
    "Bert": _bert,
    "Bilinear": lambda arguments: _product(
        arguments, "in1_features", "in2_features", "out_features"
    ),
    "Conv1d": _convolution,
    "Conv2d": _convolution,
    "Conv3d": _convolution,
    "ConvTranspose1d": _convolution,
    "ConvTranspose2d": _convolution,
    "ConvTranspose3d": _convolution,
    "ConvNeXt": _convnext,
    "DropConnectConv2d": _convolution,
    "DropConnectLinear": _dense,
    "Embedding": lambda arguments: _product(arguments, "num_embeddings", "embedding_dim"),
    "EmbeddingBag": lambda arguments: _product(arguments, "num_embeddings", "embedding_dim"),
    "GroupNorm": _group_norm,
    **{f"InstanceNorm{axes}d": _instance_norm for axes in (1, 2, 3)},
    "GPT": _gpt,
    "LanguageModel": lambda arguments: _product(arguments, "vocab_size", "embedding_size"),
    "LayerNorm": _layer_norm,
    "LayerScale": lambda arguments: _product(arguments, "dim"),
    "LearnedPositionalEncoding": lambda arguments: _product(arguments, "max_len", "d_model"),
    "Linear": _dense,
    "MultiheadAttention": _attention,
    "ParametricActivation": lambda arguments: _product(arguments, "num_parameters"),
    "PeriodicEmbeddings": lambda arguments: _product(
        arguments, "n_features", "n_frequencies", "d_embedding"
    ),
    "PReLU": lambda arguments: _product(arguments, "num_parameters"),
    "ResNet": _resnet,
    "RMSNorm": _rms_norm,
    "SequenceModel": lambda arguments: _product(arguments, "hidden_size", "out_features"),
    "SparseConv2d": _sparse,
    "SparseLinear": _sparse,
    "SwiGLU": _swiglu,
    "TargetedConv2d": _convolution,
    "TargetedLinear": _dense,
    "Transformer": _transformer,
    "TransformerDecoder": _stack,
    "TransformerDecoderLayer": lambda arguments: _transformer_layer(arguments, 2),
    "TransformerEncoder": _stack,
    "TransformerEncoderLayer": _transformer_layer,
    "VariationalConv2d": _convolution,
    "VariationalLinear": _variational,
    "VisionTransformer": _vision_transformer,
    "WideResNet": _wide_resnet,
}
