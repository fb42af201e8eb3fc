"""The gate before the core writes in place: optimisers, gradients, running statistics."""

import pickle

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn, optim
from fastdrop._utils import validation as check

RNG = np.random.default_rng(0)
OPTIMISERS = {
    "adam": (optim.Adam, "exp_avg", {}),
    "adamw": (optim.AdamW, "exp_avg_sq", {}),
    "sgd": (optim.SGD, "momentum_buffer", {"momentum": 0.9}),
    "rmsprop": (optim.RMSprop, "square_avg", {}),
    "rmsprop with momentum": (optim.RMSprop, "momentum_buffer", {"momentum": 0.9}),
}


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def overlapping(array):
    """A writable array of the same shape with all elements at one place."""
    return np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), array.shape, (0, 0))


WRONG = {
    "float16": lambda a: a.astype(np.float16),
    "float64": lambda a: a.astype(np.float64),
    "big-endian": lambda a: a.astype(">f4"),
    "int32": lambda a: a.astype(np.int32),
    "read-only": read_only,
    "broadcast": lambda a: np.broadcast_to(np.float32(0), a.shape),
    "overlapping": overlapping,
    "shorter": lambda a: a[1:],
    "flat": lambda a: a.reshape(-1),
    "list": lambda a: a.tolist(),
    "number": lambda a: 0.0,
    "nothing": lambda a: None,
}


def stepped(kind, options):
    """Two parameters, the optimiser after one step, and the gradients of the next step."""
    params = [nn.Parameter(RNG.standard_normal((7, 5)).astype(np.float32)) for _ in range(2)]
    optimizer = kind(params, lr=0.1, **options)
    for _ in range(2):
        for p in params:
            p.grad = RNG.standard_normal(p.shape).astype(np.float32)
        if not optimizer.state:
            optimizer.step()
    return params, optimizer


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", OPTIMISERS)
def test_wrong_state_is_refused_and_nothing_changes(name, wrong):
    kind, key, options = OPTIMISERS[name]
    params, optimizer = stepped(kind, options)
    last = params[1]
    before = [p.data.copy() for p in params]
    optimizer.state[last][key] = WRONG[wrong](optimizer.state[last][key])
    if wrong == "nothing" and key == "momentum_buffer":
        optimizer.step()  # makes the buffer
        assert optimizer.state[last][key].shape == last.shape
        return
    with pytest.raises((TypeError, ValueError), match=f"state's {key} must"):
        optimizer.step()
    assert all(np.array_equal(p.data, was) for p, was in zip(params, before, strict=True))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_state_in_another_order_gives_the_same_step(name):
    kind, key, options = OPTIMISERS[name]
    params, optimizer = stepped(kind, options)
    model = pickle.loads(pickle.dumps((params, optimizer)))
    twins, twin = model
    for p, other in zip(params, twins, strict=True):
        other.grad = p.grad.data
        twin.state[other][key] = np.asfortranarray(twin.state[other][key])
    optimizer.step()
    twin.step()
    for p, other in zip(params, twins, strict=True):
        np.testing.assert_array_equal(p.data, other.data)
        np.testing.assert_array_equal(optimizer.state[p][key], twin.state[other][key])


def test_state_that_lacks_an_entry_or_has_a_wrong_count():
    params, optimizer = stepped(optim.Adam, {})
    for change, words in (
        (lambda s: s.pop("exp_avg_sq"), "must hold exp_avg_sq"),
        (lambda s: s.update(step=-3), "step must be between"),
        (lambda s: s.update(step=1.5), "step must be an integer"),
    ):
        kept = dict(optimizer.state[params[0]])
        change(optimizer.state[params[0]])
        with pytest.raises((TypeError, ValueError), match=words):
            optimizer.step()
        optimizer.state[params[0]] = kept
    optimizer.step()


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_loaded_state_is_converted(dtype):
    params, optimizer = stepped(optim.Adam, {})
    saved = optimizer.state_dict()
    for entries in saved["state"].values():
        for key in ("exp_avg", "exp_avg_sq"):
            entries[key] = np.asfortranarray(entries[key]).astype(dtype)
    optimizer.load_state_dict(saved)
    assert optimizer.state[params[0]]["exp_avg"].dtype == np.float32
    optimizer.step()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_read_only_parameters_are_not_written(name):
    kind, _, options = OPTIMISERS[name]
    params, optimizer = stepped(kind, options)
    params[1].data.flags.writeable = False
    before = [p.data.copy() for p in params]
    with pytest.raises(ValueError, match="params must be writable"):
        optimizer.step()
    assert all(np.array_equal(p.data, was) for p, was in zip(params, before, strict=True))


