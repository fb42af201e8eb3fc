"""Cases of convolutional networks: layers, maps, training steps, Monte Carlo passes.

PyTorch computes in its channels-last format, which is the faster one on every shape here.
"""

from __future__ import annotations

import numpy as np

import fastdrop as fd
from fastdrop import _core, nn
from fastdrop.bench import cases
from fastdrop.bench.cases import SAMPLES, STEADY, Case
from fastdrop.nn import functional as F

torch = cases.torch()

# Name: images, channels, outputs, size, kernel, stride, padding, groups.
LAYERS = {
    "3->32 k3 32": (64, 3, 32, 32, 3, 1, 1, 1),
    "32->64 k3 32": (64, 32, 64, 32, 3, 1, 1, 1),
    "64->128 k3 16": (64, 64, 128, 16, 3, 1, 1, 1),
    "128->256 k3 8": (64, 128, 256, 8, 3, 1, 1, 1),
    "64->64 k3 56": (8, 64, 64, 56, 3, 1, 1, 1),
    "256->256 k3 14": (16, 256, 256, 14, 3, 1, 1, 1),
    "256->256 k3 14 s2": (16, 256, 256, 14, 3, 2, 1, 1),
    "256->64 k1 14": (16, 256, 64, 14, 1, 1, 0, 1),
    "1->32 k5 28": (128, 1, 32, 28, 5, 1, 2, 1),
    "3->16 k3 32": (128, 3, 16, 32, 3, 1, 1, 1),
    "16->16 k3 32": (128, 16, 16, 32, 3, 1, 1, 1),
    "16->32 k3 32 s2": (128, 16, 32, 32, 3, 2, 1, 1),
    "32->32 k3 16": (128, 32, 32, 16, 3, 1, 1, 1),
    "32->64 k3 16 s2": (128, 32, 64, 16, 3, 2, 1, 1),
    "64->64 k3 8": (128, 64, 64, 8, 3, 1, 1, 1),
    "depthwise 40 k7 16": (64, 40, 40, 16, 7, 1, 3, 40),
    "depthwise 96 k7 56": (8, 96, 96, 56, 7, 1, 3, 96),
    "depthwise 384 k7 14": (16, 384, 384, 14, 7, 1, 3, 384),
}


def _floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _require(good, what):
    if not good:
        raise RuntimeError(f"{what} gives wrong results")


def _close(ours, theirs, what, tolerance=1e-4):
    _require(np.abs(ours - theirs).max() <= tolerance * max(1.0, np.abs(theirs).max()), what)


def _last(array):
    """(N, C, H, W) as the memory (N, H, W, C)."""
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


def _to_torch(array):
    """A map as PyTorch's tensor in its channels-last format."""
    return torch.from_numpy(array).contiguous(memory_format=torch.channels_last)


