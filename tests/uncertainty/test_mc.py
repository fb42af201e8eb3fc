"""Monte Carlo prediction."""

import importlib.util
import threading
import tracemalloc

import numpy as np
import pytest
from helpers import twin

import fastdrop as fd
from fastdrop import nn

X = np.random.default_rng(0).standard_normal((23, 8)).astype(np.float32)


def classifier():
    return nn.Sequential(
        nn.Linear(8, 40), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(40), nn.Linear(40, 3)
    )


def passes(model, samples, seed, shared=False):
    """Probabilities of each pass, by hand."""
    w1, b1, _, _, w2, b2 = (p.data.astype(np.float64) for p in model.parameters())
    found = []
    for t in range(samples):
        rows = np.full(len(X), 2**32 - 1) if shared else None
        kept = twin.dropout(
            np.ones((len(X), 40), np.float32), 0.5, rows=rows, seed=seed, draw=t, domain=16
        ).astype(np.float64)
        h = np.maximum(X @ w1.T + b1, 0) * kept / np.sqrt(1 + 1e-5)
        z = np.exp(h @ w2.T + b2)
        found.append(z / z.sum(1, keepdims=True))
    return np.array(found)


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_every_figure(masks):
    model = classifier()
    exact = passes(model, 12, 5, masks == "shared")
    mc = fd.mc_predict(model, X, samples=12, seed=5, masks=masks)
    mean = exact.mean(0)
    entropy = -(mean * np.log(mean)).sum(1)
    expected = -(exact * np.log(exact)).sum(2).mean(0)
    votes = np.array([np.bincount(v, minlength=3) for v in exact.argmax(2).T])
    for ours, value in (
        (mc.mean, mean),
        (mc.variance, exact.var(0)),
        (mc.std, exact.std(0)),
        (mc.entropy, entropy),
        (mc.expected_entropy, expected),
        (mc.mutual_information, np.maximum(entropy - expected, 0)),
        (mc.variation_ratio, 1 - votes.max(1) / 12),
    ):
        assert ours.shape == value.shape and np.abs(ours - value).max() < 1e-5


def test_a_function_of_model_data_and_seed():
    model = classifier()
    whole = fd.mc_predict(model, X, samples=7, seed=1)
    before = fd.random.get_state()
    for options in ({"batch_size": 5}, {"batch_size": 1}):
        again = fd.mc_predict(model, X, samples=7, seed=1, **options)
        assert np.array_equal(again.mean, whole.mean) and np.array_equal(
            again.entropy, whole.entropy
        )
    assert not np.array_equal(fd.mc_predict(model, X, samples=7, seed=2).mean, whole.mean)
    assert model.training and model.draw == 0 and fd.random.get_state() == before
    assert not model[3].num_batches_tracked


def test_regression_and_probabilities():
    model = nn.Sequential(nn.Dropout(0.3), nn.Linear(8, 1)).eval()
    mc = fd.mc_predict(model, X, samples=5)
    assert mc.mean.shape == (23, 1) and mc.std.max() > 0 and not model.training
    with pytest.raises(AttributeError, match="classification"):
        mc.entropy  # noqa: B018
    scores = classifier()
    shares = nn.Sequential(*scores, nn.Softmax(1))
    assert np.abs(fd.mc_predict(scores, X, 5).mean - fd.mc_predict(shares, X, 5).mean).max() < 1e-6
    assert np.abs(fd.mc_predict(scores, X, 5, output="raw").mean.sum(1) - 1).max() > 1e-3
    assert fd.mc_predict(scores, X[:0], 5).mean.shape == (0, 3)


def test_functional_dropout_in_a_users_forward():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.drop = nn.Linear(8, 3), nn.Dropout(0.1)

        def forward(self, x):
            return self.drop(self.fc(fd.functional.dropout(x, 0.5, training=self.training)))

    assert fd.mc_predict(Model(), X, samples=4).std.min() > 0


