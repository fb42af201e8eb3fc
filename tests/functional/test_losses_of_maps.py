"""Cross-entropy and likelihood of maps and with labels that are left out, against PyTorch."""

import itertools

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.nn import functional as F

torch = pytest.importorskip("torch")

SHAPES = [(6, 5), (3, 4, 7), (2, 5, 3, 4), (2, 3, 2, 2, 3), (0, 4, 2)]


def compare(name, x, target, last, **options):
    array = x.copy()
    if last and x.ndim > 2:
        array = np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    t = fd.Tensor(array)
    t.requires_grad = True
    ours = getattr(F, name)(t, target, **options)
    tx = torch.from_numpy(x.copy()).requires_grad_()
    if "weight" in options:
        options["weight"] = torch.from_numpy(options["weight"])
    theirs = getattr(torch.nn.functional, name)(tx, torch.from_numpy(target), **options)
    assert ours.shape == tuple(theirs.shape)
    assert np.allclose(ours.numpy(), theirs.detach().numpy(), 1e-5, 1e-5, equal_nan=True)
    if ours.numpy().size and np.isfinite(ours.numpy()).all():
        ours.sum().backward()
        theirs.sum().backward()
        assert np.allclose(t.grad.numpy(), tx.grad.numpy(), 1e-4, 1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("last", [False, True])
def test_labels(shape, last):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape).astype(np.float32) * 3
    target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    weight = rng.uniform(0.5, 2, shape[1]).astype(np.float32)
    for reduction, weights, smooth, ignored in itertools.product(
        ("mean", "sum", "none"), ({}, {"weight": weight}), (0.0, 0.2), (None, 1, -100)
    ):
        t = target.copy()
        if ignored is not None and t.size:
            t.reshape(-1)[::3] = ignored
        options = {"reduction": reduction, **weights}
        if ignored is not None:
            options["ignore_index"] = ignored
        compare("cross_entropy", x, t, last, label_smoothing=smooth, **options)
        if smooth == 0.0:
            compare("nll_loss", x, t, last, **options)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("last", [False, True])
def test_probabilities(shape, last):
    rng = np.random.default_rng(1)
    x = rng.standard_normal(shape).astype(np.float32)
    target = rng.uniform(0.1, 1, shape).astype(np.float32)
    weight = rng.uniform(0.5, 2, shape[1]).astype(np.float32)
    for reduction, weights, smooth in itertools.product(
        ("sum", "none"), ({}, {"weight": weight}), (0.0, 0.2)
    ):
        compare(
            "cross_entropy", x, target, last, reduction=reduction, label_smoothing=smooth, **weights
        )


def test_all_labels_left_out():
    x = np.ones((3, 4), np.float32)
    assert np.isnan(F.cross_entropy(x, [7, 7, 7], ignore_index=7).item())
    assert F.cross_entropy(x, [7, 7, 7], reduction="sum", ignore_index=7).item() == 0.0


def test_wrong_targets():
    x = np.ones((2, 3, 4), np.float32)
    with pytest.raises(ValueError, match="target must have shape"):
        F.cross_entropy(x, np.zeros((2, 5), np.int64))
    with pytest.raises(ValueError, match="class numbers from 0 to 2"):
        F.cross_entropy(x, np.full((2, 4), 3))
    with pytest.raises(ValueError, match="target must be one class number"):
        F.cross_entropy(np.ones(3), [0, 0, 0])
    with pytest.raises(ValueError, match="input must have shape"):
        F.cross_entropy(np.ones(()), 0)
