"""SwiGLU: the function and the layer, against NumPy in float64."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn, schedules
from fastdrop.io.architecture import architecture
from helpers import mask_reference as reference
from helpers.gradcheck import check

RNG = np.random.default_rng(8)


def silu(a):
    return a / (1 + np.exp(-a))


def gated(x):
    a, b = np.split(x, 2, axis=-1)
    return silu(a) * b


def forward(x, w1, w2, w3, b1=0, b2=0, b3=0, kept=1.0):
    return (silu(x @ w1.T + b1) * (x @ w3.T + b3) * kept) @ w2.T + b2


def loaded(layer, arrays):
    """The layer with these weights, and biases where there are six arrays."""
    for name, array in zip(("w1", "w2", "w3") * 2, arrays, strict=False):
        part = getattr(layer, name)
        kind = "weight" if np.ndim(array) == 2 else "bias"
        setattr(part, kind, nn.Parameter(np.asarray(array, np.float32)))
    return layer


@pytest.mark.parametrize("shape", [(2,), (3, 8), (2, 3, 10), (2, 3, 2, 34), (1, 130)])
def test_values_and_gradients(shape):
    check(F.swiglu, gated, 2 * RNG.standard_normal(shape))


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_empty(shape):
    assert F.swiglu(np.zeros(shape)).shape == (shape[0], shape[1] // 2)


@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_wrong_shapes(shape):
    with pytest.raises(ValueError, match="input must have an even number on its last axis"):
        F.swiglu(np.zeros(shape))


def test_large_numbers():
    x = np.array([[-np.inf, -200.0, 200.0, np.nan, 2.0, 2.0, 2.0, 2.0]], np.float32)
    y = F.swiglu(x).numpy()
    assert y[0, :3].tolist() == [0.0, 0.0, 400.0] and np.isnan(y[0, 3])


@pytest.mark.parametrize("width", [1, 15, 16, 33, 517])
def test_the_bits_of_the_composed_function(width, isa):
    """Each element is the same on every instruction set, wherever it lies in a vector."""
    x = (30 * RNG.standard_normal((9, 2 * width))).astype(np.float32)
    a, b = x[:, :width], x[:, width:]
    y = F.swiglu(x).numpy()
    assert (y == F.silu(np.ascontiguousarray(a)).numpy() * b).all()
    assert (F.swiglu(x[3]).numpy() == y[3]).all()
    g = RNG.standard_normal(y.shape).astype(np.float32)
    gate, value, t = (fd.tensor(v, requires_grad=True) for v in (a, b, x))
    F.swiglu(t).backward(g)
    (F.silu(gate) * value).backward(g)
    assert (t.grad.numpy()[:, :width] == gate.grad.numpy()).all()
    assert (t.grad.numpy()[:, width:] == value.grad.numpy()).all()


def test_many_elements_against_float64(each_thread_count, isa):
    x = (3 * RNG.standard_normal((301, 2 * 517))).astype(np.float32)
    g = RNG.standard_normal((301, 517)).astype(np.float32)
    a, b = np.split(x.astype(np.float64), 2, axis=1)
    s = 1 / (1 + np.exp(-a))
    expected = np.concatenate([g * b * s * (1 + a * (1 - s)), g * a * s], axis=1)
    first = None
    for _ in each_thread_count():
        t = fd.tensor(x, requires_grad=True)
        y = F.swiglu(t)
        y.backward(g)
        assert (np.abs(y.numpy() - a * s * b) < 1e-6 * (1 + np.abs(a * b))).all()
        assert (np.abs(t.grad.numpy() - expected) < 2e-6 * (1 + np.abs(expected))).all()
        bits = y.numpy().tobytes() + t.grad.numpy().tobytes()
        first = first or bits
        assert bits == first


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 3)])
def test_the_layer(shape, bias):
    layer = nn.SwiGLU(3, 5, 4, bias=bias)
    assert [p.shape for p in layer.parameters()] == (
        [(5, 3), (5,), (4, 5), (4,), (5, 3), (5,)] if bias else [(5, 3), (4, 5), (5, 3)]
    )
    sizes = [(5, 3), (4, 5), (5, 3), *([5, 4, 5] if bias else [])]
    arrays = [RNG.standard_normal(size) for size in sizes]
    x = RNG.standard_normal(shape)
    wide = [np.asarray(w, np.float32).astype(np.float64) for w in arrays]
    loaded(layer, wide)
    check(layer, lambda x: forward(x, *wide), x)

    g = RNG.standard_normal((*shape[:-1], 4)).astype(np.float32)
    layer.zero_grad()
    layer(x).backward(g)
    names = ["w1", "w2", "w3"]
    for i, w in enumerate(wide):
        part = getattr(layer, names[i % 3])
        grad = (part.weight if w.ndim == 2 else part.bias).grad.numpy()
        for place in list(np.ndindex(*w.shape))[::3]:
            ends = []
            for sign in (1, -1):
                moved = [v.copy() for v in wide]
                moved[i][place] += sign * 1e-5
                ends.append((g * forward(np.float32(x).astype(np.float64), *moved)).sum())
            assert grad[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=3e-4)


def test_dropout_of_the_layer():
    fd.manual_seed(4)
    layer = nn.SwiGLU(6, 50, dropout=0.3)
    assert layer.out_features == 6 and layer.dropout == 0.3
    x = RNG.standard_normal((7, 6)).astype(np.float32)
    weights = [layer.w1.weight, layer.w2.weight, layer.w3.weight]
    weights += [layer.w1.bias, layer.w2.bias, layer.w3.bias]
    arrays = [w.numpy().astype(np.float64) for w in weights]
    kept = reference.keep_mask(np.arange(7), 50, 0.3, seed=4) * reference.keep_scale(0.3)
    assert np.abs(layer(x).numpy() - forward(x, *arrays, kept=kept)).max() < 1e-5
    assert np.abs(layer.eval()(x).numpy() - forward(x, *arrays)).max() < 1e-5


def test_arguments_of_the_layer():
    with pytest.raises(ValueError, match="dropout must"):
        nn.SwiGLU(3, 4, dropout=1.5)
    with pytest.raises(TypeError, match="hidden_features must"):
        nn.SwiGLU(3, 4.5)
    with pytest.raises(ValueError, match=r"input must have"):
        nn.SwiGLU(3, 4)(np.zeros((2, 5)))
    assert isinstance(nn.SwiGLU(3, 4, dropout=schedules.Linear(0.0, 0.1, 10)).dropout, object)


def test_files(tmp_path):
    layer = nn.Sequential(nn.SwiGLU(3, 5, dropout=schedules.Linear(0.0, 0.1, 10)), nn.SwiGLU(3, 2))
    fd.save(layer, tmp_path / "a")
    again = fd.load(tmp_path / "a")
    assert repr(again) == repr(layer)
    x = RNG.standard_normal((2, 3)).astype(np.float32)
    assert (again.eval()(x).numpy() == layer.eval()(x).numpy()).all()
    layer[1].drop.p = 0.25  # as tune_rates sets it
    fd.save(layer, tmp_path / "a")
    assert fd.load(tmp_path / "a")[1].dropout == 0.25
    layer[1].w2 = nn.Linear(2, 3, bias=False)
    with pytest.raises(ValueError, match="1 is a SwiGLU whose layers were changed"):
        architecture(layer)


@pytest.mark.filterwarnings("error")
def test_monte_carlo_passes_are_rows_of_one_computation():
    model = nn.Sequential(nn.SwiGLU(4, 30, dropout=0.5), nn.SwiGLU(4, 6, 2, dropout=0.5))
    x = RNG.standard_normal((3, 4)).astype(np.float32)
    passes = fd.mc_predict(model, x, samples=5, keep=True, output="raw").passes
    assert np.unique(passes[..., 0]).size == 15
