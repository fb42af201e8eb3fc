"""Module: structure, state, counting of draws; the layers."""

import copy
import pickle
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import kernels as K
from fastdrop import nn
from helpers import twin
from helpers.gradcheck import check

X = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.drop1 = nn.Linear(8, 16), nn.Dropout(0.5)
        self.block = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Dropout(0.3))
        self.norm = nn.BatchNorm1d(16)
        self.fc2 = nn.Linear(16, 3, bias=False)

    def forward(self, x):
        return self.fc2(self.norm(self.block(self.drop1(self.fc1(x).relu()))))


def test_names_and_state():
    model = Net()
    names = [
        "fc1.weight",
        "fc1.bias",
        "block.0.weight",
        "block.0.bias",
        "norm.weight",
        "norm.bias",
        "fc2.weight",
    ]
    assert [name for name, _ in model.named_parameters()] == names
    assert list(model.state_dict()) == names[:6] + [
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
        "fc2.weight",
    ]
    assert [name for name, _ in model.named_modules()] == [
        "",
        "fc1",
        "drop1",
        "block",
        "block.0",
        "block.1",
        "block.2",
        "norm",
        "fc2",
    ]
    assert [name for name, _ in model.named_children()] == ["fc1", "drop1", "block", "norm", "fc2"]
    model.again = model.fc1
    assert len(list(model.parameters())) == 7
    assert "again.weight" in model.state_dict()


def test_state_goes_in_and_out():
    one, two = Net(), Net()
    one(X)
    assert two.load_state_dict(copy.deepcopy(one.state_dict())) == ([], [])
    one.eval(), two.eval()
    assert np.array_equal(one(X).data, two(X).data)
    assert two.norm.num_batches_tracked == 1
    before = {key: np.copy(value) for key, value in two.state_dict().items()}
    good = {key: np.zeros_like(value) for key, value in before.items()}
    wrong_shape, wrong_kind, missing = dict(good), dict(good), dict(good)
    wrong_shape["fc2.weight"] = np.zeros((3, 15))
    wrong_kind["fc2.weight"] = np.full((3, 16), "x")
    del missing["fc1.bias"]
    masked = good | {"fc2.weight": np.ma.array(good["fc2.weight"])}
    for state, error, word in (
        (wrong_shape, ValueError, "fc2.weight"),
        (wrong_kind, TypeError, "fc2.weight"),
        (masked, TypeError, "fc2.weight.*mask"),
        (missing, KeyError, "fc1.bias"),
        ({**good, "extra": np.ones(1)}, KeyError, "extra"),
        ([], TypeError, "state_dict"),
    ):
        with pytest.raises(error, match=word):
            two.load_state_dict(state)
        assert all(np.array_equal(value, before[key]) for key, value in two.state_dict().items())
    result = two.load_state_dict({**missing, "extra": np.ones(1)}, strict=False)
    assert result.missing_keys == ["fc1.bias"] and result.unexpected_keys == ["extra"]


def test_state_may_come_from_the_arrays_it_goes_to():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    names = ["0.weight", "1.weight", "2.weight"]
    state = dict(model.state_dict())
    before = {key: value.copy() for key, value in state.items()}
    turned = [state["1.weight"], state["2.weight"][::-1].T, state["0.weight"]]
    expected = [value.copy() for value in turned]
    model.load_state_dict(state | dict(zip(names, turned, strict=True)))
    assert all(
        np.array_equal(model.state_dict()[name], value)
        for name, value in zip(names, expected, strict=True)
    )
    assert all(
        np.array_equal(value, before[key])
        for key, value in model.state_dict().items()
        if "bias" in key
    )
    model.load_state_dict(state)


@pytest.mark.parametrize("wrong", [2.5, np.nan, np.inf, 1e30])
def test_integer_buffers_take_integers(wrong):
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))
    state = {key: np.ones_like(value) for key, value in model.state_dict().items()}
    before = model[0].weight.data.copy()
    with pytest.raises(ValueError, match="1.num_batches_tracked.*int64"):
        model.load_state_dict(state | {"1.num_batches_tracked": np.array(wrong)})
    assert np.array_equal(model[0].weight.data, before) and model[1].num_batches_tracked == 0
    model.load_state_dict(state | {"1.num_batches_tracked": np.array(7.0)})
    assert model[1].num_batches_tracked == 7


