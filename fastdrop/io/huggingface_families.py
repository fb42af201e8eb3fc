"""The architectures of Hugging Face that `fastdrop.io.from_huggingface` reads.

A family says how a configuration becomes the arguments of a model, and under which names its
checkpoints hold the weights. Names are without the prefix of the family, as "bert.".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.models.bert import Bert
from fastdrop.models.gpt import GPT

if TYPE_CHECKING:
    from collections.abc import Collection

Config = dict[str, Any]
Sources = dict[str, tuple[str, ...]]

_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}


@dataclass(frozen=True)
class Family:
    """One architecture.

    Parameters
    ----------
    prefix : str
        Before the names of the encoder in checkpoints that have a head.
    model : type
        The model of fastdrop.
    arguments : callable
        ``arguments(config, names, num_classes, pooling)``: those of the model's constructor;
        `names` are those of the checkpoint.
    outside, in_layer : dict of str to tuple of str
        Our names of layers or parameters, without "weight" and "bias", and theirs: several are
        joined along axis 0.
    layers, their_layers : str
        Where the numbered layers stand.
    left_out : pattern
        Names of theirs that are no part of the model.
    transposed : pattern
        Names of theirs whose matrices are (in, out).
    """

    prefix: str
    model: type[nn.Module]
    arguments: Callable[[Config, Collection[str], int | None, str | None], dict[str, Any]]
    outside: Sources
    in_layer: Sources
    layers: str
    their_layers: str
    left_out: re.Pattern[str]
    transposed: re.Pattern[str] = field(default=re.compile(r"(?!)"))

    def sources(self, name: str) -> tuple[str, ...]:
        """Their names of the parts of our parameter `name`."""
        if name.startswith(self.layers):
            number, _, rest = name.removeprefix(self.layers).partition(".")
            found = _looked_up(rest, self.in_layer)
            return tuple(f"{self.their_layers}{number}.{theirs}" for theirs in found)
        return _looked_up(name, self.outside)


def _looked_up(name: str, table: Sources) -> tuple[str, ...]:
    """Their names of "layer.weight", from the entry of the layer.

    ``in_proj_weight`` is the weight of an entry ``in_proj``.
    """
    layer, kind = re.fullmatch(r"(.*)[._](weight|bias)", name).groups()  # type: ignore[union-attr]
    return tuple(f"{theirs}.{kind}" for theirs in table[layer])


def _size(config: Config, name: str) -> int:
    """A size that the configuration must hold."""
    if name not in config:
        raise ValueError(f"the configuration must hold {name!r}, which it lacks")
    return check.integer(config[name], f"the configuration's {name}", 0)


def _activation(config: Config, name: str, allowed: Collection[str]) -> str:
    given = config.get(name, next(iter(allowed)))
    if not isinstance(given, str) or given not in allowed:
        raise ValueError(
            f"the configuration's {name} must be one of {', '.join(map(repr, allowed))}, "
            f"got {given!r}"
        )
    return _ACTIVATIONS[given]


def _only(config: Config, name: str, value: Any) -> None:
    """Raise ValueError if the configuration has another value than the one that the model has."""
    given = config.get(name, value)
    if given != value:
        raise ValueError(f"the configuration's {name} must be {value!r}, got {given!r}")


def _pooling(
    config: Config, num_classes: int | None, pooling: str | None, pooler: bool
) -> dict[str, Any]:
    """The pooling that is asked for, or that of the checkpoint's own head."""
    if pooling is None:
        heads = config.get("architectures") or ()
        of_tokens = any(str(head).endswith("ForTokenClassification") for head in heads)
        pooling = "pooler" if pooler else "cls"
        if num_classes is None or of_tokens:
            pooling = "none"
    return {"pooling": pooling, "num_classes": num_classes}


def _bert(
    config: Config, names: Collection[str], num_classes: int | None, pooling: str | None
) -> dict[str, Any]:
    _only(config, "position_embedding_type", "absolute")
    _only(config, "is_decoder", False)
    _only(config, "add_cross_attention", False)
    rate = config.get("hidden_dropout_prob", 0.1)
    of_head = config.get("classifier_dropout")
    sizes = (
        *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
        *("intermediate_size", "max_position_embeddings"),
    )
    return {
        **{name: _size(config, name) for name in sizes},
        "type_vocab_size": config.get("type_vocab_size", 2),
        "dropout": rate,
        "attention_dropout": config.get("attention_probs_dropout_prob", 0.1),
        "classifier_dropout": rate if of_head is None else of_head,
        "layer_norm_eps": config.get("layer_norm_eps", 1e-12),
        "activation": _activation(config, "hidden_act", _ACTIVATIONS),
        **_pooling(config, num_classes, pooling, "pooler.dense.weight" in names),
    }


