"""Models with several inputs: tuples for model(*x), dicts for model(**x)."""

import warnings

import numpy as np
import pytest

import fastdrop as fd
from fastdrop import nn
from fastdrop.data import DataLoader, Dataset, default_collate

RNG = np.random.default_rng(5)
LEFT = RNG.standard_normal((60, 4)).astype(np.float32)
RIGHT = RNG.standard_normal((60, 3)).astype(np.float32)
Y = (LEFT[:, 0] + RIGHT[:, 0] > 0).astype(np.int64)
TUPLE, DICT = (LEFT, RIGHT), {"right": RIGHT, "left": LEFT}


class Two(nn.Module):
    """Two branches with dropout, joined."""

    def __init__(self):
        super().__init__()
        self.left = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3))
        self.right = nn.Sequential(nn.Linear(3, 8), nn.ReLU())
        self.drop, self.out = nn.Dropout(0.2), nn.Linear(16, 2)

    def forward(self, left, right):
        return self.out(self.drop(fd.cat([self.left(left), self.right(right)], -1)))


class Joined(Two):
    """The same network with one input."""

    def forward(self, x):
        return super().forward(x[:, :4], x[:, 4:])


class Masked(nn.Module):
    """Mean of the tokens that take part; checks what the training loop made of its inputs."""

    def __init__(self):
        super().__init__()
        self.embedding, self.drop, self.out = nn.Embedding(9, 6), nn.Dropout(0.2), nn.Linear(6, 2)

    def forward(self, tokens, mask):
        assert tokens.dtype == np.int64 and mask.dtype == bool and tokens.shape == mask.shape
        weight = mask / mask.sum(1, keepdims=True)
        vectors = self.embedding(tokens) * weight[:, :, None].astype(np.float32)
        return self.out(self.drop(vectors.sum(1)))


def trained(model_class, x, **options):
    fd.manual_seed(3)
    model = model_class()
    history = fd.fit(model, (x, Y), epochs=3, batch_size=16, progress=False, **options)
    return model, history


def weights(model):
    return np.concatenate([p.data.ravel() for p in model.parameters()])


@pytest.mark.parametrize("options", [{}, {"validation": 0.25}, {"shuffle": False}])
@pytest.mark.parametrize("x", [TUPLE, DICT], ids=["tuple", "dict"])
def test_training_is_that_of_one_joined_input(x, options):
    model, history = trained(Two, x, **options)
    joined, expected = trained(Joined, np.concatenate([LEFT, RIGHT], 1), **options)
    assert np.array_equal(weights(model), weights(joined))
    assert history["loss"] == expected["loss"]
    assert history.get("val_loss") == expected.get("val_loss")
    assert fd.evaluate(model, (x, Y)) == fd.evaluate(joined, (np.concatenate([LEFT, RIGHT], 1), Y))


@pytest.mark.parametrize("x", [TUPLE, DICT], ids=["tuple", "dict"])
def test_predictions_do_not_depend_on_the_batch_size(x):
    model = Two().eval()
    expected = model(LEFT, RIGHT).data
    for size in (1, 7, 60, 1024):
        assert np.array_equal(fd.predict(model, x, size), expected)
    assert np.array_equal(fd.predict(model, Dataset(x, Y)), expected)


@pytest.mark.parametrize("x", [TUPLE, DICT], ids=["tuple", "dict"])
def test_passes_are_rows_of_one_computation(x):
    fd.manual_seed(1)
    model = Two()
    with warnings.catch_warnings():
        warnings.simplefilter("error", fd.uncertainty.MCWarning)
        batched = fd.mc_predict(model, x, 10, seed=2, keep=True)
        in_parts = fd.mc_predict(model, x, 10, seed=2, batch_size=30, keep=True)
        certain = fd.mc_predict(model, x, 4, seed=2, tolerance=0.02, max_samples=40)
    assert np.array_equal(batched.passes, in_parts.passes)
    for t in (0, 9):
        model.eval()
        with fd.no_grad(), fd.random.monte_carlo(t, 2, 0, "per_sample"):
            scores = model(LEFT, RIGHT)
        assert np.allclose(batched.passes[:, t], fd.softmax(scores).data, atol=1e-6)
    assert len(set(certain.counts)) > 1


def test_passes_of_a_decoder_repeat_a_memory_that_was_not_dropped():
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerDecoderLayer(16, 2, 32, dropout=0.1, batch_first=True)

        def forward(self, target, memory, padding):
            y = self.layer(target, memory, memory_key_padding_mask=padding)
            return fd.flatten(y, 1)

    model = Decoder().eval()
    padding = np.arange(7) > RNG.integers(2, 7, (6, 1))
    x = (*(RNG.standard_normal((6, n, 16)).astype(np.float32) for n in (5, 7)), padding)
    with warnings.catch_warnings():
        warnings.simplefilter("error", fd.uncertainty.MCWarning)
        found = fd.mc_predict(model, x, 4, output="raw", keep=True).passes
    for t in range(4):
        with fd.no_grad(), fd.random.monte_carlo(t, 0, 0, "per_sample"):
            assert np.allclose(found[:, t], model(*x).data, atol=1e-5)


