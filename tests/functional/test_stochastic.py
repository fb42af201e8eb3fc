"""Members of the family on arrays, as functions and as layers, against slow twins.

Shared axes, alpha and Gaussian dropout, noise, paths and tokens.
"""

import math
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn
from fastdrop.nn import functional as F
from helpers import mask_reference as reference
from helpers import twin
from helpers.gradcheck import at_draw, check_along_a_direction

pytestmark = pytest.mark.filterwarnings("ignore:mc_predict computes the passes")

RNG = np.random.default_rng(0)
X4 = RNG.standard_normal((10, 5, 4, 3)).astype(np.float32)
WHERE = dict(seed=11, site=3, draw=4, call=1, sub=0)


def alpha(x, p, share, **where):
    """Bit for bit: constants in float64, rounded once; two roundings an element."""
    q = reference.keep_threshold(p)
    k, a_ = q / 2**32, -1.7580993408473766
    a = (k * (1 + (1 - k) * a_**2)) ** -0.5
    b = -a * a_ * (1 - k)
    kept = twin.dropout_shared(np.ones_like(x), p, share, inverted=False, **where) != 0
    return np.where(kept, x * np.float32(a) + np.float32(b), np.float32(a * a_ + b))


# name -> (function of an array and a rate, twin, layer of a rate)
MEMBERS = {
    "dropout": (
        lambda x, p, **w: K.dropout(x, p, **w),
        lambda x, p, **w: twin.dropout_shared(x, p, (False,) * 3, **w),
        nn.Dropout,
    ),
    "time-locked": (
        lambda x, p, **w: K.dropout(x, p, share=[1], **w),
        lambda x, p, **w: twin.dropout_shared(x, p, (True, False, False), **w),
        lambda p: nn.Dropout(p, share=(1,)),
    ),
    "spatial": (
        K.spatial_dropout,
        lambda x, p, **w: twin.dropout_shared(x, p, (False, True, True), **w),
        nn.SpatialDropout2d,
    ),
    "token": (
        K.token_dropout,
        lambda x, p, **w: twin.dropout_shared(x, p, (False, True, True), **w),
        nn.TokenDropout,
    ),
    "path": (
        K.drop_path,
        lambda x, p, **w: twin.dropout_shared(x, p, (True,) * 3, **w),
        nn.DropPath,
    ),
    "alpha": (K.alpha_dropout, lambda x, p, **w: alpha(x, p, (False,) * 3, **w), nn.AlphaDropout),
    "feature alpha": (
        K.feature_alpha_dropout,
        lambda x, p, **w: alpha(x, p, (False, True, True), **w),
        nn.FeatureAlphaDropout,
    ),
}
NOISES = {
    "gaussian": (K.gaussian_dropout, nn.GaussianDropout),
    "noise": (K.gaussian_noise, nn.GaussianNoise),
}
ALL = {**{name: (function, layer) for name, (function, _, layer) in MEMBERS.items()}, **NOISES}


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("p", [0.5, 0.3])
def test_equals_its_twin(name, p, isa, each_thread_count):
    function, slow, layer = MEMBERS[name]
    expected = slow(X4, p, row0=6, **WHERE)
    for _ in each_thread_count():
        np.testing.assert_array_equal(function(X4, p, row0=6, **WHERE), expected)
    fd.manual_seed(11)
    model = nn.Sequential(nn.Identity(), layer(p))
    with fd.mask_state(draw=4, row0=6):
        result = model(X4).data
    np.testing.assert_array_equal(result, slow(X4, p, row0=6, seed=11, site=0, draw=4))


@pytest.mark.parametrize("name", NOISES)
def test_noise_equals_its_twin(name, isa, each_thread_count):
    z = reference.normal(np.arange(10) + 6, 60, **WHERE).reshape(X4.shape)
    sigma = {"gaussian": math.sqrt(0.3 / 0.7), "noise": 0.3}[name]
    expected = X4 * (1 + sigma * z) if name == "gaussian" else X4 + sigma * z
    first = None
    for _ in each_thread_count():
        y = NOISES[name][0](X4, 0.3, row0=6, **WHERE)
        assert np.abs(y - expected).max() < 2e-6 * np.abs(X4).max() * 4
        first = y if first is None else first
        np.testing.assert_array_equal(y, first)
    fd.manual_seed(11)
    with fd.mask_state(draw=4, row0=6):
        result = nn.Sequential(NOISES[name][1](0.3))(X4).data
    np.testing.assert_array_equal(result, NOISES[name][0](X4, 0.3, row0=6, seed=11, draw=4))


