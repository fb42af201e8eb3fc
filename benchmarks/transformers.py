"""Cases of transformers: attention, layers, a language model's step."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastdrop as fd
from benchmarks import torch_transformers
from benchmarks.convolution import floats, require
from fastdrop import nn
from fastdrop.bench import cases
from fastdrop.bench.cases import STEADY, Case

torch = cases.torch()

# Samples, heads, positions and the size of a head.
SHAPES = ((8, 8, 512, 64), (1, 12, 1024, 64), (64, 3, 197, 64), (16, 8, 128, 64), (32, 4, 64, 32))
RATE = 0.1


def _attention(library, arrays, gradient, p: float, causal: bool):
    """(forward alone, forward and backward) of either library."""
    if library is fd:
        inputs, wanted = [fd.Tensor(a, requires_grad=True) for a in arrays], gradient
        function = nn.functional.scaled_dot_product_attention
    else:
        inputs = [torch.tensor(a, requires_grad=True) for a in arrays]
        wanted, function = torch.tensor(gradient), torch.nn.functional.scaled_dot_product_attention

    def forward():
        with library.no_grad():
            y = function(*inputs, dropout_p=p, is_causal=causal)
        return y.numpy()

    def both():
        for t in inputs:
            t.grad = None
        y = function(*inputs, dropout_p=p, is_causal=causal)
        y.backward(wanted)
        return y.detach().numpy()

    return forward, both


def attention(shape: tuple[int, ...], causal: bool) -> Case:
    """Forward, and forward and backward, without dropout and with rate 0.1."""
    arrays, gradient = [floats(*shape) for _ in range(3)], floats(*shape)
    candidates = {}
    for p in (0.0, RATE):
        for name, library in (("fastdrop", fd), ("PyTorch", torch)):
            if library is not None:
                forward, both = _attention(library, arrays, gradient, p, causal)
                candidates[f"{name}, p = {p:g}"] = both
                candidates[f"{name}, p = {p:g}, forward"] = forward
    about = f"{'causal ' if causal else ''}attention {'x'.join(map(str, shape))}"

    def check():
        if torch is not None:
            one, two = candidates["fastdrop, p = 0"](), candidates["PyTorch, p = 0"]()
            require(np.abs(one - two).max() < 1e-4, about)

    return Case(about, candidates, check, least=STEADY)


def layer_step(library, p: float, ours=None, shape=(8, 128), widths=(768, 12, 3072)):
    """Forward and backward of a post-norm layer; PyTorch's has the weights of `ours`, if any."""
    x, gradient = floats(*shape, widths[0]), floats(*shape, widths[0])
    layer, arguments = ours, (*widths, p, "gelu")
    if library is fd:
        if ours is None:
            layer = nn.TransformerEncoderLayer(*arguments, batch_first=True)
        given, wanted = fd.Tensor(x, requires_grad=True), gradient
    else:
        layer = torch.nn.TransformerEncoderLayer(*arguments, batch_first=True)
        if ours is not None:
            torch_transformers.load(layer, ours, {})
        given, wanted = torch.tensor(x, requires_grad=True), torch.tensor(gradient)

    def step():
        layer.zero_grad()
        given.grad = None
        y = layer(given)
        y.backward(wanted)
        return y.detach().numpy()

    return step


def encoder_layer(shape=(8, 128), widths=(768, 12, 3072)) -> Case:
    """Forward and backward of a post-norm layer: 768 units, 12 heads, 8 samples of 128."""
    candidates = {}
    for p in (0.0, RATE):
        ours = nn.TransformerEncoderLayer(*widths, p, "gelu", batch_first=True)
        candidates[f"fastdrop, p = {p:g}"] = layer_step(fd, p, ours, shape, widths)
        if torch is not None:
            candidates[f"PyTorch, p = {p:g}"] = layer_step(torch, p, ours, shape, widths)

    def check():
        if torch is not None:
            one, two = candidates["fastdrop, p = 0"](), candidates["PyTorch, p = 0"]()
            require(np.abs(one - two).max() < 1e-4, "encoder layer")

    about = f"encoder layer of {widths[0]} units, {shape[0]} x {shape[1]}"
    return Case(about, candidates, check, least=STEADY)


def adamw_step(library, model, loss_of):
    """A training step of either library: forward, backward, AdamW; returns the loss."""
    optimizer = library.optim.AdamW(model.parameters(), lr=1e-3)

    def step():
        loss = loss_of(model)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


# nanoGPT's network for CPUs: characters, positions, layers, heads, units; and its batch.
NANO_GPT, NANO_BATCH = (65, 64, 4, 4, 128), 12


