"""Cases of convolutional networks: training steps and Monte Carlo passes.

PyTorch computes in its channels-last format, which is the faster one on every shape here.
"""

from __future__ import annotations

import numpy as np

import fastdrop as fd
from benchmarks.convolution import floats, require
from fastdrop import nn
from fastdrop.bench import cases
from fastdrop.bench.cases import SAMPLES, STEADY, Case

torch = cases.torch()


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
            require(np.isfinite([step() for _ in range(3)]).all(), f"{about}, {name}")

    return Case(about, candidates, check, least=STEADY)


def _images(batch, channels, size):
    return floats(batch, channels, size, size), np.random.default_rng(1).integers(0, 10, batch)


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
            require(np.abs(ours - many.numpy()).max() < 0.02, "Monte Carlo passes of LeNet-5")

    return Case(
        f"{SAMPLES} Monte Carlo passes of LeNet-5, one image", candidates, check, least=STEADY
    )
