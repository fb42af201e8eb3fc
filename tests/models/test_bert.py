"""BERT: a twin in float64, masks, pooling, Monte Carlo passes, training and files."""

import math
import warnings

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.nn import functional as F
from helpers.monte_carlo import passes_one_at_a_time

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(1, 20, (5, 9))
MASK = np.arange(9) < np.array([9, 4, 7, 1, 6])[:, None]
TYPES = RNG.integers(0, 2, (5, 9))


def small(**arguments):
    return fd.models.bert(20, **{**SIZES, **arguments})


SIZES = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 10,
    "num_classes": 4,
}


def spread(model, seed=1):
    """The model with weights that are not small, so that nothing is nearly linear."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data[...] = rng.standard_normal(parameter.shape) * 0.5
    return model


def twin(model, tokens, mask=None, types=None):
    """The output in float64, from the state of the model."""
    w = {name: np.asarray(a, np.float64) for name, a in model.state_dict().items()}
    mask = np.ones(tokens.shape, bool) if mask is None else np.asarray(mask, bool)
    heads, width = model.num_attention_heads, model.hidden_size

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = w["word_embeddings.weight"][tokens] + w["position_embeddings.weight"][: tokens.shape[1]]
    if "token_type_embeddings.weight" in w:
        x = x + w["token_type_embeddings.weight"][np.zeros_like(tokens) if types is None else types]
    x = norm(x, "norm")
    for i in range(model.num_hidden_layers):
        at = f"layers.layers.{i}."
        qkv = x @ w[at + "self_attn.in_proj_weight"].T + w[at + "self_attn.in_proj_bias"]
        q, k, v = (
            part.reshape(*tokens.shape, heads, -1).swapaxes(1, 2) for part in np.split(qkv, 3, -1)
        )
        scores = q @ k.swapaxes(2, 3) / math.sqrt(width // heads)
        scores = np.where(mask[:, None, None], scores, -np.inf)
        e = np.exp(scores - scores.max(-1, keepdims=True))
        y = ((e / e.sum(-1, keepdims=True)) @ v).swapaxes(1, 2).reshape(x.shape)
        x = norm(x + linear(y, at + "self_attn.out_proj"), at + "norm1")
        hidden = linear(x, at + "linear1")
        hidden = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
        x = norm(x + linear(hidden, at + "linear2"), at + "norm2")
    if model.pooling == "mean":
        x = (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    elif model.pooling != "none":
        x = x[:, 0]
    if model.pooling == "pooler":
        x = linear(x, "pooler")
        x = np.tanh(x) if model.pooler_activation == "tanh" else np.maximum(x, 0)
    return x if model.num_classes is None else linear(x, "classifier")


@pytest.mark.parametrize("pooling", ["cls", "mean", "pooler", "none"])
@pytest.mark.parametrize("num_classes", [None, 4])
@pytest.mark.parametrize("mask", [None, MASK, MASK.astype(np.int64), MASK.astype(np.float32)])
def test_outputs_are_those_of_the_twin(pooling, num_classes, mask):
    model = spread(small(pooling=pooling, num_classes=num_classes)).eval()
    for types in (None, TYPES):
        found = model(TOKENS, mask, types).numpy()
        wanted = twin(model, TOKENS, mask, types)
        assert found.shape == wanted.shape
        if pooling == "none" and mask is not None:
            found, wanted = found[MASK], wanted[MASK]
        np.testing.assert_allclose(found, wanted, atol=2e-5)


@pytest.mark.parametrize(
    "arguments",
    [{"type_vocab_size": 0}, {"pooling": "pooler", "pooler_activation": "relu"}],
)
def test_the_shape_of_distilbert(arguments):
    model = spread(small(**arguments)).eval()
    np.testing.assert_allclose(model(TOKENS, MASK).numpy(), twin(model, TOKENS, MASK), atol=2e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_changes_nothing(pooling):
    model = spread(small(pooling=pooling, padding_idx=0)).eval()
    tokens = np.where(MASK, TOKENS, 0)
    together = model(tokens).numpy()
    np.testing.assert_array_equal(together, model(tokens, MASK).numpy())
    for i, length in enumerate(MASK.sum(1)):
        alone = model(tokens[i : i + 1, :length]).numpy()[0]
        np.testing.assert_allclose(together[i], alone, atol=1e-5)
    assert np.isfinite(model(np.zeros((2, 3), int)).numpy()).all()


def test_gradients_of_all_weights():
    """Along a random direction, against central differences of the twin."""
    model = spread(small(pooling="pooler", dropout=0.0))
    weights = RNG.standard_normal((5, 4))
    (model(TOKENS, MASK, TYPES) * np.float32(weights)).sum().backward()
    for name, parameter in model.named_parameters():
        direction = RNG.standard_normal(parameter.shape).astype(np.float32)
        kept, sums = parameter.data.copy(), []
        for step in (np.float32(2**-10), np.float32(-(2**-10))):
            parameter.data[...] = kept + step * direction
            sums.append((twin(model, TOKENS, MASK, TYPES) * weights).sum())
        parameter.data[...] = kept
        exact = (sums[0] - sums[1]) / 2**-9
        found = (parameter.grad.data * direction).sum()
        size = np.linalg.norm(parameter.grad.data) + 1
        assert abs(found - exact) < 5e-3 * size, name


@pytest.mark.parametrize(
    "rates",
    [
        {"dropout": 0.2},
        {"dropout": 0.0, "attention_dropout": 0.2},
        {"dropout": 0.0, "residual_dropout": 0.2},
        {"dropout": 0.0, "classifier_dropout": 0.2},
        {"dropout": 0.0, "head_dropout": 0.3},
        {"dropout": 0.0, "drop_path": 0.5},
    ],
)
@pytest.mark.parametrize("pooling", ["cls", "mean", "pooler"])
def test_monte_carlo_passes_are_those_computed_one_by_one(rates, pooling):
    model = spread(small(**rates, pooling=pooling, padding_idx=0)).eval()
    tokens = np.where(MASK, TOKENS, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", fd.uncertainty.MCWarning)  # passes side by side
        found = fd.mc_predict(model, tokens, 6, seed=0, output="raw", keep=True).passes
    singly = passes_one_at_a_time(model, tokens, 6)
    np.testing.assert_allclose(found, singly, atol=3e-5)
    assert singly.std(1).max() > 1e-3


def test_monte_carlo_prediction_with_all_rates():
    rates = ("dropout", "head_dropout", "drop_path", "layer_drop", "word_dropout")
    model = spread(small(**dict.fromkeys(rates, 0.1))).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fd.uncertainty.MCWarning)
        prediction = fd.mc_predict(model, TOKENS, 20)
    np.testing.assert_allclose(prediction.mean.sum(1), 1.0, atol=1e-5)
    assert (prediction.mutual_information > 0).all()


def test_each_rate_has_its_place():
    """A rate of 1 in one place: the output that follows from the formula."""
    ids = TOKENS
    model = spread(small(dropout=0.0, classifier_dropout=1.0))
    wanted = np.broadcast_to(model.classifier.bias.data, (5, 4))
    np.testing.assert_array_equal(model(ids).numpy(), wanted)
    model = spread(small(dropout=0.0, embedding_dropout=1.0, residual_dropout=1.0))
    x = model(ids).numpy()  # norms of zeros: the same for all samples
    np.testing.assert_array_equal(x, np.broadcast_to(x[:1], x.shape))
    model = spread(small(dropout=0.0, layer_drop=1.0, num_classes=None, pooling="none"))
    twin_of = spread(small(dropout=0.0, drop_path=0.0, num_classes=None, pooling="none"))
    first = twin_of.norm(twin_of._embedded(ids, None)).numpy()
    np.testing.assert_allclose(model(ids).numpy(), first, atol=1e-6)
    model = spread(small(dropout=0.0, word_dropout=1.0, num_classes=None, pooling="none"))
    x = model(ids).numpy()
    np.testing.assert_array_equal(x, np.broadcast_to(x[:1], x.shape))
    model = spread(small(dropout=0.0, attention_dropout=1.0, head_dropout=0.0))
    other = spread(small(dropout=0.0, attention_dropout=0.0, head_dropout=1.0))
    np.testing.assert_allclose(model(ids).numpy(), other(ids).numpy(), atol=1e-6)


def test_training_lowers_the_loss_and_the_file_gives_the_same(tmp_path):
    fd.manual_seed(0)
    rates = {"head_dropout": 0.1, "drop_path": 0.1, "layer_drop": 0.1, "word_dropout": 0.05}
    model = small(dropout=0.1, pooling="mean", padding_idx=0, **rates)
    rng = np.random.default_rng(3)
    y = np.arange(64) % 4
    tokens = rng.integers(5, 20, (64, 9))
    tokens[:, 3] = y + 1
    tokens[::2, 7:] = 0
    optimizer = fd.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(80):
        loss = F.cross_entropy(model(tokens), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert (model.eval()(tokens).numpy().argmax(1) == y).mean() > 0.95
    fd.save(model, tmp_path / "bert.safetensors")
    loaded = fd.load(tmp_path / "bert.safetensors").eval()
    np.testing.assert_array_equal(model(tokens).numpy(), loaded(tokens).numpy())
    assert loaded.padding_idx == 0 and loaded.layer_drop == 0.1 and loaded.pooling == "mean"


def test_sizes_of_bert_base():
    """The number of weights of BERT-Base with its pooler."""
    with fd.nn.init.skipped():
        model = fd.models.bert(30522, pooling="pooler")
    assert sum(p.numel() for p in model.parameters()) == 109_482_240


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_attention_heads": 5}, "num_attention_heads must divide hidden_size, got 5 and 12"),
        ({"pooling": "max"}, "pooling must be one of"),
        ({"activation": "selu"}, "activation must be one of"),
        ({"pooler_activation": "gelu"}, "pooler_activation"),
        ({"dropout": 1.5}, "1.5"),
        ({"layer_drop": -0.1}, "layer_drop"),
        ({"num_classes": 0}, "num_classes"),
        ({"type_vocab_size": -1}, "type_vocab_size"),
        ({"padding_idx": 20}, "padding_idx must be between 0 and 19"),
    ],
)
def test_refused_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((np.ones((2, 11), int),), r"at most max_position_embeddings = 10 .*got shape \(2, 11\)"),
        ((np.ones(4, int),), r"input_ids must have shape \(N, T\).*got shape \(4,\)"),
        ((np.ones((2, 0), int),), "at least 1"),
        ((np.full((1, 2), 20),), "from 0 to 19"),
        ((TOKENS, MASK[:, :-1]), r"attention_mask must have input_ids' shape \(5, 9\), got \(5, 8"),
        ((TOKENS, MASK[0]), "attention_mask must have input_ids' shape"),
        ((TOKENS, np.full((5, 9), 0.5)), "attention_mask must hold 1 where .* got .*0.5"),
        ((TOKENS, None, TYPES[:2]), "token_type_ids must have input_ids' shape"),
        ((TOKENS, None, TYPES + 1), "from 0 to 1"),
    ],
)
def test_refused_inputs(inputs, message):
    with pytest.raises(ValueError, match=message):
        small()(*inputs)


def test_types_without_a_table_are_refused():
    with pytest.raises(ValueError, match="token_type_ids must be None"):
        small(type_vocab_size=0)(TOKENS, None, TYPES)