def test_modes_apply_repr():
    model = Net()
    assert model.eval() is model and not any(m.training for m in model.modules())
    assert model.train() is model and all(m.training for m in model.modules())
    with pytest.raises(TypeError, match="mode"):
        model.train("yes")
    seen = []
    model.apply(lambda m: seen.append(type(m).__name__))
    assert seen[-1] == "Net" and len(seen) == 9
    assert repr(nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.25))) == (
        "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n  (1): Dropout(p=0.25, inplace=False)\n)"
    )


def test_structure_errors():
    class Forgetful(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(1, 1)

    class Unwritten(nn.Module):
        pass

    with pytest.raises(AttributeError, match="super"):
        Forgetful()
    with pytest.raises(TypeError, match="forward"):
        Unwritten()(X)
    model = Net()
    for call, error, word in (
        (lambda: model.add_module("a.b", nn.ReLU()), ValueError, "name"),
        (lambda: model.add_module("x", 3), TypeError, "module"),
        (lambda: model.register_parameter("w", X), TypeError, "param"),
        (lambda: setattr(model, "fc1", 3), TypeError, "fc1"),
        (lambda: model.add_module("forward", nn.ReLU()), KeyError, "forward"),
        (lambda: model.nothing, AttributeError, "nothing"),
    ):
        with pytest.raises(error, match=word):
            call()
    model.fc1 = None
    assert "fc1.weight" not in model.state_dict()
    del model.block
    assert "block.0.weight" not in model.state_dict()


def test_containers():
    layers = [nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.1)]
    s = nn.Sequential(*layers)
    assert (
        len(s) == 3
        and s[-1] is layers[2]
        and list(s) == layers
        and isinstance(s[:2], nn.Sequential)
        and len(s[:2]) == 2
    )
    assert s.append(nn.Identity()) is s and len(s) == 4
    s[1] = nn.Tanh()
    assert isinstance(s[1], nn.Tanh)
    del s[0]
    assert len(s) == 3 and list(s._modules) == ["0", "1", "2"]
    with pytest.raises(ValueError, match="index"):
        s[3]
    with pytest.raises(TypeError, match="module"):
        nn.Sequential(3)
    named = nn.Sequential(OrderedDict([("a", nn.Linear(8, 2)), ("b", nn.ReLU())]))
    assert list(named.state_dict()) == ["a.weight", "a.bias"] and named.a is named[0]
    many = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
    assert len(many) == 3 and len(list(nn.Sequential(many).parameters())) == 6
    with pytest.raises(TypeError, match="forward"):
        many(X)


def test_copies():
    model = Net()
    first = model(X).data
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.draw == model.draw == 1
        assert np.array_equal(other(X).data == 0, model(X).data == 0)
        model.draw = 1
        other.fc1.weight.data[...] = 0
    assert model.fc1.weight.data.any() and first.shape == (6, 3)


# ---- who counts ----


