"""Cases of the members of the dropout family other than plain dropout.

Each is compared with a scaled copy (or the plain product) and with its usual form in PyTorch.
"""

from __future__ import annotations

import numpy as np

import fastdrop as fd
from fastdrop import _core, nn
from fastdrop import kernels as K
from fastdrop.bench import cases
from fastdrop.bench.cases import Case

torch = cases.torch()


def _floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def _require(good, what):
    if not good:
        raise RuntimeError(f"{what} gives wrong results")


def _elementwise(about, x, ours, check, theirs) -> Case:
    """Compare ``ours(x, out)`` with a scaled copy, and with ``theirs(tensor)`` of PyTorch."""
    y, copy = np.empty_like(x), np.empty_like(x)
    candidates = {"fastdrop": lambda: ours(x, y), "scaled copy": lambda: _core.scale(copy, x, 2.0)}
    if torch is not None:
        tx = torch.from_numpy(x)
        candidates["PyTorch"] = lambda: theirs(tx)
    return Case(about, candidates, lambda: _require(check(ours(x, np.empty_like(x))), about))


def _rate(y, p) -> bool:
    return abs((y == 0).mean() - p) < 0.01


def spatial() -> Case:
    """Dropout of whole channels (spatial dropout)."""
    return _elementwise(
        "spatial dropout 64x64x32x32, p = 0.2",
        _floats(64, 64, 32, 32),
        lambda x, y: K.spatial_dropout(x, 0.2, seed=1, out=y),
        lambda y: _rate(y, 0.2) or abs((y[:, :, 0, 0] == 0).mean() - 0.2) < 0.05,
        lambda t: torch.nn.functional.dropout2d(t, 0.2),
    )


def alpha() -> Case:
    """Alpha dropout."""
    return _elementwise(
        "alpha dropout 4096x4096, p = 0.1",
        _floats(4096, 4096),
        lambda x, y: K.alpha_dropout(x, 0.1, seed=1, out=y),
        lambda y: abs(y.mean()) < 0.01 and abs(y.var() - 1) < 0.01,
        lambda t: torch.nn.functional.alpha_dropout(t, 0.1, training=True),
    )


def gaussian() -> Case:
    """Gaussian dropout."""
    return _elementwise(
        "Gaussian dropout 4096x4096, p = 0.2",
        _floats(4096, 4096),
        lambda x, y: K.gaussian_dropout(x, 0.2, seed=1, out=y),
        lambda y: abs(y.var() - 1.25) < 0.01,
        lambda t: t * torch.normal(1.0, 0.5, t.shape),
    )


def path() -> Case:
    """Stochastic depth (DropPath)."""
    return _elementwise(
        "DropPath 256x196x384, p = 0.2",
        _floats(256, 196, 384),
        lambda x, y: K.drop_path(x, 0.2, seed=1, out=y),
        lambda y: abs((y[:, 0, 0] == 0).mean() - 0.2) < 0.15,
        lambda t: t * torch.empty(len(t), 1, 1).bernoulli_(0.8).div_(0.8),
    )