@pytest.mark.parametrize("name", ALL)
def test_rows_and_memory(name):
    function = ALL[name][0]
    whole = function(X4, 0.3, **WHERE)
    np.testing.assert_array_equal(function(X4[5:9], 0.3, row0=5, **WHERE), whole[5:9])
    np.testing.assert_array_equal(
        function(X4[[7, 2]], 0.3, rows=np.array([7, 2]), **WHERE), whole[[7, 2]]
    )
    y = X4.copy()
    assert function(y, 0.3, out=y, **WHERE) is y
    np.testing.assert_array_equal(y, whole)
    strided = np.empty((10, 5, 4, 6), np.float32)[..., ::2]
    function(X4, 0.3, out=strided, **WHERE)
    np.testing.assert_array_equal(strided, whole)
    turned = np.asfortranarray(X4)
    turned.setflags(write=False)
    np.testing.assert_array_equal(function(turned, 0.3, **WHERE), whole)
    np.testing.assert_array_equal(function(X4.astype(np.float64), 0.3, **WHERE), whole)
    big = np.zeros(X4.size + 1, np.float32)
    with pytest.raises(ValueError, match="overlap"):
        function(big[1:].reshape(X4.shape), 0.3, out=big[:-1].reshape(X4.shape))
    for empty in (
        np.zeros((0, 5, 4, 3), np.float32),
        np.zeros((3, 0, 4, 3), np.float32),
        np.zeros((3, 5, 0, 3), np.float32),
    ):
        assert function(empty, 0.3).shape == empty.shape
    for wrong, error in ((X4 > 0, TypeError), (X4 + 1j, TypeError), (np.float32(3), ValueError)):
        with pytest.raises(error, match="x must"):
            function(wrong, 0.3)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("p", "error"),
    [
        (-0.1, ValueError),
        (1.5, ValueError),
        (math.nan, ValueError),
        ("a", TypeError),
        (True, TypeError),
        (None, TypeError),
    ],
)
def test_wrong_rates(name, p, error):
    function, layer = ALL[name]
    if name == "noise" and p == 1.5:
        p = 1e39  # any standard deviation that float32 holds is fine
    for call in (lambda: function(X4, p), lambda: layer(p)):
        with pytest.raises(error, match=r"\b(p|sigma) must"):
            call()


@pytest.mark.parametrize("name", ALL)
def test_layers(name):
    function, layer = ALL[name]
    x = fd.tensor(X4)
    for none in (layer(0.0), layer(0.3).eval()):
        assert none(x) is x
    if name not in NOISES:
        assert not layer(1.0)(x).data.any()
    model = nn.Sequential(layer(0.3))
    first, second = model(X4).data, model(X4).data
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(second, function(X4, 0.3, seed=0, draw=1))
    model.eval()
    spread = fd.mc_predict(model, X4, samples=6, output="raw").std
    assert spread.max() > 0.05
    again = pickle.loads(pickle.dumps(model))
    assert repr(again) == repr(model)
    again.train().draw = 1
    np.testing.assert_array_equal(again(X4).data, second)
    if name != "noise":
        scheduled = nn.Sequential(layer(fd.schedules.Linear(0.0, 0.6, steps=4)))
        scheduled.draw = 2
        np.testing.assert_array_equal(scheduled(X4).data, function(X4, 0.3, seed=0, draw=2))
    weights = RNG.standard_normal(X4.shape).astype(np.float32)
    if name != "noise":
        check_along_a_direction(
            lambda t: at_draw(3, nn.Sequential(layer(0.3)), t) * weights, fd.tensor(X4)
        )


@pytest.mark.parametrize("name", ALL)
def test_files(name, tmp_path):
    model = nn.Sequential(nn.Linear(3, 3), ALL[name][1](0.25))
    fd.save(model, tmp_path / "m.safetensors")
    again = fd.load(tmp_path / "m.safetensors")
    assert repr(again) == repr(model)


@pytest.mark.parametrize(
    "name", ["dropout", "spatial", "path", "alpha", "feature alpha", "gaussian", "noise"]
)
def test_mean_and_variance(name):
    """Over many draws, within six standard errors of what the formula says."""
    x = np.full((4000, 8, 2, 2), 1.5, np.float32)
    p = 0.3
    y = ALL[name][0](x, p, seed=5).astype(np.float64)
    independent = (
        y[:, :, 0, 0]
        if name in ("spatial", "feature alpha")
        else y[:, 0, 0, 0]
        if name == "path"
        else y
    )
    k, a_ = 1 - p, -1.7580993408473766
    a = (k * (1 + (1 - k) * a_**2)) ** -0.5
    b = -a * a_ * (1 - k)
    mean, variance = {
        "alpha": (k * (a * 1.5 + b) + p * (a * a_ + b), k * p * a**2 * (1.5 - a_) ** 2),
        "noise": (1.5, 0.3**2),
    }.get(name.removeprefix("feature "), (1.5, 1.5**2 * p / k))
    n = independent.size
    fourth = ((independent - mean) ** 4).mean()
    assert abs(independent.mean() - mean) < 6 * math.sqrt(variance / n)
    assert abs(((independent - mean) ** 2).mean() - variance) < 6 * math.sqrt(fourth / n)
    if name not in NOISES:
        dropped = (independent == independent.min()).mean()
        assert abs(dropped - p) < 6 * math.sqrt(p * k / n)