def layer(name: str, kind: str, algorithm: str) -> Case:
    """A convolution alone: `kind` is "forward", "data" or "weight"."""
    n, c, o, size, kernel, stride, pad, groups = LAYERS[name]
    x, w = _floats(n, c, size, size), _floats(o, c // groups, kernel, kernel, seed=1)
    out = (size + 2 * pad - kernel) // stride + 1
    dy = _floats(n, o, out, out, seed=2)
    number = {"direct": _core.CONV_DIRECT, "auto": _core.CONV_AUTO}[algorithm]
    geometry = ((stride,) * 2, (1, 1), (pad,) * 2, (pad,) * 2, groups, number)
    xl, dyl = _last(x), _last(dy)
    results = {
        "forward": np.empty_like(dyl),
        "data": np.empty_like(xl),
        "weight": np.empty_like(w),
    }
    result = results[kind]
    ours = {
        "forward": lambda: _core.conv(result, xl, w, geometry),
        "data": lambda: _core.conv_dx(result, dyl, w, geometry),
        "weight": lambda: _core.conv_dw(result, dyl, xl, geometry),
    }[kind]
    candidates = {"fastdrop": ours}
    if torch is not None:
        tx, tw, tdy = _to_torch(x), _to_torch(w), _to_torch(dy)
        wanted = [kind == "data", kind == "weight", False]

        def backward():
            return torch.ops.aten.convolution_backward(
                tdy,
                tx,
                tw,
                None,
                [stride] * 2,
                [pad] * 2,
                [1, 1],
                False,
                [0, 0],
                groups,
                wanted,
            )[0 if kind == "data" else 1]

        def forward():
            return torch.nn.functional.conv2d(tx, tw, None, stride, pad, 1, groups)

        theirs = forward if kind == "forward" else backward

        def pytorch():
            with torch.inference_mode():
                return theirs()

        candidates["PyTorch"] = pytorch

    def check():
        ours()
        if torch is not None:
            expected = pytorch().numpy()
            _close(result, expected if kind == "weight" else _last(expected), f"convolution {name}")

    return Case(
        f"convolution {name}, {kind}, {algorithm}, {n} images",
        candidates,
        check,
        operations=2.0 * n * out * out * o * (c // groups) * kernel * kernel,
    )


def _on_maps(about, x, ours, theirs, check, inputs=()) -> Case:
    """Compare ours() with a scaled copy of the map x and with theirs(tensor) of PyTorch."""
    copy = np.empty_like(x)
    candidates = {"fastdrop": ours, "scaled copy": lambda: _core.scale(copy, x, 2.0)}
    if torch is not None:
        tx = _to_torch(x)
        candidates["PyTorch"] = lambda: theirs(tx)
    return Case(about, candidates, check, inputs=inputs)


MAP = (64, 64, 32, 32)  # 16 MiB: larger than the second cache of a core


def _map(seed=0):
    """A channels-last map."""
    return _last(_floats(*MAP, seed=seed)).transpose(0, 3, 1, 2)


def _no_grad(function):
    def call():
        with fd.no_grad():
            return function()

    return call


def max_pool() -> Case:
    """Max pooling of 2 x 2."""
    x = _map()
    t = fd.Tensor(x)
    expected = x.reshape(64, 64, 16, 2, 16, 2).max((3, 5))
    return _on_maps(
        f"max pool 2x2 of {MAP}",
        x,
        _no_grad(lambda: F.max_pool2d(t, 2)),
        lambda tx: torch.nn.functional.max_pool2d(tx, 2),
        lambda: _require((F.max_pool2d(t, 2).numpy() == expected).all(), "max pool"),
    )


def _backward_case(about, layer_, theirs) -> Case:
    """The backward pass of a layer alone, through a kept graph."""
    x, dy = fd.Tensor(_map(), requires_grad=True), _map(1)
    y = layer_(x)
    copy = np.empty_like(dy)
    dy = dy if y.shape == x.shape else dy[:, :, ::2, ::2].copy("K")
    candidates = {
        "fastdrop": lambda: _backward(x, y, dy),
        "scaled copy": lambda: _core.scale(copy, x.data, 2.0),
    }
    if torch is not None:
        tx = _to_torch(x.data.copy()).requires_grad_()
        ty = theirs(tx)
        tdy = _to_torch(dy)
        candidates["PyTorch"] = lambda: torch.autograd.grad(ty, tx, tdy, retain_graph=True)

    def check():
        if torch is not None:
            expected = torch.autograd.grad(ty, tx, tdy, retain_graph=True)[0].numpy()
            _close(_backward(x, y, dy), expected, about)

    return Case(about, candidates, check)


def _backward(x, y, dy):
    x.grad = None
    y.backward(dy, retain_graph=True)
    return x.grad.data


def max_pool_backward() -> Case:
    """Backward of max pooling of 2 x 2."""
    return _backward_case(
        f"max pool 2x2 of {MAP}, backward",
        lambda x: F.max_pool2d(x, 2),
        lambda tx: torch.nn.functional.max_pool2d(tx, 2),
    )


def batch_norm() -> Case:
    """Batch norm in training, forward."""
    x, ours = _map(), nn.BatchNorm2d(64)
    t = fd.Tensor(x)
    theirs = None if torch is None else torch.nn.BatchNorm2d(64)

    def check():
        if theirs is not None:
            _close(ours(t).numpy(), theirs(_to_torch(x)).detach().numpy(), "batch norm")

    return _on_maps(
        f"batch norm of {MAP}, training, forward",
        x,
        _no_grad(lambda: ours(t)),
        lambda tx: torch.no_grad()(theirs)(tx),
        check,
    )


def batch_norm_backward() -> Case:
    """Batch norm in training, backward."""
    return _backward_case(
        f"batch norm of {MAP}, backward",
        nn.BatchNorm2d(64),
        None if torch is None else torch.nn.BatchNorm2d(64),
    )


def map_dropout(p: float) -> Case:
    """Dropout of the elements of a channels-last map."""
    x = _map()
    t = fd.Tensor(x)

    def check():
        fd.manual_seed(0)
        a = F.dropout(t, p).numpy()
        fd.manual_seed(0)
        b = F.dropout(np.ascontiguousarray(x), p).numpy()
        _require((a == b).all() and abs((a == 0).mean() - p) < 0.01, "dropout of maps")

    return _on_maps(
        f"dropout of a channels-last map {MAP}, p = {p}",
        x,
        _no_grad(lambda: F.dropout(t, p)),
        lambda tx: torch.nn.functional.dropout(tx, p),
        check,
    )


def map_channel_dropout() -> Case:
    """Dropout of whole channels of a channels-last map."""
    x = _map()
    t = fd.Tensor(x)
    return _on_maps(
        f"channel dropout of a channels-last map {MAP}, p = 0.2",
        x,
        _no_grad(lambda: F.dropout2d(t, 0.2)),
        lambda tx: torch.nn.functional.dropout2d(tx, 0.2),
        lambda: _require(
            abs((F.dropout2d(t, 0.2).numpy()[:, :, 0, 0] == 0).mean() - 0.2) < 0.05, "dropout2d"
        ),
    )


def map_block(p: float) -> Case:
    """DropBlock of a channels-last map."""
    x = _map()
    t = fd.Tensor(x)
    layer_ = nn.DropBlock2d(p, 7)

    def theirs(tx):
        """Random seeds where a block fits, grown to blocks by max pooling, normalised."""
        gamma = p / 49 * (32 * 32) / (26 * 26)
        seeds = torch.bernoulli(torch.full((64, 64, 26, 26), gamma))
        mask = 1 - torch.nn.functional.max_pool2d(torch.nn.functional.pad(seeds, [3] * 4), 7, 1, 3)
        return tx * mask * (mask.numel() / mask.sum())

    return _on_maps(
        f"DropBlock of a channels-last map {MAP}, p = {p}, block 7",
        x,
        _no_grad(lambda: layer_(t)),
        theirs,
        lambda: _require(abs((layer_(t).numpy() == 0).mean() - p) < 0.02, "DropBlock of maps"),
    )


# ---- networks ----


def small_cnn(n, dropout=None):
    """3-32-64-64-10 for 32 x 32 in the library n; dropout() makes the layer behind each ReLU."""
    maps = [] if dropout is None else [dropout]
    layers = []
    for before, after in ((3, 32), (32, 64), (64, 64)):
        layers += [n.Conv2d(before, after, 3, padding=1), n.ReLU(), *(make() for make in maps)]
        layers += [n.MaxPool2d(2)]
    return n.Sequential(*layers, n.Flatten(), n.Linear(64 * 16, 10))


def lenet(n, p=0.0):
    """LeNet-5 with dropout of the hidden dense layers."""
    drop = (lambda: [n.Dropout(p)]) if p else list
    return n.Sequential(
        n.Conv2d(1, 6, 5, padding=2),
        n.ReLU(),
        n.MaxPool2d(2),
        n.Conv2d(6, 16, 5),
        n.ReLU(),
        n.MaxPool2d(2),
        n.Flatten(),
        n.Linear(400, 120),
        n.ReLU(),
        *drop(),
        n.Linear(120, 84),
        n.ReLU(),
        *drop(),
        n.Linear(84, 10),
    )


def torch_resnet20(dropout=None):
    """ResNet-20 in PyTorch, the same network as `fastdrop.models.resnet20`."""
    n = torch.nn

    class Block(n.Module):
        def __init__(self, before, after, stride):
            super().__init__()
            self.conv1 = n.Conv2d(before, after, 3, stride, 1, bias=False)
            self.bn1 = n.BatchNorm2d(after)
            self.conv2 = n.Conv2d(after, after, 3, 1, 1, bias=False)
            self.bn2 = n.BatchNorm2d(after)
            self.relu = n.ReLU(inplace=True)
            self.drop = n.Identity() if dropout is None else dropout()
            self.downsample = None
            if stride != 1 or before != after:
                self.downsample = n.Sequential(
                    n.Conv2d(before, after, 1, stride, bias=False), n.BatchNorm2d(after)
                )

        def forward(self, x):
            around = x if self.downsample is None else self.downsample(x)
            y = self.drop(self.relu(self.bn1(self.conv1(x))))
            return self.relu(self.bn2(self.conv2(y)) + around)

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = n.Conv2d(3, 16, 3, 1, 1, bias=False), n.BatchNorm2d(16)
            self.relu = n.ReLU(inplace=True)
            before = 16
            for i, width in enumerate((16, 32, 64)):
                blocks = []
                for j in range(3):
                    blocks.append(Block(before, width, 2 if i > 0 and j == 0 else 1))
                    before = width
                setattr(self, f"layer{i + 1}", n.Sequential(*blocks))
            self.avgpool, self.fc = n.AdaptiveAvgPool2d(1), n.Linear(64, 10)

        def forward(self, x):
            y = self.relu(self.bn1(self.conv1(x)))
            y = self.layer3(self.layer2(self.layer1(y)))
            return self.fc(torch.flatten(self.avgpool(y), 1))

    return Net()


class _TorchDropPath:
    """Stochastic depth of rows, as torchvision computes it."""

    def __new__(cls, p):
        class Layer(torch.nn.Module):
            def forward(self, y):
                if not self.training or p == 0.0:
                    return y
                noise = torch.empty(len(y), *[1] * (y.dim() - 1)).bernoulli_(1 - p).div_(1 - p)
                return y * noise

        return Layer()


def torch_convnext(rate=0.0):
    """The network of `fastdrop.models.convnext_cifar` in PyTorch."""
    n = torch.nn

    class Permute(n.Module):
        def __init__(self, *order):
            super().__init__()
            self.order = order

        def forward(self, x):
            return x.permute(self.order)

    class Norm(n.LayerNorm):
        def forward(self, x):
            return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    class Block(n.Module):
        def __init__(self, c, p):
            super().__init__()
            self.layer_scale = n.Parameter(torch.full((c, 1, 1), 1e-6))
            self.block = n.Sequential(
                n.Conv2d(c, c, 7, padding=3, groups=c),
                Permute(0, 2, 3, 1),
                n.LayerNorm(c, eps=1e-6),
                n.Linear(c, 4 * c),
                n.GELU(),
                n.Linear(4 * c, c),
                Permute(0, 3, 1, 2),
            )
            self.path = _TorchDropPath(p)

        def forward(self, x):
            return x + self.path(self.layer_scale * self.block(x))

    rates, parts, before = iter(nn.drop_path_rates(rate, 9)), [], 3
    for i, c in enumerate((40, 80, 160)):
        if i:
            parts.append(n.Sequential(Norm(before, eps=1e-6), n.Conv2d(before, c, 2, 2)))
        else:
            parts.append(n.Sequential(n.Conv2d(3, c, 2, 2), Norm(c, eps=1e-6)))
        parts.append(n.Sequential(*(Block(c, next(rates)) for _ in range(3))))
        before = c
    head = (n.AdaptiveAvgPool2d(1), Norm(160, eps=1e-6), n.Flatten(), n.Linear(160, 10))
    return n.Sequential(*parts, *head)


def _image_step(model, x, y):
    """A training step of a network for images, of either library."""
    if torch is not None and isinstance(model, torch.nn.Module):
        return cases.training_step(model.to(memory_format=torch.channels_last), x, y)
    return cases.training_step(model, x, y)


def _step_case(about, x, y, without, variants, theirs) -> Case:
    """Training steps without dropout and with each variant, and PyTorch's."""
    candidates = {"fastdrop, no dropout": _image_step(without, x, y)}
    for name, model in variants.items():
        candidates[f"fastdrop, {name}"] = _image_step(model, x, y)
    for name, model in theirs.items():
        candidates[f"PyTorch, {name}"] = _image_step(model, x, y)

    def check():
        for name, step in candidates.items():
            _require(np.isfinite([step() for _ in range(3)]).all(), f"{about}, {name}")

    return Case(about, candidates, check, least=STEADY)


def _images(batch, channels, size):
    return _floats(batch, channels, size, size), np.random.default_rng(1).integers(0, 10, batch)


def step_small() -> Case:
    """A training step of 3-32-64-64-10 on 64 images of 32 x 32."""
    x, y = _images(64, 3, 32)
    theirs = {}
    if torch is not None:
        n = torch.nn
        theirs = {
            "no dropout": small_cnn(n),
            "element": small_cnn(n, lambda: n.Dropout(0.5)),
            "channel": small_cnn(n, lambda: n.Dropout2d(0.2)),
        }
    return _step_case(
        "training step of 3-32-64-64-10, 64 images of 32 x 32",
        x,
        y,
        small_cnn(nn),
        {
            "element": small_cnn(nn, lambda: nn.Dropout(0.5)),
            "channel": small_cnn(nn, lambda: nn.Dropout2d(0.2)),
            "DropBlock": small_cnn(nn, lambda: nn.DropBlock2d(0.1, 7)),
        },
        theirs,
    )


def step_resnet20() -> Case:
    """A training step of resnet20, batch 128."""
    x, y = _images(128, 3, 32)
    build = fd.models.resnet20
    theirs = {}
    if torch is not None:
        n = torch.nn
        theirs = {
            "no dropout": torch_resnet20(),
            "channel": torch_resnet20(lambda: n.Dropout2d(0.2)),
        }
    return _step_case(
        "training step of resnet20, batch 128",
        x,
        y,
        build(),
        {
            "channel": build(channel_dropout=0.2),
            "DropBlock": build(drop_block=0.1, block_size=5),
            "DropPath 0.2": build(drop_path_rate=0.2),
        },
        theirs,
    )


def step_lenet() -> Case:
    """A training step of LeNet-5, batch 128."""
    x, y = _images(128, 1, 28)
    theirs = {}
    if torch is not None:
        theirs = {"no dropout": lenet(torch.nn), "element": lenet(torch.nn, 0.5)}
    return _step_case(
        "training step of LeNet-5, batch 128", x, y, lenet(nn), {"element": lenet(nn, 0.5)}, theirs
    )


def step_convnext() -> Case:
    """A training step of a ConvNeXt of 1 M weights, batch 64."""
    x, y = _images(64, 3, 32)
    theirs = {}
    if torch is not None:
        theirs = {"no dropout": torch_convnext(), "DropPath 0.2": torch_convnext(0.2)}
    return _step_case(
        "training step of a ConvNeXt of 1 M weights, batch 64",
        x,
        y,
        fd.models.convnext_cifar(),
        {"DropPath 0.2": fd.models.convnext_cifar(drop_path_rate=0.2)},
        theirs,
    )


def monte_carlo_lenet() -> Case:
    """50 Monte Carlo passes of LeNet-5 with dropout, one image."""
    model, x = lenet(nn, 0.5).eval(), _images(1, 1, 28)[0]
    candidates = {"fastdrop": lambda: fd.mc_predict(model, x, SAMPLES, seed=1)}
    if torch is not None:
        theirs = lenet(torch.nn, 0.5)
        theirs.load_state_dict(
            {name: torch.from_numpy(array.copy()) for name, array in model.state_dict().items()}
        )
        theirs.train()
        tx = torch.from_numpy(x)

        def loop():
            with torch.inference_mode():
                return torch.stack([theirs(tx).softmax(-1) for _ in range(SAMPLES)]).mean(0)

        candidates["PyTorch"] = loop

    def check():
        ours = fd.mc_predict(model, x, 4000, seed=1).mean
        if torch is not None:
            with torch.inference_mode():
                many = torch.stack([theirs(tx).softmax(-1) for _ in range(4000)]).mean(0)
            _require(np.abs(ours - many.numpy()).max() < 0.02, "Monte Carlo passes of LeNet-5")

    return Case(
        f"{SAMPLES} Monte Carlo passes of LeNet-5, one image", candidates, check, least=STEADY
    )
