"""Shared axes, alpha and Gaussian dropout, noise, paths and tokens: on arrays, as functions and as layers, against slow twins."""

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
        check_gradients(lambda t: _fixed(nn.Sequential(layer(0.3)), t) * weights, fd.tensor(X4))


def check_gradients(function, t):
    """The gradient of sum(function(t)) along a random direction against a central difference (these members are affine in t)."""
    x = fd.tensor(t.data, requires_grad=True)
    function(x).sum().backward()
    step = RNG.standard_normal(t.shape).astype(np.float32)
    ends = [
        float(function(fd.tensor(t.data + sign * step)).data.astype(np.float64).sum())
        for sign in (1, -1)
    ]
    along = float((x.grad.data.astype(np.float64) * step).sum())
    assert along == pytest.approx((ends[0] - ends[1]) / 2, rel=1e-3, abs=1e-3) and along


def _fixed(model, t):
    with fd.mask_state(draw=3):
        return model(t)


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
    """Keras' noise_shape: 1 along each named axis; a shared batch axis is the row of the whole batch."""
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
    """PyTorch's names and layouts: each channel is kept whole or dropped whole, and the mask is the one of the flat (N, C)."""
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
    """What PyTorch's test_dropout.py asserts: the mean of the input survives, gradients too, evaluation and p = 0 are the identity."""
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


# ---- paths ----


def test_drop_path_modes_and_rates():
    x = np.ones((50, 3), np.float32)
    row = K.drop_path(x, 0.5, seed=2)
    assert {tuple(r) for r in row.tolist()} == {(0, 0, 0), (2, 2, 2)}
    kept = [K.drop_path(x, 0.5, mode="batch", seed=2, draw=draw)[:, 0] for draw in range(40)]
    assert all((k == k[0]).all() for k in kept) and {k[0] for k in kept} == {0, 2}
    np.testing.assert_array_equal(
        [k[0] != 0 for k in kept],
        [reference.keep_mask([2**32 - 1], 1, 0.5, seed=2, draw=d)[0, 0] for d in range(40)],
    )
    assert K.drop_path(x, 0.5, scale_by_keep=False, seed=2).max() == 1
    assert nn.drop_path_rates(0.3, 4) == pytest.approx([0, 0.1, 0.2, 0.3]) and nn.drop_path_rates(
        0.4, 4, "first"
    ) == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert nn.drop_path_rates(0.3, 1) == [0.0] and nn.drop_path_rates(0.3, 0) == []


class Counting(nn.Module):
    """A branch that says how many rows it was given."""

    def __init__(self, *layers):
        super().__init__()
        self.layers, self.rows = nn.Sequential(*layers), []

    def forward(self, x):
        self.rows.append(len(x))
        return self.layers(x)


@pytest.mark.parametrize("mode", ["row", "batch"])
@pytest.mark.parametrize("scale", [True, False])
def test_residual_computes_only_what_is_kept(mode, scale):
    """Value and gradients are those of x + DropPath(branch(x)), the branch's own dropout included."""
    branch = Counting(nn.Linear(6, 20), nn.ReLU(), nn.Dropout(0.4), nn.Linear(20, 6))
    residual = nn.Sequential(nn.Residual(branch, 0.5, mode, scale))

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.path, self.branch = nn.DropPath(0.5, mode, scale), branch

        def forward(self, x):
            return x + self.path(self.branch(x))

    x = RNG.standard_normal((40, 6)).astype(np.float32)
    seen = set()
    for draw in range(8):
        results = []
        for model in (residual, Plain()):
            t = fd.tensor(x, requires_grad=True)
            with fd.mask_state(draw=draw, row0=3):
                branch.rows.clear()
                y = model(t)
                seen.update(branch.rows or [0])
            model.zero_grad()
            (y * y).sum().backward()
            results.append(
                (
                    y.data,
                    t.grad.data,
                    *(
                        np.zeros(p.shape) if p.grad is None else p.grad.data
                        for p in branch.parameters()
                    ),
                )
            )
            if model is residual:
                kept = np.broadcast_to(
                    reference.keep_mask(
                        [2**32 - 1] if mode == "batch" else np.arange(40) + 3,
                        1,
                        0.5,
                        seed=0,
                        draw=draw,
                    )[:, 0],
                    40,
                )
                assert sum(branch.rows) == kept.sum()
        np.testing.assert_array_equal(results[0][0], results[1][0])
        for ours, plain in zip(results[0][1:], results[1][1:], strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-4, atol=1e-5)
    assert len(seen) > 1


