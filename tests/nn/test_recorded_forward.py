"""Predictions of few rows by replay give the bits of the layers, whatever changes between them."""

import copy
import pickle
import threading

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.nn import recorded_forward
from fastdrop.nn.recorded_forward import CALLS, SHAPES

X = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
MAPS = np.random.default_rng(0).standard_normal((40, 1, 8, 8)).astype(np.float32)


def dense():
    return nn.Sequential(
        *(nn.Linear(6, 12), nn.LayerNorm(12), nn.ReLU(), nn.Dropout(0.3)),
        *(nn.Linear(12, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 3)),
    )


def convolutional():
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 6, 3), nn.SpatialDropout2d(0.2), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Linear(6, 3)),
    )


def trained(make=dense, x=X):
    fd.manual_seed(0)
    model = make()
    fd.fit(model, (x, np.arange(40) % 3), epochs=1, batch_size=20, progress=False)
    for parameter in model.parameters():
        parameter.pack_next()  # weights that are packed later would end a recording
    return model


def by_layers(model, x):
    """The prediction without replays: that of a module around the model."""

    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x)

    return fd.predict(Around(), x)


def replays(model):
    """How many recordings of a model are replayed."""
    recorded = model._recorded[1]
    return sum(each.checked for each in recorded.recorded.values())


def warm(model, x, rows=1):
    for i in range(CALLS + 1):
        fd.predict(model, x[i : i + rows])
    assert replays(model) == 1
    return model


@pytest.mark.parametrize(("make", "x"), [(dense, X), (convolutional, MAPS)])
@pytest.mark.parametrize("rows", [1, 5])
def test_replays_give_the_bits_of_the_layers(make, x, rows):
    model = warm(trained(make, x), x, rows)
    expected = [by_layers(model, x[i : i + rows]) for i in range(0, 40, rows)]
    found = [fd.predict(model, x[i : i + rows]) for i in range(0, 40, rows)]
    assert np.concatenate(found).tobytes() == np.concatenate(expected).tobytes()
    with fd.no_grad():
        called = [model(x[i : i + rows]).data for i in range(0, 40, rows)]
    assert np.concatenate(called).tobytes() == np.concatenate(expected).tobytes()


def weights_in_place(model):
    model[-1].weight.data[...] *= 0.5


def first_weights(model):
    model[0].weight.data = model[0].weight.data * np.float32(0.5)


def loaded(model):
    state = model.state_dict()
    model.load_state_dict({k: v * 2 if v.dtype == np.float32 else v for k, v in state.items()})


def statistics(model):
    for layer in model:
        if hasattr(layer, "running_var"):
            layer.running_var.data[...] += 1.0
            layer.running_mean.data[...] += 0.5


def another_step(model):
    x = X if model[0].weight.ndim == 2 else MAPS
    fd.fit(model, (x, np.arange(40) % 3), epochs=1, batch_size=20, progress=False)


def another_layer(model):
    model[2] = nn.Sigmoid()


def an_option(model):
    model[1].eps = 0.5


def algorithm(model):
    fd.set_conv_algorithm("direct")


@pytest.mark.parametrize(("make", "x"), [(dense, X), (convolutional, MAPS)])
@pytest.mark.parametrize(
    "change",
    [
        *(weights_in_place, first_weights, loaded, statistics, another_step, another_layer),
        *(an_option, algorithm),
    ],
)
def test_changes_between_predictions(change, make, x):
    model = warm(trained(make, x), x)
    before = fd.predict(model, x[:1])
    try:
        change(model)
        for _ in range(3):
            found = fd.predict(model, x[:1])
            assert found.tobytes() == by_layers(model, x[:1]).tobytes()
        assert change is algorithm or not np.array_equal(found, before)
    finally:
        fd.set_conv_algorithm("auto")


def test_changes_of_other_models_do_not_matter():
    model, other = trained(), nn.Dropout(0.5)
    expected = [by_layers(model, X[i : i + 1]) for i in range(5)]
    recorded = next(iter(warm(model, X)._recorded[1].recorded.values()))
    for i in range(5):
        other.p = 0.1 * i
        assert fd.predict(model, X[i : i + 1]).tobytes() == expected[i].tobytes()
    assert next(iter(model._recorded[1].recorded.values())) is recorded


def test_a_changed_model_is_recorded_again():
    model = warm(trained(), X)
    model[1].eps = 0.5
    for i in range(recorded_forward.PAUSE + CALLS + 2):
        fd.predict(model, X[i : i + 1])
    assert replays(model) == 1


def test_results_are_arrays_of_their_own():
    model = warm(trained(), X)
    first = fd.predict(model, X[:1])
    kept = first.copy()
    assert not np.array_equal(fd.predict(model, X[1:2]), first) and np.array_equal(first, kept)


def test_training_mode_and_gradients_are_computed_by_the_layers():
    model = warm(trained(), X)
    assert model(X[:1]).requires_grad
    model.train()
    drawn = {model(X[:2]).data.tobytes() for _ in range(5)}
    assert len(drawn) == 5
    assert fd.predict(model, X[:1]).tobytes() == by_layers(model, X[:1]).tobytes()


def test_monte_carlo_predictions_draw():
    model = warm(trained(), X)
    assert fd.mc_predict(model, X[:1], samples=20, seed=1).std.max() > 0


def test_few_shapes_are_recorded():
    model = trained()
    for rows in (1, 2, 3, 4):
        for i in range(CALLS + 2):
            fd.predict(model, X[i : i + rows])
    assert replays(model) == SHAPES
    for _ in range(CALLS + 1):
        fd.predict(model, X)  # many rows
    assert replays(model) == SHAPES


def test_models_that_are_not_known():
    class Own(nn.Linear):
        calls = 0

        def forward(self, x):
            Own.calls += 1
            return super().forward(x)

    fd.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4), Own(4, 3)).eval()
    for i in range(8):
        fd.predict(model, X[i : i + 1])
    assert Own.calls == 8


def test_a_recording_with_many_numbers_is_not_kept(monkeypatch):
    monkeypatch.setattr(recorded_forward, "MOST_BYTES", 100)
    model = trained()
    for i in range(CALLS + 3):
        found = fd.predict(model, X[i : i + 1])
        assert found.tobytes() == by_layers(model, X[i : i + 1]).tobytes()
    assert replays(model) == 0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_have_recordings_of_their_own(copied):
    model = warm(trained(), X)
    other = copied(model)
    other[-1].bias.data[...] += 1.0
    assert np.allclose(fd.predict(other, X[:1]), fd.predict(model, X[:1]) + 1.0)


def test_threads_predict_at_the_same_time():
    model = warm(trained(), X)
    expected = [by_layers(model, X[i : i + 1]).tobytes() for i in range(40)]
    wrong = []

    def predict(start):
        for i in [*range(start, 40), *range(start)] * 5:
            if fd.predict(model, X[i : i + 1]).tobytes() != expected[i]:
                wrong.append(i)

    threads = [threading.Thread(target=predict, args=(10 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
