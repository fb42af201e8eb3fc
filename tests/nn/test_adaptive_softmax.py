"""The adaptive softmax, against PyTorch."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn

torch = pytest.importorskip("torch")


def pair(in_features=64, n_classes=50, cutoffs=(5, 12, 31), **arguments):
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(in_features, n_classes, list(cutoffs), **arguments)
    ours = nn.AdaptiveLogSoftmaxWithLoss(in_features, n_classes, cutoffs, **arguments)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    return theirs, ours


def close(ours, theirs, tolerance=1e-5):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours.numpy() - theirs).max(initial=0) < tolerance


TARGETS = {
    "all clusters": np.random.default_rng(0).integers(0, 50, 40),
    "the head alone": np.array([0, 4, 2, 1]),
    "one cluster alone": np.array([12, 30, 15]),
    "an empty cluster": np.array([3, 49, 6, 40, 6]),
    "one row": np.array([33]),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("arguments", [{}, {"div_value": 2.0, "head_bias": True}])
@pytest.mark.parametrize("use", ["loss", "output", "both"])
def test_against_torch(name, arguments, use):
    target = TARGETS[name]
    theirs, ours = pair(cutoffs=(5, 12), **arguments)
    x = np.random.default_rng(1).standard_normal((len(target), 64)).astype(np.float32)
    a, b = torch.tensor(x, requires_grad=True), fd.Tensor(x, requires_grad=True)
    expected, found = theirs(a, torch.tensor(target)), ours(b, target)
    close(found.output, expected.output)
    close(found.loss, expected.loss)
    weight = np.linspace(-1, 1, len(target)).astype(np.float32)
    if use != "output":
        expected.loss.backward(retain_graph=True)
        found.loss.backward(retain_graph=True)
    if use != "loss":
        (expected.output * torch.tensor(weight)).sum().backward()
        (found.output * weight).sum().backward()
    close(b.grad, a.grad)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        if q.grad is None:
            assert p.grad is None
        else:
            close(p.grad, q.grad)


def test_log_probabilities_and_predictions():
    theirs, ours = pair()
    x = 3 * np.random.default_rng(2).standard_normal((200, 64)).astype(np.float32)
    close(ours.log_prob(x), theirs.log_prob(torch.tensor(x)), 1e-4)
    found = ours.predict(x)
    assert (found == theirs.predict(torch.tensor(x)).numpy()).all()
    assert (found >= 5).any() and (found < 5).any()
    target = np.arange(200) % 50
    output = ours(x, target).output.numpy()
    assert np.abs(ours.log_prob(x).numpy()[np.arange(200), target] - output).max() < 1e-4


def test_one_row_without_a_batch_axis():
    theirs, ours = pair()
    x = np.random.default_rng(3).standard_normal(64).astype(np.float32)
    expected, found = theirs(torch.tensor(x), torch.tensor(40)), ours(x, 40)
    close(found.output, expected.output)
    close(found.loss, expected.loss)


def test_training_lowers_the_loss():
    fd.manual_seed(0)
    layer = nn.AdaptiveLogSoftmaxWithLoss(16, 200, [20, 80])
    rng = np.random.default_rng(4)
    target = np.minimum(rng.geometric(0.03, 300) - 1, 199)
    x = rng.standard_normal((200, 16)).astype(np.float32)[target]
    optimizer = fd.optim.Adam(layer.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = layer(x, target).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 20, []), TypeError, "cutoffs"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 5]), ValueError, "must increase"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 20, [20]), ValueError, "cutoffs"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 20, [0, 5]), ValueError, "cutoffs"),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 9]), ValueError, "at least 1 number"),
        (lambda: pair()[1](np.ones((3, 5)), [1, 2, 3]), ValueError, "input must have shape"),
        (lambda: pair()[1](np.ones((3, 64)), [1, 2]), ValueError, "target"),
        (lambda: pair()[1](np.ones((3, 64)), [1, 2, 50]), ValueError, "target"),
        (lambda: pair()[1](np.ones((3, 64)), [1, 2, -1]), ValueError, "target"),
        (lambda: pair()[1](np.ones((3, 64)), [1, 2, -100]), ValueError, "target"),
        (lambda: pair()[1](np.ones((3, 64)), [1.5, 2, 3]), TypeError, "target"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
