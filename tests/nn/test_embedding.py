"""Embedding: word dropout, given tables, refused tokens."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn
from helpers import mask_reference as reference

pytestmark = pytest.mark.filterwarnings("ignore:mc_predict computes the passes")

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("per_sample", [False, True])
def test_word_dropout(per_sample):
    """One decision for each word type (and sample), applied at every occurrence.

    Gradients are summed over the occurrences.
    """
    layer = nn.Embedding(50, 4, padding_idx=3, dropout=0.4, per_sample=per_sample)
    assert not layer.weight.data[3].any()
    tokens = RNG.integers(0, 50, (9, 30))
    g = RNG.standard_normal((9, 30, 4)).astype(np.float32)
    kept = reference.keep_mask(
        np.arange(9) + 2 if per_sample else [2**32 - 1], 50, 0.4, seed=0, draw=5
    )
    factor = np.where(np.broadcast_to(kept, (9, 50)), reference.keep_scale(0.4), np.float32(0))[
        np.arange(9)[:, None], tokens
    ]
    with fd.mask_state(draw=5, row0=2):
        y = layer(tokens)
    np.testing.assert_array_equal(y.data, layer.weight.data[tokens] * factor[..., None])
    np.testing.assert_array_equal(
        K.embedding_dropout(tokens, layer.weight.data, 0.4, per_sample=per_sample, draw=5, row0=2),
        y.data,
    )
    y.backward(g)
    expected = np.zeros((50, 4))
    np.add.at(expected, tokens, g * factor[..., None])
    expected[3] = 0
    np.testing.assert_allclose(layer.weight.grad.data, expected, atol=1e-4)
    layer.eval()
    np.testing.assert_array_equal(layer(tokens).data, layer.weight.data[tokens])
    np.testing.assert_array_equal(layer(fd.tensor(tokens)).data, layer.weight.data[tokens])
    assert fd.mc_predict(nn.Sequential(layer), tokens, 4, output="raw").std.max() > 0
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(
        layer(tokens).data,
        torch.nn.functional.embedding(
            torch.from_numpy(tokens), torch.from_numpy(layer.weight.data)
        ).numpy(),
    )


def test_embedding_of_given_tables_and_refused_tokens():
    table = RNG.standard_normal((7, 3)).astype(np.float32)
    layer = nn.Embedding.from_pretrained(table)
    assert (
        not layer.weight.requires_grad
        and np.array_equal(layer(np.array(4)).data, table[4])
        and layer(np.zeros((0, 5), int)).shape == (0, 5, 3)
    )
    assert (
        layer(np.zeros((2, 0), int)).shape == (2, 0, 3) and nn.Embedding(5, 2, -1).padding_idx == 4
    )
    assert nn.Embedding(5, 2, dropout=1.0)(np.arange(5)).data.any() == 0
    for wrong, error in (
        ([7], ValueError),
        ([-1], ValueError),
        ([0.5], TypeError),
        (["a"], TypeError),
        ([True], TypeError),
    ):
        with pytest.raises(error, match="input must hold"):
            layer(np.array(wrong))
    one = K.embedding_dropout(np.arange(7), table, 0.5, per_sample=True, seed=2, row0=5)
    np.testing.assert_array_equal(one.any(1), reference.keep_mask([5], 7, 0.5, seed=2)[0])
    position = nn.Embedding(10, 3)
    # dropout of the sum of token and position vectors
    both = nn.Dropout(0.5)(layer(np.arange(7)[None]) + position(np.arange(7)[None]))
    assert (both.data == 0).any()
