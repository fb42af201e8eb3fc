"""Cases of convolutions and of the layers between them, alone.

PyTorch computes in its channels-last format, which is the faster one on every shape here.
"""

from __future__ import annotations

import numpy as np

import fastdrop as fd
from fastdrop import _core, nn
from fastdrop.bench import cases
from fastdrop.bench.cases import Case
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


def floats(*shape, seed=0):
    """Standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def require(good, what):
    """Raise unless `good`."""
    if not good:
        raise RuntimeError(f"{what} gives wrong results")


def _close(ours, theirs, what, tolerance=1e-4):
    require(np.abs(ours - theirs).max() <= tolerance * max(1.0, np.abs(theirs).max()), what)


def _last(array):
    """(N, C, H, W) as the memory (N, H, W, C)."""
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


def _to_torch(array):
    """A map as PyTorch's tensor in its channels-last format."""
    return torch.from_numpy(array).contiguous(memory_format=torch.channels_last)


def layer(name: str, kind: str, algorithm: str) -> Case:
    """A convolution alone: `kind` is "forward", "data" or "weight"."""
    n, c, o, size, kernel, stride, pad, groups = LAYERS[name]
    x, w = floats(n, c, size, size), floats(o, c // groups, kernel, kernel, seed=1)
    out = (size + 2 * pad - kernel) // stride + 1
    dy = floats(n, o, out, out, seed=2)
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
    return _last(floats(*MAP, seed=seed)).transpose(0, 3, 1, 2)


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
        lambda: require((F.max_pool2d(t, 2).numpy() == expected).all(), "max pool"),
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
        require((a == b).all() and abs((a == 0).mean() - p) < 0.01, "dropout of maps")

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
        lambda: require(
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
        # blocks overlap, so fewer than p are dropped
        lambda: require(
            abs((layer_(t).numpy() == 0).mean() - (1 - np.exp(-p))) < 0.02, "DropBlock of maps"
        ),
    )
