"""Kept panels of weights: the same bits, and never older than the array."""

import gc
import sys
import threading

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import _core, nn
from fastdrop.autograd import packed_weights

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


@pytest.fixture
def at_once(monkeypatch):
    """Panels for the first product already."""
    monkeypatch.setattr(packed_weights, "UNPACKED_USES", 0)


def packed(weight):
    return weight._panels is not None and weight._panels[1] is not None


@pytest.mark.parametrize("rows", [1, 128])
@pytest.mark.parametrize("form", ["layer", "chain", "convolution"])
def test_panels_are_made_after_some_uses_of_the_same_weights(form, rows, each_isa):
    """The bits are the same before and after. A look at `data` begins the count again."""
    layer = nn.Conv2d(8, 16, 3) if form == "convolution" else nn.Linear(100, 50)
    model = nn.Sequential(layer, nn.ReLU()).eval() if form == "chain" else layer.eval()
    weight, x = layer.weight, floats(rows, 8, 4, 4) if form == "convolution" else floats(rows, 100)
    with fd.no_grad():
        for _ in each_isa():
            weight.data  # noqa: B018
            expected = model(x).numpy()
            for i in range(1, 20):
                assert packed(weight) == (i > packed_weights.UNPACKED_USES)
                assert np.array_equal(model(x).numpy(), expected)
    weight.data[...] = 0
    assert weight._panels is None
    with fd.no_grad():
        assert np.array_equal(
            model(x).numpy(),
            np.broadcast_to(layer.bias._data.reshape(-1, *[1] * (x.ndim - 2)), expected.shape)
            if form != "chain"
            else np.broadcast_to(np.maximum(layer.bias._data, 0), expected.shape),
        )
        assert not packed(weight)
        weight.pack_next()
        model(x)
        assert packed(weight) == (form != "convolution")


def test_repeated_rows_make_panels_at_once():
    """Monte Carlo passes of one sample leave out its zeros, for which they need finite weights."""
    model = nn.Sequential(nn.Linear(30, 20), nn.ReLU(), nn.Dropout(0.5), nn.Linear(20, 3)).eval()
    x = floats(1, 30)
    first = fd.mc_predict(model, x, 50, seed=1, output="raw").mean
    assert packed(model[3].weight) and not packed(model[0].weight)
    assert np.array_equal(fd.mc_predict(model, x, 50, seed=1, output="raw").mean, first)


@pytest.mark.usefixtures("at_once")
def test_panels_are_dropped_when_somebody_can_write_to_the_array():
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
    held = weight.data  # the caller may write, now or later
    assert weight._panels is None
    for change in (
        lambda array: np.multiply(array, 2, out=array),
        lambda array: array.__setitem__((0, 0), 9),
        lambda array: layer.load_state_dict({"weight": array + 1, "bias": layer.bias.data}),
    ):
        change(held)
        assert np.abs(predict() - exact()).max() < 1e-4 and weight._panels is None
    view = held[1:]
    del held
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


@pytest.mark.usefixtures("at_once")
def test_panels_are_packed_again_for_another_instruction_set(each_isa):
    layer, x = nn.Linear(100, 50), floats(1, 100)
    with fd.no_grad():
        for _ in each_isa():
            wide = x.astype(np.float64) @ layer.weight._data.T + layer.bias._data
            assert np.abs(layer(x).data - wide).max() < 1e-4 and np.array_equal(
                layer(x).data, layer(np.repeat(x, 200, 0)).data[:1]
            )


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("when", ["before", "after"])
def test_panels_are_not_kept_when_another_thread_reads_the_array_meanwhile(when, monkeypatch):
    """The other thread writes while the panels are packed, and lets go of the array early."""
    layer, x, pack = nn.Linear(40, 30).eval(), floats(2, 40), _core.pack

    def packs(panels, array, bf16):
        if when == "before":
            layer.weight.data[...] = 2
        pack(panels, array, bf16)
        layer.weight.data[...] = 3

    for model in (nn.Sequential(layer), layer):
        monkeypatch.setattr(_core, "pack", packs)
        with fd.no_grad():
            model(x)
            monkeypatch.undo()
            assert (
                np.abs(model(x).data - (3 * x.sum(1, keepdims=True) + layer.bias.data)).max() < 1e-4
            )


@pytest.mark.usefixtures("at_once")
def test_panels_are_not_kept_while_the_array_is_being_replaced():
    layer, x = nn.Linear(40, 30).eval(), floats(2, 40)

    class Late:
        def __array__(self, dtype=None, copy=None):
            with fd.no_grad():
                layer(x)
            return np.full((30, 40), 2, np.float32)

    with fd.no_grad():
        layer.weight.data = Late()
        assert np.abs(layer(x).data - (2 * x.sum(1, keepdims=True) + layer.bias.data)).max() < 1e-4


@pytest.mark.usefixtures("at_once")
def test_several_threads_predict_with_one_model():
    """Another thread changes the weights: no call fails, and no kept panels are stale later."""
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


@pytest.mark.usefixtures("at_once")
def test_tape_free_prediction_notices_changes_of_the_model():
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


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_no_panels_of_weights_that_are_not_finite(bad):
    """0 * inf is NaN, so zeros must not be skipped."""
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 2)).eval()
    model[3].weight.data[0, 0] = bad
    model[0].bias.data[0] = -100  # unit 0 is 0 after ReLU
    assert (
        np.isnan(fd.mc_predict(model, floats(3, 8), 20, output="raw").mean[:, 0]).all()
        and model[3].weight._panels is None
    )