@pytest.mark.parametrize("share", [(), 0, (0,), (0, 2), (-1,), (1, 2, 3), (0, 1, 2, 3)])
def test_noise_shapes(share, isa):
    """As noise_shape of Keras, 1 along each named axis; axis 0: the row of the whole batch."""
    axes = {axis % 4 for axis in (share if isinstance(share, tuple) else (share,))}
    flags = tuple(axis in axes for axis in (1, 2, 3))
    one = twin.dropout_shared(X4[:1], 0.4, flags, row0=2**32 - 1, seed=7)
    ones = twin.dropout_shared(np.ones_like(X4[:1]), 0.4, flags, row0=2**32 - 1, seed=7)
    expected = X4 * ones if 0 in axes else twin.dropout_shared(X4, 0.4, flags, seed=7)
    np.testing.assert_array_equal(K.dropout(X4, 0.4, share=share, seed=7), expected)
    np.testing.assert_array_equal(K.dropout_backward(X4, 0.4, share=share, seed=7), expected)
    if 0 in axes:
        np.testing.assert_array_equal(expected[:1], one)
    fd.manual_seed(7)
    np.testing.assert_array_equal(nn.Dropout(0.4, share=share)(X4).data, expected)


@pytest.mark.parametrize(
    ("share", "x"),
    [((4,), X4), ((1, 1), X4), ((1, -3), X4), ((0,), X4[0, 0, 0]), ("a", X4), (1.0, X4)],
)
def test_wrong_axes(share, x):
    with pytest.raises((ValueError, TypeError), match="share"):
        K.dropout(x, 0.5, share=share)


@pytest.mark.parametrize(
    ("layer", "good", "bad"),
    [
        (nn.Dropout1d, [(2, 3, 4), (3, 4)], [(3,), (2, 3, 4, 5)]),
        (nn.Dropout2d, [(2, 3, 4, 5)], [(3, 4), (3, 4, 5), (1, 2, 3, 4, 5)]),
        (nn.Dropout3d, [(2, 3, 4, 5, 6), (3, 4, 5, 6)], [(3, 4, 5), (1, 2, 3, 4, 5, 6)]),
    ],
    ids=["1d", "2d", "3d"],
)
def test_channels(layer, good, bad):
    """Each channel is kept or dropped as a whole, with the mask of the flat (N, C)."""
    for shape in good:
        x = np.full(shape, 2, np.float32)
        model = layer(0.5)
        y = model(x).data
        batch = y if len(shape) == len(good[0]) else y[None]
        kept = reference.keep_mask(np.arange(len(batch)), batch.shape[1], 0.5, seed=0)
        np.testing.assert_array_equal(
            batch,
            np.broadcast_to(
                np.where(kept, 4.0, 0.0).reshape(*kept.shape, *[1] * (batch.ndim - 2)), batch.shape
            ),
        )
        t = fd.tensor(x)
        assert model.eval()(t) is t and layer(0.0)(t) is t
    for shape in bad:
        with pytest.raises(ValueError, match="input must have shape"):
            layer(0.5)(np.zeros(shape, np.float32))


def test_alpha_dropout_keeps_mean_and_variance_where_dropout_does_not():
    """16 SELU layers of 512 units, LeCun normal weights (Klambauer et al., 2017)."""
    weights = [
        RNG.standard_normal((512, 512)).astype(np.float32) / np.float32(math.sqrt(512))
        for _ in range(16)
    ]

    def run(layer):
        h, figures = RNG.standard_normal((1000, 512)).astype(np.float32), []
        for i, w in enumerate(weights):
            h = layer(F.selu(fd.tensor(h @ w.T)), i)
            figures.append((h.mean(), h.var()))
        return np.array(figures)

    kept = run(lambda t, i: K.alpha_dropout(t.data, 0.1, site=i))
    assert np.abs(kept[:, 0]).max() < 0.1 and kept[:, 1].min() > 0.8 and kept[:, 1].max() < 1.2
    lost = run(lambda t, i: K.dropout(t.data, 0.1, site=i))
    assert np.abs(lost[:, 0]).max() > 0.1 or lost[:, 1].min() < 0.8 or lost[:, 1].max() > 1.2


