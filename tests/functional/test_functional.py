"""Losses and normalisation: values and gradients against float64, errors."""

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
            lambda x: F.nll_loss(x, LABELS, weight, reduction),
            lambda x: reduced(
                -(one_hot * (1 if weight is None else weight) * x).sum(1), reduction, total
            ),
            X,
        )
        for smooth in (0.0, 0.1, 1.0):
            check(
                lambda x, s=smooth: F.cross_entropy(x, LABELS, weight, reduction, s),
                lambda x, s=smooth: cross_entropy(x, one_hot, weight, reduction, s, total),
                X,
            )
            check(
                lambda x, s=smooth: F.cross_entropy(x, SHARES, weight, reduction, s),
                lambda x, s=smooth: cross_entropy(x, SHARES, weight, reduction, s, 5),
                X,
            )


def test_extreme_scores_do_not_overflow():
    z = np.array([[1000.0, -1000.0], [-1000.0, 1000.0]], np.float32)
    assert F.cross_entropy(z, np.array([0, 0])).item() == 1000.0
    assert F.binary_cross_entropy_with_logits(z, np.ones_like(z)).item() == 500.0


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 4)])
@pytest.mark.parametrize("affine", [False, True])
def test_layer_norm(shape, affine):
    def twin(x, w=1.0, b=0.0):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3) * w + b

    more = (RNG.standard_normal(shape[-1]), RNG.standard_normal(shape[-1])) if affine else ()
    check(
        lambda x, *wb: F.layer_norm(x, shape[-1], *wb, eps=1e-3),
        twin,
        RNG.standard_normal(shape),
        *more,
    )
    check(
        lambda x: F.layer_norm(x, shape[-2:], eps=1e-3),
        lambda x: (
            (x - x.mean((-1, -2), keepdims=True)) / np.sqrt(x.var((-1, -2), keepdims=True) + 1e-3)
        ),
        RNG.standard_normal(shape),
    )


@pytest.mark.parametrize("shape", [(6, 5), (4, 5, 3)])
def test_batch_norm(shape):
    axes, view = (0, *range(2, len(shape))), (1, 5, *[1] * (len(shape) - 2))

    def twin(x, w, b):
        return (x - x.mean(axes, keepdims=True)) / np.sqrt(
            x.var(axes, keepdims=True) + 1e-3
        ) * w.reshape(view) + b.reshape(view)

    w, b = RNG.standard_normal(5), RNG.standard_normal(5)
    check(
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True, eps=1e-3),
        twin,
        RNG.standard_normal(shape),
        w,
        b,
    )
    mean, var = np.float32(RNG.standard_normal(5)), np.float32(RNG.uniform(0.5, 2, 5))
    check(
        lambda x, w, b: F.batch_norm(x, mean, var, w, b, eps=1e-3),
        lambda x, w, b: (
            (x - mean.reshape(view))
            / np.sqrt(var.reshape(view).astype(float) + 1e-3)
            * w.reshape(view)
            + b.reshape(view)
        ),
        RNG.standard_normal(shape),
        w,
        b,
    )


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: F.mse_loss(X, T[:4]), "target"),
        (lambda: F.mse_loss(X, T, "average"), "reduction"),
        (lambda: F.huber_loss(X, T, delta=0.0), "delta"),
        (lambda: F.smooth_l1_loss(X, T, beta=-1.0), "beta"),
        (lambda: F.cross_entropy(X[0], LABELS), "input"),
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
def test_no_numbers(wrong):
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


def test_leaky_relu_of_any_slope():
    for slope in (0.0, 0.2, 1.5, -0.5):
        check(
            lambda x, s=slope: F.leaky_relu(x, s), lambda x, s=slope: np.where(x > 0, x, s * x), X
        )


def test_running_statistics_that_could_not_be_moved_are_refused():
    wide = np.zeros(4)
    with pytest.raises(TypeError, match="running_mean"):
        F.batch_norm(X, wide, np.ones(4, np.float32), training=True)
    F.batch_norm(X, wide, np.ones(4))


def test_labels_may_come_as_a_tensor():
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


def test_weights_may_not_widen_the_loss():
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


def test_formulas_by_hand():
    x = fd.tensor([[0.0, math.log(3.0)]])
    assert F.cross_entropy(x, np.array([1])).item() == pytest.approx(-math.log(0.75), abs=1e-6)
    assert F.cross_entropy(x, np.array([0]), label_smoothing=0.5).item() == pytest.approx(
        -0.75 * math.log(0.25) - 0.25 * math.log(0.75), abs=1e-6
    )
    assert F.nll_loss([[-1.0, -2.0], [-3.0, -4.0]], [1, 0], [1.0, 3.0]).item() == pytest.approx(
        (3 * 2 + 1 * 3) / 4
    )
    assert F.nll_loss([[-1.0, -2.0], [-3.0, -4.0]], [1, 0], [1.0, 3.0], "none").tolist() == [
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


def test_running_statistics_move_by_momentum():
    x = RNG.standard_normal((6, 4, 3)).astype(np.float32)
    mean, var = np.full(4, 2, np.float32), fd.tensor(np.full(4, 3.0))
    F.batch_norm(x, mean, var, training=True, momentum=0.25)
    assert np.allclose(mean, 0.75 * 2 + 0.25 * x.mean((0, 2)), atol=1e-6)
    assert np.allclose(var.data, 0.75 * 3 + 0.25 * x.astype(float).var((0, 2), ddof=1), atol=1e-6)
    before = mean.copy()
    F.batch_norm(x, mean, var)
    assert np.array_equal(mean, before)
    with pytest.raises(ValueError, match="weight"):
        F.batch_norm(x, mean, var, np.ones(3), training=True)
    assert np.array_equal(mean, before)  # nothing is changed by a call that is refused


def test_norms_with_one_of_weight_and_bias():
    v = RNG.standard_normal(4)
    normal = lambda x: (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)  # noqa: E731
    batch = lambda x: (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)  # noqa: E731
    check(lambda x, w: F.layer_norm(x, 4, w), lambda x, w: normal(x) * w, X, v)
    check(lambda x, b: F.layer_norm(x, 4, bias=b), lambda x, b: normal(x) + b, X, v)
    check(
        lambda x, w: F.batch_norm(x, None, None, w, training=True), lambda x, w: batch(x) * w, X, v
    )
    check(
        lambda x, b: F.batch_norm(x, None, None, bias=b), lambda x, b: batch(x) + b, X, v
    )  # no statistics: the batch's, in evaluation too


def test_losses_of_nothing():
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


def test_binary_gradients_far_from_zero():
    z = np.array([-300.0, -100.0, 0.0, 100.0, 300.0])
    for target, expected in ((1.0, [-1, -1, -0.5, 0, 0]), (0.0, [0, 0, 0.5, 1, 1])):
        x = fd.tensor(z, requires_grad=True)
        F.binary_cross_entropy_with_logits(x, np.full(5, target), reduction="sum").backward()
        assert np.abs(x.grad.data - expected).max() < 1e-6


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
