"""When a Parameter keeps packed weights, and the thinned networks of shared masks."""

import gc
import sys
import threading

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import _core, nn
from fastdrop.uncertainty import monte_carlo

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


def test_nothing_is_kept_that_somebody_could_change():
    layer, x = nn.Linear(40, 30).eval(), floats(2, 40)
    weight = layer.weight

    def predict():
        with fd.no_grad():
            return layer(x).data.copy()

    def exact():
        w, b = weight._data, layer.bias._data
        return x.astype(np.float64) @ w.T + b

    first = predict()
    assert weight._panels is not None and np.array_equal(predict(), first)
    held = weight.data  # whoever asks may write, now or later
    assert weight._panels is None
    for change in (
        lambda held=held: np.multiply(held, 2, out=held),
        lambda held=held: held.__setitem__((0, 0), 9),
        lambda held=held: layer.load_state_dict({"weight": held + 1, "bias": layer.bias.data}),
    ):
        change()
        assert np.abs(predict() - exact()).max() < 1e-4 and weight._panels is None
    view = held[1:]
    del held, change
    gc.collect()
    view[...] = 3
    assert np.abs(predict() - exact()).max() < 1e-4 and weight._panels is None
    del view
    predict()
    assert weight._panels is not None
    weight.data = floats(30, 40)
    assert np.abs(predict() - exact()).max() < 1e-4
    own = floats(30, 40)
    weight.data = own  # shared with the caller
    predict()
    assert weight._panels is None
    own[...] = 1
    assert np.abs(predict() - exact()).max() < 1e-4
    optimizer = fd.optim.SGD(layer.parameters(), lr=0.5)
    del own
    predict()
    layer.train()
    layer(x).sum().backward()
    optimizer.step()
    layer.eval()
    assert np.abs(predict() - exact()).max() < 1e-4
    other = nn.Linear(40, 30)
    other.load_state_dict(layer.state_dict())
    assert np.array_equal(predict(), other(x).data)


def test_another_instruction_set_packs_again(each_isa):
    layer, x = nn.Linear(100, 50), floats(1, 100)
    with fd.no_grad():
        for _ in each_isa():
            wide = x.astype(np.float64) @ layer.weight._data.T + layer.bias._data
            assert np.abs(layer(x).data - wide).max() < 1e-4 and np.array_equal(
                layer(x).data, layer(np.repeat(x, 200, 0)).data[:1]
            )


class Branches(nn.Module):
    """What a dropout gave is used twice, and kept; normalisation stands between."""

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
def test_thinned_networks_equal_whole_ones(build, monkeypatch):
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
def test_what_comes_before_the_first_dropout_is_computed_once(masks, monkeypatch):
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


@pytest.mark.parametrize("when", ["before", "after"])
def test_panels_are_not_kept_when_another_thread_asks_for_the_array_meanwhile(when, monkeypatch):
    """One that writes while they are packed, and lets go of the array before they are done."""
    layer, x, pack = nn.Linear(40, 30).eval(), floats(2, 40), _core.pack

    def packs(panels, array):
        if when == "before":
            layer.weight.data[...] = 2
        pack(panels, array)
        layer.weight.data[...] = 3

    for model in (nn.Sequential(layer), layer):
        monkeypatch.setattr(_core, "pack", packs)
        with fd.no_grad():
            model(x)
            monkeypatch.undo()
            assert (
                np.abs(model(x).data - (3 * x.sum(1, keepdims=True) + layer.bias.data)).max() < 1e-4
            )


def test_panels_are_not_kept_of_an_array_that_is_being_replaced():
    layer, x = nn.Linear(40, 30).eval(), floats(2, 40)

    class Late:
        def __array__(self, dtype=None, copy=None):
            with fd.no_grad():
                layer(x)
            return np.full((30, 40), 2, np.float32)

    with fd.no_grad():
        layer.weight.data = Late()
        assert np.abs(layer(x).data - (2 * x.sum(1, keepdims=True) + layer.bias.data)).max() < 1e-4


def test_several_threads_call_one_small_path():
    """No call fails while another thread changes the weights; no packed weights are stale after."""
    model, x, failures, stop = (
        nn.Sequential(nn.Linear(60, 200), nn.ReLU(), nn.Linear(200, 3)).eval(),
        floats(2, 60),
        [],
        threading.Event(),
    )

    def predicts():
        try:
            with fd.no_grad():
                while not stop.is_set():
                    model(x)
        except Exception as error:
            failures.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=predicts) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        for i in range(100):
            model[0].weight.data[...] = 0.01 * i
            model[2].bias.data = np.full(3, i, np.float32)
            with fd.no_grad():
                found = model(x).data
            hidden = np.maximum(0.01 * i * x.sum(1, keepdims=True) + model[0].bias.data, 0)
            assert np.abs(found - (hidden @ model[2].weight._data.T + i)).max() < 1e-2
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert not failures


def test_the_small_path_sees_what_becomes_of_a_model():
    model, x = nn.Sequential(nn.Linear(8, 3), nn.Sequential(nn.ReLU())).eval(), floats(2, 8)
    layer, b = model[0], model[0].bias._data
    with fd.no_grad():
        for _ in range(2):
            model(x)
        layer.register_parameter("weight", nn.Parameter(np.ones((3, 8))))
        assert np.abs(model(x).data - np.maximum(x.sum(1, keepdims=True) + b, 0)).max() < 1e-5
        for module, own in (
            (layer, lambda x: fd.tensor(np.full((2, 3), -5.0))),
            (model[1], lambda x: x * 2),
            (model, lambda x: x),
        ):
            module.forward = own  # a user's, on this one
            assert np.array_equal(
                model(x).data,
                np.full((2, 3), -10.0)
                if module is model[1]
                else x
                if module is model
                else np.zeros((2, 3)),
            )
        del model.forward, model[1].forward, layer.forward
        assert (
            np.abs(model(x).data - np.maximum(x.sum(1, keepdims=True) + b, 0)).max() < 1e-5
            and model._chain[1] is not None
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_keep_no_panels(bad):
    """0 * inf is NaN, and must not be left out."""
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 2)).eval()
    model[3].weight.data[0, 0] = bad
    model[0].bias.data[0] = -100  # unit 0 is 0 after ReLU
    assert (
        np.isnan(fd.mc_predict(model, floats(3, 8), 20, output="raw").mean[:, 0]).all()
        and model[3].weight._panels is None
    )
