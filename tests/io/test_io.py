"""Models in files: every layer of the table, shared layers, classes of one's own, PyTorch's weights, lies."""

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

# arguments that differ from the defaults, so that a forgotten one is noticed
ARGUMENTS = {
    "ReLU": {"inplace": True},
    "LeakyReLU": {"negative_slope": 0.3, "inplace": True},
    "Sigmoid": {},
    "Tanh": {},
    "SELU": {"inplace": True},
    "SiLU": {"inplace": True},
    "GELU": {"approximate": "none"},
    "Softmax": {"dim": 1},
    "LogSoftmax": {"dim": 1},
    "Linear": {"in_features": 3, "out_features": 4, "bias": False},
    "Dropout": {"p": 0.25, "inplace": True, "inverted": False, "share": [1, -1]},
    **{
        name: {"p": 0.25, "inplace": True}
        for name in (
            "AlphaDropout",
            "FeatureAlphaDropout",
            "GaussianDropout",
            "SpatialDropout1d",
            "SpatialDropout2d",
            "SpatialDropout3d",
        )
    },
    "GaussianNoise": {"sigma": 0.3},
    "TokenDropout": {"p": 0.3},
    "PatchDropout": {"p": 0.3, "prefix_tokens": 2},
    "DropPath": {"p": 0.3, "mode": "batch", "scale_by_keep": False},
    "Residual": {
        "branch": {
            "class": "Linear",
            "arguments": {"in_features": 3, "out_features": 3, "bias": True},
        },
        "p": 0.3,
        "mode": "batch",
        "scale_by_keep": False,
        "shortcut": {"class": "Identity", "arguments": {}},
    },
    **{
        f"DropBlock{d}d": {
            "p": 0.3,
            "block_size": 4,
            "inplace": True,
            "couple_channels": True,
            "normalize": "batch",
        }
        for d in (1, 2, 3)
    },
    "DropConnectLinear": {
        "in_features": 3,
        "out_features": 4,
        "bias": False,
        "p": 0.3,
        "per_sample": True,
        "mask_bias": True,
        "activation": "relu",
        "inference": "gaussian",
        "samples": 7,
    },
    "WeightDrop": {
        "module": {
            "class": "Linear",
            "arguments": {"in_features": 3, "out_features": 3, "bias": True},
        },
        "weights": ["weight", "bias"],
        "p": 0.3,
    },
    "TargetedLinear": {
        "in_features": 3,
        "out_features": 4,
        "bias": False,
        "targeted": 0.3,
        "p": 0.25,
        "kind": "unit",
    },
    "ConcreteDropout": {"p": 0.3, "temperature": 0.2, "channelwise": True},
    "VariationalLinear": {
        "in_features": 3,
        "out_features": 4,
        "bias": False,
        "alpha": "neuron",
        "prior": "kingma",
        "threshold": 2.5,
    },
    "Embedding": {
        "num_embeddings": 5,
        "embedding_dim": 3,
        "padding_idx": 2,
        "dropout": 0.3,
        "per_sample": True,
    },
    "SparseLinear": {"in_features": 3, "out_features": 4, "bias": False, "nonzeros": 5},
    "LayerNorm": {"normalized_shape": [3], "eps": 1e-3, "elementwise_affine": True, "bias": False},
    "BatchNorm1d": {
        "num_features": 3,
        "eps": 1e-3,
        "momentum": None,
        "affine": False,
        "track_running_stats": True,
    },
    "Flatten": {"start_dim": 0, "end_dim": 1},
    "Identity": {},
}


@pytest.mark.parametrize("name", architecture.LAYERS)
def test_every_layer_comes_back_with_its_arguments(tmp_path, name):
    kind, arguments = architecture.LAYERS[name], ARGUMENTS[name]
    named = {
        key
        for key, p in inspect.signature(kind).parameters.items()
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
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


def test_a_model_comes_back(tmp_path):
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


class Own(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, width), nn.ReLU())

    def forward(self, x):
        return self.body(x)


def test_classes_of_ones_own(tmp_path):
    model = Own(4).eval()
    fd.save(model, tmp_path / "a")
    with pytest.raises(ValueError, match=r"holds the weights of a Own.*model=Own\(\.\.\.\)"):
        fd.load(tmp_path / "a")
    target = Own(4)
    assert fd.load(tmp_path / "a", model=target) is target and not target.training
    np.testing.assert_array_equal(target.body[0].weight.data, model.body[0].weight.data)
    before = Own(5).state_dict()
    wrong = Own(5)
    wrong.load_state_dict(before)
    with pytest.raises(ValueError, match="does not fit the model.*body.0.weight"):
        fd.load(tmp_path / "a", model=wrong)
    assert wrong.training and all((wrong.state_dict()[k] == before[k]).all() for k in before)
    fd.save(nn.Sequential(nn.Linear(3, 3), Own(4)), tmp_path / "a")
    with pytest.raises(ValueError, match="1 is a Own"):
        fd.load(tmp_path / "a")


