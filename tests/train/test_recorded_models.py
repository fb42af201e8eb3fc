"""`fit` of models with embeddings, recurrent layers and attention by replay: the same bits."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.nn import functional as F
from fastdrop.nn.fixed_layers import FIXED_IN_STEPS, FIXED_LAYERS
from fastdrop.sklearn import losses
from helpers.fitted import COMPUTED, REAL, Y, relu_dropout, run, same

WORDS = 11
RNG = np.random.default_rng(0)
TOKENS = RNG.integers(1, WORDS, (95, 7))
TOKENS[np.arange(7) >= RNG.integers(1, 8, 95)[:, None]] = 0  # padding
IMAGES = RNG.standard_normal((95, 2, 8, 8), np.float32)


def text(**options):
    return lambda: fd.models.text_classifier(WORDS, 3, 6, 8, **options)


def bert(**options):
    return lambda: fd.models.bert(
        WORDS, 8, 2, 2, max_position_embeddings=8, num_classes=3, **options
    )


@pytest.mark.parametrize(
    "model",
    [
        text(dropout=0.2, recurrent_dropout=0.2, zoneout=0.1),
        text(padding_idx=0, embedding_dropout=0.2),
        text(cell="gru", bidirectional=True, num_layers=2, dropout=0.2),
        bert(dropout=0.1, padding_idx=0, pooling="mean"),
        bert(word_dropout=0.1, head_dropout=0.2, activation="relu"),
    ],
)
def test_models_of_texts(model, monkeypatch):
    same(monkeypatch, COMPUTED, model=model, x=TOKENS)


@pytest.mark.parametrize(
    "model",
    [
        lambda: fd.models.vit(3, 8, 4, 8, 2, 2, 2.0, 2, dropout=0.1, patch_dropout=0.5),
        lambda: fd.models.resnet20(3, 2),
        lambda: fd.models.wide_resnet(10, 1, 3, 2, dropout=0.2),
        lambda: fd.models.convnext_cifar(3, 2),
    ],
)
def test_models_of_images(model, monkeypatch):
    same(monkeypatch, COMPUTED, model=model, x=IMAGES, epochs=2, batch_size=50)


def test_models_that_leave_a_choice_to_python_are_computed(monkeypatch):
    same(monkeypatch, 15, model=text(padding_idx=0, bidirectional=True), x=TOKENS)
    same(monkeypatch, 15, model=bert(drop_path=0.3), x=TOKENS)
    same(monkeypatch, 15, model=bert(layer_drop=0.3), x=TOKENS)
    same(monkeypatch, 0, model=bert(dropout=fd.schedules.Linear(0.1, 0.2, 10)), x=TOKENS)


SERIES = RNG.standard_normal((95, 7, 6), np.float32)


class Last(nn.Flatten):
    """A layer of a Sequential that takes what the tests need of a sequence."""

    def forward(self, x):
        return (x[0] if isinstance(x, tuple) else x)[:, -1]


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.LSTM(6, 8, batch_first=True),
        lambda: nn.GRU(6, 8, batch_first=True),
        lambda: nn.RNN(6, 8, batch_first=True),
        lambda: nn.Sequential(
            nn.Linear(6, 8), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        ),
        lambda: nn.Sequential(
            nn.Linear(6, 8),
            nn.SinusoidalPositionalEncoding(8),
            nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
        ),
        lambda: nn.Sequential(
            nn.Linear(6, 8), nn.LearnedPositionalEncoding(7, 8), nn.TokenDropout(0.2)
        ),
        lambda: nn.Sequential(nn.Linear(6, 8), nn.PatchDropout(0.4), nn.Residual(nn.Linear(8, 8))),
    ],
)
def test_layers_of_series(layer, monkeypatch):
    monkeypatch.setattr("fastdrop.train.recorded_steps.FIXED_IN_STEPS", FIXED_IN_STEPS | {Last})
    same(
        monkeypatch,
        COMPUTED,
        model=lambda: nn.Sequential(layer(), Last(), nn.Linear(8, 3)),
        x=SERIES,
    )


def test_several_inputs(monkeypatch):
    x = {"input_ids": TOKENS, "attention_mask": TOKENS > 0, "token_type_ids": (TOKENS > 5) * 1}
    same(monkeypatch, COMPUTED, model=bert(pooling="mean"), x=x)
    same(monkeypatch, COMPUTED, model=bert(), x=tuple(x.values()))


@pytest.mark.parametrize(
    "loss",
    [
        losses.mean_half_squares,
        losses.mean_poisson_deviances,
        losses.mean_label_entropies,
        F.smooth_l1_loss,
        F.poisson_nll_loss,
        F.binary_cross_entropy_with_logits,
        F.multilabel_soft_margin_loss,
        F.soft_margin_loss,
        F.hinge_embedding_loss,
        F.kl_div,
    ],
)
def test_functions_of_the_library_as_losses_of_numbers(loss, monkeypatch):
    y = (REAL.mean(0) < REAL).astype(np.float32)
    same(monkeypatch, COMPUTED, model=lambda: relu_dropout(2), y=y, loss=loss)


@pytest.mark.parametrize(
    "loss", [losses.half_squares, losses.poisson_deviances, losses.label_entropies]
)
def test_losses_of_estimators_with_weights(loss, monkeypatch):
    y = (REAL.mean(0) < REAL).astype(np.float32)
    given = {"model": lambda: relu_dropout(2), "y": y, "sample_weight": np.linspace(0.5, 1.5, 95)}
    same(monkeypatch, COMPUTED, loss=loss, **given)


@pytest.mark.parametrize("loss", [F.multi_margin_loss, F.focal_loss])
def test_functions_of_the_library_as_losses_of_labels(loss, monkeypatch):
    same(monkeypatch, COMPUTED, loss=loss)


def test_a_token_that_does_not_exist_is_found_in_a_replay(monkeypatch):
    x = TOKENS.copy()
    x[90] = WORDS
    for replayed in (False, True):
        with pytest.raises(ValueError, match="to 11"):
            run(replayed, monkeypatch, model=text(), x=x, shuffle=False)


def test_the_sets_of_layers():
    assert FIXED_LAYERS < FIXED_IN_STEPS and nn.LSTM not in FIXED_LAYERS
    assert len(Y) == len(TOKENS)
