"""Thinned networks: products over the kept units of shared masks."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import _core, nn
from fastdrop.uncertainty import monte_carlo

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def thinned_networks_of_any_size(monkeypatch):
    monkeypatch.setattr(monte_carlo, "THINNED_FROM", 0)


def floats(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


class Branches(nn.Module):
    """The result of a dropout is used twice, and kept; a normalisation stands between."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.a, self.b, self.last, self.drop = (
            nn.Linear(12, 60),
            nn.LayerNorm(60),
            nn.Linear(60, 50),
            nn.Linear(60, 50),
            nn.Linear(50, 3),
            nn.Dropout(0.4),
        )

    def forward(self, x):
        h = self.drop(fd.relu(self.first(self.drop(x))))
        self.kept = self.drop(fd.tanh(self.a(h)))
        return self.last(self.kept + self.drop(fd.relu(self.b(self.drop(self.norm(h))))))


def deep(*rates):
    layers = []
    for p in rates:
        layers += [nn.Linear(12 if not layers else 40, 40), nn.GELU(), nn.Dropout(p)]
    return nn.Sequential(*layers, nn.Linear(40, 2, bias=False))


@pytest.mark.parametrize(
    "build",
    [
        lambda: deep(0.5, 0.5),
        lambda: deep(0.1, 0.9, 0.3),
        lambda: deep(0.5, 1.0, 0.5),
        lambda: deep(0.0, 0.5),
        lambda: nn.Sequential(nn.Dropout(0.2), deep(0.5, 0.5)),
        lambda: nn.Sequential(deep(0.3), nn.Dropout(0.5)),
        Branches,
    ],
    ids=["two", "three", "nothing kept", "p = 0", "input", "last", "branches"],
)
def test_thinned_network_equals_the_whole_network(build, monkeypatch):
    fd.manual_seed(1)
    model, x = build().eval(), floats(37, 12)
    options = {"samples": 9, "seed": 3, "masks": "shared", "output": "raw", "keep": True}
    thin = fd.mc_predict(model, x, **options)
    for batch_size in (1, 10, 37, 100):
        assert np.array_equal(
            fd.mc_predict(model, x, batch_size=batch_size, **options).passes, thin.passes
        )
    assert np.array_equal(
        fd.mc_predict(model, x, **{**options, "samples": 1}).passes, thin.passes[:, :1]
    )
    monkeypatch.setattr(monte_carlo, "THINNED", False)
    whole = fd.mc_predict(model, x, **options)
    assert np.abs(thin.passes - whole.passes).max() < 1e-5 and (
        thin.std.max() > 0 or "1.0" in repr(model)
    )


def test_dropped_units_are_not_multiplied(monkeypatch):
    seen, layer = [], _core.thin_layer

    def spy(w, b, kind, alpha, samples, x, x_at, k, bits, scale, y, y_at, n, *more):
        seen.append((samples, k.tolist(), n.tolist()))
        return layer(w, b, kind, alpha, samples, x, x_at, k, bits, scale, y, y_at, n, *more)

    model = nn.Sequential(
        nn.Linear(12, 400),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(400, 300),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(300, 3),
    )
    monkeypatch.setattr(_core, "thin_layer", spy)
    fd.mc_predict(model, floats(20, 12), 6, masks="shared")
    (samples, k, n), (_, k_last, n_last) = seen
    assert (
        samples == 20
        and k_last == n
        and n_last == [3] * 6
        and all(150 < count < 250 for count in k)
        and all(110 < count < 190 for count in n)
    )


@pytest.mark.parametrize("rows", [31, 33])
def test_few_samples_of_shared_masks_are_computed_with_zeros(rows, monkeypatch):
    """Where thinning does not pay; the crossing is between 31 and 33 samples here."""
    seen, layer = [], _core.thin_layer

    def spy(*args):
        seen.append(args)
        return layer(*args)

    monkeypatch.setattr(_core, "thin_layer", spy)
    model, x = deep(0.5, 0.5).eval(), floats(rows, 12)
    options = {"samples": 5, "masks": "shared", "keep": True, "output": "raw"}
    thinned = fd.mc_predict(model, x, **options)
    del seen[:]
    monkeypatch.setattr(monte_carlo, "THINNED_FROM", 32 * 40 * 40)
    found = fd.mc_predict(model, x, **options)
    assert bool(seen) == (rows == 33)
    assert np.abs(found.passes - thinned.passes).max() < 1e-5


def test_thinned_networks_on_any_number_of_threads():
    model, x = deep(0.5, 0.5).eval(), floats(40, 12)
    before = fd.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            fd.set_num_threads(threads)
            found.append(
                fd.mc_predict(model, x, 30, masks="shared", output="raw", keep=True).passes
            )
    finally:
        fd.set_num_threads(before)
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


@pytest.mark.parametrize("masks", ["per_sample", "shared"])
def test_layers_before_the_first_dropout_run_once(masks, monkeypatch):
    seen, gemm = [], _core.gemm

    def spy(c, a, ta, b, *arguments, **options):
        seen.append((a.shape[1], c.shape[1]))
        return gemm(c, a, ta, b, *arguments, **options)

    model = nn.Sequential(
        nn.Linear(12, 21),
        nn.ReLU(),
        nn.Linear(21, 22),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.Linear(22, 3),
    ).eval()
    x = floats(20, 12)
    expected = fd.mc_predict(model, x, 40, masks=masks, output="raw")
    monkeypatch.setattr(_core, "gemm", spy)
    found = fd.mc_predict(
        model, x, 40, masks=masks, output="raw", batch_size=60
    )  # per_sample: a sample at a time; shared: three passes
    assert np.array_equal(found.mean, expected.mean) and np.array_equal(
        found.variance, expected.variance
    )
    assert seen.count((12, 21)) == seen.count((21, 22)) == (1 if masks == "shared" else 20)


def test_thinned_networks_of_any_depth():
    layers = [layer for _ in range(600) for layer in (nn.Linear(12, 12), nn.Dropout(0.1))]
    for layer in layers[::2]:
        nn.init.orthogonal_(layer.weight)
    found = fd.mc_predict(nn.Sequential(*layers), floats(3, 12), 2, masks="shared", output="raw")
    assert np.isfinite(found.mean).all() and found.mean.shape == (3, 12)
