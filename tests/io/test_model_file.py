"""Models in files: layers, shared layers, classes of the user, PyTorch's weights."""

import inspect
import json
import subprocess
import sys

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import io, models, nn
from fastdrop.io import architecture
from fastdrop.io.safetensors import read_file, save_file
from fastdrop.io.weight_sizes import least_numbers
from helpers.layer_arguments import ARGUMENTS


@pytest.mark.parametrize("name", architecture.LAYERS)
def test_every_layer_is_loaded_with_its_arguments(tmp_path, name):
    kind, arguments = architecture.LAYERS[name], ARGUMENTS[name]
    named = {
        key
        for key, p in inspect.signature(kind).parameters.items()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        and kind.argument_paths.get(key, key) is not None
    }
    assert arguments.keys() == named
    layer = kind(
        **{
            key: architecture.build(value) if isinstance(value, dict) else value
            for key, value in arguments.items()
        }
    )
    fd.save(layer, tmp_path / "a")
    again = fd.load(tmp_path / "a")
    assert type(again) is kind and repr(again) == repr(layer)
    spec = architecture.architecture(layer)
    assert spec == architecture.architecture(again) == {"class": name, "arguments": arguments}
    assert json.loads(json.dumps(spec)) == spec


def test_a_model_is_loaded_as_it_was(tmp_path):
    fd.manual_seed(1)
    shared = nn.Linear(8, 8)
    model = nn.Sequential(
        nn.Linear(5, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.3),
        shared,
        nn.Sequential(shared, nn.Linear(8, 2, bias=False)),
    )
    x = np.random.default_rng(0).random((7, 5), np.float32)
    model(x)  # moves the running statistics
    before = fd.random.get_state()
    fd.save(model, tmp_path / "a", info={"classes": ["a", "b"], "mean": 0.1})
    again = fd.load(tmp_path / "a")
    assert fd.random.get_state() == before  # loading draws nothing from the run
    assert again.training and again[4] is again[5][0]
    assert {k: v.tobytes() for k, v in again.state_dict().items()} == {
        k: v.tobytes() for k, v in model.state_dict().items()
    }
    assert io.read_info(tmp_path / "a") == {"classes": ["a", "b"], "mean": 0.1}
    both, info = io.load_with_info(tmp_path / "a")
    assert (
        info == io.read_info(tmp_path / "a")
        and both.state_dict().keys() == again.state_dict().keys()
    )
    model.eval()
    fd.save(model, tmp_path / "a")
    again = fd.load(tmp_path / "a")
    assert not again.training and not again[3].training
    np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())
    named = nn.Sequential({"first": nn.Linear(2, 2), "second": nn.ModuleList([nn.Tanh()])})
    fd.save(named, tmp_path / "a")
    assert repr(fd.load(tmp_path / "a")) == repr(named)


class UserModel(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, width), nn.ReLU())

    def forward(self, x):
        return self.body(x)


def test_a_class_of_the_user(tmp_path):
    model = UserModel(4).eval()
    fd.save(model, tmp_path / "a")
    with pytest.raises(
        ValueError, match=r"holds the weights of a UserModel.*model=UserModel\(\.\.\.\)"
    ):
        fd.load(tmp_path / "a")
    target = UserModel(4)
    assert fd.load(tmp_path / "a", model=target) is target and not target.training
    np.testing.assert_array_equal(target.body[0].weight.data, model.body[0].weight.data)
    before = UserModel(5).state_dict()
    wrong = UserModel(5)
    wrong.load_state_dict(before)
    with pytest.raises(ValueError, match=r"does not fit the model.*body\.0\.weight"):
        fd.load(tmp_path / "a", model=wrong)
    assert wrong.training and all((wrong.state_dict()[k] == before[k]).all() for k in before)
    fd.save(nn.Sequential(nn.Linear(3, 3), UserModel(4)), tmp_path / "a")
    with pytest.raises(ValueError, match="1 is a UserModel"):
        fd.load(tmp_path / "a")


class UserModelWithoutArguments(UserModel):
    def __init__(self):
        super().__init__(4)


def test_a_class_of_the_user_without_arguments_is_built(tmp_path):
    model = UserModelWithoutArguments()
    fd.save(model, tmp_path / "a")
    state = fd.random.get_state()
    loaded = fd.load(tmp_path / "a")
    assert type(loaded) is UserModelWithoutArguments and fd.random.get_state() == state
    np.testing.assert_array_equal(loaded.body[0].weight.data, model.body[0].weight.data)
    code = (
        f"import fastdrop as fd\ntry: fd.load({str(tmp_path / 'a')!r})\n"
        "except ValueError as error: print(error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert "model=UserModelWithoutArguments(...)" in said


def test_tied_parameters_are_not_rebuilt(tmp_path):
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    fd.save(model, tmp_path / "a")
    with pytest.raises(ValueError, match="share a parameter"):
        fd.load(tmp_path / "a")
    assert fd.load(tmp_path / "a", model=model) is model


def test_state_dicts(tmp_path):
    model = nn.Linear(3, 2)
    fd.save(model.state_dict(), tmp_path / "a")
    state = fd.load(tmp_path / "a")
    assert (
        state.keys() == {"weight", "bias"}
        and io.read_info(tmp_path / "a") is io.load_with_info(tmp_path / "a")[1] is None
    )
    other = nn.Linear(3, 2)
    fd.load(tmp_path / "a", model=other)
    np.testing.assert_array_equal(other.weight.data, model.weight.data)


def test_weights_go_to_pytorch_and_back(tmp_path):
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("safetensors.torch")
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 5), torch.nn.BatchNorm1d(5), torch.nn.ReLU(), torch.nn.Linear(5, 3)
    ).eval()
    ours = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)).eval()
    x = np.random.default_rng(0).random((4, 6), np.float32)
    package.save_file(theirs.state_dict(), tmp_path / "theirs")
    fd.load(tmp_path / "theirs", model=ours)
    np.testing.assert_allclose(
        ours(x).numpy(), theirs(torch.from_numpy(x)).detach().numpy(), rtol=1e-5, atol=1e-6
    )
    fd.save(ours, tmp_path / "ours")
    theirs.load_state_dict(package.load_file(tmp_path / "ours"))