def test_what_is_averaged_is_decided_over_all_rows():
    model = nn.Sequential(nn.Dropout(0.0), nn.Identity())
    shares = np.random.default_rng(1).dirichlet(np.ones(8), 15).astype(np.float32)
    for x in (np.concatenate([shares, X]), np.concatenate([X, shares]), shares):
        whole = fd.mc_predict(model, x, 3)
        assert (
            np.abs(whole.mean - (x if x is shares else fd.functional.softmax(x, 1).data)).max()
            < 1e-6
        )
        for batch_size in (15, 4, 1):
            again = fd.mc_predict(model, x, 3, batch_size=batch_size)
            assert np.array_equal(again.mean, whole.mean) and np.array_equal(
                again.entropy, whole.entropy
            )


def test_inside_the_forward_of_another_module():
    class Careful(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.first, self.model, self.last = nn.Dropout(0.5), model, nn.Dropout(0.5)

        def forward(self, x):
            before = self.first(x).data
            mc = fd.mc_predict(self.model, X, 4, seed=3)
            return before, mc, self.last(x).data

    model, ones = classifier(), np.ones((23, 8), np.float32)
    outside = fd.mc_predict(model, X, 4, seed=3)
    before, inside, after = Careful(model)(ones)
    assert (
        np.array_equal(inside.mean, outside.mean)
        and np.array_equal(inside.variance, outside.variance)
        and outside.std.min() > 0
    )
    assert np.array_equal(before, twin.dropout(ones, 0.5)) and np.array_equal(
        after, twin.dropout(ones, 0.5, site=2)
    )


@pytest.mark.parametrize(
    ("call", "error", "word"),
    [
        (lambda m: fd.mc_predict(nn.Linear(8, 3), X), ValueError, "model"),
        (lambda m: fd.mc_predict(3, X), TypeError, "model"),
        (lambda m: fd.mc_predict(m, X, 0), ValueError, "samples"),
        (lambda m: fd.mc_predict(m, X, seed=-1), ValueError, "seed"),
        (lambda m: fd.mc_predict(m, X, masks="all"), ValueError, "masks"),
        (lambda m: fd.mc_predict(m, X > 0), TypeError, "x"),
        (lambda m: fd.mc_predict(m, X, batch_size=0), ValueError, "batch_size"),
        (lambda m: fd.mc_predict(m, X, output="logits"), ValueError, "output"),
        (
            lambda m: fd.mc_predict(nn.Sequential(m, nn.Linear(3, 1)), X, output="softmax"),
            ValueError,
            "softmax",
        ),
        (lambda m: fd.mc_predict(m, X[:, :5]), ValueError, "input"),
    ],
)
def test_errors_leave_everything_as_it_was(call, error, word):
    model = classifier()
    with pytest.raises(error, match=word):
        call(model)
    assert all(m.training for m in model.modules())


class Users(nn.Module):
    """A user's forward: a skip connection from before the dropout, normalisation, arithmetic, a parameter of its own."""

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
        Users,
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
def test_passes_side_by_side_are_the_passes_one_by_one(build, masks):
    model = build()
    side = fd.mc_predict(model, X, 9, seed=2, masks=masks, output="raw")
    loop = np.stack([_pass(model, t, masks) for t in range(9)])
    assert (
        np.abs(side.mean - loop.mean(0)).max() < 1e-6
        and np.abs(side.variance - loop.var(0)).max() < 1e-6
    )
    for batch_size in (1, 4, 9, 50):
        again = fd.mc_predict(model, X, 9, seed=2, masks=masks, output="raw", batch_size=batch_size)
        assert np.array_equal(again.mean, side.mean) and np.array_equal(
            again.variance, side.variance
        )


def _pass(model, t, masks, seed=2):
    model.eval()
    with fd.random.monte_carlo(t, seed, 0, masks):
        return model(X).data.astype(np.float64)


def test_what_is_deterministic_is_computed_once():
    """A count of the rows that reach each layer."""
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
        lambda h: h[:, :2] * 1,
        lambda h: h.reshape(-1, 4),
        lambda h: fd.softmax(h, 0),
        lambda h: h.numpy(),
        lambda h: fd.matmul(h, np.ones((8, 2), np.float32)),
        lambda h: h.sum(),
    ],
    ids=["data", "mean", "index", "reshape", "softmax", "numpy", "matmul", "sum"],
)
def test_what_may_mix_rows_goes_one_by_one_and_says_so(use):
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
    loop = np.stack([_pass(model, t, "per_sample") for t in range(6)])
    assert (
        np.abs(found.mean - loop.mean(0)).max() < 1e-6
        and np.abs(found.variance - loop.var(0)).max() < 1e-6
    )


