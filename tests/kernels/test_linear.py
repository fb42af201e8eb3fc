"""The fused dense layer of fastdrop.kernels against float64."""

import numpy as np
import pytest

from fastdrop import kernels as K
from helpers import mask_reference as reference
from helpers import twin
from helpers.arrays import floats

WHERE = dict(seed=5, site=2, draw=3, sub=1, call=1)


def test_linear_of_one_row_equals_that_row_of_a_batch(isa):
    x, w = floats(40, 500), floats(130, 500, seed=1)
    whole = K.linear(x, w, activation="gelu", p=0.4, seed=3)
    for row in (0, 1, 17, 39):
        assert np.array_equal(
            K.linear(x[row : row + 1], w, activation="gelu", p=0.4, seed=3, row0=row),
            whole[row : row + 1],
        )
    assert np.array_equal(
        K.linear(x[5:10], w, activation="gelu", p=0.4, seed=3, row0=5), whole[5:10]
    )


@pytest.mark.parametrize("activation", [None, *K.ACTIVATIONS])
def test_dropped_outputs_of_linear_are_plus_zero(activation):
    x, w = floats(6, 20), floats(50, 20, seed=1)
    x[2], x[4, 3] = np.nan, np.inf
    kept = reference.keep_mask(np.arange(6), 50, 0.5, seed=1)
    with np.errstate(invalid="ignore"):
        y = K.linear(x, w, activation=activation, p=0.5, seed=1)
    assert (y[~kept] == 0).all() and not np.signbit(y[~kept]).any()
    assert np.isnan(y[2][kept[2]]).all()


@pytest.mark.parametrize("activation", [None, *K.ACTIVATIONS])
def test_linear(activation, each_isa):
    x, w, b = floats(37, 200), floats(90, 200, seed=1) / 14, floats(90, seed=2)
    kind = 0 if activation is None else K.ACTIVATIONS[activation]
    kept = twin.dropout(np.ones((37, 90), np.float32), 0.3, row0=6, **WHERE).astype(np.float64)
    x_dropped = twin.dropout(x, 0.2, row0=6, **{**WHERE, "site": 9}).astype(np.float64)
    expected = twin.act(x_dropped @ w.T + b, kind, 0.1) * kept
    for _ in each_isa():
        y = K.linear(
            x,
            w,
            b,
            activation=activation,
            p=0.3,
            row0=6,
            negative_slope=0.1,
            input_p=0.2,
            input_site=9,
            **WHERE,
        )
        assert np.abs(y - expected).max() < 2e-5
        assert not y[kept == 0].any()
        cut = K.linear(
            x[5:9],
            w,
            b,
            activation=activation,
            p=0.3,
            row0=11,
            negative_slope=0.1,
            input_p=0.2,
            input_site=9,
            **WHERE,
        )
        assert np.array_equal(cut, y[5:9])
        listed = K.linear(
            x[5:9],
            w,
            b,
            activation=activation,
            p=0.3,
            rows=[11, 12, 13, 14],
            negative_slope=0.1,
            input_p=0.2,
            input_site=9,
            **WHERE,
        )
        assert np.array_equal(listed, y[5:9])
    plain = K.linear(x, w)
    assert np.abs(plain - x.astype(np.float64) @ w.T.astype(np.float64)).max() < 2e-5
    assert np.array_equal(K.matmul(x, w.T), plain)
    assert np.array_equal(K.linear(x, np.asfortranarray(w)), plain)
