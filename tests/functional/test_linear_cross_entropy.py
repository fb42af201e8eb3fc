"""Cross-entropy of a dense layer with many classes, against the layer and the loss apart."""

import tracemalloc

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import nn

torch = pytest.importorskip("torch")


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def parts(rows, classes, bias=True, features=17):
    x, w = numbers(rows, features), numbers(classes, features, seed=1) / 4
    t = np.random.default_rng(2).integers(0, classes, rows)
    return x, w, numbers(classes, seed=3) if bias else None, t


def close(ours, theirs, tolerance=2e-6):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours.numpy() - theirs).max(initial=0) <= tolerance * (
        1 + np.abs(theirs).max(initial=0)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("rows", "classes", "bias"),
    [(7, 5, True), (70, 140_000, False), (300, 20_000, True), (1, 1, True)],
)
def test_against_torch(rows, classes, bias, reduction, smoothing):
    x, w, b, t = parts(rows, classes, bias)
    t[::3] = -100
    given = [v for v in (x, w, b) if v is not None]
    ours = [fd.Tensor(v, requires_grad=True) for v in given]
    theirs = [torch.tensor(v.astype(np.float64), requires_grad=True) for v in given]
    loss = F.linear_cross_entropy(
        *ours[:2],
        t,
        linear_bias=ours[2] if bias else None,
        reduction=reduction,
        label_smoothing=smoothing,
    )
    expected = torch.nn.functional.cross_entropy(
        torch.nn.functional.linear(*theirs),
        torch.tensor(t),
        reduction=reduction,
        label_smoothing=smoothing,
    )
    if rows > 1:
        close(loss, expected, 1e-5)
        factor = numbers(*loss.shape, seed=5)
        (loss * factor).sum().backward()
        (expected * torch.tensor(factor)).sum().backward()
        for one, two in zip(ours, theirs, strict=True):
            close(one.grad, two.grad, 1e-5)
    else:  # nothing is left: the mean is NaN, as in PyTorch
        assert np.isnan(loss.numpy()).all() == np.isnan(expected.detach().numpy()).all()


def test_axes_before_the_features_and_a_second_backward():
    x, w, b, t = parts(12, 9)
    layer = nn.LinearCrossEntropyLoss(17, 9, bias=True)
    layer.load_state_dict({"linear.weight": w, "linear.bias": b})
    a = fd.Tensor(x.reshape(3, 4, 17), requires_grad=True)
    loss = layer(a, t.reshape(3, 4))
    assert loss.item() == pytest.approx(F.cross_entropy(layer.linear(x), t).item(), rel=1e-6)
    loss.backward(retain_graph=True)
    first = layer.linear.weight.grad.numpy().copy()
    loss.backward()
    assert np.allclose(layer.linear.weight.grad.numpy(), 2 * first, rtol=1e-6)
    assert a.grad.shape == (3, 4, 17)


def test_no_gradient_is_made_where_none_is_wanted():
    x, w, b, t = parts(12, 9)
    a = fd.Tensor(x, requires_grad=True)
    F.linear_cross_entropy(a, w, t, linear_bias=b).backward()
    assert a.grad is not None
    with fd.no_grad():
        assert not F.linear_cross_entropy(a, w, t, linear_bias=b).requires_grad


def test_the_weight_may_be_that_of_an_embedding():
    table = nn.Embedding(9, 5)
    loss = F.linear_cross_entropy(table([1, 2, 3]), table.weight, [2, 3, 4])
    loss.backward()
    found = table.weight.grad.numpy().copy()
    table.weight.grad = None
    scores = F.linear(table([1, 2, 3]), table.weight)
    F.cross_entropy(scores, [2, 3, 4]).backward()
    assert np.allclose(found, table.weight.grad.numpy(), atol=1e-6)


def test_bits_do_not_depend_on_threads():
    x, w, b, t = parts(300, 20_000)
    before = fd.get_num_threads()
    results = []
    try:
        for threads in (1, 3):
            fd.set_num_threads(threads)
            a, v = (fd.Tensor(p, requires_grad=True) for p in (x, w))
            loss = F.linear_cross_entropy(a, v, t, linear_bias=b)
            loss.backward()
            results.append((loss.item(), a.grad.numpy(), v.grad.numpy()))
    finally:
        fd.set_num_threads(before)
    assert results[0][0] == results[1][0]
    assert (results[0][1] == results[1][1]).all()
    assert (results[0][2] == results[1][2]).all()


def test_the_scores_are_not_stored_as_a_whole():
    rows, classes = 4000, 8000
    x, w, _, t = parts(rows, classes, features=4)
    tracemalloc.start()
    a = fd.Tensor(x, requires_grad=True)
    F.linear_cross_entropy(a, w, t).backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows * classes * 4 / 2


def test_no_rows():
    x, w = (fd.Tensor(v, requires_grad=True) for v in (np.zeros((0, 3)), np.ones((2, 3))))
    loss = F.linear_cross_entropy(x, w, np.zeros(0, int), reduction="sum")
    loss.backward()
    assert loss.item() == 0.0
    assert (w.grad.numpy() == 0).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x, w, b, t: F.linear_cross_entropy(x, w.T, t), ValueError, "weight"),
        (lambda x, w, b, t: F.linear_cross_entropy(x, w, t[:2]), ValueError, "target"),
        (lambda x, w, b, t: F.linear_cross_entropy(x, w, t + 5), ValueError, "target"),
        (
            lambda x, w, b, t: F.linear_cross_entropy(x, w, t, linear_bias=b[:2]),
            ValueError,
            "linear_bias",
        ),
        (lambda x, w, b, t: F.linear_cross_entropy(x, w, t / 2), TypeError, "target"),
        (
            lambda x, w, b, t: F.linear_cross_entropy(x, w, t, label_smoothing=2.0),
            ValueError,
            "label_smoothing",
        ),
        (
            lambda x, w, b, t: F.linear_cross_entropy(x, w, t, reduction="max"),
            ValueError,
            "reduction",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(*parts(7, 5))
