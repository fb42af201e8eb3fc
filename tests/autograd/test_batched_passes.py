"""Batched Monte Carlo passes: who may read their tensors, and the one state that they have."""

import numpy as np
import pytest

import fastdrop as fd
import fastdrop.nn.functional as F
from fastdrop import random
from fastdrop.autograd.passes import (
    PassTensor,
    align_passes,
    carries,
    reading_passes,
    with_passes,
)
from fastdrop.autograd.tensor import wrap


@pytest.fixture(autouse=True)
def thinned_networks_of_any_size(monkeypatch):
    monkeypatch.setattr("fastdrop.uncertainty.monte_carlo.THINNED_FROM", 0)


X = np.arange(6, dtype=np.float32).reshape(3, 2)


def batched(passes=4, samples=3):
    return random.monte_carlo(0, 0, 0, "per_sample", passes=passes, samples=samples)


def test_rows_are_repeated_for_each_pass():
    with batched(), reading_passes():
        t = with_passes(fd.tensor(X))
        assert type(t) is PassTensor and with_passes(t) is t
        assert np.array_equal(t.data.reshape(3, 4, 2), np.stack([X] * 4, axis=1))
    x = fd.tensor(X)
    assert with_passes(x) is x  # outside batched passes


@pytest.mark.parametrize("shape", [(4, 2), (3,), ()])
def test_rows_that_are_not_samples_are_refused(shape):
    with batched(), pytest.raises(random.CannotCarry, match="not the samples"):
        with_passes(fd.tensor(np.zeros(shape)))


def test_only_functions_that_carry_passes_read_them():
    @carries
    def doubled(t):
        return t.data * 2

    with batched():
        t = with_passes(fd.tensor(X))
        for read in (
            lambda: t.data,
            lambda: setattr(t, "data", X),
            lambda: np.asarray(t),
            lambda: t.mean(0),
            lambda: t[0],
            lambda: t.clone(),
            lambda: t.softmax(0),
            t.sum,
            t.backward,
        ):
            with pytest.raises(random.CannotCarry):
                read()
        assert doubled(t).shape == (12, 2)
        for carried in (t + 1, F.relu(t), t.exp(), t.softmax(-1), t * t):
            assert type(carried) is PassTensor and carried.shape == (12, 2)


def test_operands_get_the_rows_of_passes():
    with batched(), reading_passes():
        t = with_passes(fd.tensor(X))
        samples, one_row, vector = fd.tensor(X), fd.tensor(X[:1]), fd.tensor(X[0])
        assert align_passes(samples, vector) == (samples, vector)
        same, repeated, broadcast, also = align_passes(t, samples, one_row, vector)
        assert same is t and broadcast is one_row and also is vector
        assert np.array_equal(repeated.data, t.data)
        for other in (np.zeros((5, 2)), np.zeros((3, 3, 2))):
            with pytest.raises(random.CannotCarry, match="rows"):
                align_passes(t, fd.tensor(other))
        with pytest.raises(random.CannotCarry, match="dimensions"):
            align_passes(t, wrap(np.zeros((12, 2, 1), np.float32), PassTensor))


def test_the_state_is_set_and_restored_by_monte_carlo_alone():
    assert random.batched_passes() == 0
    with batched(5):
        assert random.batched_passes() == 5
        with random.monte_carlo(0, 0, 0, "shared"):  # a single pass inside
            assert random.batched_passes() == 0
        with random.own_run(1):
            assert random.batched_passes() == 0
        assert random.batched_passes() == 5
    assert random.batched_passes() == 0
    with pytest.raises(ZeroDivisionError), batched():
        raise ZeroDivisionError
    assert random.batched_passes() == 0


def test_a_layer_that_does_not_carry_passes_gets_no_key():
    with batched(), pytest.raises(random.CannotCarry):
        random.ForwardPass(0, {}, 0).stream(0, 12)
    with batched():
        stream = random.ForwardPass(0, {}, 0).stream(0, 12, carries=True)
    assert stream.rows.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert stream.draws.tolist() == [0, 1, 2, 3] * 3