def test_read_only_gradients_and_weights():
    params, optimizer = stepped(optim.SGD, {})
    params[1].grad.data.flags.writeable = False
    gradients = [p.grad.data.copy() for p in params]
    weights = [p.data.copy() for p in params]
    for change in (
        lambda: nn.utils.clip_grad_norm_(params, 1e-3),
        lambda: nn.utils.clip_grad_value_(params, 1e-3),
        lambda: (params[1] * params[1]).sum().backward(),
        lambda: params[1].gradient_into(lambda out, add: out.fill(0)),
    ):
        with pytest.raises(ValueError, match=r"grad must be writable|read-only"):
            change()
    assert all(np.array_equal(p.grad.data, g) for p, g in zip(params, gradients, strict=True))
    optimizer.step()  # a step only reads the gradients
    assert not np.array_equal(params[1].data, weights[1])
    weights = [p.data.copy() for p in params]
    params[1].data.flags.writeable = False
    with pytest.raises(ValueError, match="parameters must be writable"):
        nn.utils.max_norm_(params, 0.01)
    assert all(np.array_equal(p.data, w) for p, w in zip(params, weights, strict=True))


@pytest.mark.parametrize("which", ["running_mean", "running_var", "num_batches_tracked"])
def test_read_only_running_statistics(which):
    layer = nn.BatchNorm1d(4)
    buffer = getattr(layer, which)
    (buffer.data if isinstance(buffer, fd.Tensor) else buffer).flags.writeable = False
    before = {key: value.copy() for key, value in layer.state_dict().items()}
    x = RNG.standard_normal((8, 4))
    with pytest.raises(ValueError, match=f"{which} must be writable"):
        layer(x)
    after = layer.state_dict()
    assert all(np.array_equal(after[key], value) for key, value in before.items())
    assert layer.eval()(x).shape == (8, 4)
    mean = np.broadcast_to(np.float32(0), (4,))
    with pytest.raises((TypeError, ValueError), match="running_mean must be"):
        F.batch_norm(x, mean, np.ones(4, np.float32), training=True)


def test_loading_into_a_read_only_module_changes_nothing():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    other = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).state_dict()
    model[1].bias.data.flags.writeable = False
    before = {key: value.copy() for key, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"1\.bias must be writable"):
        model.load_state_dict(other)
    assert all(np.array_equal(model.state_dict()[key], value) for key, value in before.items())


def test_what_is_pickled_read_only_can_be_trained():
    """joblib maps large arrays read-only while it unpickles."""
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    sparse = nn.SparseLinear.from_dense(np.eye(5))
    x, y = RNG.standard_normal((12, 5)), np.arange(12) % 3
    optimizer = optim.Adam(model.parameters())

    def step(net, opt):
        opt.zero_grad()
        F.cross_entropy(net(x), y).backward()
        opt.step()

    step(model, optimizer)
    buffers = []
    data = pickle.dumps((model, optimizer, sparse), 5, buffer_callback=buffers.append)
    frozen = [memoryview(buffer.raw().tobytes()) for buffer in buffers]  # bytes are read-only
    net, opt, layer = pickle.loads(data, buffers=frozen)
    step(net, opt)
    step(model, optimizer)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(net.state_dict()[key], value)
    layer.columns[0] = 1  # integer buffers can be written as well
    assert layer([1.0, 2.0, 3.0, 4.0, 5.0]).tolist() == [2.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("mode", ["r", "c"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "rmsprop"])
def test_mapped_estimators_go_on_training(tmp_path, solver, mode):
    joblib = pytest.importorskip("joblib")
    sklearn = pytest.importorskip("fastdrop.sklearn")
    x, y = RNG.standard_normal((60, 8)), np.arange(60) % 3
    net = sklearn.DropoutClassifier((64,), max_iter=2, random_state=0, solver=solver).fit(x, y)
    joblib.dump(net, tmp_path / "net.joblib")
    mapped = joblib.load(tmp_path / "net.joblib", mmap_mode=mode).partial_fit(x, y)
    np.testing.assert_array_equal(mapped.predict_proba(x), net.partial_fit(x, y).predict_proba(x))


def test_gate_accepts_maps_and_views(tmp_path):
    mapped = np.memmap(tmp_path / "w", np.float32, "w+", shape=(3, 4))
    assert check.writable(mapped, "x", (3, 4)) is mapped
    assert check.writable(mapped[1:], "x").shape == (2, 4)
    unaligned = np.zeros(17, np.uint8)[1:].view(np.float32)
    for wrong in (mapped[:, 1:], mapped.T, unaligned):
        with pytest.raises(ValueError, match="x must be an aligned array in C order"):
            check.writable(wrong, "x")
