"""Losses of the user's own that get the whole batch, for models with several outputs."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import data, nn, optim

RNG = np.random.default_rng(8)
X = RNG.standard_normal((24, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


class Heads(nn.Module):
    """Classes, and the input again."""

    def __init__(self):
        super().__init__()
        self.body, self.kind, self.back = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 4)

    def forward(self, x):
        h = F.tanh(self.body(x))
        return {"kind": self.kind(h), "back": self.back(h)}


def both(outputs, batch):
    x, y = batch
    return F.cross_entropy(outputs["kind"], y) + F.mse_loss(outputs["back"], x)


def trained(loss, source, **options):
    fd.manual_seed(0)
    model = Heads()
    history = fd.fit(
        *(model, source),
        loss=loss,
        epochs=3,
        optimizer=optim.SGD(model.parameters(), lr=0.1),
        progress=False,
        **options,
    )
    return model, history


def test_the_steps_are_those_of_a_loop():
    model, history = trained(both, (X, Y), batch_size=8, shuffle=False, validation=(X, Y))
    fd.manual_seed(0)
    other, losses = Heads(), []
    optimizer = optim.SGD(other.parameters(), lr=0.1)
    for _ in range(3):
        total = 0.0
        for i in range(0, 24, 8):
            x, y = X[i : i + 8], Y[i : i + 8]
            out = other(x)
            loss = F.cross_entropy(out["kind"], y) + F.mse_loss(out["back"], x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / 3
        losses.append(total)
    assert np.allclose(history["loss"], losses, atol=1e-6)
    assert "accuracy" not in history
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        assert np.allclose(a.numpy(), b.numpy(), atol=1e-6)
    expected = both(other.eval()(X), (X, Y)).item()
    assert history["val_loss"][-1] == pytest.approx(expected, abs=1e-5)
    assert fd.evaluate(model, (X, Y), loss=both)["loss"] == pytest.approx(expected, abs=1e-5)


def test_one_output_has_its_accuracy():
    model = fd.models.mlp(4, [8], 2)
    history = fd.fit(
        *(model, (X, Y)), loss=lambda out, batch: F.cross_entropy(out, batch[1]), progress=False
    )
    assert 0.0 <= history["accuracy"][-1] <= 1.0


def test_weights_are_the_third_part():
    seen = []

    def weighted(outputs, batch):
        x, y, weight = batch
        seen.append((len(x), weight.shape))
        return (F.cross_entropy(outputs["kind"], y, reduction="none") * weight).mean()

    trained(weighted, (X, Y), batch_size=12, sample_weight=np.linspace(1, 2, 24))
    assert seen == [(12, (12,))] * 6


@pytest.mark.parametrize("several", ["tuple", "dict"])
def test_several_targets_of_a_loader(several):
    pairs = data.TensorDataset(X, Y, X * 2)

    def collate(samples):
        x, kind, back = data.default_collate(samples)
        y = (kind, back) if several == "tuple" else {"kind": kind, "back": back}
        return x, y

    def loss(outputs, batch):
        _, y = batch
        kind, back = y if several == "tuple" else (y["kind"], y["back"])
        return F.cross_entropy(outputs["kind"], kind) + F.mse_loss(outputs["back"], back)

    loader = data.DataLoader(pairs, batch_size=8, collate_fn=collate)
    model, history = trained(loss, loader)
    assert history["loss"][-1] < history["loss"][0]
    out = model(X)
    whole = F.cross_entropy(out["kind"], Y) + F.mse_loss(out["back"], X * 2)
    assert fd.evaluate(model, loader, loss=loss)["loss"] == pytest.approx(whole.item(), abs=1e-5)


def test_metrics_need_one_output():
    with pytest.raises(TypeError, match="metrics must be left out for a model that returns"):
        fd.evaluate(Heads(), (X, Y), loss=both, metrics={"a": lambda out, y: 0.0})
