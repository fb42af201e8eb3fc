"""Sample weights in training, validation and evaluation."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.data import Dataset
from fastdrop.models import mlp
from fastdrop.train import fit
from helpers.training import digits


@pytest.mark.parametrize(
    "loss, target",
    [
        ("cross_entropy", "labels"),
        (nn.CrossEntropyLoss(reduction="none"), "labels"),
        ("mse", "shares"),
        ("l1", "shares"),
        ("huber", "shares"),
        ("bce_with_logits", "shares"),
        ("cross_entropy", "shares"),
        (lambda o, t: ((o - t) ** 2).sum(1), "shares"),
    ],
)
def test_a_weight_has_the_effect_of_repetitions(loss, target):
    """A sample of weight 3 has the effect of three samples on a step and on all figures."""
    x, y = digits(30)
    y = y if target == "labels" else np.eye(3, dtype=np.float32)[y]
    weight = np.arange(30) % 4
    rows = np.repeat(np.arange(30), weight)
    models = [mlp(6, (8,), 3) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    whole = loss if isinstance(loss, str) else lambda o, t: loss(o, t).mean()
    histories = []
    for model, data, keywords in zip(
        models,
        ((x, y), (x[rows], y[rows])),
        ({"loss": loss, "sample_weight": weight * 0.5}, {"loss": whole}),
    ):
        histories.append(
            fit(
                model,
                data,
                optimizer=optim.SGD(model.parameters(), lr=0.5),
                epochs=3,
                batch_size=100,
                progress=False,
                **keywords,
            )
        )
    for a, b in zip(*(model.parameters() for model in models), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-4, atol=1e-6)
    for name in set(histories[0]) - {"time"}:
        np.testing.assert_allclose(histories[0][name], histories[1][name], rtol=1e-5)
    found = fd.evaluate(models[0], (x, y), loss=loss, sample_weight=weight, batch_size=7)
    expected = fd.evaluate(models[0], (x[rows], y[rows]), loss=whole, batch_size=1000)
    assert found == pytest.approx(expected, rel=1e-5) and found != pytest.approx(
        fd.evaluate(models[0], (x, y), loss=whole), rel=1e-3
    )


def test_weights_stay_with_their_samples():
    x = np.arange(50, dtype=np.float32)[:, None]
    data = Dataset(x, np.arange(50) % 2).weighted(np.arange(50) + 1.0)
    for part in data.split(0.3):
        np.testing.assert_array_equal(part.sample_weight, part.x[:, 0] + 1)
    for shuffle in (True, False):
        seen = 0
        for xb, yb, wb in fd.data.Batches(
            data.x, data.y, 7, shuffle=shuffle, weights=data.sample_weight.astype(np.float32)
        ):
            np.testing.assert_array_equal(wb, xb[:, 0] + 1)
            np.testing.assert_array_equal(yb, xb[:, 0] % 2)
            seen += len(xb)
        assert seen == 50
    assert data.take([3, 1]).sample_weight.tolist() == [4, 2] and Dataset(x).sample_weight is None


def test_validation_data_with_their_own_weights():
    (x, y), (a, b) = digits(), digits(20, 1)
    weight = np.arange(20.0)
    model = mlp(6, (8,), 3)
    history = fit(
        model, (x, y), validation=Dataset(a, b).weighted(weight), epochs=1, progress=False
    )
    assert (
        fd.evaluate(model, (a, b), sample_weight=weight)["loss"]
        == history["val_loss"][0]
        != fd.evaluate(model, (a, b))["loss"]
    )
    right = fd.predict(model, a).argmax(1) == b
    assert history["val_accuracy"][0] == pytest.approx((weight * right).sum() / weight.sum())