class Plain(Own):
    def __init__(self):
        super().__init__(4)


def test_a_class_that_is_defined_here_and_needs_no_arguments_is_found(tmp_path):
    model = Plain()
    fd.save(model, tmp_path / "a")
    state = fd.random.get_state()
    loaded = fd.load(tmp_path / "a")
    assert type(loaded) is Plain and fd.random.get_state() == state
    np.testing.assert_array_equal(loaded.body[0].weight.data, model.body[0].weight.data)
    code = f"import fastdrop as fd\ntry: fd.load({str(tmp_path / 'a')!r})\nexcept ValueError as error: print(error)"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert "model=Plain(...)" in said


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
    [
        ((3, "a"), TypeError, "model must be"),
        ((nn.Tanh(), 3), TypeError, "path|str"),
    ],
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


def about(**changes):
    return {
        "version": 1,
        "class": "Tanh",
        "training": True,
        "architecture": {"class": "Tanh", "arguments": {}},
        "why": None,
        "info": None,
    } | changes


@pytest.mark.parametrize(
    "text, words",
    [
        ("{", "bad description"),
        ("[]", "bad description"),
        ('{"version": 1}', "bad description"),
        (json.dumps(about(version=2)), "version 2"),
        (
            json.dumps(
                about(architecture={"class": "os.system", "arguments": {"command": "true"}})
            ),
            "no layer of fastdrop",
        ),
        (
            json.dumps(about(architecture={"class": "Module", "arguments": {}})),
            "no layer of fastdrop",
        ),
        (
            json.dumps(about(architecture={"class": ["Tanh"], "arguments": {}})),
            "no layer of fastdrop",
        ),
        (json.dumps(about(architecture={"class": "Tanh"})), "cannot be built"),
        (
            json.dumps(about(architecture={"class": "Tanh", "arguments": {"x": 1}})),
            "cannot be built",
        ),
        (json.dumps(about(architecture={"class": "Dropout", "arguments": {"p": 2}})), "p must be"),
        (json.dumps(about(architecture={"same_as": "0"})), "repeats"),
        (
            json.dumps(about(architecture={"class": "Sequential", "children": [3]})),
            "cannot be built|not described",
        ),
        (
            json.dumps(
                about(
                    architecture={
                        "class": "Linear",
                        "arguments": {"in_features": 2, "out_features": 2, "bias": True},
                    }
                )
            ),
            "does not fit",
        ),
        ('{"a":' * 5000 + "1" + "}" * 5000, "bad description"),
        (json.dumps(about(info=float("nan"))), "NaN"),
        (json.dumps(about(info=-float("inf"))), "Infinity"),
        (json.dumps(about())[:-1] + ', "class": "Tanh"}', "'class' occurs twice"),
        (json.dumps(about(version=0)), "version 0"),
        (json.dumps(about(version="1")), "bad description"),
        (
            json.dumps(
                about(
                    architecture={
                        "class": "Linear",
                        "arguments": {"in_features": 10**6, "out_features": 10**6, "bias": True},
                    }
                )
            ),
            "need 1000000000000 numbers, the file holds 0",
        ),
        (
            json.dumps(
                about(
                    architecture={
                        "class": "Embedding",
                        "arguments": {"num_embeddings": 2**40, "embedding_dim": 2**40},
                    }
                )
            ),
            "does not fit",
        ),
        (
            json.dumps(
                about(
                    architecture={
                        "class": "Residual",
                        "arguments": {
                            "branch": {
                                "class": "SparseLinear",
                                "arguments": {
                                    "in_features": 1,
                                    "out_features": 1,
                                    "bias": False,
                                    "nonzeros": 10**12,
                                },
                            }
                        },
                    }
                )
            ),
            "does not fit",
        ),
        (
            json.dumps(
                about(
                    architecture={
                        "class": "SparseLinear",
                        "arguments": {"in_features": 1, "out_features": 10**9},
                    }
                )
            ),
            "need 1000000000 numbers",
        ),
        (
            json.dumps(
                about(architecture={"class": "BatchNorm1d", "arguments": {"num_features": 2**31}})
            ),
            "need 2147483648 numbers",
        ),
        (
            json.dumps(
                about(
                    architecture={
                        "class": "LayerNorm",
                        "arguments": {"normalized_shape": [10**6, 10**6], "bias": False},
                    }
                )
            ),
            "need 1000000000000",
        ),
        (
            json.dumps(about(architecture={"class": "Dropout", "arguments": {"p": 10**400}})),
            "p must be a finite number",
        ),
        (
            json.dumps(
                about(
                    architecture={
                        "class": "Linear",
                        "arguments": {"in_features": 1.5, "out_features": "x", "bias": True},
                    }
                )
            ),
            "in_features|cannot be built",
        ),
        (
            json.dumps(about(architecture={"class": "Sequential", "children": {"0": 1}})),
            "not described|cannot be built",
        ),
    ],
)
def test_load_refuses(tmp_path, text, words):
    save_file({}, tmp_path / "liar", {"format": "fastdrop", "fastdrop.model": text})
    with pytest.raises(ValueError, match=words) as caught:
        fd.load(tmp_path / "liar")
    assert "liar" in str(caught.value)