class Masks(nn.Module):
    """Returns the masks that its dropout layers draw."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, n=5):
        return [layer(np.ones((n, 100))).data != 0 for layer in self.layers]


def test_sites_are_numbered_in_registration_order():
    nn.Sequential(nn.Dropout(0.1), nn.Dropout(0.1))(np.ones((2, 2)))
    shared = nn.Dropout(0.5)
    model = Masks(
        nn.Dropout(0.5), nn.Sequential(nn.Linear(100, 100), nn.Dropout(0.5))[1], shared, shared
    )
    for draw in range(3):
        masks = model()
        for mask, (site, call) in zip(masks, [(0, 0), (1, 0), (2, 0), (2, 1)], strict=True):
            assert np.array_equal(mask, K.keep_mask(5, 100, 0.5, site=site, call=call, draw=draw))
    model.layers.append(nn.Dropout(0.5))
    assert np.array_equal(model()[-1], K.keep_mask(5, 100, 0.5, site=3, draw=3))


def test_functional_dropout_inside_a_pass():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Dropout(0.5), nn.Dropout(0.5)

        def forward(self, x):
            return [fd.functional.dropout(x, 0.5).data != 0 for _ in range(2)] + [
                self.b(x).data != 0
            ]

    masks = Model()(np.ones((5, 100)))
    assert np.array_equal(masks[0], K.keep_mask(5, 100, 0.5, site=2))
    assert np.array_equal(masks[1], K.keep_mask(5, 100, 0.5, site=2, call=1))
    assert np.array_equal(masks[2], K.keep_mask(5, 100, 0.5, site=1))


def test_layers_that_the_called_module_does_not_know():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Dropout(0.5)]

        def forward(self, x):
            return self.layers[0](x)

    model = Model()
    with pytest.raises(RuntimeError, match="Dropout must be part of the module.*ModuleList"):
        model(np.ones((5, 100)))
    assert model.draw == 0
    model.layers = nn.ModuleList(model.__dict__.pop("layers"))
    assert np.array_equal(model(np.ones((5, 100))).data != 0, K.keep_mask(5, 100, 0.5))


def test_draws():
    model = Masks(nn.Dropout(0.5))
    first = model()[0]
    assert model.draw == 1
    model.eval()
    model()
    assert model.draw == 1
    model.train()
    model.draw = 0
    assert np.array_equal(model()[0], first)
    for wrong, error in (
        (-1, ValueError),
        (2**32 + 1, ValueError),
        (1.0, TypeError),
        (True, TypeError),
    ):
        with pytest.raises(error, match="draw"):
            model.draw = wrong
    assert model.draw == 1


def test_draws_are_used_up_once(tmp_path):
    model = nn.Sequential(nn.BatchNorm1d(100), nn.Dropout(0.5))
    ones = np.ones((5, 100), np.float32)
    model.draw = 2**32 - 1
    model(ones)
    with pytest.raises(RuntimeError, match="draws"):
        model(ones)
    assert model.draw == 2**32 and model[0].num_batches_tracked == 1
    with fd.mask_state(draw=7):
        model(ones)
    assert np.array_equal(model.eval()(ones).shape, ones.shape)
    before = fd.random.get_state()
    fd.random.set_state({**before, "free_draw": 2**32 - 1})
    assert np.array_equal(
        fd.functional.dropout(ones, 0.5).data,
        K.dropout(ones, 0.5, draw=2**32 - 1, seed=before["seed"]),
    )
    with pytest.raises(RuntimeError, match="draws"):
        fd.functional.dropout(ones, 0.5)
    fd.save_checkpoint(tmp_path / "last", model)
    model.draw = 0
    fd.load_checkpoint(tmp_path / "last", model)
    assert model.draw == 2**32 and fd.random.get_state()["free_draw"] == 2**32
    fd.manual_seed(1)
    fd.functional.dropout(ones, 0.5)
    fd.random.set_state(before)


def test_mask_state():
    model = Masks(nn.Dropout(0.5))
    with fd.mask_state(draw=7):
        whole = model(10)[0]
        with fd.mask_state(row0=4):
            part = model(3)[0]
        with fd.mask_state(rows=[9, 2]):
            picked = model(2)[0]
    assert model.draw == 0
    assert np.array_equal(whole, K.keep_mask(10, 100, 0.5, draw=7))
    assert np.array_equal(part, whole[4:7]) and np.array_equal(picked, whole[[9, 2]])
    with fd.mask_state(seed=5):
        assert np.array_equal(model()[0], K.keep_mask(5, 100, 0.5, seed=5))
    with pytest.raises(ValueError, match="row0"), fd.mask_state(row0=-1):
        pass


def test_the_same_masks_in_another_process():
    code = (
        "import fastdrop as fd, numpy as np, hashlib\n"
        "from fastdrop import nn\n"
        "{}fd.manual_seed(12)\n"
        "m = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 64), nn.Dropout(0.2))\n"
        "print(hashlib.sha256(b''.join(m(np.ones((4, 8))).data.tobytes() for _ in range(3))).hexdigest())"
    )
    before = "nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 3))(np.ones((2, 3)))\n"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code.format(extra)], capture_output=True, text=True, check=True
        ).stdout
        for extra in ("", before)
    }
    assert len(outputs) == 1 and len(outputs.pop()) == 65


# ---- layers ----


@pytest.mark.parametrize("p", [float("nan"), -0.1, 1.1, float("inf")])
def test_dropout_rates_out_of_range(p):
    with pytest.raises(ValueError, match="p must"):
        nn.Dropout(p)


@pytest.mark.parametrize("p", [True, "0.5", None, 0.5j, [0.5]])
def test_dropout_rates_of_the_wrong_type(p):
    with pytest.raises(TypeError, match="p must"):
        nn.Dropout(p)


def test_dropout_layer():
    x = np.random.default_rng(1).standard_normal((50, 4, 30)).astype(np.float32)
    for p in (np.float32(0.25), 0.25, np.float64(0.25)):
        fd.manual_seed(4)
        y = nn.Dropout(p)(x)
        assert np.array_equal(y.data, twin.dropout(x, 0.25, seed=4))
    assert abs((y.data != 0).mean() - 0.75) < 6 * (0.25 * 0.75 / x.size) ** 0.5
    for given in (x[:0], x.astype(np.float64), np.asfortranarray(x)):
        assert nn.Dropout(0.5)(given).shape == given.shape
    for wrong in (x > 0, x + 1j):
        with pytest.raises(TypeError, match="input"):
            nn.Dropout(0.5)(wrong)


def test_linear_layer():
    layer = nn.Linear(8, 5)
    w, b = layer.weight.data, layer.bias.data
    assert np.abs(w).max() <= 8**-0.5 and np.abs(b).max() <= 8**-0.5 and w.std() > 0.1
    for shape in ((8,), (3, 8), (2, 3, 8), (0, 8)):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        assert np.abs(layer(x).data - (x.astype(np.float64) @ w.T + b)).max(initial=0) < 1e-5
    fd.manual_seed(1)
    again = [nn.Linear(8, 5).weight.data for _ in range(2)]
    fd.manual_seed(1)
    assert np.array_equal(again[0], nn.Linear(8, 5).weight.data) and not np.array_equal(*again)
    assert nn.Linear(8, 5, bias=False).bias is None and nn.Linear(0, 5)(np.empty((2, 0))).shape == (
        2,
        5,
    )
    for wrong in ((-1, 2), (2.0, 2), ("2", 2)):
        with pytest.raises((TypeError, ValueError), match="in_features"):
            nn.Linear(*wrong)


def test_norm_layers():
    x = np.random.default_rng(0).standard_normal((7, 5))
    layer = nn.BatchNorm1d(5, momentum=0.2)
    layer(x), layer(x)
    assert np.allclose(layer.running_mean.data, x.mean(0) * (1 - 0.8**2), atol=1e-6)
    assert np.allclose(layer.running_var.data, 0.8**2 + (1 - 0.8**2) * x.var(0, ddof=1), atol=1e-6)
    assert layer.num_batches_tracked == 2
    layer.eval()
    assert np.allclose(
        layer(x).data,
        (x - layer.running_mean.data) / np.sqrt(layer.running_var.data + 1e-5),
        atol=1e-5,
    )
    average = nn.BatchNorm1d(5, momentum=None)
    average(x), average(x + 2)
    assert np.allclose(average.running_mean.data, x.mean(0) + 1, atol=1e-6)
    assert not list(nn.BatchNorm1d(5, affine=False, track_running_stats=False).state_dict())
    with pytest.raises(ValueError, match="input"):
        layer(x[:, :4])
    norm = nn.LayerNorm(5)
    check(
        lambda t: norm(t),
        lambda t: (t - t.mean(-1, keepdims=True)) / np.sqrt(t.var(-1, keepdims=True) + 1e-5),
        x,
    )
    assert nn.Flatten()(np.ones((2, 3, 4))).shape == (2, 12) and nn.Identity()(x).shape == (7, 5)


def test_losses_as_layers():
    labels = np.array([0, 2, 1, 1, 0, 2])
    scores = nn.Linear(8, 3)(X)
    assert (
        nn.CrossEntropyLoss(label_smoothing=0.1)(scores, labels).item()
        == fd.functional.cross_entropy(scores, labels, label_smoothing=0.1).item()
    )
    assert nn.NLLLoss(weight=[1, 2, 3], reduction="sum")(
        scores.log_softmax(1), labels
    ).item() == pytest.approx(
        fd.functional.nll_loss(scores.log_softmax(1), labels, [1, 2, 3], "sum").item()
    )
    for layer, args in (
        (nn.MSELoss(), (X, X + 1)),
        (nn.L1Loss(), (X, X + 1)),
        (nn.HuberLoss(delta=0.5), (X, X + 1)),
        (nn.SmoothL1Loss(beta=2.0), (X, X + 1)),
        (nn.BCEWithLogitsLoss(), (X, np.abs(X) % 1)),
        (nn.GaussianNLLLoss(), (X, X + 1, np.ones_like(X))),
    ):
        assert layer(*args).shape == ()
    with pytest.raises(ValueError, match="reduction"):
        nn.MSELoss("average")


def test_a_model_is_freed_without_the_collector():
    import gc
    import weakref

    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 2)).eval()
    fd.predict(model, np.ones((2, 4)))
    fd.mc_predict(model, np.ones((2, 4)), 3)
    list(model.modules())
    gone = weakref.ref(model)
    gc.disable()
    try:
        del model
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "act",
    [
        None,
        nn.ReLU(),
        nn.LeakyReLU(0.2),
        nn.LeakyReLU(-0.5),
        nn.Sigmoid(),
        nn.Tanh(),
        nn.SELU(),
        nn.SiLU(),
        nn.GELU(),
        nn.Softmax(-1),
        nn.BatchNorm1d(6),
    ],
)
def test_the_small_path_gives_the_bits_of_the_long_one(act):
    layers = [
        nn.Dropout(0.2),
        nn.Linear(4, 6),
        *([act] if act else []),
        nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 5, bias=False)),
        nn.ReLU(),
        nn.ReLU(),
        nn.AlphaDropout(0.1),
        nn.Linear(5, 3),
    ]
    model = nn.Sequential(*layers).eval()
    x = np.random.default_rng(0).standard_normal((7, 4)).astype(np.float32)

    def long():
        y = fd.tensor(x)
        for layer in layers:
            y = layer(y)
        return y.data

    expected = long()
    for rows in (slice(0, 1), slice(None)):
        with fd.no_grad():
            assert np.array_equal(model(x[rows]).data, expected[rows]) and np.array_equal(
                fd.predict(model, x[rows]), expected[rows]
            )
    model[1].weight.data[...] *= 2
    with fd.no_grad():
        assert np.array_equal(model(x).data, long())
    model[1] = nn.Linear(4, 6).eval()
    layers[1] = model[1]
    still = long()
    assert np.array_equal(fd.predict(model, x), still)
    model[0].train()
    with fd.no_grad():
        assert (model(x).data != still).any()
    with fd.no_grad(), pytest.raises(ValueError, match="input"):
        model.eval()(x[:, :3])


def test_the_small_path_is_not_for_other_forwards():
    class Twice(nn.Sequential):
        def forward(self, input):
            return super().forward(input) * 2

    model, x = Twice(nn.Linear(4, 3)).eval(), np.ones((1, 4))
    with fd.no_grad():
        assert np.array_equal(model(x).data, 2 * nn.Sequential(*model).eval()(x).data)


def test_assigned_state_is_taken_over():
    model, w, b = nn.Linear(3, 2), np.ones((2, 3), np.float32), np.ones(2)
    model.load_state_dict({"weight": w, "bias": b}, assign=True)
    assert (
        model.weight.data is w
        and np.array_equal(model.bias.data, b)
        and model.bias.data.dtype == np.float32
    )
    other = np.zeros((2, 3), np.float32)
    other.flags.writeable = False
    model.load_state_dict({"weight": other, "bias": b}, assign=True)
    assert model.weight.data is not other and not model.weight.data.any()
    with pytest.raises(ValueError, match="shape"):
        model.load_state_dict({"weight": w, "bias": w}, assign=True)
    assert not model.weight.data.any()


def test_assigned_arrays_may_be_the_models_own():
    """Also where the array that a parameter takes over is one that others are copied into."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Parameter(np.zeros(3)), nn.Parameter(np.ones(3))
            self.register_buffer("c", np.full(3, 7.0))

    for state, expected in (
        ({"a": "c", "b": "a", "c": "b"}, (7, 0, 1)),
        ({"a": "b", "b": "a", "c": "a"}, (1, 0, 0)),
        ({"a": "c", "b": "c", "c": "a"}, (7, 7, 0)),
    ):
        model = Model()
        own = {name: getattr(model, name).data for name in "abc"}
        model.load_state_dict({name: own[other] for name, other in state.items()}, assign=True)
        assert tuple(getattr(model, name).data[0] for name in "abc") == expected
        model.c.data[...] = 5
        assert (model.a.data[0], model.b.data[0]) == expected[:2]