def test_tokens_and_masks_keep_their_dtypes():
    tokens = RNG.integers(0, 9, (60, 5))
    mask = np.arange(5) < RNG.integers(1, 6, (60, 1))
    for x in ((tokens, mask), {"tokens": tokens, "mask": mask}):
        model, history = trained(Masked, x)
        assert len(history["loss"]) == 3
        assert fd.predict(model, x).shape == (60, 2)
        assert fd.mc_predict(model, x, 5).mean.shape == (60, 2)
    (xb, mb), yb = next(iter(fd.data.batches((tokens, mask), Y, 8, shuffle=False)))
    assert np.array_equal(xb, tokens[:8]) and mb.dtype == bool and np.array_equal(yb, Y[:8])


@pytest.mark.parametrize("x", [TUPLE, DICT], ids=["tuple", "dict"])
def test_data_sets_and_loaders_carry_them(x):
    data = Dataset(x, Y)
    part = data.take(slice(2, 5))
    assert len(data) == 60 and len(part) == 3
    sample, label = data[7]
    first = sample["left"] if x is DICT else sample[0]
    assert np.array_equal(first, LEFT[7]) and label == Y[7]
    # A loader gathers whole batches from a data set, or collates samples.
    for source in (data, [data[i] for i in range(60)]):
        fd.manual_seed(0)
        model = Two()
        history = fd.fit(model, DataLoader(source, 20, shuffle=True), epochs=4, progress=False)
        assert history["loss"][-1] < history["loss"][0]
    weighted = trained(Two, x, sample_weight=np.ones(60))[0]
    assert np.allclose(weights(weighted), weights(trained(Two, x)[0]), atol=1e-6)


def test_a_run_is_continued(tmp_path):
    whole = trained(Two, DICT)[0]
    for stop in (2, 3):
        fd.manual_seed(3)
        model = Two()
        fd.fit(model, (DICT, Y), epochs=stop, batch_size=16, progress=False,
               checkpoint=tmp_path / "run", resume=stop == 3)  # fmt: skip
    assert np.array_equal(weights(model), weights(whole))


def test_rates_are_tuned_and_models_diagnosed():
    tuning = fd.tune_rates(Two(), (DICT, Y), epochs=1, max_trials=2, progress=False)
    assert tuning.trials
    model = Two()
    model.drop.p = 0.9
    found = fd.diagnose(model, DICT)
    assert found.codes() and found == fd.diagnose(model, TUPLE)


def test_batch_norm_is_asked_before_the_first_step():
    class Normed(Two):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def forward(self, left, right):
            return super().forward(self.norm(left), right)

    with pytest.raises(ValueError, match="batch_size must not leave a batch of one sample"):
        fd.fit(Normed(), (TUPLE, Y), batch_size=59, progress=False)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ((LEFT, RIGHT[:5]), ValueError, r"one row for each sample, got shapes \(60, 4\), \(5, 3\)"),
        ({"left": LEFT, "right": 1.0}, ValueError, "one row for each sample|at least 1 dimension"),
        ({1: LEFT}, TypeError, "must have names of arguments as its keys, got 1"),
        ({}, ValueError, "one row for each sample, got shapes none"),
        ({"left": LEFT * np.nan, "right": RIGHT}, ValueError, r"x\['left'\] must be finite"),
        ((LEFT, np.array(["a"] * 60)), TypeError, r"x\[1\] must hold real numbers"),
        ((LEFT, None), ValueError, "several inputs are a tuple of arrays or a dict of arrays"),
        ([LEFT, RIGHT], ValueError, "several inputs are a tuple of arrays or a dict of arrays"),
    ],
)
def test_wrong_inputs_are_refused_with_a_sentence(x, error, message):
    with pytest.raises(error, match=message):
        fd.fit(Two(), (x, Y), progress=False)


def test_mixup_is_for_one_input():
    with pytest.raises(ValueError, match="mixup must be 0 for a model with several inputs"):
        fd.fit(Two(), (TUPLE, Y), mixup=0.2, progress=False)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ((LEFT, RIGHT[:5]), ValueError, "data must hold arrays with one row for each sample"),
        ({1: LEFT}, TypeError, "data must have names of arguments as its keys, got 1"),
        ({}, ValueError, "data must hold arrays .* got shapes none"),
    ],
)
def test_diagnose_refuses_wrong_inputs_with_a_sentence(x, error, message):
    with pytest.raises(error, match=message):
        fd.diagnose(Two(), x)


@pytest.mark.parametrize("x", [(LEFT,), {"input": LEFT}])
def test_a_sequential_gets_one_input_in_a_tuple_or_a_dict(x):
    found = []
    for given in (LEFT, x):
        fd.manual_seed(3)
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
        fd.fit(model, (given, Y), epochs=2, batch_size=16, progress=False)
        found.append(weights(model))
    assert np.array_equal(*found)


def test_samples_with_other_keys_are_refused_with_a_sentence():
    samples = [{"left": LEFT[0]}, {"right": RIGHT[0]}]
    with pytest.raises(ValueError, match="dataset must give samples with the same keys"):
        default_collate(samples)