def block() -> Case:
    """DropBlock."""
    p, b = 0.1, 7

    def theirs(t):
        """Random seeds where a block fits, grown to blocks by max pooling, normalised."""
        n, c, h, w = t.shape
        gamma = p / b**2 * (h * w) / ((h - b + 1) * (w - b + 1))
        seeds = torch.bernoulli(torch.full((n, c, h - b + 1, w - b + 1), gamma))
        mask = 1 - torch.nn.functional.max_pool2d(
            torch.nn.functional.pad(seeds, [b // 2] * 4), b, 1, b // 2
        )
        return t * mask * (mask.numel() / mask.sum())

    return _elementwise(
        "DropBlock 64x64x32x32, p = 0.1, block 7",
        _floats(64, 64, 32, 32),
        lambda x, y: K.dropblock(x, p, b, seed=1, out=y),
        lambda y: 0.085 < (y == 0).mean() < 0.115,
        theirs,
    )


def concrete() -> Case:
    """Concrete dropout."""

    def theirs(t):
        u = torch.rand_like(t)
        z = torch.sigmoid(
            (float(np.log(0.2 / 0.8)) + torch.log(u + 1e-7) - torch.log(1 - u + 1e-7)) / 0.1
        )
        return t * (1 - z) / 0.8

    array = _floats(1024, 1024)
    return _elementwise(
        "concrete dropout 1024x1024, p = 0.2",
        array,
        lambda x, y: K.concrete_dropout(x, 0.2, seed=1, out=y),
        lambda y: abs((np.abs(y) < 0.5 / 0.8 * np.abs(array)).mean() - 0.2) < 0.01,
        theirs,
    )


def _connect(per_sample: bool) -> Case:
    x, w, p = _floats(128, 1024), _floats(1024, 1024, seed=1) / np.float32(32), 0.5
    y = np.empty((128, 1024), np.float32)
    candidates = {
        "fastdrop": lambda: K.dropconnect_linear(x, w, p=p, per_sample=per_sample, seed=1, out=y),
        "plain product": lambda: K.matmul(x, w.T, out=y),
    }
    if torch is not None:
        tx, tw = torch.from_numpy(x), torch.from_numpy(w)
        if per_sample:
            candidates["PyTorch"] = lambda: torch.einsum(
                "ni,noi->no",
                tx,
                tw * torch.bernoulli(torch.full((128, 1024, 1024), 1 - p)) / (1 - p),
            )
        else:
            candidates["PyTorch"] = lambda: torch.nn.functional.linear(
                tx, torch.nn.functional.dropout(tw, p)
            )

    def check():
        kept = K.dropconnect_mask(1024, 1024, p, samples=2 if per_sample else None, seed=1)
        expected = np.einsum(
            "ni,noi->no", x[:2].astype(np.float64), np.broadcast_to(2 * kept * w, (2, 1024, 1024))
        )
        _require(
            np.abs(
                K.dropconnect_linear(x[:2], w, p=p, per_sample=per_sample, seed=1) - expected
            ).max()
            < 1e-3,
            "DropConnect",
        )

    return Case(
        f"DropConnect, one mask a {'sample' if per_sample else 'pass'}, 128x1024x1024, p = 0.5",
        candidates,
        check,
    )


def connect_pass() -> Case:
    """DropConnect with one mask for each pass."""
    return _connect(False)


def connect_sample() -> Case:
    """DropConnect with one mask for each sample."""
    return _connect(True)


def sparse(batch: int) -> Case:
    """A layer with 90 % of its weights 0."""
    rng = np.random.default_rng(0)
    w, x = _floats(1024, 1024) * (rng.random((1024, 1024)) < 0.1), _floats(batch, 1024, seed=1)
    y, layer = np.empty((batch, 1024), np.float32), nn.SparseLinear.from_dense(w)
    arguments = layer.values.data, layer.columns, layer.starts
    candidates = {
        "fastdrop": lambda: K.sparse_linear(x, *arguments, out=y),
        "plain product": lambda: K.matmul(x, w.T, out=y),
    }
    if torch is not None:
        tx, tw = torch.from_numpy(x), torch.from_numpy(w)
        candidates["PyTorch, dense"] = lambda: torch.nn.functional.linear(tx, tw)
    return Case(
        f"sparse layer, 90 % zeros, {batch}x1024x1024",
        candidates,
        lambda: _require(
            np.abs(K.sparse_linear(x, *arguments) - x.astype(np.float64) @ w.T).max() < 1e-3,
            "the sparse layer",
        ),
    )


def residual() -> Case:
    """A residual branch of two layers at p = 0.5: half of the rows are not computed."""
    x = _floats(256, 1024)

    def branch():
        return nn.Sequential(nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 1024))

    residual_, plain, path_ = nn.Residual(branch(), 0.5), branch(), nn.DropPath(0.5)
    plain.load_state_dict(residual_.branch.state_dict())
    candidates = {
        "fastdrop": lambda: residual_(x),
        "all rows computed": lambda: path_(plain(x)) + x,
    }

    def check():
        residual_.draw = path_.draw = 0
        with fd.mask_state(instance=0):  # two models have masks of their own
            _require(
                np.abs(residual_(x).data - (path_(plain(x)).data + x)).max() < 1e-4, "Residual"
            )

    return Case("Residual of two layers of 1024, batch 256, p = 0.5, forward", candidates, check)
