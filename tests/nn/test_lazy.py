"""Layers that take the number of inputs from their first input."""

import copy
import pickle

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn, optim

RNG = np.random.default_rng(0)

LAYERS = [
    ("Linear", {"out_features": 3}, (5, 4)),
    ("Linear", {"out_features": 3, "bias": False}, (2, 5, 4)),
    ("Conv1d", {"out_channels": 6, "kernel_size": 3, "groups": 2}, (2, 4, 9)),
    ("Conv1d", {"out_channels": 6, "kernel_size": 3}, (4, 9)),
    ("Conv2d", {"out_channels": 3, "kernel_size": 3, "padding": "same"}, (2, 4, 5, 6)),
    ("Conv3d", {"out_channels": 3, "kernel_size": 2, "bias": False}, (2, 4, 5, 4, 3)),
    ("ConvTranspose1d", {"out_channels": 6, "kernel_size": 3}, (2, 4, 9)),
    ("ConvTranspose2d", {"out_channels": 3, "kernel_size": 3, "stride": 2}, (2, 4, 5, 6)),
    ("ConvTranspose3d", {"out_channels": 3, "kernel_size": 2}, (2, 4, 5, 4, 3)),
    ("BatchNorm1d", {}, (6, 4)),
    ("BatchNorm1d", {"eps": 0.1}, (6, 4, 3)),
    ("BatchNorm2d", {"momentum": None}, (6, 4, 3, 2)),
    ("BatchNorm3d", {"affine": False}, (6, 4, 3, 2, 2)),
    ("InstanceNorm1d", {}, (6, 4, 3)),
    ("InstanceNorm2d", {"affine": False}, (6, 4, 3, 2)),
    ("InstanceNorm3d", {"track_running_stats": False}, (6, 4, 3, 2, 2)),
]


@pytest.mark.parametrize(("kind", "options", "shape"), LAYERS)
def test_the_first_call_makes_the_plain_layer(kind, options, shape):
    x = RNG.standard_normal(shape).astype(np.float32)
    fd.manual_seed(3)
    lazy = getattr(nn, f"Lazy{kind}")(**options)
    assert lazy.has_uninitialized_params() and f"Lazy{kind}(" in repr(lazy)
    y = lazy(x)
    fd.manual_seed(3)
    more = {"affine": True, "track_running_stats": True} if "Instance" in kind else {}
    inferred = "num_features" if "Norm" in kind else "in_channels"
    inferred = "in_features" if kind == "Linear" else inferred
    plain = getattr(nn, kind)(**{inferred: 4, **more, **options})
    np.testing.assert_array_equal(y.data, plain(x).data)
    assert type(lazy) is type(plain) and repr(lazy) == repr(plain)
    assert lazy.state_dict().keys() == plain.state_dict().keys()
    for key, array in plain.state_dict().items():
        np.testing.assert_array_equal(np.asarray(lazy.state_dict()[key]), np.asarray(array))
    assert not hasattr(lazy, "has_uninitialized_params")


@pytest.mark.parametrize(("kind", "options", "shape"), LAYERS)
def test_results_and_defaults_of_pytorch(kind, options, shape):
    torch = pytest.importorskip("torch")
    x = RNG.standard_normal(shape).astype(np.float32)
    ours, theirs = (
        getattr(nn, f"Lazy{kind}")(**options),
        getattr(torch.nn, f"Lazy{kind}")(**options),
    )
    ours(x), theirs(torch.from_numpy(x))
    ours.load_state_dict(theirs.state_dict())
    ours.eval(), theirs.eval()
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours(x).data, expected, rtol=1e-4, atol=1e-4)


def network():
    return nn.Sequential(
        *(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Dropout(0.2), nn.Flatten()),
        *(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(2)),
    )


def test_an_optimizer_may_hold_the_parameters_before():
    fd.manual_seed(0)
    x, y = RNG.standard_normal((8, 1, 6, 6)).astype(np.float32), np.arange(8) % 2
    model = network()
    held = list(model.parameters())
    assert len(held) == 8 and all(p.numel() == 0 for p in held)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(30):
        loss = nn.CrossEntropyLoss()(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(a is b for a, b in zip(held, model.parameters(), strict=True))
    assert losses[-1] < 0.5 * losses[0]
    assert [type(layer).__name__ for layer in model][:2] == ["Conv2d", "BatchNorm2d"]


def test_a_model_is_saved_and_fitted_after_its_first_call(tmp_path):
    x = RNG.standard_normal((32, 5)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    model = nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(2))
    model(x)
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    fd.fit(model, (x, y), epochs=40, optimizer=optimizer, progress=False)
    assert (fd.predict(model, x).argmax(1) == y).mean() > 0.8
    fd.save(model, tmp_path / "model.safetensors")
    again = fd.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again(x).data, model(x).data)


def test_copies_wait_on_their_own():
    lazy = nn.LazyLinear(3)
    copies = [copy.deepcopy(lazy), pickle.loads(pickle.dumps(lazy))]
    lazy(np.ones((2, 4)))
    for n, other in enumerate(copies, 5):
        assert other(np.ones((2, n))).shape == (2, 3) and other.in_features == n
    assert lazy.in_features == 4


def test_the_mode_and_frozen_parameters_stay():
    lazy = nn.Sequential(nn.LazyBatchNorm1d()).eval()
    lazy.requires_grad_(False)
    lazy(np.ones((2, 4)))
    assert not lazy[0].training and not lazy[0].weight.requires_grad


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: nn.LazyConv2d(4, 0), "kernel_size"),
        (lambda: nn.LazyConv2d(3, 2, groups=2), "out_channels"),
        (lambda: nn.LazyConv2d(4, 2, groups=2)(np.ones((1, 3, 4, 4))), "in_channels"),
        (lambda: nn.LazyConv2d(4, 2)(np.ones((3, 4))), "input must have shape"),
        (lambda: nn.LazyBatchNorm2d()(np.ones((3, 4))), "input must have shape"),
        (lambda: nn.LazyLinear(2)(np.ones(())), "input"),
    ],
)
def test_errors_name_the_argument(call, word):
    with pytest.raises(ValueError, match=word):
        call()
