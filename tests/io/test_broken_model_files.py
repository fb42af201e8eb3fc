"""Model files that are truncated, corrupted, or describe something that is no model."""

import json

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.io.safetensors import save_file


def layer_of(name, **arguments):
    return {"class": name, "arguments": arguments}


def about(**changes):
    """The description of a model, with changes."""
    return {
        "version": 1,
        "class": "Tanh",
        "training": True,
        "architecture": layer_of("Tanh"),
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
            json.dumps(about(architecture=layer_of("os.system", command="true"))),
            "no layer of fastdrop",
        ),
        (json.dumps(about(architecture=layer_of("Module"))), "no layer of fastdrop"),
        (
            json.dumps(about(architecture={"class": ["Tanh"], "arguments": {}})),
            "no layer of fastdrop",
        ),
        (json.dumps(about(architecture={"class": "Tanh"})), "cannot be built"),
        (json.dumps(about(architecture=layer_of("Tanh", x=1))), "cannot be built"),
        (json.dumps(about(architecture=layer_of("Dropout", p=2))), "p must be"),
        (json.dumps(about(architecture={"same_as": "0"})), "repeats"),
        (
            json.dumps(about(architecture={"class": "Sequential", "children": [3]})),
            "cannot be built|not described",
        ),
        (
            json.dumps(
                about(architecture=layer_of("Linear", in_features=2, out_features=2, bias=True))
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
                    architecture=layer_of(
                        "Linear", in_features=10**6, out_features=10**6, bias=True
                    )
                )
            ),
            "need 1000001000000 numbers, the file holds 0",
        ),
        (
            json.dumps(
                about(architecture=layer_of("Embedding", num_embeddings=2**40, embedding_dim=2**40))
            ),
            "does not fit",
        ),
        (
            json.dumps(
                about(
                    architecture=layer_of(
                        "Residual",
                        branch=layer_of(
                            "SparseLinear",
                            in_features=1,
                            out_features=1,
                            bias=False,
                            nonzeros=10**12,
                        ),
                    )
                )
            ),
            "does not fit",
        ),
        (
            json.dumps(
                about(architecture=layer_of("SparseLinear", in_features=1, out_features=10**9))
            ),
            "need 2000000000 numbers",
        ),
        (
            json.dumps(about(architecture=layer_of("BatchNorm1d", num_features=2**31))),
            "need 8589934592 numbers",
        ),
        (
            json.dumps(
                about(
                    architecture=layer_of("LayerNorm", normalized_shape=[10**6, 10**6], bias=False)
                )
            ),
            "need 1000000000000",
        ),
        (
            json.dumps(about(architecture=layer_of("Dropout", p=10**400))),
            "p must be a finite number",
        ),
        (
            json.dumps(
                about(architecture=layer_of("Linear", in_features=1.5, out_features="x", bias=True))
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
    save_file({}, tmp_path / "broken", {"format": "fastdrop", "fastdrop.model": text})
    with pytest.raises(ValueError, match=words) as caught:
        fd.load(tmp_path / "broken")
    assert "broken" in str(caught.value)


def test_truncated_and_corrupted_models(tmp_path):
    """A truncated file is refused. A flipped byte is refused or harmless."""
    whole, path = tmp_path / "whole", tmp_path / "broken"
    model = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2)
    )
    fd.save(model, whole, info={"features": 3})
    content = whole.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="broken"):
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
                assert "broken" in str(error)
            else:
                loaded += 1
                if isinstance(again, nn.Module):
                    assert isinstance(again, nn.Sequential) and len(again.state_dict()) == len(
                        model.state_dict()
                    )
    assert 0 < loaded < header / 2


def shared_pairs(depth, path=""):
    """A tree of 2 ** depth names that few bytes describe."""
    if not depth:
        return layer_of("Identity")
    first = f"{path}.0".lstrip(".")
    return {
        "class": "Sequential",
        "children": [["0", shared_pairs(depth - 1, first)], ["1", {"same_as": first}]],
    }


def chains(count, length):
    """Chains that each end in the chain before: nested count * length modules deep."""
    children = []
    for i in range(count):
        spec = {"same_as": f"{i - 1}"} if i else layer_of("Identity")
        for _ in range(length):
            spec = {"class": "Sequential", "children": [["0", spec]]}
        children.append([f"{i}", spec])
    return {"class": "Sequential", "children": children}


HUGE = {
    "names": (shared_pairs(40), "share modules at most"),
    "names in a residual block": (
        {
            "class": "Sequential",
            "children": [
                ["0", shared_pairs(12, "0")],
                ["1", layer_of("Residual", branch={"same_as": "0"}, shortcut={"same_as": "0"})],
                ["2", layer_of("Residual", branch={"same_as": "1"}, shortcut={"same_as": "1"})],
            ],
        },
        "share modules at most",
    ),
    "chains": (chains(50, 90), "at most 100 modules"),
    "a bias alone": (layer_of("Linear", in_features=0, out_features=2**32 - 1), "need 4294967295"),
    "rows of a sparse matrix": (
        layer_of("SparseLinear", in_features=0, out_features=2**31),
        "need 4294967296",
    ),
    "a bias of variational weights": (
        layer_of("VariationalLinear", in_features=0, out_features=2**31, alpha="neuron"),
        "need 4294967296",
    ),
    "pairs in place of arguments": (
        {"class": "Linear", "arguments": [["in_features", 10**6], ["out_features", 10**6]]},
        "names and values",
    ),
    "a child's name twice": (
        {"class": "Sequential", "children": [["0", layer_of("Tanh")], ["0", layer_of("Tanh")]]},
        "different names",
    ),
    "a child's name that is none": (
        {"class": "Sequential", "children": [[0, layer_of("Tanh")]]},
        "different names",
    ),
    "repeats a list": ({"same_as": [1]}, "does not come before"),
}


@pytest.mark.parametrize("case", HUGE)
def test_few_bytes_take_little_time_and_memory(tmp_path, case):
    spec, words = HUGE[case]
    save_file(
        {"x": np.zeros(1, np.float32)},
        tmp_path / "broken",
        {"format": "fastdrop", "fastdrop.model": json.dumps(about(architecture=spec))},
    )
    with pytest.raises(ValueError, match=words):
        fd.load(tmp_path / "broken")


def test_deeply_nested_architecture_is_refused(tmp_path):
    spec = {"class": "Tanh", "arguments": {}}
    for _ in range(150):
        spec = {"class": "Sequential", "children": [["0", spec]]}
    save_file(
        {},
        tmp_path / "broken",
        {"format": "fastdrop", "fastdrop.model": json.dumps(about(architecture=spec))},
    )
    with pytest.raises(ValueError, match="broken"):
        fd.load(tmp_path / "broken")
