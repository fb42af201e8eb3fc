"""Recorded steps of models of sequences and images: transformers and recurrent layers."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.nn import functional as F
from helpers.recorded import CALLS, USUAL, Trained, of, refused, same

WORDS = 11


def tokens(steps=8):
    """Token numbers (4, steps), of which the last ones are often 0, and a number of each token."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(CALLS):
        x = rng.integers(1, WORDS, (4, steps))
        if i % 3:  # the first batch has no padding
            x[np.arange(steps) >= rng.integers(1, steps + 1, 4)[:, None]] = 0
        found.append((x, rng.integers(0, WORDS, (4, steps))))
    return found


def step_of_tokens(self, x, y):
    self.optimizer.zero_grad()
    loss = F.cross_entropy(self.model(x).reshape(-1, WORDS), y.reshape(-1))
    loss.backward()
    self.optimizer.step()
    return loss


def of_tokens(model):
    return lambda: of(step_of_tokens)(model, optim.AdamW)


def classes(data):
    return [(x, np.ascontiguousarray(y[:, 0])) for x, y in data]


def gpt(**options):
    return lambda: fd.models.gpt(WORDS, 8, 2, 2, 8, **options)


@pytest.mark.parametrize("options", [{"dropout": 0.1}, {"word_dropout": 0.2, "head_dropout": 0.2}])
def test_a_language_model(options):
    same(USUAL, make=of_tokens(gpt(**options)), data=tokens())


@pytest.mark.parametrize("options", [{"drop_path": 0.3}, {"layer_drop": 0.3}])
def test_branches_that_are_computed_for_some(options):
    name = {"drop_path": "DropPath", "layer_drop": "LayerDrop"}
    refused(name[next(iter(options))], make=of_tokens(gpt(**options)), data=tokens())


def test_token_numbers_are_checked_in_replays():
    fd.manual_seed(1)
    trained = of_tokens(gpt())()
    step, data = fd.record(trained.step), tokens()
    for batch in data[:5]:
        step(*batch)
    with pytest.raises(ValueError, match=r"from 0 to 10, got . to 11"):
        step(np.clip(data[5][0] + 4, 0, 11), data[5][1])


@pytest.mark.parametrize("pooling", ["cls", "mean", "pooler"])
@pytest.mark.parametrize("options", [{}, {"padding_idx": 0}, {"padding_idx": 0, "dropout": 0.0}])
def test_an_encoder_of_texts(pooling, options):
    def model():
        return fd.models.bert(
            *(WORDS, 8, 2, 2), max_position_embeddings=9, num_classes=WORDS, pooling=pooling,
            word_dropout=0.1, **options,
        )  # fmt: skip

    same(USUAL, make=lambda: Trained(model), data=classes(tokens()))


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.2},
        {"patch_dropout": 0.5, "attention_dropout": 0.2},
        {"distilled": True},
        {"class_token": False},
    ],
)
def test_a_transformer_of_images(options):
    rng = np.random.default_rng(0)
    data = [
        (rng.standard_normal((4, 2, 8, 8), np.float32), rng.integers(0, 3, 4)) for _ in range(CALLS)
    ]
    same(
        USUAL,
        make=lambda: Trained(lambda: fd.models.vit(3, 8, 4, 8, 2, 2, 2.0, 2, **options)),
        data=data,
    )


class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, 8)
        self.layers = nn.Transformer(8, 2, 1, 1, 16)
        self.head = nn.Linear(8, WORDS)

    def forward(self, x):
        y = self.words(x).transpose(0, 1)
        mask = nn.Transformer.generate_square_subsequent_mask(len(y))
        y = self.layers(y, y, tgt_mask=mask, src_key_padding_mask=fd.eq(x, 0))
        return self.head(y.transpose(0, 1))


def test_an_encoder_and_a_decoder_with_masks():
    data = [
        (np.concatenate([np.full((4, 1), 1), x], 1), np.pad(y, ((0, 0), (1, 0))))
        for x, y in tokens()
    ]
    same(USUAL, make=of_tokens(Translator), data=data)


