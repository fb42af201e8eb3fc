"""`MCPrediction`: quantiles, likelihoods, predicted variances, more passes by tolerance."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from helpers.monte_carlo import X, classifier, regressor


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_tolerance_adds_passes_where_the_mean_is_uncertain(masks):
    model = regressor()
    first = fd.mc_predict(model, X, 10, seed=3, masks=masks, output="raw", keep=True)
    errors = first.standard_error.max(1)
    tolerance = float(np.median(errors)) * 0.8
    mc = fd.mc_predict(model, X, 10, seed=3, masks=masks, output="raw", tolerance=tolerance)
    long = fd.mc_predict(model, X, mc.counts.max(), seed=3, masks=masks, output="raw", keep=True)
    assert (
        (mc.counts % 10 == 0).all()
        and mc.counts.min() == 10
        and (mc.counts[errors > tolerance] > 10).all()
    )
    assert (mc.counts[errors <= tolerance] == 10).all() and (
        mc.standard_error.max(1) <= tolerance
    ).all()
    for n, count in enumerate(
        mc.counts
    ):  # the passes of a longer run, and no group more than needed
        values = long.passes[n, :count].astype(np.float64)
        assert (
            np.abs(values.mean(0) - mc.mean[n]).max() < 1e-6
            and np.abs(values.var(0) - mc.variance[n]).max() < 1e-6
        )
        assert count == 10 or (values[:-10].std(0) / np.sqrt(count - 10)).max() > tolerance
    for batch_size in (1, 7, 40):
        again = fd.mc_predict(
            model,
            X,
            10,
            seed=3,
            masks=masks,
            output="raw",
            tolerance=tolerance,
            batch_size=batch_size,
        )
        assert (
            np.array_equal(again.counts, mc.counts)
            and np.array_equal(again.mean, mc.mean)
            and np.array_equal(again.variance, mc.variance)
        )
    with pytest.warns(fd.uncertainty.MCWarning, match="max_samples"):
        assert (
            fd.mc_predict(
                model, X, 10, tolerance=1e-9, max_samples=25, output="raw"
            ).counts.tolist()
            == [25] * 23
        )


def test_quantiles_and_likelihood_of_kept_passes():
    model, y = regressor(), np.random.default_rng(2).standard_normal((23, 2))
    mc = fd.mc_predict(model, X, 15, seed=1, output="raw", keep=True, tau=4.0)
    short = fd.mc_predict(model, X, 6, seed=1, output="raw", keep=True, batch_size=5)
    assert mc.passes.shape == (23, 15, 2) and np.array_equal(mc.passes[:, :6], short.passes)
    passes = mc.passes.astype(np.float64)
    assert np.abs(mc.quantile([0.1, 0.5]) - np.quantile(passes, [0.1, 0.5], axis=1)).max() < 1e-6
    assert np.allclose(mc.total_variance, passes.var(1) + 0.25, atol=1e-6) and np.allclose(
        mc.aleatoric, 0.25
    )
    density = np.prod(
        np.sqrt(4 / (2 * np.pi)) * np.exp(-2 * (y[:, None] - passes) ** 2), axis=2
    ).mean(1)
    assert np.allclose(mc.log_likelihood(y), np.log(density)) and np.allclose(
        mc.log_likelihood(y, tau=4.0), np.log(density)
    )
    wide = mc.rescale(3.0, -1.0)
    assert np.allclose(
        wide.log_likelihood(3 * y - 1), np.log(density / 9), atol=1e-5
    ) and np.allclose(wide.mean, 3 * mc.mean - 1)
    assert (
        np.allclose(wide.std, 3 * mc.std)
        and np.isclose(wide.tau, 4 / 9)
        and np.allclose(wide.quantile(0.3), 3 * mc.quantile(0.3) - 1, atol=1e-5)
    )
    for call in (
        lambda: fd.mc_predict(model, X, 3, output="raw").quantile(0.5),
        lambda: fd.mc_predict(model, X, 3, output="raw").aleatoric,
        lambda: mc.entropy,
    ):
        with pytest.raises(AttributeError):
            call()
    for call, word in (
        (lambda: mc.log_likelihood(y[:5]), "y"),
        (lambda: mc.rescale(0.0), "scale"),
        (lambda: fd.mc_predict(model, X, 3, output="raw", keep=True).log_likelihood(y), "tau"),
        (lambda: fd.mc_predict(model, X, keep=True, tolerance=0.1), "keep"),
        (lambda: fd.mc_predict(model, X, tau=0.0), "tau"),
    ):
        with pytest.raises(ValueError, match=word):
            call()


def test_predicted_variance_and_likelihood_of_classes():
    model, y = regressor(), np.random.default_rng(2).standard_normal(23)
    mc = fd.mc_predict(model, X, 9, seed=1, output="gaussian", keep=True)
    raw = fd.mc_predict(model, X, 9, seed=1, output="raw", keep=True).passes.astype(np.float64)
    assert (
        np.allclose(mc.mean, raw[..., :1].mean(1))
        and np.allclose(mc.aleatoric, np.exp(raw[..., 1:]).mean(1))
        and np.allclose(mc.epistemic, raw[..., :1].var(1))
    )
    mean, variance = raw[..., 0], np.exp(raw[..., 1])
    density = (
        np.exp(-0.5 * (y[:, None] - mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)
    ).mean(1)
    assert np.allclose(mc.log_likelihood(y), np.log(density))
    assert np.allclose(mc.rescale(2.0).log_likelihood(2 * y), np.log(density / 2)) and np.allclose(
        mc.rescale(2.0).aleatoric, 4 * mc.aleatoric
    )
    labels = np.arange(23) % 3
    classes = fd.mc_predict(classifier(), X, 9)
    assert np.allclose(classes.log_likelihood(labels), np.log(classes.mean[np.arange(23), labels]))
    with pytest.raises(ValueError, match="y must"):
        classes.log_likelihood(labels + 1)
    with pytest.raises(ValueError, match="gaussian"):
        fd.mc_predict(classifier(), X, output="gaussian")


def test_likelihoods_of_extreme_values_and_wrong_arguments():
    model = regressor()
    none = fd.mc_predict(model, X[:0], 5, output="raw", keep=True, tau=2.0)
    assert (
        none.log_likelihood(np.zeros((0, 2))).shape == (0,)
        and none.quantile(0.5).shape == (0, 2)
        and len(none.rescale(2.0)) == 0
    )
    mc = fd.mc_predict(model, X, 5, output="raw", keep=True, tau=2.0)
    assert (mc.log_likelihood(np.full((23, 2), 1e200)) == -np.inf).all() and np.isfinite(
        mc.log_likelihood(np.full((23, 2), 1e30))
    ).all()
    loud = nn.Sequential(
        nn.Dropout(0.5)
    ).eval()  # log variances of thousands, outputs that are infinite
    wide = fd.mc_predict(loud, np.array([[0, 2000.0]]), 8, output="gaussian", keep=True)
    exponents = -0.5 * (wide._log_variances.astype(np.float64)[0, :, 0] + np.log(2 * np.pi))
    assert np.isclose(
        wide.log_likelihood(np.zeros((1, 1)))[0],
        np.log(np.exp(exponents - exponents.max()).mean()) + exponents.max(),
    )
    assert (
        np.isinf(wide.aleatoric).all()
        and np.isnan(fd.mc_predict(loud, np.full((1, 2), np.inf), 8, output="raw").std).all()
    )
    assert mc.quantile(0.5).dtype == mc.quantile([0.5]).dtype == np.float64 and np.allclose(
        mc.rescale([2.0]).mean, mc.mean * 2
    )
    several = fd.mc_predict(model, X, 5, output="raw", keep=True)
    assert np.allclose(
        several.rescale([2.0, -3.0], [[1.0, 0.0]][0]).mean, several.mean * [2, -3] + [1, 0]
    )
    for call, word in (
        (lambda: mc.quantile(2.0), "q must"),
        (lambda: mc.quantile([0.1, np.nan]), "q must"),
        (lambda: mc.quantile("half"), "q must"),
        (lambda: several.rescale([1.0, 2.0, 3.0]), "scale must"),
        (lambda: several.rescale(np.ones((23, 1))), "scale must"),
        (lambda: several.rescale(np.nan), "scale must"),
        (lambda: several.rescale("a"), "scale must"),
        (lambda: several.rescale(2.0, np.ones(3)), "shift must"),
        (lambda: several.rescale(2.0, np.inf), "shift must"),
    ):
        with pytest.raises(ValueError, match=word):
            call()