def test_other_stochastic_layers_go_one_by_one():
    for layer in (nn.DropConnectLinear(8, 8, p=0.3), nn.Residual(nn.Linear(8, 8), 0.5)):
        model = nn.Sequential(layer, nn.Dropout(0.3))
        with pytest.warns(
            fd.uncertainty.MCWarning,
            match=f"{type(layer).__name__} does not work on batched passes",
        ) as caught:
            found = fd.mc_predict(model, X, 4, seed=2, output="raw")
        assert caught[0].filename == __file__  # the caller's line
        loop = np.stack([_pass(model, t, "per_sample") for t in range(4)])
        assert np.abs(found.mean - loop.mean(0)).max() < 1e-6


def regressor():
    fd.manual_seed(4)
    return nn.Sequential(nn.Linear(8, 40), nn.ReLU(), nn.Dropout(0.5), nn.Linear(40, 2))


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_more_passes_only_where_the_mean_is_unsure(masks):
    model = regressor()
    first = fd.mc_predict(model, X, 10, seed=3, masks=masks, output="raw", keep=True)
    errors = first.standard_error.max(1)
    tolerance = float(np.median(errors)) * 0.8
    mc = fd.mc_predict(model, X, 10, seed=3, masks=masks, output="raw", tolerance=tolerance)
    long = fd.mc_predict(model, X, mc.counts.max(), seed=3, masks=masks, output="raw", keep=True)
    assert (
        (mc.counts % 10 == 0).all()
        and mc.counts.min() == 10
        and (mc.counts[errors > tolerance] > 10).all()
    )
    assert (mc.counts[errors <= tolerance] == 10).all() and (
        mc.standard_error.max(1) <= tolerance
    ).all()
    for n, count in enumerate(
        mc.counts
    ):  # the passes of a longer run, and not one group more than needed
        values = long.passes[n, :count].astype(np.float64)
        assert (
            np.abs(values.mean(0) - mc.mean[n]).max() < 1e-6
            and np.abs(values.var(0) - mc.variance[n]).max() < 1e-6
        )
        assert count == 10 or (values[:-10].std(0) / np.sqrt(count - 10)).max() > tolerance
    for batch_size in (1, 7, 40):
        again = fd.mc_predict(
            model,
            X,
            10,
            seed=3,
            masks=masks,
            output="raw",
            tolerance=tolerance,
            batch_size=batch_size,
        )
        assert (
            np.array_equal(again.counts, mc.counts)
            and np.array_equal(again.mean, mc.mean)
            and np.array_equal(again.variance, mc.variance)
        )
    with pytest.warns(fd.uncertainty.MCWarning, match="max_samples"):
        assert (
            fd.mc_predict(
                model, X, 10, tolerance=1e-9, max_samples=25, output="raw"
            ).counts.tolist()
            == [25] * 23
        )


