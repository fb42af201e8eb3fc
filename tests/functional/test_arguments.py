"""Functions by hand, and what they do with wrong arguments."""

import math

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from helpers.gradcheck import check

RNG = np.random.default_rng(0)
X, T = RNG.standard_normal((5, 4)), RNG.standard_normal((5, 4))
LABELS = np.array([0, 3, 1, 1, 2])
WEIGHT = np.array([0.5, 2.0, 1.0, 0.1], np.float32)
SHARES = RNG.dirichlet(np.ones(4), 5).astype(np.float32)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: F.mse_loss(X, T[:4]), "target"),
        (lambda: F.mse_loss(X, T, "average"), "reduction"),
        (lambda: F.huber_loss(X, T, delta=0.0), "delta"),
        (lambda: F.smooth_l1_loss(X, T, beta=-1.0), "beta"),
        (lambda: F.cross_entropy(X[0], LABELS), "target"),
        (lambda: F.cross_entropy(X, LABELS[:3]), "target"),
        (lambda: F.cross_entropy(X, LABELS + 1), "target"),
        (lambda: F.cross_entropy(X, LABELS - 1), "target"),
        (lambda: F.cross_entropy(X, SHARES[:, :2]), "target"),
        (lambda: F.cross_entropy(X, LABELS, WEIGHT[:2]), "weight"),
        (lambda: F.cross_entropy(X, LABELS, label_smoothing=1.5), "label_smoothing"),
        (lambda: F.nll_loss(X, LABELS[:, None]), "target"),
        (lambda: F.gaussian_nll_loss(X, T, -np.ones((5, 4))), "var"),
        (lambda: F.gaussian_nll_loss(X, T, np.ones(3)), "var"),
        (lambda: F.layer_norm(X, 3), "input"),
        (lambda: F.layer_norm(X, 4, np.ones(3)), "weight"),
        (lambda: F.layer_norm(X, 4, eps=-1.0), "eps"),
        (lambda: F.batch_norm(X, np.ones(3), np.ones(4)), "running_mean"),
        (lambda: F.batch_norm(X[:1], None, None, training=True), "input"),
        (lambda: F.batch_norm(X[0], None, None), "input"),
        (lambda: F.linear(X, np.ones((3, 5))), "input"),
        (lambda: F.linear(X, np.ones((3, 4)), np.ones(4)), "bias"),
        (lambda: F.linear(X, np.ones(4)), "weight"),
        (lambda: F.dropout(X, 1.5), "p"),
        (lambda: F.leaky_relu(X, float("nan")), "negative_slope"),
        (lambda: F.gelu(X, "fast"), "approximate"),
    ],
)
def test_errors_name_the_argument(call, word):
    with pytest.raises(ValueError, match=word):
        call()


@pytest.mark.parametrize("wrong", [X > 0, X + 1j, np.array([["a"]]), np.array([[None]])])
def test_inputs_that_are_not_numbers(wrong):
    for call in (
        F.relu,
        F.dropout,
        lambda x: F.mse_loss(x, T),
        lambda x: F.linear(x, T),
        lambda x: F.cross_entropy(x, LABELS),
    ):
        with pytest.raises(TypeError, match="input"):
            call(wrong)
    with pytest.raises(TypeError, match="target"):
        F.nll_loss(X, X[:, 0])


def test_leaky_relu_with_any_slope():
    for slope in (0.0, 0.2, 1.5, -0.5):
        check(
            lambda x, s=slope: F.leaky_relu(x, s), lambda x, s=slope: np.where(x > 0, x, s * x), X
        )


def test_formulas_by_hand():
    x = fd.tensor([[0.0, math.log(3.0)]])
    assert F.cross_entropy(x, np.array([1])).item() == pytest.approx(-math.log(0.75), abs=1e-6)
    assert F.cross_entropy(x, np.array([0]), label_smoothing=0.5).item() == pytest.approx(
        -0.75 * math.log(0.25) - 0.25 * math.log(0.75), abs=1e-6
    )
    assert F.nll_loss([[-1.0, -2.0], [-3.0, -4.0]], [1, 0], [1.0, 3.0]).item() == pytest.approx(
        (3 * 2 + 1 * 3) / 4
    )
    assert F.nll_loss(
        [[-1.0, -2.0], [-3.0, -4.0]], [1, 0], [1.0, 3.0], reduction="none"
    ).tolist() == [
        6.0,
        3.0,
    ]
    assert F.binary_cross_entropy_with_logits(
        [0.0], [1.0], pos_weight=[3.0]
    ).item() == pytest.approx(3 * math.log(2), abs=1e-6)
    assert (
        F.huber_loss([3.0], [0.0], delta=2.0).item() == 4.0
        and F.smooth_l1_loss([3.0], [0.0], beta=2.0).item() == 2.0
    )
    assert (
        F.mse_loss([1.0, 3.0], [0.0, 0.0]).item() == 5.0
        and F.l1_loss([1.0, -3.0], [0.0, 0.0], "sum").item() == 4.0
    )
    assert F.gaussian_nll_loss([1.0], [3.0], [4.0]).item() == pytest.approx(
        (math.log(4) + 1) / 2, abs=1e-6
    )
    assert F.gaussian_nll_loss([1.0], [1.0], [0.0], eps=0.5).item() == pytest.approx(
        math.log(0.5) / 2, abs=1e-6
    )
    assert F.layer_norm([[1.0, 3.0]], 2, eps=0.0).tolist() == [[-1.0, 1.0]]
    assert F.batch_norm(
        [[1.0], [3.0]], [0.0], [1.0], [2.0], [1.0], training=False, eps=3.0
    ).tolist() == [[2.0], [4.0]]


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: F.mse_loss(X, T, 1), "reduction"),
        (lambda: F.cross_entropy(X, LABELS.astype(float)[:, None] > 0), "target"),
        (lambda: F.cross_entropy(X, LABELS, np.ones(4) > 0), "weight"),
        (lambda: F.cross_entropy(X, LABELS, label_smoothing="0"), "label_smoothing"),
        (lambda: F.dropout(X, "0.5"), "p"),
        (lambda: F.dropout(X, True), "p"),
        (lambda: F.huber_loss(X, T, delta=None), "delta"),
        (lambda: F.layer_norm(X, 4, eps="1"), "eps"),
        (lambda: F.linear(X, T, "b"), "bias"),
        (lambda: F.gaussian_nll_loss(X, T, T > 0), "var"),
        (lambda: F.leaky_relu(X, None), "negative_slope"),
    ],
)
def test_wrong_types_name_the_argument(call, word):
    with pytest.raises(TypeError, match=word):
        call()