def gpt_step(library, p: float, ours=None, batch: int = NANO_BATCH, shape=NANO_GPT):
    """A training step of a GPT; PyTorch's starts from the weights of `ours`, if there are any."""
    tokens, targets = np.random.default_rng(0).integers(0, shape[0], (2, batch, shape[1]))
    if library is fd:
        model = fd.models.gpt(*shape, dropout=p) if ours is None else ours
    else:
        model = torch_transformers.torch_gpt(*shape, p)
        tokens, targets = torch.from_numpy(tokens), torch.from_numpy(targets)
        if ours is not None:
            torch_transformers.load(model, ours, torch_transformers.GPT_NAMES)
    return adamw_step(library, model, lambda model: model(tokens, targets))


def gpt(shape=NANO_GPT, batch: int = NANO_BATCH) -> Case:
    """A training step of nanoGPT's network for CPUs: 4 layers, 4 heads, 128 units, 12 x 64."""
    candidates = {}
    for p in (0.0, 0.2):
        ours = fd.models.gpt(*shape, dropout=p)
        candidates[f"fastdrop, p = {p:g}"] = gpt_step(fd, p, ours, batch, shape)
        if torch is not None:
            candidates[f"PyTorch, p = {p:g}"] = gpt_step(torch, p, ours, batch, shape)

    def check():
        losses = {name: call() for name, call in candidates.items()}
        for name, loss in losses.items():
            require(abs(loss - np.log(shape[0])) < 0.5, name)
        if torch is not None:
            require(abs(losses["fastdrop, p = 0"] - losses["PyTorch, p = 0"]) < 1e-4, "GPT")

    about = f"training step of a GPT, {shape[2]} x {shape[4]} units, {batch} x {shape[1]}"
    return Case(about, candidates, check, least=STEADY)


# Classes, pixels, pixels of a patch, units, layers, heads: ViT-tiny for images of 32 x 32.
VIT_TINY = (10, 32, 4, 192, 12, 3)


def vit(dropout: float, drop_path: float = 0.1, shape=VIT_TINY, batch: int = 64) -> Case:
    """A training step of a ViT with stochastic depth, and with dropout as well."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, 3, shape[1], shape[1]), np.float32)
    y = rng.integers(0, shape[0], batch)
    ours = fd.models.vit(*shape, dropout=dropout, drop_path_rate=drop_path)
    models = {"fastdrop": (fd, ours, x, y)}
    if torch is not None:
        theirs = torch_transformers.torch_vit(*shape, dropout=dropout, drop_path=drop_path)
        torch_transformers.load(theirs, ours, torch_transformers.VIT_NAMES)
        models["PyTorch"] = (torch, theirs, torch.from_numpy(x), torch.from_numpy(y))
    candidates = {}
    for name, (library, model, given, wanted) in models.items():

        def loss_of(model, library=library, given=given, wanted=wanted):
            return library.nn.functional.cross_entropy(model(given), wanted)

        candidates[name] = adamw_step(library, model, loss_of)

    def check():
        scores = []
        for library, model, given, _ in models.values():
            model.eval()
            with library.no_grad():
                scores.append(model(given).numpy())
            model.train()
        require(np.abs(scores[0] - scores[-1]).max() < 1e-4, "ViT")

    about = f"training step of a ViT, {shape[4]} x {shape[3]} units, batch {batch}"
    rates = f"drop path {drop_path:g}" + (f", dropout {dropout:g}" if dropout else "")
    return Case(f"{about}, {rates}", candidates, check, least=STEADY)


def pointwise(kind: str, *arguments: Any) -> Case:
    """LayerNorm or GELU of 1024 x 768 numbers, and a copy of them."""
    x, gradient = floats(1024, 768), floats(1024, 768)
    candidates = {"NumPy, copy": lambda: x.copy()}
    for name, library in (("fastdrop", fd), ("PyTorch", torch)):
        if library is None:
            continue
        layer = (fd.nn if library is fd else torch.nn).__dict__[kind](*arguments)
        given = (fd.Tensor if library is fd else torch.tensor)(x, requires_grad=True)
        wanted = gradient if library is fd else torch.tensor(gradient)

        def forward(layer=layer, given=given, library=library):
            with library.no_grad():
                return layer(given).numpy()

        def both(layer=layer, given=given, wanted=wanted):
            given.grad = None
            layer.zero_grad()
            y = layer(given)
            y.backward(wanted)
            return y.detach().numpy()

        candidates |= {name: both, f"{name}, forward": forward}

    def check():
        if torch is not None:
            difference = candidates["fastdrop"]() - candidates["PyTorch"]()
            require(np.abs(difference).max() < 1e-5, kind)

    about = " ".join([kind, *(a for a in arguments if isinstance(a, str)), "1024x768"])
    return Case(about, candidates, check, least=STEADY)
