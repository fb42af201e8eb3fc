"""`diagnose`: what it finds in models with a mistake, and nothing in models without one."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim


def good_model():
    """A model without a mistake."""
    return nn.Sequential(
        nn.Dropout(0.2), nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)
    ).eval()


def test_models_without_a_mistake():
    for model, data in (
        (good_model(), None),
        (good_model(), np.ones((4, 8), np.float32)),
        (
            nn.Sequential(
                nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
            ).eval(),
            None,
        ),
        (
            nn.Sequential(nn.Linear(8, 8), nn.SELU(), nn.AlphaDropout(0.1), nn.Linear(8, 1)).eval(),
            None,
        ),
        (
            nn.Sequential(
                nn.Residual(
                    nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 8)), 0.2
                ),
                nn.Linear(8, 2),
            ).eval(),
            None,
        ),
    ):
        found = fd.diagnose(model, data)
        assert found == [] and str(found) == "nothing found", found


MISTAKES = {
    "before-batch-norm": lambda: nn.Sequential(
        nn.Linear(8, 8),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(8, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Linear(8, 1),
    ),
    "on-output": lambda: nn.Sequential(
        nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1), nn.Dropout(0.1)
    ),
    "twice": lambda: nn.Sequential(
        nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.1), nn.Dropout(0.1), nn.Linear(8, 1)
    ),
    "selu": lambda: nn.Sequential(nn.Linear(8, 8), nn.SELU(), nn.Dropout(0.1), nn.Linear(8, 1)),
    "alpha-without-selu": lambda: nn.Sequential(
        nn.Linear(8, 8), nn.ReLU(), nn.AlphaDropout(0.1), nn.Linear(8, 1)
    ),
    "before-activation": lambda: nn.Sequential(
        nn.Linear(8, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 1)
    ),
    "rate": lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.8), nn.Linear(8, 1)),
    "drops-all": lambda: nn.Sequential(
        nn.Linear(8, 8), nn.ReLU(), nn.Dropout(1.0), nn.Linear(8, 1)
    ),
    "on-shortcut": lambda: nn.Sequential(
        nn.Residual(nn.Linear(8, 8), 0.1, shortcut=nn.Dropout(0.1)), nn.Linear(8, 1)
    ),
}


@pytest.mark.parametrize("code", MISTAKES)
def test_each_mistake_is_found(code):
    model = MISTAKES[code]().eval()
    for data in (None, np.ones((4, 8), np.float32)):
        found = fd.diagnose(model, data)
        assert found.codes() == [code], found
        finding = found[0]
        assert finding.place and all(
            len(text) > 10 for text in (finding.problem, finding.reason, finding.remedy)
        )
        assert finding.place in str(found) and code in str(found)


def test_training_mode_feature_maps_and_weight_decay():
    assert fd.diagnose(good_model().train()).codes() == ["training-mode"]
    maps = nn.Sequential(nn.Dropout(0.2), nn.Flatten(), nn.Linear(48, 2)).eval()
    assert fd.diagnose(maps).codes() == []
    found = fd.diagnose(maps, np.ones((2, 3, 4, 4), np.float32))
    assert (
        found.codes() == ["on-feature-maps"]
        and "SpatialDropout2d" in found[0].remedy
        and found[0].place == "0"
    )
    assert (
        fd.diagnose(
            nn.Sequential(nn.SpatialDropout2d(0.2), nn.Flatten(), nn.Linear(48, 2)).eval(),
            np.ones((2, 3, 4, 4), np.float32),
        )
        == []
    )
    assert fd.diagnose(
        nn.Sequential(nn.SpatialDropout2d(0.4), nn.Flatten(), nn.Linear(48, 2)).eval()
    ).codes() == ["rate"]
    found = fd.diagnose(
        nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.4),
            nn.Linear(8, 8),
            nn.ReLU(),
            nn.Dropout(0.4),
            nn.Linear(8, 2),
        ).eval()
    )
    assert found.codes() == ["rate"] and found[0].place == "1" and "the input" in found[0].problem
    model = good_model()
    assert fd.diagnose(
        model, optimizer=optim.SGD(model.parameters(), lr=0.1, weight_decay=0.05)
    ).codes() == ["decay-and-dropout"]
    assert (
        fd.diagnose(model, optimizer=optim.SGD(model.parameters(), lr=0.1, weight_decay=1e-4)) == []
    )


@pytest.mark.parametrize(
    ("history", "codes"),
    [
        ({"loss": [1, 0.3], "val_loss": [1, 0.301]}, ["no-gap"]),
        ({"loss": [1, 0.1], "val_loss": [1, 0.5]}, ["large-gap"]),
        ({"loss": [1, 0.4], "val_loss": [1, 0.5]}, []),
        ({"accuracy": [0.5, 0.99], "val_accuracy": [0.5, 0.9], "loss": [1, 1]}, ["large-gap"]),
        ({"accuracy": [0.5, 0.9], "val_accuracy": [0.5, 0.9]}, ["no-gap"]),
    ],
)
def test_gap_between_training_and_validation(history, codes):
    found = fd.diagnose(good_model(), history=history)
    assert found.codes() == codes
    if codes == ["large-gap"]:
        assert "Raise" in found[0].remedy
        assert "Add dropout" in fd.diagnose(nn.Linear(3, 1).eval(), history=history)[0].remedy


def test_data_give_the_order_of_the_calls():
    """A model whose layers run in another order than they were registered in."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.norm, self.a, self.b = (
                nn.Dropout(0.2),
                nn.BatchNorm1d(8),
                nn.Linear(8, 8),
                nn.Linear(8, 1),
            )

        def forward(self, x):
            return self.b(self.drop(fd.relu(self.norm(self.a(x)))))

    model = Model().eval()
    assert "before-batch-norm" in fd.diagnose(model).codes()
    before = model.norm.running_mean.data.copy()
    assert fd.diagnose(model, np.random.default_rng(0).standard_normal((9, 8))) == []
    assert (
        np.array_equal(model.norm.running_mean.data, before)
        and model.draw == 0
        and "forward" not in model.drop.__dict__
    )
    model.train()
    with pytest.raises(ValueError, match="features"):
        fd.diagnose(model, np.ones((2, 5), np.float32))
    assert model.training and model.norm.training and "forward" not in model.drop.__dict__
    with pytest.raises(TypeError, match="model"):
        fd.diagnose(3)
    with pytest.raises(ValueError, match="history"):
        fd.diagnose(model.eval(), history={"loss": [1]})


@pytest.mark.parametrize(
    ("layer", "codes"),
    [
        (lambda: nn.LSTM(3, 4, 2, dropout=0.5, recurrent_dropout=0.2, variational=True), []),
        (lambda: nn.LSTM(3, 4, dropout=0.5), ["one-layer"]),
        (lambda: nn.LSTM(3, 4, recurrent_dropout=0.5), ["recurrent-rate"]),
        (lambda: nn.LSTM(3, 4, recurrent_dropout=0.5, per_gate=True), []),
        (lambda: nn.GRU(3, 4, 2, recurrent_dropout=0.2, dropout=0.2), ["changing-masks"]),
        (lambda: nn.GRU(3, 4, 2, dropout=0.2), []),
        (lambda: nn.LSTM(3, 4, zoneout=(0.1, 0.6)), ["zoneout-rate"]),
    ],
)
@pytest.mark.filterwarnings("ignore:dropout acts between the layers")
def test_recurrent_layers(layer, codes):
    assert fd.diagnose(nn.Sequential(layer()).eval()).codes() == codes
