"""Cases of generation: the tokens that a GPT adds to a text, one after the other, batch 1."""

from __future__ import annotations

import numpy as np

import fastdrop as fd
from benchmarks import torch_transformers
from benchmarks.convolution import require
from fastdrop.bench import cases
from fastdrop.bench.cases import STEADY, Case

torch = cases.torch()

# Shape of `fastdrop.models.gpt` (tokens, positions, layers, heads, units), tokens given and added:
# nanoGPT's networks for CPUs and for one GPU, and the latter with GPT-2's tokens.
SHAPES = {
    "4x128": ((65, 64, 4, 4, 128), 1, 63),
    "6x384": ((65, 256, 6, 6, 384), 16, 128),
    "6x384 of 50257": ((50257, 256, 6, 6, 384), 16, 128),
}
# The parts of a layer in the names of Hugging Face's GPT-2, whose matrices are transposed.
_HUGGING_FACE = {
    "self_attn.in_proj_": "attn.c_attn.",
    "self_attn.out_proj.": "attn.c_proj.",
    "linear1.": "mlp.c_fc.",
    "linear2.": "mlp.c_proj.",
    "norm1.": "ln_1.",
    "norm2.": "ln_2.",
    "h.norm.": "h.ln_f.",
}


def hugging_face(model):
    """The same network in the package transformers, or None if that is not installed."""
    try:
        import transformers
    except ImportError:
        return None
    config = transformers.GPT2Config(
        vocab_size=model.vocab_size,
        n_positions=model.block_size,
        n_embd=model.n_embd,
        n_layer=model.n_layer,
        n_head=model.n_head,
        activation_function="gelu",
        bos_token_id=None,
        eos_token_id=None,
    )
    theirs, state = transformers.GPT2LMHeadModel(config), {}
    for name, array in model.state_dict().items():
        inside = name.startswith("h.layers.")
        for old, new in _HUGGING_FACE.items():
            name = name.replace(old, new)
        name = name.replace("h.layers.", "h.").replace("h.ln_f.", "ln_f.")
        array = array.T if inside and array.ndim == 2 else array
        state[f"transformer.{name}"] = torch.from_numpy(array.copy())
    state["lm_head.weight"] = state["transformer.wte.weight"]
    theirs.load_state_dict(state)
    return theirs.eval()


def greedy(shape: tuple[int, ...], given: int, added: int) -> Case:
    """Always the most probable token, with the keys and values of earlier positions kept."""
    fd.manual_seed(0)
    ours = fd.models.gpt(*shape).eval()
    tokens = np.random.default_rng(0).integers(0, shape[0], given).tolist()
    candidates = {"fastdrop": lambda: ours.generate(tokens, added, temperature=0).tolist()}
    if torch is not None:
        theirs = torch_transformers.torch_gpt(*shape, 0.0).eval()
        torch_transformers.load(theirs, ours, torch_transformers.GPT_NAMES)
        candidates["PyTorch"] = lambda: torch_transformers.generate(theirs, tokens, added)
        if (peer := hugging_face(ours)) is not None:
            prompt = torch.tensor([tokens])

            def call():
                found = peer.generate(
                    prompt,
                    attention_mask=torch.ones_like(prompt),
                    max_new_tokens=added,
                    do_sample=False,
                    pad_token_id=0,
                )
                return found[0].tolist()

            candidates["transformers"] = call

    def check():
        for name, generate in candidates.items():
            found = generate()
            require(len(found) == given + added and found[:given] == tokens, name)
            with fd.no_grad():
                scores = ours([found[:-1]]).numpy()[0, given - 1 :]
            chosen = scores[np.arange(added), found[given:]]
            require((chosen > scores.max(1) - 1e-4).all(), name)  # equal but for rounding

    about = f"greedy generation of {added} tokens, GPT of {shape[2]} x {shape[4]} units"
    return Case(about, candidates, check, least=STEADY, tokens=added)
