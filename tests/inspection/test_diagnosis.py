"""The doctor, batch norm recalibrated, and pictures of masks."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.inspection.plot_masks import drawn_mask

RNG = np.random.default_rng(0)


def healthy():
    return nn.Sequential(
        nn.Dropout(0.2), nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3)
    ).eval()


def test_nothing_wrong():
    for model, data in (
        (healthy(), None),
        (healthy(), np.ones((4, 8), np.float32)),
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


SICK = {
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


@pytest.mark.parametrize("code", SICK)
def test_each_finding(code):
    model = SICK[code]().eval()
    for data in (None, np.ones((4, 8), np.float32)):
        found = fd.diagnose(model, data)
        assert found.codes() == [code], found
        finding = found[0]
        assert finding.place and all(
            len(text) > 10 for text in (finding.problem, finding.reason, finding.remedy)
        )
        assert finding.place in str(found) and code in str(found)


def test_training_mode_feature_maps_decay():
    assert fd.diagnose(healthy().train()).codes() == ["training-mode"]
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
    model = healthy()
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
def test_gaps(history, codes):
    found = fd.diagnose(healthy(), history=history)
    assert found.codes() == codes
    if codes == ["large-gap"]:
        assert "Raise" in found[0].remedy
        assert "Add dropout" in fd.diagnose(nn.Linear(3, 1).eval(), history=history)[0].remedy


def test_the_order_of_calls_is_what_counts():
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
    assert fd.diagnose(model, RNG.standard_normal((9, 8))) == []
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


def test_recalibrate_batchnorm():
    """Dropout before batch norm leaves the variance of dropped activations; the statistics made again are those of evaluation."""
    model = nn.Sequential(
        nn.Dropout(0.5), nn.Linear(20, 6), nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 2)
    )
    x = RNG.standard_normal((4000, 20)).astype(np.float32) + 1
    for i in range(0, 4000, 100):
        model(x[i : i + 100])
    clean = model[1](x).data
    norm = model[2]
    assert (norm.running_var.data > 1.2 * clean.var(0)).all()
    draw = model.draw
    assert (
        fd.recalibrate_batchnorm(model, [(x[i : i + 500], None) for i in range(0, 4000, 500)])
        is model
    )
    np.testing.assert_allclose(norm.running_var.data, clean.var(0), rtol=0.02)
    np.testing.assert_allclose(norm.running_mean.data, clean.mean(0), atol=0.01)
    assert model.training and norm.training and norm.momentum == 0.1 and model.draw == draw
    kept = norm.running_var.data.copy()
    for batches in ([], [x[:500], x[:500, :3]]):
        with pytest.raises(ValueError):
            fd.recalibrate_batchnorm(model.eval(), batches)
        assert (
            np.array_equal(norm.running_var.data, kept)
            and norm.momentum == 0.1
            and not norm.training
        )
    with pytest.raises(ValueError, match="batch norm"):
        fd.recalibrate_batchnorm(nn.Linear(2, 2), [x])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Dropout(0.5), (20, 30)),
        (nn.SpatialDropout2d(0.4), (1, 9, 6, 6)),
        (nn.DropBlock2d(0.2, 5), (1, 4, 20, 20)),
        (nn.DropPath(0.5), (12, 8)),
        (nn.DropConnectLinear(10, 12, p=0.5), ()),
        (nn.TargetedLinear(10, 12), ()),
        (nn.Embedding(12, 4, dropout=0.5), ()),
        (nn.TokenDropout(0.5), (3, 8, 5)),
        (nn.GaussianDropout(0.3), (10, 10)),
        (nn.Dropout(0.5), (7,)),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else None,
)
def test_pictures_of_masks(layer, shape, tmp_path):
    layer.eval()
    mask = drawn_mask(layer, shape, draw=1)
    if not isinstance(layer, nn.GaussianDropout):
        assert 0.1 < (np.abs(mask) < 1e-3).mean() < 0.8
    picture = fd.plot_masks(layer, shape, tmp_path / "m.png", draws=2)
    assert (
        (tmp_path / "m.png").read_bytes()[:4] == b"\x89PNG"
        and len(picture.axes) == 2
        and not layer.training
    )
    if isinstance(layer, nn.DropConnectLinear):
        from fastdrop import kernels as K

        np.testing.assert_array_equal(np.abs(mask) > 1e-3, K.dropconnect_mask(12, 10, 0.5, draw=1))
    with pytest.raises(TypeError, match="layer"):
        fd.plot_masks(3, shape)