def test_layers_without_weights_need_no_numbers(tmp_path):
    for layer in (
        nn.LayerNorm([50, 50], elementwise_affine=False),
        nn.BatchNorm1d(10**6, affine=False, track_running_stats=False),
    ):
        fd.save(layer, tmp_path / "a")
        assert type(fd.load(tmp_path / "a")) is type(layer)


def test_every_torn_or_flipped_model_is_refused_or_loads(tmp_path):
    """A torn file always; a flipped byte where it makes nonsense. Whatever comes back is a model that computes."""
    whole, path = tmp_path / "whole", tmp_path / "liar"
    model = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2)
    )
    fd.save(model, whole, info={"features": 3})
    content = whole.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="liar"):
            fd.load(path)
    loaded = 0
    for place in range(header):
        for flip in (1, 4, 16, 128) if place < 8 or place % 3 == 0 else (2,):
            path.write_bytes(
                content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :]
            )
            try:
                again = fd.load(path)
            except ValueError as error:
                assert "liar" in str(error)
            else:
                loaded += 1
                if isinstance(again, nn.Module):
                    assert isinstance(again, nn.Sequential) and len(again.state_dict()) == len(
                        model.state_dict()
                    )
    assert 0 < loaded < header / 2


def test_deeply_nested_architecture_is_refused(tmp_path):
    spec = {"class": "Tanh", "arguments": {}}
    for _ in range(150):
        spec = {"class": "Sequential", "children": [["0", spec]]}
    save_file(
        {},
        tmp_path / "liar",
        {"format": "fastdrop", "fastdrop.model": json.dumps(about(architecture=spec))},
    )
    with pytest.raises(ValueError, match="liar"):
        fd.load(tmp_path / "liar")


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


# ---- the builder ----


def test_mlp():
    model = models.mlp(6, (5, 4), 3, dropout=(0.2, 0.5, 0.25), activation="tanh")
    kinds = [type(layer).__name__ for layer in model]
    assert kinds == ["Dropout", "Linear", "Tanh", "Dropout", "Linear", "Tanh", "Dropout", "Linear"]
    assert [layer.p for layer in model if isinstance(layer, nn.Dropout)] == [0.2, 0.5, 0.25]
    assert [
        layer.p for layer in models.mlp(6, [5, 4], 3, dropout=0.5) if isinstance(layer, nn.Dropout)
    ] == [0.5, 0.5]
    assert [type(layer).__name__ for layer in models.mlp(6, (), 3, dropout=0.5)] == ["Linear"]
    assert fd.predict(models.mlp(6, np.array([5]), 3), np.ones((2, 6))).shape == (2, 3)


@pytest.mark.parametrize(
    "keywords, error, words",
    [
        ({"in_features": 0}, ValueError, "in_features"),
        ({"hidden": 5}, TypeError, "hidden"),
        ({"hidden": "55"}, TypeError, "hidden"),
        ({"hidden": (5, 0)}, ValueError, "hidden"),
        ({"out_features": 1.0}, TypeError, "out_features"),
        ({"dropout": (0.1, 0.2)}, ValueError, "dropout must be one rate, or 3"),
        ({"dropout": 1.5}, ValueError, "dropout"),
        ({"dropout": "0.5"}, TypeError, "dropout"),
        ({"activation": "swish"}, ValueError, "activation"),
    ],
)
def test_mlp_refuses(keywords, error, words):
    with pytest.raises(error, match=words):
        models.mlp(**({"in_features": 4, "hidden": (5, 5), "out_features": 2} | keywords))


def test_metadata_leaves_the_state_dict_pure(tmp_path):
    model = models.mlp(4, (5,), 2)
    fd.save(model, tmp_path / "a", info=[1])
    tensors, metadata = read_file(tmp_path / "a")
    assert tensors.keys() == model.state_dict().keys() and metadata.keys() == {
        "format",
        "fastdrop.model",
    }


def test_of_two_classes_of_a_name_the_last_is_built(tmp_path):
    """A notebook's cell that ran twice."""
    namespace = {"nn": nn, "fd": fd, "__name__": "cells"}
    for act in ("relu", "tanh"):
        exec(
            f"class Cell(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(3, 2)\n    def forward(self, x):\n        return fd.{act}(self.fc(x))",
            namespace,
        )
        namespace[act] = namespace["Cell"]
    fd.save(namespace["Cell"](), tmp_path / "m.safetensors")
    assert type(fd.load(tmp_path / "m.safetensors")) is namespace["tanh"]