def test_residual_around_batch_norm_and_in_evaluation():
    norm = Counting(nn.Linear(6, 6), nn.BatchNorm1d(6))
    model = nn.Residual(norm, 0.5)
    x = RNG.standard_normal((40, 6)).astype(np.float32)
    y = model(x).data
    assert norm.rows == [40]
    unchanged = (y == x).all(1)
    np.testing.assert_array_equal(~unchanged, reference.keep_mask(np.arange(40), 1, 0.5)[:, 0])
    model.eval()
    np.testing.assert_allclose(model(x).data, x + norm.layers(x).data, rtol=1e-6)
    assert fd.mc_predict(model, x, 5, output="raw").std.max() > 0 and norm.rows[-1] < 40
    with pytest.raises(ValueError, match="shape"):
        nn.Residual(nn.Linear(6, 5), 0.5)(x)
    boom = nn.Residual(Counting(nn.Linear(5, 6)), 0.5)
    holder = nn.Sequential(boom, nn.Dropout(0.5))
    with pytest.raises(ValueError, match="features"):
        holder(x)
    with pytest.raises(TypeError, match="module"):
        nn.Residual(3)


def test_residual_is_kept_in_files(tmp_path):
    model = nn.Sequential(
        nn.Residual(
            nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.2)),
            fd.schedules.Linear(0, 0.5, 9),
            shortcut=nn.Linear(3, 3),
        )
    )
    fd.save(model, tmp_path / "m.safetensors")
    again = fd.load(tmp_path / "m.safetensors")
    assert repr(again) == repr(model)
    x = np.ones((4, 3), np.float32)
    with fd.mask_state(draw=7):
        np.testing.assert_array_equal(again(x).data, model(x).data)


# ---- tokens ----


def test_keep_uniforms(isa, each_thread_count):
    for units in (1, 127, 300):
        expected = reference.keep_uniform32(np.arange(5) + 2, units, **WHERE)
        for _ in each_thread_count():
            np.testing.assert_array_equal(K.keep_uniforms(5, units, row0=2, **WHERE), expected)
    np.testing.assert_array_equal(
        K.keep_uniforms(5, 300, row0=2, **WHERE) < np.uint64(reference.keep_threshold(0.3)),
        K.keep_mask(5, 300, 0.3, row0=2, **WHERE),
    )


@pytest.mark.parametrize(
    ("length", "p", "count"),
    [(100, 0.9, 10), (100, 0.7, 30), (10, 0.99, 1), (7, 0.5, 3), (196, 0.25, 147), (3, 1.0, 1)],
)
def test_patch_dropout(length, p, count):
    x = np.arange(6 * (length + 2) * 2, dtype=np.float32).reshape(6, length + 2, 2)
    y, kept = F.patch_dropout(x, p, prefix_tokens=2, return_indices=True)
    u = reference.keep_uniform32(np.arange(6), length, seed=0)
    expected = np.sort(np.argsort(u, axis=1, kind="stable")[:, :count], axis=1)
    np.testing.assert_array_equal(kept, expected)
    for n in range(6):
        np.testing.assert_array_equal(y.data[n], np.concatenate([x[n, :2], x[n, 2:][expected[n]]]))
    layer = nn.PatchDropout(p, prefix_tokens=2)
    assert layer(x).shape == (6, count + 2, 2) and layer.eval()(x).data is x
    weights = RNG.standard_normal(y.shape).astype(np.float32)
    check_gradients(
        lambda t: _fixed(nn.PatchDropout(p, 2), t) * weights,
        fd.tensor(x[:, :, :1] * 0.01 + np.zeros_like(x)),
    )


