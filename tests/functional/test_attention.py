"""Scaled dot-product attention against a slow twin in float64, masks given by the oracle."""

from __future__ import annotations

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.nn import functional as F
from helpers import mask_reference as reference

attention = F.scaled_dot_product_attention


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def twin(q, k, v, g, *, allowed=None, bias=None, causal=False, offset=0, keep=1.0, scale=None):
    """Output, and the gradients of q, k, v and of the scores, in float64."""
    q, k, v, g = (np.asarray(a, np.float64) for a in (q, k, v, g))
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = scale * q @ np.swapaxes(k, -1, -2)
    if bias is not None:
        scores = scores + bias
    seen = np.ones(scores.shape, bool)
    if allowed is not None:
        seen &= allowed
    if causal:
        seen &= np.tri(*scores.shape[-2:], offset, dtype=bool)
    scores = np.where(seen, scores, -np.inf)
    most = scores.max(-1, keepdims=True, initial=-1e300)
    powers = np.exp(scores - most)
    total = powers.sum(-1, keepdims=True)
    w = np.divide(powers, total, out=np.zeros_like(powers), where=total > 0)
    y = (w * keep) @ v
    dw = (g @ np.swapaxes(v, -1, -2)) * keep
    ds = w * (dw - (dw * w).sum(-1, keepdims=True))
    dq, dk = scale * ds @ k, scale * np.swapaxes(ds, -1, -2) @ q
    return y, dq, dk, np.swapaxes(w * keep, -1, -2) @ g, ds


def run(q, k, v, g, **arguments):
    tensors = [fd.Tensor(a, requires_grad=True) for a in (q, k, v)]
    y = attention(*tensors, **arguments)
    y.backward(g)
    return [y.numpy(), *(t.grad.numpy() for t in tensors)]


def kept(samples, heads, queries, keys, p, draw=0, offset=0):
    """What the mask of the first functional call of a pass keeps, times its scale."""
    sub = [(h << 22) + offset + i for h in range(heads) for i in range(queries)]
    rows = [
        [reference.keep_mask([n], keys, p, sub=i, draw=draw, instance=2**24 - 1)[0] for i in sub]
        for n in range(samples)
    ]
    whole = np.reshape(rows, (samples, heads, queries, keys))
    return whole * (2.0**32 / reference.keep_threshold(p))


def assert_equal(found, wanted, tolerance=4e-6):
    for one, two in zip(found, wanted, strict=False):
        assert one.shape == two.shape
        assert np.abs(one - two).max(initial=0) <= tolerance * (1 + np.abs(two).max(initial=0))


SHAPES = [  # samples, heads, queries, keys, size, size of values
    (1, 1, 1, 1, 1, 1),
    (2, 3, 5, 7, 4, 6),
    (1, 2, 50, 193, 33, 16),
    (2, 2, 130, 197, 64, 64),
    (1, 1, 49, 385, 8, 3),
    (1, 1, 300, 20, 16, 16),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["plain", "causal", "offset", "bool", "float", "scale"])
def test_values_and_gradients(shape, kind, each_isa):
    n, h, queries, keys, size, v_size = shape
    q, k, v = floats(n, h, queries, size), floats(n, h, keys, size, seed=1), None
    v, g = floats(n, h, keys, v_size, seed=2), floats(n, h, queries, v_size, seed=3)
    random = np.random.default_rng(4)
    arguments, of_twin = {}, {}
    if kind == "causal":
        arguments, of_twin = {"is_causal": True}, {"causal": True}
    elif kind == "offset":
        arguments = {"is_causal": True, "query_offset": 3}
        of_twin = {"causal": True, "offset": 3}
    elif kind == "bool":
        mask = random.random((n, 1, queries, keys)) < 0.6
        mask[0, 0, 0] = False  # a query that sees nothing
        arguments, of_twin = {"attn_mask": mask}, {"allowed": mask}
    elif kind == "float":
        mask = floats(h, queries, keys, seed=5)
        mask[0, -1] = -np.inf
        arguments, of_twin = {"attn_mask": mask}, {"bias": mask}
    elif kind == "scale":
        arguments, of_twin = {"scale": 0.3}, {"scale": 0.3}
    with np.errstate(invalid="ignore"):
        wanted = twin(q, k, v, g, **of_twin)
    for _ in each_isa():
        found = run(q, k, v, g, **arguments)
        assert_equal(found, wanted)
        if kind == "bool":
            assert not found[0][0, 0, 0].any() and not found[1][0, 0, 0].any()


@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("causal", [False, True])
def test_dropout_has_the_mask_of_the_contract(p, causal, each_isa):
    n, h, queries, keys, size = 2, 2, 60, 140, 8
    q, k, v, g = floats(n, h, queries, size), *(floats(n, h, keys, size, seed=s) for s in (1, 2)), 0
    g = floats(n, h, queries, size, seed=3)
    keep = kept(n, h, queries, keys, p) if p < 1 else np.zeros((n, h, queries, keys))
    wanted = twin(q, k, v, g, keep=keep, causal=causal)
    for _ in each_isa():
        fd.manual_seed(0)
        assert_equal(run(q, k, v, g, dropout_p=p, is_causal=causal), wanted)


def test_the_rows_of_a_mask_are_numbered_in_the_whole_sequence():
    q, k = floats(1, 2, 10, 8), floats(1, 2, 30, 8, seed=1)
    whole = attention(q, k, k, dropout_p=0.5).numpy()
    fd.manual_seed(0)
    part = attention(q[:, :, 6:], k, k, dropout_p=0.5, query_offset=6).numpy()
    np.testing.assert_array_equal(part, whole[:, :, 6:])


