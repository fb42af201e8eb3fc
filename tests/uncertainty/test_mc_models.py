"""Monte Carlo prediction of models with one logit, with functional dropout, with two outputs."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn
from fastdrop.uncertainty.monte_carlo import MCWarning
from fastdrop.uncertainty.prediction import MCPrediction


@pytest.fixture(autouse=True)
def thinned_networks_of_any_size(monkeypatch):
    monkeypatch.setattr("fastdrop.uncertainty.monte_carlo.THINNED_FROM", 0)


X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)


def binary(flat=False):
    fd.manual_seed(3)
    layers = [nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1)]
    return nn.Sequential(*layers, nn.Flatten(0)) if flat else nn.Sequential(*layers)


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_one_logit_a_sample(masks):
    """The figures of class 1 and its opposite, written out."""
    options = dict(seed=1, masks=masks, keep=True)
    found = fd.mc_predict(binary(), X, 20, output="sigmoid", **options)
    logits = fd.mc_predict(binary(), X, 20, output="raw", **options).passes.astype(np.float64)
    p = 1 / (1 + np.exp(-logits[..., 0]))
    mean = p.mean(1)

    def entropy(q):
        return -(q * np.log(q) + (1 - q) * np.log(1 - q))

    assert found.is_classification and found.mean.shape == (6, 1)
    np.testing.assert_allclose(found.mean[:, 0], mean, rtol=1e-6)
    np.testing.assert_allclose(found.std[:, 0], p.std(1), rtol=1e-5)
    np.testing.assert_allclose(found.passes[..., 0], p, rtol=1e-6)
    np.testing.assert_allclose(found.entropy, entropy(mean), rtol=1e-6)
    np.testing.assert_allclose(found.expected_entropy, entropy(p).mean(1), rtol=1e-6)
    np.testing.assert_allclose(
        found.mutual_information, entropy(mean) - entropy(p).mean(1), atol=1e-7
    )
    share = (p > 0.5).mean(1)
    np.testing.assert_allclose(found.variation_ratio, 1 - np.maximum(share, 1 - share))
    np.testing.assert_allclose(found.class_probabilities, np.stack([1 - mean, mean], 1))
    y = np.array([0, 1, 1, 0, 1, 0])
    np.testing.assert_allclose(
        found.log_likelihood(y), np.log(np.where(y == 1, mean, 1 - mean)), rtol=1e-6
    )
    assert fd.calibration(found, y).accuracy == ((mean > 0.5) == y).mean()


def test_logits_without_an_axis_and_several_blocks():
    whole = fd.mc_predict(binary(), X, 30, seed=2, output="sigmoid")
    with pytest.warns(MCWarning, match="one by one"):
        flat = fd.mc_predict(binary(flat=True), X, 30, seed=2, output="sigmoid", batch_size=7)
    assert flat.mean.shape == (6,)
    np.testing.assert_allclose(flat.mean, whole.mean[:, 0])
    np.testing.assert_allclose(flat.entropy, whole.entropy)
    np.testing.assert_array_equal(flat.variation_ratio, whole.variation_ratio)
    more = fd.mc_predict(binary(), X, 5, output="sigmoid", tolerance=0.02)
    assert more.counts.max() > 5 and more.entropy.shape == (6,)
    assert fd.mc_predict(binary(), X[:0], 5, output="sigmoid").entropy.shape == (0,)
    large = binary()
    large[3].bias.data[...] = 1e4
    sure = fd.mc_predict(large, X, 5, output="sigmoid")
    assert (sure.mean == 1).all() and (sure.entropy == 0).all()


def test_several_logits_have_no_sigmoid():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3))
    with pytest.raises(ValueError, match="one logit a sample"):
        fd.mc_predict(model, X, 3, output="sigmoid")


class Functional(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        self.a, self.b, self.p = nn.Linear(4, 16), nn.Linear(16, 3), p

    def forward(self, x):
        return self.b(F.dropout(F.relu(self.a(x)), self.p, training=self.training))


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
@pytest.mark.parametrize("batch_size", [1, 4096])
def test_dropout_that_is_a_function(masks, batch_size):
    fd.manual_seed(0)
    model = Functional()
    found = fd.mc_predict(model, X, 10, seed=1, masks=masks, batch_size=batch_size)
    assert found.std.min() > 0
    again = fd.mc_predict(model, X, 10, seed=1, masks=masks)
    np.testing.assert_allclose(found.mean, again.mean, rtol=1e-6)
    layers = nn.Sequential(model.a, nn.ReLU(), nn.Dropout(0.5), model.b)
    same = fd.mc_predict(layers, X, 10, seed=1, masks=masks)  # functions use the site after layers
    np.testing.assert_allclose(found.mean, same.mean, rtol=1e-5)


def test_a_model_that_draws_no_mask_is_refused():
    class Plain(nn.Module):
        def forward(self, x):
            return fd.tensor(x) * 2

    for model in (Plain(), nn.Linear(4, 2), Functional(p=0.0)):
        with pytest.raises(ValueError, match="no mask was drawn"):
            fd.mc_predict(model, X, 3)


@pytest.mark.parametrize("batch_size", [1, 4096])
@pytest.mark.parametrize("pack", [tuple, list, lambda pair: {"out": pair[0]}])
def test_a_model_with_several_outputs_is_refused(pack, batch_size):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return pack([self.drop(x), self.drop(x)])

    with pytest.raises(TypeError, match="model must return one Tensor"):
        fd.mc_predict(Two(), X[:2], 3, batch_size=batch_size)


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
def test_other_units_keep_the_deviation(scale):
    """The variance 1e400 is beyond float64, the deviation is not."""
    mc = fd.mc_predict(binary(), X, 20, keep=True, tau=4.0)
    moved = mc.rescale(scale, scale)
    assert isinstance(moved, MCPrediction)
    np.testing.assert_allclose(moved.std / scale, mc.std)
    np.testing.assert_allclose(moved.standard_error / scale, mc.standard_error)
    np.testing.assert_allclose(moved.mean / scale, mc.mean + 1)
    np.testing.assert_allclose(moved.quantile(0.5) / scale, mc.quantile(0.5) + 1, rtol=1e-5)
    np.testing.assert_allclose(mc.total_std, np.sqrt(mc.std**2 + 0.25))
