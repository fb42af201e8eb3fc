"""The networks of `fastdrop.models` made of PyTorch's layers, to compare with: GPT and ViT."""

from __future__ import annotations

from fastdrop.bench import cases

torch = cases.torch()

# Parts of names in fastdrop, and what stands for them here.
GPT_NAMES = {
    "h.": "",
    "self_attn.in_proj_": "qkv.",
    "self_attn.out_proj.": "out.",
    "linear1.": "up.",
    "linear2.": "down.",
}
VIT_NAMES = {"layers.layers.": "layers."}


def load(theirs, ours, names: dict[str, str]) -> None:
    """Copy all weights of a model of fastdrop, with parts of their names replaced."""
    state = {}
    for name, array in ours.state_dict().items():
        for old, new in names.items():
            name = name.replace(old, new)
        state[name] = torch.from_numpy(array.copy())
    theirs.load_state_dict(state)


def torch_gpt(
    vocab: int, block: int, layers: int, heads: int, width: int, p: float, bias: bool = True
):
    """The same network as `fastdrop.models.gpt`, of PyTorch's layers.

    ``model(tokens, targets)`` is the mean cross-entropy; ``model(tokens)`` the scores of the last
    position. With `caches` (layers, 2, N, heads, block, width / heads) the tokens go on at `at`.
    """
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

        def forward(self, x, cache=None, at=0):
            n, t, _ = x.shape
            parts = self.qkv(self.norm1(x)).split(width, 2)
            q, k, v = (a.view(n, t, heads, width // heads).transpose(1, 2) for a in parts)
            if cache is not None:
                cache[0, :, :, at : at + t], cache[1, :, :, at : at + t] = k, v
                k, v = cache[:, :, :, : at + t]
            rate = p if self.training else 0.0
            y = F.scaled_dot_product_attention(q, k, v, dropout_p=rate, is_causal=t > 1)
            y = y.transpose(1, 2).reshape(n, t, width)
            x = x + F.dropout(self.out(y), p, self.training)
            return x + F.dropout(self.down(F.gelu(self.up(self.norm2(x)))), p, self.training)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cache_shape = (layers, 2, 1, heads, block, width // heads)
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

        def forward(self, tokens, targets=None, caches=None, at=0):
            x = self.wte(tokens) + self.wpe(torch.arange(at, at + tokens.shape[1]))
            x = F.dropout(x, p, self.training)
            for i, layer in enumerate(self.layers):
                x = layer(x, None if caches is None else caches[i], at)
            x = self.norm(x)
            if targets is None:
                return x[:, -1] @ self.wte.weight.T
            return F.cross_entropy((x @ self.wte.weight.T).flatten(0, 1), targets.flatten())

    return Model()


def generate(model, tokens: list[int], count: int) -> list[int]:
    """Go on with the most probable tokens; the keys and values lie in an array made before."""
    with torch.inference_mode():
        caches, at, given = torch.empty(model.cache_shape), 0, torch.tensor([tokens])
        found = [given]
        for _ in range(count):
            scores = model(given, caches=caches, at=at)
            at, given = at + given.shape[1], scores.argmax(1, keepdim=True)
            found.append(given)
        return torch.cat(found, 1)[0].tolist()


def torch_vit(
    classes: int,
    image: int,
    patch: int,
    width: int,
    depth: int,
    heads: int,
    *,
    dropout: float = 0.0,
    drop_path: float = 0.0,
):
    """The same network as `fastdrop.models.vit`, of PyTorch's layers and a DropPath as in timm."""

    class DropPath(torch.nn.Module):
        def __init__(self, p):
            super().__init__()
            self.p = p

        def forward(self, x):
            if not (self.training and self.p):
                return x
            mask = x.new_empty(len(x), 1, 1).bernoulli_(1 - self.p)
            return x * mask.div_(1 - self.p)

    class Layer(torch.nn.TransformerEncoderLayer):
        def __init__(self, path):
            super().__init__(
                *(width, heads, 4 * width, dropout, "gelu", 1e-6),
                batch_first=True,
                norm_first=True,
            )
            self.self_attn.dropout = 0.0
            self.path = DropPath(path)

        def forward(self, x):
            x = x + self.path(self._sa_block(self.norm1(x), None, None))
            return x + self.path(self._ff_block(self.norm2(x)))

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = torch.nn.Conv2d(3, width, patch, patch)
            self.class_token_weight = torch.nn.Parameter(torch.zeros(1, width))
            self.positions = torch.nn.Parameter(torch.zeros(1 + (image // patch) ** 2, width))
            self.drop = torch.nn.Dropout(dropout)
            self.layers = torch.nn.Sequential(
                *(Layer(drop_path * i / max(1, depth - 1)) for i in range(depth))
            )
            self.norm = torch.nn.LayerNorm(width, 1e-6)
            self.head = torch.nn.Linear(width, classes)

        def forward(self, images):
            x = self.patches(images).flatten(2).transpose(1, 2)
            x = torch.cat([self.class_token_weight.expand(len(x), 1, width), x], 1)
            x = self.layers(self.drop(x + self.positions))
            return self.head(self.norm(x[:, 0]))

    return Model()
