"""drop_path in transformer layers: only the branches of kept samples are computed."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn

RNG = np.random.default_rng(0)
N, HEADS = 12, 2
X, MEMORY = (RNG.standard_normal((N, length, 8)).astype(np.float32) for length in (5, 6))
PADDING, OTHER_PADDING = (np.arange(n)[None] >= RNG.integers(2, n, (N, 1)) for n in (5, 6))


def masks(kind, length):
    """An attn_mask of all samples, or of each sample and head."""
    shape = {"all": (5, length), "each": (N * HEADS, 5, length)}[kind]
    return RNG.standard_normal(shape).astype(np.float32)


def case(name, kind):
    """The inputs of an encoder or decoder layer."""
    if name == "Encoder":
        return (X, masks(kind, 5), PADDING)
    return (X, MEMORY, masks(kind, 5), masks(kind, 6), PADDING, OTHER_PADDING)


def outcome(layer, inputs, weights, full):
    """The output and all gradients of a training step; full: every branch is computed."""
    fd.manual_seed(3)
    layer.draw = 0
    tensors = [
        fd.tensor(a, requires_grad=a.dtype.kind == "f") if a.dtype.kind == "f" else a
        for a in inputs
    ]
    if full:
        put = layer._add
        object.__setattr__(layer, "_add", lambda *a, **k: put(*a, **{**k, "whole": True}))
    y = layer(*tensors)
    layer.__dict__.pop("_add", None)
    for parameter in layer.parameters():
        parameter.grad = None
    (y * weights).sum().backward()
    gradients = [t.grad.numpy() for t in tensors if isinstance(t, fd.Tensor)]
    return [y.numpy(), *gradients, *(p.grad.numpy() for p in layer.parameters())]


@pytest.mark.parametrize("kind", ["all", "each"])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("name", ["Encoder", "Decoder"])
def test_values_and_gradients_are_those_of_the_full_computation(name, norm_first, kind):
    layer = getattr(nn, f"Transformer{name}Layer")(
        *(8, HEADS, 12, 0.3),
        batch_first=True,
        norm_first=norm_first,
        drop_path=0.5,
        head_dropout=0.3,
    )
    rows = []
    forward = layer.linear1.forward
    object.__setattr__(layer.linear1, "forward", lambda x: rows.append(len(x)) or forward(x))
    inputs, weights = case(name, kind), RNG.standard_normal(X.shape).astype(np.float32)
    wanted = outcome(layer, inputs, weights, True)
    found = outcome(layer, inputs, weights, False)
    assert rows[0] == N and 0 < rows[1] < N
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
    layer.eval()(*inputs)
    assert rows[2] == N


def test_masks_of_other_batches_are_refused():
    layer = nn.TransformerEncoderLayer(8, HEADS, 12, batch_first=True, drop_path=0.5)
    for count in (N // 2, N + 1, 2 * N):
        with pytest.raises(ValueError, match="mask"):
            layer(X, None, np.zeros((count, 5), bool))


def test_passes_side_by_side_are_those_one_by_one():
    layer = nn.TransformerEncoderLayer(8, HEADS, 12, 0.1, batch_first=True, drop_path=0.5)
    model = nn.TransformerEncoder(layer, 2).eval()
    found = fd.mc_predict(model, X, 6, output="raw", keep=True).passes
    for t in range(6):
        with fd.random.monte_carlo(t, 0, 0, "per_sample"), fd.no_grad():
            np.testing.assert_allclose(found[:, t], model(X).numpy(), atol=1e-5)
