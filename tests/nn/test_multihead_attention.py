"""MultiheadAttention and the layers of transformers, against PyTorch and against their parts."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn


def floats(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def twins(ours, theirs):
    """The layers with the same random weights; their states have the same names."""
    torch = pytest.importorskip("torch")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    rng = np.random.default_rng(7)
    state = {
        name: 0.3 * rng.standard_normal(a.shape).astype(np.float32)
        for name, a in ours.state_dict().items()
    }
    ours.load_state_dict(state)
    theirs.load_state_dict({name: torch.from_numpy(a) for name, a in state.items()})
    return ours, theirs


def assert_same_gradients(ours, theirs):
    for one, two in zip(ours, theirs, strict=True):
        wanted = two.grad.numpy()
        assert np.abs(one.grad.numpy() - wanted).max() < 1e-5 * (1 + np.abs(wanted).max())


KINDS = [
    {},
    {"batch_first": True},
    {"bias": False},
    {"kdim": 6, "vdim": 10},
    {"add_bias_kv": True},
    {"add_zero_attn": True, "batch_first": True},
]
MASKS = {
    "none": {},
    "padding": {"key_padding_mask": np.arange(7) >= np.array([[7], [5]])},
    "bool": {"attn_mask": np.random.default_rng(1).random((5, 7)) < 0.3},
    "float": {"attn_mask": floats(5, 7, seed=2)},
    "heads": {"attn_mask": floats(6, 5, 7, seed=3)},
    "causal": {"attn_mask": ~np.tri(5, 7, dtype=bool), "is_causal": True},
}
MASKS["bool"]["attn_mask"][:, 0] = False


@pytest.mark.parametrize(
    ("kind", "own"),
    [(kind, own) for kind in KINDS for own in (True, False) if not (own and "kdim" in kind)],
    ids=str,
)
@pytest.mark.parametrize("mask", MASKS)
def test_values_and_gradients_are_those_of_pytorch(kind, mask, own):
    torch = pytest.importorskip("torch")
    arguments = dict(MASKS[mask])
    if own:
        arguments = {k: a if a is True else a[..., :5] for k, a in arguments.items()}
    ours, theirs = twins(
        nn.MultiheadAttention(12, 3, **kind), torch.nn.MultiheadAttention(12, 3, **kind)
    )
    arrays = [floats(2, 5, 12)]
    if not own:
        arrays += [floats(2, 7, kind.get("kdim", 12), seed=4)]
        arrays += [floats(2, 7, kind.get("vdim", 12), seed=5)]
    if not kind.get("batch_first"):
        arrays = [np.ascontiguousarray(a.swapaxes(0, 1)) for a in arrays]
    a = [fd.Tensor(x, requires_grad=True) for x in arrays]
    b = [torch.tensor(x, requires_grad=True) for x in arrays]
    y, weights = ours(*(a * 3 if own else a), **arguments)
    wanted, their_weights = theirs(
        *(b * 3 if own else b),
        **{k: m if m is True else torch.from_numpy(m.copy()) for k, m in arguments.items()},
    )
    assert np.abs(y.numpy() - wanted.detach().numpy()).max() < 1e-5
    assert np.abs(weights.numpy() - their_weights.detach().numpy()).max() < 1e-6
    g, h = floats(*y.shape, seed=6), floats(*weights.shape, seed=8)
    ((y * g).sum() + (weights * h).sum()).backward()
    ((wanted * torch.from_numpy(g)).sum() + (their_weights * torch.from_numpy(h)).sum()).backward()
    assert_same_gradients(a, b)
    assert_same_gradients(ours.parameters(), theirs.parameters())


def test_one_sample_and_weights_of_each_head():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    x = floats(3, 5, 8)
    y, weights = layer(x, x, x, average_attn_weights=False)
    assert weights.shape == (3, 2, 5, 5)
    alone, one = layer(x[1], x[1], x[1], average_attn_weights=False)
    np.testing.assert_array_equal(alone.numpy(), y.numpy()[1])
    np.testing.assert_array_equal(one.numpy(), weights.numpy()[1])
    assert layer(x, x, x, need_weights=False)[1] is None


def test_the_weights_are_those_after_dropout():
    layer = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
    x = floats(3, 20, 8)
    y, weights = layer(x, x, x, average_attn_weights=False)
    w, b = layer.in_proj_weight.numpy()[16:], layer.in_proj_bias.numpy()[16:]
    v = (x @ w.T + b).reshape(3, 20, 2, 4).swapaxes(1, 2)
    heads = (weights.numpy() @ v).swapaxes(1, 2).reshape(3, 20, 8)
    out = heads @ layer.out_proj.weight.numpy().T + layer.out_proj.bias.numpy()
    np.testing.assert_allclose(y.numpy(), out, atol=1e-6)
    assert 0.4 < (weights.numpy() == 0).mean() < 0.6


def test_the_gradient_of_dropped_weights():
    """Against differences of the loss with the same masks."""
    layer = nn.MultiheadAttention(8, 2, dropout=0.4, batch_first=True)
    x, h = floats(2, 5, 8), floats(2, 2, 5, 5, seed=1)

    def loss(x):
        with fd.mask_state(draw=3):
            _, weights = layer(x, x, x, average_attn_weights=False)
        return (weights * h).sum()

    t = fd.tensor(x, requires_grad=True)
    loss(t).backward()
    direction, step = floats(*x.shape, seed=2), np.float32(1e-2)
    with fd.no_grad():
        change = (loss(x + step * direction).item() - loss(x - step * direction).item()) / 2e-2
    assert change == pytest.approx(float((t.grad.numpy() * direction).sum()), rel=2e-3, abs=2e-3)


def test_a_sample_without_keys_gives_the_bias():
    layer = nn.MultiheadAttention(8, 2, batch_first=True)
    layer.out_proj.bias.data[:] = np.arange(8)
    x = fd.Tensor(floats(2, 5, 8), requires_grad=True)
    padding = np.zeros((2, 5), bool)
    padding[1] = True
    y, _ = layer(x, x, x, key_padding_mask=padding)
    np.testing.assert_array_equal(y.numpy()[1], np.tile(np.arange(8, dtype=np.float32), (5, 1)))
    y.sum().backward()
    assert np.isfinite(x.grad.numpy()).all() and not x.grad.numpy()[1].any()


def test_the_layouts_draw_the_same_masks():
    x = floats(3, 6, 8)
    results = []
    for batch_first in (True, False):
        fd.manual_seed(0)
        layer = nn.TransformerEncoderLayer(
            8, 2, 16, 0.3, batch_first=batch_first, head_dropout=0.3, drop_path=0.3
        )
        y = layer(x if batch_first else x.swapaxes(0, 1).copy()).numpy()
        results.append(y if batch_first else y.swapaxes(0, 1))
    np.testing.assert_array_equal(*results)


ORDERS = [{}, {"norm_first": True, "batch_first": True, "activation": "gelu"}, {"bias": False}]


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("name", ["EncoderLayer", "DecoderLayer", ""])
def test_layers_and_the_whole_transformer_are_those_of_pytorch(name, order):
    torch = pytest.importorskip("torch")
    layers = (2, 2) if not name else ()
    arguments = (16, 4, *layers, 32, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of nested tensors
        theirs = getattr(torch.nn, "Transformer" + name)(*arguments, **order)
    ours, theirs = twins(getattr(nn, "Transformer" + name)(*arguments, **order), theirs)
    arrays = [floats(4, 3, 16), floats(4, 5, 16, seed=1)][: 1 if name == "EncoderLayer" else 2]
    if not order.get("batch_first"):
        arrays = [np.ascontiguousarray(a.swapaxes(0, 1)) for a in arrays]
    a = [fd.Tensor(x, requires_grad=True) for x in arrays]
    b = [torch.tensor(x, requires_grad=True) for x in arrays]
    y, wanted = ours(*a), theirs(*b)
    assert np.abs(y.numpy() - wanted.detach().numpy()).max() < 1e-5
    g = floats(*y.shape, seed=6)
    y.backward(g)
    wanted.backward(torch.from_numpy(g))
    assert_same_gradients(a, b)
    assert_same_gradients(ours.parameters(), theirs.parameters())


def test_sites_do_not_depend_on_the_rates():
    x = floats(4, 6, 8)
    drop = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True, residual_dropout=0.5)
    more = nn.TransformerEncoderLayer(
        8, 2, 16, 0.0, batch_first=True, residual_dropout=0.5, attention_dropout=1e-9
    )
    more.load_state_dict(drop.state_dict())
    fd.manual_seed(1)
    one = drop(x).numpy()
    fd.manual_seed(1)
    np.testing.assert_array_equal(one, more(x).numpy())


def test_layer_drop_skips_whole_layers():
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    stack, x = nn.TransformerEncoder(layer, 2, layer_drop=0.5), floats(2, 3, 8)
    depths = [x, layer.eval()(x).numpy()]
    depths.append(layer(depths[1]).numpy())
    found = set()
    for _ in range(30):
        y = stack(x).numpy()
        found.add(next(i for i, d in enumerate(depths) if np.array_equal(y, d)))
    assert found == {0, 1, 2}
    np.testing.assert_array_equal(stack.eval()(x).numpy(), depths[2])


def test_drop_path_grows_with_depth():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    stack = nn.TransformerEncoder(layer, 3, drop_path=0.2)
    assert [one.drop_path1.p for one in stack.layers] == [0.0, 0.1, 0.2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.MultiheadAttention(10, 3), "num_heads must divide embed_dim"),
        (lambda: nn.MultiheadAttention(8, 2, dropout=1.5), "must be"),
        (lambda: nn.TransformerEncoderLayer(8, 2, activation="tanh"), "activation"),
        (lambda: nn.MultiheadAttention(8, 2)(*[floats(5, 2, 6)] * 3), "query must have shape"),
        (
            lambda: nn.MultiheadAttention(8, 2)(
                *[floats(5, 2, 8)] * 3, key_padding_mask=np.ones((5, 2), bool)
            ),
            "key_padding_mask must have shape",
        ),
        (
            lambda: nn.MultiheadAttention(8, 2)(
                *[floats(5, 2, 8)] * 3, attn_mask=np.ones((4, 5), bool)
            ),
            "attn_mask must have shape",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
