"""Module: structure, state, modes, copies."""

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn

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


def test_names_of_parameters_modules_and_state():
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


def test_load_state_dict_copies_or_changes_nothing():
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


def test_load_state_dict_from_the_modules_own_arrays():
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
def test_integer_buffers_refuse_other_numbers(wrong):
    model = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4))
    state = {key: np.ones_like(value) for key, value in model.state_dict().items()}
    before = model[0].weight.data.copy()
    with pytest.raises(ValueError, match=r"1\.num_batches_tracked.*int64"):
        model.load_state_dict(state | {"1.num_batches_tracked": np.array(wrong)})
    assert np.array_equal(model[0].weight.data, before) and model[1].num_batches_tracked == 0
    model.load_state_dict(state | {"1.num_batches_tracked": np.array(7.0)})
    assert model[1].num_batches_tracked == 7


def test_train_eval_apply_and_repr():
    model = Net()
    assert model.eval() is model and not any(m.training for m in model.modules())
    assert model.train() is model and all(m.training for m in model.modules())
    with pytest.raises(TypeError, match="mode"):
        model.train("yes")
    seen = []
    model.apply(lambda m: seen.append(type(m).__name__))
    assert seen[-1] == "Net" and len(seen) == 9
    assert repr(nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.25))) == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): Dropout(p=0.25, inplace=False)\n"
        ")"
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


def test_deepcopy_and_pickle_keep_weights_and_draw():
    model = Net()
    first = model(X).data
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.draw == model.draw == 1
        assert np.array_equal(other(X).data == 0, model(X).data == 0)
        model.draw = 1
        other.fc1.weight.data[...] = 0
    assert model.fc1.weight.data.any() and first.shape == (6, 3)


def test_model_is_freed_without_garbage_collection():
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


def test_load_state_dict_with_assign_keeps_the_given_arrays():
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


def test_load_state_dict_with_assign_from_the_modules_own_arrays():
    """Also where an array becomes the memory of one parameter and is the target of another."""

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


@pytest.mark.parametrize(
    "call",
    [
        lambda wrong: fd.predict(wrong, X),
        lambda wrong: fd.mc_predict(wrong, X, 2),
        lambda wrong: fd.evaluate(wrong, (X, X)),
        lambda wrong: fd.diagnose(wrong),
        lambda wrong: fd.recalibrate_batchnorm(wrong, [X]),
        lambda wrong: nn.WeightDrop(wrong),
    ],
)
@pytest.mark.parametrize("wrong", [3, None, nn.Linear])
def test_what_is_not_a_module_is_refused(call, wrong):
    with pytest.raises(TypeError, match="must be a Module, got"):
        call(wrong)
