"""Recurrent layers over packed sequences: against PyTorch, and against their samples one by one."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from helpers.recurrent_cases import (
    KINDS,
    MASKS,
    allowed,
    close,
    has_c,
    made,
    numbers,
    states_for,
    states_of,
)

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_against_torch(kind, bidirectional):
    arguments = {"num_layers": 2, "bidirectional": bidirectional}
    theirs, ours = (made(n, kind, 5, 7, **arguments) for n in (torch.nn, nn))
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    lengths = [2, 6, 1, 4]
    count = 4 if bidirectional else 2
    given = [numbers(6, 4, 5), *states_for(kind, count, 4, 7)]
    a = [torch.tensor(x, requires_grad=True) for x in given]
    b = [fd.Tensor(x, requires_grad=True) for x in given]
    one = torch.nn.utils.rnn.pack_padded_sequence(a[0], lengths, enforce_sorted=False)
    two = nn.utils.rnn.pack_padded_sequence(b[0], lengths, enforce_sorted=False)
    expected, expected_states = theirs(one, tuple(a[1:]) if has_c(kind) else a[1])
    found, found_states = ours(two, tuple(b[1:]) if has_c(kind) else b[1])
    expected = torch.nn.utils.rnn.pad_packed_sequence(expected)[0]
    found = nn.utils.rnn.pad_packed_sequence(found)[0]
    close(found, expected)
    loss, twin_loss = (found * found).sum(), (expected * expected).sum()
    for one, two in zip(
        states_of(kind, expected_states), states_of(kind, found_states), strict=True
    ):
        close(two, one)
        loss, twin_loss = loss + (two * two).sum(), twin_loss + (one * one).sum()
    loss.backward()
    twin_loss.backward()
    for one, two in zip((*a, *theirs.parameters()), (*b, *ours.parameters()), strict=True):
        close(two.grad, one.grad, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_are_their_samples_one_by_one(kind):
    """Bit for bit, with every mask."""
    fd.manual_seed(0)
    masks = allowed(kind, MASKS[-1]) | {"weight_drop": 0.2}
    layer = made(nn, kind, 5, 7, num_layers=2, bidirectional=True, **masks)
    x, lengths = numbers(6, 4, 5), [2, 6, 1, 4]
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    y, state = layer(packed)
    y = nn.utils.rnn.pad_packed_sequence(y)[0].numpy()
    for i, length in enumerate(lengths):
        layer.draw = 0
        with fd.mask_state(row0=i):
            one, one_state = layer(x[:length, i : i + 1])
        assert (y[:length, i] == one.numpy()[:, 0]).all()
        for all_states, alone in zip(
            states_of(kind, state), states_of(kind, one_state), strict=True
        ):
            assert (all_states.numpy()[:, i] == alone.numpy()[:, 0]).all()


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ((np.ones((3, 3)), [2, 1]), TypeError, "data must be a Tensor"),
        ((fd.Tensor(np.ones((3, 3))), []), ValueError, "batch_sizes must hold"),
        ((fd.Tensor(np.ones((3, 3))), [1, 2]), ValueError, "never increase"),
        ((fd.Tensor(np.ones((4, 3))), [2, 1]), ValueError, "3 rows of batch_sizes"),
        ((fd.Tensor(np.ones((3, 3))), [1.5, 1.5]), TypeError, "batch_sizes"),
        ((fd.Tensor(np.ones((3, 3))), [2, 1], [0]), ValueError, "sorted_indices must hold 2"),
        ((fd.Tensor(np.ones((3, 3))), [2, 1], [0, 5]), ValueError, "permutation"),
        ((fd.Tensor(np.ones((3, 2))), [2, 1]), ValueError, "rows of 3 numbers"),
    ],
)
def test_a_packed_sequence_of_ones_own_is_checked(parts, error, message):
    with pytest.raises(error, match=message):
        nn.LSTM(3, 4)(nn.utils.rnn.PackedSequence(*parts))


def test_a_packed_sequence_of_ones_own():
    x = numbers(3, 3)
    layer = nn.LSTM(3, 4)
    packed = nn.utils.rnn.PackedSequence(fd.Tensor(x), np.array([2, 1], np.int32), [1, 0])
    y, _ = layer(packed)
    first = layer(x[[0, 2], None])[0].numpy()[:, 0]
    assert (y.data.numpy()[[0, 2]] == first).all()
