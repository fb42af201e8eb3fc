"""Which figures are better, NaN among them, and batches of one sample."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.train import EarlyStopping, fit

X = np.random.default_rng(0).standard_normal((65, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


@pytest.mark.parametrize(
    ("name", "higher"),
    [
        ("accuracy", True),
        ("val_accuracy", True),
        ("val_top5_accuracy", True),
        ("val_balanced_accuracy", True),
        ("val_auc", True),
        ("val_roc_auc", True),
        ("val_AUC", True),
        ("val_f1", True),
        ("val_macro_f1", True),
        ("val_r2", True),
        ("val_recall", True),
        ("val_loss", False),
        ("val_rmse", False),
        ("val_mae", False),
        ("val_top_error", False),
        ("val_cross_entropy", False),
        ("val_brier", False),
    ],
)
def test_the_name_says_which_values_are_better(name, higher):
    stopping = EarlyStopping(1, name)
    assert stopping.improves(0.9, 0.5) is higher and stopping.improves(0.5, 0.9) is not higher
    other = EarlyStopping(1, name, mode="min" if higher else "max")
    assert other.improves(0.9, 0.5) is not higher


@pytest.mark.parametrize("name", ["val_gain", "", "val_"])
def test_an_unknown_name_needs_a_mode(name):
    with pytest.raises(ValueError, match="mode must be 'min' or 'max'"):
        EarlyStopping(2, name)
    assert EarlyStopping(2, name, mode="max").improves(2, 1)


def test_nan_is_never_the_best():
    stopping = EarlyStopping(2)
    assert not stopping.improves(np.nan, None) and not stopping.improves(np.nan, 0.5)
    assert stopping.improves(0.5, np.nan) and stopping.improves(0.5, None)
    assert stopping.improves(0.5, np.inf) and not stopping.improves(np.inf, 0.5)


class NanAtFirst(nn.Module):
    """Its first `count` evaluations give NaN."""

    def __init__(self, count):
        super().__init__()
        self.net, self.count = fd.models.mlp(4, (8,), 2), count

    def forward(self, x):
        y = self.net(x)
        if not self.training:
            self.count -= 1
        return y * np.nan if self.count >= 0 and not self.training else y


def test_training_goes_on_after_a_nan():
    fd.manual_seed(0)
    history = fit(
        NanAtFirst(2), (X, Y), epochs=6, validation=(X, Y), early_stopping=3, progress=False
    )
    assert history.epochs == history.best_epoch == 6 and np.isnan(history["val_loss"][:2]).all()
    assert history["val_loss"][-1] == min(history["val_loss"][2:])


def test_only_nan_stops():
    model = NanAtFirst(100)
    history = fit(model, (X, Y), epochs=9, validation=(X, Y), early_stopping=3, progress=False)
    assert history.stopped and history.epochs == 3 and history.best_epoch is None


# ---- batch norm and one sample ----


def with_batch_norm():
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


@pytest.mark.parametrize("size", [1, 8, 64])
def test_a_batch_of_one_sample_is_refused_before_training(size):
    model = with_batch_norm()
    before = [p.data.copy() for p in model.parameters()]
    with pytest.raises(ValueError, match=r"batch_size must not leave .* drop_last"):
        fit(model, (X, Y), epochs=2, batch_size=size, progress=False)
    assert all(np.array_equal(p.data, q) for p, q in zip(model.parameters(), before, strict=True))
    assert model[1].num_batches_tracked == 0 and model.training and model.draw == 0
    assert "forward" not in vars(model[1])


def test_remedies_of_a_batch_of_one():
    fit(with_batch_norm(), (X, Y), epochs=1, batch_size=64, drop_last=True, progress=False)
    fit(with_batch_norm(), (X, Y), epochs=1, batch_size=63, progress=False)
    # 65 samples, of which 0.2 are set aside: what counts are the 52 for training.
    fit(with_batch_norm(), (X, Y), epochs=1, batch_size=64, validation=0.2, progress=False)
    with pytest.raises(ValueError, match="for 52 samples"):
        fit(with_batch_norm(), (X, Y), epochs=1, batch_size=51, validation=0.2, progress=False)


def test_the_default_batch_size_leaves_no_batch_of_one():
    x, y = np.resize(X, (129, 4)), np.resize(Y, 129)
    model = with_batch_norm()
    fit(model, (x, y), epochs=1, progress=False)
    assert model[1].num_batches_tracked == 2  # of 127 and 2 samples


def test_one_sample_is_enough_with_several_values_a_channel():
    class Series(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.out = nn.BatchNorm1d(2), nn.Linear(4, 2)

        def forward(self, x):
            return self.out(self.norm(x.reshape(-1, 2, 2)).reshape(-1, 4))

    fit(Series(), (X, Y), epochs=1, batch_size=64, progress=False)


def test_a_batch_norm_that_stays_in_evaluation_takes_one_sample():
    class Frozen(nn.Sequential):
        def train(self, mode=True):
            super().train(mode)
            self[1].eval()
            return self

    fit(Frozen(*with_batch_norm()), (X, Y), epochs=1, batch_size=64, progress=False)


# ---- the range of float32 ----


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_data_beyond_float32_are_refused(scale):
    targets = X[:, :1].astype(np.float64) * scale
    model = fd.models.mlp(4, (4,), 1)
    for data, name in (((X, targets), "y"), ((X.astype(np.float64) * scale, X[:, :1]), "x")):
        with pytest.raises(ValueError, match=f"{name} must have a magnitude .* standardise"):
            fit(model, data, epochs=1, progress=False)
        with pytest.raises(ValueError, match=f"{name} must have a magnitude"):
            fd.evaluate(model, data)
    standard = fd.data.Standardizer.fit(targets)
    back = standard.inverse_transform(standard.transform(targets))
    np.testing.assert_allclose(back / scale, X[:, :1], atol=1e-6)