def _distilbert(
    config: Config, names: Collection[str], num_classes: int | None, pooling: str | None
) -> dict[str, Any]:
    return {
        "vocab_size": _size(config, "vocab_size"),
        "hidden_size": _size(config, "dim"),
        "num_hidden_layers": _size(config, "n_layers"),
        "num_attention_heads": _size(config, "n_heads"),
        "intermediate_size": _size(config, "hidden_dim"),
        "max_position_embeddings": _size(config, "max_position_embeddings"),
        "type_vocab_size": 0,
        "dropout": config.get("dropout", 0.1),
        "attention_dropout": config.get("attention_dropout", 0.1),
        "classifier_dropout": config.get("seq_classif_dropout", 0.2),
        "activation": _activation(config, "activation", ("gelu", "relu")),
        "pooler_activation": "relu",
        **_pooling(config, num_classes, pooling, "pre_classifier.weight" in names),
    }


def _gpt2(
    config: Config, names: Collection[str], num_classes: int | None, pooling: str | None
) -> dict[str, Any]:
    for name, value in (("num_classes", num_classes), ("pooling", pooling)):
        if value is not None:
            raise ValueError(
                f"{name} must be None for a language model as GPT-2, got {value!r}: the model of "
                "a classifier is a BERT or DistilBERT"
            )
    width = _size(config, "n_embd")
    if config.get("n_inner") is not None:
        _only(config, "n_inner", 4 * width)
    _only(config, "layer_norm_epsilon", 1e-5)
    _only(config, "scale_attn_weights", True)
    _only(config, "scale_attn_by_inverse_layer_idx", False)
    _only(config, "add_cross_attention", False)
    return {
        "vocab_size": _size(config, "vocab_size"),
        "block_size": _size(config, "n_positions"),
        "n_layer": _size(config, "n_layer"),
        "n_head": _size(config, "n_head"),
        "n_embd": width,
        "dropout": 0.0,
        "attention_dropout": config.get("attn_pdrop", 0.1),
        "residual_dropout": config.get("resid_pdrop", 0.1),
        "embedding_dropout": config.get("embd_pdrop", 0.1),
        "activation": _activation(
            *(config, "activation_function"), ("gelu_new", "gelu", "gelu_fast", "gelu_pytorch_tanh")
        ),
    }


_EMBEDDINGS: Sources = {
    "word_embeddings": ("embeddings.word_embeddings",),
    "position_embeddings": ("embeddings.position_embeddings",),
    "norm": ("embeddings.LayerNorm",),
    "classifier": ("classifier",),
}
# Heads of other tasks and of the pretraining, and numbers that are no weights.
_OTHER_HEADS = r"cls\..*|qa_outputs\..*|classifier\..*|(embeddings\.)?position_ids"

FAMILIES: dict[str, Family] = {
    "bert": Family(
        prefix="bert.",
        model=Bert,
        arguments=_bert,
        outside={
            **_EMBEDDINGS,
            "token_type_embeddings": ("embeddings.token_type_embeddings",),
            "pooler": ("pooler.dense",),
        },
        in_layer={
            "self_attn.in_proj": tuple(f"attention.self.{n}" for n in ("query", "key", "value")),
            "self_attn.out_proj": ("attention.output.dense",),
            "norm1": ("attention.output.LayerNorm",),
            "linear1": ("intermediate.dense",),
            "linear2": ("output.dense",),
            "norm2": ("output.LayerNorm",),
        },
        layers="layers.layers.",
        their_layers="encoder.layer.",
        left_out=re.compile(rf"{_OTHER_HEADS}|pooler\..*"),
    ),
    "distilbert": Family(
        prefix="distilbert.",
        model=Bert,
        arguments=_distilbert,
        outside={**_EMBEDDINGS, "pooler": ("pre_classifier",)},
        in_layer={
            "self_attn.in_proj": tuple(f"attention.{n}_lin" for n in "qkv"),
            "self_attn.out_proj": ("attention.out_lin",),
            "norm1": ("sa_layer_norm",),
            "linear1": ("ffn.lin1",),
            "linear2": ("ffn.lin2",),
            "norm2": ("output_layer_norm",),
        },
        layers="layers.layers.",
        their_layers="transformer.layer.",
        left_out=re.compile(rf"{_OTHER_HEADS}|pre_classifier\..*|vocab_.*"),
    ),
    "gpt2": Family(
        prefix="transformer.",
        model=GPT,
        arguments=_gpt2,
        outside={"wte": ("wte",), "wpe": ("wpe",), "h.norm": ("ln_f",)},
        in_layer={
            "norm1": ("ln_1",),
            "self_attn.in_proj": ("attn.c_attn",),
            "self_attn.out_proj": ("attn.c_proj",),
            "norm2": ("ln_2",),
            "linear1": ("mlp.c_fc",),
            "linear2": ("mlp.c_proj",),
        },
        layers="h.layers.",
        their_layers="h.",
        left_out=re.compile(r"h\.\d+\.attn\.(masked_)?bias"),
        transposed=re.compile(r".*\.(c_attn|c_proj|c_fc)\.weight"),
    ),
}