def test_torch_computes_the_same_from_our_masks():
    torch = pytest.importorskip("torch")
    kept = twin.dropout_shared(np.ones_like(X4), 0.3, (False,) * 3, inverted=False, seed=1)
    a = 1 / math.sqrt(
        0.7 * (1 + 0.3 * 1.7580993408473766**2)
    )  # what torch's alpha dropout computes from its own mask
    noise = torch.from_numpy(kept)
    shift = (noise - 1) * (1.7580993408473766 * a) + 1.7580993408473766 * a * 0.3
    expected = (torch.from_numpy(X4) * (noise * a) + shift).numpy()
    np.testing.assert_allclose(K.alpha_dropout(X4, 0.3, seed=1), expected, atol=2e-6)
    drawn = torch.nn.functional.alpha_dropout(
        torch.full((100000,), 1.5), 0.3, training=True
    ).numpy()
    ours = K.alpha_dropout(np.full(100000, 1.5, np.float32), 0.3, seed=1)
    np.testing.assert_allclose(np.unique(drawn), np.unique(ours), atol=2e-6)  # the same two values
    for dims, layer in (
        (1, torch.nn.functional.feature_alpha_dropout),
        (2, torch.nn.functional.dropout2d),
    ):
        torch_values = np.unique(layer(torch.full((300, 3, 2, 2), 1.5), 0.3, training=True).numpy())
        mine = K.feature_alpha_dropout if dims == 1 else K.spatial_dropout
        np.testing.assert_allclose(
            np.unique(mine(np.full((300, 3, 2, 2), 1.5, np.float32), 0.3)), torch_values, atol=2e-6
        )


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(
    "layer",
    [nn.Dropout, nn.Dropout2d, nn.FeatureAlphaDropout, nn.AlphaDropout, nn.GaussianDropout],
    ids=lambda k: k.__name__,
)
def test_pytorchs_own_cases(layer, p):
    """As PyTorch's test_dropout.py: means of input and gradient stay; evaluation: identity."""
    x = (
        RNG.uniform(0, 1, (200, 60, 4, 4)).astype(np.float32)
        if "Alpha" not in layer.__name__
        else RNG.standard_normal((200, 60, 4, 4)).astype(np.float32)
    )
    t = fd.tensor(x, requires_grad=True)
    module = layer(p)
    y = module(t)
    assert abs(float(y.data.mean()) - float(x.mean())) < 0.05
    if "Alpha" in layer.__name__:
        assert abs(float(y.data.std()) - float(x.std())) < 0.1
    y.backward(np.ones_like(x))
    if layer in (nn.Dropout, nn.Dropout2d):
        assert abs(float(t.grad.data.mean()) - 1) < 0.05
        np.testing.assert_array_equal(t.grad.data == 0, y.data == 0)
    assert module.eval()(t) is t and f"p={p}" in repr(module)


def test_keep_uniforms(isa, each_thread_count):
    for units in (1, 127, 300):
        expected = reference.keep_uniform32(np.arange(5) + 2, units, **WHERE)
        for _ in each_thread_count():
            np.testing.assert_array_equal(K.keep_uniforms(5, units, row0=2, **WHERE), expected)
    np.testing.assert_array_equal(
        K.keep_uniforms(5, 300, row0=2, **WHERE) < np.uint64(reference.keep_threshold(0.3)),
        K.keep_mask(5, 300, 0.3, row0=2, **WHERE),
    )


@pytest.mark.parametrize("units", [1, 3, 4, 10, 127, 130, 511, 513, 700])
def test_noise_of_rows_of_every_length(units, isa, each_thread_count):
    """Short rows share vectors: each draws what it draws alone."""
    x = RNG.standard_normal((300, units)).astype(np.float32)
    z = reference.normal(np.arange(300) + 6, units, **WHERE)
    for _ in each_thread_count():
        y = K.gaussian_noise(x, 0.5, row0=6, **WHERE)
        assert np.abs(y - (x + 0.5 * z)).max() < 3e-6
    for n in (0, 1, 150, 299):
        np.testing.assert_array_equal(
            K.gaussian_noise(x[n : n + 1], 0.5, row0=6 + n, **WHERE), y[n : n + 1]
        )
    inplace = x.copy()
    K.gaussian_noise(inplace, 0.5, row0=6, out=inplace, **WHERE)
    np.testing.assert_array_equal(inplace, y)
