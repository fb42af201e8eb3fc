"""Prediction step by step equals the prediction for the whole sequence."""

import gc
import tracemalloc

import numpy as np
import pytest

import fastdrop as fd
from fastdrop.predictor import StreamingPredictor

RATES = {"dropout": 0.2, "recurrent_dropout": 0.3, "zoneout": 0.15}


def model_of(cell="lstm", features=3, outputs=2, **arguments):
    fd.manual_seed(0)
    arguments = {"num_layers": 2, **RATES, **arguments}
    return fd.models.SequenceModel(features, outputs, 9, cell=cell, **arguments)


def numbers(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("rates", [RATES, {"zoneout": 0.0}, dict.fromkeys(RATES, 0.0)])
def test_steps_are_the_whole_sequence(cell, rates):
    model = model_of(cell, **rates)
    x = numbers(4, 12, 3)
    stream, one = StreamingPredictor(model), StreamingPredictor(model)
    for t in range(12):
        y = stream.step(x[:, t])
        first = one.step(x[0, t])
        assert y.shape == (4, 2) and first.shape == (2,)
        assert (y == fd.predict(model, x[:, : t + 1])).all()
        assert (first == y[0]).all()
    assert stream.steps == 12


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("rates", [{}, {"zoneout": 0.0, "dropout": 0.0}, {"num_layers": 1}])
def test_passes_are_those_of_mc_predict(cell, rates):
    model = model_of(cell, **rates)
    x = numbers(3, 7, 3)
    stream = StreamingPredictor(model, samples=5, seed=4)
    for t in range(7):
        found = stream.step(x[:, t])
        expected = fd.mc_predict(model, x[:, : t + 1], 5, 4, keep=True)
        assert (found.passes == expected.passes).all()
        assert (found.mean == expected.mean).all()
        assert (found.variance == expected.variance).all()
    assert found.std.min() > 0


def test_classes_of_tokens():
    model = model_of(vocab_size=20)
    tokens = np.random.default_rng(2).integers(0, 20, 9)
    stream, passes = StreamingPredictor(model), StreamingPredictor(model, 6, output="softmax")
    for t in range(9):
        y, mc = stream.step(tokens[t]), passes.step(tokens[t])
    assert (y == fd.predict(model, tokens[None])[0]).all()
    expected = fd.mc_predict(model, tokens[None], 6, output="softmax")
    assert (mc.mean == expected.mean).all()
    assert mc.entropy.shape == (1,)


def test_a_saved_state_goes_on_and_reset_begins_again():
    model = model_of()
    x = numbers(8, 3)
    for samples in (None, 4):
        stream = StreamingPredictor(model, samples)
        for t in range(4):
            stream.step(x[t])
        state = stream.state_dict()
        rest = [stream.step(x[t]) for t in range(4, 8)]
        other = StreamingPredictor(model, samples)
        other.load_state_dict(state)
        again = [other.step(x[t]) for t in range(4, 8)]
        if samples:
            rest, again = ([mc.mean for mc in part] for part in (rest, again))
        assert np.array_equal(rest, again)
        stream.reset()
        first = stream.step(x[:2])
        assert len(first if samples is None else first.mean) == 2
        fresh = StreamingPredictor(model, samples)
        fresh.load_state_dict(StreamingPredictor(model, samples).state_dict())
        assert fresh.steps == 0


@pytest.mark.parametrize("samples", [None, 3])
def test_memory_does_not_grow(samples):
    stream = StreamingPredictor(model_of(), samples)
    x = numbers(3)
    tracemalloc.start()
    used = []
    for _ in range(4):  # NumPy and the pool of buffers fill their caches in the first rounds
        for _ in range(700):
            stream.step(x)
        gc.collect()
        used.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert used[3] - used[2] < 5_000, used  # less than a pointer for each step


def test_errors():
    with pytest.raises(TypeError, match="SequenceModel"):
        StreamingPredictor(fd.nn.Linear(2, 3))
    with pytest.raises(ValueError, match="bidirectional"):
        StreamingPredictor(model_of(bidirectional=True))
    with pytest.raises(ValueError, match="takes no state"):
        model_of(bidirectional=True)(numbers(2, 3, 3), first_step=3)
    stream = StreamingPredictor(model_of())
    with pytest.raises(ValueError, match=r"values must have shape \(3,\)"):
        stream.step([1.0, 2.0])
    with pytest.raises(ValueError, match="those of step 0"):
        stream.step([1.0, np.nan, 2.0])
    stream.step([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="reset"):
        stream.step(np.ones((2, 3)))
    with pytest.raises(ValueError, match="None samples"):
        stream.load_state_dict(StreamingPredictor(model_of(), 3).state_dict())
    state = stream.state_dict()
    with pytest.raises(ValueError, match="state must hold 2 arrays"):
        stream.load_state_dict(state | {"state": state["state"][:1]})
    with pytest.raises(ValueError, match="must have dropout"):
        StreamingPredictor(model_of(**dict.fromkeys(RATES, 0.0)), 3).step([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="passes side by side"):
        StreamingPredictor(model_of(vocab_size=5, embedding_dropout=0.5), 3).step(2)
    with pytest.raises(ValueError, match="number of a token"):
        StreamingPredictor(model_of(vocab_size=5)).step([1.5])
