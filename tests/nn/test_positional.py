"""Positional encodings: sinusoidal, learned and rotary, against NumPy in float64."""

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.functional.positional import table_length
from helpers.gradcheck import check

RNG = np.random.default_rng(5)


def sinusoidal(positions, width):
    """Section 3.5 of Vaswani et al. (2017), one number at a time."""
    table = np.zeros((positions, width))
    for t in range(positions):
        for j in range(width):
            angle = t / 10000 ** ((j - j % 2) / width)
            table[t, j] = np.cos(angle) if j % 2 else np.sin(angle)
    return table


def rotary(x, base, interleaved, offset=0):
    """Each pair by a 2 x 2 matrix, in float64; the base of the paper is 10000."""
    length, dim = x.shape[-2:]
    y = np.zeros(x.shape)
    for t in range(length):
        for i in range(dim // 2):
            angle = (offset + t) * base ** (-2 * i / dim)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            pair = [2 * i, 2 * i + 1] if interleaved else [i, i + dim // 2]
            y[..., t, pair] = x[..., t, pair] @ turn.T
    return y


def layers(max_len, width, batch_first=True):
    return [
        nn.SinusoidalPositionalEncoding(width, max_len, batch_first),
        nn.LearnedPositionalEncoding(max_len, width, batch_first),
    ]


@pytest.mark.parametrize("width", [1, 6, 7])
@pytest.mark.parametrize("max_len", [9, 300])
def test_the_sinusoidal_table(width, max_len):
    layer = nn.SinusoidalPositionalEncoding(width, max_len)
    expected = sinusoidal(max_len, width)
    whole = layer(np.zeros((1, max_len, width))).numpy()[0]
    assert np.abs(whole - expected).max() < 6e-8
    x = RNG.standard_normal((2, 4, width)).astype(np.float32)
    assert (layer(x, offset=3).numpy() == x + whole[3:7]).all()
    assert not layer.state_dict() and not list(layer.parameters())


def test_the_learned_table():
    fd.manual_seed(2)
    layer = nn.LearnedPositionalEncoding(400, 50)
    table = layer.weight.numpy()
    assert list(layer.state_dict()) == ["weight"] and table.shape == (400, 50)
    assert abs(table.mean()) < 1e-3 and abs(table.std() - 0.02) < 1e-3
    x = RNG.standard_normal((2, 4, 50)).astype(np.float32)
    assert (layer(x, offset=396).numpy() == x + table[396:]).all()


@pytest.mark.parametrize("place", [0, 1])
def test_layouts(place):
    x = RNG.standard_normal((2, 5, 6)).astype(np.float32)
    batch, sequence = layers(8, 6)[place], layers(8, 6, batch_first=False)[place]
    sequence.load_state_dict(batch.state_dict())
    y = batch(x, offset=2).numpy()
    assert (sequence(x.transpose(1, 0, 2), offset=2).numpy() == y.transpose(1, 0, 2)).all()
    for layer in (batch, sequence):
        assert (layer(x[0], offset=2).numpy() == y[0]).all()
        assert (layer(x[0, 3:], offset=5).numpy() == y[0, 3:]).all()
    assert batch(np.zeros((0, 5, 6))).shape == (0, 5, 6)
    assert batch(np.zeros((2, 0, 6)), offset=8).shape == (2, 0, 6)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("ndim", [2, 3])
def test_gradients_of_the_learned_table(batch_first, ndim):
    layer = nn.LearnedPositionalEncoding(6, 3, batch_first)
    x = RNG.standard_normal((4, 2, 3) if ndim == 3 else (4, 3))
    if ndim == 3 and batch_first:
        x = x.transpose(1, 0, 2)

    def twin(x, weight):
        rows = weight[1:5]
        return x + (rows if batch_first or ndim == 2 else rows[:, None])

    weight = layer.weight.numpy().astype(np.float64)
    check(lambda x: layer(x, offset=1), lambda x: twin(x, weight), x)
    g = RNG.standard_normal(x.shape).astype(np.float32)
    layer.weight.grad = None
    layer(x, offset=1).backward(g)
    expected = np.zeros((6, 3))
    expected[1:5] = g.sum((0 if batch_first else 1) if ndim == 3 else ())
    assert np.abs(layer.weight.grad.numpy() - expected).max() < 1e-6


@pytest.mark.parametrize("place", [0, 1])
def test_wrong_positions_and_shapes(place):
    layer, other = layers(8, 6)[place], layers(8, 6, batch_first=False)[place]
    layer(np.zeros((1, 5, 6)), offset=3)
    with pytest.raises(ValueError, match=r"offset .* max_len = 8, got 4 .* 5 positions"):
        layer(np.zeros((1, 5, 6)), offset=4)
    with pytest.raises(ValueError, match="max_len = 8"):
        layer(np.zeros((9, 6)))
    with pytest.raises(ValueError, match="offset must"):
        layer(np.zeros((5, 6)), offset=-1)
    with pytest.raises(TypeError, match="offset must"):
        layer(np.zeros((5, 6)), offset=1.5)
    for shape in ((6,), (2, 5, 7), (1, 2, 5, 6)):
        with pytest.raises(ValueError, match=r"shape \(N, T, E\) or \(T, E\) with E = 6"):
            layer(np.zeros(shape))
        with pytest.raises(ValueError, match=r"shape \(T, N, E\)"):
            other(np.zeros(shape))
    for wrong in ({"max_len": 0, "d_model": 2}, {"max_len": 2, "d_model": 0}):
        with pytest.raises(ValueError, match=r"(max_len|d_model) must"):
            type(layer)(**wrong)


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("shape", [(5, 2), (3, 8), (2, 5, 6), (2, 3, 4, 8)])
def test_rotary(interleaved, shape):
    x = RNG.standard_normal(shape)
    for base, offset in ((10000.0, 0), (50.0, 3)):
        layer = nn.RotaryEmbedding(shape[-1], base, interleaved)
        check(
            lambda t, layer=layer, offset=offset: layer(t, offset=offset),
            lambda x, base=base, offset=offset: rotary(x, base, interleaved, offset),
            x,
        )
        assert not layer.state_dict()


@pytest.mark.parametrize("interleaved", [True, False])
def test_the_gradient_rotates_back(interleaved):
    layer = nn.RotaryEmbedding(16, interleaved=interleaved)
    x = fd.tensor(RNG.standard_normal((2, 3, 600, 16)), requires_grad=True)
    y = layer(x, offset=1000)
    assert np.abs(y.numpy() - rotary(x.numpy(), 10000.0, interleaved, 1000)).max() < 1e-6
    y.backward(y.numpy())
    assert np.abs(x.grad.numpy() - x.numpy()).max() < 2e-6


@pytest.mark.parametrize("interleaved", [True, False])
def test_products_depend_on_the_distance(interleaved):
    layer = nn.RotaryEmbedding(32, interleaved=interleaved)
    q, k = RNG.standard_normal((2, 1, 32)).astype(np.float32)
    near = float((layer(q[None], 5).numpy() * layer(k[None], 2).numpy()).sum())
    far = float((layer(q[None], 905).numpy() * layer(k[None], 902).numpy()).sum())
    assert near == pytest.approx(far, abs=1e-4)
    assert near != pytest.approx(float((q * k).sum()), abs=1e-2)


@pytest.mark.parametrize("interleaved", [True, False])
def test_one_token_a_call_gives_the_bits_of_the_whole_sequence(interleaved):
    x = RNG.standard_normal((2, 2, 600, 8)).astype(np.float32)
    layer = nn.RotaryEmbedding(8, interleaved=interleaved)
    whole = layer(x).numpy()
    for t in (0, 1, 255, 256, 511, 512, 599):
        assert (layer(x[:, :, t : t + 1], offset=t).numpy() == whole[:, :, t : t + 1]).all()


def test_wrong_arguments_of_rotary():
    with pytest.raises(ValueError, match="dim must be even"):
        nn.RotaryEmbedding(5)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="base must"):
            nn.RotaryEmbedding(4, wrong)
    layer = nn.RotaryEmbedding(4)
    for shape in ((4,), (2, 3), (2, 3, 8)):
        with pytest.raises(ValueError, match=r"\(\.\.\., T, dim\) with dim = 4"):
            layer(np.zeros(shape))
    with pytest.raises(ValueError, match="offset must"):
        layer(np.zeros((3, 4)), offset=-1)
    assert layer(np.zeros((2, 0, 4))).shape == (2, 0, 4)


def test_infinite_and_missing_numbers_stay_in_their_pair():
    x = np.ones((1, 3, 4), np.float32)
    x[0, 1, 0] = np.nan
    y = nn.RotaryEmbedding(4, interleaved=True)(x).numpy()
    assert np.isnan(y[0, 1, :2]).all() and np.isfinite(y[0, 1, 2:]).all()


def test_copies_hold_no_table():
    layer = nn.Sequential(*layers(5000, 64)[:1], nn.RotaryEmbedding(64))
    x = RNG.standard_normal((1, 7, 64)).astype(np.float32)
    y = layer(x).numpy()
    stored = pickle.dumps(layer)
    assert len(stored) < 3000
    for again in (pickle.loads(stored), copy.deepcopy(layer)):
        assert (again(x).numpy() == y).all()


def test_lengths_of_tables():
    assert [table_length(n) for n in (0, 1, 256, 257, 5000)] == [256, 256, 256, 512, 8192]


@pytest.mark.filterwarnings("error")
def test_monte_carlo_passes_are_rows_of_one_computation():
    fd.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(4, 8),
        nn.Dropout(0.5),
        nn.SinusoidalPositionalEncoding(8),
        nn.LearnedPositionalEncoding(6, 8),
        nn.RotaryEmbedding(8),
        nn.RotaryEmbedding(8, interleaved=True),
        nn.Flatten(),
        nn.Linear(40, 2),
    )
    x = RNG.standard_normal((3, 5, 4)).astype(np.float32)
    whole = fd.mc_predict(model, x, samples=4, seed=1, keep=True).passes
    assert np.unique(whole[..., 0]).size == 12
    part = fd.mc_predict(model, x[:1], samples=4, seed=1, keep=True).passes
    assert np.abs(whole[:1] - part).max() < 1e-5


@pytest.mark.filterwarnings("ignore:mc_predict computes the passes")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_monte_carlo_passes_of_sequences_along_axis_0(place):
    """The positions must not be those of the passes' rows."""
    layer = [*layers(6, 4, batch_first=False), nn.RotaryEmbedding(4)][place]
    model = nn.Sequential(nn.Dropout(0.0), layer)
    x = RNG.standard_normal((5, 4)).astype(np.float32)
    model[0].p = 1e-9  # it draws, but drops nothing
    passes = fd.mc_predict(model, x, samples=3, keep=True, output="raw").passes
    assert np.abs(passes - layer(x).numpy()[:, None]).max() < 1e-6
