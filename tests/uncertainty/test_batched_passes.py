"""Batched Monte Carlo passes give the results of passes that are computed one at a time."""

import warnings

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from helpers.monte_carlo import X, classifier, one_pass, passes_one_at_a_time


@pytest.fixture(autouse=True)
def thinned_networks_of_any_size(monkeypatch):
    monkeypatch.setattr("fastdrop.uncertainty.monte_carlo.THINNED_FROM", 0)


class UserModel(nn.Module):
    """A forward function with a skip connection, normalisation, arithmetic and a parameter."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.drop, self.second, self.last = (
            nn.Linear(8, 8),
            nn.LayerNorm(8),
            nn.Dropout(0.4),
            nn.Linear(8, 8),
            nn.Linear(8, 3),
        )
        self.shift = nn.Parameter(np.linspace(0, 1, 8))

    def forward(self, x):
        h = fd.tanh(self.norm(self.first(x)))
        h = h + fd.relu(self.second(self.drop(h))) * 2 + self.shift
        h = fd.functional.dropout(h, 0.2, training=self.training)
        return fd.log_softmax(self.last(h) / 2, 1)


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
@pytest.mark.parametrize(
    "build",
    [
        classifier,
        UserModel,
        lambda: nn.Sequential(
            nn.Dropout(0.2),
            nn.Linear(8, 30),
            nn.GELU(),
            nn.Dropout(0.5),
            nn.Dropout(0.1),
            nn.Linear(30, 2),
        ),
        lambda: nn.Sequential(
            nn.Linear(8, 30), nn.Tanh(), nn.Dropout(0.3, share=(0,)), nn.Linear(30, 2)
        ),
        lambda: nn.Sequential(nn.Linear(8, 6), nn.Dropout(0.0), nn.Linear(6, 2)),
    ],
    ids=["mlp", "user", "input", "shared axis", "p = 0"],
)
def test_batched_passes_are_the_passes_one_at_a_time(build, masks):
    model = build()
    side = fd.mc_predict(model, X, 9, seed=2, masks=masks, output="raw")
    loop = np.stack([one_pass(model, t, masks) for t in range(9)])
    assert (
        np.abs(side.mean - loop.mean(0)).max() < 1e-6
        and np.abs(side.variance - loop.var(0)).max() < 1e-6
    )
    for batch_size in (1, 4, 9, 50):
        again = fd.mc_predict(model, X, 9, seed=2, masks=masks, output="raw", batch_size=batch_size)
        assert np.array_equal(again.mean, side.mean) and np.array_equal(
            again.variance, side.variance
        )


def test_layers_before_the_first_dropout_are_computed_once():
    """Counts the rows that reach each layer."""
    rows = {}

    class Counts(nn.Linear):
        def forward(self, x):
            y = super().forward(x)
            rows[self.name] = rows.get(self.name, 0) + y.shape[0]
            return y

    layers = [Counts(8, 8) for _ in range(3)]
    for name, layer in zip("abc", layers, strict=True):
        layer.name = name
    fd.mc_predict(
        nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.Dropout(0.5), layers[2]),
        X,
        10,
        batch_size=1000,
    )
    assert rows == {"a": 23, "b": 23, "c": 230}


@pytest.mark.parametrize(
    "use",
    [
        lambda h: h.data.mean(0),
        lambda h: h - h.mean(0),
        lambda h: h[::-1] * 1,
        lambda h: h.reshape(-1, 4),
        lambda h: fd.softmax(h, 0),
        lambda h: h.numpy(),
        lambda h: fd.matmul(h, np.ones((8, 2), np.float32)),
        lambda h: h.sum(),
    ],
    ids=["data", "mean", "index", "reshape", "softmax", "numpy", "matmul", "sum"],
)
def test_operations_that_may_mix_rows_are_not_batched(use):
    class Mixing(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.fc = nn.Dropout(0.4), nn.Linear(8, 8)

        def forward(self, x):
            h = self.fc(self.drop(x))
            use(h)
            return h

    model = Mixing()
    with pytest.warns(fd.uncertainty.MCWarning, match="one by one"):
        found = fd.mc_predict(model, X, 6, seed=2, output="raw")
    loop = np.stack([one_pass(model, t, "per_sample") for t in range(6)])
    assert (
        np.abs(found.mean - loop.mean(0)).max() < 1e-6
        and np.abs(found.variance - loop.var(0)).max() < 1e-6
    )


def test_layers_that_drop_weights_or_branches_are_not_batched():
    for layer in (nn.DropConnectLinear(8, 8, p=0.3), nn.Residual(nn.Linear(8, 8), 0.5)):
        model = nn.Sequential(layer, nn.Dropout(0.3))
        with pytest.warns(
            fd.uncertainty.MCWarning,
            match=f"{type(layer).__name__} is not computed for several passes",
        ) as caught:
            found = fd.mc_predict(model, X, 4, seed=2, output="raw")
        assert caught[0].filename == __file__  # the caller's line
        loop = np.stack([one_pass(model, t, "per_sample") for t in range(4)])
        assert np.abs(found.mean - loop.mean(0)).max() < 1e-6


def test_gaussian_inference_of_dropconnect():
    layer = nn.DropConnectLinear(
        8, 5, p=0.3, activation="relu", inference="gaussian", samples=40
    ).eval()
    model = nn.Sequential(layer, nn.Linear(5, 2)).eval()
    mc = fd.mc_predict(nn.Sequential(layer), X, 40, seed=7, output="raw", keep=True)
    averaged = fd.functional.dropconnect_gaussian(
        X, layer.weight, layer.bias, 0.3, "relu", 40, seed=7
    ).data
    assert np.abs(mc.mean - averaged).max() < 1e-6 and mc.std.max() > 0
    assert np.array_equal(
        mc.passes[:, :4],
        fd.mc_predict(
            nn.Sequential(layer), X, 4, seed=7, output="raw", keep=True, batch_size=3
        ).passes,
    )
    whole = fd.mc_predict(model, X, 40, seed=7, output="raw")
    assert np.abs(whole.mean - (mc.mean @ model[1].weight.data.T + model[1].bias.data)).max() < 1e-5
    deeper = nn.Sequential(nn.Dropout(0.2), *model).eval()  # a layer before it draws masks
    side, loop = (
        fd.mc_predict(deeper, X, 6, output="raw", keep=True).passes,
        [one_pass(deeper, t, "per_sample", 0) for t in range(6)],
    )
    assert np.abs(side - np.stack(loop, 1)).max() < 1e-6
    plain = nn.DropConnectLinear(
        8, 5, p=0.3, inference="gaussian"
    ).eval()  # without an activation the mean is exact, but a pass is a draw
    assert fd.mc_predict(nn.Sequential(plain), X, 40, output="raw").std.min() > 0


MAPS = np.random.default_rng(3).standard_normal((6, 4, 10, 9)).astype(np.float32)


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
@pytest.mark.parametrize(
    "layer",
    [
        nn.SpatialDropout2d(0.4),
        nn.AlphaDropout(0.3),
        nn.FeatureAlphaDropout(0.3),
        nn.GaussianDropout(0.4),
        nn.GaussianNoise(0.5),
        nn.DropPath(0.4),
        nn.DropPath(0.4, mode="batch"),
        nn.DropBlock2d(0.3, 3),
        nn.DropBlock2d(0.3, 3, couple_channels=True),
        nn.TokenDropout(0.4),
        nn.Dropout(0.3, share=(1,)),
    ],
    ids=repr,
)
def test_layers_that_can_be_batched(layer, masks):
    """Batched passes, without a warning, have the bits of passes one at a time.

    Also where another stochastic layer stands before.
    """
    for model in (nn.Sequential(layer), nn.Sequential(nn.Dropout(0.2), layer)):
        side = fd.mc_predict(model, MAPS, 5, seed=2, masks=masks, output="raw", keep=True).passes
        model.eval()
        for t in range(5):
            with fd.random.monte_carlo(t, 2, 0, masks), fd.no_grad():
                assert np.array_equal(side[:, t], model(MAPS).data)
    assert side.std() > 0


@pytest.mark.parametrize("axes", [1, -1, (1, 3), (2, 3), (1, 2, 3)])
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.filterwarnings("error::fastdrop.uncertainty.MCWarning")
def test_sums_within_each_row_are_batched(axes, keepdim):
    class Sums(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.3)

        def forward(self, x):
            return fd.sum(self.drop(x), axes, keepdim)

    model = Sums()
    side = fd.mc_predict(model, MAPS, 5, seed=2, output="raw", keep=True).passes
    model.eval()
    for t in range(5):
        with fd.random.monte_carlo(t, 2, 0, "per_sample"), fd.no_grad():
            assert np.array_equal(side[:, t], model(MAPS).data)
    assert side.std() > 0


def test_dropblock_normalised_over_the_batch_is_not_batched():
    with pytest.warns(fd.uncertainty.MCWarning, match="DropBlock2d"):
        fd.mc_predict(nn.Sequential(nn.DropBlock2d(0.3, 3, normalize="batch")), MAPS, 3)


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_a_model_whose_call_opens_several_forward_passes(masks):
    """Each forward pass uses its own part of the cache."""

    class Ensemble(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = classifier(), classifier()

        def __call__(self, x):
            return (self.a(x) + self.b(x)) / 2

    model = Ensemble().eval()
    for batch_size in (50, 4096):
        found = fd.mc_predict(
            model, X, 5, masks=masks, output="raw", keep=True, batch_size=batch_size
        ).passes
        assert np.abs(found - passes_one_at_a_time(model, X, 5, masks)).max() < 1e-6


class TwoDropouts(nn.Module):
    """Applies a function to the input (N, 1, 8) and to the outputs of two dropout layers."""

    def __init__(self, use):
        super().__init__()
        self.drop, self.fc, self.use = nn.Dropout(0.5), nn.Linear(8, 8), use

    def forward(self, x):
        flat = self.drop(self.fc(x.reshape(len(x), 8)))
        return self.use(x, flat, self.drop(x))


def with_gradient(x, flat, drop):
    with fd.enable_grad():
        y = fd.relu(flat * fd.tensor(np.ones(8), requires_grad=True))
        y.backward(np.ones(y.shape, np.float32))
    return y


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
@pytest.mark.parametrize(
    ("use", "word"),
    [
        (lambda x, flat, drop: flat + drop, "dimensions"),
        (with_gradient, "backward"),
        (
            lambda x, flat, drop: (
                flat + np.ones((len(flat) // len(flat), 8)) * (1 if len(flat) == len(x) else 1 / 0)
            ),
            "ZeroDivision",
        ),
    ],
    ids=["dimensions", "backward", "own error"],
)
def test_models_that_fail_on_the_rows_of_several_passes(use, word, masks):
    """What fails only because passes are batched is computed one pass at a time."""
    model, x = TwoDropouts(use).eval(), fd.tensor(X[:, None])
    with pytest.warns(fd.uncertainty.MCWarning, match=word) as caught:
        found = fd.mc_predict(model, X[:, None], 5, masks=masks, output="raw", keep=True).passes
    assert caught[0].filename == __file__ and len(caught) == 1
    assert np.abs(found - passes_one_at_a_time(model, x, 5, masks)).max() < 1e-6


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
@pytest.mark.parametrize("rows", [1, len(X)])
def test_rows_with_and_without_passes_are_joined(masks, rows):
    """`cat` repeats the rows of a tensor that has no passes yet, one sample included."""
    model = TwoDropouts(lambda x, flat, drop: fd.cat([x.reshape(len(x), 8), flat], 1)).eval()
    x = X[:rows, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fd.mc_predict(model, x, 5, masks=masks, output="raw", keep=True).passes
    assert np.abs(found - passes_one_at_a_time(model, fd.tensor(x), 5, masks)).max() < 1e-6


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_a_prediction_inside_a_batched_prediction(masks):
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.fc = nn.Dropout(0.4), nn.Linear(8, 3)

        def forward(self, x):
            h, fc = self.drop(x), self.fc

            class Inner(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.drop = nn.Dropout(0.5)

                def forward(self, x):
                    return fc(self.drop(x) + h)

            return fc(h) + fd.mc_predict(Inner(), x, 4, output="raw").mean.astype(np.float32)

    model = Outer().eval()
    with pytest.warns(fd.uncertainty.MCWarning, match="inside"):
        found = fd.mc_predict(model, X, 4, masks=masks, output="raw", keep=True).passes
    assert np.abs(found - passes_one_at_a_time(model, X, 4, masks)).max() < 1e-6


class Choosing(nn.Module):
    """A network that chooses among its hidden units h (N, 12), given the input (N, 8)."""

    def __init__(self, function):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(8, 12), nn.Dropout(0.4), nn.Linear(12, 3)
        self.function = function

    def forward(self, x):
        return self.last(self.function(self.drop(self.first(x)), x))


KEPT = np.arange(12) % 3 > 0
REVERSED = np.arange(12)[::-1].copy()


def places(x):
    """Places in [0, 12) that depend on the sample, (N, 12)."""
    return np.argsort(np.concatenate([x, x[:, :4]], 1), 1)


@pytest.mark.parametrize(
    "function",
    [
        lambda h, x: fd.where(KEPT, h, 0.5),
        lambda h, x: fd.where(x[:, :1] > 0, h, -h),
        lambda h, x: fd.masked_fill(h, np.concatenate([x, x[:, :4]], 1) > 0, 2.0),
        lambda h, x: h.index_select(1, REVERSED),
        lambda h, x: h[:, REVERSED] + h[:, [0] * 12],
        lambda h, x: fd.gather(h, 1, places(x)),
    ],
)
def test_choices_that_are_the_same_in_all_passes_are_batched(function):
    model = Choosing(function)
    loop = np.stack([one_pass(model, t, "per_sample") for t in range(5)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # that of passes one by one, for one
        found = fd.mc_predict(model, X, 5, seed=2, output="raw")
    assert np.abs(found.mean - loop.mean(0)).max() < 1e-6
    assert np.abs(found.variance - loop.var(0)).max() < 1e-6


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda h, x: h * (h > 0), "gt"),
        (lambda h, x: h.topk(12, 1).values, "topk"),
        (lambda h, x: fd.sort(h, 1).values, "sort"),
        (lambda h, x: h - h.mean(0), "mean"),
        (lambda h, x: h / (h.std(0) + 1), "std"),
        (lambda h, x: h * float(h.numpy()[0, 0]), "numpy"),
        (lambda h, x: h[::-1], "getitem"),
        (lambda h, x: h.index_select(0, [0] * len(h)), "index_select"),
    ],
)
def test_what_is_not_batched_is_named(function, name):
    with pytest.warns(fd.uncertainty.MCWarning, match=f"one by one: {name}, which"):
        fd.mc_predict(Choosing(function), X, samples=5, seed=1)
