"""Losses whose labels are all ignored: NaN for a mean as in PyTorch, and the gradient 0."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("weight", (None, [1.0, 2.0, 3.0]))
@pytest.mark.parametrize(
    "options",
    (
        {},
        {"label_smoothing": 0.1},
        {"reduction": "sum"},
        {"reduction": "none"},
        {"name": "nll_loss"},
    ),
)
def test_labels_that_are_all_ignored_have_no_gradient(isa, weight, options):
    options = dict(options)
    name, found = options.pop("name", "cross_entropy"), []
    for library, functional in ((fd, F), (torch, torch.nn.functional)):
        x = library.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]], requires_grad=True)
        w = None if weight is None else library.tensor(weight)
        target = library.tensor([-100, -100])
        loss = getattr(functional, name)(x, target, w, **options)
        loss.sum().backward()
        found.append((loss.tolist(), x.grad.tolist()))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][1] == [[0.0] * 3] * 2


def test_a_head_whose_labels_are_all_ignored_has_no_gradient(isa):
    x, w = (fd.tensor(np.ones((n, 3), np.float32), requires_grad=True) for n in (2, 4))
    loss = F.linear_cross_entropy(x, w, np.array([-100, -100]))
    loss.backward()
    assert np.isnan(loss.item()) and not x.grad.data.any() and not w.grad.data.any()
