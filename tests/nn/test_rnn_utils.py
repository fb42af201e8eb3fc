"""Padded and packed sequences, against PyTorch."""

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.nn.utils import rnn

torch = pytest.importorskip("torch")
theirs = torch.nn.utils.rnn


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def equal(ours, other):
    assert ours.shape == tuple(other.shape)
    assert (
        np.asarray(ours if isinstance(ours, np.ndarray) else ours.numpy())
        == np.asarray(other.detach())
    ).all()


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [[5, 3, 3, 1], [2, 5, 1, 4]])
@pytest.mark.parametrize("rest", [(), (3,), (2, 3)])
def test_packing_and_padding(batch_first, lengths, rest):
    x = numbers(*((4, 6) if batch_first else (6, 4)), *rest)
    a, b = torch.tensor(x, requires_grad=True), fd.Tensor(x, requires_grad=True)
    arguments = {"batch_first": batch_first, "enforce_sorted": False}
    expected = theirs.pack_padded_sequence(a, torch.tensor(lengths), **arguments)
    found = rnn.pack_padded_sequence(b, lengths, **arguments)
    equal(found.data, expected.data)
    equal(found.batch_sizes, expected.batch_sizes)
    if lengths == sorted(lengths, reverse=True):
        assert (found.unsorted_indices == np.arange(4)).all()
    padding = {"batch_first": batch_first, "padding_value": -1.5, "total_length": 7}
    one, one_lengths = theirs.pad_packed_sequence(expected, **padding)
    two, two_lengths = rnn.pad_packed_sequence(found, **padding)
    equal(two, one)
    equal(two_lengths, one_lengths)
    (one * one).sum().backward()
    (two * two).sum().backward()
    equal(b.grad, a.grad)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["right", "left"])
def test_lists_of_sequences(batch_first, side):
    lists = [numbers(n, 2) for n in (2, 5, 3)]
    a = [torch.tensor(x, requires_grad=True) for x in lists]
    b = [fd.Tensor(x, requires_grad=True) for x in lists]
    one = theirs.pad_sequence(a, batch_first, 0.5, side)
    two = rnn.pad_sequence(b, batch_first, 0.5, side)
    equal(two, one)
    (one * one).sum().backward()
    (two * two).sum().backward()
    for x, y in zip(a, b, strict=True):
        equal(y.grad, x.grad)
    packed, expected = (
        n.pack_sequence(v, enforce_sorted=False) for n, v in ((rnn, b), (theirs, a))
    )
    equal(packed.data, expected.data)
    for x, y in zip(rnn.unpack_sequence(packed), lists, strict=True):
        assert (x.numpy() == y).all()
    padded = rnn.pad_sequence(b, batch_first)
    for x, y in zip(rnn.unpad_sequence(padded, [2, 5, 3], batch_first), lists, strict=True):
        assert (x.numpy() == y).all()


def test_sorted_sequences_have_no_order():
    packed = rnn.pack_padded_sequence(numbers(4, 2, 1), [4, 2])
    assert packed.sorted_indices is None
    assert packed.unsorted_indices is None
    assert rnn.invert_permutation(None) is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: rnn.pack_padded_sequence(numbers(4, 2), [2, 4]), ValueError, "sorted"),
        (lambda: rnn.pack_padded_sequence(numbers(4, 2), [4, 0]), ValueError, "from 1 to 4"),
        (lambda: rnn.pack_padded_sequence(numbers(4, 2), [5, 1]), ValueError, "from 1 to 4"),
        (lambda: rnn.pack_padded_sequence(numbers(4, 2), [4]), ValueError, "one number for each"),
        (lambda: rnn.pack_padded_sequence(numbers(4, 2), [4, 1.5]), TypeError, "integers"),
        (lambda: rnn.pack_padded_sequence(numbers(4), [4]), ValueError, "2 dimensions"),
        (lambda: rnn.pad_packed_sequence(numbers(4)), TypeError, "PackedSequence"),
        (lambda: rnn.pad_sequence([]), TypeError, "sequences"),
        (lambda: rnn.pad_sequence([numbers(3, 2), numbers(3, 1)]), ValueError, r"sequences\[1\]"),
        (lambda: rnn.pack_sequence([[1.0], [1.0, 2.0]]), ValueError, "sorted"),
        (lambda: rnn.unpad_sequence(numbers(4, 2), [5, 1]), ValueError, "from 0 to 4"),
        (lambda: rnn.invert_permutation([0, 2]), ValueError, "permutation"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
