"""DropConnect: kernels, layer, gradients, Gaussian inference, errors."""

import functools
import itertools
import math

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn
from fastdrop.nn import functional as F
from helpers import mask_reference as reference

pytestmark = pytest.mark.filterwarnings("ignore:mc_predict computes the passes")

RNG = np.random.default_rng(0)
WHERE = dict(seed=9, site=2, draw=3, call=1)


@functools.cache
def masks(n, outs, ins, p, row0=0, per_sample=True, **where):
    """(n, outs, ins) keep masks by the contract; the same for all samples with one mask a pass."""
    rows = range(row0, row0 + n) if per_sample else [2**32 - 1]
    found = np.array(
        [
            [reference.keep_mask([row], ins, p, sub=o, **where)[0] for o in range(outs)]
            for row in rows
        ]
    ).reshape(len(rows), outs, ins)
    return np.broadcast_to(found, (n, outs, ins))


def exact(x, w, b, kept, p, kept_bias=None):
    """(values, sums of absolute terms) in float64."""
    scale = float(reference.keep_scale(p))
    bias = 0 if b is None else b if kept_bias is None else kept_bias * b * scale
    terms = kept * w.astype(np.float64) * x.astype(np.float64)[:, None, :] * scale
    return terms.sum(2) + bias, np.abs(terms).sum(2) + np.abs(bias)


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("mask_bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 37, 150), (9, 20, 128), (5, 3, 7), (20, 17, 140)], ids=str)
def test_dropconnect_linear_equals_float64_sums(
    per_sample, mask_bias, shape, isa, each_thread_count
):
    n, outs, ins = shape
    x, w, b = (RNG.standard_normal(s).astype(np.float32) for s in ((n, ins), (outs, ins), outs))
    for p in (0.5, 0.3, 0.0, 1.0):
        kept = masks(n, outs, ins + 1, p, row0=4, per_sample=per_sample, **WHERE)
        wide, bound = exact(x, w, b, kept[..., :ins], p, kept[..., ins] if mask_bias else None)
        first = None
        for _ in each_thread_count():
            y = K.dropconnect_linear(
                x, w, b, p=p, per_sample=per_sample, mask_bias=mask_bias, row0=4, **WHERE
            )
            assert (np.abs(y - wide) <= 2e-6 * bound + 1e-6).all()
            first = y if first is None else first
            np.testing.assert_array_equal(y, first)
    if n > 2:
        part = K.dropconnect_linear(
            x[2:], w, b, p=0.3, per_sample=per_sample, mask_bias=mask_bias, row0=6, **WHERE
        )
        whole = K.dropconnect_linear(
            x, w, b, p=0.3, per_sample=per_sample, mask_bias=mask_bias, row0=4, **WHERE
        )
        np.testing.assert_array_equal(part, whole[2:])
        listed = K.dropconnect_linear(
            x[[2, 0]],
            w,
            b,
            p=0.3,
            per_sample=per_sample,
            mask_bias=mask_bias,
            rows=np.array([6, 4]),
            **WHERE,
        )
        np.testing.assert_array_equal(listed, whole[[2, 0]])


def test_dropconnect_mask_follows_the_contract():
    np.testing.assert_array_equal(
        K.dropconnect_mask(5, 200, 0.3, samples=3, row0=4, **WHERE),
        masks(3, 5, 200, 0.3, row0=4, **WHERE),
    )
    np.testing.assert_array_equal(
        K.dropconnect_mask(5, 200, 0.3, **WHERE),
        masks(1, 5, 200, 0.3, per_sample=False, **WHERE)[0],
    )


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("mask_bias", [False, True])
def test_layer_and_gradients(per_sample, mask_bias, isa, each_thread_count):
    n, outs, ins, p = 7, 21, 130, 0.4
    layer = nn.DropConnectLinear(ins, outs, p=p, per_sample=per_sample, mask_bias=mask_bias)
    x, g = (
        RNG.standard_normal((n, ins)).astype(np.float32),
        RNG.standard_normal((n, outs)).astype(np.float32),
    )
    w, b = layer.weight.data, layer.bias.data
    kept = masks(n, outs, ins + 1, p, per_sample=per_sample, seed=0, draw=3)
    scale = float(reference.keep_scale(p))
    masked = kept[..., :ins] * scale
    for _ in each_thread_count():
        t = fd.tensor(x, requires_grad=True)
        layer.zero_grad()
        with fd.mask_state(draw=3):
            y = layer(t)
        wide, _ = exact(x, w, b, kept[..., :ins], p, kept[..., ins] if mask_bias else None)
        np.testing.assert_allclose(y.data, wide, atol=1e-5)
        y.backward(g)
        np.testing.assert_allclose(t.grad.data, np.einsum("no,noi,oi->ni", g, masked, w), atol=1e-5)
        np.testing.assert_allclose(
            layer.weight.grad.data, np.einsum("no,noi,ni->oi", g, masked, x), atol=1e-4
        )
        np.testing.assert_allclose(
            layer.bias.grad.data,
            (g * (kept[..., ins] * scale if mask_bias else 1)).sum(0),
            atol=1e-5,
        )
    np.testing.assert_array_equal(layer.eval()(x).data, F.linear(x, w, b).data)
    assert fd.mc_predict(layer, x, 5, output="raw").std.max() > 0
    same = nn.Linear(ins, outs)
    same.load_state_dict(layer.state_dict())


def test_expectation_over_masks():
    """All 2^8 masks of one output, weighted: W x + b."""
    x, w, p = RNG.standard_normal((1, 8)), RNG.standard_normal((1, 8)), 0.3
    total = sum(
        p ** (8 - sum(m))
        * (1 - p) ** sum(m)
        * exact(x, w, None, np.array(m).reshape(1, 1, 8), p)[0]
        for m in itertools.product((0, 1), repeat=8)
    )
    np.testing.assert_allclose(total, x @ w.T, rtol=1e-6)
    drawn = np.mean([K.dropconnect_linear(x, w, p=p, per_sample=True, draw=d) for d in range(4000)])
    spread = math.sqrt(p / (1 - p) * ((x * w) ** 2).sum() / 4000)
    assert abs(drawn - (x @ w.T).item()) < 6 * spread


def test_wrong_arguments_are_refused():
    x, w = np.zeros((2, 3), np.float32), np.zeros((4, 3), np.float32)
    for call, word in (
        (lambda: K.dropconnect_linear(x, w[:, :2], p=0.5), "x must"),
        (lambda: K.dropconnect_linear(x, w, np.zeros(3), p=0.5), "b must"),
        (lambda: K.dropconnect_linear(x, w, p=1.5), "p must"),
        (lambda: K.dropconnect_linear(x, w, p=0.5, sub=1), "sub must"),
        (lambda: K.dropconnect_linear(x, w, p=0.5, per_sample=1), "per_sample must"),
        (lambda: K.dropconnect_linear(x > 0, w, p=0.5), "x must"),
        (lambda: nn.DropConnectLinear(3, 4, p="a"), "p must"),
        (lambda: nn.DropConnectLinear(3, 4, inference="mean"), "inference must"),
        (lambda: nn.DropConnectLinear(3, 4)(np.zeros((2, 5), np.float32)), "input must"),
        (lambda: F.dropconnect_gaussian(x, w, p=1.0), "p must"),
        (lambda: nn.TargetedLinear(3, 4, kind="layer"), "kind must"),
        (lambda: nn.TargetedLinear(3, 4, targeted=2.0), "targeted must"),
        (lambda: nn.WeightDrop(nn.Linear(3, 4), "wieght"), "weights must"),
        (lambda: nn.WeightDrop(nn.Linear(3, 4), ()), "weights must"),
        (lambda: nn.WeightDrop(3), "module must"),
    ):
        with pytest.raises((TypeError, ValueError), match=word):
            call()
    for empty in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        n, ins, outs = empty
        for per_sample in (False, True):
            y = K.dropconnect_linear(
                np.zeros((n, ins), np.float32),
                np.zeros((outs, ins), np.float32),
                np.ones(outs, np.float32),
                p=0.5,
                per_sample=per_sample,
            )
            assert y.shape == (n, outs) and (y == 1).all()


@pytest.mark.parametrize("mask_bias", [False, True])
def test_gaussian_inference(mask_bias):
    """A unit's input has the mean and variance that many masks give.

    The averaged activation is that of the normal distribution, within its standard error.
    """
    x, w, b, p = (
        RNG.standard_normal((3, 400)).astype(np.float32),
        RNG.standard_normal((5, 400)).astype(np.float32) / 20,
        RNG.standard_normal(5).astype(np.float32),
        0.4,
    )
    passes = np.array(
        [
            K.dropconnect_linear(x, w, b, p=p, per_sample=True, mask_bias=mask_bias, draw=d)
            for d in range(3000)
        ]
    )
    mean = x @ w.T + b
    variance = p / (1 - p) * ((x**2) @ (w**2).T + (b**2 if mask_bias else 0))
    np.testing.assert_allclose(passes.mean(0), mean, atol=6 * math.sqrt(variance.max() / 3000))
    np.testing.assert_allclose(passes.var(0), variance, rtol=0.2)
    np.testing.assert_allclose(
        F.dropconnect_gaussian(x, w, b, p, mask_bias=mask_bias).data, mean, atol=1e-5
    )
    y = F.dropconnect_gaussian(x, w, b, p, "relu", 2000, mask_bias=mask_bias, seed=3).data
    deviation = np.sqrt(variance)
    density, below = (
        np.exp(-0.5 * (mean / deviation) ** 2) / math.sqrt(2 * math.pi),
        np.vectorize(lambda v: 0.5 * (1 + math.erf(v / math.sqrt(2))))(mean / deviation),
    )
    np.testing.assert_allclose(
        y, mean * below + deviation * density, atol=6 * deviation.max() / math.sqrt(2000)
    )
    layer = nn.DropConnectLinear(
        400, 5, p=p, mask_bias=mask_bias, activation="relu", inference="gaussian", samples=50
    ).eval()
    layer.load_state_dict({"weight": w, "bias": b})
    fd.manual_seed(3)
    np.testing.assert_array_equal(
        layer(x).data,
        F.dropconnect_gaussian(x, w, b, p, "relu", 50, mask_bias=mask_bias, seed=3).data,
    )
    np.testing.assert_allclose(np.maximum(passes, 0).mean(0), y, atol=0.1)
