"""RNNCell, LSTMCell and GRUCell against PyTorch."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from helpers.recurrent_cases import (
    close,
    has_c,
    numbers,
    states_of,
)

torch = pytest.importorskip("torch")

CELLS = ("LSTM", "GRU", "RNN")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", (*CELLS, "relu"))
def test_cells_against_torch(kind, bias):
    more = {"nonlinearity": "relu"} if kind == "relu" else {}
    kind = "RNN" if kind == "relu" else kind
    theirs, ours = (getattr(n, kind + "Cell")(5, 7, bias, **more) for n in (torch.nn, nn))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    given = [numbers(3, 5), numbers(3, 7, seed=1), numbers(3, 7, seed=2)]
    given = given if kind == "LSTM" else given[:2]
    a = [torch.tensor(x, requires_grad=True) for x in given]
    b = [fd.Tensor(x, requires_grad=True) for x in given]
    expected = states_of(kind, theirs(a[0], tuple(a[1:]) if has_c(kind) else a[1]))
    found = states_of(kind, ours(b[0], tuple(b[1:]) if has_c(kind) else b[1]))
    for one, two in zip(expected, found, strict=True):
        close(two, one)
    sum((x * x).sum() for x in expected).backward()
    sum(((x * x).sum() for x in found[1:]), (found[0] * found[0]).sum()).backward()
    for one, two in zip((*a, *theirs.parameters()), (*b, *ours.parameters()), strict=True):
        close(two.grad, one.grad, 1e-5)
    alone = states_of(kind, ours(given[0][0]))
    close(alone[0], states_of(kind, theirs(a[0][0]))[0])


def test_errors_of_cells():
    with pytest.raises(ValueError, match="input must have shape"):
        nn.GRUCell(3, 4)(np.ones((2, 4)))
    with pytest.raises(ValueError, match="h_0 must have shape"):
        nn.RNNCell(3, 4)(np.ones((2, 3)), np.ones((2, 3)))
    with pytest.raises(TypeError, match="hx must be a pair"):
        nn.LSTMCell(3, 4)(np.ones((2, 3)), np.ones((2, 4)))
