"""GPT: its parts, its cache, training and generation."""

from __future__ import annotations

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.models.gpt import _NextToken

TOKENS = np.random.default_rng(0).integers(0, 11, (3, 12))


def small(**arguments):
    return fd.models.gpt(11, 12, 2, 2, 16, **arguments)


def test_a_position_does_not_see_later_ones():
    model = small()
    changed = TOKENS.copy()
    changed[:, 7:] = 0
    one, two = model(TOKENS).numpy(), model(changed).numpy()
    np.testing.assert_array_equal(one[:, :7], two[:, :7])
    assert np.abs(one[:, 7:] - two[:, 7:]).max() > 1e-4


def test_the_loss_is_the_cross_entropy_of_the_scores():
    model = small()
    targets = np.random.default_rng(1).integers(0, 11, TOKENS.shape)
    scores = model(TOKENS)
    wanted = fd.nn.functional.cross_entropy(scores.reshape(-1, 11), targets.ravel()).item()
    assert abs(model(TOKENS, targets).item() - wanted) < 1e-6
    loss, state = model.loss(TOKENS.T, targets.T)
    assert state is None and abs(loss.item() - wanted) < 1e-6


@pytest.mark.parametrize("step", [1, 5, 12])
def test_the_cache_gives_the_scores_of_the_whole_sequence(step):
    model = small(dropout=0.5).eval()
    whole = model(TOKENS).numpy()
    with fd.no_grad():
        caches = [nn.KeyValueCache(12) for _ in range(2)]
        parts = [model(TOKENS[:, i : i + step], caches=caches).numpy() for i in range(0, 12, step)]
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=2e-6)
    with fd.no_grad(), pytest.raises(ValueError, match=r"max_len|holds 12|positions"):
        model(TOKENS[:, :1], caches=caches)
    with pytest.raises(RuntimeError, match="no_grad"):
        model(TOKENS, caches=[nn.KeyValueCache(12) for _ in range(2)])


def test_generation_follows_the_most_probable_token_past_the_block():
    model = small().eval()
    found = model.generate([1, 2, 3], 15, temperature=0.0)
    for end in range(3, 18):
        scores = model(found[None, max(0, end - 12) : end]).numpy()[0, -1]
        assert scores.max() - scores[found[end]] < 1e-5
    assert found[:3].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(model.generate([1], 9, seed=3), model.generate([1], 9, seed=3))
    assert set(model.generate([1], 40, top_k=1)[1:]) <= set(range(11))


def test_training_lowers_the_loss_and_the_file_gives_the_same(tmp_path):
    model = small(dropout=0.1, word_dropout=0.05, drop_path=0.1, layer_drop=0.1, head_dropout=0.1)
    windows = fd.data.RandomWindows(np.arange(600) % 11, 8, 12, batches=40)
    optimizer = fd.optim.AdamW(model.parameters(), lr=0.01)
    history = fd.train.fit_text(model, windows, optimizer, 2)
    assert history[-1].loss < 0.7 * history[0].loss
    held = fd.data.BPTTBatches(np.arange(200) % 11, 4, 12)
    assert fd.train.perplexity(model, held) < 3
    fd.save(model, tmp_path / "gpt.safetensors")
    loaded = fd.load(tmp_path / "gpt.safetensors")
    np.testing.assert_array_equal(model.eval()(TOKENS).numpy(), loaded.eval()(TOKENS).numpy())


def test_what_is_refused():
    with pytest.raises(ValueError, match="num_heads must divide embed_dim"):
        fd.models.gpt(11, 12, 2, 3, 16)
    with pytest.raises(ValueError):
        small(dropout=1.5)
    with pytest.raises(ValueError, match="12"):
        small()(np.zeros((1, 13), np.int64))
    with pytest.raises(ValueError, match="more than length"):
        fd.data.RandomWindows([1, 2, 3], 2, 3)
    with pytest.raises(TypeError, match="1-d integers"):
        fd.data.RandomWindows([0.5, 2.0], 2, 1)


