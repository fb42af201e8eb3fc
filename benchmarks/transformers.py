"""Cases of transformers: attention, layers, a language model's step."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastdrop as fd
from benchmarks.convolution import floats, require
from fastdrop import nn, optim
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


def encoder_layer() -> Case:
    """Forward and backward of a post-norm layer: 768 units, 12 heads, 8 samples of 128."""
    x, gradient = floats(8, 128, 768), floats(8, 128, 768)
    arguments = (768, 12, 3072)
    candidates, results = {}, {}
    for p in (0.0, RATE):
        ours = nn.TransformerEncoderLayer(*arguments, p, "gelu", batch_first=True)
        models = {"fastdrop": (ours, fd.Tensor(x, requires_grad=True), gradient)}
        if torch is not None:
            theirs = torch.nn.TransformerEncoderLayer(*arguments, p, "gelu", batch_first=True)
            theirs.load_state_dict(
                {name: torch.from_numpy(a.copy()) for name, a in ours.state_dict().items()}
            )
            given = torch.tensor(x, requires_grad=True)
            models["PyTorch"] = (theirs, given, torch.tensor(gradient))
        for name, (layer, given, wanted) in models.items():

            def step(layer=layer, given=given, wanted=wanted):
                layer.zero_grad()
                given.grad = None
                y = layer(given)
                y.backward(wanted)
                return y.detach().numpy()

            candidates[f"{name}, p = {p:g}"] = step
            results[name, p] = step

    def check():
        if torch is not None:
            one, two = results["fastdrop", 0.0](), results["PyTorch", 0.0]()
            require(np.abs(one - two).max() < 1e-4, "encoder layer")

    return Case("encoder layer of 768 units, 8 x 128", candidates, check, least=STEADY)


def torch_gpt(
    vocab: int, block: int, layers: int, heads: int, width: int, p: float, bias: bool = True
):
    """The same network as `fastdrop.models.gpt`, of PyTorch's layers."""
    F = torch.nn.functional

    def linear(inputs, outputs):
        return torch.nn.Linear(inputs, outputs, bias=bias)

    def norm():
        return torch.nn.LayerNorm(width, bias=bias)

    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = norm(), norm()
            self.qkv, self.out = linear(width, 3 * width), linear(width, width)
            self.up, self.down = linear(width, 4 * width), linear(4 * width, width)

        def forward(self, x):
            n, t, _ = x.shape
            parts = self.qkv(self.norm1(x)).split(width, 2)
            q, k, v = (a.view(n, t, heads, width // heads).transpose(1, 2) for a in parts)
            rate = p if self.training else 0.0
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, is_causal=True)
            y = y.transpose(1, 2).reshape(n, t, width)
            x = x + F.dropout(self.out(y), p, self.training)
            return x + F.dropout(self.down(F.gelu(self.up(self.norm2(x)))), p, self.training)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.wte = torch.nn.Embedding(vocab, width)
            self.wpe = torch.nn.Embedding(block, width)
            self.layers = torch.nn.ModuleList([Layer() for _ in range(layers)])
            self.norm = norm()
            for name, weight in self.named_parameters():
                if weight.ndim > 1:
                    ends = name.endswith(("out.weight", "down.weight"))
                    by = 0.02 / (2 * layers) ** 0.5 if ends else 0.02
                    torch.nn.init.normal_(weight, 0.0, by)
                elif name.endswith("bias"):
                    torch.nn.init.zeros_(weight)

        def forward(self, tokens, targets):
            x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
            x = F.dropout(x, p, self.training)
            for layer in self.layers:
                x = layer(x)
            scores = self.norm(x) @ self.wte.weight.T
            return F.cross_entropy(scores.flatten(0, 1), targets.flatten())

    return Model()


def gpt() -> Case:
    """A training step of nanoGPT's network for CPUs: 4 layers, 4 heads, 128 units, 12 x 64."""
    shape = (65, 64, 4, 4, 128)
    tokens, targets = np.random.default_rng(0).integers(0, 65, (2, 12, 64))
    candidates = {}
    for p in (0.0, 0.2):
        ours = fd.models.gpt(*shape, dropout=p)
        models = {"fastdrop": (ours, optim.AdamW(ours.parameters(), lr=1e-3), tokens, targets)}
        if torch is not None:
            theirs = torch_gpt(*shape, p)
            optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-3)
            models["PyTorch"] = (
                *(theirs, optimizer, torch.from_numpy(tokens), torch.from_numpy(targets)),
            )
        for name, (model, optimizer, x, y) in models.items():

            def step(model=model, optimizer=optimizer, x=x, y=y):
                loss = model(x, y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                return loss.item()

            candidates[f"{name}, p = {p:g}"] = step

    def check():
        for name, call in candidates.items():
            require(abs(call() - np.log(65)) < 0.5, name)

    return Case("training step of a GPT, 4 x 128 units, 12 x 64", candidates, check, least=STEADY)


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