def test_same_bits_for_all_thread_counts(each_thread_count):
    for shape in ((1, 1, 500, 16), (3, 4, 100, 32)):
        arrays = [floats(*shape, seed=s) for s in range(4)]
        results = []
        for _ in each_thread_count():
            fd.manual_seed(0)
            results.append(run(*arrays, dropout_p=0.2, is_causal=True))
        for other in results[1:]:
            for one, two in zip(results[0], other, strict=True):
                np.testing.assert_array_equal(one, two)


def test_the_gradient_of_a_float_mask_is_summed_where_it_was_broadcast():
    q, k, v, g = (floats(2, 3, 5, 4, seed=s) for s in range(4))
    for shape in ((5, 5), (3, 5, 5), (2, 1, 1, 5), (2, 3, 5, 5), (5,)):
        mask = fd.Tensor(floats(*shape, seed=9), requires_grad=True)
        attention(q, k, v, mask).backward(g)
        ds = twin(q, k, v, g, bias=mask.numpy())[4]
        lead = tuple(range(4 - len(shape)))
        ds = ds.sum(lead)
        axes = tuple(i for i, m in enumerate(shape) if m != ds.shape[i])
        assert_equal([mask.grad.numpy()], [ds.sum(axes, keepdims=True)])


def test_grouped_queries():
    q, k, v, g = floats(2, 6, 5, 4), *(floats(2, 2, 7, 4, seed=s) for s in (1, 2)), None
    g = floats(2, 6, 5, 4, seed=3)
    y, dq, dk, dv, _ = twin(q, np.repeat(k, 3, 1), np.repeat(v, 3, 1), g)
    found = run(q, k, v, g, enable_gqa=True)
    wanted = y, dq, dk.reshape(2, 2, 3, 7, 4).sum(2), dv.reshape(2, 2, 3, 7, 4).sum(2)
    assert_equal(found, wanted)
    with pytest.raises(ValueError, match="unless enable_gqa=True"):
        attention(q, k, v)


def test_other_numbers_of_axes():
    q = floats(6, 5, 4)
    whole = attention(q[:, None], q[:, None], q[:, None]).numpy()
    np.testing.assert_array_equal(attention(q, q, q).numpy(), whole[:, 0])
    np.testing.assert_array_equal(attention(q[0], q[0], q[0]).numpy(), whole[0, 0])
    five = q.reshape(2, 1, 3, 5, 4)
    mask = np.random.default_rng(0).random((2, 1, 1, 5, 5)) < 0.7
    y = attention(five, five, five, mask).numpy()
    assert y.shape == five.shape
    flat = attention(q.reshape(2, 3, 5, 4), *[q.reshape(2, 3, 5, 4)] * 2, mask[:, 0]).numpy()
    np.testing.assert_array_equal(y.reshape(flat.shape), flat)


def test_no_keys_and_no_samples():
    q, none = floats(2, 1, 3, 4), np.zeros((2, 1, 0, 4), np.float32)
    assert not attention(q, none, none).numpy().any()
    empty = np.zeros((0, 1, 3, 4), np.float32)
    assert attention(empty, empty, empty).shape == (0, 1, 3, 4)


def test_a_mask_of_the_smallest_numbers_is_no_mask():
    """As in PyTorch: the scores vanish beside them, so all weights are equal."""
    q = floats(1, 1, 2, 4)
    mask = np.full((2, 2), np.finfo(np.float32).min)
    y = attention(q, q, q, mask).numpy()
    np.testing.assert_allclose(y[0, 0, 0], q[0, 0].mean(0), atol=1e-6)


def test_not_a_number_goes_through():
    q = floats(1, 1, 3, 4)
    q[0, 0, 1, 0] = np.nan
    y = attention(q, floats(1, 1, 5, 4), floats(1, 1, 5, 4)).numpy()
    assert np.isnan(y[0, 0, 1]).all() and np.isfinite(y[0, 0, [0, 2]]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dropout_p": 1.5}, "dropout_p"),
        ({"attn_mask": np.ones((4, 7), bool)}, "attn_mask must broadcast"),
        ({"attn_mask": np.ones((5, 7), bool), "is_causal": True}, "attn_mask must be None"),
        ({"query_offset": -1}, "query_offset"),
        ({"key": floats(2, 3, 7, 5)}, "vectors of the same size"),
        ({"value": floats(2, 3, 6, 4)}, "same samples, heads and rows"),
        ({"key": floats(3, 3, 7, 4)}, "same samples"),
        ({"key": floats(7, 4)}, "same number of axes"),
    ],
)
def test_what_is_refused(arguments, message):
    good = {"query": floats(2, 3, 5, 4), "key": floats(2, 3, 7, 4), "value": floats(2, 3, 7, 4)}
    with pytest.raises(ValueError, match=message):
        attention(**good | arguments)
    with pytest.raises(TypeError, match="bool or floats"):
        attention(**good, attn_mask=np.ones((5, 7), np.int64))


def test_passes_side_by_side_are_those_of_single_samples():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, dropout=0.4, batch_first=True)

        def forward(self, x):
            mask = np.zeros((len(x) if type(x) is np.ndarray else x.shape[0], 6), bool)
            mask[:, 4:] = True
            return self.attention(x, x, x, key_padding_mask=mask)[0].mean(1)

    model, x = Model(), floats(4, 6, 8)
    together = fd.mc_predict(model, x, 5, seed=2, keep=True, output="raw").passes
    single = [
        fd.mc_predict(model, x[i : i + 1], 5, seed=2, row0=i, keep=True, output="raw").passes
        for i in range(4)
    ]
    np.testing.assert_array_equal(together, np.concatenate(single))
    assert together.std(1).min() > 0
