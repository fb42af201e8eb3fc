"""Recorded steps that choose elements: masks, places, comparisons, orders."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.nn import functional as F
from helpers.recorded import CALLS, USUAL, Trained, batches, refused, same

KEPT = np.arange(12) % 3 > 0


class Chosen(nn.Module):
    """A network with a function of its hidden units h (12, 12), and of the input x (12, 6)."""

    def __init__(self, function):
        super().__init__()
        self.first, self.last = nn.Linear(6, 12), nn.Linear(12, 3)
        self.drop = nn.Dropout(0.2)
        self.register_buffer("kept", fd.tensor(KEPT))
        self.function = function

    def forward(self, x):
        return self.last(self.drop(self.function(self.first(x), x, self)))


def labels(x):
    """Places in [0, 6) that depend on the batch."""
    return (fd.tensor(x).abs() * 2).to(fd.int64).clamp(0, 5)


def products(h):
    return fd.tanh(h @ h.transpose(1, 2) @ h * 0.1).reshape(12, 12)


def shuffled(h):
    return F.pixel_unshuffle(F.pixel_shuffle(h, 2) * 2, 2)


FUNCTIONS = {
    "where": lambda h, x, m: fd.where(h > 0, h, 0.1 * h),
    "where of two": lambda h, x, m: fd.where(h > h.mean(1, keepdim=True), h, h.T),
    "where of a method": lambda h, x, m: h.where(fd.tensor(x[:, :1]) > 0, 0.5),
    "where of integers": lambda h, x, m: h * fd.where(labels(x) > 1, 2, labels(x))[:, :1],
    "masked_fill": lambda h, x, m: h.masked_fill(m.kept, 0.5),
    "masked_fill of a comparison": lambda h, x, m: fd.masked_fill(h, h.le(0) & m.kept, -1),
    "masked_fill of integers": lambda h, x, m: h * labels(x).masked_fill(labels(x) < 2, 3)[:, :1],
    "a product with a mask": lambda h, x, m: h * (h > 0),
    "logic": lambda h, x, m: h * fd.logical_or(h > 1, fd.logical_not(fd.isnan(h))) * ~(h < -1),
    "gather": lambda h, x, m: h + fd.gather(h, 1, labels(x))[:, :1],
    "gather of rows": lambda h, x, m: fd.gather(h, 0, fd.argsort(h, 0)),
    "take": lambda h, x, m: h + fd.take(h, labels(x) - 3).mean(),
    "take_along_dim": lambda h, x, m: fd.take_along_dim(h, fd.argsort(h, 1, descending=True), 1),
    "scatter": lambda h, x, m: fd.scatter(h, 1, labels(x), 2.0 * h),
    "scatter of a tensor without axes": lambda h, x, m: fd.scatter(h, 1, labels(x), h.mean()),
    "scatter_add": lambda h, x, m: fd.scatter_add(h, 1, labels(x), h),
    "index_select": lambda h, x, m: h.index_select(0, labels(x)[:, 0]),
    "index_add": lambda h, x, m: fd.index_add(h, 0, labels(x)[:, 0], h, alpha=0.5),
    "an index": lambda h, x, m: h[labels(x)[:, 1]] + h[:, [0, 2] * 6],
    "places in two axes": lambda h, x, m: h + h[labels(x)[:, 0], labels(x)[:, 1]].reshape(-1, 1),
    "topk": lambda h, x, m: h - h.topk(4, 1).values[:, -1:],
    "topk as places": lambda h, x, m: F.one_hot(h.topk(1).indices.squeeze(1), 12) * h,
    "sort": lambda h, x, m: fd.sort(h, descending=True).values,
    "kthvalue": lambda h, x, m: h - fd.kthvalue(h, 3, 1, keepdim=True).values,
    "max": lambda h, x, m: h - h.max(1, keepdim=True).values + h.argmax(1).reshape(-1, 1) * 0.1,
    "amin": lambda h, x, m: h - fd.amin(h, 1, True) - fd.amax(h),
    "a conversion": lambda h, x, m: h * h.to(fd.int64).to(fd.float32),
    "any": lambda h, x, m: h * fd.any(h > 0, 1, keepdim=True) * fd.all(h < 9) + (h > 1).sum() * 0.1,
    "counts": lambda h, x, m: h * (h > 1).count_nonzero(1).reshape(-1, 1),
    "isin": lambda h, x, m: h * fd.isin(labels(x), [1, 2])[:, :1],
    "median": lambda h, x, m: h - h.median(1).values.reshape(-1, 1) - h.median(),
    "std": lambda h, x, m: h / (h.std(1, keepdim=True) + 1),
    "prelu": lambda h, x, m: F.prelu(h, m.first.bias),
    "pad": lambda h, x, m: F.pad(h[:, 2:-1], (2, 1), value=0.5),
    "pad by reflection": lambda h, x, m: F.pad(h[:, 2:-1], (2, 1), mode="reflect"),
    "a product with a vector": lambda h, x, m: h * (h @ m.first.bias).reshape(-1, 1),
    "products of stacks": lambda h, x, m: products(h.reshape(3, 4, 12)),
    "local_response_norm": lambda h, x, m: F.local_response_norm(h[:, :, None], 2)[:, :, 0],
    "pixel_shuffle": lambda h, x, m: shuffled(h.reshape(12, 12, 1, 1)).reshape(12, 12),
    "penalties": lambda h, x, m: (
        h * F.activation_regularization(h) + F.temporal_activation_regularization(h)
    ),
    "bits": lambda h, x, m: h * fd.bitwise_xor(h > 0, h > 0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    same(USUAL, make=lambda: Trained(lambda: Chosen(FUNCTIONS[name])))


REFUSED = {
    "an array as a mask": (lambda h, x, m: fd.where(KEPT, h, 0.0), "a mask that is an array"),
    "an array as places": (lambda h, x, m: h.index_select(1, np.arange(12)), "places that is an"),
    "an array as an index": (lambda h, x, m: h[:, np.arange(12)], "an index that is an array"),
    "an own mask of the batch": (lambda h, x, m: fd.where(x[:, :1] > 0, h, 0.0), "a mask that is"),
    "masked_select": (lambda h, x, m: h + fd.masked_select(h, h > 0).mean(), "masked_select"),
    "a mask as an index": (lambda h, x, m: h + h[h > 0].mean(), "a mask as an index"),
    "nonzero": (lambda h, x, m: h * len(fd.nonzero(h > 0)), "the places of nonzero elements"),
    "a decision": (lambda h, x, m: h if (h > 0).any() else -h, "truth value"),
    "random numbers": (lambda h, x, m: h * fd.rand_like(h), "draws random tensors"),
    "a number": (lambda h, x, m: h * int(h.argmax()), "int()"),
    "allclose": (lambda h, x, m: h * fd.allclose(h, h), "a comparison"),
    "text": (lambda h, x, m: h * len(repr(h > 0)), "as text"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_functions_that_are_refused(name):
    function, message = REFUSED[name]
    refused(message, make=lambda: Trained(lambda: Chosen(function)))


def test_masks_and_places_that_are_arguments():
    class Masked(Trained):
        def step(self, x, y, mask, places):
            self.optimizer.zero_grad()
            h = self.model[0](x)
            h = fd.gather(fd.where(mask, h, -h), 1, places)[:, :3] + h.index_select(
                1, places[0, :3]
            )
            loss = F.cross_entropy(h, y)
            loss.backward()
            self.optimizer.step()
            return loss, (h.argmax(1) == y).float().mean()

    def trained(recorded):
        fd.manual_seed(1)
        rng, made = np.random.default_rng(0), Masked()
        step = fd.record(made.step) if recorded else made.step
        found = []
        for x, y in batches():
            result = step(x, y, rng.random((12, 12)) > 0.5, rng.integers(0, 12, (12, 12)))
            found.append([t.item() for t in result])
        return found, [p.tolist() for p in made.model.parameters()], step

    expected, found = trained(False), trained(True)
    assert found[:2] == expected[:2] and found[2].replays == CALLS - 3


def test_places_are_checked_in_replays():
    step = fd.record(lambda x, places: fd.gather(x, 1, places))
    x, rng = np.ones((2, 3), np.float32), np.random.default_rng(0)
    for _ in range(6):
        step(rng.random((2, 3), np.float32), rng.integers(0, 3, (2, 3)))
    assert step.replays == 4
    with pytest.raises(IndexError, match=r"index must lie in \[0, 3\), got 0 to 3"):
        step(x, np.array([[0, 1, 2], [3, 0, 0]]))