def test_patch_dropout_refuses():
    with pytest.raises(ValueError, match="prefix_tokens"):
        F.patch_dropout(np.zeros((2, 3, 4), np.float32), 0.5, prefix_tokens=5)
    assert F.patch_dropout(np.zeros((2, 1, 4), np.float32), 0.5).shape == (2, 1, 4)
    np.testing.assert_array_equal(
        K.patch_indices(6, 50, 7, seed=3, row0=2),
        np.sort(
            np.argsort(
                reference.keep_uniform32(np.arange(6) + 2, 50, seed=3), axis=1, kind="stable"
            )[:, :7],
            axis=1,
        ),
    )


# ---- embeddings ----


@pytest.mark.parametrize("per_sample", [False, True])
def test_word_dropout(per_sample):
    """One decision a word type (and sample), applied at every occurrence; gradients are summed over the occurrences."""
    layer = nn.Embedding(50, 4, padding_idx=3, dropout=0.4, per_sample=per_sample)
    assert not layer.weight.data[3].any()
    tokens = RNG.integers(0, 50, (9, 30))
    g = RNG.standard_normal((9, 30, 4)).astype(np.float32)
    kept = reference.keep_mask(
        np.arange(9) + 2 if per_sample else [2**32 - 1], 50, 0.4, seed=0, draw=5
    )
    factor = np.where(np.broadcast_to(kept, (9, 50)), reference.keep_scale(0.4), np.float32(0))[
        np.arange(9)[:, None], tokens
    ]
    with fd.mask_state(draw=5, row0=2):
        y = layer(tokens)
    np.testing.assert_array_equal(y.data, layer.weight.data[tokens] * factor[..., None])
    np.testing.assert_array_equal(
        K.embedding_dropout(tokens, layer.weight.data, 0.4, per_sample=per_sample, draw=5, row0=2),
        y.data,
    )
    y.backward(g)
    expected = np.zeros((50, 4))
    np.add.at(expected, tokens, g * factor[..., None])
    expected[3] = 0
    np.testing.assert_allclose(layer.weight.grad.data, expected, atol=1e-4)
    layer.eval()
    np.testing.assert_array_equal(layer(tokens).data, layer.weight.data[tokens])
    np.testing.assert_array_equal(layer(fd.tensor(tokens)).data, layer.weight.data[tokens])
    assert fd.mc_predict(nn.Sequential(layer), tokens, 4, output="raw").std.max() > 0
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(
        layer(tokens).data,
        torch.nn.functional.embedding(
            torch.from_numpy(tokens), torch.from_numpy(layer.weight.data)
        ).numpy(),
    )


def test_embeddings():
    table = RNG.standard_normal((7, 3)).astype(np.float32)
    layer = nn.Embedding.from_pretrained(table)
    assert (
        not layer.weight.requires_grad
        and np.array_equal(layer(np.array(4)).data, table[4])
        and layer(np.zeros((0, 5), int)).shape == (0, 5, 3)
    )
    assert (
        layer(np.zeros((2, 0), int)).shape == (2, 0, 3) and nn.Embedding(5, 2, -1).padding_idx == 4
    )
    assert nn.Embedding(5, 2, dropout=1.0)(np.arange(5)).data.any() == 0
    for wrong, error in (
        ([7], ValueError),
        ([-1], ValueError),
        ([0.5], TypeError),
        (["a"], TypeError),
        ([True], TypeError),
    ):
        with pytest.raises(error, match="input must hold"):
            layer(np.array(wrong))
    one = K.embedding_dropout(np.arange(7), table, 0.5, per_sample=True, seed=2, row0=5)
    np.testing.assert_array_equal(one.any(1), reference.keep_mask([5], 7, 0.5, seed=2)[0])
    position = nn.Embedding(10, 3)
    both = nn.Dropout(0.5)(
        layer(np.arange(7)[None]) + position(np.arange(7)[None])
    )  # positional dropout: on the sum
    assert (both.data == 0).any()


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
