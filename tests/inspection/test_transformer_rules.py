"""`diagnose` on transformers: mistakes that it finds, and models without one."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn

TOKENS = np.ones((2, 5), int)
IMAGES = np.ones((2, 3, 8, 8), np.float32)
VECTORS = np.ones((2, 5, 8), np.float32)


def layer(kind=nn.TransformerEncoderLayer, **arguments):
    return kind(8, 2, 12, batch_first=True, **arguments)


def gpt(**arguments):
    return fd.models.gpt(11, 12, 2, 2, 16, **arguments)


def vit(**arguments):
    return fd.models.vit(4, 8, 4, 8, 2, 2, **arguments)


@pytest.mark.parametrize(
    ("make", "data"),
    [
        (lambda: gpt(dropout=0.1, layer_drop=0.2, head_dropout=0.2, word_dropout=0.1), TOKENS),
        (lambda: vit(drop_path_rate=0.2, patch_dropout=0.5), IMAGES),
        (lambda: vit(drop_path_rate=0.2, dropout=0.1), IMAGES),
        (lambda: nn.TransformerEncoder(layer(drop_path=0.1), 2), VECTORS),
        (lambda: nn.Transformer(8, 2, 1, 1, 12), None),
        (lambda: nn.Sequential(nn.Linear(8, 8), layer(dropout=0.3), nn.Linear(8, 2)), VECTORS),
        (
            lambda: nn.Sequential(
                *(nn.Embedding(11, 8), nn.SinusoidalPositionalEncoding(8, 20), nn.Dropout(0.1)),
                *(nn.TransformerEncoder(layer(), 2), nn.Linear(8, 3)),
            ),
            TOKENS,
        ),
        (  # an image network whose convolutions overlap, with attention behind them
            lambda: nn.Sequential(
                *(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(2), layer_of(64), nn.Flatten()),
                nn.Linear(512, 2),
            ),
            IMAGES,
        ),
    ],
)
def test_transformers_without_a_mistake(make, data):
    model = make().eval()
    for given in (None, data):
        found = fd.diagnose(model, given)
        assert found == [], found


def layer_of(size):
    return nn.TransformerEncoderLayer(size, 2, 12, batch_first=True)


@pytest.mark.parametrize(
    ("make", "places"),
    [
        (lambda: layer(dropout=0.5), [""]),
        (lambda: nn.Sequential(layer(attention_dropout=0.4)), ["0"]),
        (lambda: nn.Sequential(layer(residual_dropout=fd.schedules.Linear(0.0, 0.4, 9))), ["0"]),
        (lambda: nn.Sequential(layer(nn.TransformerDecoderLayer, dropout=0.35)), ["0"]),
        (lambda: nn.MultiheadAttention(8, 2, 0.4), [""]),
        (lambda: gpt(dropout=0.4), ["h.layers.0", "h.layers.1"]),
        (lambda: layer(drop_path=0.6, head_dropout=0.4), []),  # other rates have other limits
    ],
)
def test_high_rates(make, places):
    found = [f for f in fd.diagnose(make().eval()) if f.code == "transformer-rate"]
    assert [finding.place for finding in found] == places
    assert all("0.1 to 0.3" in finding.remedy for finding in found)


def test_images_want_stochastic_depth():
    for rates, codes in (
        ({"dropout": 0.1}, ["dropout-on-patches"]),
        ({"attention_dropout": 0.1}, ["dropout-on-patches"]),
        ({"dropout": 0.1, "drop_path_rate": 0.1}, []),
        ({}, []),
    ):
        for data in (None, IMAGES):
            found = fd.diagnose(vit(**rates).eval(), data)
            assert found.codes() == codes
            assert [finding.place for finding in found] == ["layers.layers.0"] * len(codes)


def test_weight_decay_of_norms_and_biases():
    model = gpt().eval()
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    adam = fd.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.001)
    (found,) = fd.diagnose(model, optimizer=adam)
    # 2 layers of 2 norms and 4 products, and the norm behind them
    assert found.code == "decay-on-norms" and f"of {2 * (4 + 4) + 2} norms" in found.problem
    assert len(others) == 18
    groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    for fitting in (
        fd.optim.AdamW(groups, lr=0.01, weight_decay=0.001),
        fd.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0),
        fd.optim.AdamW(gpt().parameters(), lr=0.01, weight_decay=0.001),  # of another model
    ):
        assert fd.diagnose(model, optimizer=fitting) == []
    dense = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    decay = fd.optim.AdamW(dense.parameters(), lr=0.01, weight_decay=0.001)
    assert fd.diagnose(dense, optimizer=decay) == []


@pytest.mark.parametrize(
    ("rates", "history", "words"),
    [
        (
            {},
            {"loss": [1, 0.1], "val_loss": [1, 0.5]},
            "after the softmax and before each addition",
        ),
        ({"attention_dropout": 0.1}, {"loss": [1, 0.1], "val_loss": [1, 0.5]}, "Raise the rates"),
        ({"dropout": 0.1}, {"loss": [1, 0.3], "val_loss": [1, 0.301]}, "to 0, as in pretraining"),
        ({}, {"loss": [1, 0.3], "val_loss": [1, 0.301]}, "Dropout is not needed"),
    ],
)
def test_the_gap_says_whether_a_transformer_needs_dropout(rates, history, words):
    (found,) = fd.diagnose(gpt(**rates).eval(), history=history)
    assert words in found.remedy
