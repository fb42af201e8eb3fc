"""Checkpoints: a run continues bit for bit, and invalid or interrupted files do no harm."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim
from fastdrop.io.checkpoint import read_checkpoint
from fastdrop.io.safetensors import read_file, save_file
from fastdrop.models import mlp


def new_run(seed=0, kind=optim.Adam):
    fd.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(4, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(fd.schedules.Linear(0.1, 0.6, 6)),
        nn.Linear(8, 3),
    )
    optimizer = kind(model.parameters(), lr=0.01)
    return model, optimizer, optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)


def steps(run, count):
    """Training as a user would write it, with all kinds of random numbers."""
    model, optimizer, scheduler = run
    rng = fd.random.generator("data")
    for _ in range(count):
        x, y = rng.random((6, 4), np.float32), rng.integers(0, 3, 6)
        loss = nn.functional.cross_entropy(fd.nn.functional.dropout(model(x), 0.1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()


def state_of(run):
    model, optimizer, scheduler = run
    return (
        {name: array.tobytes() for name, array in model.state_dict().items()},
        [m.draw for m in model.modules()],
        repr(
            {
                k: {n: np.asarray(v).tobytes() for n, v in entry.items()}
                for k, entry in optimizer.state_dict()["state"].items()
            }
        ),
        optimizer.param_groups[0]["lr"],
        scheduler.state_dict(),
        fd.random.get_state(),
    )


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop])
def test_a_run_continues_bit_for_bit(tmp_path, kind):
    run = new_run(kind=kind)
    if kind is optim.SGD:
        run[1].param_groups[0]["momentum"] = 0.9
    steps(run, 3)
    extra = {
        "a": [1, 2.5, None, True, "x"],
        "t": (1, np.arange(3)),
        7: {"inf": float("inf")},
        "a.b": np.float32(0.1),
    }
    fd.save_checkpoint(tmp_path / "c", *run, extra=extra)
    steps(run, 4)
    expected = state_of(run)
    other = new_run(seed=99, kind=kind)
    back = fd.load_checkpoint(tmp_path / "c", *other)
    steps(other, 4)
    assert state_of(other) == expected
    assert (
        back["a"] == extra["a"]
        and isinstance(back["t"], tuple)
        and back[7] == {"inf": float("inf")}
    )
    assert back["t"][1].tolist() == [0, 1, 2] and back["a.b"] == np.float32(0.1)


def test_parts_may_be_left_out(tmp_path):
    model, optimizer, scheduler = new_run()
    fd.save_checkpoint(tmp_path / "c", model)
    assert fd.load_checkpoint(tmp_path / "c", model) is None
    with pytest.raises(ValueError, match="no state of an optimizer"):
        fd.load_checkpoint(tmp_path / "c", model, optimizer)
    fd.save_checkpoint(tmp_path / "c", model, optimizer)
    with pytest.raises(ValueError, match="no state of a scheduler"):
        fd.load_checkpoint(tmp_path / "c", model, optimizer, scheduler)


def test_different_keys_with_equal_text(tmp_path):
    extra = {1: np.zeros(1), "1": np.ones(1), "a": {"b": np.zeros(2)}, "a.b": np.ones(2)}
    fd.save_checkpoint(tmp_path / "c", nn.Tanh(), extra=extra)
    back = read_checkpoint(tmp_path / "c")["extra"]
    assert back[1] == 0 and back["1"] == 1 and back["a"]["b"].sum() == 0 and back["a.b"].sum() == 2


def test_nan_and_infinity(tmp_path):
    extra = [
        float("nan"),
        float("inf"),
        -np.inf,
        np.float32("nan"),
        {"val_loss": [0.1, float("nan")]},
    ]
    fd.save_checkpoint(tmp_path / "c", nn.Tanh(), extra=extra)
    assert (
        str(read_checkpoint(tmp_path / "c")["extra"])
        == "[nan, inf, -inf, nan, {'val_loss': [0.1, nan]}]"
    )
    tensors, metadata = read_file(tmp_path / "c")
    text = metadata["fastdrop.checkpoint"]
    assert "NaN" not in text and "Infinity" not in text
    for bad in (text.replace('"tree"', '"version": 1, "tree"'), text.replace("0.1", "NaN")):
        assert bad != text
        save_file(tensors, tmp_path / "c", metadata | {"fastdrop.checkpoint": bad})
        with pytest.raises(
            ValueError, match=r"is no checkpoint that can be read .*(occurs twice|NaN is no JSON)"
        ):
            read_checkpoint(tmp_path / "c")


def test_a_checkpoint_of_another_model_changes_nothing(tmp_path):
    run = new_run()
    steps(run, 2)
    other = mlp(4, (9,), 3)
    fd.save_checkpoint(tmp_path / "other", other, optim.Adam(other.parameters()))
    groups = optim.SGD([{"params": [p]} for p in run[0].parameters()])
    fd.save_checkpoint(tmp_path / "groups", run[0], groups, run[2])
    before = state_of(run)
    with pytest.raises(ValueError, match="does not fit the model"):
        fd.load_checkpoint(tmp_path / "other", *run[:2])
    for array in run[0].state_dict().values():
        array += 1
    changed = state_of(run)
    with pytest.raises(
        ValueError, match="does not fit the optimizer"
    ):  # after the model was filled
        fd.load_checkpoint(tmp_path / "groups", *run)
    assert state_of(run) == changed != before


def test_bad_files(tmp_path):
    model = nn.Linear(2, 2)
    path = tmp_path / "c"
    for metadata in (
        {},
        {"format": "fastdrop.checkpoint"},
        {"format": "fastdrop.checkpoint", "fastdrop.checkpoint": "{"},
        {"format": "fastdrop.checkpoint", "fastdrop.checkpoint": '{"version": 2}'},
        {
            "format": "fastdrop.checkpoint",
            "fastdrop.checkpoint": '{"version": 1, "tree": {"array": "x"}}',
        },
        {
            "format": "fastdrop.checkpoint",
            "fastdrop.checkpoint": '{"version": 1, "tree": {"dict": []}}',
        },
        {
            "format": "fastdrop.checkpoint",
            "fastdrop.checkpoint": '{"version": 1, "tree": {"code": []}}',
        },
    ):
        save_file({}, path, metadata)
        with pytest.raises(ValueError, match="no checkpoint"):
            fd.load_checkpoint(path, model)
    fd.save(model, path)
    with pytest.raises(ValueError, match="no checkpoint"):
        fd.load_checkpoint(path, model)
    fd.save_checkpoint(path, model)
    with pytest.raises(ValueError, match="load_checkpoint"):
        fd.load(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="truncated"):
        fd.load_checkpoint(path, model)


def test_values_that_cannot_be_saved(tmp_path):
    path = tmp_path / "c"
    path.write_bytes(b"before")
    for extra in ({"x": object()}, {"x": {1.5: 2}}, [np.array([{}])], {"x": 1 + 2j}):
        with pytest.raises(TypeError):
            fd.save_checkpoint(path, nn.Tanh(), extra=extra)
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["c"]


WRITER = """
import itertools, sys
import numpy as np
import fastdrop as fd
from fastdrop import optim
from fastdrop.models import mlp
model = mlp(200, (400,), 10, dropout=0.5)
optimizer = optim.Adam(model.parameters())
x, y = np.ones((4, 200), np.float32), np.arange(4)
for n in itertools.count(1):
    loss = fd.nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    fd.save_checkpoint(sys.argv[1], model, optimizer, extra=n)
    print(n, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_process_leaves_a_complete_checkpoint(tmp_path):
    """After a kill the checkpoint can be loaded, and is the last finished one or a newer one."""
    path = tmp_path / "c"
    for attempt in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True
        ) as writer:
            writer.stdout.readline()
            time.sleep(0.003 + 0.013 * attempt)
            writer.kill()
            finished = [1, *map(int, writer.stdout.read().split())][-1]
        model = mlp(200, (400,), 10, dropout=0.5)
        optimizer = optim.Adam(model.parameters())
        count = fd.load_checkpoint(path, model, optimizer)
        assert count >= finished and model.draw == count
        assert all(state["step"] == count for state in optimizer.state.values())