def test_windows_are_drawn_from_the_whole_sequence():
    windows = fd.data.RandomWindows(range(20), 50, 4, batches=3, seed=1)
    epochs = [list(windows) for _ in range(2)]
    assert windows.epoch == 2 and len(windows) == 3
    first = np.concatenate([tokens[0] for tokens, _ in epochs[0]])
    assert first.min() == 0 and first.max() == 15
    assert not np.array_equal(epochs[0][0][0], epochs[1][0][0])
    for tokens, targets in epochs[0]:
        assert tokens.shape == (4, 50)
        np.testing.assert_array_equal(tokens + 1, targets)


@pytest.mark.parametrize(
    "options", [{}, {"bias": False, "dropout": 0.5}, {"n_head": 1, "n_layer": 1}]
)
def test_recorded_tokens_have_the_scores_of_the_model(options):
    """From the third token on the calls of the second one are made again."""
    model = fd.models.gpt(**{"vocab_size": 11, "block_size": 16, "n_layer": 3, "n_head": 2,
                             "n_embd": 24} | options).eval()  # fmt: skip
    tokens = np.random.default_rng(0).integers(0, 11, 14).tolist()
    caches = [nn.KeyValueCache(16) for _ in range(model.n_layer)]
    following = _NextToken(model)
    with fd.no_grad():
        assert np.array_equal(
            following.begin(tokens[:4]), model([tokens[:4]], caches=caches, last=True).numpy()[0]
        )
        for i in range(4, 14):
            expected = model([tokens[i : i + 1]], caches=caches, last=True).numpy()[0]
            assert np.array_equal(following(tokens[i]), expected)
            assert following.position == i + 1
            assert (following.recording is not None) == (i > 4)
        whole = model([tokens]).numpy()[0]
    assert np.abs(following.scores - whole[-1]).max() < 1e-5


def test_generation_computes_models_with_code_of_the_user():
    calls = []

    class Own(nn.Dropout):
        def forward(self, x):
            calls.append(1)
            return super().forward(x)

    model = fd.models.gpt(11, 16, 2, 2, 24).eval()
    expected = model.generate([1, 2], 10, temperature=0)
    model.drop = Own(0.0)
    assert np.array_equal(model.generate([1, 2], 10, temperature=0), expected) and len(calls) == 10


class Halved(nn.Linear):
    def forward(self, x):
        return fd.tensor(super().forward(x).data * np.float32(0.5))  # NumPy is not recorded


Halved.__module__ = "fastdrop.nn.halved"  # as if it were of the library


def norm_of_the_embeddings(model):
    model.drop = nn.LayerNorm(24)


def scaled_embeddings(model):
    model.drop = nn.Dropout(0.5, inverted=False)


def activation_with_numpy(model):
    model.h.layers[0].activation = lambda x: fd.tensor(np.maximum(x.data, 0))


def layer_with_numpy(model):
    model.h.layers[1].linear1 = Halved(24, 96)


@pytest.mark.parametrize(
    "change",
    [norm_of_the_embeddings, scaled_embeddings, activation_with_numpy, layer_with_numpy],
)
def test_generation_computes_models_whose_parts_were_replaced(change):
    """The scores of each token are those of the model, whatever a recording would give."""
    fd.manual_seed(2)
    model = fd.models.gpt(11, 16, 2, 2, 24)
    for p in model.parameters():
        p.data = p.data * 10.0
    change(model)
    model.eval()
    tokens = np.random.default_rng(0).integers(0, 11, 12).tolist()
    caches = [nn.KeyValueCache(16) for _ in range(model.n_layer)]
    following = _NextToken(model)
    with fd.no_grad():
        following.begin(tokens[:2])
        model([tokens[:2]], caches=caches)
        for token in tokens[2:]:
            expected = model([[token]], caches=caches, last=True).numpy()[0]
            assert np.array_equal(following(token), expected)
    assert not following.known


def test_masks_are_refused_with_a_cache():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with fd.no_grad(), pytest.raises(ValueError, match="must be None with a cache"):
        layer(np.ones((1, 2, 8)), src_key_padding_mask=np.zeros((1, 2), bool),
              cache=nn.KeyValueCache(4))  # fmt: skip
