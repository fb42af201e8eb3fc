"""Theorems of the papers on dropout, checked on small networks by enumeration or measurement."""

import itertools

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn, optim
from fastdrop.data import batches
from fastdrop.nn import functional as F

RNG = np.random.default_rng(0)


def test_weight_scaling_is_the_geometric_mean_for_one_softmax_layer():
    """The geometric mean over all 2^10 masks is the output in evaluation mode.

    The normalised geometric mean of softmax(W (m x) + b), weighted by the probability of the mask
    m, is softmax(W (k x) + b) (Hinton et al., 2012; Baldi and Sadowski, 2013). With inverted
    dropout it is softmax(W x + b).
    """
    p = 0.3
    layer = nn.Sequential(nn.Dropout(p), nn.Linear(10, 4)).eval()
    x = RNG.standard_normal((6, 10)).astype(np.float32)
    w, b = layer[1].weight.data.astype(np.float64), layer[1].bias.data.astype(np.float64)
    log_mean = np.zeros((6, 4))
    for mask in itertools.product((0, 1), repeat=10):
        z = (x * np.array(mask) / (1 - p)) @ w.T + b
        log_mean += (
            p ** (10 - sum(mask))
            * (1 - p) ** sum(mask)
            * (z - np.log(np.exp(z).sum(1, keepdims=True)))
        )
    geometric = np.exp(log_mean)
    geometric /= geometric.sum(1, keepdims=True)
    np.testing.assert_allclose(F.softmax(layer(x), 1).data, geometric, rtol=1e-5)


def test_mean_and_variance_of_a_dropped_sum():
    """sum_i w_i x_i m_i / k has the mean w x and the variance (1 - k) / k sum_i (w_i x_i)^2.

    Baldi and Sadowski, 2013. Checked over all masks, and over drawn ones.
    """
    p, wx = 0.3, RNG.standard_normal(10)
    values, chances = [], []
    for mask in itertools.product((0, 1), repeat=10):
        values.append((wx * mask).sum() / (1 - p))
        chances.append(p ** (10 - sum(mask)) * (1 - p) ** sum(mask))
    mean = np.dot(chances, values)
    variance = np.dot(chances, (np.array(values) - mean) ** 2)
    assert mean == pytest.approx(wx.sum()) and variance == pytest.approx(
        p / (1 - p) * (wx**2).sum()
    )
    drawn = K.dropout(np.tile(wx.astype(np.float32), (20000, 1)), p, seed=1).sum(
        1, dtype=np.float64
    )
    assert abs(drawn.mean() - mean) < 6 * np.sqrt(variance / 20000)
    assert drawn.var() == pytest.approx(variance, rel=0.06)


def test_dropout_makes_hidden_units_less_correlated():
    """Srivastava et al. (2014), section 7, on the digits of scikit-learn.

    For MNIST: `python -m benchmarks.papers features`.
    """
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    figures = {}
    for name, rates in {"dropout": (0.2, 0.5, 0.5), "none": 0.0}.items():
        fd.manual_seed(0)
        model = fd.models.mlp(64, (128, 128), 10, dropout=rates)
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(40):
            for xb, yb in batches(x[:1400], y[:1400], 50):
                loss = F.cross_entropy(model(xb), yb)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        first = next(m for m in model if isinstance(m, nn.Linear))
        hidden = np.maximum(x[1400:] @ first.weight.data.T + first.bias.data, 0)
        correlation = np.abs(np.corrcoef(hidden[:, hidden.std(0) > 0].T))
        figures[name] = (
            (hidden > 0).mean(),
            (correlation.sum() - len(correlation)) / (len(correlation) * (len(correlation) - 1)),
        )
    assert figures["dropout"][0] < figures["none"][0], figures
    assert figures["dropout"][1] < figures["none"][1], figures