def put(tree, path, value):
    """Change the entry of a packed tree at this path of keys and positions."""
    *above, last = path
    for key in above:
        tree = entry_of(tree, key)
    if isinstance(tree, dict) and "dict" in tree:
        tree["dict"] = [[k, value if k == last else v] for k, v in tree["dict"]]
    else:
        tree[last] = value


def entry_of(tree, key):
    if isinstance(tree, dict) and "dict" in tree:
        return next(value for name, value in tree["dict"] if name == key)
    return tree[key]


PCG = ("random", "generators", "init")
GROUP = ("optimizer", "param_groups", 0)
LIES = [
    (("draws",), [1]),
    (("draws",), "x"),
    (("draws",), {"dict": [[0, 1]]}),
    (("draws",), {"dict": [["", -1]]}),
    (("draws",), {"dict": [["", True]]}),
    (("draws",), {"dict": [["", 2**70]]}),
    (("draws",), {"dict": [["", 1.5]]}),
    (("draws",), {"dict": [["nowhere", 1]]}),
    (("model",), [1]),
    (("model",), None),
    (("model", "1.weight"), 3),
    (("optimizer",), []),
    (("optimizer", "state"), 3),
    (("optimizer", "state"), {"dict": [[1.5, {"dict": []}]]}),
    (("optimizer", "state"), {"dict": [[99, {"dict": []}]]}),
    (("optimizer", "state", 0), "x"),
    (("optimizer", "state", 0, "step"), -1),
    (("optimizer", "state", 0, "step"), "x"),
    (("optimizer", "state", 0, "exp_avg"), 1.0),
    (("optimizer", "state", 2, "exp_avg_sq"), {"array": "model.1.weight"}),
    ((*GROUP, "lr"), {"float": "nan"}),
    ((*GROUP, "lr"), "fast"),
    ((*GROUP, "lr"), None),
    ((*GROUP, "betas"), 0.9),
    ((*GROUP, "params"), [0]),
    ((*GROUP, "params"), [3, 2, 1, 0]),
    (("scheduler", "last_epoch"), -1),
    (("scheduler", "last_epoch"), 2.5),
    (("scheduler", "last_epoch"), "x"),
    (("scheduler", "last_epoch"), True),
    (("scheduler", "last_epoch"), 2**80),
    (("scheduler", "base_lrs"), 0.1),
    (("scheduler", "base_lrs"), [{"float": "inf"}]),
    (("scheduler", "base_lrs"), ["x"]),
    (("scheduler", "base_lrs"), [0.1, 0.1]),
    (("random",), None),
    (("random", "seed"), -1),
    (("random", "free_draw"), "x"),
    (("random", "generators"), 3),
    (PCG, {"dict": []}),
    ((*PCG, "bit_generator"), "MT19937"),
    ((*PCG, "state"), 3),
    ((*PCG, "state", "state"), 2**128),
    ((*PCG, "state", "inc"), 2),
    ((*PCG, "has_uint32"), 2),
    ((*PCG, "uinteger"), 2**64),
]


@pytest.mark.parametrize("path, lie", LIES, ids=lambda value: str(value)[:60])
def test_a_lie_is_a_value_error_that_changes_nothing(tmp_path, path, lie):
    saved, file = new_run(), tmp_path / "c"
    steps(saved, 2)
    fd.save_checkpoint(file, *saved)
    tensors, metadata = read_file(file)
    tensors["model.1.weight"][...] = -1
    content = json.loads(metadata["fastdrop.checkpoint"])
    put(content["tree"], path, lie)
    text = json.dumps(content)
    assert text != metadata["fastdrop.checkpoint"]
    save_file(tensors, file, metadata | {"fastdrop.checkpoint": text})
    run = new_run(seed=5)
    steps(run, 1)
    run[1].param_groups[0]["lr"] = 0.123  # set by hand: the scheduler does not know it
    before = state_of(run)
    with pytest.raises(ValueError, match="c'"):
        fd.load_checkpoint(file, *run)
    assert state_of(run) == before and run[1].param_groups[0]["lr"] == 0.123
