"""Transformers in files: arguments, masks and training after loading, and what is refused."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.io import architecture
from fastdrop.io.weight_sizes import least_numbers
from fastdrop.nn import functional as F
from fastdrop.predictor.load import load_predictor

RNG = np.random.default_rng(0)
X, MEMORY = (RNG.standard_normal((4, n, 8)).astype(np.float32) for n in (5, 6))
RAMP = fd.schedules.Linear(0.1, 0.5, 4)
RATES = {
    "dropout": RAMP,
    "attention_dropout": fd.schedules.Linear(0.5, 0.2, 3),
    "residual_dropout": 0.2,
    "drop_path": 0.3,
    "head_dropout": 0.25,
    "batch_first": True,
}


def layer(kind=nn.TransformerEncoderLayer, **arguments):
    return kind(8, 2, 12, **{**RATES, **arguments})


MODELS = {
    "attention": lambda: nn.MultiheadAttention(8, 2, RAMP, add_bias_kv=True, batch_first=True),
    "layer": lambda: layer(norm_first=True, activation=nn.SiLU()),
    "encoder": lambda: nn.TransformerEncoder(
        layer(activation="gelu"), 3, nn.LayerNorm(8), layer_drop=0.3, drop_path=0.4
    ),
    "empty": lambda: nn.Sequential(nn.TransformerEncoder(layer(), 0), layer()),
    "decoder": lambda: nn.TransformerDecoder(layer(nn.TransformerDecoderLayer), 2),
    "both": lambda: nn.Transformer(8, 2, 2, 1, 12, layer_drop=0.2, bias=False, **RATES),
    "unlike": lambda: nn.TransformerEncoder(
        nn.ModuleList([layer(), layer(dropout=0.0, norm_first=True)]), 2, layer_drop=[0.0, 0.5]
    ),
}


def inputs(model):
    if isinstance(model, nn.MultiheadAttention):
        return X, MEMORY, MEMORY
    two = (nn.TransformerDecoderLayer, nn.TransformerDecoder, nn.Transformer)
    return (X, MEMORY) if isinstance(model, two) else (X,)


def trained(model, steps):
    """The outputs of training steps, whose masks start from seed 7, and the weights after them."""
    fd.manual_seed(7)
    optimizer = fd.optim.SGD(model.parameters(), lr=0.05)
    found = []
    for _ in range(steps):
        y = model(*inputs(model))
        y = y[0] if isinstance(y, tuple) else y
        found.append(y.numpy())
        optimizer.zero_grad()
        (y * y).mean().backward()
        optimizer.step()
    return found, model.state_dict()


@pytest.mark.parametrize("name", MODELS)
def test_masks_and_training_go_on_after_loading(tmp_path, name):
    model = MODELS[name]()
    trained(model, 2)
    fd.save(model, tmp_path / "a")
    loaded = fd.load(tmp_path / "a")
    loaded.draw = model.draw
    assert repr(loaded) == repr(model) and loaded.training
    wanted, weights = trained(model, 3)
    found, others = trained(loaded, 3)
    for a, b in zip([*wanted, *weights.values()], [*found, *others.values()], strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-3  # the masks changed


def test_a_tree_with_transformers_is_evaluated_as_before(tmp_path):
    model = nn.Sequential(
        nn.Embedding(9, 8),
        nn.SinusoidalPositionalEncoding(8, 20),
        nn.TransformerEncoder(layer(), 2),
        nn.SwiGLU(8, 6, dropout=RAMP),
        nn.Linear(8, 3),
    ).eval()
    fd.save(model, tmp_path / "a")
    tokens = RNG.integers(0, 9, (2, 7))
    loaded = fd.load(tmp_path / "a")
    np.testing.assert_array_equal(loaded(tokens).numpy(), model(tokens).numpy())
    a, b = (fd.mc_predict(m, tokens, 5, output="raw", keep=True).passes for m in (model, loaded))
    np.testing.assert_array_equal(a, b)
    assert a.std(1).max() > 1e-3


def test_shared_layers_stay_shared(tmp_path):
    one = layer()
    model = nn.TransformerEncoder(nn.ModuleList([one, one, layer()]), 3)
    fd.save(model, tmp_path / "a")
    loaded = fd.load(tmp_path / "a")
    assert loaded.layers[0] is loaded.layers[1] is not loaded.layers[2]


def changed(part, name, value):
    model = nn.Sequential(layer())
    setattr(getattr(model[0], part), name, value)
    return model


def with_shared_part():
    one = layer()
    return nn.Sequential(one, one.linear1)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: nn.Sequential(layer(activation=F.silu)), "0 has a function as activation"),
        (lambda: layer(activation=F.silu), "the model has a function as activation"),
        (lambda: changed("dropout2", "p", 0.9), "0 is a TransformerEncoderLayer whose layers were"),
        (lambda: changed("self_attn", "in_proj_bias", None), "0 is a TransformerEncoderLayer"),
        (with_shared_part, "'1' is a layer of a TransformerEncoderLayer, too"),
    ],
)
def test_what_a_file_cannot_hold(tmp_path, make, sentence):
    model = make()
    with pytest.raises(ValueError, match=sentence):
        architecture.architecture(model)
    fd.save(model, tmp_path / "a")  # the weights
    with pytest.raises(ValueError, match=sentence):
        fd.load(tmp_path / "a")
    fresh = make()
    fd.load(tmp_path / "a", fresh)
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(fresh.state_dict()[key], array)


def test_sizes_that_a_file_claims_are_checked_first():
    """The numbers that copies of a layer would hold."""
    made = architecture.architecture(layer(dropout=0.1, attention_dropout=0.1))
    numbers = 4 * 8 * 8 + 2 * 8 * 12
    for kind, arguments, wanted in (
        ("TransformerEncoder", {"encoder_layer": made, "num_layers": 1000}, 1001 * numbers),
        (
            "TransformerDecoder",
            {"decoder_layer": {"class": "Identity", "arguments": {}}, "num_layers": 10**9},
            10**9,
        ),
        (
            "Transformer",
            {
                "d_model": 8,
                "dim_feedforward": 12,
                "num_encoder_layers": 10,
                "num_decoder_layers": 2,
            },
            12 * numbers + 2 * 4 * 8 * 8,
        ),
        ("Transformer", {}, 6 * (3 * 4 * 512**2 + 2 * 2 * 512 * 2048)),
    ):
        spec = {"class": kind, "arguments": arguments}
        assert least_numbers(spec) == wanted


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"num_layers": 3}, "num_layers must be the number of layers, 2, got 3"),
        ({"num_layers": 2, "layer_drop": [0.1]}, "number of rates of layer_drop, 1, got 2"),
        ({"num_layers": 2, "layer_drop": [0.1, 1.5]}, "layer_drop"),
    ],
)
def test_layers_that_are_given_one_by_one(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        nn.TransformerEncoder(nn.ModuleList([layer(), layer()]), **arguments)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (layer, "MultiheadAttention, a layer of sequences"),
        (
            lambda: nn.Sequential(layer(), nn.Linear(8, 2)),
            "MultiheadAttention, a layer of sequences",
        ),
        (lambda: fd.models.gpt(11, 12, 1, 2, 8), "Embedding, a layer of sequences"),
        (lambda: nn.LSTM(8, 4), "LSTM, a layer of sequences"),
        (lambda: fd.models.vit_tiny(image_size=8, patch_size=4), "Conv2d, a layer of images"),
    ],
)
def test_the_rows_of_a_table_are_no_sequence(tmp_path, make, kind):
    """Rows (N, 8) would be one sample of N positions, and an answer depend on the other rows."""
    fd.save(make(), tmp_path / "a")
    with pytest.raises(ValueError, match=f"begins with {kind}: "):
        load_predictor(tmp_path / "a")
    table = nn.Sequential(
        nn.Linear(8, 12),
        nn.Unflatten(1, (3, 4)),
        nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
        nn.Flatten(),
        nn.Linear(12, 2),
    )
    fd.save(table.eval(), tmp_path / "a")
    predictor, _ = load_predictor(tmp_path / "a")
    assert predictor.predict(X[0]).shape == (5, 2)
