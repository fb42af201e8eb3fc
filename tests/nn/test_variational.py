"""Variational dropout: values and gradients, the divergence, evaluation and pruning."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.nn import functional as F
from helpers import mask_reference as reference

pytestmark = pytest.mark.filterwarnings("ignore:mc_predict computes the passes")

RNG = np.random.default_rng(0)


def sigmoid(v):
    return 1 / (1 + np.exp(-np.asarray(v, np.float64)))


@pytest.mark.parametrize("alpha", ["weight", "neuron", "layer"])
@pytest.mark.parametrize("prior", ["sparse", "kingma"])
def test_variational_gradients(alpha, prior):
    """Gradients of output and kl in every parameter, with fixed noise, against differences."""
    layer = nn.VariationalLinear(6, 4, alpha=alpha, prior=prior)
    layer.log_sigma2.data[...] = RNG.uniform(-6, 0.5, layer.log_sigma2.shape)
    x, g = RNG.standard_normal((5, 6)).astype(np.float32), RNG.standard_normal((5, 4))
    z = reference.normal(np.arange(5), 4, seed=0, draw=3)

    def twin(w, b, s):
        log_alpha = (
            np.clip(s - np.log(w**2 + 1e-8), -8, 8) if alpha == "weight" else np.clip(s, -8, 8)
        )
        if prior == "kingma":
            log_alpha = np.minimum(log_alpha, 0)
        a = np.exp(log_alpha)
        y = x @ w.T + b + np.sqrt((x.astype(np.float64) ** 2) @ (a * w**2).T + 1e-8) * z
        if prior == "sparse":
            kl = -(
                0.63576 * sigmoid(1.87320 + 1.48695 * log_alpha) - 0.5 * np.log(1 + 1 / a) - 0.63576
            )
        else:
            kl = -(0.5 * log_alpha + 1.16145124 * a - 1.50204118 * a**2 + 0.58629921 * a**3)
        return y, np.broadcast_to(kl, w.shape).sum()

    arrays = [p.data.astype(np.float64) for p in (layer.weight, layer.bias, layer.log_sigma2)]
    with fd.mask_state(draw=3):
        y = layer(x)
    kl = layer.kl()
    wide = twin(*arrays)
    np.testing.assert_allclose(y.data, wide[0], atol=1e-5)
    assert (
        kl.item() == pytest.approx(wide[1], rel=1e-4)
        and nn.kl(nn.Sequential(layer)).item() == kl.item()
    )
    ((y * g.astype(np.float32)).sum() + kl).backward()
    for i, parameter in enumerate((layer.weight, layer.bias, layer.log_sigma2)):
        for place in np.ndindex(*parameter.shape):
            ends = []
            for sign in (1, -1):
                moved = [a.copy() for a in arrays]
                moved[i][place] += sign * 1e-6
                values, divergence = twin(*moved)
                ends.append((values * g).sum() + divergence)
            assert parameter.grad.data[place] == pytest.approx(
                (ends[0] - ends[1]) / 2e-6, rel=2e-3, abs=2e-3
            )


def test_variational_layer_in_evaluation_and_pruned(tmp_path):
    layer = nn.VariationalLinear(30, 20)
    layer.weight.data[:, 1::2] = np.copysign(
        0.1, layer.weight.data[:, 1::2]
    )  # log alpha = -10 - log 0.01
    layer.log_sigma2.data[:, ::2] = 1.0  # alpha far above e^3: W is at most 0.2
    x = RNG.standard_normal((7, 30)).astype(np.float32)
    noisy = np.array([layer(x).data for _ in range(400)])
    np.testing.assert_allclose(
        noisy.mean(0), F.linear(x, layer.weight, layer.bias).data, atol=6 * noisy.std(0).max() / 20
    )
    layer.eval()
    thin = layer.weight.data.copy()
    thin[:, ::2] = 0
    np.testing.assert_allclose(layer(x).data, x @ thin.T + layer.bias.data, atol=1e-5)
    assert layer.sparsity() == 0.5
    pruned = layer.prune()
    assert pruned.nonzeros == 300
    np.testing.assert_allclose(pruned(x).data, layer(x).data, atol=1e-5)
    assert fd.mc_predict(nn.Sequential(layer), x, 4, output="raw").std.max() > 0
    fd.save(nn.Sequential(layer).eval(), tmp_path / "m.safetensors")
    np.testing.assert_array_equal(fd.load(tmp_path / "m.safetensors")(x).data, layer(x).data)
    with pytest.raises(ValueError, match="VariationalLinear"):
        nn.kl(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="alpha must"):
        nn.VariationalLinear(2, 2, alpha="unit")