CELLS = [
    *((cell, {}) for cell in (nn.LSTM, nn.GRU, nn.RNN)),
    *(
        (cell, {"num_layers": 2, "dropout": 0.2, "bidirectional": True})
        for cell in (nn.LSTM, nn.GRU)
    ),
    (nn.RNN, {"nonlinearity": "relu", "bias": False}),
    (nn.LSTM, {"proj_size": 4}),
    (nn.LSTM, {"recurrent_dropout": 0.2, "input_dropout": 0.2, "variational": True}),
    (nn.LSTM, {"recurrent_dropout": 0.2, "input_dropout": 0.2, "per_gate": True}),
    (nn.GRU, {"recurrent_dropout": 0.2, "input_dropout": 0.2, "per_gate": True}),
    (nn.LSTM, {"update_dropout": 0.2, "update_per_step": False, "output_dropout": 0.2}),
    (nn.LSTM, {"zoneout": 0.2, "weight_drop": 0.2}),
]


class Recurrent(nn.Module):
    """The outputs and the last state of a recurrent layer."""

    def __init__(self, cell, options):
        super().__init__()
        self.words = nn.Embedding(WORDS, 6)
        self.layer = cell(6, 8, **options)
        self.state = nn.Linear(8 if not options.get("proj_size") else 4, WORDS)
        width = (options.get("proj_size") or 8) * (1 + options.get("bidirectional", False))
        self.head = nn.Linear(width, WORDS)

    def forward(self, x):
        y, state = self.layer(self.words(x))
        last = state[0] if isinstance(state, tuple) else state
        return self.head(y) + self.state(last[-1])


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(("cell", "options"), CELLS)
def test_recurrent_layers(cell, options, batch_first):
    def model():
        return Recurrent(cell, options | {"batch_first": batch_first})

    data = tokens(4)  # as many steps as sequences, for both layouts
    same(USUAL, make=of_tokens(model), data=data)


def test_a_state_that_goes_on():
    class Carried(Trained):
        def step(self, x, y, h, c):
            self.optimizer.zero_grad()
            out, (h, c) = self.model[0](x, (h, c))
            loss = F.cross_entropy(self.model[1](out).reshape(-1, 3), y.reshape(-1))
            loss.backward()
            self.optimizer.step()
            return loss, h.detach(), c.detach()

    def trained(recorded):
        fd.manual_seed(1)
        made = Carried(lambda: nn.ModuleList([nn.LSTM(6, 8, batch_first=True), nn.Linear(8, 3)]))
        step = fd.record(made.step) if recorded else made.step
        rng, losses = np.random.default_rng(0), []
        h = c = fd.zeros(1, 4, 8)
        for _ in range(CALLS):
            loss, h, c = step(
                rng.standard_normal((4, 5, 6), np.float32), rng.integers(0, 3, (4, 5)), h, c
            )
            losses.append([loss.item(), h.tolist(), c.tolist()])
        return losses, [p.tolist() for p in made.model.parameters()], step

    expected, found = trained(False), trained(True)
    assert found[:2] == expected[:2] and found[2].replays == USUAL


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.2, "recurrent_dropout": 0.2, "num_layers": 2, "zoneout": 0.1},
        {"bidirectional": True},
        {"padding_idx": 0, "embedding_dropout": 0.2},
        {"cell": "gru", "padding_idx": 0},
    ],
)
def test_a_classifier_of_texts(options):
    def model():
        return fd.models.text_classifier(WORDS, WORDS, 6, 8, **options)

    same(USUAL, make=lambda: Trained(model), data=classes(tokens()))


def test_packed_sequences_run_as_before():
    def model():
        return fd.models.text_classifier(WORDS, WORDS, 6, 8, padding_idx=0, bidirectional=True)

    refused("a PackedSequence", make=lambda: Trained(model), data=classes(tokens()))


def test_other_lengths_are_recorded_anew():
    def model():
        return fd.models.text_classifier(WORDS, WORDS, 6, 8, dropout=0.2, padding_idx=0)

    short = [(x[:, :5].copy(), y) for x, y in classes(tokens())]
    data = [batch for pair in zip(classes(tokens()), short) for batch in pair]
    # The first call is recorded without gradients, and each length once with them and checked.
    step = same(2 * CALLS - 5, make=lambda: Trained(model), data=data)
    assert step.refused is None
