"""Batch norm and layer norm: values, gradients and running statistics."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from helpers.gradcheck import check

RNG = np.random.default_rng(0)


X, T = RNG.standard_normal((5, 4)), RNG.standard_normal((5, 4))


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


def test_running_statistics_must_be_updatable_in_place():
    wide = np.zeros(4)
    with pytest.raises(TypeError, match="running_mean"):
        F.batch_norm(X, wide, np.ones(4, np.float32), training=True)
    F.batch_norm(X, wide, np.ones(4))


def test_running_statistics_are_updated_with_momentum():
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

    def normal(x):
        return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)

    def batch(x):
        return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)

    check(lambda x, w: F.layer_norm(x, 4, w), lambda x, w: normal(x) * w, X, v)
    check(lambda x, b: F.layer_norm(x, 4, bias=b), lambda x, b: normal(x) + b, X, v)
    check(
        lambda x, w: F.batch_norm(x, None, None, w, training=True), lambda x, w: batch(x) * w, X, v
    )
    check(
        lambda x, b: F.batch_norm(x, None, None, bias=b), lambda x, b: batch(x) + b, X, v
    )  # no statistics: the batch's, in evaluation too
