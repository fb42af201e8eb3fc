"""Members of the family on arrays, as functions and as layers: what all of them have in common.

Values against NumPy twins, rows, memory, wrong rates, evaluation, files, mean and variance.
"""

import math
import pickle

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import kernels as K
from fastdrop import nn
from helpers import mask_reference as reference
from helpers import twin
from helpers.gradcheck import at_draw, check_along_a_direction

pytestmark = pytest.mark.filterwarnings("ignore:mc_predict computes the passes")

RNG = np.random.default_rng(0)
X4 = RNG.standard_normal((10, 5, 4, 3)).astype(np.float32)
WHERE = dict(seed=11, site=3, draw=4, call=1, sub=0)


def alpha_constants(q):
    """(a, b, alpha') at keep threshold q, in float64."""
    k, a_ = q / 2**32, -1.7580993408473766
    a = (k * (1 + (1 - k) * a_**2)) ** -0.5
    return a, -a * a_ * (1 - k), a_


def alpha(x, p, share, **where):
    """Bit for bit: constants in float64, rounded once; two roundings an element."""
    a, b, a_ = alpha_constants(reference.keep_threshold(p))
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
    "head": (
        K.spatial_dropout,
        lambda x, p, **w: twin.dropout_shared(x, p, (False, True, True), **w),
        nn.HeadDropout,
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

# name -> differentiable function of a tensor, a rate and `training`
FUNCTIONS = {
    "dropout": F.dropout,
    "time-locked": lambda x, p, training: F.dropout(x, p, training, share=[1]),
    "spatial": F.dropout2d,
    "head": F.head_dropout,
    "token": F.token_dropout,
    "path": F.drop_path,
    "alpha": F.alpha_dropout,
    "feature alpha": F.feature_alpha_dropout,
    "gaussian": F.gaussian_dropout,
    "noise": F.gaussian_noise,
}


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
    for wrong in (X4 > 0, X4 + 1j):
        with pytest.raises(TypeError, match="x must"):
            function(wrong, 0.3)


@pytest.mark.parametrize("name", ALL)
def test_a_0d_array_is_one_element_or_refused(name):
    """Members without a sample axis treat a 0-d array as one sample with one unit."""
    function = ALL[name][0]
    if name in ("dropout", "alpha", "gaussian", "noise"):
        for value in (np.float32(3), np.array(3.0, np.float32)):
            y = function(value, 0.3, **WHERE)
            assert y.shape == () and y.dtype == np.float32
            assert y == function(np.full(1, value), 0.3, **WHERE)[0]
        out = np.array(3.0, np.float32)
        assert function(out, 0.3, out=out, **WHERE) is out and out == y
    else:
        with pytest.raises(ValueError, match=r"x must|share needs"):
            function(np.float32(3), 0.3)


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
def test_functions_without_a_layer(name):
    """Outside a module a call is a forward pass of its own: site 0, one draw after the other."""
    function, kernel = FUNCTIONS[name], ALL[name][0]
    weights = RNG.standard_normal(X4.shape).astype(np.float32)
    fd.manual_seed(7)
    for draw in (0, 1):
        where = dict(seed=7, draw=draw, instance=2**24 - 1)
        x = fd.tensor(X4, requires_grad=True)
        y = function(x, 0.3, training=True)
        np.testing.assert_array_equal(y.data, kernel(X4, 0.3, **where))
        y.backward(weights)
        if name == "noise":
            expected = weights
        elif "alpha" in name:  # a * dy where kept
            share = (False, name == "feature alpha", name == "feature alpha")
            kept = twin.dropout_shared(np.ones_like(X4), 0.3, share, inverted=False, **where)
            a = alpha_constants(reference.keep_threshold(0.3))[0]
            expected = np.where(kept, weights * np.float32(a), np.float32(0))
        else:
            expected = kernel(weights, 0.3, **where)
        np.testing.assert_array_equal(x.grad.data, expected)
    assert function(x, 0.3, training=False) is x and function(x, 0.0, training=True) is x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.feature_alpha_dropout(X4[0, 0, 0], 0.5, training=True), "input must have shape"),
        (lambda: F.token_dropout(X4[0, 0, 0]), "input must have shape"),
        (lambda: F.drop_path(X4[0, 0, 0], 0.5), "input must have shape"),
        (lambda: F.drop_path(X4, 0.5, mode="column"), "mode must"),
        (lambda: F.dropout2d(X4[0]), "input must have shape"),
        (lambda: F.drop_block2d(X4[0], 0.5, 2), "input must have shape"),
        (lambda: F.drop_block2d(X4, 0.5, 0), "block_size must"),
        (lambda: F.patch_dropout(X4, prefix_tokens=6), "input must have shape"),
        (lambda: F.concrete_dropout(X4, [0.0, 1.0]), "logit must"),
        (lambda: F.concrete_dropout(X4, 0.0, temperature=0.0), "temperature must"),
        (lambda: F.concrete_dropout(X4[0, 0, 0], 0.0, channelwise=True), "input must have shape"),
        (lambda: F.dropconnect_linear(X4[0, 0], np.ones((2, 4))), "input must have 4 features"),
        (lambda: F.dropconnect_linear(X4[0], np.ones((2, 3))), "input must have shape"),
        (lambda: F.dropconnect_linear(X4[0, 0], np.ones(3)), "weight must have 2 dimensions"),
        (lambda: F.dropconnect_linear(X4[0, 0], np.ones((2, 3)), np.ones(3)), "bias must have"),
        (lambda: F.dropconnect_gaussian(X4[0], np.ones((2, 3)), None, 0.5, "relu"), "input must"),
        (lambda: F.dropconnect_gaussian(X4[0, 0], np.ones((2, 3)), p=1.0), "p must be below 1"),
        (lambda: F.variational_linear(X4[0], np.ones((2, 3)), [0.0]), "input must have shape"),
        (lambda: F.embedding([0], np.ones(3)), "weight must have shape"),
        (lambda: F.embedding([3], np.ones((3, 2))), "input must hold token numbers"),
    ],
)
def test_wrong_arguments_of_functions(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", ALL)
def test_layers(name):
    function, layer = ALL[name]
    x = fd.tensor(X4)
    for none in (layer(0.0), layer(0.3).eval()):
        assert none(x) is x
    if name not in NOISES:
        assert not layer(1.0)(x).data.any()
    fd.manual_seed(0)
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
    fd.random.set_instances({again: 0})
    np.testing.assert_array_equal(again(X4).data, second)
    if name != "noise":
        scheduled = nn.Sequential(layer(fd.schedules.Linear(0.0, 0.6, steps=4)))
        scheduled.draw = 2
        expected = function(X4, 0.3, seed=0, draw=2, instance=1)
        np.testing.assert_array_equal(scheduled(X4).data, expected)
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


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(
    "layer",
    [nn.Dropout, nn.Dropout2d, nn.FeatureAlphaDropout, nn.AlphaDropout, nn.GaussianDropout],
    ids=lambda k: k.__name__,
)
def test_means_of_input_and_gradient_stay(layer, p):
    """The checks of PyTorch's test_dropout.py; and evaluation is the identity."""
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