def test_kept_passes_quantiles_and_likelihood():
    model, y = regressor(), np.random.default_rng(2).standard_normal((23, 2))
    mc = fd.mc_predict(model, X, 15, seed=1, output="raw", keep=True, tau=4.0)
    short = fd.mc_predict(model, X, 6, seed=1, output="raw", keep=True, batch_size=5)
    assert mc.passes.shape == (23, 15, 2) and np.array_equal(mc.passes[:, :6], short.passes)
    passes = mc.passes.astype(np.float64)
    assert np.abs(mc.quantile([0.1, 0.5]) - np.quantile(passes, [0.1, 0.5], axis=1)).max() < 1e-6
    assert np.allclose(mc.total_variance, passes.var(1) + 0.25, atol=1e-6) and np.allclose(
        mc.aleatoric, 0.25
    )
    density = np.prod(
        np.sqrt(4 / (2 * np.pi)) * np.exp(-2 * (y[:, None] - passes) ** 2), axis=2
    ).mean(1)
    assert np.allclose(mc.log_likelihood(y), np.log(density)) and np.allclose(
        mc.log_likelihood(y, tau=4.0), np.log(density)
    )
    wide = mc.rescale(3.0, -1.0)
    assert np.allclose(
        wide.log_likelihood(3 * y - 1), np.log(density / 9), atol=1e-5
    ) and np.allclose(wide.mean, 3 * mc.mean - 1)
    assert (
        np.allclose(wide.std, 3 * mc.std)
        and np.isclose(wide.tau, 4 / 9)
        and np.allclose(wide.quantile(0.3), 3 * mc.quantile(0.3) - 1, atol=1e-5)
    )
    for call in (
        lambda: fd.mc_predict(model, X, 3, output="raw").quantile(0.5),
        lambda: fd.mc_predict(model, X, 3, output="raw").aleatoric,
        lambda: mc.entropy,
    ):
        with pytest.raises(AttributeError):
            call()
    for call, word in (
        (lambda: mc.log_likelihood(y[:5]), "y"),
        (lambda: mc.rescale(0.0), "scale"),
        (lambda: fd.mc_predict(model, X, 3, output="raw", keep=True).log_likelihood(y), "tau"),
        (lambda: fd.mc_predict(model, X, keep=True, tolerance=0.1), "keep"),
        (lambda: fd.mc_predict(model, X, tau=0.0), "tau"),
    ):
        with pytest.raises(ValueError, match=word):
            call()


