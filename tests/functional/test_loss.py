"""Losses: values and gradients against float64, reductions, labels, weights."""

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


BINARY = (T > 0).astype(np.float32)


POS = np.array([1.0, 3.0, 0.5, 2.0], np.float32)


def reduced(values, reduction, total=None):
    return {
        "mean": lambda: values.sum() / (values.size if total is None else total),
        "sum": values.sum,
        "none": lambda: values,
    }[reduction]()


def log_softmax(x):
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def huber(d, delta):
    return np.where(np.abs(d) <= delta, d * d / 2, delta * (np.abs(d) - delta / 2))


def cross_entropy(x, share, weight, reduction, smooth, total):
    share = share * (1 - smooth) + smooth / x.shape[1]
    w = np.ones(x.shape[1]) if weight is None else weight.astype(np.float64)
    return reduced(-(share * w * log_softmax(x)).sum(1), reduction, total)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
class TestLosses:
    def test_elementwise(self, reduction):
        check(
            lambda x, t: F.mse_loss(x, t, reduction),
            lambda x, t: reduced((x - t) ** 2, reduction),
            X,
            T,
        )
        check(
            lambda x, t: F.l1_loss(x, t, reduction),
            lambda x, t: reduced(np.abs(x - t), reduction),
            X,
            T,
        )
        check(
            lambda x, t: F.huber_loss(x, t, reduction, 0.7),
            lambda x, t: reduced(huber(x - t, 0.7), reduction),
            X,
            T,
        )
        check(
            lambda x, t: F.smooth_l1_loss(x, t, reduction, 0.5),
            lambda x, t: reduced(huber(x - t, 0.5) / 0.5, reduction),
            X,
            T,
        )
        check(
            lambda x, t: F.smooth_l1_loss(x, t, reduction, 0.0),
            lambda x, t: reduced(np.abs(x - t), reduction),
            X,
            T,
        )

    @pytest.mark.parametrize("weight", [None, WEIGHT])
    @pytest.mark.parametrize("pos_weight", [None, POS])
    def test_binary(self, reduction, weight, pos_weight):
        def twin(z, t):
            s = 1 / (1 + np.exp(-z))
            return reduced(
                -(1 if weight is None else weight)
                * (
                    (1 if pos_weight is None else pos_weight) * t * np.log(s)
                    + (1 - t) * np.log(1 - s)
                ),
                reduction,
            )

        check(
            lambda z, t: F.binary_cross_entropy_with_logits(z, t, weight, reduction, pos_weight),
            twin,
            X,
            np.abs(T) % 1,
        )

    @pytest.mark.parametrize("full", [False, True])
    def test_gaussian(self, reduction, full):
        def twin(x, t, v):
            return reduced(
                (np.log(v) + (x - t) ** 2 / v) / 2 + (math.log(2 * math.pi) / 2 if full else 0),
                reduction,
            )

        for var in (np.abs(T) + 0.5, np.abs(T[:, :1]) + 0.5):
            check(
                lambda x, t, v: F.gaussian_nll_loss(x, t, v, full, reduction=reduction),
                twin,
                X,
                T,
                var,
            )

    @pytest.mark.parametrize("weight", [None, WEIGHT])
    def test_labels(self, reduction, weight):
        one_hot = np.eye(4)[LABELS]
        total = 5 if weight is None else weight[LABELS].astype(np.float64).sum()
        check(
            lambda x: F.nll_loss(x, LABELS, weight, reduction=reduction),
            lambda x: reduced(
                -(one_hot * (1 if weight is None else weight) * x).sum(1), reduction, total
            ),
            X,
        )
        for smooth in (0.0, 0.1, 1.0):
            check(
                lambda x, s=smooth: F.cross_entropy(
                    x, LABELS, weight, reduction=reduction, label_smoothing=s
                ),
                lambda x, s=smooth: cross_entropy(x, one_hot, weight, reduction, s, total),
                X,
            )
            check(
                lambda x, s=smooth: F.cross_entropy(
                    x, SHARES, weight, reduction=reduction, label_smoothing=s
                ),
                lambda x, s=smooth: cross_entropy(x, SHARES, weight, reduction, s, 5),
                X,
            )


def test_extreme_scores_do_not_overflow():
    z = np.array([[1000.0, -1000.0], [-1000.0, 1000.0]], np.float32)
    assert F.cross_entropy(z, np.array([0, 0])).item() == 1000.0
    assert F.binary_cross_entropy_with_logits(z, np.ones_like(z)).item() == 500.0


def test_labels_as_a_tensor():
    for loss in (F.cross_entropy, F.nll_loss):
        assert loss(X, fd.tensor(LABELS)).item() == loss(X, LABELS).item()
        for wrong, error in (
            (LABELS + 0.5, TypeError),
            ([np.nan] * 5, TypeError),
            ([np.inf] * 5, TypeError),
            (LABELS + 1, ValueError),
        ):
            with pytest.raises(error, match="target"):
                loss(X, fd.tensor(wrong))


def test_weights_must_not_broadcast_the_loss():
    for options in (
        {"weight": np.ones((3, 5, 4))},
        {"pos_weight": np.ones((3, 5, 4))},
        {"weight": np.ones(3)},
    ):
        with pytest.raises(ValueError, match="weight and pos_weight"):
            F.binary_cross_entropy_with_logits(X, BINARY, **options)
    for x, t in ((X[:, :1], BINARY[:, :1]), (X[0, 0], BINARY[0, 0])):
        with pytest.raises(ValueError, match="weight"):
            F.binary_cross_entropy_with_logits(x, t, WEIGHT)


def test_losses_of_empty_inputs():
    empty, none = np.empty((0, 4)), np.empty(0, int)
    for loss, more in (
        (F.mse_loss, (empty,)),
        (F.l1_loss, (empty,)),
        (F.huber_loss, (empty,)),
        (F.cross_entropy, (none,)),
        (F.nll_loss, (none,)),
        (F.binary_cross_entropy_with_logits, (empty,)),
        (F.gaussian_nll_loss, (empty, empty)),
    ):
        x = fd.tensor(empty, requires_grad=True)
        assert loss(x, *more, reduction="sum").item() == 0.0 and np.isnan(loss(x, *more).item())
        assert loss(x, *more, reduction="none").numel() == 0
        loss(x, *more, reduction="sum").backward()
        assert x.grad.shape == (0, 4)
    assert np.isnan(F.cross_entropy(X, LABELS, np.zeros(4)).item())  # no weight at all


def test_binary_cross_entropy_gradient_of_large_scores():
    z = np.array([-300.0, -100.0, 0.0, 100.0, 300.0])
    for target, expected in ((1.0, [-1, -1, -0.5, 0, 0]), (0.0, [0, 0, 0.5, 1, 1])):
        x = fd.tensor(z, requires_grad=True)
        F.binary_cross_entropy_with_logits(x, np.full(5, target), reduction="sum").backward()
        assert np.abs(x.grad.data - expected).max() < 1e-6
