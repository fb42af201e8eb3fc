"""Folders of Hugging Face's form with random weights: configurations, names and shapes."""

import json

import numpy as np

import fastdrop as fd

CONFIGS = {
    "bert": {
        "vocab_size": 30,
        "hidden_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 20,
        "max_position_embeddings": 9,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.15,
        "attention_probs_dropout_prob": 0.05,
        "layer_norm_eps": 1e-12,
    },
    "distilbert": {
        "vocab_size": 30,
        "dim": 12,
        "n_layers": 2,
        "n_heads": 3,
        "hidden_dim": 20,
        "max_position_embeddings": 9,
        "activation": "gelu",
        "dropout": 0.15,
        "attention_dropout": 0.05,
        "seq_classif_dropout": 0.25,
    },
    "gpt2": {
        "vocab_size": 30,
        "n_embd": 12,
        "n_layer": 2,
        "n_head": 3,
        "n_positions": 9,
        "activation_function": "gelu",
        "resid_pdrop": 0.15,
        "attn_pdrop": 0.05,
        "embd_pdrop": 0.25,
    },
}
PREFIXES = {"bert": "bert.", "distilbert": "distilbert.", "gpt2": "transformer."}


def norm(name, width=12):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def dense(name, outs, ins):
    return {f"{name}.weight": (outs, ins), f"{name}.bias": (outs,)}


def names_of_bert():
    """Names and shapes, written by hand after bert-base-uncased's file."""
    shapes = {
        "embeddings.word_embeddings.weight": (30, 12),
        "embeddings.position_embeddings.weight": (9, 12),
        "embeddings.token_type_embeddings.weight": (2, 12),
        **norm("embeddings.LayerNorm"),
        **dense("pooler.dense", 12, 12),
    }
    for i in range(2):
        at = f"encoder.layer.{i}."
        for name in ("query", "key", "value"):
            shapes |= dense(f"{at}attention.self.{name}", 12, 12)
        shapes |= dense(at + "attention.output.dense", 12, 12)
        shapes |= norm(at + "attention.output.LayerNorm") | norm(at + "output.LayerNorm")
        shapes |= dense(at + "intermediate.dense", 20, 12) | dense(at + "output.dense", 12, 20)
    return shapes


def names_of_distilbert():
    shapes = {
        "embeddings.word_embeddings.weight": (30, 12),
        "embeddings.position_embeddings.weight": (9, 12),
        **norm("embeddings.LayerNorm"),
    }
    for i in range(2):
        at = f"transformer.layer.{i}."
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            shapes |= dense(f"{at}attention.{name}", 12, 12)
        shapes |= norm(at + "sa_layer_norm") | norm(at + "output_layer_norm")
        shapes |= dense(at + "ffn.lin1", 20, 12) | dense(at + "ffn.lin2", 12, 20)
    return shapes


def names_of_gpt2():
    shapes = {"wte.weight": (30, 12), "wpe.weight": (9, 12), **norm("ln_f")}
    for i in range(2):
        shapes |= norm(f"h.{i}.ln_1") | norm(f"h.{i}.ln_2")
        products = {"attn.c_attn": (12, 36), "attn.c_proj": (12, 12)}
        for name, shape in (products | {"mlp.c_fc": (12, 48), "mlp.c_proj": (48, 12)}).items():
            shapes |= {f"h.{i}.{name}.weight": shape, f"h.{i}.{name}.bias": shape[1:]}
    return shapes


NAMES = {"bert": names_of_bert, "distilbert": names_of_distilbert, "gpt2": names_of_gpt2}
OTHERS = {  # what other files hold in addition: other heads, and buffers
    "bert": {
        "cls.predictions.bias": (30,),
        "embeddings.position_ids": (1, 9),
        "qa_outputs.bias": (2,),
    },
    "distilbert": {"vocab_projector.bias": (30,), "vocab_transform.weight": (12, 12)},
    "gpt2": {"h.0.attn.bias": (1, 1, 9, 9), "h.1.attn.masked_bias": ()},
}


def weights_of(kind, **more):
    rng = np.random.default_rng(1)
    shapes = NAMES[kind]() | more
    return {name: rng.standard_normal(s).astype(np.float32) * 0.3 for name, s in shapes.items()}


SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def tokenizer_text(words, padding="[PAD]"):
    """A tokenizer.json of whole words in lower case, with [CLS] and [SEP] around a text."""
    specials = [padding, *SPECIALS[1:]]
    numbers = {word: i for i, word in enumerate([*specials, *words])}
    around = {name: {"id": name, "ids": [numbers[name]], "tokens": [name]} for name in specials[2:]}
    ends = [{"SpecialToken": {"id": name, "type_id": 0}} for name in specials[2:]]
    added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return json.dumps(
        {
            "version": "1.0",
            "truncation": {
                "direction": "Right",
                "max_length": 4,
                "strategy": "LongestFirst",
                "stride": 0,
            },
            "added_tokens": [
                {"id": i, "content": name, "special": True, **added}
                for i, name in enumerate(specials)
            ],
            "normalizer": {"type": "Lowercase"},
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [ends[0], {"Sequence": {"id": "A", "type_id": 0}}, ends[1]],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
                "special_tokens": around,
            },
            "model": {"type": "WordLevel", "vocab": numbers, "unk_token": "[UNK]"},
        }
    )


def folder_of(path, kind, weights, prefix="", **config):
    """A folder as save_pretrained() makes it; heads have no prefix."""
    text = json.dumps({"model_type": kind, **CONFIGS[kind], **config})
    (path / "config.json").write_text(text)
    heads = ("classifier", "pre_classifier", "cls", "qa_outputs", "vocab_", "lm_head")
    named = {(n if n.startswith(heads) else prefix + n): a for n, a in weights.items()}
    fd.io.save_file(named, path / "model.safetensors")
    return path