def test_predicted_variance_and_likelihood_of_classes():
    model, y = regressor(), np.random.default_rng(2).standard_normal(23)
    mc = fd.mc_predict(model, X, 9, seed=1, output="gaussian", keep=True)
    raw = fd.mc_predict(model, X, 9, seed=1, output="raw", keep=True).passes.astype(np.float64)
    assert (
        np.allclose(mc.mean, raw[..., :1].mean(1))
        and np.allclose(mc.aleatoric, np.exp(raw[..., 1:]).mean(1))
        and np.allclose(mc.epistemic, raw[..., :1].var(1))
    )
    mean, variance = raw[..., 0], np.exp(raw[..., 1])
    density = (
        np.exp(-0.5 * (y[:, None] - mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)
    ).mean(1)
    assert np.allclose(mc.log_likelihood(y), np.log(density))
    assert np.allclose(mc.rescale(2.0).log_likelihood(2 * y), np.log(density / 2)) and np.allclose(
        mc.rescale(2.0).aleatoric, 4 * mc.aleatoric
    )
    labels = np.arange(23) % 3
    classes = fd.mc_predict(classifier(), X, 9)
    assert np.allclose(classes.log_likelihood(labels), np.log(classes.mean[np.arange(23), labels]))
    with pytest.raises(ValueError, match="y must"):
        classes.log_likelihood(labels + 1)
    with pytest.raises(ValueError, match="gaussian"):
        fd.mc_predict(classifier(), X, output="gaussian")


def test_pieces_of_a_larger_array():
    model = classifier()
    whole = fd.mc_predict(model, X, 6, seed=9)
    parts = [fd.mc_predict(model, X[i : i + 5], 6, seed=9, row0=i) for i in range(0, 23, 5)]
    assert np.array_equal(np.concatenate([part.mean for part in parts]), whole.mean)
    assert np.array_equal(
        np.concatenate([part.mutual_information for part in parts]), whole.mutual_information
    )


def test_progress_is_for_long_work_on_a_terminal(monkeypatch, capsys):
    from fastdrop._utils import progress

    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    model = classifier()
    fd.mc_predict(model, X, 6)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    fd.mc_predict(model, X, 6, progress=False)
    assert capsys.readouterr().err == ""
    fd.mc_predict(model, X, 6, batch_size=12)
    assert (
        "/138" if importlib.util.find_spec("tqdm") else "100 %"
    ) in capsys.readouterr().err  # 23 samples, 6 passes


def test_gaussian_inference_through_the_same_call():
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
    deeper = nn.Sequential(nn.Dropout(0.2), *model).eval()  # after passes have parted
    side, loop = (
        fd.mc_predict(deeper, X, 6, output="raw", keep=True).passes,
        [_pass(deeper, t, "per_sample", 0) for t in range(6)],
    )
    assert np.abs(side - np.stack(loop, 1)).max() < 1e-6
    plain = nn.DropConnectLinear(
        8, 5, p=0.3, inference="gaussian"
    ).eval()  # no activation: the mean is known, a pass still is a draw
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
def test_other_members_carry_passes_too(layer, masks):
    """Their passes side by side, without a warning, are bit for bit the passes one by one; after another layer as well."""
    for model in (nn.Sequential(layer), nn.Sequential(nn.Dropout(0.2), layer)):
        side = fd.mc_predict(model, MAPS, 5, seed=2, masks=masks, output="raw", keep=True).passes
        model.eval()
        for t in range(5):
            with fd.random.monte_carlo(t, 2, 0, masks), fd.no_grad():
                assert np.array_equal(side[:, t], model(MAPS).data)
    assert side.std() > 0


def test_dropblock_that_counts_over_the_batch_does_not():
    with pytest.warns(fd.uncertainty.MCWarning, match="DropBlock2d"):
        fd.mc_predict(nn.Sequential(nn.DropBlock2d(0.3, 3, normalize="batch")), MAPS, 3)


def test_a_model_in_training_mode_predicts_in_several_threads():
    """Who is done first does not put the model back into training mode under the others."""
    model, begun, go_on, second = classifier(), threading.Event(), threading.Event(), []
    expected = fd.predict(model, X)

    class Calls(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def forward(self, x):
            self.function()
            return x

    late = nn.Sequential(Calls(lambda: (begun.set(), go_on.wait(10))), model)
    thread = threading.Thread(target=lambda: second.append(fd.predict(late, X)))
    early = nn.Sequential(Calls(lambda: (thread.start(), begun.wait(10))), model)
    assert (
        np.array_equal(fd.predict(early, X), expected)
        and early.training
        and late.training is model.training is False
    )
    assert (
        np.array_equal(fd.mc_predict(model, X, 4).mean, fd.mc_predict(model, X, 4).mean)
        and not model.training
    )
    go_on.set()
    thread.join()
    assert np.array_equal(second[0], expected) and all(m.training for m in late.modules())


def oracle(model, x, samples, masks="per_sample"):
    """The passes one by one, (N, T, ...)."""
    found = []
    for t in range(samples):
        with fd.random.monte_carlo(t, 0, 0, masks), fd.no_grad():
            found.append(model(x).data.copy())
    return np.stack(found, 1)


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_a_call_that_opens_several_forward_passes(masks):
    """Each knows only what is its own of what the passes share."""

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
        assert np.abs(found - oracle(model, X, 5, masks)).max() < 1e-6


class Odd(nn.Module):
    """Does something with what two dropouts give of (N, 1, 8)."""

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
        (lambda x, flat, drop: fd.cat([flat, x.reshape(len(x), 8)], 1), "one shape"),
        (
            lambda x, flat, drop: (
                flat + np.ones((len(flat) // len(flat), 8)) * (1 if len(flat) == len(x) else 1 / 0)
            ),
            "ZeroDivision",
        ),
    ],
    ids=["dimensions", "backward", "cat", "own error"],
)
def test_more_rows_than_samples_never_show(use, word, masks):
    """What fails or mixes only because passes are side by side is computed one by one."""
    model, x = Odd(use).eval(), fd.tensor(X[:, None])
    with pytest.warns(fd.uncertainty.MCWarning, match=word) as caught:
        found = fd.mc_predict(model, X[:, None], 5, masks=masks, output="raw", keep=True).passes
    assert caught[0].filename == __file__ and len(caught) == 1
    assert np.abs(found - oracle(model, x, 5, masks)).max() < 1e-6


@pytest.mark.parametrize(
    "use",
    [lambda h: h.sum(), lambda h: fd.tensor(np.ones((2, 3))), lambda h: (h, h)],
    ids=["sum", "rows", "tuple"],
)
@pytest.mark.parametrize("batch_size", [1, 4096])
def test_a_model_gives_a_row_for_each_sample(use, batch_size):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return use(self.drop(x))

    with pytest.raises(ValueError, match="model"):
        fd.mc_predict(Model(), X, 3, batch_size=batch_size)


def test_likelihoods_at_the_edges_and_refusals():
    model = regressor()
    none = fd.mc_predict(model, X[:0], 5, output="raw", keep=True, tau=2.0)
    assert (
        none.log_likelihood(np.zeros((0, 2))).shape == (0,)
        and none.quantile(0.5).shape == (0, 2)
        and len(none.rescale(2.0)) == 0
    )
    mc = fd.mc_predict(model, X, 5, output="raw", keep=True, tau=2.0)
    assert (mc.log_likelihood(np.full((23, 2), 1e200)) == -np.inf).all() and np.isfinite(
        mc.log_likelihood(np.full((23, 2), 1e30))
    ).all()
    loud = nn.Sequential(
        nn.Dropout(0.5)
    ).eval()  # log variances of thousands, outputs that are infinite
    wide = fd.mc_predict(loud, np.array([[0, 2000.0]]), 8, output="gaussian", keep=True)
    exponents = -0.5 * (wide._log_variances.astype(np.float64)[0, :, 0] + np.log(2 * np.pi))
    assert np.isclose(
        wide.log_likelihood(np.zeros((1, 1)))[0],
        np.log(np.exp(exponents - exponents.max()).mean()) + exponents.max(),
    )
    assert (
        np.isinf(wide.aleatoric).all()
        and np.isnan(fd.mc_predict(loud, np.full((1, 2), np.inf), 8, output="raw").std).all()
    )
    assert mc.quantile(0.5).dtype == mc.quantile([0.5]).dtype == np.float64 and np.allclose(
        mc.rescale([2.0]).mean, mc.mean * 2
    )
    several = fd.mc_predict(model, X, 5, output="raw", keep=True)
    assert np.allclose(
        several.rescale([2.0, -3.0], [[1.0, 0.0]][0]).mean, several.mean * [2, -3] + [1, 0]
    )
    for call, word in (
        (lambda: mc.quantile(2.0), "q must"),
        (lambda: mc.quantile([0.1, np.nan]), "q must"),
        (lambda: mc.quantile("half"), "q must"),
        (lambda: several.rescale([1.0, 2.0, 3.0]), "scale must"),
        (lambda: several.rescale(np.ones((23, 1))), "scale must"),
        (lambda: several.rescale(np.nan), "scale must"),
        (lambda: several.rescale("a"), "scale must"),
        (lambda: several.rescale(2.0, np.ones(3)), "shift must"),
        (lambda: several.rescale(2.0, np.inf), "shift must"),
    ):
        with pytest.raises(ValueError, match=word):
            call()


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_a_prediction_inside_a_prediction_sees_no_passes_of_the_outer_one(masks):
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
    assert np.abs(found - oracle(model, X, 4, masks)).max() < 1e-6


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_memory_is_bounded_by_the_batch_size_whatever_the_passes(masks):
    def peak(samples):
        tracemalloc.start()
        fd.mc_predict(model, X[:4], samples, masks=masks, batch_size=50)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    model = classifier()
    peak(100)
    assert (
        peak(5000) < peak(100) + 200_000
    )  # the hidden units of all passes at once would take 3.2 MB
