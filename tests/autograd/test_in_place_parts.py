"""Parts of tensors in place: views and copies where PyTorch has them, and what they keep."""

import weakref

import pytest

import fastdrop as fd

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    "program",
    [
        lambda h: h.transpose(0, 1).contiguous().zero_(),
        lambda h: h.T.reshape(-1).add_(5.0),
        lambda h: h[:, :2].flatten().fill_(9.0),
        lambda h: h[:, 1].contiguous().mul_(0.0),
        lambda h: h[1].reshape(-1).add_(1.0),
        lambda h: h[:1].flatten().mul_(3.0),
        lambda h: h.T[1].mul_(2.0),
        lambda h: h[1:][0][1:].fill_(7.0),
        lambda h: h.view(3, 2)[1].contiguous().add_(1.0),
    ],
)
def test_parts_are_copies_where_they_are_in_torch(program):
    found = []
    for library in (fd, torch):
        x = library.ones(2, 3, requires_grad=True)
        h = x * 2.0
        whole = h.T.reshape(-1)
        program(h)
        ((h * h).sum() + whole.sum()).backward()
        found.append((h.tolist(), x.grad.tolist(), whole.tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize("step", [lambda x: x.T, lambda x: x[:], lambda x: x.T.mul_(1.0)])
def test_a_chain_of_parts_keeps_the_whole_alone(step):
    x = fd.ones(3, 3)
    kept = [weakref.ref(x := step(x)) for _ in range(50)]
    assert sum(reference() is not None for reference in kept) <= 2
    assert x.tolist() == [[1.0] * 3] * 3