@pytest.mark.parametrize(
    "arguments, error, words",
    [((3, "a"), TypeError, "model must be"), ((nn.Tanh(), 3), TypeError, "path|str")],
)
def test_save_refuses(tmp_path, monkeypatch, arguments, error, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        fd.save(*arguments)


def test_info_must_be_json(tmp_path):
    for info, error in (({"a": np.ones(2)}, TypeError), (float("nan"), ValueError)):
        with pytest.raises(error, match="info"):
            fd.save(nn.Tanh(), tmp_path / "a", info=info)
    with pytest.raises(ValueError, match="info"):
        fd.save({}, tmp_path / "a", info=1)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", architecture.LAYERS)
def test_the_least_numbers_of_a_layer_are_a_lower_bound(name):
    """The bound is checked before memory is allocated. It is positive for layers with weights."""
    layer = architecture.build({"class": name, "arguments": ARGUMENTS[name]})
    held = sum(array.size for array in layer.state_dict().values())
    least = least_numbers(architecture.architecture(layer))
    assert least <= held and (least > 0) == (held > 1)


def test_layers_without_weights_need_no_numbers(tmp_path):
    for layer in (
        nn.LayerNorm([50, 50], elementwise_affine=False),
        nn.BatchNorm1d(10**6, affine=False, track_running_stats=False),
    ):
        fd.save(layer, tmp_path / "a")
        assert type(fd.load(tmp_path / "a")) is type(layer)


def test_load_wants_a_module(tmp_path):
    with pytest.raises(TypeError, match="model must be a Module"):
        fd.load(tmp_path / "a", model={})


def test_a_failed_save_keeps_the_old_model(tmp_path, monkeypatch):
    import os

    path = tmp_path / "a"
    fd.save(nn.Linear(2, 2), path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        fd.save(nn.Linear(3, 3), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a"]


def test_the_description_is_metadata(tmp_path):
    model = models.mlp(4, (5,), 2)
    fd.save(model, tmp_path / "a", info=[1])
    tensors, metadata = read_file(tmp_path / "a")
    assert tensors.keys() == model.state_dict().keys() and metadata.keys() == {
        "format",
        "fastdrop.model",
    }


def nested(depth):
    model = nn.Linear(2, 2)
    for _ in range(depth):
        model = nn.Sequential(model)
    return model


def test_save_refuses_what_load_would_refuse(tmp_path):
    path = tmp_path / "a"
    fd.save(nested(100), path)
    before = path.read_bytes()
    assert len(list(fd.load(path).modules())) == 101
    with pytest.raises(ValueError, match=r"at most 100 modules.*state_dict"):
        fd.save(nested(101), path)
    chain = nested(60)  # shared modules nest as deeply as others
    with pytest.raises(ValueError, match="at most 100 modules"):
        fd.save(nn.Sequential(chain, nn.Sequential(*[nn.Sequential(chain)] * 2), over(chain)), path)
    many = nn.Identity()
    for _ in range(14):
        many = nn.Sequential(many, many)
    with pytest.raises(ValueError, match="share modules at most"):
        fd.save(many, path)
    assert path.read_bytes() == before
    fd.save(nested(101).state_dict(), path)


def over(chain):
    for _ in range(50):
        chain = nn.Sequential(chain)
    return chain


def test_tied_weights_of_other_programs(tmp_path):
    """They leave out one of two equal tensors and name it in the metadata."""

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)

    path = tmp_path / "a"
    weight = np.arange(15, dtype=np.float32).reshape(5, 3)
    save_file({"embedding.weight": weight}, path, {"head.weight": "embedding.weight"})
    model = fd.load(path, model=Tied())
    np.testing.assert_array_equal(model.head.weight.data, weight)
    np.testing.assert_array_equal(model.embedding.weight.data, weight)
    assert not np.shares_memory(model.head.weight.data, model.embedding.weight.data)
    model.head.weight = model.embedding.weight
    assert fd.load(path, model=model).head.weight is model.embedding.weight
    save_file({"embedding.weight": weight}, path, {"head.weight": "nothing"})
    with pytest.raises(ValueError, match="does not fit"):
        fd.load(path, model=Tied())


CELL = """
class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
    def forward(self, x):
        return fd.ACTIVATION(self.fc(x))
"""


def test_the_last_class_of_a_name_is_built(tmp_path):
    """As after running a notebook's cell twice."""
    namespace = {"nn": nn, "fd": fd, "__name__": "cells"}
    for act in ("relu", "tanh"):
        exec(CELL.replace("ACTIVATION", act), namespace)
        namespace[act] = namespace["Cell"]
    fd.save(namespace["Cell"](), tmp_path / "m.safetensors")
    assert type(fd.load(tmp_path / "m.safetensors")) is namespace["tanh"]
